#include <netinet/in.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "netproc/link/checksum.h"
#include "netproc/link/shield.h"
#include "tests/unit/shield6_cases.h"

/* As far as the payload length and the bytes go together. */
static void
fix_icmp6_checksum(uint8_t *frame, size_t len)
{
	const size_t n = frame[IP6_PLEN + 1];
	struct checksum sum;
	uint16_t checksum;

	if (frame[IP6_NEXT] != IPPROTO_ICMPV6 || n < 4 || L6 + n > len)
		return;
	frame[L6 + 2] = frame[L6 + 3] = 0;
	checksum_init(&sum);
	checksum_pseudo6(&sum, frame + IP6_SRC, frame + IP6_DST, IPPROTO_ICMPV6,
	    (uint32_t)n);
	checksum_add(&sum, frame + L6, n);
	checksum = checksum_finish(&sum);
	frame[L6 + 2] = (uint8_t)(checksum >> 8);
	frame[L6 + 3] = (uint8_t)checksum;
}

/* In an exact buffer of len bytes, 0: the frame's own length. */
static enum shield_verdict
check_cut(const struct shield_case6 *sc, size_t len,
    const struct shield_config *cfg, struct shield_frame *out)
{
	const struct base *base = &bases6[sc->base];
	enum shield_verdict verdict;
	uint8_t frame[256], *exact;
	size_t i;

	assert_true(base->len <= sizeof(frame));
	memset(frame, 0, sizeof(frame));
	memcpy(frame, base->bytes, base->len);
	for (i = 0; i < COUNT(sc->patch); i++)
		memcpy(frame + sc->patch[i].at, sc->patch[i].bytes,
		    sc->patch[i].n);
	if ((sc->flags & KEEP_SUM) == 0)
		fix_icmp6_checksum(frame, base->len);
	if (len == 0)
		len = base->len;
	exact = malloc(len);
	assert_non_null(exact);
	memcpy(exact, frame, len);
	verdict = shield_check(exact, len, cfg, out);
	free(exact);
	return (verdict);
}

static enum shield_verdict
check(const struct shield_case6 *sc, struct shield_frame *out)
{
	return (check_cut(sc, 0, &config6, out));
}

static void
each_frame_gets_the_verdict_of_its_one_fault(void **state)
{
	struct shield_frame out;
	enum shield_verdict verdict;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(bases6); i++)
		assert_int_equal(
		    check(&(struct shield_case6){ .base = (unsigned int)i },
			&out),
		    bases6[i].verdict);
	for (i = 0; i < COUNT(cases6); i++) {
		verdict = check(&cases6[i], &out);
		if (verdict != cases6[i].verdict)
			fail_msg("%s: %s, not %s", cases6[i].what,
			    shield_name(verdict),
			    shield_name(cases6[i].verdict));
		if (!SHIELD_IS_PASS(verdict))
			assert_int_equal(out.l3_len | out.version, 0);
	}
}

static void
every_verdict_of_ip6_has_a_frame_that_shows_it(void **state)
{
	int seen[SHIELD_NVERDICTS] = { 0 };
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(cases6); i++)
		seen[cases6[i].verdict] = 1;
	for (i = 0; i < COUNT(bases6); i++)
		seen[bases6[i].verdict] = 1;
	for (i = 0; i < COUNT(ip6_verdicts); i++) {
		if (!seen[ip6_verdicts[i]])
			fail_msg("no frame shows %s",
			    shield_name(ip6_verdicts[i]));
	}
}

static void
without_ip6_every_frame_of_it_is_dropped(void **state)
{
	struct shield_config cfg = config6;
	struct shield_case6 sc = { 0 };
	struct shield_frame out;

	(void)state;
	cfg.ip6_enabled = 0;
	for (sc.base = 0; sc.base < COUNT(bases6); sc.base++)
		assert_int_equal(check_cut(&sc, 0, &cfg, &out), SHIELD_IP6);
}

