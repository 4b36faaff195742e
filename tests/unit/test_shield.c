#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "netproc/link/checksum.h"
#include "netproc/link/shield.h"
#include "tests/unit/shield_cases.h"

static void
fix_ip_checksum(uint8_t *frame)
{
	uint16_t sum;

	frame[IP_SUM] = frame[IP_SUM + 1] = 0;
	sum = checksum_of(frame + IP_FIRST, 20);
	frame[IP_SUM] = (uint8_t)(sum >> 8);
	frame[IP_SUM + 1] = (uint8_t)sum;
}

/* Returns owned, of exactly *len bytes: ASan sees a read of one more. */
static uint8_t *
make_frame(const struct shield_case *sc, size_t *len)
{
	const struct base *base = &bases[sc->base];
	uint8_t *frame = calloc(1, 65600), *exact;
	size_t i;

	assert_non_null(frame);
	memcpy(frame, base->bytes, base->len);
	for (i = 0; i < COUNT(sc->patch); i++)
		memcpy(frame + sc->patch[i].at, sc->patch[i].bytes,
		    sc->patch[i].n);
	if (sc->base != ARP && (sc->flags & KEEP_SUM) == 0)
		fix_ip_checksum(frame);
	*len = sc->len != 0 ? sc->len : base->len;
	exact = malloc(*len);
	assert_non_null(exact);
	memcpy(exact, frame, *len);
	free(frame);
	return (exact);
}

static enum shield_verdict
check(const struct shield_case *sc, const struct shield_config *cfg,
    struct shield_frame *out)
{
	enum shield_verdict verdict;
	uint8_t *frame;
	size_t len;

	frame = make_frame(sc, &len);
	verdict = shield_check(frame, len, cfg, out);
	free(frame);
	return (verdict);
}

static void
each_frame_gets_the_verdict_of_its_one_fault(void **state)
{
	struct shield_frame out;
	enum shield_verdict verdict;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(cases); i++) {
		verdict = check(&cases[i], &config, &out);
		if (verdict != cases[i].verdict)
			fail_msg("%s: %s, not %s", cases[i].what,
			    shield_name(verdict),
			    shield_name(cases[i].verdict));
	}
}

static void
every_verdict_has_a_frame_that_shows_it_and_a_name(void **state)
{
	int seen[SHIELD_NVERDICTS] = { 0 };
	size_t i, j;

	(void)state;
	for (i = 0; i < COUNT(cases); i++)
		seen[cases[i].verdict] = 1;
	for (i = 0; i < COUNT(bases); i++)
		seen[bases[i].verdict] = 1;
	for (i = 0; i < COUNT(ip6_verdicts); i++)
		seen[ip6_verdicts[i]] = 1;
	for (i = 0; i < SHIELD_NVERDICTS; i++) {
		if (!seen[i])
			fail_msg("no frame shows %s",
			    shield_name((enum shield_verdict)i));
		for (j = 0; j < i; j++)
			assert_string_not_equal(
			    shield_name((enum shield_verdict)i),
			    shield_name((enum shield_verdict)j));
	}
	assert_string_equal(shield_name(SHIELD_NVERDICTS), "?");
}

static void
a_drop_tells_nothing_but_the_source_mac(void **state)
{
	static const uint8_t guest[6] = { GUEST_MAC };
	struct shield_frame out, empty;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(cases); i++) {
		if (SHIELD_IS_PASS(check(&cases[i], &config, &out)))
			continue;
		memset(out.src_mac, 0, 6);
		memset(&empty, 0, sizeof(empty));
		assert_memory_equal(&out, &empty, sizeof(out));
	}
	assert_int_equal(check(&(struct shield_case){ .base = UDP,
				   .patch = { { IP_PROTO, 1, { 99 } } } },
			     &config, &out),
	    SHIELD_PROTOCOL);
	assert_memory_equal(out.src_mac, guest, 6);
}

/* Exact buffers: with ASan this is the proof that nothing reads past. */
static void
every_kind_of_frame_cut_at_every_length_is_dropped(void **state)
{
	struct shield_case sc = { 0 };
	struct shield_frame out;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(bases); i++) {
		sc.base = (unsigned int)i;
		for (sc.len = 1; sc.len < bases[i].len; sc.len++) {
			if (SHIELD_IS_PASS(check(&sc, &config, &out)))
				fail_msg("base %zu passes at %zu", i, sc.len);
		}
		assert_int_equal(check(&sc, &config, &out), bases[i].verdict);
	}
	assert_int_equal(shield_check(NULL, 0, &config, &out),
	    SHIELD_SHORT_FRAME);
}

