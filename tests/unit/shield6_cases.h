#ifndef TESTS_UNIT_SHIELD6_CASES_H
#define TESTS_UNIT_SHIELD6_CASES_H

#include "tests/unit/shield_cases.h"

/* The frames of test_shield6, as shield_cases.h has those of IPv4. */

/* clang-format off */
#define PREFIX6	    0xfd, 0x53, 0x4d, 0, 0, 0, 0, 0
#define GUEST6	    PREFIX6, 0, 0, 0, 0, 0, 0, 0, 2
#define GATEWAY6    PREFIX6, 0, 0, 0, 0, 0, 0, 0, 1
#define REMOTE6	    0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7
#define GATEWAY_LL6 0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0x53, 0x4d, 0xff, 0xfe, 0, 0, 1
#define GUEST_LL6   0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0x53, 0x4d, 0xff, 0xfe, 0, 0, 2
#define NONE6	    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0
#define ALL_NODES6  0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1
#define SOLICITED6(last) \
	0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, 0, 0, last
#define DHCP_SERVERS6 0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 2
#define GROUP_MAC   0x33, 0x33, 0xff, 0, 0, 1

static const struct shield_config config6 = {
	.guest_mac = { GUEST_MAC },
	.gateway_mac = { GATEWAY_MAC },
	.guest_mac_known = 1,
	.guest_ip = GUEST,
	.gateway_ip = GATEWAY,
	.mtu = 1500,
	.ip6_enabled = 1,
	.prefix6 = { PREFIX6 },
	.prefix_len6 = 64,
	.gateway_ip6 = { GATEWAY6 },
	.gateway_ll6 = { GATEWAY_LL6 },
};

#define HEAD6(dst_mac, len, next, hops, src, dst) \
	dst_mac, GUEST_MAC, 0x86, 0xdd, \
	0x60, 0, 0, 0, 0, len, next, hops, src, dst

static const uint8_t tcp6[] = {
	HEAD6(GATEWAY_MAC, 24, 6, 64, GUEST6, REMOTE6),
	0x9c, 0x40, 0, 80, 1, 2, 3, 4, 0, 0, 0, 0, 0x60, 2, 0xfa, 0xf0,
	0, 0, 0, 0, 2, 4, 5, 0xa0,
};
static const uint8_t udp6[] = {
	HEAD6(GATEWAY_MAC, 12, 17, 64, GUEST6, GATEWAY6),
	0xc0, 0, 0, 53, 0, 12, 0, 0, 'd', 'a', 't', 'a',
};
static const uint8_t echo6[] = {
	HEAD6(GATEWAY_MAC, 12, 58, 64, GUEST6, REMOTE6),
	128, 0, 0, 0, 0xab, 0xcd, 0, 1, 'd', 'a', 't', 'a',
};
static const uint8_t dhcp6[] = {
	HEAD6(GROUP_MAC, 12, 17, 64, GUEST_LL6, DHCP_SERVERS6),
	2, 34, 2, 35, 0, 12, 0, 0, 1, 1, 2, 3,
};
static const uint8_t rs6[] = {
	HEAD6(GROUP_MAC, 16, 58, 255, GUEST_LL6, ALL_NODES6),
	133, 0, 0, 0, 0, 0, 0, 0, 1, 1, GUEST_MAC,
};
static const uint8_t ns6[] = {
	HEAD6(GROUP_MAC, 32, 58, 255, GUEST6, SOLICITED6(1)),
	135, 0, 0, 0, 0, 0, 0, 0, GATEWAY6, 1, 1, GUEST_MAC,
};
static const uint8_t dad6[] = {
	HEAD6(GROUP_MAC, 32, 58, 255, NONE6, SOLICITED6(2)),
	135, 0, 0, 0, 0, 0, 0, 0, GUEST6, 14, 1, 1, 2, 3, 4, 5, 6,
};
static const uint8_t na6[] = {
	HEAD6(GATEWAY_MAC, 32, 58, 255, GUEST6, GATEWAY6),
	136, 0, 0, 0, 0x60, 0, 0, 0, GUEST6, 2, 1, GUEST_MAC,
};
static const uint8_t first6[] = {
	HEAD6(GATEWAY_MAC, 24, 44, 64, GUEST6, REMOTE6),
	17, 0, 0, 1, 1, 2, 3, 4,
	0xc0, 0, 0, 53, 0, 24, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8,
};
static const uint8_t last6[] = {
	HEAD6(GATEWAY_MAC, 11, 44, 64, GUEST6, REMOTE6),
	17, 0, 0, 16, 1, 2, 3, 4, 9, 9, 9,
};
/* clang-format on */

