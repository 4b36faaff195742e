#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "netproc/gateway/dns.h"

#define QUESTION \
	7, 'E', 'x', 'a', 'm', 'p', 'l', 'e', 3, 'c', 'o', 'm', 0, 0, 1, 0, 1
#define QUESTION_LEN 17
#define HEAD_LEN     (DNS_HEADER_LEN + QUESTION_LEN)

/* RD, AD, and an OPT record behind the question. */
static const uint8_t query[] = { 0x12, 0x34, 0x01, 0x20, 0, 1, 0, 0, 0, 0, 0, 1,
	QUESTION, 0, 0, 41, 0x10, 0, 0, 0, 0, 0, 0, 0 };
static const uint8_t answer[] = { 0x12, 0x34, 0x85, 0x80, 0, 1, 0, 1, 0, 0, 0,
	0, QUESTION, 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 1 };

/* Returns owned, of exactly len bytes. */
static uint8_t *
copy_of(const uint8_t *bytes, size_t len)
{
	uint8_t *copy = malloc(len > 0 ? len : 1);

	assert_non_null(copy);
	memcpy(copy, bytes, len);
	return (copy);
}

static void
a_query_is_a_whole_header_that_is_no_response(void **state)
{
	size_t len;
	uint8_t *cut;

	(void)state;
	for (len = 0; len <= sizeof(query); len++) {
		cut = copy_of(query, len);
		assert_int_equal(dns_query_is_valid(cut, len),
		    len >= DNS_HEADER_LEN);
		free(cut);
	}
	assert_int_equal(dns_query_is_valid(answer, sizeof(answer)), 0);
}

static void
the_question_ends_where_its_class_does(void **state)
{
	size_t len;
	uint8_t *cut;

	(void)state;
	for (len = 0; len <= sizeof(query); len++) {
		cut = copy_of(query, len);
		assert_int_equal(dns_head_len(cut, len),
		    len >= HEAD_LEN ? HEAD_LEN : 0);
		free(cut);
	}
}

static void
a_question_that_is_not_plain_has_no_length(void **state)
{
	static const struct {
		const char *what;
		size_t at;
		uint8_t value;
	} cases[] = {
		{ "no question", 5, 0 },
		{ "two questions", 5, 2 },
		{ "256 questions", 4, 1 },
		{ "a pointer to itself", 12, 0xc0 },
		{ "a label of the reserved kind", 12, 0x40 },
		{ "a pointer in the middle", 20, 0xc0 },
		{ "a label beyond the end", 20, 60 },
	};
	uint8_t message[sizeof(query)];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		memcpy(message, query, sizeof(query));
		message[cases[i].at] = cases[i].value;
		if (dns_head_len(message, sizeof(message)) != 0)
			fail_msg("%s", cases[i].what);
	}
}

static void
a_name_of_255_bytes_is_the_longest(void **state)
{
	uint8_t message[400] = { 0 };
	size_t i;

	(void)state;
	message[5] = 1;
	for (i = 0; i < 127; i++) {
		message[12 + 2 * i] = 1;
		message[13 + 2 * i] = 'x';
	}
	assert_int_equal(dns_head_len(message, sizeof(message)), DNS_HEAD_MAX);
	message[12 + 2 * 126] = 2; /* a name of 256 bytes */
	assert_int_equal(dns_head_len(message, sizeof(message)), 0);
}

static void
an_answer_matches_by_id_and_question(void **state)
{
	static const struct {
		size_t at;
		uint8_t value;
		int matches;
	} cases[] = {
		{ 0, 0x12, 1 },	 /* the same */
		{ 0, 0x13, 0 },	 /* another id */
		{ 2, 0x05, 0 },	 /* a query */
		{ 13, 'e', 1 },	 /* another case of the name */
		{ 13, 'f', 0 },	 /* another name */
		{ 24, '@', 0 },	 /* another name's end */
		{ 26, 28, 0 },	 /* another type */
		{ 28, 3, 0 },	 /* another class */
		{ 5, 0, 0 },	 /* no question */
		{ 5, 2, 0 },	 /* two questions */
		{ 12, 0xc0, 0 }, /* a compressed one */
	};
	uint8_t changed[sizeof(answer)];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		memcpy(changed, answer, sizeof(answer));
		changed[cases[i].at] = cases[i].value;
		if (dns_answer_matches(query, HEAD_LEN, changed,
			sizeof(changed)) != cases[i].matches)
			fail_msg("byte %zu = %u", cases[i].at, cases[i].value);
	}
}

