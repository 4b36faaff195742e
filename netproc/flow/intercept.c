/*
 * A SYN is held until the host connection stands: only then does lwIP see it,
 * so the guest's connect(2) succeeds when, and only when, the real one did.
 */

#include <string.h>

#include "lwip/priv/tcp_priv.h"
#include "lwip/tcp.h"

#include "ipc/addr.h"
#include "ipc/log.h"
#include "netproc/flow/ack.h"
#include "netproc/flow/ahead.h"
#include "netproc/flow/coalesce.h"
#include "netproc/flow/dns_flow.h"
#include "netproc/flow/end.h"
#include "netproc/flow/evict.h"
#include "netproc/flow/intercept.h"
#include "netproc/flow/orphan.h"
#include "netproc/flow/pump.h"
#include "netproc/flow/segment.h"
#include "netproc/flow/tcp.h"
#include "netproc/gateway/dns.h"
#include "netproc/gateway/icmp.h"
#include "netproc/link/link.h"
#include "netproc/netproc.h"

/*
 * What a socket takes that says it has room, as good as always: a third of
 * its buffer, which is 46 KiB at least.
 */
#define SURE_BYTES (16 * 1024)

/* Its data comes again, and a duplicate's options do not count: the headers. */
static void
syn_hold(struct flow *flow, const uint8_t *frame, const struct shield_frame *sf)
{
	const size_t len = sf->l4_off - sf->l3_off + sf->tcp_header_len;

	flow->syn_len = len;
	flow->irs = sf->tcp_seq;
	memcpy(flow->syn, frame + sf->l3_off, len);
	/* Data on a SYN comes again: the packet now ends with its header. */
	if (sf->version == 6) {
		flow->syn[4] = (uint8_t)(sf->tcp_header_len >> 8);
		flow->syn[5] = (uint8_t)sf->tcp_header_len;
	} else {
		flow->syn[2] = (uint8_t)(len >> 8);
		flow->syn[3] = (uint8_t)len;
	}
	flow->syn_l4_off = sf->l4_off - sf->l3_off;
}

static void
flow_open(struct netproc *np, const struct flow_tuple *tuple, uint64_t hash,
    const uint8_t *frame, const struct shield_frame *sf)
{
	struct ipc_flow_open open = {
		.dst = tuple->peer,
		.dst_port = tuple->peer_port,
		.mss = sf->tcp_mss,
	};
	struct flow *flow;

	/* Of the two that it has in IPv6 relayproc knows one. */
	if (sf->to_gateway && sf->version == 6)
		open.dst = np->cfg.gateway6;
	flow = flow_alloc(&np->flows, tuple, hash);
	if (flow == NULL) {
		COUNT(np, FLOWS_FULL);
		if (netproc_may_warn(np, WARNED_FLOWS_FULL))
			log_warn("SYNs are dropped: all %u flows are in use; "
				 "--max-flows would allow more",
			    (unsigned int)np->flows.nout);
		evict_want(np);
		return;
	}
	if (sf->to_gateway && sf->dport == DNS_PORT &&
	    dns_flow_attach(np, flow) == -1) {
		flow_release(&np->flows, flow);
		COUNT(np, FLOWS_FULL);
		return;
	}
	COUNT(np, FLOWS_OUT);
	syn_hold(flow, frame, sf);
	flow->syn_ms = np->now_ms;
	if (flow_step(flow, FLOW_EV_SYN, np->now_ms) == -1)
		fatalx("slot %u is given out in state %d",
		    (unsigned int)flow->slot, (int)flow->state);
	netproc_say_relay(np, IPC_FLOW_OPEN, flow_wire_slot(&np->flows, flow),
	    flow->generation, &open, sizeof(open));
}

void
intercept_linger_end(struct netproc *np, const struct flow_tuple *tuple,
    uint64_t hash)
{
	struct tcp_pcb *pcb;

	demux_enter(&np->demux, hash);
	pcb = demux_find(tuple);
	if (pcb != NULL)
		tcp_abandon(pcb, 0);
	demux_leave(&np->demux);
}

/* 1 if the SYN is a duplicate that needs no new flow. */
static int
syn_is_duplicate(struct netproc *np, struct flow *flow,
    const struct shield_frame *sf)
{
	if (flow->state == FLOW_CONNECTING)
		return (0); /* simultaneous open is lwIP's */
	if (sf->tcp_seq != flow->irs)
		return (0);
	COUNT(np, SYN_DUPLICATE);
	return (1);
}

/*
 * 1 if there is data past a FIN that waits for its turn.  lwIP moves that FIN
 * to the end of what covers it, which makes it one longer than was checked.
 */
