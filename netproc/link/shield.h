#ifndef NETPROC_LINK_SHIELD_H
#define NETPROC_LINK_SHIELD_H

#include <stddef.h>
#include <stdint.h>

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
	X(UDP,		"udp") \
	X(ICMP,		"icmp") \
	X(DHCP,		"dhcp")

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
	X(FRAGMENT,	"fragment") \
	X(FOREIGN_IP,	"foreign-ip") \
	X(GROUP_DST,	"group-destination") \
	X(GROUP_DST_MAC, "group-destination-mac") \
	X(SELF_DST,	"own-destination") \
	X(PROTOCOL,	"ip-protocol") \
	X(TCP_SHORT,	"tcp-short") \
	X(TCP_OFFSET,	"tcp-data-offset") \
	X(TCP_FLAGS,	"tcp-flags") \
	X(TCP_OPTIONS,	"tcp-options") \
	X(TCP_MSS,	"tcp-mss") \
	X(UDP_SHORT,	"udp-short") \
	X(UDP_LENGTH,	"udp-length") \
	X(PORT_ZERO,	"port-zero") \
	X(ICMP_SHORT,	"icmp-short")
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

/* Addresses are in host byte order. */
struct shield_config {
	uint8_t guest_mac[6];
	uint8_t gateway_mac[6];
	uint8_t guest_mac_known; /* 0: any unicast MAC but the gateway's; the
				    caller pins that of the first pass */
	uint32_t guest_ip;
	uint32_t gateway_ip;
	uint32_t broadcast_ip; /* of the link; 0 where it has none (/31, /32) */
	uint32_t mtu; /* largest IP packet, bytes; TCP and UDP may be longer:
			 guests with TSO or UFO send up to 64 KiB at once */
};

/* An Ethernet header and a 64 KiB packet; longer is SHIELD_LONG_FRAME. */
#define SHIELD_FRAME_MAX 65550

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
#define SHIELD_TCP_URG 0x20

/* Where things are in a frame that passed.  Lengths and offsets in bytes. */
struct shield_frame {
	uint8_t src_mac[6];
	uint8_t group_dst; /* 1: sent to a broadcast or multicast MAC */
	uint8_t tcp_flags; /* all 8, SHIELD_TCP_* and ECN */
	uint32_t src_ip;   /* ARP: sender, may be 0 (probe) */
	uint32_t dst_ip;   /* ARP: target */
	uint16_t sport;
	uint16_t dport;
	uint16_t tcp_mss; /* of a SYN, or the default */
	uint16_t tcp_header_len;
	uint32_t tcp_seq;
	uint32_t tcp_ack;
	size_t l3_off;	    /* IP or ARP header */
	size_t l3_len;	    /* IP total length, without Ethernet padding */
	size_t l4_off;	    /* TCP, UDP, ICMP header; 0 for ARP */
	size_t l4_len;	    /* header and payload; UDP: its own length field */
	size_t payload_off; /* behind the TCP, UDP or 8-byte ICMP header */
	size_t payload_len;
};

/*
 * Checks len bytes of frame, an Ethernet frame without its FCS.  For a pass
 * out is filled, else it is all zeroes except src_mac of a frame that has one.
 * TCP, UDP and ICMP checksums are not looked at: a guest with checksum offload
 * leaves them partial.
 */
enum shield_verdict shield_check(const uint8_t *frame, size_t len,
    const struct shield_config *cfg, struct shield_frame *out);

/* Returns borrowed: "tcp-data-offset"; "?" for a number that is no verdict. */
const char *shield_name(enum shield_verdict verdict);

#endif
