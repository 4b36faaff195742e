/*
 * How a flow ends: our descriptor closed, FLOW_CLOSE said once, the 4-tuple
 * free, the slot free when relayproc has heard of it.
 */

#include <unistd.h>

#include "lwip/priv/tcp_priv.h"
#include "lwip/tcp.h"

#include "netproc/flow/ahead.h"
#include "netproc/flow/dns_flow.h"
#include "netproc/flow/end.h"
#include "netproc/flow/intercept.h"
#include "netproc/flow/turn.h"
#include "netproc/netproc.h"

/* lwIP goes on with the connection by itself, or has none any more. */
void
end_detach(struct flow *flow)
{
	struct tcp_pcb *pcb = flow->pcb;

	if (pcb == NULL)
		return;
	tcp_arg(pcb, NULL);
	tcp_recv(pcb, NULL);
	tcp_sent(pcb, NULL);
	tcp_err(pcb, NULL);
	flow->pcb = NULL;
}

/* Closes our end, says FLOW_CLOSE, and frees what may be freed. */
void
end_flow(struct flow *flow, enum flow_close_reason reason)
{
	struct netproc *np = flow->np;
	struct ipc_flow_close close_msg = { .reason = reason };
	const uint32_t wire = flow_wire_slot(&np->flows, flow);

	end_detach(flow);
	ahead_count(flow);
	turn_untouch(flow);
	if (flow->fd != -1) {
		/* Before close: relayproc's dup keeps the entry alive. */
		if (flow->watched)
			event_del(&flow->ev);
		flow->watched = 0;
		close(flow->fd);
		flow->fd = -1;
	}
	flow->nturn = 0;
	/* Or room on the link would touch it again, and the tick probe it. */
	flow->broken = flow->readable = flow->starved = 0;
	block_queue_clear(&np->blocks, &flow->up, 0, 0);
	block_queue_clear(&np->blocks, &flow->down, np->writer.nqueued,
	    np->writer.nsent);
	dns_flow_detach(np, flow);
	flow_unhash(&np->flows, flow);
	if (reason != FLOW_CLOSE_DONE)
		COUNT(np, FLOWS_RESET);
	if (flow_step(flow, FLOW_EV_END, np->now_ms) == -1)
		fatalx("flow %#x ends in state %d", wire, (int)flow->state);
	netproc_say_relay(np, IPC_FLOW_CLOSE, wire, flow->generation,
	    &close_msg, sizeof(close_msg));
	if (flow->state == FLOW_FREE)
		flow_release(&np->flows, flow);
}

/*
 * lwIP's RST stands behind all that was sent, and a guest takes one only where
 * it stands itself (RFC 5961 3.2).  One that had no room for the last of that
 * takes another, behind what it has acknowledged.
 */
static void
reset_guest(struct tcp_pcb *pcb)
{
	if (pcb->state >= ESTABLISHED && pcb->lastack != pcb->snd_nxt)
		tcp_rst(pcb, pcb->lastack, pcb->rcv_nxt, &pcb->local_ip,
		    &pcb->remote_ip, pcb->local_port, pcb->remote_port);
	tcp_abort(pcb);
}

void
end_reset(struct flow *flow)
{
	struct netproc *np = flow->np;
	struct tcp_pcb *pcb = flow->pcb;
	const int refused = flow->state == FLOW_CONNECTING;
	const uint64_t hash = flow->hash;

	if (flow->state == FLOW_OPENING)
		intercept_reject(flow);
	end_flow(flow, refused ? FLOW_CLOSE_REFUSED : FLOW_CLOSE_RESET);
	if (pcb == NULL)
		return;
	demux_enter(&np->demux, hash);
	reset_guest(pcb);
	demux_leave(&np->demux);
}

void
end_forget(struct flow *flow)
{
	struct netproc *np = flow->np;
	struct tcp_pcb *pcb = flow->pcb;
	const int refused = flow->state == FLOW_CONNECTING;
	const uint64_t hash = flow->hash;

	end_flow(flow, refused ? FLOW_CLOSE_REFUSED : FLOW_CLOSE_RESET);
	if (pcb == NULL)
		return;
	demux_enter(&np->demux, hash);
	tcp_abandon(pcb, 0);
	demux_leave(&np->demux);
}

void
end_forget_all(struct netproc *np)
{
	struct flow *flow, *next;

	TAILQ_FOREACH_SAFE(flow, &np->flows.active, entry, next) {
		if (flow->state != FLOW_CLOSING)
			end_forget(flow);
	}
	demux_abandon_all(&np->demux);
}

void
end_reset_all(struct netproc *np)
{
	struct flow *flow, *next;

	TAILQ_FOREACH_SAFE(flow, &np->flows.active, entry, next) {
		if (flow->state != FLOW_CLOSING)
			end_reset(flow);
	}
}
