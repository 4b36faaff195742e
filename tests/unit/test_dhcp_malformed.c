#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/dhcp_client.h"

/* Malformed in one way each: a byte of a good DISCOVER is changed. */
static void
a_malformed_message_is_ignored_for_its_own_reason(void **state)
{
	static const struct {
		size_t at;
		uint8_t value;
		enum dhcp_error error;
	} cases[] = {
		{ 0, 2, DHCP_E_NOT_REQUEST },
		{ 1, 6, DHCP_E_HARDWARE },
		{ 2, 16, DHCP_E_HARDWARE },
		{ 2, 255, DHCP_E_HARDWARE },
		{ 24, 10, DHCP_E_RELAYED },
		{ 33, 3, DHCP_E_CHADDR },
		{ 236, 0, DHCP_E_COOKIE },
		{ 240, 12, DHCP_E_TYPE },     /* no message type */
		{ 241, 0, DHCP_E_OPTIONS },   /* empty */
		{ 241, 2, DHCP_E_OPTIONS },   /* two bytes */
		{ 241, 200, DHCP_E_OPTIONS }, /* past the end */
		{ 242, 0, DHCP_E_TYPE },
		{ 242, 9, DHCP_E_TYPE },
		{ 244, 3, DHCP_E_OPTIONS }, /* address of 3 bytes */
		{ 244, 255, DHCP_E_OPTIONS },
	};
	struct request r;
	struct answer a;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(cases); i++) {
		REQUEST(&r, 0, 0, TYPE(1), REQUESTED_GUEST, 0, 0, 255);
		r.bytes[cases[i].at] = cases[i].value;
		ask(&r, &a);
		assert_silence(&a, cases[i].error);
		assert_int_equal(a.info.type, 0);
	}
}

static void
every_option_that_is_read_must_have_its_length(void **state)
{
	static const uint8_t codes[] = { 50, 52, 53, 54, 57 };
	struct request r;
	struct answer a;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(codes); i++) {
		const uint8_t option[] = { codes[i], 3, 0, 0, 0, 255 };

		request_begin(&r, 0, 0);
		request_add(&r, (const uint8_t[]){ TYPE(1) }, 3);
		request_add(&r, option, sizeof(option));
		ask(&r, &a);
		assert_silence(&a, DHCP_E_OPTIONS);
	}
	REQUEST(&r, 0, 0, TYPE(1), 80, 1, 0, 255);
	ask(&r, &a);
	assert_silence(&a, DHCP_E_OPTIONS);
	REQUEST(&r, 0, 0, TYPE(1), 61, 0, 255);
	ask(&r, &a);
	assert_silence(&a, DHCP_E_OPTIONS);
}

static void
options_without_an_end_are_read_to_the_end_of_the_datagram(void **state)
{
	struct request r;
	struct answer a;

	(void)state;
	REQUEST(&r, 0, 0, TYPE(1));
	ask(&r, &a);
	assert_lease(&a, DHCP_OFFER);
	REQUEST(&r, 0, 0, TYPE(1), 55); /* a code and no length */
	ask(&r, &a);
	assert_silence(&a, DHCP_E_OPTIONS);
	REQUEST(&r, 0, 0, TYPE(1), 55, 2, 1); /* one byte short */
	ask(&r, &a);
	assert_silence(&a, DHCP_E_OPTIONS);
}

static void
options_overflow_into_file_and_sname(void **state)
{
	static const uint8_t in_file[] = { TYPE(3), 52, 1, 3, 255 };
	static const uint8_t in_sname[] = { REQUESTED_GUEST, SERVER_GATEWAY,
		255 };
	struct request r;
	struct answer a;

	(void)state;
	REQUEST(&r, 0, 0, 52, 1, 3, 255);
	memcpy(r.bytes + 108, in_file, sizeof(in_file));
	memcpy(r.bytes + 44, in_sname, sizeof(in_sname));
	ask(&r, &a);
	assert_lease(&a, DHCP_ACK);

	/* An option must not run from one field into the next. */
	r.bytes[108 + 126] = 12;
	r.bytes[108 + 127] = 1;
	memset(r.bytes + 108, 0, 126);
	ask(&r, &a);
	assert_silence(&a, DHCP_E_OPTIONS);

	/* Nor out of the message's shorter field. */
	REQUEST(&r, 0, 0, TYPE(1), 52, 1, 2, 255);
	r.bytes[44] = 12;
	r.bytes[45] = 63;
	ask(&r, &a);
	assert_silence(&a, DHCP_E_OPTIONS);

	/* Without option 52 nobody looks there. */
	REQUEST(&r, 0, 0, TYPE(1), 255);
	memset(r.bytes + 44, 53, 192);
	ask(&r, &a);
	assert_lease(&a, DHCP_OFFER);
}

static void
every_message_cut_at_every_length_is_safe(void **state)
{
	struct request r;
	struct answer a;
	size_t len;

	(void)state;
	REQUEST(&r, 0, 0, TYPE(3), REQUESTED_GUEST, SERVER_GATEWAY, 61, 3, 1, 2,
	    3, 57, 2, 5, 0xc0, 255);
	for (len = 0; len < r.len; len++) {
		ask_with(&config, r.bytes, len, DHCP_REPLY_MAX, &a);
		if (len < 240)
			assert_silence(&a, DHCP_E_SHORT);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    a_malformed_message_is_ignored_for_its_own_reason),
		cmocka_unit_test(
		    every_option_that_is_read_must_have_its_length),
		cmocka_unit_test(
		    options_without_an_end_are_read_to_the_end_of_the_datagram),
		cmocka_unit_test(options_overflow_into_file_and_sname),
		cmocka_unit_test(every_message_cut_at_every_length_is_safe),
	};

	return (cmocka_run_group_tests_name("dhcp_malformed", tests, NULL,
	    NULL));
}
