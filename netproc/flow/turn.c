/*
 * The work of a flow is done at the end of a turn of the event loop: whatever
 * happens to it before only touches it.  Segments of one turn are so written
 * together, acknowledged once, and lwIP's callbacks never abort a connection
 * that lwIP is still busy with.
 */

#include <sys/socket.h>

#include <errno.h>

#include <event2/event.h>

#include "lwip/priv/tcp_priv.h"
#include "lwip/tcp.h"

#include "netproc/flow/ack.h"
#include "netproc/flow/ahead.h"
#include "netproc/flow/end.h"
#include "netproc/flow/evict.h"
#include "netproc/flow/pump.h"
#include "netproc/flow/recover.h"
#include "netproc/flow/turn.h"
#include "netproc/link/link.h"
#include "netproc/netproc.h"

void
turn_untouch(struct flow *flow)
{
	struct netproc *np = flow->np;

	if (flow->is_touched)
		TAILQ_REMOVE(&np->touched, flow, touched);
	if (flow->is_again)
		TAILQ_REMOVE(&np->again, flow, again);
	flow->is_touched = 0;
	flow->is_again = 0;
	turn_look_end(flow);
	ack_end(flow);
}

void
turn_touch(struct flow *flow)
{
	flow_wake(flow);
	if (flow->is_touched)
		return;
	TAILQ_INSERT_TAIL(&flow->np->touched, flow, touched);
	flow->is_touched = 1;
}

/* Tells the host of the guest's end, and the guest of the host's. */
static void
pass_ends(struct flow *flow)
{
	struct netproc *np = flow->np;
	struct ipc_empty empty = { 0 };

	if (flow->guest_fin && !flow->shut_wr && flow->up.bytes == 0) {
		shutdown(flow->fd, SHUT_WR);
		flow->shut_wr = 1;
		if (flow->spliced)
			netproc_say_relay(np, IPC_FLOW_SHUT_WR,
			    flow_wire_slot(&np->flows, flow), flow->generation,
			    &empty, sizeof(empty));
	}
	/*
	 * After the guest's FIN ours leads to LAST_ACK, which lasts as long as
	 * retransmissions do (demux_tick()), and a closed window makes none:
	 * all data goes first.
	 *
	 * In a segment of its own: lwIP 2.2.1 cuts one that a small window
	 * does not take (tcp_split_unsent_seg), and leaves the FIN on both
	 * parts.  The guest would take the first for the end.
	 */
	if (flow->host_fin && !flow->fin_sent && flow->pcb != NULL &&
	    flow->pcb->unsent == NULL &&
	    flow->down_written == flow->down.bytes &&
	    (!flow->guest_fin || flow->down.bytes == 0)) {
		flow->fin_sent = 1;
		demux_enter(&np->demux, flow->hash);
		tcp_shutdown(flow->pcb, 0, 1);
		demux_leave(&np->demux);
	}
}

/* From the first end on, or the last byte: a turn without one is no life. */
static void
half_closed_expect(struct flow *flow)
{
	if (!flow->guest_fin && !flow->host_fin)
		flow->deadline_ms = 0;
	else if (flow->deadline_ms == 0)
		flow->deadline_ms = flow->np->now_ms + FLOW_HALF_CLOSED_MS;
	else if (flow->deadline_ms < flow->used_ms + FLOW_HALF_CLOSED_MS)
		flow->deadline_ms = flow->used_ms + FLOW_HALF_CLOSED_MS;
}

int
turn_reset(struct flow *flow)
{
	const struct netproc *np = flow->np;

	/* A RST is said once, and who finds the link full drops it. */
	if (np->frame_fd != -1 && !link_has_room(np))
		return (0);
	end_reset(flow);
	return (1);
}

void
turn_last(struct flow *flow)
{
	if (flow->state != FLOW_ESTABLISHED)
		return;
	pump_up_flush(flow);
	pass_ends(flow);
}

static void
flow_turn(struct flow *flow)
{
	ahead_count(flow);
	if (flow->state != FLOW_ESTABLISHED)
		return;
	pump_up_flush(flow);
	if (flow->pcb != NULL) {
		pump_down_release(flow);
		pump_down(flow);
	}
	if (flow->broken != 0) {
		turn_reset(flow);
		return;
	}
	pass_ends(flow);
	if (flow->fin_sent && flow->reset_follows) {
		flow->broken = ECONNRESET;
		turn_reset(flow);
		return;
	}
	ack_turn(flow);
	half_closed_expect(flow);
	if (flow->shut_wr && flow->down.bytes == 0 &&
	    (flow->fin_sent || flow->pcb == NULL))
		end_flow(flow, FLOW_CLOSE_DONE);
}

