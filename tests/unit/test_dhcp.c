#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/dhcp_client.h"

/* What real clients send. */
static void
udhcpc_gets_its_lease(void **state)
{
	struct request r;
	struct answer a;

	(void)state;
	REQUEST(&r, 0, 0, TYPE(1), 57, 2, 0x02, 0x40, 55, 7, 1, 3, 6, 12, 15,
	    28, 42, 60, 12, 'u', 'd', 'h', 'c', 'p', ' ', '1', '.', '3', '5',
	    '.', '0', 61, 7, 1, 0x02, 0x53, 0x4d, 0, 0, 2, 255);
	ask(&r, &a);
	assert_int_equal(a.info.type, DHCP_DISCOVER);
	assert_lease(&a, DHCP_OFFER);
	assert_to_guest(&a);
	assert_option(&a, 61, "\1\2\x53\x4d\0\0\2", 7);

	REQUEST(&r, 0, 0, TYPE(3), REQUESTED_GUEST, SERVER_GATEWAY, 57, 2, 0x02,
	    0x40, 55, 4, 1, 3, 6, 12, 255);
	ask(&r, &a);
	assert_int_equal(a.info.type, DHCP_REQUEST);
	assert_lease(&a, DHCP_ACK);
}

static void
dhclient_gets_its_lease(void **state)
{
	struct request r;
	struct answer a;

	(void)state;
	REQUEST(&r, 0, 0, TYPE(1), REQUESTED_OTHER, 12, 4, 'h', 'o', 's', 't',
	    55, 13, 1, 28, 2, 3, 15, 6, 119, 12, 44, 47, 26, 121, 42, 255);
	ask(&r, &a);
	assert_lease(&a, DHCP_OFFER);
	assert_no_option(&a, 61);
	assert_no_option(&a, 80);
}

static void
dhcpcd_with_rapid_commit_is_done_in_two_messages(void **state)
{
	struct request r;
	struct answer a;

	(void)state;
	REQUEST(&r, 0, 0, TYPE(1), 61, 19, 255, 0x4d, 0, 0, 2, 0, 1, 0, 1, 0x2b,
	    1, 2, 3, 2, 0x53, 0x4d, 0, 0, 2, 80, 0, 57, 2, 0x05, 0xc0, 116, 1,
	    1, 145, 1, 1, 55, 14, 1, 121, 33, 3, 6, 12, 15, 26, 28, 42, 51, 54,
	    58, 119, 255);
	ask(&r, &a);
	assert_int_equal(a.info.type, DHCP_DISCOVER);
	assert_lease(&a, DHCP_ACK);
	assert_option(&a, 80, "", 0);
}

static void
windows_asks_for_broadcast_and_gets_it(void **state)
{
	struct request r;
	struct answer a;

	(void)state;
	REQUEST(&r, 0x8000, 0, TYPE(1), 61, 7, 1, 0x02, 0x53, 0x4d, 0, 0, 2, 12,
	    2, 'P', 'C', 60, 8, 'M', 'S', 'F', 'T', ' ', '5', '.', '0', 55, 14,
	    1, 3, 6, 15, 31, 33, 43, 44, 46, 47, 119, 121, 249, 252, 255);
	ask(&r, &a);
	assert_lease(&a, DHCP_OFFER);
	assert_to_all(&a);
	assert_int_equal(field_be32(&a, 8) & 0xffff, 0x8000);
}

static void
the_mtu_is_told_to_one_who_did_not_ask(void **state)
{
	struct dhcp_config big = config;
	struct request r;
	struct answer a;

	(void)state;
	REQUEST(&r, 0, 0, TYPE(1), 55, 1, 1, 255);
	ask(&r, &a);
	assert_option(&a, 26, "\x05\xdc", 2);
	big.mtu = 65520;
	ask_with(&big, r.bytes, r.len, DHCP_REPLY_MAX, &a);
	assert_option(&a, 26, "\xff\xf0", 2);
}

/* RFC 2131 4.3.2, state by state. */
static void
a_rebooted_client_gets_its_old_address_or_a_nak(void **state)
{
	struct request r;
	struct answer a;

	(void)state;
	REQUEST(&r, 0, 0, TYPE(3), REQUESTED_GUEST, 255);
	ask(&r, &a);
	assert_lease(&a, DHCP_ACK);

	REQUEST(&r, 0, 0, TYPE(3), REQUESTED_OTHER, 61, 2, 1, 7, 255);
	ask(&r, &a);
	assert_reply(&a, DHCP_NAK);
	assert_to_all(&a);
	assert_int_equal(field_be32(&a, 16), 0);
	assert_option(&a, 61, "\1\7", 2);
	assert_no_option(&a, 51);
	assert_no_option(&a, 1);
}

static void
a_renewing_client_is_answered_at_its_address(void **state)
{
	struct request r;
	struct answer a;

	(void)state;
	REQUEST(&r, 0x8000, GUEST, TYPE(3), 255);
	ask(&r, &a);
	assert_lease(&a, DHCP_ACK);
	assert_int_equal(field_be32(&a, 12), GUEST); /* ciaddr */
	assert_to_guest(&a);

	REQUEST(&r, 0, OTHER, TYPE(3), 255);
	ask(&r, &a);
	assert_reply(&a, DHCP_NAK);
	assert_to_all(&a);
}

