#include "netproc/gateway/packet.h"

#include <netinet/in.h>

#include "ipc/cursor.h"
#include "netproc/link/checksum.h"

#define IP4_VERSION_IHL	 0x45
#define IP4_DF		 0x4000
#define IP4_TTL		 64
#define IP4_CHECKSUM_OFF 10
#define UDP_CHECKSUM_OFF 6

static void
store_be16(uint8_t *at, uint16_t v)
{
	at[0] = (uint8_t)(v >> 8);
	at[1] = (uint8_t)v;
}

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
    uint8_t protocol, uint16_t ip_id, uint16_t total_len)
{
	uint8_t *header;

	header = cursor_out_room(out, PACKET_IP4_LEN);
	if (header == NULL)
		return;
	out->len -= PACKET_IP4_LEN;
	cursor_out_u8(out, IP4_VERSION_IHL);
	cursor_out_u8(out, 0); /* DSCP, ECN */
	cursor_out_be16(out, total_len);
	cursor_out_be16(out, ip_id);
	cursor_out_be16(out, IP4_DF);
	cursor_out_u8(out, IP4_TTL);
	cursor_out_u8(out, protocol);
	cursor_out_be16(out, 0); /* checksum */
	cursor_out_be32(out, src_ip);
	cursor_out_be32(out, dst_ip);
	store_be16(header + IP4_CHECKSUM_OFF,
	    checksum_of(header, PACKET_IP4_LEN));
}

/* The header goes in front of a payload that is in its place already. */
static void
put_udp(struct cursor_out *out, const struct packet_udp *udp, uint16_t len)
{
	uint8_t *header = out->base + out->len;
	struct checksum sum;
	uint16_t checksum;

	cursor_out_be16(out, udp->sport);
	cursor_out_be16(out, udp->dport);
	cursor_out_be16(out, len);
	cursor_out_be16(out, 0);
	checksum_init(&sum);
	checksum_pseudo4(&sum, udp->src_ip, udp->dst_ip, IPPROTO_UDP, len);
	checksum_add(&sum, header, len);
	checksum = checksum_finish(&sum);
	store_be16(header + UDP_CHECKSUM_OFF,
	    checksum == 0 ? 0xffff : checksum); /* RFC 768: 0 is "none" */
}

size_t
packet_build_udp(const struct packet_udp *udp, const uint8_t *payload,
    size_t payload_len, uint8_t *frame, size_t cap)
{
	struct cursor_out out;
	size_t udp_len;

	if (payload_len > UINT16_MAX - PACKET_IP4_LEN - PACKET_UDP_LEN ||
	    cap < PACKET_UDP_HEADROOM ||
	    payload_len > cap - PACKET_UDP_HEADROOM)
		return (0);
	udp_len = PACKET_UDP_LEN + payload_len;
	if (payload_len > 0)
		memmove(frame + PACKET_UDP_HEADROOM, payload, payload_len);
	cursor_out_init(&out, frame, cap);
	packet_put_ether(&out, udp->dst_mac, udp->src_mac,
	    PACKET_ETHERTYPE_IP4);
	packet_put_ip4(&out, udp->src_ip, udp->dst_ip, IPPROTO_UDP, udp->ip_id,
	    (uint16_t)(PACKET_IP4_LEN + udp_len));
	put_udp(&out, udp, (uint16_t)udp_len);
	return (PACKET_UDP_HEADROOM + payload_len);
}
