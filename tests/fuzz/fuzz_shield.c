/*
 * Input: a byte of choices, then a frame.  The choices make the checks pass
 * that a fuzzer cannot guess, so that it gets to those behind them.
 */

#include <netinet/in.h>

#include <string.h>

#include "netproc/gateway/icmp.h"
#include "netproc/link/checksum.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/shield_link.h"

#define MAC_UNKNOWN  0x01
#define FIX_MACS     0x02
#define FIX_CHECKSUM 0x04
#define FIX_SOURCE   0x08
#define FIX_LENGTH   0x10
#define NO_BROADCAST 0x20
#define SMALL_MTU    0x40
#define AS_IP6	     0x80 /* FIX_* and the frame are IPv6 */

const char fuzz_name[] = "shield";

static void
fix6(uint8_t choices, uint8_t *frame, size_t len)
{
	uint16_t sum;

	if (len < 54)
		return;
	memcpy(frame + 12, "\x86\xdd\x60", 3);
	if ((choices & FIX_LENGTH) != 0) {
		frame[18] = (uint8_t)((len - 54) >> 8);
		frame[19] = (uint8_t)(len - 54);
	}
	if ((choices & FIX_SOURCE) != 0) {
		memcpy(frame + 22, fuzz_link.prefix6, 16);
		frame[37] = 2;
	}
	if ((choices & FIX_CHECKSUM) != 0 && frame[20] == IPPROTO_ICMPV6 &&
	    len >= 58) {
		frame[56] = frame[57] = 0;
		sum = fuzz_icmp6_sum(frame, len - 54);
		frame[56] = (uint8_t)(sum >> 8);
		frame[57] = (uint8_t)sum;
	}
}

static void
fix(uint8_t choices, uint8_t *frame, size_t len)
{
	uint16_t sum;

	if ((choices & FIX_MACS) != 0 && len >= 12) {
		memcpy(frame, fuzz_link.gateway_mac, 6);
		memcpy(frame + 6, fuzz_link.guest_mac, 6);
	}
	if ((choices & AS_IP6) != 0) {
		fix6(choices, frame, len);
		return;
	}
	if (len < 34)
		return;
	if ((choices & FIX_LENGTH) != 0) {
		frame[14] = 0x45;
		frame[16] = (uint8_t)((len - 14) >> 8);
		frame[17] = (uint8_t)(len - 14);
	}
	if ((choices & FIX_SOURCE) != 0)
		memcpy(frame + 26, "\x64\x60\0\2", 4);
	if ((choices & FIX_CHECKSUM) != 0) {
		frame[24] = frame[25] = 0;
		sum = checksum_of(frame + 14, 20);
		frame[24] = (uint8_t)(sum >> 8);
		frame[25] = (uint8_t)sum;
	}
}

/* What a second look at the bytes says of a frame that passed. */
static void
check_tcp(const uint8_t *tcp, const struct shield_frame *sf)
{
	size_t at = 20, end = sf->tcp_header_len;

	FUZZ_CHECK(end >= 20 && end <= 60 && end <= sf->l4_len);
	FUZZ_CHECK(end == (size_t)(tcp[12] >> 4) * 4);
	FUZZ_CHECK((tcp[13] & 0x3f) != 0 && tcp[13] == sf->tcp_flags);
	FUZZ_CHECK(sf->sport != 0 && sf->dport != 0);
	FUZZ_CHECK(sf->tcp_mss >= SHIELD_MSS_MIN);
	FUZZ_CHECK(sf->payload_len == sf->l4_len - end);
	while (at < end && tcp[at] != 0) {
		if (tcp[at] == 1) {
			at++;
			continue;
		}
		FUZZ_CHECK(at + 1 < end && tcp[at + 1] >= 2);
		FUZZ_CHECK(tcp[at] != 2 || (tcp[13] & 2) != 0);
		at += tcp[at + 1];
	}
	FUZZ_CHECK(at <= end);
}

/* An error about any packet that passed is itself whole and right. */
static void
check_error(const uint8_t *packet, const struct shield_frame *sf)
{
	const struct ipc_addr from = shield_dst(sf);
	uint8_t *out = malloc(ICMP_ERROR_MAX);
	size_t n, head_len = sf->version == 6 ? 40 : 20;

	if (out == NULL)
		abort();
	n = icmp_build_error(ICMP_ERR_TOO_BIG, 1280, &from, 1, packet,
	    sf->l3_len, out, ICMP_ERROR_MAX);
	FUZZ_CHECK(n <= ICMP_ERROR_MAX);
	if (n > 0) {
		FUZZ_CHECK(n > 2 * head_len + 8);
		FUZZ_CHECK(memcmp(out + head_len + 8, packet,
			       n - head_len - 8) == 0);
	}
	if (n > 0 && sf->version == 4) {
		FUZZ_CHECK(checksum_of(out, 20) == 0);
		FUZZ_CHECK(checksum_of(out + 20, n - 20) == 0);
	}
	free(out);
}

