#include <netinet/in.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ipc/cursor.h"
#include "netproc/gateway/icmp.h"
#include "netproc/gateway/packet.h"
#include "netproc/link/checksum.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const struct ipc_addr guest4 = { 4, { 0 }, { 100, 96, 0, 2 } },
			     router4 = { 4, { 0 }, { 10, 0, 0, 1 } },
			     peer4 = { 4, { 0 }, { 192, 0, 2, 7 } };
static const struct ipc_addr guest6 = { 6, { 0 }, { 0xfd, [15] = 2 } },
			     router6 = { 6, { 0 }, { 0xfd, [15] = 1 } },
			     peer6 = { 6, { 0 }, { 0x20, 1, [15] = 7 } };

static uint16_t
checksum6(const uint8_t *packet, size_t len)
{
	struct checksum sum;

	checksum_init(&sum);
	checksum_pseudo6(&sum, packet + 8, packet + 24, IPPROTO_ICMPV6,
	    (uint32_t)(len - 40));
	checksum_add(&sum, packet + 40, len - 40);
	return (checksum_finish(&sum));
}

/* An IPv6 packet of the guest with a payload of payload_len bytes. */
static size_t
packet6(uint8_t next, size_t payload_len, uint8_t *out, size_t cap)
{
	struct cursor_out c;

	cursor_out_init(&c, out, cap);
	packet_put_ip6(&c, guest6.bytes, peer6.bytes, next, 64,
	    (uint16_t)payload_len);
	cursor_out_zero(&c, payload_len);
	assert_int_equal(c.error, 0);
	return (c.len);
}

/* From an exact copy into an exact buffer. */
static size_t
build6(enum icmp_error error, const uint8_t *packet, size_t len, uint8_t *out)
{
	uint8_t *in = malloc(len > 0 ? len : 1), *room = malloc(ICMP_ERROR_MAX);
	size_t n;

	assert_non_null(in);
	assert_non_null(room);
	memcpy(in, packet, len);
	n = icmp_build_error(error, 1400, &router6, 1, in, len, room,
	    ICMP_ERROR_MAX);
	assert_true(n <= ICMP_ERROR_MAX);
	memcpy(out, room, n);
	free(in);
	free(room);
	return (n);
}

static void
each_error_has_its_type_and_code_in_both_families(void **state)
{
	static const struct {
		enum icmp_error error;
		uint8_t type, code, type6, code6;
		uint32_t rest;
	} cases[] = {
		{ ICMP_ERR_NET, 3, 0, 1, 0, 0 },
		{ ICMP_ERR_HOST, 3, 1, 1, 3, 0 },
		{ ICMP_ERR_PORT, 3, 3, 1, 4, 0 },
		{ ICMP_ERR_PROHIBITED, 3, 13, 1, 1, 0 },
		{ ICMP_ERR_TOO_BIG, 3, 4, 2, 0, 1400 },
		{ ICMP_ERR_TTL, 11, 0, 3, 0, 0 },
		{ ICMP_ERR_SCOPE, 3, 1, 1, 2, 0 },
	};
	struct icmp_datagram datagram = { .guest_port = 1000,
		.peer_port = 2000,
		.len = 5,
		.proto = IPPROTO_UDP };
	uint8_t out[ICMP_ERROR_MAX];
	struct cursor c;
	size_t i;

	(void)state;
	assert_int_equal(COUNT(cases), ICMP_NERRORS);
	for (i = 0; i < COUNT(cases); i++) {
		datagram.guest = guest4;
		datagram.peer = peer4;
		assert_int_equal(icmp_build_for_datagram(cases[i].error, 1400,
				     &router4, 1, &datagram, out, sizeof(out)),
		    56);
		assert_int_equal(checksum_of(out, 20), 0);
		assert_int_equal(checksum_of(out + 20, 36), 0);
		cursor_init(&c, out + 20, 36);
		assert_int_equal(cursor_u8(&c), cases[i].type);
		assert_int_equal(cursor_u8(&c), cases[i].code);
		cursor_skip(&c, 2);
		assert_int_equal(cursor_be32(&c), cases[i].rest);

		datagram.guest = guest6;
		datagram.peer = peer6;
		assert_int_equal(icmp_build_for_datagram(cases[i].error, 1400,
				     &router6, 1, &datagram, out, sizeof(out)),
		    96);
		assert_int_equal(checksum6(out, 96), 0);
		cursor_init(&c, out + 40, 56);
		assert_int_equal(cursor_u8(&c), cases[i].type6);
		assert_int_equal(cursor_u8(&c), cases[i].code6);
		cursor_skip(&c, 2);
		assert_int_equal(cursor_be32(&c), cases[i].rest);
	}
}