static void
another_servers_client_is_left_alone(void **state)
{
	struct request r;
	struct answer a;

	(void)state;
	REQUEST(&r, 0, 0, TYPE(3), REQUESTED_GUEST, SERVER_OTHER, 255);
	ask(&r, &a);
	assert_silence(&a, DHCP_E_OTHER_SERVER);
	assert_int_equal(a.info.type, DHCP_REQUEST);
}

static void
a_request_for_a_wrong_address_of_ours_gets_a_nak(void **state)
{
	struct request r;
	struct answer a;

	(void)state;
	REQUEST(&r, 0, 0, TYPE(3), REQUESTED_OTHER, SERVER_GATEWAY, 255);
	ask(&r, &a);
	assert_reply(&a, DHCP_NAK);
}

static void
a_request_without_any_address_is_ignored(void **state)
{
	struct request r;
	struct answer a;

	(void)state;
	REQUEST(&r, 0, 0, TYPE(3), 255);
	ask(&r, &a);
	assert_silence(&a, DHCP_E_NO_ADDRESS);
}

static void
inform_gets_the_settings_and_no_lease(void **state)
{
	struct request r;
	struct answer a;

	(void)state;
	REQUEST(&r, 0, GUEST, TYPE(8), 255);
	ask(&r, &a);
	assert_reply(&a, DHCP_ACK);
	assert_to_guest(&a);
	assert_int_equal(field_be32(&a, 12), GUEST);
	assert_int_equal(field_be32(&a, 16), 0);
	assert_no_option(&a, 51);
	assert_no_option(&a, 58);
	assert_no_option(&a, 59);
	assert_option(&a, 6, "\x64\x60\0\1", 4);

	REQUEST(&r, 0, OTHER, TYPE(8), 255);
	ask(&r, &a);
	assert_silence(&a, DHCP_E_NO_ADDRESS);
}

static void
release_and_decline_are_reported_and_not_answered(void **state)
{
	struct request r;
	struct answer a;

	(void)state;
	REQUEST(&r, 0, GUEST, TYPE(7), SERVER_GATEWAY, 255);
	ask(&r, &a);
	assert_silence(&a, DHCP_E_OK);
	assert_int_equal(a.info.type, DHCP_RELEASE);
	REQUEST(&r, 0, 0, TYPE(4), REQUESTED_GUEST, SERVER_GATEWAY, 255);
	ask(&r, &a);
	assert_silence(&a, DHCP_E_OK);
	assert_int_equal(a.info.type, DHCP_DECLINE);
	REQUEST(&r, 0, GUEST, TYPE(7), SERVER_OTHER, 255);
	ask(&r, &a);
	assert_silence(&a, DHCP_E_OTHER_SERVER);
}

static void
what_only_a_server_says_is_not_answered(void **state)
{
	struct request r;
	struct answer a;

	(void)state;
	REQUEST(&r, 0, 0, TYPE(2), 255);
	ask(&r, &a);
	assert_silence(&a, DHCP_E_TYPE);
	REQUEST(&r, 0, 0, TYPE(5), 255);
	ask(&r, &a);
	assert_silence(&a, DHCP_E_TYPE);
	REQUEST(&r, 0, 0, TYPE(6), 255);
	ask(&r, &a);
	assert_silence(&a, DHCP_E_TYPE);
}

/* 548 bytes is what every client takes (RFC 2131 2). */
static void
a_reply_is_no_longer_than_the_client_can_take(void **state)
{
	struct dhcp_config cfg = config;
	char name[5][256];
	struct request r;
	struct answer a;
	uint8_t id[257] = { 61, 255 };
	size_t i, len;

	(void)state;
	cfg.nsearch = 5;
	for (i = 0; i < 5; i++) {
		memset(name[i], 'a' + (int)i, 200);
		name[i][200] = '\0';
		name[i][60] = name[i][120] = name[i][180] = '.';
		cfg.search[i] = name[i];
	}
	REQUEST(&r, 0, 0, TYPE(1));
	request_add(&r, id, sizeof(id));
	ask_with(&cfg, r.bytes, r.len, DHCP_REPLY_MAX, &a);
	assert_reply(&a, DHCP_OFFER);
	assert_true(a.len <= DHCP_REPLY_MIN);
	assert_option(&a, 61, id + 2, 255);
	assert_no_option(&a, 119);

	/* One domain fits into 548 bytes, five into 1472, in five options. */
	REQUEST(&r, 0, 0, TYPE(1), 57, 2, 0x05, 0xdc, 255);
	cfg.mtu = 1280;
	ask_with(&cfg, r.bytes, r.len, DHCP_REPLY_MAX, &a);
	assert_reply(&a, DHCP_OFFER);
	assert_true(a.len <= 1252);
	cfg.mtu = 1500;
	ask_with(&cfg, r.bytes, r.len, DHCP_REPLY_MAX, &a);
	assert_true(a.len > 1252);
	assert_non_null(find_option(&a, 119, &len));
	assert_int_equal(len, 255);
}