/* The same, with an IP total length that goes along with the cut. */
static void
a_packet_that_says_how_short_it_is_stays_within_its_bytes(void **state)
{
	struct shield_case sc = { 0 };
	struct shield_frame out;
	size_t i;

	(void)state;
	for (i = SYN; i < COUNT(bases); i++) {
		sc.base = (unsigned int)i;
		for (sc.len = 34; sc.len < bases[i].len; sc.len++) {
			sc.patch[0].at = IP_TOTAL;
			sc.patch[0].n = 2;
			sc.patch[0].bytes[1] = (uint8_t)(sc.len - 14);
			if (!SHIELD_IS_PASS(check(&sc, &config, &out)))
				continue;
			assert_int_equal(out.l4_off + out.l4_len, sc.len);
			assert_true(out.payload_off + out.payload_len <=
			    sc.len);
		}
	}
}

static void
every_byte_of_a_syn_may_have_any_value(void **state)
{
	struct shield_case sc = { .base = SYN };
	struct shield_frame out;
	unsigned int value;

	(void)state;
	sc.patch[0].n = 1;
	for (sc.patch[0].at = 0; sc.patch[0].at < sizeof(tcp_syn);
	     sc.patch[0].at++) {
		for (value = 0; value < 256; value++) {
			sc.patch[0].bytes[0] = (uint8_t)value;
			if (!SHIELD_IS_PASS(check(&sc, &config, &out)))
				continue;
			assert_int_equal(out.l3_off, 14);
			assert_true(out.payload_off + out.payload_len <=
			    sizeof(tcp_syn));
		}
	}
}

static void
a_syn_is_described_field_by_field(void **state)
{
	struct shield_case sc = { .base = SYN, .len = sizeof(tcp_syn) + 6 };
	struct shield_frame out;

	(void)state;
	assert_int_equal(check(&sc, &config, &out), SHIELD_TCP);
	assert_memory_equal(out.src_mac, config.guest_mac, 6);
	assert_int_equal(out.group_dst, 0);
	assert_int_equal(out.src_ip, GUEST);
	assert_int_equal(out.dst_ip, 0xc0000207);
	assert_int_equal(out.sport, 40000);
	assert_int_equal(out.dport, 80);
	assert_int_equal(out.tcp_flags, SHIELD_TCP_SYN);
	assert_int_equal(out.tcp_seq, 0x01020304);
	assert_int_equal(out.tcp_ack, 0);
	assert_int_equal(out.tcp_mss, 1460);
	assert_int_equal(out.tcp_header_len, 40);
	assert_int_equal(out.l3_off, 14);
	assert_int_equal(out.l3_len, 60);
	assert_int_equal(out.l4_off, 34);
	assert_int_equal(out.l4_len, 40); /* without the padding */
	assert_int_equal(out.payload_off, 74);
	assert_int_equal(out.payload_len, 0);
}

static void
a_segment_without_the_option_has_the_default_mss(void **state)
{
	struct shield_case sc = { .base = DATA };
	struct shield_frame out;

	(void)state;
	assert_int_equal(check(&sc, &config, &out), SHIELD_TCP);
	assert_int_equal(out.tcp_mss, SHIELD_MSS_DEFAULT);
	assert_int_equal(out.tcp_flags, SHIELD_TCP_ACK | SHIELD_TCP_PSH);
	assert_int_equal(out.tcp_ack, 0x05060708);
	assert_int_equal(out.payload_off, 54);
	assert_int_equal(out.payload_len, 4);
}

static void
a_datagram_ends_where_its_own_length_says(void **state)
{
	struct shield_case sc = { .base = UDP,
		.patch = { { L4 + 4, 2, { 0, 10 } } } };
	struct shield_frame out;

	(void)state;
	assert_int_equal(check(&sc, &config, &out), SHIELD_UDP);
	assert_int_equal(out.l4_len, 10);
	assert_int_equal(out.payload_off, 42);
	assert_int_equal(out.payload_len, 2);
}

static void
arp_tells_sender_and_target(void **state)
{
	struct shield_case sc = { .base = ARP };
	struct shield_frame out;

	(void)state;
	assert_int_equal(check(&sc, &config, &out), SHIELD_ARP);
	assert_int_equal(out.group_dst, 1);
	assert_int_equal(out.src_ip, GUEST);
	assert_int_equal(out.dst_ip, GATEWAY);
}