static int
is_past_fin(const struct tcp_pcb *pcb, const struct shield_frame *sf)
{
	const struct tcp_seg *last;

	if (sf->payload_len == 0 || !ahead_has_fin(pcb))
		return (0);
	last = ahead_last(pcb);
	return (TCP_SEQ_GT(sf->tcp_seq + (uint32_t)sf->payload_len,
	    last->tcphdr->seqno + last->len));
}

/*
 * What no TCP sends and lwIP takes for impossible: a segment ahead of its
 * turn that runs past the window (it is queued as it comes, and too long when
 * its turn comes), data past the guest's end, and the answer to a SYN that we
 * have not sent.  Nor does one acknowledge nothing, whose bytes or end lwIP
 * would take all the same (RFC 9293 3.10.7.4, fifth).
 */
static int
segment_is_bogus(const struct flow *flow, const struct shield_frame *sf)
{
	const struct tcp_pcb *pcb = flow->pcb;
	const uint32_t ahead = sf->tcp_seq - pcb->rcv_nxt;
	const int fin = (sf->tcp_flags & SHIELD_TCP_FIN) != 0;

	if (flow->state == FLOW_ACCEPTING &&
	    (sf->tcp_flags & SHIELD_TCP_SYN) != 0 &&
	    (sf->tcp_flags & SHIELD_TCP_ACK) != 0)
		return (1);
	if ((sf->tcp_flags &
		(SHIELD_TCP_SYN | SHIELD_TCP_ACK | SHIELD_TCP_RST)) == 0)
		return (1);
	if (is_past_fin(pcb, sf))
		return (1);
	/*
	 * The last of the handshake finds lwIP's first window, and flow_up()
	 * makes it smaller: a SYN promises 64 KiB, which it keeps.
	 */
	if (flow->state == FLOW_ACCEPTING && ahead > 0 &&
	    ahead < pcb->rcv_wnd &&
	    (size_t)ahead + sf->payload_len + (size_t)fin > UINT16_MAX)
		return (1);
	return (flow->state != FLOW_CONNECTING && ahead > 0 &&
	    ahead < pcb->rcv_wnd &&
	    sf->payload_len + (size_t)fin > pcb->rcv_wnd - ahead);
}

/*
 * 1 if its acknowledgment makes it no segment of this connection.  lwIP 2.2.1
 * answers those from the future, and takes what comes with them.  Before the
 * connection stands they are refused, which it does itself; a RST and a SYN
 * are judged by their sequence number alone.
 */
static int
is_of_another(const struct flow *flow, const struct shield_frame *sf)
{
	return (flow->pcb->state >= ESTABLISHED &&
	    (sf->tcp_flags &
		(SHIELD_TCP_SYN | SHIELD_TCP_ACK | SHIELD_TCP_RST)) ==
		SHIELD_TCP_ACK &&
	    !ack_is_acceptable(flow->pcb, sf->tcp_ack));
}

/* 1 if lwIP would keep it, and may not. */
static int
is_too_early(const struct netproc *np, const struct flow *flow,
    const struct shield_frame *sf)
{
	return (ahead_is_full(np) &&
	    TCP_SEQ_GT(sf->tcp_seq, flow->pcb->rcv_nxt) &&
	    (sf->payload_len > 0 || (sf->tcp_flags & SHIELD_TCP_FIN) != 0));
}

/* What says more than its bytes. */
#define ENDS (SHIELD_TCP_FIN | SHIELD_TCP_SYN | SHIELD_TCP_RST)

static void
segment_to_lwip(struct netproc *np, struct flow *flow, uint64_t hash,
    uint8_t *frame, const struct shield_frame *sf)
{
	int copy = 1;

	/*
	 * In order, lwIP is done with the bytes when it returns.  Ahead of its
	 * turn it keeps even a segment of no bytes: a FIN.
	 */
	if (flow != NULL && flow->pcb != NULL) {
		if (segment_is_bogus(flow, sf)) {
			COUNT(np, SEGMENT_BOGUS);
			return;
		}
		if (is_of_another(flow, sf)) {
			COUNT(np, SEGMENT_BOGUS);
			ack_at_once(flow);
			return;
		}
		if (is_too_early(np, flow, sf)) {
			COUNT(np, SEGMENT_NO_ROOM);
			return;
		}
		copy = sf->tcp_seq != flow->pcb->rcv_nxt;
		if (copy && sf->payload_len > 0 && (sf->tcp_flags & ENDS) == 0)
			ahead_spare(flow->pcb, frame + sf->l4_off,
			    sf->payload_len);
		/*
		 * lwIP acknowledges every second one at once, if it may.  Of a
		 * RST it takes no data, though it may carry some (RFC 9293
		 * 3.5.3).
		 */
		if (flow->ack_owed && sf->payload_len > 0 &&
		    (sf->tcp_flags & SHIELD_TCP_RST) == 0)
			tcp_clear_flags(flow->pcb, TF_ACK_DELAY);
	}
	demux_enter(&np->demux, hash);
	netif_tcp_input(np, frame + sf->l3_off, sf->l3_len,
	    sf->l4_off - sf->l3_off, copy);
	demux_leave(&np->demux);
	if (flow != NULL)
		tcp_after_input(flow);
}

