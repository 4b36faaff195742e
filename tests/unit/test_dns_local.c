#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "netproc/gateway/dns.h"

/* clang-format off */
#define HEADER(ar) 0x12, 0x34, 0x01, 0x10, 0, 1, 0, 0, 0, 0, 0, ar
#define NAME 4, 'H', 'o', 's', 't', 8, 'i', 'n', 't', 'e', 'r', 'n', 'a', 'l', 0
#define OPT(size) 0, 0, 41, (size) >> 8, (size) & 255, 0, 0, 0, 0, 0, 0
/* clang-format on */
#define QUESTION_END (12 + 15 + 4)
#define SIZE_AT	     (QUESTION_END + 3)
#define VERSION_AT   (QUESTION_END + 6)

static const uint8_t plain[] = { HEADER(0), NAME, 0, 1, 0, 1 };
static const uint8_t edns[] = { HEADER(1), NAME, 0, 1, 0, 1, OPT(4096) };

static const struct dns_local names[] = {
	{ "other.internal", { .family = 0 }, { .family = 0 } },
	{ "host.internal", { 4, { 0 }, { 100, 96, 0, 1 } },
	    { 6, { 0 }, { 0xfd, 0x53, [15] = 1 } } },
};

/* Returns owned, of exactly len bytes. */
static uint8_t *
copy_of(const uint8_t *bytes, size_t len)
{
	uint8_t *copy = malloc(len > 0 ? len : 1);

	assert_non_null(copy);
	memcpy(copy, bytes, len);
	return (copy);
}

static size_t
clamp(const uint8_t *query, size_t len, size_t max, uint8_t *out)
{
	uint8_t *exact = copy_of(query, len);
	size_t size;

	size = dns_clamp_edns(exact, len, max);
	memcpy(out, exact, len);
	free(exact);
	return (size);
}

static void
an_asker_with_room_for_more_is_told_the_limit(void **state)
{
	uint8_t out[sizeof(edns)], want[sizeof(edns)];

	(void)state;
	memcpy(want, edns, sizeof(edns));
	want[SIZE_AT] = 1232 >> 8;
	want[SIZE_AT + 1] = 1232 & 255;
	assert_int_equal(clamp(edns, sizeof(edns), 1232, out), 1232);
	assert_memory_equal(out, want, sizeof(want));
}

static void
an_asker_with_less_room_keeps_its_size_but_at_least_512(void **state)
{
	uint8_t query[sizeof(edns)], out[sizeof(edns)];

	(void)state;
	memcpy(query, edns, sizeof(edns));
	query[SIZE_AT] = 1000 >> 8;
	query[SIZE_AT + 1] = 1000 & 255;
	assert_int_equal(clamp(query, sizeof(query), 1232, out), 1000);
	assert_memory_equal(out, query, sizeof(query));
	query[SIZE_AT] = 0;
	assert_int_equal(clamp(query, sizeof(query), 1232, out), 512);
	assert_memory_equal(out, query, sizeof(query));
	assert_int_equal(clamp(plain, sizeof(plain), 1232, out), 512);
	assert_memory_equal(out, plain, sizeof(plain));
}

static void
a_query_cut_at_any_length_is_not_touched(void **state)
{
	uint8_t out[sizeof(edns)];
	size_t len;

	(void)state;
	for (len = 0; len < sizeof(edns); len++) {
		assert_int_equal(clamp(edns, len, 1232, out), 512);
		assert_memory_equal(out, edns, len);
	}
}

static void
a_query_that_is_not_plain_is_not_touched(void **state)
{
	static const uint8_t twice[] = { HEADER(2), NAME, 0, 1, 0, 1, OPT(4096),
		OPT(4096) };
	static const uint8_t named[] = { HEADER(1), NAME, 0, 1, 0, 1, 1, 'a',
		OPT(4096) };
	static const uint8_t compressed[] = { HEADER(1), NAME, 0, 1, 0, 1, 0xc0,
		12, 0, 41, 16, 0, 0, 0, 0, 0, 0, 0 };
	static const uint8_t looped[] = { HEADER(1), 0xc0, 12, 0, 1, 0, 1,
		OPT(4096) };
	static const uint8_t long_data[] = { HEADER(1), NAME, 0, 1, 0, 1, 0, 0,
		41, 16, 0, 0, 0, 0, 0, 0, 1 };
	static const uint8_t signed_too[] = { HEADER(2), NAME, 0, 1, 0, 1,
		OPT(4096), 0, 0, 250, 0, 255, 0, 0, 0, 0, 0, 0 };
	static const uint8_t signed0[] = { HEADER(2), NAME, 0, 1, 0, 1,
		OPT(4096), 0, 0, 24, 0, 255, 0, 0, 0, 0, 0, 0 };
	static const struct {
		const char *what;
		const uint8_t *query;
		size_t len;
	} cases[] = {
		{ "two OPT records", twice, sizeof(twice) },
		{ "an OPT record with a name", named, sizeof(named) },
		{ "a compressed name", compressed, sizeof(compressed) },
		{ "a compressed question", looped, sizeof(looped) },
		{ "data past the end", long_data, sizeof(long_data) },
		{ "a signature", signed_too, sizeof(signed_too) },
		{ "one of a public key", signed0, sizeof(signed0) },
	};
	uint8_t out[100], answers[sizeof(edns)];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (dns_opt_offset(cases[i].query, cases[i].len) != 0 ||
		    clamp(cases[i].query, cases[i].len, 1232, out) != 512 ||
		    memcmp(out, cases[i].query, cases[i].len) != 0)
			fail_msg("%s", cases[i].what);
	}
	memcpy(answers, edns, sizeof(edns));
	answers[7] = 1;
	assert_int_equal(dns_opt_offset(answers, sizeof(edns)), 0);
	assert_int_equal(clamp(answers, sizeof(edns), 1232, out), 512);
}

