#ifndef NETPROC_LINK_SHIELD_H
#define NETPROC_LINK_SHIELD_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "ipc/addr.h"

/*
 * What a frame of the guest must satisfy before lwIP or anything else sees
 * it.  A pure function; one verdict a frame.
 *
 *	name		the verdict is SHIELD_<name>
 *	counter		its name as operators read it
 *
 * The passes say what the frame is.  Each reason to drop is a verdict of its
 * own, so that a counter tells which fence a guest ran into.
 */
/* clang-format off */
#define SHIELD_PASSES(X) \
	X(ARP,		"arp") \
	X(TCP,		"tcp") \
	X(TCP_STRAY,	"tcp-stray") \
	X(UDP,		"udp") \
	X(ICMP,		"icmp") \
	X(DHCP,		"dhcp") \
	X(ICMP6,	"icmp6") \
	X(ND,		"neighbour-discovery") \
	X(DHCP6,	"dhcp6") \
	X(FRAGMENT,	"fragment") \
	X(FRAGMENT6,	"fragment6")

#define SHIELD_DROPS(X) \
	X(SHORT_FRAME,	"short-frame") \
	X(LONG_FRAME,	"long-frame") \
	X(GROUP_SRC_MAC, "group-source-mac") \
	X(FOREIGN_MAC,	"foreign-mac") \
	X(FOREIGN_DST_MAC, "foreign-destination-mac") \
	X(VLAN,		"vlan") \
	X(IP6,		"ipv6") \
	X(ETHERTYPE,	"ethertype") \
	X(ARP_MALFORMED, "arp-malformed") \
	X(ARP_GATEWAY,	"arp-claims-gateway") \
	X(ARP_FOREIGN,	"arp-foreign") \
	X(IP_SHORT,	"ip-short") \
	X(IP_VERSION,	"ip-version") \
	X(IP_HEADER,	"ip-header-length") \
	X(IP_OPTIONS,	"ip-options") \
	X(IP_LENGTH,	"ip-total-length") \
	X(IP_CHECKSUM,	"ip-checksum") \
	X(IP6_EXTENSION, "ipv6-extension-header") \
	X(FRAGMENT_SHORT, "fragment-short") \
	X(FRAGMENT_LENGTH, "fragment-length") \
	X(FRAGMENT_END, "fragment-past-64k") \
	X(FRAGMENT_ND,	"fragment-of-neighbour-discovery") \
	X(FOREIGN_IP,	"foreign-ip") \
	X(GROUP_DST,	"group-destination") \
	X(GROUP_DST_MAC, "group-destination-mac") \
	X(SELF_DST,	"own-destination") \
	X(LINK_LOCAL,	"link-local-source") \
	X(PROTOCOL,	"ip-protocol") \
	X(TCP_SHORT,	"tcp-short") \
	X(TCP_OFFSET,	"tcp-data-offset") \
	X(TCP_FLAGS,	"tcp-flags") \
	X(TCP_OPTIONS,	"tcp-options") \
	X(TCP_MSS,	"tcp-mss") \
	X(UDP_SHORT,	"udp-short") \
	X(UDP_LENGTH,	"udp-length") \
	X(PORT_ZERO,	"port-zero") \
	X(ICMP_SHORT,	"icmp-short") \
	X(ICMP6_ERROR,	"icmp6-error") \
	X(ICMP6_TYPE,	"icmp6-type") \
	X(MLD,		"mld") \
	X(ND_MALFORMED,	"nd-malformed") \
	X(ND_GATEWAY,	"nd-claims-gateway") \
	X(ND_FOREIGN,	"nd-foreign")
/* clang-format on */

enum shield_verdict {
#define X(name, counter) SHIELD_##name,
	SHIELD_PASSES(X)
	SHIELD_DROPS(X)
#undef X
	    SHIELD_NVERDICTS
};

/* 1 if the frame may go on.  The passes stand before the first drop. */
#define SHIELD_IS_PASS(verdict) ((verdict) < SHIELD_SHORT_FRAME)

/* IPv4 addresses are in host byte order, IPv6 ones in network order. */
struct shield_config {
	uint8_t guest_mac[6];
	uint8_t gateway_mac[6];
	uint8_t guest_mac_known; /* 0: any unicast MAC but the gateway's; the
				    caller pins that of the first pass */
	uint32_t guest_ip;
	uint32_t gateway_ip;
	uint32_t broadcast_ip; /* of the link; 0 where it has none (/31, /32) */
	uint32_t mtu; /* largest IP packet, bytes; TCP and UDP may be longer:
			 guests with TSO or UFO send up to 64 KiB at once.
			 SHIELD_PACKET_MAX where fragments made it */
	uint8_t ip6_enabled; /* 0: every IPv6 frame is SHIELD_IP6 */
	uint8_t prefix6[16]; /* the guest's is any address in it but one */
	uint32_t prefix_len6;
	uint8_t gateway_ip6[16];
	uint8_t gateway_ll6[16]; /* ra_link_local() of its MAC */
};