static void
a_datagram_long_gone_is_embedded_as_it_was(void **state)
{
	const struct icmp_datagram datagram = { guest4, peer4, 1000, 2000, 5,
		IPPROTO_UDP };
	uint8_t out[ICMP_ERROR_MAX];
	struct cursor c;

	(void)state;
	assert_int_equal(icmp_build_for_datagram(ICMP_ERR_PORT, 0, &peer4, 1,
			     &datagram, out, sizeof(out)),
	    56);
	assert_memory_equal(out + 12, peer4.bytes, 4); /* who says so */
	assert_memory_equal(out + 16, guest4.bytes, 4);
	cursor_init(&c, out + 28, 28);
	assert_int_equal(checksum_of(out + 28, 20), 0);
	assert_int_equal(cursor_be32(&c), 0x45000000 + 20 + 8 + 5);
	cursor_skip(&c, 5);
	assert_int_equal(cursor_u8(&c), IPPROTO_UDP);
	cursor_skip(&c, 2);
	assert_memory_equal(cursor_bytes(&c, 4), guest4.bytes, 4);
	assert_memory_equal(cursor_bytes(&c, 4), peer4.bytes, 4);
	assert_int_equal(cursor_be16(&c), 1000);
	assert_int_equal(cursor_be16(&c), 2000);
	assert_int_equal(cursor_be16(&c), 13);
	assert_int_equal(cursor_be16(&c), 0);
}

static void
an_echo_request_long_gone_has_its_identifier(void **state)
{
	struct icmp_datagram datagram = { guest4, peer4, 0xabcd, 3, 56,
		IPPROTO_ICMP };
	uint8_t out[ICMP_ERROR_MAX];

	(void)state;
	assert_int_equal(icmp_build_for_datagram(ICMP_ERR_TTL, 0, &router4, 1,
			     &datagram, out, sizeof(out)),
	    56);
	assert_memory_equal(out + 48, "\x08\0\0\0\xab\xcd\0\3", 8);
	datagram.guest = guest6;
	datagram.peer = peer6;
	datagram.proto = IPPROTO_ICMPV6;
	assert_int_equal(icmp_build_for_datagram(ICMP_ERR_TTL, 0, &router6, 1,
			     &datagram, out, sizeof(out)),
	    96);
	assert_memory_equal(out + 88, "\x80\0\0\0\xab\xcd\0\3", 8);
}

static void
families_and_protocols_must_go_together(void **state)
{
	const struct icmp_datagram cases[] = {
		{ guest4, peer6, 1, 2, 0, IPPROTO_UDP },
		{ guest4, peer4, 1, 2, 0, IPPROTO_ICMPV6 },
		{ guest6, peer6, 1, 2, 0, IPPROTO_ICMP },
		{ guest4, peer4, 1, 2, 0, IPPROTO_TCP },
		{ { .family = 0 }, { .family = 0 }, 1, 2, 0, IPPROTO_UDP },
	};
	const struct icmp_datagram good = { guest4, peer4, 1, 2, 0,
		IPPROTO_UDP };
	uint8_t out[ICMP_ERROR_MAX];
	size_t i;

	(void)state;
#define BUILD(datagram, from, cap) \
	icmp_build_for_datagram(ICMP_ERR_NET, 0, from, 1, datagram, out, cap)
	for (i = 0; i < COUNT(cases); i++) {
		assert_int_equal(BUILD(&cases[i], &router4, sizeof(out)), 0);
		assert_int_equal(BUILD(&cases[i], &router6, sizeof(out)), 0);
	}
	assert_int_equal(BUILD(&good, &router6, sizeof(out)), 0);
	assert_int_equal(BUILD(&good, &router4, sizeof(out) - 1), 0);
	assert_int_equal(BUILD(&good, &router4, sizeof(out)), 56);
}

static void
an_error_of_ip6_embeds_what_fits_1280_bytes(void **state)
{
	static const size_t lens[][2] = { { 0, 88 }, { 100, 188 },
		{ 1192, 1280 }, { 1193, 1280 }, { 1960, 1280 } };
	uint8_t packet[2000], out[ICMP_ERROR_MAX];
	size_t i, len;

	(void)state;
	for (i = 0; i < COUNT(lens); i++) {
		len = packet6(IPPROTO_TCP, lens[i][0], packet, sizeof(packet));
		assert_int_equal(build6(ICMP_ERR_TOO_BIG, packet, len, out),
		    lens[i][1]);
		assert_memory_equal(out + 48, packet, lens[i][1] - 48);
		assert_memory_equal(out + 8, router6.bytes, 16);
		assert_memory_equal(out + 24, guest6.bytes, 16);
		assert_int_equal(checksum6(out, lens[i][1]), 0);
	}
}