static void
an_error_alone_may_come_without_its_question(void **state)
{
	uint8_t rcode, bare[DNS_HEADER_LEN] = { 0x12, 0x34, 0x81 };

	(void)state;
	for (rcode = 0; rcode <= 15; rcode++) {
		bare[3] = 0x80 | rcode;
		bare[5] = 0;
		assert_int_equal(dns_answer_matches(query, HEAD_LEN, bare,
				     sizeof(bare)),
		    rcode != DNS_NOERROR);
		bare[5] = 1;
		assert_int_equal(dns_answer_matches(query, HEAD_LEN, bare,
				     sizeof(bare)),
		    0);
	}
}

static void
the_type_of_a_question_has_no_letter_case(void **state)
{
	uint8_t asked[HEAD_LEN], answered[HEAD_LEN];

	(void)state;
	memcpy(asked, query, HEAD_LEN);
	memcpy(answered, answer, HEAD_LEN);
	asked[26] = 65; /* HTTPS */
	answered[26] = 97;
	assert_int_equal(dns_answer_matches(asked, HEAD_LEN, answered,
			     HEAD_LEN),
	    0);
	answered[26] = 65;
	assert_int_equal(dns_answer_matches(asked, HEAD_LEN, answered,
			     HEAD_LEN),
	    1);
}

static void
an_answer_cut_at_any_length_is_safe(void **state)
{
	size_t len;
	uint8_t *cut;

	(void)state;
	for (len = 0; len < HEAD_LEN; len++) {
		cut = copy_of(answer, len);
		assert_int_equal(dns_answer_matches(query, sizeof(query), cut,
				     len),
		    0);
		free(cut);
	}
}

static void
servfail_repeats_the_question_and_nothing_else(void **state)
{
	static const uint8_t want[] = { 0x12, 0x34, 0x81, 0x82, 0, 1, 0, 0, 0,
		0, 0, 0, QUESTION };
	uint8_t out[DNS_HEAD_MAX];

	(void)state;
	assert_int_equal(dns_error(query, sizeof(query), DNS_SERVFAIL,
			     DNS_EDNS_NONE, out, sizeof(out)),
	    sizeof(want));
	assert_memory_equal(out, want, sizeof(want));
}

static void
what_asks_nothing_is_for_no_server(void **state)
{
	static const struct {
		const char *what;
		size_t at;
		uint8_t value;
		enum dns_rcode want;
	} cases[] = {
		{ "a question", 2, 0x01, DNS_NOERROR },
		{ "an inverse query", 2, 0x09, DNS_NOTIMP },
		{ "a notification", 2, 0x21, DNS_NOTIMP },
		{ "an update", 2, 0x29, DNS_NOTIMP },
		{ "the last opcode", 2, 0x79, DNS_NOTIMP },
		{ "no question", 5, 0, DNS_FORMERR },
		{ "two questions", 5, 2, DNS_FORMERR },
		{ "a compressed name", 12, 0xc0, DNS_FORMERR },
	};
	uint8_t out[DNS_SHORT_MAX], message[sizeof(query)];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		memcpy(message, query, sizeof(message));
		message[cases[i].at] = cases[i].value;
		if (dns_query_check(message, sizeof(message)) != cases[i].want)
			fail_msg("%s", cases[i].what);
		dns_error(message, sizeof(message), cases[i].want,
		    DNS_EDNS_NONE, out, sizeof(out));
		assert_int_equal(out[2], message[2] | 0x80);
		assert_int_equal(out[3], 0x80 | cases[i].want);
	}
	for (i = DNS_HEADER_LEN; i < HEAD_LEN; i++)
		assert_int_equal(dns_query_check(query, i), DNS_FORMERR);
}

