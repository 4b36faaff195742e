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

#define GATEWAY 0x64600001u
#define GUEST	0x64600002u

/* The IP header and 12 bytes of a SYN of the guest's. */
static const uint8_t syn[] = { 0x45, 0, 0, 32, 0x12, 0x34, 0x40, 0, 64, 6, 0, 0,
	100, 96, 0, 2, 192, 0, 2, 7, 0x9c, 0x40, 0, 80, 1, 2, 3, 4, 0, 0, 0,
	0 };

/* From an exact copy into an exact buffer. */
static size_t
build(const uint8_t *packet, size_t len, uint8_t *out, size_t cap)
{
	const struct ipc_addr gateway = addr_from_ip4(GATEWAY);
	uint8_t *in = malloc(len > 0 ? len : 1), *room = malloc(cap);
	size_t n;

	assert_non_null(in);
	assert_non_null(room);
	memcpy(in, packet, len);
	n = icmp_build_error(ICMP_ERR_PROHIBITED, 0, &gateway, 0x4321, in, len,
	    room, cap);
	assert_true(n <= cap);
	memcpy(out, room, n);
	free(in);
	free(room);
	return (n);
}

static void
an_unreachable_embeds_the_header_and_eight_bytes(void **state)
{
	uint8_t out[ICMP_ERROR_MAX];
	struct cursor c;

	(void)state;
	assert_int_equal(build(syn, sizeof(syn), out, sizeof(out)), 56);
	assert_int_equal(checksum_of(out, 20), 0);
	assert_int_equal(checksum_of(out + 20, 36), 0);
	cursor_init(&c, out, 56);
	assert_int_equal(cursor_be32(&c), 0x45000038);
	assert_int_equal(cursor_be32(&c), 0x43214000);
	assert_int_equal(cursor_be16(&c), 0x4001);
	cursor_skip(&c, 2);
	assert_int_equal(cursor_be32(&c), GATEWAY);
	assert_int_equal(cursor_be32(&c), GUEST);
	assert_int_equal(cursor_be16(&c), 0x030d);
	cursor_skip(&c, 2);
	assert_int_equal(cursor_be32(&c), 0);
	assert_memory_equal(out + 28, syn, 28);
}

static void
a_shorter_packet_is_embedded_whole(void **state)
{
	uint8_t out[ICMP_ERROR_MAX], packet[23];

	(void)state;
	memcpy(packet, syn, sizeof(packet));
	packet[3] = sizeof(packet);
	assert_int_equal(build(packet, sizeof(packet), out, sizeof(out)), 51);
	assert_int_equal(checksum_of(out + 20, 31), 0);
}

static void
options_are_embedded_with_the_header(void **state)
{
	uint8_t out[ICMP_ERROR_MAX], packet[80];

	(void)state;
	memset(packet, 1, sizeof(packet));
	memcpy(packet, syn, 20);
	packet[0] = 0x4f;
	packet[3] = sizeof(packet);
	assert_int_equal(build(packet, sizeof(packet), out, sizeof(out)),
	    20 + 8 + 60 + 8);
	assert_int_equal(build(packet, 59, out, sizeof(out)), 0);
}

static void
no_error_is_sent_about_what_rfc_1122_excludes(void **state)
{
	static const struct {
		const char *what;
		size_t at, n;
		uint8_t bytes[4];
	} cases[] = {
		{ "IPv6", 0, 1, { 0x65 } },
		{ "header of 16 bytes", 0, 1, { 0x44 } },
		{ "header beyond the packet", 0, 1, { 0x4f } },
		{ "total length below the header", 2, 2, { 0, 19 } },
		{ "later fragment", 6, 2, { 0, 1 } },
		{ "zero source", 12, 4, { 0, 0, 0, 0 } },
		{ "multicast source", 12, 1, { 224 } },
		{ "multicast destination", 16, 1, { 224 } },
		{ "the last multicast destination", 16, 1, { 239 } },
		{ "broadcast destination", 16, 4, { 255, 255, 255, 255 } },
		{ "zero destination", 16, 4, { 0, 0, 0, 0 } },
	};
	uint8_t out[ICMP_ERROR_MAX], packet[sizeof(syn)];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		memcpy(packet, syn, sizeof(syn));
		memcpy(packet + cases[i].at, cases[i].bytes, cases[i].n);
		if (build(packet, sizeof(packet), out, sizeof(out)) != 0)
			fail_msg("%s", cases[i].what);
	}
}

static void
an_error_is_sent_about_a_reserved_destination(void **state)
{
	static const uint8_t reserved[][4] = { { 240, 0, 0, 7 },
		{ 255, 255, 255, 254 } };
	uint8_t out[ICMP_ERROR_MAX], packet[sizeof(syn)];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(reserved) / sizeof(reserved[0]); i++) {
		memcpy(packet, syn, sizeof(syn));
		memcpy(packet + 16, reserved[i], 4);
		assert_int_not_equal(build(packet, sizeof(packet), out,
					 sizeof(out)),
		    0);
	}
}

static void
an_icmp_error_is_not_answered_but_a_ping_is(void **state)
{
	uint8_t out[ICMP_ERROR_MAX], packet[sizeof(syn)];
	unsigned int type, answered = 0;

	(void)state;
	memcpy(packet, syn, sizeof(syn));
	packet[9] = 1;
	for (type = 0; type < 256; type++) {
		packet[20] = (uint8_t)type;
		if (build(packet, sizeof(packet), out, sizeof(out)) != 0)
			answered++;
		else
			assert_int_not_equal(type, 8);
	}
	assert_int_equal(answered, 4); /* the four queries */
	packet[3] = 20;
	assert_int_equal(build(packet, 20, out, sizeof(out)), 0);
}