/* RFC 4443 2.4 (e) */
static void
no_error_of_ip6_is_sent_about_these(void **state)
{
	static const struct {
		const char *what;
		size_t at;
		uint8_t value;
	} cases[] = {
		{ "version 4", 0, 0x40 },
		{ "a multicast source", 8, 0xff },
		{ "a multicast destination", 24, 0xff },
		{ "no source", 8, 0 },
		{ "a later fragment", 6, IPPROTO_FRAGMENT },
		{ "an error", 40, 127 },
		{ "a redirect", 40, 137 },
	};
	uint8_t packet[56], out[ICMP_ERROR_MAX];
	size_t i, len;

	(void)state;
	for (i = 0; i < COUNT(cases); i++) {
		len = packet6(IPPROTO_ICMPV6, 16, packet, sizeof(packet));
		packet[40] = 128;
		packet[43] = 8; /* of a fragment: where it begins */
		packet[23] = 0;
		assert_int_equal(build6(ICMP_ERR_HOST, packet, len, out), 104);
		packet[cases[i].at] = cases[i].value;
		if (build6(ICMP_ERR_HOST, packet, len, out) != 0)
			fail_msg("%s", cases[i].what);
	}
	len = packet6(IPPROTO_UDP, 16, packet, sizeof(packet));
	for (i = 0; i < len; i++)
		assert_int_equal(build6(ICMP_ERR_HOST, packet, i, out),
		    i < 40 ? 0 : 48 + i);
}

static void
the_first_fragment_of_ip6_speaks_for_its_packet(void **state)
{
	static const uint8_t nexts[] = { IPPROTO_TCP, IPPROTO_UDP,
		IPPROTO_ICMPV6 };
	uint8_t packet[64], out[ICMP_ERROR_MAX];
	size_t i, j, len;

	(void)state;
	for (i = 0; i < COUNT(nexts); i++) {
		len = packet6(IPPROTO_FRAGMENT, 24, packet, sizeof(packet));
		packet[40] = nexts[i];
		packet[42] = 0;
		packet[43] = 1; /* more follow */
		packet[48] = 128;
		for (j = 48; j < len; j++)
			assert_int_equal(build6(ICMP_ERR_TTL, packet, j, out),
			    j == 48 && nexts[i] == IPPROTO_ICMPV6 ? 0 : 48 + j);
		assert_int_equal(build6(ICMP_ERR_TTL, packet, 47, out), 0);
	}
	packet[48] = 127;
	assert_int_equal(build6(ICMP_ERR_TTL, packet, len, out), 0);
}

static void
an_echo_reply_gets_the_identifier_the_guest_knows(void **state)
{
	static const uint8_t reply[] = { 0, 0, 0xff, 0xff, 9, 9, 0, 7, 'd' };
	uint8_t message[sizeof(reply)], out[40 + sizeof(reply)];
	size_t len;

	(void)state;
	len = 20 + sizeof(reply);
	assert_int_equal(icmp_build_echo_reply(&peer4, &guest4, 0xabcd, 1,
			     reply, sizeof(reply), out, len),
	    len);
	assert_int_equal(checksum_of(out, 20), 0);
	assert_int_equal(checksum_of(out + 20, sizeof(reply)), 0);
	assert_memory_equal(out + 24, "\xab\xcd\0\7d", 5);
	assert_int_equal(out[6], 0); /* it may be cut */
	assert_memory_equal(out + 12, peer4.bytes, 4);

	memcpy(message, reply, sizeof(reply));
	message[0] = 129;
	memcpy(out + 40, message, sizeof(message));
	assert_int_equal(icmp_build_echo_reply(&peer6, &guest6, 0xabcd, 1,
			     out + 40, sizeof(reply), out, sizeof(out)),
	    sizeof(out));
	assert_int_equal(checksum6(out, sizeof(out)), 0);
	assert_memory_equal(out + 44, "\xab\xcd\0\7d", 5);
}

static void
what_is_no_echo_reply_is_not_passed_off_as_one(void **state)
{
	uint8_t message[65536] = { 0 }, out[65600];

	(void)state;
#define REPLY(src, dst, len, cap) \
	icmp_build_echo_reply(src, dst, 1, 1, message, len, out, cap)
	assert_int_equal(REPLY(&peer4, &guest4, 7, 100), 0);
	assert_int_equal(REPLY(&peer4, &guest4, 8, 27), 0);
	assert_int_equal(REPLY(&peer4, &guest4, 8, 19), 0);
	assert_int_equal(REPLY(&peer4, &guest4, 8, 28), 28);
	assert_int_equal(REPLY(&peer4, &guest6, 8, 100), 0);
	assert_int_equal(REPLY(&peer6, &guest6, 8, 100), 0); /* type 0 */
	assert_int_equal(REPLY(&peer4, &guest4, 65515, sizeof(out)), 65535);
	assert_int_equal(REPLY(&peer4, &guest4, 65516, sizeof(out)), 0);
	message[0] = 129;
	assert_int_equal(REPLY(&peer4, &guest4, 8, 100), 0);
	assert_int_equal(REPLY(&peer6, &guest6, 65535, sizeof(out)), 65575);
	assert_int_equal(REPLY(&peer6, &guest6, 65536, sizeof(out)), 0);
}

