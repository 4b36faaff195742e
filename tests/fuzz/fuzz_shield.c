/*
 * Input: a byte of choices, then a frame.  The choices make the checks pass
 * that a fuzzer cannot guess, so that it gets to those behind them.
 */

#include <string.h>

#include "netproc/gateway/icmp.h"
#include "netproc/link/checksum.h"
#include "netproc/link/shield.h"
#include "tests/fuzz/fuzz.h"

#define MAC_UNKNOWN  0x01
#define FIX_MACS     0x02
#define FIX_CHECKSUM 0x04
#define FIX_SOURCE   0x08
#define FIX_LENGTH   0x10
#define NO_BROADCAST 0x20
#define SMALL_MTU    0x40

const char fuzz_name[] = "shield";

static const struct shield_config config = {
	.guest_mac = { 2, 0x53, 0x4d, 0, 0, 2 },
	.gateway_mac = { 2, 0x53, 0x4d, 0, 0, 1 },
	.guest_mac_known = 1,
	.guest_ip = 0x64600002,
	.gateway_ip = 0x64600001,
	.broadcast_ip = 0x64600003,
	.mtu = 65520,
};

static void
fix(uint8_t choices, uint8_t *frame, size_t len)
{
	uint16_t sum;

	if ((choices & FIX_MACS) != 0 && len >= 12) {
		memcpy(frame, config.gateway_mac, 6);
		memcpy(frame + 6, config.guest_mac, 6);
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

static void
check_pass(enum shield_verdict verdict, const uint8_t *frame, size_t len,
    const struct shield_frame *sf)
{
	uint8_t icmp[ICMP_UNREACH_MAX];
	size_t n;

	FUZZ_CHECK((frame[6] & 1) == 0);
	FUZZ_CHECK(memcmp(frame + 6, config.gateway_mac, 6) != 0);
	FUZZ_CHECK(sf->l3_off == 14 && sf->l3_len <= len - 14);
	FUZZ_CHECK(sf->src_ip == config.guest_ip || sf->src_ip == 0);
	if (verdict == SHIELD_ARP)
		return;
	FUZZ_CHECK(frame[14] == 0x45 && checksum_of(frame + 14, 20) == 0);
	FUZZ_CHECK(sf->l4_off == 34);
	FUZZ_CHECK(sf->l4_off + sf->l4_len <= sf->l3_off + sf->l3_len);
	FUZZ_CHECK(sf->payload_off > sf->l4_off);
	FUZZ_CHECK(sf->payload_off + sf->payload_len == 34 + sf->l4_len);
	FUZZ_CHECK(sf->src_ip != 0 || verdict == SHIELD_DHCP);
	if (verdict == SHIELD_TCP)
		check_tcp(frame + 34, sf);
	n = icmp_build_unreachable(config.gateway_ip, 1, 0, frame + 14,
	    sf->l3_len, icmp, sizeof(icmp));
	FUZZ_CHECK(n <= sizeof(icmp));
	FUZZ_CHECK(n == 0 || checksum_of(icmp + 20, n - 20) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct shield_config cfg = config;
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