static void
every_cut_and_every_short_buffer_is_safe(void **state)
{
	uint8_t out[ICMP_ERROR_MAX];
	size_t len, cap;

	(void)state;
	for (len = 0; len < 20; len++)
		assert_int_equal(build(syn, len, out, sizeof(out)), 0);
	for (; len <= sizeof(syn); len++)
		assert_true(build(syn, len, out, sizeof(out)) > 0);
	for (cap = 1; cap < ICMP_ERROR_MAX; cap++)
		assert_int_equal(build(syn, sizeof(syn), out, cap), 0);
}

/* The datagrams of the gateway: DHCP and DNS. */
static const struct packet_udp udp = {
	.src_mac = { 2, 0, 0, 0, 0, 1 },
	.dst_mac = { 2, 0, 0, 0, 0, 2 },
	.src_ip = GATEWAY,
	.dst_ip = GUEST,
	.sport = 53,
	.dport = 40000,
	.ip_id = 7,
};

static uint16_t
udp_sum(const uint8_t *frame, size_t len)
{
	struct checksum sum;

	checksum_init(&sum);
	checksum_pseudo4(&sum, GATEWAY, GUEST, 17, (uint16_t)(len - 34));
	checksum_add(&sum, frame + 34, len - 34);
	return (checksum_finish(&sum));
}

static void
a_datagram_has_all_its_headers_and_right_checksums(void **state)
{
	static const uint8_t head[] = { 2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8,
		0, 0x45, 0, 0, 33, 0, 7, 0x40, 0, 64, 17 };
	uint8_t frame[47];

	(void)state;
	assert_int_equal(packet_build_udp(&udp, (const uint8_t *)"hello", 5,
			     frame, sizeof(frame)),
	    47);
	assert_memory_equal(frame, head, sizeof(head));
	assert_int_equal(checksum_of(frame + 14, 20), 0);
	assert_memory_equal(frame + 34, "\0\65\x9c\x40\0\15", 6);
	assert_int_equal(udp_sum(frame, sizeof(frame)), 0);
	assert_memory_equal(frame + 42, "hello", 5);
}

static void
a_checksum_of_zero_is_sent_as_all_ones(void **state)
{
	uint8_t frame[44], payload[2] = { 0, 0 };
	unsigned int value;
	int found = 0;

	(void)state;
	for (value = 0; value < 0x10000; value++) {
		payload[0] = (uint8_t)(value >> 8);
		payload[1] = (uint8_t)value;
		assert_int_equal(packet_build_udp(&udp, payload, 2, frame,
				     sizeof(frame)),
		    44);
		assert_false(frame[40] == 0 && frame[41] == 0);
		found |= frame[40] == 0xff && frame[41] == 0xff;
	}
	assert_true(found);
}

static void
a_payload_may_stand_in_its_place_already(void **state)
{
	uint8_t frame[PACKET_UDP_HEADROOM + 5];

	(void)state;
	memcpy(frame + PACKET_UDP_HEADROOM, "there", 5);
	assert_int_equal(packet_build_udp(&udp, frame + PACKET_UDP_HEADROOM, 5,
			     frame, sizeof(frame)),
	    sizeof(frame));
	assert_memory_equal(frame + PACKET_UDP_HEADROOM, "there", 5);
}

static void
a_datagram_that_does_not_fit_is_not_built(void **state)
{
	const size_t most = 65535 - 28;
	uint8_t *payload = calloc(1, most + 1);
	uint8_t *frame = calloc(1, PACKET_UDP_HEADROOM + most + 1);

	(void)state;
	assert_non_null(payload);
	assert_non_null(frame);
	assert_int_equal(packet_build_udp(&udp, payload, 0, frame, 41), 0);
	assert_int_equal(packet_build_udp(&udp, payload, 0, frame, 42), 42);
	assert_int_equal(packet_build_udp(&udp, payload, 9, frame, 50), 0);
	assert_int_equal(packet_build_udp(&udp, payload, most, frame,
			     PACKET_UDP_HEADROOM + most),
	    PACKET_UDP_HEADROOM + most);
	assert_int_equal(packet_build_udp(&udp, payload, most + 1, frame,
			     PACKET_UDP_HEADROOM + most + 1),
	    0);
	free(payload);
	free(frame);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    an_unreachable_embeds_the_header_and_eight_bytes),
		cmocka_unit_test(a_shorter_packet_is_embedded_whole),
		cmocka_unit_test(options_are_embedded_with_the_header),
		cmocka_unit_test(no_error_is_sent_about_what_rfc_1122_excludes),
		cmocka_unit_test(an_error_is_sent_about_a_reserved_destination),
		cmocka_unit_test(an_icmp_error_is_not_answered_but_a_ping_is),
		cmocka_unit_test(every_cut_and_every_short_buffer_is_safe),
		cmocka_unit_test(
		    a_datagram_has_all_its_headers_and_right_checksums),
		cmocka_unit_test(a_checksum_of_zero_is_sent_as_all_ones),
		cmocka_unit_test(a_payload_may_stand_in_its_place_already),
		cmocka_unit_test(a_datagram_that_does_not_fit_is_not_built),
	};

	return (cmocka_run_group_tests_name("icmp", tests, NULL, NULL));
}
