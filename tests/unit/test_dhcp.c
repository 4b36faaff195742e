#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ipc/cursor.h"
#include "netproc/gateway/dhcp.h"
#include "netproc/gateway/dhcp_message.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#define GUEST	0x64600002u /* 100.96.0.2 */
#define GATEWAY 0x64600001u
#define OTHER	0xc0a80107u /* 192.168.1.7 */
#define XID	0xdecafbadu

#define REQUESTED_GUEST 50, 4, 100, 96, 0, 2
#define REQUESTED_OTHER 50, 4, 192, 168, 1, 7
#define SERVER_GATEWAY	54, 4, 100, 96, 0, 1
#define SERVER_OTHER	54, 4, 192, 168, 1, 1
#define TYPE(n)		53, 1, (n)

static const uint8_t mac[6] = { 0x02, 0x53, 0x4d, 0, 0, 2 };
static const uint8_t all[6] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };

static const struct dhcp_config config = {
	.guest_ip = GUEST,
	.gateway_ip = GATEWAY,
	.prefix_len = 30,
	.mtu = 1500,
	.lease_s = 86400,
	.nsearch = 2,
	.search = { "eng.example.com", "example.net." },
};

/* A request under construction; options follow the fixed part. */
struct request {
	uint8_t bytes[1500];
	size_t len;
};

static void
request_begin(struct request *r, uint16_t flags, uint32_t ciaddr)
{
	struct cursor_out out;

	memset(r, 0, sizeof(*r));
	cursor_out_init(&out, r->bytes, sizeof(r->bytes));
	cursor_out_be32(&out, 0x01010600);
	cursor_out_be32(&out, XID);
	cursor_out_be16(&out, 3); /* secs */
	cursor_out_be16(&out, flags);
	cursor_out_be32(&out, ciaddr);
	cursor_out_zero(&out, 12);
	cursor_out_bytes(&out, mac, 6);
	cursor_out_zero(&out, 10 + 64 + 128);
	cursor_out_be32(&out, DHCP_COOKIE);
	r->len = out.len;
	assert_int_equal(r->len, 240);
}

static void
request_add(struct request *r, const uint8_t *options, size_t len)
{
	memcpy(r->bytes + r->len, options, len);
	r->len += len;
}

#define REQUEST(r, flags, ciaddr, ...) \
	do { \
		static const uint8_t options_[] = { __VA_ARGS__ }; \
		request_begin((r), (flags), (ciaddr)); \
		request_add((r), options_, sizeof(options_)); \
	} while (0)

struct answer {
	uint8_t bytes[DHCP_REPLY_MAX];
	size_t len;
	struct dhcp_info info;
};

/* From an exact copy: ASan sees a read of one byte more. */
static void
ask_with(const struct dhcp_config *cfg, const uint8_t *bytes, size_t len,
    size_t cap, struct answer *a)
{
	uint8_t *exact = malloc(len > 0 ? len : 1), *reply = malloc(cap);

	assert_non_null(exact);
	assert_non_null(reply);
	memcpy(exact, bytes, len);
	memset(a, 0, sizeof(*a));
	a->len = dhcp_answer(cfg, exact, len, mac, reply, cap, &a->info);
	assert_true(a->len <= cap);
	memcpy(a->bytes, reply, a->len);
	free(exact);
	free(reply);
}

static void
ask(const struct request *r, struct answer *a)
{
	ask_with(&config, r->bytes, r->len, DHCP_REPLY_MAX, a);
}

/* The option's value, and its length in *len; NULL if it is not there. */
static const uint8_t *
find_option(const struct answer *a, uint8_t code, size_t *len)
{
	size_t at = 240;

	*len = 0;
	while (at < a->len && a->bytes[at] != DHCP_OPT_END) {
		assert_true(at + 2 + a->bytes[at + 1] < a->len);
		if (a->bytes[at] == code) {
			*len = a->bytes[at + 1];
			return (a->bytes + at + 2);
		}
		at += 2u + a->bytes[at + 1];
	}
	assert_true(at < a->len); /* the end option is there */
	return (NULL);
}

