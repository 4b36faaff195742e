#include <string.h>

#include "lwip/priv/tcp_priv.h"
#include "lwip/tcp.h"

#include "netproc/flow/ack.h"
#include "netproc/flow/ahead.h"
#include "netproc/flow/coalesce.h"
#include "netproc/flow/tcp.h"
#include "netproc/link/link.h"
#include "netproc/netproc.h"

/* Offsets of RFC 9293 3.1, and NOP NOP timestamps as all stacks send them. */
#define TCP_ACK_AT	 8
#define TCP_FLAGS_AT	 13
#define TCP_WINDOW_AT	 14
#define TCP_OPTIONS_AT	 20
#define STAMPED_LEN	 32
#define STAMP_OPTION	 "\x01\x01\x08\x0a"
#define STAMP_OPTION_LEN 4

/* Headers, and what tcp_input() counts in 16 bits. */
#define BYTES_MAX (UINT16_MAX - 60)

static int
segment_is_plain(const struct flow *flow, const uint8_t *tcp,
    const struct shield_frame *sf)
{
	return (flow->state == FLOW_ESTABLISHED && flow->pcb != NULL &&
	    sf->payload_len > 0 &&
	    (sf->tcp_flags & ~SHIELD_TCP_PSH) == SHIELD_TCP_ACK &&
	    ack_is_acceptable(flow->pcb, sf->tcp_ack) &&
	    (sf->tcp_header_len == TCP_OPTIONS_AT ||
		(sf->tcp_header_len == STAMPED_LEN &&
		    memcmp(tcp + TCP_OPTIONS_AT, STAMP_OPTION,
			STAMP_OPTION_LEN) == 0)));
}

/* What the window takes from seq on, bytes. */
static uint32_t
room_from(const struct tcp_pcb *pcb, uint32_t seq)
{
	const uint32_t ahead = seq - pcb->rcv_nxt;

	return (ahead < pcb->rcv_wnd ? pcb->rcv_wnd - ahead : 0);
}

/*
 * 1 if the last that waits begins there: lwIP takes nothing longer for it, and
 * what follows would be dropped with what came twice.
 */
static int
begins_as_last(const struct tcp_pcb *pcb, uint32_t seq)
{
	const struct tcp_seg *last = ahead_last(pcb);

	return (last != NULL && last->tcphdr->seqno == seq);
}

/* 1 if the segment can be the first of some. */
static int
can_begin(const struct netproc *np, const struct tcp_pcb *pcb,
    const struct shield_frame *sf)
{
	if (pcb->state != ESTABLISHED || sf->payload_len > BYTES_MAX ||
	    sf->payload_len > room_from(pcb, sf->tcp_seq))
		return (0);
	if (sf->tcp_seq == pcb->rcv_nxt)
		return (pcb->ooseq == NULL);
	return ((pcb->flags & TF_SACK) != 0 && !ahead_has_fin(pcb) &&
	    !begins_as_last(pcb, sf->tcp_seq) && !ahead_is_full(np));
}

static int
can_follow(const struct coalesce *c, const struct tcp_pcb *pcb,
    const struct shield_frame *sf)
{
	return (sf->tcp_seq == c->next_seq && c->n < COALESCE_MAX &&
	    sf->tcp_header_len == c->header_len &&
	    c->bytes + sf->payload_len <= BYTES_MAX &&
	    sf->payload_len <= room_from(pcb, sf->tcp_seq));
}

int
coalesce_add(struct netproc *np, struct flow *flow, uint64_t hash,
    uint8_t *frame, const struct shield_frame *sf)
{
	struct coalesce *c = &np->coalesce;
	uint8_t *tcp = frame + sf->l4_off;

	if (!segment_is_plain(flow, tcp, sf))
		return (0);
	if (c->flow != flow || !can_follow(c, flow->pcb, sf)) {
		coalesce_flush(np);
		/* What came of it may have ended the flow. */
		if (flow->pcb == NULL || !can_begin(np, flow->pcb, sf))
			return (0);
		c->flow = flow;
		c->hash = hash;
		c->packet = frame + sf->l3_off;
		c->l4_off = sf->l4_off - sf->l3_off;
		c->header_len = sf->tcp_header_len;
		c->next_seq = sf->tcp_seq;
		c->ahead = sf->tcp_seq != flow->pcb->rcv_nxt;
		c->bytes = 0;
		c->n = 0;
	}
	c->last = tcp;
	c->piece[c->n].bytes = frame + sf->payload_off;
	c->piece[c->n++].len = sf->payload_len;
	c->bytes += sf->payload_len;
	c->next_seq += (uint32_t)sf->payload_len;
	return (1);
}

void
coalesce_flush(struct netproc *np)
{
	struct coalesce *c = &np->coalesce;
	struct flow *flow = c->flow;
	uint8_t *tcp;

	if (flow == NULL)
		return;
	c->flow = NULL;
	tcp = c->packet + c->l4_off;
	memcpy(tcp + TCP_ACK_AT, c->last + TCP_ACK_AT, sizeof(uint32_t));
	memcpy(tcp + TCP_WINDOW_AT, c->last + TCP_WINDOW_AT, sizeof(uint16_t));
	tcp[TCP_FLAGS_AT] = c->last[TCP_FLAGS_AT];
	if (flow->ack_owed)
		tcp_clear_flags(flow->pcb, TF_ACK_DELAY);
	if (c->ahead)
		ahead_spare(flow->pcb, tcp, c->bytes);
	demux_enter(&np->demux, c->hash);
	netif_tcp_input_pieces(np, c);
	demux_leave(&np->demux);
	tcp_after_input(flow);
}
