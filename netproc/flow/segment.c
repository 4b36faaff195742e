#include "netproc/flow/segment.h"

#include <netinet/in.h>

#include "ipc/cursor.h"
#include "netproc/gateway/packet.h"
#include "netproc/link/checksum.h"
#include "netproc/link/link.h"
#include "netproc/netproc.h"

#define TCP_LEN		 20
#define TCP_CHECKSUM_OFF 16

void
segment_send(struct netproc *np, const struct flow_tuple *tuple,
    const struct segment *segment)
{
	const struct ipc_addr *peer = &tuple->peer, *guest = &tuple->guest;
	uint8_t packet[PACKET_IP6_LEN + TCP_LEN];
	struct cursor_out out;
	struct checksum sum;
	size_t tcp;

	cursor_out_init(&out, packet, sizeof(packet));
	checksum_init(&sum);
	if (guest->family == 6) {
		packet_put_ip6(&out, peer->bytes, guest->bytes, IPPROTO_TCP,
		    PACKET_HOP_LIMIT, TCP_LEN);
		checksum_pseudo6(&sum, peer->bytes, guest->bytes, IPPROTO_TCP,
		    TCP_LEN);
	} else {
		packet_put_ip4(&out, addr_to_ip4(peer), addr_to_ip4(guest),
		    IPPROTO_TCP, np->ip_id++, 0, PACKET_IP4_LEN + TCP_LEN);
		checksum_pseudo4(&sum, addr_to_ip4(peer), addr_to_ip4(guest),
		    IPPROTO_TCP, TCP_LEN);
	}
	tcp = out.len;
	cursor_out_be16(&out, tuple->peer_port);
	cursor_out_be16(&out, tuple->guest_port);
	cursor_out_be32(&out, segment->seq);
	cursor_out_be32(&out, segment->ack);
	cursor_out_be16(&out, (uint16_t)(TCP_LEN / 4 << 12 | segment->flags));
	cursor_out_be16(&out, segment->window);
	cursor_out_be16(&out, 0); /* checksum */
	cursor_out_be16(&out, 0); /* urgent pointer */
	checksum_add(&sum, packet + tcp, TCP_LEN);
	cursor_out_patch16(&out, tcp + TCP_CHECKSUM_OFF, checksum_finish(&sum));
	link_send_ip(np, packet, out.len);
}

void
segment_refuse(struct netproc *np, const struct flow_tuple *tuple,
    const struct shield_frame *sf)
{
	struct segment rst = { .flags = SHIELD_TCP_RST };

	if ((sf->tcp_flags & SHIELD_TCP_RST) != 0)
		return;
	if ((sf->tcp_flags & SHIELD_TCP_ACK) != 0) {
		rst.seq = sf->tcp_ack;
	} else {
		rst.flags |= SHIELD_TCP_ACK;
		rst.ack = sf->tcp_seq + (uint32_t)sf->payload_len +
		    ((sf->tcp_flags & SHIELD_TCP_SYN) != 0) +
		    ((sf->tcp_flags & SHIELD_TCP_FIN) != 0);
	}
	segment_send(np, tuple, &rst);
}