static const struct base bases6[] = {
	{ tcp6, sizeof(tcp6), SHIELD_TCP },
	{ udp6, sizeof(udp6), SHIELD_UDP },
	{ echo6, sizeof(echo6), SHIELD_ICMP6 },
	{ dhcp6, sizeof(dhcp6), SHIELD_DHCP6 },
	{ rs6, sizeof(rs6), SHIELD_ND },
	{ ns6, sizeof(ns6), SHIELD_ND },
	{ dad6, sizeof(dad6), SHIELD_ND },
	{ na6, sizeof(na6), SHIELD_ND },
	{ first6, sizeof(first6), SHIELD_FRAGMENT6 },
	{ last6, sizeof(last6), SHIELD_FRAGMENT6 },
};

enum base6_name {
	TCP6,
	UDP6,
	ECHO6,
	DHCP6,
	RS6,
	NS6,
	DAD6,
	NA6,
	FIRST6,
	LAST6
};

/* Offsets in a frame. */
#define IP6_FIRST 14
#define IP6_PLEN  18
#define IP6_NEXT  20
#define IP6_HOPS  21
#define IP6_SRC	  22
#define IP6_DST	  38
#define L6	  54
#define ND_FLAGS  58
#define ND_TARGET 62
#define ND_OPT	  78

