#include "netproc/gateway/packet.h"

#include <netinet/in.h>

#include "ipc/cursor.h"
#include "netproc/link/checksum.h"

#define IP4_VERSION_IHL	 0x45
#define IP4_DF		 0x4000
#define IP6_VERSION	 0x60000000u
#define IP4_CHECKSUM_OFF 10
#define UDP_CHECKSUM_OFF 6

void
packet_put_ether(struct cursor_out *out, const uint8_t dst_mac[6],
    const uint8_t src_mac[6], uint16_t ethertype)
{
	cursor_out_bytes(out, dst_mac, 6);
	cursor_out_bytes(out, src_mac, 6);
	cursor_out_be16(out, ethertype);
}

void
packet_put_ip4(struct cursor_out *out, uint32_t src_ip, uint32_t dst_ip,
    uint8_t protocol, uint16_t ip_id, int may_fragment, uint16_t total_len)
{
	const size_t at = out->len;

	cursor_out_u8(out, IP4_VERSION_IHL);
	cursor_out_u8(out, 0); /* DSCP, ECN */
	cursor_out_be16(out, total_len);
	cursor_out_be16(out, ip_id);
	cursor_out_be16(out, may_fragment ? 0 : IP4_DF);
	cursor_out_u8(out, PACKET_HOP_LIMIT);
	cursor_out_u8(out, protocol);
	cursor_out_be16(out, 0); /* checksum */
	cursor_out_be32(out, src_ip);
	cursor_out_be32(out, dst_ip);
	if (!out->error)
		cursor_out_patch16(out, at + IP4_CHECKSUM_OFF,
		    checksum_of(out->base + at, PACKET_IP4_LEN));
}

void
packet_put_ip6(struct cursor_out *out, const uint8_t src_ip6[16],
    const uint8_t dst_ip6[16], uint8_t next_header, uint8_t hop_limit,
    uint16_t payload_len)
{
	cursor_out_be32(out, IP6_VERSION);
	cursor_out_be16(out, payload_len);
	cursor_out_u8(out, next_header);
	cursor_out_u8(out, hop_limit);
	cursor_out_bytes(out, src_ip6, 16);
	cursor_out_bytes(out, dst_ip6, 16);
}

/*
 * The header goes in front of a payload that is in its place already; sum has
 * the pseudo header.
 */
static void
put_udp(struct cursor_out *out, uint16_t sport, uint16_t dport, uint16_t len,
    struct checksum *sum)
{
	const size_t at = out->len;
	uint16_t checksum;

	cursor_out_be16(out, sport);
	cursor_out_be16(out, dport);
	cursor_out_be16(out, len);
	cursor_out_be16(out, 0);
	checksum_add(sum, out->base + at, len);
	checksum = checksum_finish(sum);
	cursor_out_patch16(out, at + UDP_CHECKSUM_OFF,
	    checksum == 0 ? 0xffff : checksum); /* RFC 768: 0 is "none" */
}

/* 1 if payload is where it belongs, behind headroom bytes of frame. */
static int
place_payload(const uint8_t *payload, size_t payload_len, size_t headroom,
    size_t packet_max, uint8_t *frame, size_t cap)
{
	if (payload_len > packet_max - PACKET_UDP_LEN || cap < headroom ||
	    payload_len > cap - headroom)
		return (0);
	if (payload_len > 0)
		memmove(frame + headroom, payload, payload_len);
	return (1);
}

size_t
packet_build_udp(const struct packet_udp *udp, const uint8_t *payload,
    size_t payload_len, uint8_t *frame, size_t cap)
{
	const uint16_t udp_len = (uint16_t)(PACKET_UDP_LEN + payload_len);
	struct cursor_out out;
	struct checksum sum;

	if (!place_payload(payload, payload_len, PACKET_UDP_HEADROOM,
		UINT16_MAX - PACKET_IP4_LEN, frame, cap))
		return (0);
	cursor_out_init(&out, frame, cap);
	packet_put_ether(&out, udp->dst_mac, udp->src_mac,
	    PACKET_ETHERTYPE_IP4);
	packet_put_ip4(&out, udp->src_ip, udp->dst_ip, IPPROTO_UDP, udp->ip_id,
	    udp->may_fragment, (uint16_t)(PACKET_IP4_LEN + udp_len));
	checksum_init(&sum);
	checksum_pseudo4(&sum, udp->src_ip, udp->dst_ip, IPPROTO_UDP, udp_len);
	put_udp(&out, udp->sport, udp->dport, udp_len, &sum);
	return (PACKET_UDP_HEADROOM + payload_len);
}

size_t
packet_build_udp6(const struct packet_udp6 *udp, const uint8_t *payload,
    size_t payload_len, uint8_t *frame, size_t cap)
{
	const uint16_t udp_len = (uint16_t)(PACKET_UDP_LEN + payload_len);
	struct cursor_out out;
	struct checksum sum;

	if (!place_payload(payload, payload_len, PACKET_UDP6_HEADROOM,
		UINT16_MAX, frame, cap))
		return (0);
	cursor_out_init(&out, frame, cap);
	packet_put_ether(&out, udp->dst_mac, udp->src_mac,
	    PACKET_ETHERTYPE_IP6);
	packet_put_ip6(&out, udp->src_ip6, udp->dst_ip6, IPPROTO_UDP,
	    PACKET_HOP_LIMIT, udp_len);
	checksum_init(&sum);
	checksum_pseudo6(&sum, udp->src_ip6, udp->dst_ip6, IPPROTO_UDP,
	    udp_len);
	put_udp(&out, udp->sport, udp->dport, udp_len, &sum);
	return (PACKET_UDP6_HEADROOM + payload_len);
}
