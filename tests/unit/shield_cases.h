#ifndef TESTS_UNIT_SHIELD_CASES_H
#define TESTS_UNIT_SHIELD_CASES_H

#include <stddef.h>
#include <stdint.h>

#include "netproc/link/shield.h"

/* The frames of test_shield: good ones, and what may be wrong with them. */

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#define GUEST	  0x64600002u /* 100.96.0.2 */
#define GATEWAY	  0x64600001u
#define BROADCAST 0x64600003u

#define GATEWAY_MAC 0x02, 0x53, 0x4d, 0x00, 0x00, 0x01
#define GUEST_MAC   0x02, 0x53, 0x4d, 0x00, 0x00, 0x02
#define OTHER_MAC   0x02, 0x53, 0x4d, 0x00, 0x00, 0x03
#define ALL_MAC	    0xff, 0xff, 0xff, 0xff, 0xff, 0xff

#define GUEST_IP4   0x64, 0x60, 0x00, 0x02
#define GATEWAY_IP4 0x64, 0x60, 0x00, 0x01
#define REMOTE_IP4  0xc0, 0x00, 0x02, 0x07

static const struct shield_config config = {
	.guest_mac = { GUEST_MAC },
	.gateway_mac = { GATEWAY_MAC },
	.guest_mac_known = 1,
	.guest_ip = GUEST,
	.gateway_ip = GATEWAY,
	.broadcast_ip = BROADCAST,
	.mtu = 1500,
};

/* clang-format off */
/* The good frames; IP header checksums are put in by make_frame(). */
static const uint8_t arp_request[] = {
	ALL_MAC, GUEST_MAC, 0x08, 0x06,
	0, 1, 8, 0, 6, 4, 0, 1, GUEST_MAC, GUEST_IP4,
	0, 0, 0, 0, 0, 0, GATEWAY_IP4,
};

static const uint8_t tcp_syn[] = {
	GATEWAY_MAC, GUEST_MAC, 0x08, 0x00,
	0x45, 0x00, 0, 60, 0x12, 0x34, 0x40, 0, 64, 6, 0, 0,
	GUEST_IP4, REMOTE_IP4,
	0x9c, 0x40, 0x00, 0x50, 0x01, 0x02, 0x03, 0x04, 0, 0, 0, 0,
	0xa0, 0x02, 0xfa, 0xf0, 0xde, 0xad, 0, 0,
	2, 4, 0x05, 0xb4, 4, 2, 8, 10, 1, 2, 3, 4, 0, 0, 0, 0, 1, 3, 3, 7,
};

static const uint8_t tcp_data[] = {
	GATEWAY_MAC, GUEST_MAC, 0x08, 0x00,
	0x45, 0x00, 0, 44, 0x12, 0x34, 0x40, 0, 64, 6, 0, 0,
	GUEST_IP4, REMOTE_IP4,
	0x9c, 0x40, 0x00, 0x50, 0x01, 0x02, 0x03, 0x04, 5, 6, 7, 8,
	0x50, 0x18, 0xfa, 0xf0, 0, 0, 0, 0, 'd', 'a', 't', 'a',
};

static const uint8_t udp_query[] = {
	GATEWAY_MAC, GUEST_MAC, 0x08, 0x00,
	0x45, 0x00, 0, 32, 0x12, 0x34, 0x40, 0, 64, 17, 0, 0,
	GUEST_IP4, GATEWAY_IP4,
	0xc0, 0x00, 0x00, 0x35, 0, 12, 0, 0, 'd', 'a', 't', 'a',
};

static const uint8_t icmp_echo[] = {
	GATEWAY_MAC, GUEST_MAC, 0x08, 0x00,
	0x45, 0x00, 0, 32, 0x12, 0x34, 0x40, 0, 64, 1, 0, 0,
	GUEST_IP4, GATEWAY_IP4,
	8, 0, 0, 0, 0, 1, 0, 1, 'd', 'a', 't', 'a',
};