static void
a_name_that_is_none_is_left_out_of_the_search_list(void **state)
{
	struct dhcp_config cfg = config;
	struct request r;
	struct answer a;
	char longest[256];
	size_t len;

	(void)state;
	cfg.nsearch = 5;
	cfg.search[0] = "a..b";
	cfg.search[1] = ".";
	cfg.search[2] = "";
	cfg.search[3] = "0123456789012345678901234567890123456789"
			"012345678901234567890123.example";
	cfg.search[4] = "x.y";
	REQUEST(&r, 0, 0, TYPE(1), 255);
	ask_with(&cfg, r.bytes, r.len, DHCP_REPLY_MAX, &a);
	assert_option(&a, 119, "\1x\1y", 5);
	memset(longest, 'a', sizeof(longest));
	longest[63] = longest[127] = longest[191] = '.';
	longest[253] = '\0'; /* 255 bytes on the wire */
	cfg.search[0] = longest;
	cfg.nsearch = 1;
	ask_with(&cfg, r.bytes, r.len, DHCP_REPLY_MAX, &a);
	assert_no_option(&a, 119); /* no room in 548 bytes */
	REQUEST(&r, 0, 0, TYPE(1), 57, 2, 0x05, 0xdc, 255);
	ask_with(&cfg, r.bytes, r.len, DHCP_REPLY_MAX, &a);
	assert_non_null(find_option(&a, 119, &len));
	assert_int_equal(len, 255);
	longest[253] = 'a';
	longest[254] = '\0';
	ask_with(&cfg, r.bytes, r.len, DHCP_REPLY_MAX, &a);
	assert_no_option(&a, 119);
	cfg.search[0] = "corp.example.";
	ask_with(&cfg, r.bytes, r.len, DHCP_REPLY_MAX, &a);
	assert_option(&a, 15, "corp.example", 12);
	cfg.nsearch = 0;
	ask_with(&cfg, r.bytes, r.len, DHCP_REPLY_MAX, &a);
	assert_no_option(&a, 119);
	assert_no_option(&a, 15);
}

static void
a_lease_for_ever_has_no_renewal_times(void **state)
{
	struct dhcp_config cfg = config;
	struct request r;
	struct answer a;

	(void)state;
	cfg.lease_s = 0xffffffff;
	REQUEST(&r, 0, 0, TYPE(1), 255);
	ask_with(&cfg, r.bytes, r.len, DHCP_REPLY_MAX, &a);
	assert_option(&a, 51, "\xff\xff\xff\xff", 4);
	assert_no_option(&a, 58);
	assert_no_option(&a, 59);
}

static void
a_buffer_shorter_than_any_reply_is_refused(void **state)
{
	struct request r;
	struct answer a;

	(void)state;
	REQUEST(&r, 0, 0, TYPE(1), 255);
	ask_with(&config, r.bytes, r.len, DHCP_REPLY_MIN - 1, &a);
	assert_silence(&a, DHCP_E_SPACE);
	ask_with(&config, r.bytes, r.len, DHCP_REPLY_MIN, &a);
	assert_lease(&a, DHCP_OFFER);
}

static void
every_error_has_a_name_of_its_own(void **state)
{
	unsigned int i, j;

	(void)state;
	for (i = 0; i < DHCP_NERRORS; i++) {
		for (j = 0; j < i; j++)
			assert_string_not_equal(
			    dhcp_error_name((enum dhcp_error)i),
			    dhcp_error_name((enum dhcp_error)j));
	}
	assert_string_equal(dhcp_error_name(DHCP_NERRORS), "?");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(udhcpc_gets_its_lease),
		cmocka_unit_test(dhclient_gets_its_lease),
		cmocka_unit_test(
		    dhcpcd_with_rapid_commit_is_done_in_two_messages),
		cmocka_unit_test(windows_asks_for_broadcast_and_gets_it),
		cmocka_unit_test(the_mtu_is_told_to_one_who_did_not_ask),
		cmocka_unit_test(
		    a_rebooted_client_gets_its_old_address_or_a_nak),
		cmocka_unit_test(a_renewing_client_is_answered_at_its_address),
		cmocka_unit_test(another_servers_client_is_left_alone),
		cmocka_unit_test(
		    a_request_for_a_wrong_address_of_ours_gets_a_nak),
		cmocka_unit_test(a_request_without_any_address_is_ignored),
		cmocka_unit_test(inform_gets_the_settings_and_no_lease),
		cmocka_unit_test(
		    release_and_decline_are_reported_and_not_answered),
		cmocka_unit_test(what_only_a_server_says_is_not_answered),
		cmocka_unit_test(a_reply_is_no_longer_than_the_client_can_take),
		cmocka_unit_test(
		    a_name_that_is_none_is_left_out_of_the_search_list),
		cmocka_unit_test(a_lease_for_ever_has_no_renewal_times),
		cmocka_unit_test(a_buffer_shorter_than_any_reply_is_refused),
		cmocka_unit_test(every_error_has_a_name_of_its_own),
	};

	return (cmocka_run_group_tests_name("dhcp", tests, NULL, NULL));
}