static void
the_opt_record_is_found_behind_another(void **state)
{
	static const uint8_t second[] = { HEADER(2), NAME, 0, 1, 0, 1, 1, 'x',
		0, 0, 16, 0, 1, 0, 0, 0, 0, 0, 1, 'x', OPT(4096) };
	uint8_t out[sizeof(second)];

	(void)state;
	assert_int_equal(dns_opt_offset(second, sizeof(second)),
	    sizeof(second) - 11);
	assert_int_equal(clamp(second, sizeof(second), 600, out), 600);
}

/* Whether the OPT record is found behind one whose name has such labels. */
static int
opt_behind(const uint8_t *labels, size_t nlabels)
{
	static const uint8_t rest[] = { 0, 0, 16, 0, 1, 0, 0, 0, 0, 0, 0,
		OPT(4096) };
	uint8_t query[sizeof(plain) + 300 + sizeof(rest)] = { 0 };
	size_t i, len = sizeof(plain);

	memcpy(query, plain, sizeof(plain));
	query[11] = 2;
	for (i = 0; i < nlabels; i++) {
		query[len] = labels[i];
		len += 1u + labels[i];
	}
	memcpy(query + len, rest, sizeof(rest));
	len += sizeof(rest);
	return (dns_opt_offset(query, len) == len - DNS_OPT_LEN);
}

static void
names_before_the_opt_record_are_as_long_as_any(void **state)
{
	static const uint8_t longest[] = { 63, 63, 63, 61 };
	static const uint8_t longer[] = { 63, 63, 63, 62 };
	static const uint8_t label[] = { 64 };

	(void)state;
	assert_true(opt_behind(longest, 4));
	assert_false(opt_behind(longer, 4));
	assert_false(opt_behind(label, 1));
}

/* Into an exact buffer of the least size. */
static size_t
ask(const uint8_t *query, size_t len, uint8_t out[DNS_LOCAL_MAX])
{
	uint8_t *exact = copy_of(query, len), *room = malloc(DNS_LOCAL_MAX);
	size_t n;

	assert_non_null(room);
	n = dns_answer_local(names, 2, exact, len, room, DNS_LOCAL_MAX);
	assert_true(n <= DNS_LOCAL_MAX);
	memcpy(out, room, n);
	free(exact);
	free(room);
	return (n);
}

static void
the_hosts_name_has_the_gateways_address(void **state)
{
	static const uint8_t want[] = { 0x12, 0x34, 0x85, 0x90, 0, 1, 0, 1, 0,
		0, 0, 0, NAME, 0, 1, 0, 1, 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0,
		4, 100, 96, 0, 1 };
	uint8_t out[DNS_LOCAL_MAX];

	(void)state;
	assert_int_equal(ask(plain, sizeof(plain), out), sizeof(want));
	assert_memory_equal(out, want, sizeof(want));
}

static void
of_a_query_for_us_only_what_is_wanted_is_repeated(void **state)
{
	uint8_t query[sizeof(plain)], out[DNS_LOCAL_MAX];

	(void)state;
	memcpy(query, plain, sizeof(plain));
	query[2] = 0x07; /* AA, TC, RD */
	query[3] = 0xff; /* RA, Z, AD, CD, a code */
	assert_int_not_equal(ask(query, sizeof(query), out), 0);
	assert_int_equal(out[2], 0x85);
	assert_int_equal(out[3], 0x90);
}

static void
a_query_of_any_class_is_answered(void **state)
{
	uint8_t query[sizeof(plain)], out[DNS_LOCAL_MAX];

	(void)state;
	memcpy(query, plain, sizeof(plain));
	query[QUESTION_END - 1] = 255;
	assert_int_equal(ask(query, sizeof(query), out), sizeof(plain) + 16);
	assert_int_equal(out[7], 1);
}

