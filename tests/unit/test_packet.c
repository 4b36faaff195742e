#include <netinet/in.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ipc/cursor.h"
#include "netproc/gateway/packet.h"
#include "netproc/link/checksum.h"

static const struct packet_udp udp4 = {
	.src_mac = { 2, 0, 0, 0, 0, 1 },
	.dst_mac = { 2, 0, 0, 0, 0, 2 },
	.src_ip = 0x64600001,
	.dst_ip = 0x64600002,
	.sport = 53,
	.dport = 40000,
	.ip_id = 7,
};

static const struct packet_udp6 udp6 = {
	.src_mac = { 2, 0, 0, 0, 0, 1 },
	.dst_mac = { 2, 0, 0, 0, 0, 2 },
	.src_ip6 = { 0xfd, [15] = 1 },
	.dst_ip6 = { 0xfd, [15] = 2 },
	.sport = 53,
	.dport = 40000,
};

static uint16_t
udp6_checksum(const uint8_t *frame, size_t udp_len)
{
	struct checksum sum;

	checksum_init(&sum);
	checksum_pseudo6(&sum, frame + 22, frame + 38, IPPROTO_UDP,
	    (uint32_t)udp_len);
	checksum_add(&sum, frame + 54, udp_len);
	return (checksum_finish(&sum));
}

static void
a_datagram_over_ip6_has_its_checksum(void **state)
{
	uint8_t frame[PACKET_UDP6_HEADROOM + 5];
	struct cursor c;

	(void)state;
	assert_int_equal(packet_build_udp6(&udp6, (const uint8_t *)"hello", 5,
			     frame, sizeof(frame)),
	    sizeof(frame));
	cursor_init(&c, frame, sizeof(frame));
	assert_memory_equal(cursor_bytes(&c, 6), udp6.dst_mac, 6);
	assert_memory_equal(cursor_bytes(&c, 6), udp6.src_mac, 6);
	assert_int_equal(cursor_be16(&c), 0x86dd);
	assert_int_equal(cursor_be32(&c), 0x60000000);
	assert_int_equal(cursor_be16(&c), 13);
	assert_int_equal(cursor_be16(&c), 17 << 8 | 64);
	assert_memory_equal(cursor_bytes(&c, 16), udp6.src_ip6, 16);
	assert_memory_equal(cursor_bytes(&c, 16), udp6.dst_ip6, 16);
	assert_int_equal(cursor_be16(&c), 53);
	assert_int_equal(cursor_be16(&c), 40000);
	assert_int_equal(cursor_be16(&c), 13);
	assert_int_equal(udp6_checksum(frame, 13), 0);
	assert_memory_equal(frame + PACKET_UDP6_HEADROOM, "hello", 5);
}

static void
a_checksum_of_zero_is_sent_as_all_ones(void **state)
{
	uint8_t frame[PACKET_UDP6_HEADROOM + 2], payload[2] = { 0, 0 };
	uint16_t first;

	(void)state;
	packet_build_udp6(&udp6, payload, 2, frame, sizeof(frame));
	first = (uint16_t)(frame[60] << 8 | frame[61]);
	payload[0] = (uint8_t)(first >> 8);
	payload[1] = (uint8_t)first;
	packet_build_udp6(&udp6, payload, 2, frame, sizeof(frame));
	assert_int_equal(frame[60] << 8 | frame[61], 0xffff);
}

static void
a_payload_may_be_in_its_place_already(void **state)
{
	uint8_t frame[PACKET_UDP6_HEADROOM + 5];

	(void)state;
	memcpy(frame + PACKET_UDP6_HEADROOM, "hello", 5);
	assert_int_equal(packet_build_udp6(&udp6, frame + PACKET_UDP6_HEADROOM,
			     5, frame, sizeof(frame)),
	    sizeof(frame));
	assert_memory_equal(frame + PACKET_UDP6_HEADROOM, "hello", 5);
	assert_int_equal(udp6_checksum(frame, 13), 0);
}

static void
an_empty_datagram_is_one(void **state)
{
	uint8_t frame[PACKET_UDP6_HEADROOM];

	(void)state;
	assert_int_equal(packet_build_udp6(&udp6, NULL, 0, frame,
			     sizeof(frame)),
	    sizeof(frame));
	assert_int_equal(udp6_checksum(frame, 8), 0);
}

static void
each_version_has_its_longest_datagram(void **state)
{
	const size_t cap = PACKET_UDP6_HEADROOM + 65528;
	uint8_t *frame = malloc(cap), *payload = calloc(1, 65528);

	(void)state;
	assert_non_null(frame);
	assert_non_null(payload);
	assert_int_equal(packet_build_udp6(&udp6, payload, 65527, frame, cap),
	    PACKET_UDP6_HEADROOM + 65527);
	assert_int_equal(packet_build_udp6(&udp6, payload, 65528, frame, cap),
	    0);
	assert_int_equal(packet_build_udp(&udp4, payload, 65507, frame, cap),
	    PACKET_UDP_HEADROOM + 65507);
	assert_int_equal(packet_build_udp(&udp4, payload, 65508, frame, cap),
	    0);
	free(frame);
	free(payload);
}

static void
a_frame_that_does_not_fit_is_not_begun(void **state)
{
	uint8_t *frame, payload[5] = { 0 };
	size_t cap;

	(void)state;
	for (cap = 0; cap < PACKET_UDP6_HEADROOM + 5; cap++) {
		frame = malloc(cap > 0 ? cap : 1);
		assert_non_null(frame);
		assert_int_equal(packet_build_udp6(&udp6, payload, 5, frame,
				     cap),
		    0);
		if (cap < PACKET_UDP_HEADROOM + 5)
			assert_int_equal(packet_build_udp(&udp4, payload, 5,
					     frame, cap),
			    0);
		free(frame);
	}
}

static void
df_is_set_unless_the_packet_may_be_cut(void **state)
{
	struct packet_udp udp = udp4;
	uint8_t frame[PACKET_UDP_HEADROOM];

	(void)state;
	packet_build_udp(&udp, NULL, 0, frame, sizeof(frame));
	assert_int_equal(frame[20] << 8 | frame[21], 0x4000);
	assert_int_equal(checksum_of(frame + 14, 20), 0);
	udp.may_fragment = 1;
	packet_build_udp(&udp, NULL, 0, frame, sizeof(frame));
	assert_int_equal(frame[20] << 8 | frame[21], 0);
	assert_int_equal(checksum_of(frame + 14, 20), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_datagram_over_ip6_has_its_checksum),
		cmocka_unit_test(a_checksum_of_zero_is_sent_as_all_ones),
		cmocka_unit_test(a_payload_may_be_in_its_place_already),
		cmocka_unit_test(an_empty_datagram_is_one),
		cmocka_unit_test(each_version_has_its_longest_datagram),
		cmocka_unit_test(a_frame_that_does_not_fit_is_not_begun),
		cmocka_unit_test(df_is_set_unless_the_packet_may_be_cut),
	};

	return (cmocka_run_group_tests_name("packet", tests, NULL, NULL));
}