/* From an exact copy. */
static int
unreach(int ip6, const uint8_t *message, size_t len, struct icmp_unreach *about)
{
	uint8_t *in = malloc(len > 0 ? len : 1);
	int r;

	assert_non_null(in);
	memcpy(in, message, len);
	r = icmp_parse_unreach(ip6, in, len, about);
	free(in);
	return (r);
}

/* An error about a segment from router to guest; returns its length. */
static size_t
unreach_make(int ip6, uint8_t out[64])
{
	struct cursor_out c;

	cursor_out_init(&c, out, 64);
	cursor_out_be32(&c, ip6 ? 0x01010000 : 0x030a0000);
	cursor_out_be32(&c, 0);
	if (ip6)
		packet_put_ip6(&c, router6.bytes, guest6.bytes, IPPROTO_TCP, 64,
		    20);
	else
		packet_put_ip4(&c, addr_to_ip4(&router4), addr_to_ip4(&guest4),
		    IPPROTO_TCP, 1, 0, 40);
	cursor_out_be16(&c, 49153);
	cursor_out_be16(&c, 80);
	cursor_out_be32(&c, 0x01020304);
	assert_int_equal(c.error, 0);
	return (c.len);
}

static void
an_unreachable_names_the_segment_it_is_about(void **state)
{
	struct icmp_unreach about;
	uint8_t message[64];
	size_t len, n;
	int ip6;

	(void)state;
	for (ip6 = 0; ip6 < 2; ip6++) {
		len = unreach_make(ip6, message);
		assert_int_equal(unreach(ip6, message, len, &about), 0);
		assert_true(addr_equal(&about.src, ip6 ? &router6 : &router4));
		assert_true(addr_equal(&about.dst, ip6 ? &guest6 : &guest4));
		assert_int_equal(about.sport, 49153);
		assert_int_equal(about.dport, 80);
		assert_int_equal(about.seq, 0x01020304);
		for (n = 0; n < len; n++)
			assert_int_equal(unreach(ip6, message, n, &about), -1);
		assert_int_equal(unreach(!ip6, message, len, &about), -1);
	}
}

static void
what_is_no_unreachable_of_a_segment_is_not_taken_for_one(void **state)
{
	static const struct {
		int ip6;
		size_t at;
		uint8_t byte;
	} cases[] = {
		{ 0, 0, 11 },	/* time exceeded */
		{ 0, 1, 4 },	/* fragmentation needed */
		{ 0, 8, 0x55 }, /* IP's version */
		{ 0, 8, 0x44 }, /* a short header */
		{ 0, 15, 1 },	/* a later fragment */
		{ 0, 17, IPPROTO_UDP },
		{ 1, 0, 2 }, /* packet too big */
		{ 1, 8, 0x45 },
		{ 1, 14, IPPROTO_UDP },
	};
	struct icmp_unreach about;
	uint8_t message[64];
	size_t i, len;

	(void)state;
	for (i = 0; i < COUNT(cases); i++) {
		len = unreach_make(cases[i].ip6, message);
		message[cases[i].at] = cases[i].byte;
		assert_int_equal(unreach(cases[i].ip6, message, len, &about),
		    -1);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    each_error_has_its_type_and_code_in_both_families),
		cmocka_unit_test(a_datagram_long_gone_is_embedded_as_it_was),
		cmocka_unit_test(an_echo_request_long_gone_has_its_identifier),
		cmocka_unit_test(families_and_protocols_must_go_together),
		cmocka_unit_test(an_error_of_ip6_embeds_what_fits_1280_bytes),
		cmocka_unit_test(no_error_of_ip6_is_sent_about_these),
		cmocka_unit_test(
		    the_first_fragment_of_ip6_speaks_for_its_packet),
		cmocka_unit_test(
		    an_echo_reply_gets_the_identifier_the_guest_knows),
		cmocka_unit_test(
		    what_is_no_echo_reply_is_not_passed_off_as_one),
		cmocka_unit_test(an_unreachable_names_the_segment_it_is_about),
		cmocka_unit_test(
		    what_is_no_unreachable_of_a_segment_is_not_taken_for_one),
	};

	return (cmocka_run_group_tests_name("icmp_error", tests, NULL, NULL));
}