static const uint8_t dhcp_discover[] = {
	ALL_MAC, GUEST_MAC, 0x08, 0x00,
	0x45, 0x00, 0, 32, 0, 0, 0x40, 0, 64, 17, 0, 0,
	0, 0, 0, 0, 255, 255, 255, 255,
	0, 68, 0, 67, 0, 12, 0, 0, 1, 1, 6, 0,
};
/* clang-format on */

static const struct base {
	const uint8_t *bytes;
	size_t len;
	enum shield_verdict verdict;
} bases[] = {
	{ arp_request, sizeof(arp_request), SHIELD_ARP },
	{ tcp_syn, sizeof(tcp_syn), SHIELD_TCP },
	{ tcp_data, sizeof(tcp_data), SHIELD_TCP },
	{ udp_query, sizeof(udp_query), SHIELD_UDP },
	{ icmp_echo, sizeof(icmp_echo), SHIELD_ICMP },
	{ dhcp_discover, sizeof(dhcp_discover), SHIELD_DHCP },
};

enum base_name {
	ARP,
	SYN,
	DATA,
	UDP,
	ICMP,
	DHCP
};

/* Offsets in a frame. */
#define DST_MAC	  0
#define SRC_MAC	  6
#define ETHERTYPE 12
#define ARP_OP	  20
#define ARP_SHA	  22
#define ARP_SPA	  28
#define IP_FIRST  14
#define IP_DSCP	  15
#define IP_TOTAL  16
#define IP_FRAG	  20
#define IP_PROTO  23
#define IP_SUM	  24
#define IP_SRC	  26
#define IP_DST	  30
#define L4	  34
#define TCP_OFF	  46
#define TCP_FLAGS 47
#define TCP_OPTS  54

/* What no IPv4 frame can be; see shield6_cases.h. */
static const enum shield_verdict ip6_verdicts[] = {
	SHIELD_ICMP6,
	SHIELD_ND,
	SHIELD_DHCP6,
	SHIELD_FRAGMENT6,
	SHIELD_IP6_EXTENSION,
	SHIELD_FRAGMENT_ND,
	SHIELD_LINK_LOCAL,
	SHIELD_ICMP6_ERROR,
	SHIELD_ICMP6_TYPE,
	SHIELD_MLD,
	SHIELD_ND_MALFORMED,
	SHIELD_ND_GATEWAY,
	SHIELD_ND_FOREIGN,
};

#define KEEP_SUM 1 /* leave the IP header checksum as it is */