static void
each_type_gets_what_there_is_of_it(void **state)
{
	static const struct {
		uint8_t type, nanswers;
		size_t len;
	} cases[] = { { 1, 1, 16 }, { 28, 1, 28 }, { 255, 2, 44 }, { 16, 0, 0 },
		{ 65, 0, 0 }, { 6, 0, 0 } };
	uint8_t query[sizeof(plain)], out[DNS_LOCAL_MAX];
	size_t i;

	(void)state;
	memcpy(query, plain, sizeof(plain));
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		query[QUESTION_END - 3] = cases[i].type;
		assert_int_equal(ask(query, sizeof(query), out),
		    sizeof(plain) + cases[i].len);
		assert_int_equal(out[7], cases[i].nanswers);
		assert_int_equal(out[3], 0x90); /* no error */
	}
}

static void
an_asker_with_edns_is_answered_with_edns(void **state)
{
	static const uint8_t opt[] = { OPT(1232) };
	uint8_t query[sizeof(edns)], out[DNS_LOCAL_MAX];
	size_t n;

	(void)state;
	memcpy(query, edns, sizeof(edns));
	query[QUESTION_END - 3] = 255;
	n = ask(query, sizeof(query), out);
	assert_int_equal(n, sizeof(plain) + 44 + sizeof(opt));
	assert_int_equal(out[11], 1);
	assert_memory_equal(out + n - sizeof(opt), opt, sizeof(opt));
}

static void
an_asker_with_an_edns_to_come_is_told_which_we_speak(void **state)
{
	static const uint8_t opt[] = { 0, 0, 41, 1232 >> 8, 1232 & 255, 1, 0, 0,
		0, 0, 0 };
	uint8_t query[sizeof(edns)], out[DNS_LOCAL_MAX];
	size_t n;

	(void)state;
	memcpy(query, edns, sizeof(edns));
	query[VERSION_AT] = 1;
	n = ask(query, sizeof(query), out);
	assert_int_equal(n, sizeof(plain) + sizeof(opt));
	assert_int_equal(out[3], 0x90); /* the code's lower bits */
	assert_int_equal(out[7], 0);	/* no answer */
	assert_memory_equal(out + n - sizeof(opt), opt, sizeof(opt));
}

static void
a_name_without_an_address_has_no_data(void **state)
{
	static const uint8_t other[] = { HEADER(0), 5, 'o', 't', 'h', 'e', 'r',
		8, 'i', 'n', 't', 'e', 'r', 'n', 'a', 'l', 0, 0, 255, 0, 1 };
	uint8_t out[DNS_LOCAL_MAX];

	(void)state;
	assert_int_equal(ask(other, sizeof(other), out), sizeof(other));
	assert_int_equal(out[7], 0);
}

static void
what_is_not_asked_of_us_is_for_others(void **state)
{
	static const struct {
		const char *what;
		size_t at;
		uint8_t value;
	} cases[] = {
		{ "another name", 13, 'm' },
		{ "a shorter label", 12, 3 },
		{ "a response", 2, 0x81 },
		{ "an update", 2, 0x29 },
		{ "class CHAOS", QUESTION_END - 1, 3 },
		{ "two questions", 5, 2 },
	};
	uint8_t query[sizeof(plain)], out[DNS_LOCAL_MAX];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		memcpy(query, plain, sizeof(plain));
		query[cases[i].at] = cases[i].value;
		if (ask(query, sizeof(query), out) != 0)
			fail_msg("%s", cases[i].what);
	}
	for (i = 0; i < sizeof(plain); i++)
		assert_int_equal(ask(plain, i, out), 0);
	assert_int_equal(dns_answer_local(names, 2, plain, sizeof(plain), out,
			     DNS_LOCAL_MAX - 1),
	    0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_asker_with_room_for_more_is_told_the_limit),
		cmocka_unit_test(
		    an_asker_with_less_room_keeps_its_size_but_at_least_512),
		cmocka_unit_test(a_query_cut_at_any_length_is_not_touched),
		cmocka_unit_test(a_query_that_is_not_plain_is_not_touched),
		cmocka_unit_test(the_opt_record_is_found_behind_another),
		cmocka_unit_test(
		    names_before_the_opt_record_are_as_long_as_any),
		cmocka_unit_test(
		    of_a_query_for_us_only_what_is_wanted_is_repeated),
		cmocka_unit_test(a_query_of_any_class_is_answered),
		cmocka_unit_test(the_hosts_name_has_the_gateways_address),
		cmocka_unit_test(each_type_gets_what_there_is_of_it),
		cmocka_unit_test(an_asker_with_edns_is_answered_with_edns),
		cmocka_unit_test(
		    an_asker_with_an_edns_to_come_is_told_which_we_speak),
		cmocka_unit_test(a_name_without_an_address_has_no_data),
		cmocka_unit_test(what_is_not_asked_of_us_is_for_others),
	};

	return (cmocka_run_group_tests_name("dns_local", tests, NULL, NULL));
}