void
turn_flush(struct netproc *np)
{
	struct flow *flow;

	while ((flow = TAILQ_FIRST(&np->touched)) != NULL) {
		TAILQ_REMOVE(&np->touched, flow, touched);
		flow->is_touched = 0;
		demux_wake(&np->demux, flow->hash); /* lwIP may send */
		flow_turn(flow);
	}
}

void
turn_link_drained(struct netproc *np)
{
	struct flow *flow;

	TAILQ_FOREACH(flow, &np->flows.awake, awake) {
		ack_again(flow);
		if (flow->broken != 0 ||
		    (flow->pcb != NULL &&
			(flow->readable || flow->pcb->unsent != NULL)))
			turn_touch(flow);
	}
}

/*
 * The pool had run short, or a reset came with the last bytes: reads until
 * there is nothing.
 */
static void
flow_look_again(struct flow *flow)
{
	turn_look_end(flow);
	if (flow->pcb == NULL)
		return;
	flow->readable = 1;
	flow->hung_up = 1;
	turn_touch(flow);
}

static void
flow_still_readable(struct flow *flow)
{
	if (flow->pcb != NULL)
		pump_ask_window(flow);
	/* Its reset may have come when there was room, and found none. */
	if (flow->starved)
		pump_probe(flow);
	flow_look_again(flow);
}

static void
on_look(evutil_socket_t fd, short what, void *arg)
{
	struct netproc *np = arg;
	struct flow *flow;

	(void)fd;
	(void)what;
	netproc_wake(np);
	while ((flow = TAILQ_FIRST(&np->looks)) != NULL)
		flow_look_again(flow);
}

int
turn_init(struct netproc *np)
{
	TAILQ_INIT(&np->touched);
	TAILQ_INIT(&np->again);
	TAILQ_INIT(&np->looks);
	np->ev_look = event_new(np->base, -1, 0, on_look, np);
	return (np->ev_look == NULL ? -1 : 0);
}

void
turn_look_soon(struct flow *flow)
{
	static const struct timeval wait = { .tv_usec = LOOK_MS * 1000 };
	struct netproc *np = flow->np;

	if (flow->recheck)
		return;
	flow->recheck = 1;
	if (TAILQ_EMPTY(&np->looks))
		event_add(np->ev_look, &wait);
	TAILQ_INSERT_TAIL(&np->looks, flow, look_entry);
}

void
turn_look_end(struct flow *flow)
{
	if (flow->recheck)
		TAILQ_REMOVE(&flow->np->looks, flow, look_entry);
	flow->recheck = 0;
}

static void
flow_expired(struct flow *flow)
{
	struct netproc *np = flow->np;

	/* Else the next tick finds it again. */
	if (turn_reset(flow))
		COUNT(np, FLOWS_TIMEOUT);
}

int
turn_may_sleep(const struct flow *flow)
{
	return (!flow->is_touched && !flow->is_again && flow->broken == 0 &&
	    flow->deadline_ms == 0 && !flow->recheck && !flow->readable &&
	    flow->ahead_bytes == 0 && !flow->ack_waits && !flow->ack_refused &&
	    (flow->pcb == NULL ||
		(flow->down_written == flow->down.bytes &&
		    demux_is_quiet(flow->pcb))));
}

void
turn_tick(struct netproc *np)
{
	struct flow *flow, *next;
	int all;

	if (np->frame_fd != -1 && !np->shield.guest_mac_known)
		netif_ask_mac(np);
	evict_idle(np);
	TAILQ_FOREACH_SAFE(flow, &np->flows.awake, awake, next) {
		if (turn_may_sleep(flow)) {
			flow_sleep(flow);
			continue;
		}
		if (flow->ahead_bytes > 0)
			ahead_count(flow); /* lwIP drops it after a while */
		recover_tick(flow);
		if (flow->deadline_ms != 0 && flow->deadline_ms <= np->now_ms)
			flow_expired(flow);
		else if (flow->readable)
			flow_still_readable(flow);
		else if (flow->pcb != NULL &&
		    (flow->pcb->unsent != NULL ||
			flow->down_written < flow->down.bytes))
			turn_touch(flow); /* to be sent again, or stuck */
	}
	acks_hurry(np);
	all = np->now_ms - np->swept_ms >= TURN_SWEEP_MS;
	if (all)
		np->swept_ms = np->now_ms;
	demux_tick(&np->demux, np->hash_key, all);
}

int
turn_requeue(struct netproc *np)
{
	struct flow *flow;

	if (TAILQ_EMPTY(&np->again))
		return (0);
	while ((flow = TAILQ_FIRST(&np->again)) != NULL) {
		TAILQ_REMOVE(&np->again, flow, again);
		flow->is_again = 0;
		turn_touch(flow);
	}
	return (1);
}