/*
 * lwIP answers the SYN as it was first (of another it would believe the MSS),
 * and takes that for a retransmission of its own, of which the twelfth ends the
 * connection.  Of one that stands the guest is told: if it knows nothing of it,
 * that makes it reset it.
 */
static void
syn_answer_again(struct flow *flow)
{
	u8_t nrtx;

	if (flow->state == FLOW_ESTABLISHED && flow->pcb != NULL)
		ack_at_once(flow); /* RFC 5961 4.2 */
	if (flow->state != FLOW_ACCEPTING || flow->pcb == NULL)
		return;
	nrtx = flow->pcb->nrtx;
	intercept_replay(flow);
	if (flow->pcb != NULL)
		flow->pcb->nrtx = nrtx;
}

static void
input_syn(struct netproc *np, struct flow *flow, const struct flow_tuple *tuple,
    uint64_t hash, uint8_t *frame, const struct shield_frame *sf)
{
	if (flow != NULL && syn_is_duplicate(np, flow, sf)) {
		syn_answer_again(flow);
		return;
	}
	if (flow != NULL && flow->state == FLOW_CONNECTING) {
		segment_to_lwip(np, flow, hash, frame, sf);
		return;
	}
	if (flow != NULL) {
		/* A new start on a live connection: the guest has forgotten
		 * the old one. */
		COUNT(np, GUEST_REBOOT);
		end_forget(flow);
	}
	intercept_linger_end(np, tuple, hash);
	flow_open(np, tuple, hash, frame, sf);
}

/* The guest may take its SYN back (RFC 9293 3.10.7.4: sequence exact). */
static void
input_opening(struct flow *flow, const struct shield_frame *sf)
{
	if ((sf->tcp_flags & SHIELD_TCP_RST) != 0 &&
	    sf->tcp_seq == flow->irs + 1)
		end_forget(flow);
}

/* 1 if the segment is of the flow with this tuple. */
static int
is_of(const struct flow_tuple *tuple, const uint8_t *frame,
    const struct shield_frame *sf)
{
	const size_t size = sf->version == 6 ? 16 : 4;
	const uint8_t *src = frame + sf->l3_off + (sf->version == 6 ? 8 : 12);

	return (tuple->guest_port == sf->sport &&
	    tuple->peer_port == sf->dport &&
	    tuple->guest.family == sf->version &&
	    memcmp(tuple->guest.bytes, src, size) == 0 &&
	    memcmp(tuple->peer.bytes, src + size, size) == 0);
}

/* 1 if lwIP ends it by itself: the guest's last word comes after the flow's. */
static int
lingers(struct netproc *np, const struct flow_tuple *tuple, uint64_t hash)
{
	int found;

	demux_enter(&np->demux, hash);
	found = demux_find(tuple) != NULL;
	demux_leave(&np->demux);
	return (found);
}

/* Bytes of the flow that this turn has brought, none of them written yet. */
static size_t
turn_bytes(const struct netproc *np, const struct flow *flow)
{
	const struct coalesce *c = &np->coalesce;
	size_t bytes = c->flow == flow ? c->bytes : 0;
	int i;

	for (i = 0; i < flow->nturn; i++)
		bytes += flow->turn[i].iov_len;
	return (bytes);
}

/*
 * 1 if the socket takes len bytes more: nothing of them will be held.  One
 * that has taken too much since it said so is asked again, as is the guest.
 */
static int
is_surely_taken(struct flow *flow, size_t turn, size_t len)
{
	const size_t before = flow->since_room + turn;

	if (flow->up.bytes > 0 || !flow->writable)
		return (0);
	if (before == 0 || before + len <= SURE_BYTES)
		return (1);
	if (turn == 0)
		pump_ask_room(flow);
	return (0);
}

/*
 * As if lost: the guest sends it again.  A window may have been promised when
 * there was more room, and is more than a flow's part of the second half of
 * the pool, one block.  The last of it is for who comes and goes: there a
 * flow may send what its socket takes, and nothing is held of what it does
 * not, or as many servers that do not read would be the end of all others.
 */