/* The longest packet, which is of IPv6: 64 KiB behind its header. */
#define SHIELD_PACKET_MAX (40 + 65535)

/*
 * With an Ethernet header, as fragments can make it (the link's own frames are
 * shorter); longer is SHIELD_LONG_FRAME.
 */
#define SHIELD_FRAME_MAX (14 + SHIELD_PACKET_MAX)

#define SHIELD_MSS_DEFAULT 536 /* RFC 9293 3.7.1 */

/*
 * Every link carries packets of 68 bytes (RFC 791 3.2); below 12, lwIP's sums
 * with the timestamp option go wrong.  Less is SHIELD_TCP_MSS.
 */
#define SHIELD_MSS_MIN 28

#define SHIELD_TCP_FIN 0x01
#define SHIELD_TCP_SYN 0x02
#define SHIELD_TCP_RST 0x04
#define SHIELD_TCP_PSH 0x08
#define SHIELD_TCP_ACK 0x10

/*
 * Where things are in a frame that passed.  Lengths and offsets in bytes.
 *
 * Of a fragment only the addresses and the fields up to l4_len are filled.
 */
struct shield_frame {
	uint8_t src_mac[6];
	uint8_t group_dst; /* 1: sent to a broadcast or multicast MAC */
	uint8_t version;   /* 4 or 6; ARP: 4 */
	uint32_t src_ip;  /* IPv4, host order.  ARP: sender, may be 0 (probe) */
	uint32_t dst_ip;  /* ARP: target */
	uint8_t src6[16]; /* IPv6; ND: may be :: */
	uint8_t dst6[16]; /* ND and DHCPv6: may be multicast */
	uint8_t to_gateway; /* 1: the destination is an address of its */
	uint8_t protocol;   /* IPPROTO_*, behind the fragment header if any */
	uint8_t ttl;	    /* or hop limit */
	uint8_t df;	    /* 1: may not be fragmented on its way; IPv6: 1 */
	uint8_t frag_more;  /* fragments: 1: not the last */
	uint32_t frag_id;
	uint32_t frag_off; /* of its first byte in the whole payload */
	size_t l3_off;	   /* IP or ARP header */
	size_t l3_len;	   /* IP header and all, without Ethernet padding */
	size_t l4_off;	   /* TCP, UDP, ICMP header; 0 for ARP.  A fragment:
			      what it carries, behind the fragment header */
	size_t l4_len;	   /* header and payload; UDP: its own length field */
	uint16_t sport;	   /* ICMP echo requests: the identifier */
	uint16_t dport;
	size_t payload_off; /* behind the TCP, UDP or 8-byte ICMP header */
	size_t payload_len;
	uint8_t tcp_flags; /* all 8, SHIELD_TCP_* and ECN */
	uint16_t tcp_mss;  /* of a SYN, or the default */
	uint16_t tcp_header_len;
	uint32_t tcp_seq;
	uint32_t tcp_ack;
	uint8_t icmp_type; /* ICMP, ICMP6 and ND */
	uint8_t icmp_code;
	uint8_t nd_for_gateway; /* ND: asks for an address of the gateway's */
	uint8_t nd_target[16];	/* ND: of a solicitation or advertisement */
};

/* The addresses of a frame that passed, whatever its version. */
static inline struct ipc_addr
shield_src(const struct shield_frame *sf)
{
	struct ipc_addr addr = { .family = 6 };

	if (sf->version != 6)
		return (addr_from_ip4(sf->src_ip));
	memcpy(addr.bytes, sf->src6, sizeof(addr.bytes));
	return (addr);
}

static inline struct ipc_addr
shield_dst(const struct shield_frame *sf)
{
	struct ipc_addr addr = { .family = 6 };

	if (sf->version != 6)
		return (addr_from_ip4(sf->dst_ip));
	memcpy(addr.bytes, sf->dst6, sizeof(addr.bytes));
	return (addr);
}

/*
 * Checks len bytes of frame, an Ethernet frame without its FCS.  For a pass
 * out is filled, else it is all zeroes except src_mac of a frame that has one.
 * TCP, UDP and echo checksums are not looked at: a guest with checksum offload
 * leaves them partial.
 *
 * A fragment that passes goes to fragment_add(), and the packet that comes of
 * it through here again.
 */
enum shield_verdict shield_check(const uint8_t *frame, size_t len,
    const struct shield_config *cfg, struct shield_frame *out);

/* Returns borrowed: "tcp-data-offset"; "?" for a number that is no verdict. */
const char *shield_name(enum shield_verdict verdict);

#endif
