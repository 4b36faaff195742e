#include <netinet/in.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "ipc/cursor.h"
#include "netproc/gateway/ra.h"
#include "netproc/link/checksum.h"

#define LABEL60 "a23456789.b23456789.c23456789.d23456789.e23456789.f23456789"
#define NAME240 LABEL60 "." LABEL60 "." LABEL60 "." LABEL60

static const struct ra_config config = {
	.gateway_mac = { 2, 0x53, 0x4d, 0, 0, 1 },
	.gateway_ll6 = { 0xfe, 0x80, [9] = 0x53, 0x4d, 0xff, 0xfe, [15] = 1 },
	.gateway_ip6 = { 0xfd, 0x53, [15] = 1 },
	.prefix6 = { 0xfd, 0x53, [15] = 1 },
	.prefix_len6 = 64,
	.mtu = 1500,
	.router_lifetime_s = 1800,
	.valid_s = 3600,
	.nsearch = 2,
	.search = { "example.org", "a.b" },
};

static const uint8_t guest_mac[6] = { 2, 0x53, 0x4d, 0, 0, 2 };
static const uint8_t guest_ll6[16] = { 0xfe, 0x80, [15] = 2 };

/* Ethernet and IPv6 of a frame; the cursor stands on the ICMPv6 type. */
static struct cursor
open_frame_from(const uint8_t src_ip6[16], const uint8_t *frame, size_t len,
    const char *dst_mac, const uint8_t dst_ip6[16])
{
	struct checksum sum;
	struct cursor c;

	cursor_init(&c, frame, len);
	assert_memory_equal(cursor_bytes(&c, 6), dst_mac, 6);
	assert_memory_equal(cursor_bytes(&c, 6), config.gateway_mac, 6);
	assert_int_equal(cursor_be16(&c), 0x86dd);
	assert_int_equal(cursor_be32(&c), 0x60000000);
	assert_int_equal(cursor_be16(&c), len - 54);
	assert_int_equal(cursor_be16(&c), 58 << 8 | 255);
	assert_memory_equal(cursor_bytes(&c, 16), src_ip6, 16);
	assert_memory_equal(cursor_bytes(&c, 16), dst_ip6, 16);
	checksum_init(&sum);
	checksum_pseudo6(&sum, frame + 22, frame + 38, IPPROTO_ICMPV6,
	    (uint32_t)(len - 54));
	checksum_add(&sum, frame + 54, len - 54);
	assert_int_equal(checksum_finish(&sum), 0);
	return (c);
}

static struct cursor
open_frame(const uint8_t *frame, size_t len, const char *dst_mac,
    const uint8_t dst_ip6[16])
{
	return (open_frame_from(config.gateway_ll6, frame, len, dst_mac,
	    dst_ip6));
}

static const uint8_t all_nodes[16] = { 0xff, 2, [15] = 1 };
#define ALL_NODES_MAC "\x33\x33\0\0\0\1"
#define GUEST_MAC     ((const char *)guest_mac)

static void
a_mac_makes_a_link_local_address(void **state)
{
	uint8_t ll6[16];

	(void)state;
	ra_link_local(config.gateway_mac, ll6);
	assert_memory_equal(ll6, config.gateway_ll6, 16);
}

static void
check_ra(struct cursor c, uint16_t lifetime_s, uint32_t preferred_s)
{
	static const uint8_t prefix[16] = { 0xfd, 0x53 };
	static const uint8_t names[] = "\7example\3org\0\1a\1b\0";

	assert_int_equal(cursor_be16(&c), 134 << 8);
	cursor_skip(&c, 2);
	assert_int_equal(cursor_be16(&c), 64 << 8 | 0xc0);
	assert_int_equal(cursor_be16(&c), lifetime_s);
	assert_int_equal(cursor_be32(&c), 0);
	assert_int_equal(cursor_be32(&c), 0);
	assert_int_equal(cursor_be16(&c), 0x0101);
	assert_memory_equal(cursor_bytes(&c, 6), config.gateway_mac, 6);
	assert_int_equal(cursor_be32(&c), 0x05010000);
	assert_int_equal(cursor_be32(&c), 1500);
	assert_int_equal(cursor_be32(&c), 0x030440c0);
	assert_int_equal(cursor_be32(&c), 3600);
	assert_int_equal(cursor_be32(&c), preferred_s);
	assert_int_equal(cursor_be32(&c), 0);
	assert_memory_equal(cursor_bytes(&c, 16), prefix, 16);
	assert_int_equal(cursor_be32(&c), 0x19030000);
	assert_int_equal(cursor_be32(&c), lifetime_s);
	assert_memory_equal(cursor_bytes(&c, 16), config.gateway_ip6, 16);
	assert_int_equal(cursor_be32(&c), 0x1f040000);
	assert_int_equal(cursor_be32(&c), lifetime_s);
	assert_memory_equal(cursor_bytes(&c, 18), names, 18);
	assert_int_equal(c.left, 6); /* padding */
	while (c.left > 0)
		assert_int_equal(cursor_u8(&c), 0);
	assert_int_equal(c.error, 0);
}