/* clang-format off */
static const struct shield_case6 {
	enum shield_verdict verdict;
	unsigned int base; /* enum base6_name */
	const char *what;
	struct {
		size_t at, n;
		uint8_t bytes[16];
	} patch[2];
	int flags;
} cases6[] = {
	{ SHIELD_FOREIGN_MAC, UDP6, "another source MAC",
	    { { SRC_MAC, 6, { OTHER_MAC } } }, 0 },
	{ SHIELD_IP_VERSION, UDP6, "version 4 in an IPv6 frame",
	    { { IP6_FIRST, 1, { 0x45 } } }, 0 },
	{ SHIELD_IP_LENGTH, UDP6, "payload longer than the frame",
	    { { IP6_PLEN, 2, { 0, 13 } } }, 0 },
	{ SHIELD_UDP_SHORT, UDP6, "no payload", { { IP6_PLEN, 2, { 0 } } }, 0 },
	{ SHIELD_UDP, UDP6, "traffic class and flow label",
	    { { IP6_FIRST, 4, { 0x6f, 0xff, 0xff, 0xff } } }, 0 },
	{ SHIELD_UDP, UDP6, "hop limit 0", { { IP6_HOPS, 1, { 0 } } }, 0 },
	{ SHIELD_PROTOCOL, UDP6, "no next header",
	    { { IP6_NEXT, 1, { 59 } } }, 0 },
	{ SHIELD_PROTOCOL, UDP6, "ICMP of IPv4", { { IP6_NEXT, 1, { 1 } } }, 0 },
	{ SHIELD_PROTOCOL, UDP6, "SCTP", { { IP6_NEXT, 1, { 132 } } }, 0 },
	{ SHIELD_IP6_EXTENSION, TCP6, "hop-by-hop options",
	    { { IP6_NEXT, 1, { 0 } }, { L6, 2, { 6, 0 } } }, 0 },
	{ SHIELD_IP6_EXTENSION, TCP6, "hop-by-hop options past the end",
	    { { IP6_NEXT, 1, { 0 } }, { L6, 2, { 58, 255 } } }, 0 },
	{ SHIELD_IP6_EXTENSION, TCP6, "routing header",
	    { { IP6_NEXT, 1, { 43 } } }, 0 },
	{ SHIELD_IP6_EXTENSION, TCP6, "destination options",
	    { { IP6_NEXT, 1, { 60 } } }, 0 },
	{ SHIELD_IP6_EXTENSION, TCP6, "authentication header",
	    { { IP6_NEXT, 1, { 51 } } }, 0 },
	{ SHIELD_IP6_EXTENSION, TCP6, "mobility header",
	    { { IP6_NEXT, 1, { 135 } } }, 0 },
	{ SHIELD_MLD, TCP6, "a report behind a router alert",
	    { { IP6_NEXT, 1, { 0 } },
		{ L6, 9, { 58, 0, 5, 2, 0, 0, 1, 0, 143 } } }, 0 },
	{ SHIELD_IP6_EXTENSION, TCP6, "a ping behind a router alert",
	    { { IP6_NEXT, 1, { 0 } },
		{ L6, 9, { 58, 0, 5, 2, 0, 0, 1, 0, 128 } } }, 0 },
	{ SHIELD_MLD, ECHO6, "a bare report", { { L6, 1, { 131 } } }, 0 },
	{ SHIELD_FOREIGN_IP, UDP6, "a source outside the prefix",
	    { { IP6_SRC, 16, { REMOTE6 } } }, 0 },
	{ SHIELD_FOREIGN_IP, UDP6, "the gateway as source",
	    { { IP6_SRC, 16, { GATEWAY6 } } }, 0 },
	{ SHIELD_FOREIGN_IP, UDP6, "the gateway's link-local as source",
	    { { IP6_SRC, 16, { GATEWAY_LL6 } } }, 0 },
	{ SHIELD_FOREIGN_IP, TCP6, "no source", { { IP6_SRC, 16, { 0 } } }, 0 },
	{ SHIELD_FOREIGN_IP, DHCP6, "DHCPv6 without a source",
	    { { IP6_SRC, 16, { 0 } } }, 0 },
	{ SHIELD_FOREIGN_IP, TCP6, "a multicast source",
	    { { IP6_SRC, 1, { 0xff } } }, 0 },
	{ SHIELD_UDP, UDP6, "a privacy address",
	    { { IP6_SRC + 8, 8, { 1, 2, 3, 4, 5, 6, 7, 8 } } }, 0 },
	{ SHIELD_UDP, UDP6, "link-local to the gateway",
	    { { IP6_SRC, 16, { GUEST_LL6 } } }, 0 },
	{ SHIELD_UDP, UDP6, "to the gateway's link-local",
	    { { IP6_DST, 16, { GATEWAY_LL6 } } }, 0 },
	{ SHIELD_LINK_LOCAL, TCP6, "link-local to the world",
	    { { IP6_SRC, 16, { GUEST_LL6 } } }, 0 },
	{ SHIELD_GROUP_DST_MAC, TCP6, "link-local in a multicast frame",
	    { { DST_MAC, 6, { GROUP_MAC } }, { IP6_SRC, 16, { GUEST_LL6 } } }, 0 },
	{ SHIELD_GROUP_DST, UDP6, "to all nodes",
	    { { IP6_DST, 16, { ALL_NODES6 } } }, 0 },
	{ SHIELD_GROUP_DST, ECHO6, "ping to all nodes",
	    { { IP6_DST, 16, { ALL_NODES6 } } }, 0 },
	{ SHIELD_GROUP_DST, TCP6, "to ::", { { IP6_DST, 16, { 0 } } }, 0 },
	{ SHIELD_GROUP_DST_MAC, TCP6, "TCP in a multicast frame",
	    { { DST_MAC, 6, { GROUP_MAC } } }, 0 },
	{ SHIELD_SELF_DST, TCP6, "to an address of the prefix",
	    { { IP6_DST, 16, { PREFIX6, 9 } } }, 0 },
	{ SHIELD_SELF_DST, TCP6, "to another link-local address",
	    { { IP6_DST, 16, { GUEST_LL6 } } }, 0 },
	{ SHIELD_TCP_OFFSET, TCP6, "data offset 7 of 6",
	    { { L6 + 12, 1, { 0x70 } } }, 0 },
	{ SHIELD_TCP_MSS, TCP6, "MSS 0", { { L6 + 22, 2, { 0, 0 } } }, 0 },
	{ SHIELD_PORT_ZERO, UDP6, "to port 0", { { L6 + 2, 2, { 0, 0 } } }, 0 },
	{ SHIELD_UDP_LENGTH, UDP6, "UDP length 0",
	    { { L6 + 4, 2, { 0, 0 } } }, 0 },
	{ SHIELD_DHCP6, DHCP6, "DHCPv6 to the gateway",
	    { { IP6_DST, 16, { GATEWAY_LL6 } } }, 0 },
	{ SHIELD_DHCP6, DHCP6, "DHCPv6 from a global address",
	    { { IP6_SRC, 16, { GUEST6 } } }, 0 },
	{ SHIELD_GROUP_DST, DHCP6, "DHCPv6 from another port",
	    { { L6, 2, { 2, 33 } } }, 0 },
	{ SHIELD_UDP_LENGTH, DHCP6, "DHCPv6 of length 7",
	    { { L6 + 4, 2, { 0, 7 } } }, 0 },
	{ SHIELD_ICMP_SHORT, ECHO6, "7 bytes of ICMPv6",
	    { { IP6_PLEN, 2, { 0, 7 } } }, KEEP_SUM },
	{ SHIELD_ICMP6, ECHO6, "a ping with any checksum", { { 0 } }, KEEP_SUM },
	{ SHIELD_ICMP6, ECHO6, "unreachable", { { L6, 1, { 1 } } }, 0 },
	{ SHIELD_ICMP6_ERROR, ECHO6, "packet too big", { { L6, 1, { 2 } } }, 0 },
	{ SHIELD_ICMP6_TYPE, ECHO6, "echo reply", { { L6, 1, { 129 } } }, 0 },
	{ SHIELD_ICMP6_TYPE, RS6, "router advertisement",
	    { { L6, 1, { 134 } } }, 0 },
	{ SHIELD_ICMP6_TYPE, RS6, "redirect", { { L6, 1, { 137 } } }, 0 },
	{ SHIELD_ND, RS6, "solicitation for a router without a source",
	    { { IP6_SRC, 16, { 0 } }, { L6 + 8, 1, { 14 } } }, 0 },
	{ SHIELD_ND_MALFORMED, RS6, "one that names its MAC all the same",
	    { { IP6_SRC, 16, { 0 } } }, 0 },
	{ SHIELD_ND_MALFORMED, NS6, "hop limit 254",
	    { { IP6_HOPS, 1, { 254 } } }, 0 },
	{ SHIELD_ND_MALFORMED, NS6, "code 1", { { L6 + 1, 1, { 1 } } }, 0 },
	{ SHIELD_ND_MALFORMED, NS6, "wrong checksum",
	    { { L6 + 2, 2, { 1, 1 } } }, KEEP_SUM },
	{ SHIELD_ND_MALFORMED, NS6, "cut in the target",
	    { { IP6_PLEN, 2, { 0, 23 } } }, 0 },
	{ SHIELD_ND, NS6, "no option", { { IP6_PLEN, 2, { 0, 24 } } }, 0 },
	{ SHIELD_ND_MALFORMED, NS6, "cut in the option",
	    { { IP6_PLEN, 2, { 0, 31 } } }, 0 },
	{ SHIELD_ND_MALFORMED, NS6, "an option's type alone",
	    { { IP6_PLEN, 2, { 0, 25 } } }, 0 },
	{ SHIELD_ND_MALFORMED, NS6, "option of length 0",
	    { { ND_OPT + 1, 1, { 0 } } }, 0 },
	{ SHIELD_ND_MALFORMED, NS6, "option past the end",
	    { { ND_OPT + 1, 1, { 2 } } }, 0 },
	{ SHIELD_ND_FOREIGN, NS6, "option with another MAC",
	    { { ND_OPT + 7, 1, { 9 } } }, 0 },
	{ SHIELD_ND_MALFORMED, NS6, "multicast target",
	    { { ND_TARGET, 16, { ALL_NODES6 } } }, 0 },
	{ SHIELD_ND_MALFORMED, NS6, "target ::",
	    { { ND_TARGET, 16, { 0 } } }, 0 },
	{ SHIELD_ND, NS6, "for the gateway's link-local",
	    { { ND_TARGET, 16, { GATEWAY_LL6 } } }, 0 },
	{ SHIELD_ND, NS6, "for another address",
	    { { ND_TARGET, 16, { REMOTE6 } } }, 0 },
	{ SHIELD_ND, NS6, "to the gateway itself",
	    { { DST_MAC, 6, { GATEWAY_MAC } }, { IP6_DST, 16, { GATEWAY6 } } },
	    0 },
	{ SHIELD_GROUP_DST_MAC, NS6, "to the gateway in a multicast frame",
	    { { IP6_DST, 16, { GATEWAY6 } } }, 0 },
	{ SHIELD_SELF_DST, NS6, "to the world",
	    { { IP6_DST, 16, { REMOTE6 } } }, 0 },
	{ SHIELD_GROUP_DST, NS6, "to a site's group",
	    { { IP6_DST, 2, { 0xff, 5 } } }, 0 },
	{ SHIELD_FOREIGN_IP, NS6, "from another",
	    { { IP6_SRC, 16, { REMOTE6 } } }, 0 },
	{ SHIELD_ND, DAD6, "whether the gateway's address is taken",
	    { { ND_TARGET + 15, 1, { 1 } }, { IP6_DST + 15, 1, { 1 } } }, 0 },
	{ SHIELD_ND_MALFORMED, DAD6, "a probe to another group",
	    { { IP6_DST + 15, 1, { 3 } } }, 0 },
	{ SHIELD_ND_MALFORMED, DAD6, "a probe that names its MAC",
	    { { ND_OPT, 8, { 1, 1, GUEST_MAC } } }, 0 },
	{ SHIELD_ND_GATEWAY, NA6, "the gateway's address claimed",
	    { { ND_TARGET + 15, 1, { 1 } } }, 0 },
	{ SHIELD_ND_GATEWAY, NA6, "the gateway's link-local claimed",
	    { { ND_TARGET, 16, { GATEWAY_LL6 } } }, 0 },
	{ SHIELD_ND_FOREIGN, NA6, "a third's address claimed",
	    { { ND_TARGET, 16, { REMOTE6 } } }, 0 },
	{ SHIELD_ND_FOREIGN, NA6, "another MAC claimed",
	    { { ND_OPT + 7, 1, { 9 } } }, 0 },
	{ SHIELD_ND_MALFORMED, NA6, "a solicited one to all",
	    { { IP6_DST, 16, { ALL_NODES6 } } }, 0 },
	{ SHIELD_ND, NA6, "an unsolicited one to all",
	    { { IP6_DST, 16, { ALL_NODES6 } }, { ND_FLAGS, 1, { 0x20 } } }, 0 },
	{ SHIELD_ND_MALFORMED, NA6, "a multicast target",
	    { { ND_TARGET, 16, { ALL_NODES6 } } }, 0 },
	{ SHIELD_FOREIGN_IP, NA6, "an answer from nobody",
	    { { IP6_SRC, 16, { 0 } } }, 0 },
	{ SHIELD_FRAGMENT6, FIRST6, "an atomic fragment",
	    { { L6 + 3, 1, { 0 } } }, 0 },
	{ SHIELD_FRAGMENT6, FIRST6, "reserved bits",
	    { { L6 + 1, 3, { 0xff, 0, 7 } } }, 0 },
	{ SHIELD_FRAGMENT_SHORT, FIRST6, "half a fragment header",
	    { { IP6_PLEN, 2, { 0, 7 } } }, 0 },
	{ SHIELD_FRAGMENT_SHORT, FIRST6, "a fragment of nothing",
	    { { IP6_PLEN, 2, { 0, 8 } } }, 0 },
	{ SHIELD_FRAGMENT_LENGTH, FIRST6, "15 bytes and more to come",
	    { { IP6_PLEN, 2, { 0, 23 } } }, 0 },
	{ SHIELD_FRAGMENT6, LAST6, "up to 65531",
	    { { L6 + 2, 2, { 0xff, 0xf0 } } }, 0 },
	{ SHIELD_FRAGMENT6, LAST6, "up to 65535", { { L6 + 2, 2, { 0xff, 0xf8 } } },
	    0 },
	{ SHIELD_FRAGMENT_END, FIRST6, "past 64 KiB",
	    { { L6 + 2, 2, { 0xff, 0xf0 } } }, 0 },
	{ SHIELD_IP6_EXTENSION, FIRST6, "a fragment in a fragment",
	    { { L6, 1, { 44 } } }, 0 },
	{ SHIELD_IP6_EXTENSION, LAST6, "options in a fragment",
	    { { L6, 1, { 60 } } }, 0 },
	{ SHIELD_FRAGMENT_ND, FIRST6, "a solicitation in a fragment",
	    { { L6, 1, { 58 } }, { L6 + 8, 1, { 135 } } }, 0 },
	{ SHIELD_FRAGMENT6, FIRST6, "a ping in a fragment",
	    { { L6, 1, { 58 } }, { L6 + 8, 1, { 128 } } }, 0 },
	{ SHIELD_FOREIGN_IP, LAST6, "a fragment of another's",
	    { { IP6_SRC, 16, { REMOTE6 } } }, 0 },
	{ SHIELD_FOREIGN_IP, LAST6, "a fragment of nobody's",
	    { { IP6_SRC, 16, { 0 } } }, 0 },
	{ SHIELD_GROUP_DST, FIRST6, "a fragment to multicast",
	    { { IP6_DST, 16, { ALL_NODES6 } } }, 0 },
};
/* clang-format on */

#endif