static void
of_a_querys_flags_only_what_was_wanted_is_repeated(void **state)
{
	uint8_t out[DNS_HEAD_MAX], message[sizeof(query)];

	(void)state;
	memcpy(message, query, sizeof(query));
	message[2] = 0x07; /* AA, TC, RD */
	message[3] = 0xff; /* RA, Z, AD, CD, a code */
	assert_int_equal(dns_query_check(message, sizeof(message)),
	    DNS_NOERROR);
	dns_error(message, sizeof(message), DNS_SERVFAIL, DNS_EDNS_NONE, out,
	    sizeof(out));
	assert_int_equal(out[2], 0x81);
	assert_int_equal(out[3], 0x92);
}

static void
servfail_to_an_unreadable_question_is_a_bare_header(void **state)
{
	uint8_t out[DNS_HEAD_MAX], message[sizeof(query)];

	(void)state;
	memcpy(message, query, sizeof(query));
	message[12] = 0xc0;
	assert_int_equal(dns_error(message, sizeof(message), DNS_SERVFAIL,
			     DNS_EDNS_NONE, out, sizeof(out)),
	    DNS_HEADER_LEN);
	assert_memory_equal(out, "\x12\x34\x81\x82\0\0\0\0\0\0\0\0", 12);
	assert_int_equal(dns_error(query, 11, DNS_SERVFAIL, DNS_EDNS_NONE, out,
			     sizeof(out)),
	    0);
	assert_int_equal(dns_error(query, sizeof(query), DNS_SERVFAIL,
			     DNS_EDNS_NONE, out, 11),
	    0);
	assert_int_equal(dns_error(query, sizeof(query), DNS_SERVFAIL,
			     DNS_EDNS_NONE, out, 12),
	    12);
}

static void
a_truncated_answer_keeps_its_flags_and_sets_tc(void **state)
{
	static const uint8_t want[] = { 0x12, 0x34, 0x87, 0x80, 0, 1, 0, 0, 0,
		0, 0, 0, QUESTION };
	uint8_t out[DNS_HEAD_MAX];

	(void)state;
	assert_int_equal(dns_truncate(answer, sizeof(answer), DNS_EDNS_NONE,
			     out, sizeof(out)),
	    sizeof(want));
	assert_memory_equal(out, want, sizeof(want));
	assert_int_equal(dns_truncate(answer, sizeof(answer), DNS_EDNS_NONE,
			     out, 20),
	    12);
	assert_int_equal(out[5], 0);
	assert_int_equal(dns_truncate(answer, 11, DNS_EDNS_NONE, out,
			     sizeof(out)),
	    0);
	assert_int_equal(dns_truncate(answer, sizeof(answer), DNS_EDNS_NONE,
			     out, 11),
	    0);
}

/* What an asker with EDNS gets, whose question ends at HEAD_LEN. */
static void
has_opt(const uint8_t *out, size_t len, uint8_t flags)
{
	static const uint8_t opt[DNS_OPT_LEN] = { 0, 0, 41, 1232 >> 8,
		1232 & 255 };
	uint8_t want[DNS_OPT_LEN];

	memcpy(want, opt, sizeof(want));
	want[7] = flags;
	assert_int_equal(len, HEAD_LEN + DNS_OPT_LEN);
	assert_int_equal(out[11], 1);
	assert_memory_equal(out + HEAD_LEN, want, sizeof(want));
}

