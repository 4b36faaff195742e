#include <netinet/in.h>

#include "ipc/cursor.h"
#include "netproc/gateway/icmp.h"
#include "netproc/gateway/packet.h"
#include "netproc/link/checksum.h"

/*
 * What is said to the guest about datagrams that went to the host long ago,
 * and of which netproc has kept addresses and ports alone; relayproc adds
 * what it remembers.
 */

#define L4_LEN		  8 /* of UDP and of an echo message */
#define ICMP_CHECKSUM_OFF 2
#define ICMP_ID_OFF	  4

static void
put_ip(struct cursor_out *c, const struct ipc_addr *src,
    const struct ipc_addr *dst, uint8_t proto, uint16_t ip_id, size_t len)
{
	size_t total_len = PACKET_IP4_LEN + len;

	if (src->family == 6) {
		packet_put_ip6(c, src->bytes, dst->bytes, proto,
		    PACKET_HOP_LIMIT,
		    (uint16_t)(len > UINT16_MAX ? UINT16_MAX : len));
		return;
	}
	if (total_len > UINT16_MAX)
		total_len = UINT16_MAX;
	packet_put_ip4(c, addr_to_ip4(src), addr_to_ip4(dst), proto, ip_id, 1,
	    (uint16_t)total_len);
}

/* The first 8 bytes of UDP or of an echo request. */
static void
put_l4(struct cursor_out *c, const struct icmp_datagram *datagram, size_t len)
{
	if (datagram->proto == IPPROTO_UDP) {
		cursor_out_be16(c, datagram->guest_port);
		cursor_out_be16(c, datagram->peer_port);
		cursor_out_be16(c,
		    (uint16_t)(len > UINT16_MAX ? UINT16_MAX : len));
		cursor_out_be16(c, 0); /* checksum: the payload is gone */
		return;
	}
	cursor_out_u8(c,
	    datagram->proto == IPPROTO_ICMPV6 ? ICMP6_ECHO_REQUEST :
						ICMP4_ECHO_REQUEST);
	cursor_out_u8(c, 0);   /* code */
	cursor_out_be16(c, 0); /* checksum */
	cursor_out_be16(c, datagram->guest_port);
	cursor_out_be16(c, datagram->peer_port);
}

static int
is_consistent(const struct icmp_datagram *datagram)
{
	const unsigned int family = datagram->guest.family;

	if (family != datagram->peer.family)
		return (0);
	switch (datagram->proto) {
	case IPPROTO_UDP:
		return (family == 4 || family == 6);
	case IPPROTO_ICMP:
		return (family == 4);
	case IPPROTO_ICMPV6:
		return (family == 6);
	default:
		return (0);
	}
}

size_t
icmp_build_for_datagram(enum icmp_error error, uint32_t mtu,
    const struct ipc_addr *from, uint16_t ip_id,
    const struct icmp_datagram *datagram, uint8_t *out, size_t cap)
{
	const size_t len = L4_LEN + (size_t)datagram->len;
	uint8_t packet[PACKET_IP6_LEN + L4_LEN];
	struct cursor_out c;

	if (!is_consistent(datagram) || from->family != datagram->guest.family)
		return (0);
	cursor_out_init(&c, packet, sizeof(packet));
	put_ip(&c, &datagram->guest, &datagram->peer, datagram->proto, 0, len);
	put_l4(&c, datagram, len);
	return (icmp_build_error(error, mtu, from, ip_id, packet, c.len, out,
	    cap));
}

size_t
icmp_build_echo_reply(const struct ipc_addr *src, const struct ipc_addr *dst,
    uint16_t id, uint16_t ip_id, const uint8_t *message, size_t len,
    uint8_t *out, size_t cap)
{
	const int ip6 = src->family == 6;
	const size_t head_len = ip6 ? PACKET_IP6_LEN : PACKET_IP4_LEN;
	const size_t len_max = ip6 ? UINT16_MAX : UINT16_MAX - PACKET_IP4_LEN;
	struct checksum sum;
	struct cursor_out c;

	if (src->family != dst->family || (!ip6 && src->family != 4) ||
	    len < L4_LEN || len > len_max || cap < head_len ||
	    len > cap - head_len ||
	    message[0] != (ip6 ? ICMP6_ECHO_REPLY : ICMP4_ECHO_REPLY))
		return (0);
	memmove(out + head_len, message, len);
	cursor_out_init(&c, out, cap);
	put_ip(&c, src, dst, ip6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP, ip_id, len);
	(void)cursor_out_room(&c, len);
	cursor_out_patch16(&c, head_len + ICMP_ID_OFF, id);
	cursor_out_patch16(&c, head_len + ICMP_CHECKSUM_OFF, 0);
	checksum_init(&sum);
	if (ip6)
		checksum_pseudo6(&sum, src->bytes, dst->bytes, IPPROTO_ICMPV6,
		    (uint32_t)len);
	checksum_add(&sum, out + head_len, len);
	cursor_out_patch16(&c, head_len + ICMP_CHECKSUM_OFF,
	    checksum_finish(&sum));
	return (c.len);
}