static void
a_router_advertisement_says_all_that_a_guest_needs(void **state)
{
	uint8_t frame[RA_FRAME_MAX];
	size_t len;

	(void)state;
	len = ra_build(&config, NULL, NULL, 0, frame, sizeof(frame));
	check_ra(open_frame(frame, len, ALL_NODES_MAC, all_nodes), 1800, 3600);
	len = ra_build(&config, guest_mac, guest_ll6, 0, frame, sizeof(frame));
	check_ra(open_frame(frame, len, GUEST_MAC, guest_ll6), 1800, 3600);
}

static void
a_withdrawal_leaves_no_router_and_no_preferred_address(void **state)
{
	uint8_t frame[RA_FRAME_MAX];
	size_t len;

	(void)state;
	len = ra_build(&config, NULL, NULL, 1, frame, sizeof(frame));
	check_ra(open_frame(frame, len, ALL_NODES_MAC, all_nodes), 0, 0);
}

static void
a_prefix_that_is_no_64_is_not_for_autoconfiguration(void **state)
{
	struct ra_config cfg = config;
	uint8_t frame[RA_FRAME_MAX];

	(void)state;
	cfg.prefix_len6 = 12;
	assert_int_not_equal(ra_build(&cfg, NULL, NULL, 0, frame,
				 sizeof(frame)),
	    0);
	assert_int_equal(frame[88], 12);
	assert_int_equal(frame[89], 0x80);
	assert_memory_equal(frame + 102, "\xfd\x50\0\0", 4);
}

static void
domains_that_do_not_fit_are_left_out(void **state)
{
	uint8_t frame[RA_FRAME_MAX], *exact;
	struct ra_config cfg = config;
	size_t i, len, least;

	(void)state;
	cfg.nsearch = RA_SEARCH_LIST;
	for (i = 0; i < RA_SEARCH_LIST; i++)
		cfg.search[i] = NAME240;
	len = ra_build(&cfg, NULL, NULL, 0, frame, sizeof(frame));
	assert_true(len <= RA_FRAME_MAX && len > RA_FRAME_MAX - 260);
	(void)open_frame(frame, len, ALL_NODES_MAC, all_nodes);
	assert_int_equal(frame[142], 31);
	assert_int_equal(142 + 8 * frame[143], len);

	cfg.nsearch = 0;
	least = ra_build(&cfg, NULL, NULL, 0, frame, sizeof(frame));
	assert_int_equal(least, 142);
	cfg.nsearch = RA_SEARCH_LIST;
	for (i = 0; i < RA_FRAME_MAX; i++) {
		exact = malloc(i > 0 ? i : 1);
		assert_non_null(exact);
		len = ra_build(&cfg, NULL, NULL, 0, exact, i);
		assert_true(i < least ? len == 0 : len >= least && len <= i);
		free(exact);
	}
}

static void
an_answer_to_a_solicitation_is_solicited(void **state)
{
	uint8_t frame[RA_ND_MAX];
	struct cursor c;
	size_t len;

	(void)state;
	len = ra_build_na(&config, config.gateway_ip6, guest_mac, guest_ll6,
	    frame, sizeof(frame));
	assert_int_equal(len, RA_ND_MAX);
	c = open_frame_from(config.gateway_ip6, frame, len, GUEST_MAC,
	    guest_ll6);
	assert_int_equal(cursor_be16(&c), 136 << 8);
	cursor_skip(&c, 2);
	assert_int_equal(cursor_be32(&c), 0xe0000000);
	assert_memory_equal(cursor_bytes(&c, 16), config.gateway_ip6, 16);
	assert_int_equal(cursor_be16(&c), 0x0201);
	assert_memory_equal(cursor_bytes(&c, 6), config.gateway_mac, 6);
	assert_int_equal(c.left, 0);
}

static void
an_announcement_goes_to_all_and_is_not_solicited(void **state)
{
	static const uint8_t unspecified[16];
	uint8_t frame[RA_ND_MAX];
	size_t len;

	(void)state;
	len = ra_build_na(&config, config.gateway_ip6, NULL, NULL, frame,
	    sizeof(frame));
	(void)open_frame_from(config.gateway_ip6, frame, len, ALL_NODES_MAC,
	    all_nodes);
	assert_int_equal(frame[58], 0xa0);
	len = ra_build_na(&config, config.gateway_ip6, guest_mac, unspecified,
	    frame, sizeof(frame));
	(void)open_frame_from(config.gateway_ip6, frame, len, ALL_NODES_MAC,
	    all_nodes);
	assert_int_equal(frame[58], 0xa0);
	assert_int_equal(ra_build_na(&config, config.gateway_ip6, NULL, NULL,
			     frame, RA_ND_MAX - 1),
	    0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_mac_makes_a_link_local_address),
		cmocka_unit_test(
		    a_router_advertisement_says_all_that_a_guest_needs),
		cmocka_unit_test(
		    a_withdrawal_leaves_no_router_and_no_preferred_address),
		cmocka_unit_test(
		    a_prefix_that_is_no_64_is_not_for_autoconfiguration),
		cmocka_unit_test(domains_that_do_not_fit_are_left_out),
		cmocka_unit_test(an_answer_to_a_solicitation_is_solicited),
		cmocka_unit_test(
		    an_announcement_goes_to_all_and_is_not_solicited),
	};

	return (cmocka_run_group_tests_name("ra", tests, NULL, NULL));
}