/* Exact buffers: with ASan this is the proof that nothing reads past. */
static void
every_kind_of_frame_cut_at_every_length_is_dropped(void **state)
{
	struct shield_case6 sc = { 0 };
	struct shield_frame out;
	size_t len;

	(void)state;
	for (sc.base = 0; sc.base < COUNT(bases6); sc.base++) {
		for (len = 1; len < bases6[sc.base].len; len++) {
			if (SHIELD_IS_PASS(check_cut(&sc, len, &config6, &out)))
				fail_msg("base %u passes at %zu", sc.base, len);
		}
	}
}

/* The same, with a payload length that goes along with the cut. */
static void
a_packet_that_says_how_short_it_is_stays_within_its_bytes(void **state)
{
	struct shield_case6 sc = { 0 };
	struct shield_frame out;
	size_t len;

	(void)state;
	sc.patch[0].at = IP6_PLEN;
	sc.patch[0].n = 2;
	for (sc.base = 0; sc.base < COUNT(bases6); sc.base++) {
		for (len = L6; len < bases6[sc.base].len; len++) {
			sc.patch[0].bytes[1] = (uint8_t)(len - L6);
			if (!SHIELD_IS_PASS(check_cut(&sc, len, &config6,
				&out)))
				continue;
			assert_true(out.l4_off + out.l4_len <= len);
			assert_true(out.payload_off + out.payload_len <= len);
		}
	}
}

static void
every_byte_of_every_frame_may_have_any_value(void **state)
{
	struct shield_case6 sc = { 0 };
	struct shield_frame out;
	unsigned int value;

	(void)state;
	sc.patch[0].n = 1;
	for (sc.base = 0; sc.base < COUNT(bases6); sc.base++) {
		for (sc.patch[0].at = 0; sc.patch[0].at < bases6[sc.base].len;
		     sc.patch[0].at++) {
			for (value = 0; value < 256; value++) {
				sc.patch[0].bytes[0] = (uint8_t)value;
				(void)check(&sc, &out);
			}
		}
	}
}

static void
a_packet_tells_its_addresses_and_where_things_are(void **state)
{
	static const uint8_t guest[16] = { GUEST6 }, remote[16] = { REMOTE6 };
	struct shield_frame out;
	struct ipc_addr addr;

	(void)state;
	assert_int_equal(check(&(struct shield_case6){ .base = TCP6 }, &out),
	    SHIELD_TCP);
	assert_int_equal(out.version, 6);
	addr = shield_src(&out);
	assert_int_equal(addr.family, 6);
	assert_memory_equal(addr.bytes, guest, 16);
	addr = shield_dst(&out);
	assert_memory_equal(addr.bytes, remote, 16);
	assert_int_equal(out.to_gateway, 0);
	assert_int_equal(out.df, 1);
	assert_int_equal(out.ttl, 64);
	assert_int_equal(out.l3_len, 64);
	assert_int_equal(out.l4_off, L6);
	assert_int_equal(out.l4_len, 24);
	assert_int_equal(out.tcp_mss, 1440);
	assert_int_equal(out.payload_len, 0);
	assert_int_equal(check(&(struct shield_case6){ .base = ECHO6 }, &out),
	    SHIELD_ICMP6);
	assert_int_equal(out.sport, 0xabcd);
	assert_int_equal(out.icmp_type, 128);
}

static void
a_solicitation_tells_whether_the_gateway_is_meant(void **state)
{
	static const uint8_t gateway[16] = { GATEWAY6 };
	struct shield_frame out;

	(void)state;
	assert_int_equal(check(&(struct shield_case6){ .base = NS6 }, &out),
	    SHIELD_ND);
	assert_int_equal(out.nd_for_gateway, 1);
	assert_int_equal(out.icmp_type, 135);
	assert_memory_equal(out.nd_target, gateway, 16);
	assert_int_equal(check(&(struct shield_case6){ .base = DAD6 }, &out),
	    SHIELD_ND);
	assert_int_equal(out.nd_for_gateway, 0);
	assert_int_equal(check(&(struct shield_case6){ .base = NA6 }, &out),
	    SHIELD_ND);
	assert_int_equal(out.nd_for_gateway, 0);
}

