#ifndef NETPROC_GATEWAY_PACKET_H
#define NETPROC_GATEWAY_PACKET_H

#include <stddef.h>
#include <stdint.h>

struct cursor_out;

/*
 * Headers of what the gateway itself says.  IPv4 addresses are in host order,
 * IPv6 ones in network order.
 */

#define PACKET_ETHER_LEN    14
#define PACKET_IP4_LEN	    20
#define PACKET_IP6_LEN	    40
#define PACKET_UDP_LEN	    8
#define PACKET_UDP_HEADROOM (PACKET_ETHER_LEN + PACKET_IP4_LEN + PACKET_UDP_LEN)
#define PACKET_UDP6_HEADROOM \
	(PACKET_ETHER_LEN + PACKET_IP6_LEN + PACKET_UDP_LEN)

#define PACKET_ETHERTYPE_IP4 0x0800
#define PACKET_ETHERTYPE_IP6 0x86dd

#define PACKET_HOP_LIMIT    64
#define PACKET_HOP_LIMIT_ND 255 /* RFC 4861 6.1, 7.1 */

struct packet_udp {
	uint8_t src_mac[6];
	uint8_t dst_mac[6];
	uint32_t src_ip;
	uint32_t dst_ip;
	uint16_t sport;
	uint16_t dport;
	uint16_t ip_id;
	uint8_t may_fragment; /* 1: DF is clear */
};

struct packet_udp6 {
	uint8_t src_mac[6];
	uint8_t dst_mac[6];
	uint8_t src_ip6[16];
	uint8_t dst_ip6[16];
	uint16_t sport;
	uint16_t dport;
};

/*
 * Writes a whole Ethernet frame with all checksums into frame, cap
 * bytes.  payload is copied; it may stand at frame + PACKET_UDP_HEADROOM
 * already.  Returns the frame's length, or 0 if it does not fit cap or a
 * 64 KiB packet.
 */
size_t packet_build_udp(const struct packet_udp *udp, const uint8_t *payload,
    size_t payload_len, uint8_t *frame, size_t cap);

/* The same over IPv6, where the checksum is never left out. */
size_t packet_build_udp6(const struct packet_udp6 *udp, const uint8_t *payload,
    size_t payload_len, uint8_t *frame, size_t cap);

/* Writes an Ethernet header. */
void packet_put_ether(struct cursor_out *out, const uint8_t dst_mac[6],
    const uint8_t src_mac[6], uint16_t ethertype);

/*
 * Writes an IPv4 header (TTL 64, checksum, DF unless may_fragment) for
 * total_len bytes with it.
 */
void packet_put_ip4(struct cursor_out *out, uint32_t src_ip, uint32_t dst_ip,
    uint8_t protocol, uint16_t ip_id, int may_fragment, uint16_t total_len);

/* Writes an IPv6 header for payload_len bytes behind it. */
void packet_put_ip6(struct cursor_out *out, const uint8_t src_ip6[16],
    const uint8_t dst_ip6[16], uint8_t next_header, uint8_t hop_limit,
    uint16_t payload_len);

#endif
