#ifndef TESTS_UNIT_DHCP_CLIENT_H
#define TESTS_UNIT_DHCP_CLIENT_H

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

/* A client that says what a test puts into its mouth, and reads the answer. */

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

static inline void
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

static inline void
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
static inline void
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

static inline void
ask(const struct request *r, struct answer *a)
{
	ask_with(&config, r->bytes, r->len, DHCP_REPLY_MAX, a);
}

/* The option's value, and its length in *len; NULL if it is not there. */
static inline const uint8_t *
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

static inline void
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

static inline void
assert_no_option(const struct answer *a, uint8_t code)
{
	size_t len;

	if (find_option(a, code, &len) != NULL)
		fail_msg("option %u is there", code);
}

static inline uint32_t
field_be32(const struct answer *a, size_t at)
{
	struct cursor c;

	cursor_init(&c, a->bytes, a->len);
	cursor_skip(&c, at);
	return (cursor_be32(&c));
}

static inline void
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

static inline void
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
	assert_option(a, 119, "\3eng\7example\3com\0\7example\3net", 30);
}

static inline void
assert_silence(const struct answer *a, enum dhcp_error error)
{
	assert_int_equal(a->len, 0);
	if (a->info.error != error)
		fail_msg("%s, not %s", dhcp_error_name(a->info.error),
		    dhcp_error_name(error));
	assert_int_equal(a->info.reply_type, 0);
}

static inline void
assert_to_guest(const struct answer *a)
{
	assert_memory_equal(a->info.dst_mac, mac, 6);
	assert_int_equal(a->info.dst_ip, GUEST);
}

static inline void
assert_to_all(const struct answer *a)
{
	assert_memory_equal(a->info.dst_mac, all, 6);
	assert_int_equal(a->info.dst_ip, 0xffffffff);
}

#endif