static void
a_fragment_tells_where_it_belongs(void **state)
{
	struct shield_frame out;

	(void)state;
	assert_int_equal(check(&(struct shield_case6){ .base = FIRST6 }, &out),
	    SHIELD_FRAGMENT6);
	assert_int_equal(out.frag_id, 0x01020304);
	assert_int_equal(out.frag_off, 0);
	assert_int_equal(out.frag_more, 1);
	assert_int_equal(out.protocol, IPPROTO_UDP);
	assert_int_equal(out.l4_off, L6 + 8);
	assert_int_equal(out.l4_len, 16);
	assert_int_equal(check(&(struct shield_case6){ .base = LAST6 }, &out),
	    SHIELD_FRAGMENT6);
	assert_int_equal(out.frag_off, 16);
	assert_int_equal(out.frag_more, 0);
	assert_int_equal(out.l4_len, 3);
}

static void
a_prefix_may_end_within_a_byte(void **state)
{
	struct shield_case6 sc = { .base = UDP6,
		.patch = { { IP6_SRC + 7, 1, { 0x0f } } } };
	struct shield_config cfg = config6;
	struct shield_frame out;

	(void)state;
	cfg.prefix_len6 = 60;
	assert_int_equal(check_cut(&sc, 0, &cfg, &out), SHIELD_UDP);
	sc.patch[0].bytes[0] = 0x10;
	assert_int_equal(check_cut(&sc, 0, &cfg, &out), SHIELD_FOREIGN_IP);
	cfg.prefix_len6 = 128;
	memcpy(cfg.prefix6 + 15, "\2", 1);
	sc.patch[0].bytes[0] = 0;
	assert_int_equal(check_cut(&sc, 0, &cfg, &out), SHIELD_UDP);
	sc.patch[0].at = IP6_SRC + 15;
	sc.patch[0].bytes[0] = 3;
	assert_int_equal(check_cut(&sc, 0, &cfg, &out), SHIELD_FOREIGN_IP);
}

static void
a_tcp_packet_beyond_what_lwip_counts_is_dropped(void **state)
{
	const size_t len = 14 + 40 + 65535;
	struct shield_config cfg = config6;
	uint8_t *frame = calloc(1, len);
	struct shield_frame out;

	(void)state;
	assert_non_null(frame);
	cfg.mtu = 65535;
	memcpy(frame, tcp6, sizeof(tcp6));
	frame[IP6_PLEN] = frame[IP6_PLEN + 1] = 0xff;
	assert_int_equal(shield_check(frame, len, &cfg, &out),
	    SHIELD_LONG_FRAME);
	memcpy(frame, udp6, sizeof(udp6));
	frame[IP6_PLEN] = frame[IP6_PLEN + 1] = 0xff;
	frame[L6 + 4] = frame[L6 + 5] = 0xff;
	assert_int_equal(shield_check(frame, len, &cfg, &out), SHIELD_UDP);
	assert_int_equal(out.payload_len, 65527);
	free(frame);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_frame_gets_the_verdict_of_its_one_fault),
		cmocka_unit_test(
		    every_verdict_of_ip6_has_a_frame_that_shows_it),
		cmocka_unit_test(without_ip6_every_frame_of_it_is_dropped),
		cmocka_unit_test(
		    every_kind_of_frame_cut_at_every_length_is_dropped),
		cmocka_unit_test(
		    a_packet_that_says_how_short_it_is_stays_within_its_bytes),
		cmocka_unit_test(every_byte_of_every_frame_may_have_any_value),
		cmocka_unit_test(
		    a_packet_tells_its_addresses_and_where_things_are),
		cmocka_unit_test(
		    a_solicitation_tells_whether_the_gateway_is_meant),
		cmocka_unit_test(a_fragment_tells_where_it_belongs),
		cmocka_unit_test(a_prefix_may_end_within_a_byte),
		cmocka_unit_test(
		    a_tcp_packet_beyond_what_lwip_counts_is_dropped),
	};

	return (cmocka_run_group_tests_name("shield6", tests, NULL, NULL));
}
