#include <netinet/in.h>

#include "netproc/link/checksum.h"
#include "tests/fuzz/shield_link.h"

const struct shield_config fuzz_link = {
	.guest_mac = { 2, 0x53, 0x4d, 0, 0, 2 },
	.gateway_mac = { 2, 0x53, 0x4d, 0, 0, 1 },
	.guest_mac_known = 1,
	.guest_ip = 0x64600002,
	.gateway_ip = 0x64600001,
	.broadcast_ip = 0x64600003,
	.mtu = 65520,
	.ip6_enabled = 1,
	.prefix6 = { 0xfd, 0x53, 0x4d },
	.prefix_len6 = 64,
	.gateway_ip6 = { 0xfd, 0x53, 0x4d, [15] = 1 },
	.gateway_ll6 = { 0xfe, 0x80, [9] = 0x53, 0x4d, 0xff, 0xfe, [15] = 1 },
};

uint16_t
fuzz_icmp6_sum(const uint8_t *frame, size_t len)
{
	struct checksum sum;

	checksum_init(&sum);
	checksum_pseudo6(&sum, frame + 22, frame + 38, IPPROTO_ICMPV6,
	    (uint32_t)len);
	checksum_add(&sum, frame + 54, len);
	return (checksum_finish(&sum));
}