static void
assert_option(const struct answer *a, uint8_t code, const void *value,
    size_t want_len)
{
	const uint8_t *found;
	size_t len;

	found = find_option(a, code, &len);
	if (found == NULL)
		fail_msg("option %u is missing", code);
	assert_int_equal(len, want_len);
	assert_memory_equal(found, value, len);
}

static void
assert_no_option(const struct answer *a, uint8_t code)
{
	size_t len;

	if (find_option(a, code, &len) != NULL)
		fail_msg("option %u is there", code);
}

static uint32_t
field_be32(const struct answer *a, size_t at)
{
	struct cursor c;

	cursor_init(&c, a->bytes, a->len);
	cursor_skip(&c, at);
	return (cursor_be32(&c));
}

static void
assert_reply(const struct answer *a, uint8_t type)
{
	if (a->len == 0)
		fail_msg("no reply: %s", dhcp_error_name(a->info.error));
	assert_int_equal(a->info.error, DHCP_E_OK);
	assert_int_equal(a->info.reply_type, type);
	assert_true(a->len >= 300);
	assert_int_equal(field_be32(a, 0), 0x02010600);
	assert_int_equal(field_be32(a, 4), XID);
	assert_int_equal(field_be32(a, 24), 0); /* giaddr */
	assert_memory_equal(a->bytes + 28, mac, 6);
	assert_int_equal(field_be32(a, 236), DHCP_COOKIE);
	assert_option(a, 53, &type, 1);
	assert_option(a, 54, "\x64\x60\0\1", 4);
}

static void
assert_lease(const struct answer *a, uint8_t type)
{
	assert_reply(a, type);
	assert_int_equal(field_be32(a, 16), GUEST); /* yiaddr */
	assert_option(a, 1, "\xff\xff\xff\xfc", 4);
	assert_option(a, 3, "\x64\x60\0\1", 4);
	assert_option(a, 6, "\x64\x60\0\1", 4);
	assert_option(a, 26, "\x05\xdc", 2);
	assert_option(a, 51, "\0\1\x51\x80", 4);
	assert_option(a, 58, "\0\0\xa8\xc0", 4);
	assert_option(a, 59, "\0\1\x27\x50", 4);
	assert_option(a, 15, "eng.example.com", 15);
	assert_option(a, 119,
	    "\3eng\7example\3com\0\7example\3net", 30);
}

static void
assert_silence(const struct answer *a, enum dhcp_error error)
{
	assert_int_equal(a->len, 0);
	if (a->info.error != error)
		fail_msg("%s, not %s", dhcp_error_name(a->info.error),
		    dhcp_error_name(error));
	assert_int_equal(a->info.reply_type, 0);
}

static void
assert_to_guest(const struct answer *a)
{
	assert_memory_equal(a->info.dst_mac, mac, 6);
	assert_int_equal(a->info.dst_ip, GUEST);
}

static void
assert_to_all(const struct answer *a)
{
	assert_memory_equal(a->info.dst_mac, all, 6);
	assert_int_equal(a->info.dst_ip, 0xffffffff);
}

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

	REQUEST(&r, 0, 0, TYPE(3), REQUESTED_GUEST, SERVER_GATEWAY, 57, 2,
	    0x02, 0x40, 55, 4, 1, 3, 6, 12, 255);
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
		{ 244, 3, DHCP_E_OPTIONS },   /* address of 3 bytes */
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
		cmocka_unit_test(
		    a_malformed_message_is_ignored_for_its_own_reason),
		cmocka_unit_test(
		    every_option_that_is_read_must_have_its_length),
		cmocka_unit_test(
		    options_without_an_end_are_read_to_the_end_of_the_datagram),
		cmocka_unit_test(options_overflow_into_file_and_sname),
		cmocka_unit_test(every_message_cut_at_every_length_is_safe),
		cmocka_unit_test(a_reply_is_no_longer_than_the_client_can_take),
		cmocka_unit_test(
		    a_name_that_is_none_is_left_out_of_the_search_list),
		cmocka_unit_test(a_lease_for_ever_has_no_renewal_times),
		cmocka_unit_test(a_buffer_shorter_than_any_reply_is_refused),
		cmocka_unit_test(every_error_has_a_name_of_its_own),
	};

	return (cmocka_run_group_tests_name("dhcp", tests, NULL, NULL));
}