static int
is_without_room(const struct netproc *np, struct flow *flow,
    const struct shield_frame *sf)
{
	const size_t free_bytes = blocks_free_bytes(&np->blocks);
	const size_t len = sf->payload_len;
	size_t turn;

	if (len == 0 || free_bytes >= BLOCK_POOL_BYTES / 2)
		return (0);
	if (free_bytes < BLOCK_RESERVE / 2)
		return (1);
	turn = turn_bytes(np, flow);
	if (blocks_are_few(&np->blocks))
		return (!is_surely_taken(flow, turn, len));
	/* The least window is of two segments, if that is more. */
	if (flow->up.bytes == 0 &&
	    (turn == 0 ||
		(flow->writable && turn + len <= 2 * (size_t)flow->guest_mss)))
		return (0);
	return (flow->up.bytes + turn + len > BLOCK_SIZE);
}

static struct flow_tuple
tuple_of(const struct shield_frame *sf)
{
	const struct flow_tuple tuple = {
		.peer = shield_dst(sf),
		.guest = shield_src(sf),
		.peer_port = sf->dport,
		.guest_port = sf->sport,
	};

	return (tuple);
}

void
intercept_tcp(struct netproc *np, uint8_t *frame, const struct shield_frame *sf)
{
	const uint8_t kind = sf->tcp_flags &
	    (SHIELD_TCP_SYN | SHIELD_TCP_ACK | SHIELD_TCP_RST);
	const struct coalesce *c = &np->coalesce;
	struct flow *flow = c->flow;
	struct flow_tuple tuple;
	uint64_t hash;

	/* Segments come in bursts of one flow: no hash for the next one. */
	if (flow != NULL && is_of(&flow->tuple, frame, sf)) {
		hash = c->hash;
	} else {
		tuple = tuple_of(sf);
		hash = demux_hash(np->hash_key, &tuple);
		flow = flow_lookup(&np->flows, &tuple, hash);
	}
	if (flow != NULL && is_without_room(np, flow, sf)) {
		COUNT(np, SEGMENT_NO_ROOM);
		return;
	}
	if (flow != NULL && coalesce_add(np, flow, hash, frame, sf))
		return;
	/* What waited comes first, and may be the end of its flow. */
	coalesce_flush(np);
	tuple = tuple_of(sf);
	flow = flow_lookup(&np->flows, &tuple, hash);
	if (flow == NULL)
		orphans_heard(np, &tuple, hash, sf->tcp_flags);
	if (kind == SHIELD_TCP_SYN) {
		input_syn(np, flow, &tuple, hash, frame, sf);
		return;
	}
	if (flow != NULL && flow->state == FLOW_OPENING) {
		input_opening(flow, sf);
		return;
	}
	if (flow == NULL && !lingers(np, &tuple, hash)) {
		COUNT(np, SEGMENT_UNKNOWN);
		segment_refuse(np, &tuple, sf);
		return;
	}
	segment_to_lwip(np, flow, hash, frame, sf);
}

void
intercept_stray(struct netproc *np, const struct shield_frame *sf)
{
	const struct flow_tuple tuple = tuple_of(sf);
	const uint64_t hash = demux_hash(np->hash_key, &tuple);

	/* One of no flags is nothing to a connection (RFC 9293 3.10.7.4). */
	if (flow_lookup(&np->flows, &tuple, hash) != NULL ||
	    lingers(np, &tuple, hash))
		return;
	COUNT(np, SEGMENT_UNKNOWN);
	segment_refuse(np, &tuple, sf);
}

void
intercept_unreach(struct netproc *np, const uint8_t *frame,
    const struct shield_frame *sf)
{
	struct icmp_unreach about;
	struct flow_tuple tuple;
	struct flow *flow;

	if (icmp_parse_unreach(sf->version == 6, frame + sf->l4_off, sf->l4_len,
		&about) == -1)
		return;
	tuple.peer = about.src;
	tuple.guest = about.dst;
	tuple.peer_port = about.sport;
	tuple.guest_port = about.dport;
	flow = flow_lookup(&np->flows, &tuple,
	    demux_hash(np->hash_key, &tuple));
	/* Of a SYN, lwIP's last acknowledged is its own number. */
	if (flow != NULL && flow->state == FLOW_CONNECTING &&
	    flow->pcb != NULL && flow->pcb->lastack == about.seq)
		end_forget(flow);
}

void
intercept_replay(struct flow *flow)
{
	struct netproc *np = flow->np;
	uint8_t syn[FLOW_SYN_MAX];

	memcpy(syn, flow->syn, flow->syn_len);
	demux_enter(&np->demux, flow->hash);
	tcp_listen_begin(flow);
	netif_tcp_input(np, syn, flow->syn_len, flow->syn_l4_off, 1);
	tcp_listen_end(flow);
	demux_leave(&np->demux);
}

void
intercept_reject(struct flow *flow)
{
	const struct shield_frame syn = {
		.tcp_flags = SHIELD_TCP_SYN,
		.tcp_seq = flow->irs,
	};

	segment_refuse(flow->np, &flow->tuple, &syn);
}