static void
check_pass6(enum shield_verdict verdict, const uint8_t *frame,
    const struct shield_frame *sf)
{
	const size_t payload_len = (size_t)frame[18] << 8 | frame[19];

	FUZZ_CHECK(frame[14] >> 4 == 6 && sf->l3_len == 40 + payload_len);
	FUZZ_CHECK(memcmp(sf->src6, frame + 22, 16) == 0);
	FUZZ_CHECK(memcmp(sf->dst6, frame + 38, 16) == 0);
	FUZZ_CHECK(frame[22] != 0xff);
	FUZZ_CHECK(memcmp(sf->src6, fuzz_link.gateway_ip6, 16) != 0);
	FUZZ_CHECK(memcmp(sf->src6, fuzz_link.gateway_ll6, 16) != 0);
	FUZZ_CHECK(verdict == SHIELD_ND ||
	    memcmp(sf->src6, fuzz_link.prefix6, 8) == 0 ||
	    (sf->src6[0] == 0xfe && (sf->src6[1] & 0xc0) == 0x80));
	FUZZ_CHECK(verdict == SHIELD_ND || verdict == SHIELD_DHCP6 ||
	    frame[38] != 0xff);
	if (verdict == SHIELD_ND) {
		FUZZ_CHECK(frame[21] == 255 && frame[20] == IPPROTO_ICMPV6);
		FUZZ_CHECK(fuzz_icmp6_sum(frame, payload_len) == 0);
		FUZZ_CHECK(sf->icmp_type != 136 || !sf->nd_for_gateway);
	}
}

static void
check_fragment(const uint8_t *frame, const struct shield_frame *sf)
{
	const uint8_t *field = frame + (sf->version == 6 ? 56 : 20);
	const size_t raw = (size_t)field[0] << 8 | field[1];

	FUZZ_CHECK(sf->l4_len > 0 && sf->frag_off % 8 == 0);
	FUZZ_CHECK(sf->frag_off + sf->l4_len <= 65535);
	FUZZ_CHECK(!sf->frag_more || sf->l4_len % 8 == 0);
	FUZZ_CHECK(sf->frag_off ==
	    (sf->version == 6 ? raw & 0xfff8 : (raw & 0x1fff) * 8));
	FUZZ_CHECK(sf->l4_off + sf->l4_len == 14 + sf->l3_len);
	FUZZ_CHECK(sf->payload_len == 0 && sf->sport == 0);
}

static void
check_pass(enum shield_verdict verdict, const uint8_t *frame, size_t len,
    const struct shield_frame *sf)
{
	FUZZ_CHECK((frame[6] & 1) == 0);
	FUZZ_CHECK(memcmp(frame + 6, fuzz_link.gateway_mac, 6) != 0);
	FUZZ_CHECK(sf->l3_off == 14 && sf->l3_len <= len - 14);
	if (verdict == SHIELD_ARP) {
		FUZZ_CHECK(sf->src_ip == fuzz_link.guest_ip || sf->src_ip == 0);
		return;
	}
	if (sf->version == 6) {
		check_pass6(verdict, frame, sf);
	} else {
		FUZZ_CHECK(frame[14] == 0x45);
		FUZZ_CHECK(checksum_of(frame + 14, 20) == 0);
		FUZZ_CHECK(sf->l4_off == 34);
		FUZZ_CHECK(sf->src_ip == fuzz_link.guest_ip ||
		    (sf->src_ip == 0 && verdict == SHIELD_DHCP));
	}
	check_error(frame + 14, sf);
	if (verdict == SHIELD_FRAGMENT || verdict == SHIELD_FRAGMENT6) {
		check_fragment(frame, sf);
		return;
	}
	FUZZ_CHECK(sf->l4_off + sf->l4_len <= sf->l3_off + sf->l3_len);
	FUZZ_CHECK(sf->payload_off > sf->l4_off);
	FUZZ_CHECK(sf->payload_off + sf->payload_len ==
	    sf->l4_off + sf->l4_len);
	if (verdict == SHIELD_TCP)
		check_tcp(frame + sf->l4_off, sf);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct shield_config cfg = fuzz_link;
	struct shield_frame sf;
	enum shield_verdict verdict;
	uint8_t *frame;

	if (size < 1)
		return (0);
	if ((data[0] & MAC_UNKNOWN) != 0)
		cfg.guest_mac_known = 0;
	if ((data[0] & NO_BROADCAST) != 0)
		cfg.broadcast_ip = 0;
	if ((data[0] & SMALL_MTU) != 0)
		cfg.mtu = 1280;
	size--;
	frame = malloc(size > 0 ? size : 1);
	if (frame == NULL)
		return (0);
	memcpy(frame, data + 1, size);
	fix(data[0], frame, size);
	verdict = shield_check(frame, size, &cfg, &sf);
	FUZZ_CHECK(verdict < SHIELD_NVERDICTS);
	if (SHIELD_IS_PASS(verdict))
		check_pass(verdict, frame, size, &sf);
	else
		FUZZ_CHECK(sf.l3_off == 0 && sf.payload_len == 0);
	free(frame);
	return (0);
}