/* clang-format off */
/* A good frame, up to two patches, then cut or padded to len (0: as is). */
static const struct shield_case {
	enum shield_verdict verdict;
	unsigned int base; /* enum base_name */
	const char *what;
	size_t len;
	struct {
		size_t at, n;
		uint8_t bytes[8];
	} patch[2];
	int flags;
} cases[] = {
	{ SHIELD_SHORT_FRAME, UDP, "shorter than an Ethernet header", 13,
	    { { 0 } }, 0 },
	{ SHIELD_LONG_FRAME, UDP, "longer than 64 KiB", 65590, { { 0 } }, 0 },
	{ SHIELD_LONG_FRAME, ARP, "ARP longer than the MTU", 1515, { { 0 } },
	    0 },
	{ SHIELD_LONG_FRAME, ICMP, "ping longer than the MTU", 1515,
	    { { IP_TOTAL, 2, { 1501 >> 8, 1501 & 255 } } }, 0 },
	{ SHIELD_ICMP, ICMP, "ping as long as the MTU", 1514,
	    { { IP_TOTAL, 2, { 1500 >> 8, 1500 & 255 } } }, 0 },
	{ SHIELD_TCP, DATA, "TSO segment of 64 KiB", 65549,
	    { { IP_TOTAL, 2, { 255, 255 } } }, 0 },
	{ SHIELD_GROUP_SRC_MAC, UDP, "zero source MAC", 0,
	    { { SRC_MAC, 6, { 0 } } }, 0 },
	{ SHIELD_GROUP_SRC_MAC, UDP, "multicast source MAC", 0,
	    { { SRC_MAC, 1, { 3 } } }, 0 },
	{ SHIELD_GROUP_SRC_MAC, UDP, "broadcast source MAC", 0,
	    { { SRC_MAC, 6, { ALL_MAC } } }, 0 },
	{ SHIELD_FOREIGN_MAC, UDP, "another source MAC", 0,
	    { { SRC_MAC, 6, { OTHER_MAC } } }, 0 },
	{ SHIELD_FOREIGN_MAC, UDP, "the gateway's MAC as source", 0,
	    { { SRC_MAC, 6, { GATEWAY_MAC } } }, 0 },
	{ SHIELD_FOREIGN_DST_MAC, UDP, "to another MAC", 0,
	    { { DST_MAC, 6, { OTHER_MAC } } }, 0 },
	{ SHIELD_VLAN, UDP, "802.1Q", 0, { { ETHERTYPE, 2, { 0x81, 0 } } },
	    0 },
	{ SHIELD_VLAN, UDP, "802.1ad", 0, { { ETHERTYPE, 2, { 0x88, 0xa8 } } },
	    0 },
	{ SHIELD_VLAN, UDP, "old QinQ", 0, { { ETHERTYPE, 2, { 0x91, 0 } } },
	    0 },
	{ SHIELD_IP6, UDP, "IPv6", 0, { { ETHERTYPE, 2, { 0x86, 0xdd } } }, 0 },
	{ SHIELD_ETHERTYPE, UDP, "LLDP", 0,
	    { { ETHERTYPE, 2, { 0x88, 0xcc } } }, 0 },
	{ SHIELD_ETHERTYPE, UDP, "802.3 length", 0,
	    { { ETHERTYPE, 2, { 0, 38 } } }, 0 },
	{ SHIELD_ARP_MALFORMED, ARP, "short ARP", 41, { { 0 } }, 0 },
	{ SHIELD_ARP_MALFORMED, ARP, "ARP for Token Ring", 0,
	    { { 14, 2, { 0, 6 } } }, 0 },
	{ SHIELD_ARP_MALFORMED, ARP, "ARP for IPX", 0,
	    { { 16, 2, { 0x81, 0x37 } } }, 0 },
	{ SHIELD_ARP_MALFORMED, ARP, "ARP with hardware length 8", 0,
	    { { 18, 1, { 8 } } }, 0 },
	{ SHIELD_ARP_MALFORMED, ARP, "ARP with protocol length 16", 0,
	    { { 19, 1, { 16 } } }, 0 },
	{ SHIELD_ARP_MALFORMED, ARP, "ARP operation 0", 0,
	    { { ARP_OP, 2, { 0, 0 } } }, 0 },
	{ SHIELD_ARP_MALFORMED, ARP, "RARP", 0, { { ARP_OP, 2, { 0, 3 } } },
	    0 },
	{ SHIELD_ARP_GATEWAY, ARP, "ARP claiming the gateway", 0,
	    { { ARP_SPA, 4, { GATEWAY_IP4 } } }, 0 },
	{ SHIELD_ARP_FOREIGN, ARP, "ARP claiming a third address", 0,
	    { { ARP_SPA, 4, { REMOTE_IP4 } } }, 0 },
	{ SHIELD_ARP_FOREIGN, ARP, "ARP with another sender MAC", 0,
	    { { ARP_SHA, 6, { OTHER_MAC } } }, 0 },
	{ SHIELD_ARP_FOREIGN, ARP, "ARP reply from 0.0.0.0", 0,
	    { { ARP_SPA, 4, { 0 } }, { ARP_OP, 2, { 0, 2 } } }, 0 },
	{ SHIELD_ARP, ARP, "ARP probe", 0, { { ARP_SPA, 4, { 0 } } }, 0 },
	{ SHIELD_ARP, ARP, "gratuitous ARP", 0, { { 38, 4, { GUEST_IP4 } } },
	    0 },
	{ SHIELD_ARP, ARP, "padded ARP reply", 60, { { ARP_OP, 2, { 0, 2 } } },
	    0 },
	{ SHIELD_IP_SHORT, UDP, "19 bytes of IP", 33, { { 0 } }, 0 },
	{ SHIELD_IP_SHORT, UDP, "no IP at all", 14, { { 0 } }, 0 },
	{ SHIELD_IP_VERSION, UDP, "version 6 in an IPv4 frame", 0,
	    { { IP_FIRST, 1, { 0x65 } } }, 0 },
	{ SHIELD_IP_HEADER, UDP, "header length 4", 0,
	    { { IP_FIRST, 1, { 0x44 } } }, 0 },
	{ SHIELD_IP_HEADER, UDP, "header longer than the frame", 0,
	    { { IP_FIRST, 1, { 0x4f } } }, 0 },
	{ SHIELD_IP_OPTIONS, UDP, "four bytes of options", 0,
	    { { IP_FIRST, 1, { 0x46 } }, { 34, 4, { 1, 1, 1, 0 } } }, 0 },
	{ SHIELD_IP_LENGTH, UDP, "total length beyond the frame", 0,
	    { { IP_TOTAL, 2, { 0, 33 } } }, 0 },
	{ SHIELD_IP_LENGTH, UDP, "total length below the header", 0,
	    { { IP_TOTAL, 2, { 0, 19 } } }, 0 },
	{ SHIELD_IP_LENGTH, UDP, "total length 0", 0,
	    { { IP_TOTAL, 2, { 0, 0 } } }, 0 },
	{ SHIELD_IP_CHECKSUM, UDP, "bad header checksum", 0,
	    { { IP_SUM, 2, { 0x12, 0x34 } } }, KEEP_SUM },
	{ SHIELD_FRAGMENT, UDP, "first fragment", 0,
	    { { IP_FRAG, 2, { 0x20, 0 } }, { IP_TOTAL, 2, { 0, 28 } } }, 0 },
	{ SHIELD_FRAGMENT, UDP, "last fragment", 0,
	    { { IP_FRAG, 2, { 0, 185 } } }, 0 },
	{ SHIELD_FRAGMENT, ICMP, "DF and more fragments", 0,
	    { { IP_FRAG, 2, { 0x60, 0 } }, { IP_TOTAL, 2, { 0, 28 } } }, 0 },
	{ SHIELD_FRAGMENT, UDP, "fragment up to 65535", 0,
	    { { IP_FRAG, 2, { 0x1f, 0xfc } }, { IP_TOTAL, 2, { 0, 31 } } }, 0 },
	{ SHIELD_FRAGMENT_END, UDP, "fragment up to 65536", 0,
	    { { IP_FRAG, 2, { 0x1f, 0xfc } }, { IP_TOTAL, 2, { 0, 32 } } }, 0 },
	{ SHIELD_FRAGMENT_SHORT, UDP, "fragment of nothing", 0,
	    { { IP_FRAG, 2, { 0x20, 0 } }, { IP_TOTAL, 2, { 0, 20 } } }, 0 },
	{ SHIELD_FRAGMENT_LENGTH, UDP, "fragment of 12 bytes, more to come", 0,
	    { { IP_FRAG, 2, { 0x20, 0 } } }, 0 },
	{ SHIELD_PROTOCOL, UDP, "fragment of SCTP", 0,
	    { { IP_FRAG, 2, { 0, 1 } }, { IP_PROTO, 1, { 132 } } }, 0 },
	{ SHIELD_FOREIGN_IP, UDP, "fragment from another source", 0,
	    { { IP_FRAG, 2, { 0, 1 } }, { IP_SRC, 4, { REMOTE_IP4 } } }, 0 },
	{ SHIELD_GROUP_DST, UDP, "fragment to multicast", 0,
	    { { IP_FRAG, 2, { 0, 1 } }, { IP_DST, 4, { 224, 0, 0, 1 } } }, 0 },
	{ SHIELD_FOREIGN_IP, DHCP, "DHCP in a fragment", 0,
	    { { IP_FRAG, 2, { 0x20, 0 } } }, 0 },
	{ SHIELD_FOREIGN_IP, UDP, "another source", 0,
	    { { IP_SRC, 4, { REMOTE_IP4 } } }, 0 },
	{ SHIELD_FOREIGN_IP, SYN, "the gateway as source", 0,
	    { { IP_SRC, 4, { GATEWAY_IP4 } } }, 0 },
	{ SHIELD_FOREIGN_IP, UDP, "0.0.0.0 outside DHCP", 0,
	    { { IP_SRC, 4, { 0 } } }, 0 },
	{ SHIELD_FOREIGN_IP, SYN, "a multicast source", 0,
	    { { IP_SRC, 4, { 224, 0, 0, 1 } } }, 0 },
	{ SHIELD_FOREIGN_IP, DHCP, "DHCP from another address", 0,
	    { { IP_SRC, 4, { REMOTE_IP4 } } }, 0 },
	{ SHIELD_FOREIGN_IP, DHCP, "0.0.0.0 to a third party's port 67", 0,
	    { { IP_DST, 4, { REMOTE_IP4 } } }, 0 },
	{ SHIELD_FOREIGN_IP, DHCP, "0.0.0.0 from another port", 0,
	    { { L4, 2, { 0, 69 } } }, 0 },
	{ SHIELD_GROUP_DST, UDP, "to multicast", 0,
	    { { IP_DST, 4, { 224, 0, 0, 251 } } }, 0 },
	{ SHIELD_GROUP_DST, SYN, "TCP to multicast", 0,
	    { { IP_DST, 4, { 239, 255, 255, 255 } } }, 0 },
	{ SHIELD_GROUP_DST, UDP, "to 255.255.255.255", 0,
	    { { IP_DST, 4, { 255, 255, 255, 255 } } }, 0 },
	{ SHIELD_GROUP_DST, SYN, "TCP to the link's broadcast", 0,
	    { { IP_DST, 4, { 0x64, 0x60, 0, 3 } } }, 0 },
	{ SHIELD_GROUP_DST, SYN, "TCP to 0.0.0.0", 0,
	    { { IP_DST, 4, { 0 } } }, 0 },
	{ SHIELD_GROUP_DST_MAC, SYN, "TCP in a broadcast frame", 0,
	    { { DST_MAC, 6, { ALL_MAC } } }, 0 },
	{ SHIELD_GROUP_DST_MAC, ICMP, "ping in a multicast frame", 0,
	    { { DST_MAC, 6, { 1, 0, 0x5e, 0, 0, 1 } } }, 0 },
	{ SHIELD_SELF_DST, SYN, "from the guest to the guest", 0,
	    { { IP_DST, 4, { GUEST_IP4 } } }, 0 },
	{ SHIELD_PROTOCOL, UDP, "SCTP", 0, { { IP_PROTO, 1, { 132 } } }, 0 },
	{ SHIELD_PROTOCOL, UDP, "protocol 0", 0, { { IP_PROTO, 1, { 0 } } },
	    0 },
	{ SHIELD_TCP_SHORT, SYN, "19 bytes of TCP", 0,
	    { { IP_TOTAL, 2, { 0, 39 } } }, 0 },
	{ SHIELD_TCP_SHORT, SYN, "no TCP", 0, { { IP_TOTAL, 2, { 0, 20 } } },
	    0 },
	{ SHIELD_TCP_OFFSET, SYN, "data offset 0", 0,
	    { { TCP_OFF, 1, { 0x00 } } }, 0 },
	{ SHIELD_TCP_OFFSET, SYN, "data offset 4", 0,
	    { { TCP_OFF, 1, { 0x40 } } }, 0 },
	{ SHIELD_TCP_OFFSET, SYN, "data offset 11 of 10", 0,
	    { { TCP_OFF, 1, { 0xb0 } } }, 0 },
	{ SHIELD_TCP_OFFSET, SYN, "data offset 15", 0,
	    { { TCP_OFF, 1, { 0xf0 } } }, 0 },
	{ SHIELD_TCP_FLAGS, SYN, "SYN and FIN", 0,
	    { { TCP_FLAGS, 1, { 0x03 } } }, 0 },
	{ SHIELD_TCP_FLAGS, SYN, "SYN and RST", 0,
	    { { TCP_FLAGS, 1, { 0x06 } } }, 0 },
	{ SHIELD_TCP_STRAY, SYN, "no flags", 0, { { TCP_FLAGS, 1, { 0 } } },
	    0 },
	{ SHIELD_TCP_STRAY, SYN, "nothing but ECN flags", 0,
	    { { TCP_FLAGS, 1, { 0xc0 } } }, 0 },
	{ SHIELD_TCP_FLAGS, SYN, "every flag", 0,
	    { { TCP_FLAGS, 1, { 0xff } } }, 0 },
	{ SHIELD_TCP, SYN, "SYN with ECN setup and reserved bits", 0,
	    { { TCP_OFF, 2, { 0xaf, 0xc2 } } }, 0 },
	{ SHIELD_TCP_OPTIONS, SYN, "option of length 0", 0,
	    { { TCP_OPTS, 2, { 253, 0 } } }, 0 },
	{ SHIELD_TCP_OPTIONS, SYN, "option of length 1", 0,
	    { { TCP_OPTS, 2, { 253, 1 } } }, 0 },
	{ SHIELD_TCP_OPTIONS, SYN, "option past the header's end", 0,
	    { { TCP_OPTS, 2, { 253, 21 } } }, 0 },
	{ SHIELD_TCP_OPTIONS, SYN, "option kind without a length", 0,
	    { { TCP_OPTS + 19, 1, { 253 } }, { TCP_OPTS, 2, { 253, 19 } } },
	    0 },
	{ SHIELD_TCP_OPTIONS, SYN, "MSS of length 3", 0,
	    { { TCP_OPTS, 4, { 2, 3, 0, 1 } } }, 0 },
	{ SHIELD_TCP_OPTIONS, SYN, "window scale of length 4", 0,
	    { { TCP_OPTS + 16, 4, { 3, 4, 0, 0 } } }, 0 },
	{ SHIELD_TCP_OPTIONS, SYN, "SACK permitted of length 3", 0,
	    { { TCP_OPTS, 4, { 4, 3, 0, 1 } } }, 0 },
	{ SHIELD_TCP_OPTIONS, SYN, "SACK of 7 bytes", 0,
	    { { TCP_OPTS, 2, { 5, 9 } }, { TCP_OPTS + 9, 1, { 0 } } }, 0 },
	{ SHIELD_TCP, SYN, "SACK of one block", 0,
	    { { TCP_OPTS, 2, { 5, 10 } }, { TCP_OPTS + 10, 1, { 0 } } }, 0 },
	{ SHIELD_TCP_OPTIONS, SYN, "SACK of 9 bytes", 0,
	    { { TCP_OPTS, 2, { 5, 11 } }, { TCP_OPTS + 11, 1, { 0 } } }, 0 },
	{ SHIELD_TCP_OPTIONS, SYN, "empty SACK", 0,
	    { { TCP_OPTS, 3, { 5, 2, 0 } } }, 0 },
	{ SHIELD_TCP_OPTIONS, SYN, "timestamp of length 6", 0,
	    { { TCP_OPTS, 2, { 8, 6 } }, { TCP_OPTS + 6, 1, { 0 } } }, 0 },
	{ SHIELD_TCP_OPTIONS, SYN, "MSS outside a SYN", 0,
	    { { TCP_FLAGS, 1, { 0x10 } } }, 0 },
	{ SHIELD_TCP, SYN, "unknown option, well formed", 0,
	    { { TCP_OPTS, 2, { 253, 20 } } }, 0 },
	{ SHIELD_TCP, SYN, "MD5 option", 0,
	    { { TCP_OPTS, 2, { 19, 18 } }, { TCP_OPTS + 18, 2, { 1, 1 } } },
	    0 },
	{ SHIELD_TCP, SYN, "rubbish behind the end option", 0,
	    { { TCP_OPTS, 3, { 0, 253, 0 } } }, 0 },
	{ SHIELD_TCP_MSS, SYN, "MSS 0", 0, { { TCP_OPTS + 2, 2, { 0, 0 } } },
	    0 },
	{ SHIELD_TCP_MSS, SYN, "MSS 27", 0, { { TCP_OPTS + 2, 2, { 0, 27 } } },
	    0 },
	{ SHIELD_TCP, SYN, "MSS 28", 0, { { TCP_OPTS + 2, 2, { 0, 28 } } }, 0 },
	{ SHIELD_UDP_SHORT, UDP, "7 bytes of UDP", 0,
	    { { IP_TOTAL, 2, { 0, 27 } } }, 0 },
	{ SHIELD_UDP_LENGTH, UDP, "UDP length 7", 0,
	    { { L4 + 4, 2, { 0, 7 } } }, 0 },
	{ SHIELD_UDP_LENGTH, UDP, "UDP length beyond the packet", 0,
	    { { L4 + 4, 2, { 0, 13 } } }, 0 },
	{ SHIELD_UDP_LENGTH, DHCP, "DHCP of length 0", 0,
	    { { L4 + 4, 2, { 0, 0 } } }, 0 },
	{ SHIELD_UDP, UDP, "UDP shorter than its packet", 0,
	    { { L4 + 4, 2, { 0, 8 } } }, 0 },
	{ SHIELD_PORT_ZERO, UDP, "UDP to port 0", 0,
	    { { L4 + 2, 2, { 0, 0 } } }, 0 },
	{ SHIELD_PORT_ZERO, UDP, "UDP from port 0", 0, { { L4, 2, { 0, 0 } } },
	    0 },
	{ SHIELD_TCP_STRAY, SYN, "TCP to port 0", 0,
	    { { L4 + 2, 2, { 0, 0 } } }, 0 },
	{ SHIELD_PORT_ZERO, SYN, "TCP from port 0", 0, { { L4, 2, { 0, 0 } } },
	    0 },
	{ SHIELD_ICMP_SHORT, ICMP, "7 bytes of ICMP", 0,
	    { { IP_TOTAL, 2, { 0, 27 } } }, 0 },
	{ SHIELD_DHCP, DHCP, "DHCP to the gateway", 0,
	    { { DST_MAC, 6, { GATEWAY_MAC } },
		{ IP_DST, 4, { GATEWAY_IP4 } } },
	    0 },
	{ SHIELD_DHCP, DHCP, "DHCP renewal", 0,
	    { { IP_SRC, 8, { GUEST_IP4, GATEWAY_IP4 } } }, 0 },
	{ SHIELD_DHCP, DHCP, "DHCP to the link's broadcast", 0,
	    { { IP_DST, 4, { 0x64, 0x60, 0, 3 } } }, 0 },
	{ SHIELD_TCP, DATA, "DSCP and ECN bits", 0,
	    { { IP_DSCP, 1, { 0xff } } }, 0 },
	{ SHIELD_TCP, DATA, "evil bit", 0, { { IP_FRAG, 2, { 0x80, 0 } } }, 0 },
	{ SHIELD_TCP, DATA, "TTL 0", 0, { { 22, 1, { 0 } } }, 0 },
};
/* clang-format on */

#endif