static void
an_unpinned_guest_may_have_any_mac_but_the_gateways(void **state)
{
	struct shield_case sc = { .base = UDP,
		.patch = { { SRC_MAC, 6, { OTHER_MAC } } } };
	struct shield_case gateway = { .base = UDP,
		.patch = { { SRC_MAC, 6, { GATEWAY_MAC } } } };
	struct shield_config unpinned = config;
	struct shield_frame out;

	(void)state;
	unpinned.guest_mac_known = 0;
	memset(unpinned.guest_mac, 0, 6);
	assert_int_equal(check(&sc, &unpinned, &out), SHIELD_UDP);
	assert_memory_equal(out.src_mac, sc.patch[0].bytes, 6);
	assert_int_equal(check(&gateway, &unpinned, &out), SHIELD_FOREIGN_MAC);
}

static void
without_a_broadcast_address_nothing_is_taken_for_one(void **state)
{
	struct shield_case sc = { .base = SYN,
		.patch = { { IP_DST, 4, { 0x64, 0x60, 0, 3 } } } };
	struct shield_config cfg = config;
	struct shield_frame out;

	(void)state;
	cfg.broadcast_ip = 0;
	assert_int_equal(check(&sc, &cfg, &out), SHIELD_TCP);
}

static void
a_fragment_tells_where_it_belongs(void **state)
{
	struct shield_case sc = { .base = UDP,
		.patch = { { IP_FRAG, 2, { 0x20, 2 } },
		    { IP_TOTAL, 2, { 0, 28 } } } };
	struct shield_frame out;

	(void)state;
	assert_int_equal(check(&sc, &config, &out), SHIELD_FRAGMENT);
	assert_int_equal(out.frag_id, 0x1234);
	assert_int_equal(out.frag_off, 16);
	assert_int_equal(out.frag_more, 1);
	assert_int_equal(out.df, 0);
	assert_int_equal(out.protocol, 17);
	assert_int_equal(out.l4_off, 34);
	assert_int_equal(out.l4_len, 8);
	assert_int_equal(out.to_gateway, 1);
	assert_int_equal(out.sport, 0);
}

static void
an_echo_request_tells_its_identifier_and_what_it_may_cost(void **state)
{
	struct shield_case sc = { .base = ICMP,
		.patch = { { L4 + 4, 2, { 0xab, 0xcd } } } };
	struct shield_frame out;

	(void)state;
	assert_int_equal(check(&sc, &config, &out), SHIELD_ICMP);
	assert_int_equal(out.icmp_type, 8);
	assert_int_equal(out.sport, 0xabcd);
	assert_int_equal(out.ttl, 64);
	assert_int_equal(out.df, 1);
	assert_int_equal(out.version, 4);
	sc.patch[1].at = L4; /* a reply has no port */
	sc.patch[1].n = 1;
	assert_int_equal(check(&sc, &config, &out), SHIELD_ICMP);
	assert_int_equal(out.sport, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_frame_gets_the_verdict_of_its_one_fault),
		cmocka_unit_test(
		    every_verdict_has_a_frame_that_shows_it_and_a_name),
		cmocka_unit_test(a_drop_tells_nothing_but_the_source_mac),
		cmocka_unit_test(
		    every_kind_of_frame_cut_at_every_length_is_dropped),
		cmocka_unit_test(
		    a_packet_that_says_how_short_it_is_stays_within_its_bytes),
		cmocka_unit_test(every_byte_of_a_syn_may_have_any_value),
		cmocka_unit_test(a_syn_is_described_field_by_field),
		cmocka_unit_test(
		    a_segment_without_the_option_has_the_default_mss),
		cmocka_unit_test(a_datagram_ends_where_its_own_length_says),
		cmocka_unit_test(arp_tells_sender_and_target),
		cmocka_unit_test(
		    an_unpinned_guest_may_have_any_mac_but_the_gateways),
		cmocka_unit_test(
		    without_a_broadcast_address_nothing_is_taken_for_one),
		cmocka_unit_test(a_fragment_tells_where_it_belongs),
		cmocka_unit_test(
		    an_echo_request_tells_its_identifier_and_what_it_may_cost),
	};

	return (cmocka_run_group_tests_name("shield", tests, NULL, NULL));
}