static void
an_asker_with_edns_gets_it_with_servfail_and_with_tc(void **state)
{
	uint8_t out[DNS_SHORT_MAX], message[sizeof(query)];
	enum dns_edns edns;
	size_t n;

	(void)state;
	memcpy(message, query, sizeof(query));
	message[HEAD_LEN + 7] = 0x80; /* DO */
	assert_int_equal(dns_edns_of(query, HEAD_LEN), DNS_EDNS_NONE);
	assert_int_equal(dns_edns_of(query, sizeof(query)), DNS_EDNS_PLAIN);
	assert_int_equal(dns_edns_of(message, sizeof(message)), DNS_EDNS_DO);
	for (edns = DNS_EDNS_PLAIN; edns <= DNS_EDNS_DO; edns++) {
		n = dns_error(query, HEAD_LEN, DNS_SERVFAIL, edns, out,
		    sizeof(out));
		has_opt(out, n, edns == DNS_EDNS_DO ? 0x80 : 0);
		n = dns_truncate(answer, sizeof(answer), edns, out,
		    HEAD_LEN + DNS_OPT_LEN);
		has_opt(out, n, edns == DNS_EDNS_DO ? 0x80 : 0);
	}
}

static void
an_opt_record_has_its_room_before_the_question(void **state)
{
	uint8_t out[DNS_SHORT_MAX];

	(void)state;
#define CUT(max) dns_truncate(answer, sizeof(answer), DNS_EDNS_DO, out, max)
	assert_int_equal(CUT(HEAD_LEN + DNS_OPT_LEN - 1), 12 + DNS_OPT_LEN);
	assert_memory_equal(out + 4, "\0\0\0\0\0\0\0\1\0\0\x29", 11);
	assert_int_equal(CUT(12 + DNS_OPT_LEN), 12 + DNS_OPT_LEN);
	assert_int_equal(CUT(12 + DNS_OPT_LEN - 1), 12);
	assert_int_equal(out[11], 0);
}

static void
the_longest_question_leaves_room_for_the_opt_record(void **state)
{
	uint8_t message[DNS_HEAD_MAX] = { [5] = 1 }, out[DNS_SHORT_MAX];
	size_t at = DNS_HEADER_LEN, label;

	(void)state;
	while (at < DNS_HEAD_MAX - 5) {
		label = DNS_HEAD_MAX - 5 - at - 1;
		label = label > 63 ? 63 : label;
		message[at] = (uint8_t)label;
		at += 1 + label;
	}
	assert_int_equal(dns_head_len(message, sizeof(message)), DNS_HEAD_MAX);
	assert_int_equal(dns_error(message, sizeof(message), DNS_SERVFAIL,
			     DNS_EDNS_PLAIN, out, sizeof(out)),
	    DNS_SHORT_MAX);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_query_is_a_whole_header_that_is_no_response),
		cmocka_unit_test(the_question_ends_where_its_class_does),
		cmocka_unit_test(a_question_that_is_not_plain_has_no_length),
		cmocka_unit_test(a_name_of_255_bytes_is_the_longest),
		cmocka_unit_test(an_answer_matches_by_id_and_question),
		cmocka_unit_test(an_error_alone_may_come_without_its_question),
		cmocka_unit_test(the_type_of_a_question_has_no_letter_case),
		cmocka_unit_test(an_answer_cut_at_any_length_is_safe),
		cmocka_unit_test(
		    servfail_repeats_the_question_and_nothing_else),
		cmocka_unit_test(what_asks_nothing_is_for_no_server),
		cmocka_unit_test(
		    of_a_querys_flags_only_what_was_wanted_is_repeated),
		cmocka_unit_test(
		    servfail_to_an_unreadable_question_is_a_bare_header),
		cmocka_unit_test(
		    a_truncated_answer_keeps_its_flags_and_sets_tc),
		cmocka_unit_test(
		    an_asker_with_edns_gets_it_with_servfail_and_with_tc),
		cmocka_unit_test(
		    an_opt_record_has_its_room_before_the_question),
		cmocka_unit_test(
		    the_longest_question_leaves_room_for_the_opt_record),
	};

	return (cmocka_run_group_tests_name("dns", tests, NULL, NULL));
}
