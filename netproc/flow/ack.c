#include <event2/event.h>

#include "lwip/priv/tcp_priv.h"
#include "lwip/tcp.h"

#include "netproc/flow/ack.h"
#include "netproc/flow/turn.h"
#include "netproc/netproc.h"

/*
 * More is no request, but the stream of one who sends on; and who may send no
 * more than that is told of its window instead.  Bytes.
 */
#define LONE_MAX   1400
#define WINDOW_LOW BLOCK_SIZE

/*
 * How often a flow that is waited for has been answered in time, more or less.
 * A guest that waits for the acknowledgment itself (RFC 896, two writes and
 * then a read) has lost ACK_WAIT_MS once: PATIENCE_FIRST is less than the
 * price.
 */
#define PATIENCE_FIRST 1
#define PATIENCE_MAX   8
#define PATIENCE_PRICE 4

static const struct timeval wait_time = { .tv_usec = ACK_WAIT_MS * 1000 };

static void
on_due(evutil_socket_t fd, short what, void *arg)
{
	struct netproc *np = arg;
	struct flow *flow;

	(void)fd;
	(void)what;
	netproc_wake(np);
	while ((flow = TAILQ_FIRST(&np->acks)) != NULL &&
	    flow->ack_due_ms <= np->now_ms) {
		ack_end(flow);
		if (flow->ack_patience < PATIENCE_PRICE)
			flow->ack_patience = 0;
		else
			flow->ack_patience -= PATIENCE_PRICE;
		flow->ack_is_late = 1;
		turn_touch(flow);
	}
	if (flow != NULL)
		event_add(np->ev_ack, &wait_time);
}

int
acks_init(struct netproc *np)
{
	TAILQ_INIT(&np->acks);
	np->ev_ack = event_new(np->base, -1, 0, on_due, np);
	return (np->ev_ack == NULL ? -1 : 0);
}

void
acks_hurry(struct netproc *np)
{
	struct flow *flow;

	/* Whose wait has just ended has not had its turn. */
	TAILQ_FOREACH(flow, &np->touched, touched) {
		if (flow->ack_owed)
			ack_turn(flow);
	}
	while ((flow = TAILQ_FIRST(&np->acks)) != NULL) {
		flow->ack_is_late = 1;
		ack_turn(flow); /* which ends the wait */
	}
}

void
ack_host_answered(struct flow *flow)
{
	if (flow->np->now_ms - flow->syn_ms <= ACK_NEAR_MS)
		flow->ack_patience = PATIENCE_FIRST;
}

void
ack_begin(struct flow *flow)
{
	flow->acked = flow->pcb->rcv_nxt;
}

void
ack_end(struct flow *flow)
{
	struct netproc *np = flow->np;

	if (!flow->ack_waits)
		return;
	flow->ack_waits = 0;
	TAILQ_REMOVE(&np->acks, flow, ack_entry);
	if (TAILQ_EMPTY(&np->acks))
		event_del(np->ev_ack);
}

/* Nothing but an answer is missing, and one may come. */
static int
may_wait(const struct flow *flow)
{
	const struct tcp_pcb *pcb = flow->pcb;
	const uint32_t told = pcb->rcv_ann_right_edge - pcb->rcv_nxt;
	const uint32_t lone = pcb->rcv_nxt - flow->acked;

	return (flow->ack_patience > 0 && !flow->ack_is_late &&
	    !flow->guest_fin && !flow->host_fin && flow->up.bytes == 0 &&
	    lone > 0 && lone <= LONE_MAX &&
	    (told >= WINDOW_LOW || told >= flow->window / 2));
}

static void
wait_begin(struct flow *flow)
{
	struct netproc *np = flow->np;

	if (flow->ack_waits)
		return;
	flow->ack_waits = 1;
	flow->ack_due_ms = np->now_ms + ACK_WAIT_MS;
	if (TAILQ_EMPTY(&np->acks))
		event_add(np->ev_ack, &wait_time);
	TAILQ_INSERT_TAIL(&np->acks, flow, ack_entry);
}

/*
 * lwIP tries once more within 250 ms, and then forgets it: a guest that was
 * told of no window would ask for one, each time more seldom.
 */
void
ack_look(struct flow *flow)
{
	if ((flow->pcb->flags & TF_ACK_NOW) != 0)
		flow->ack_refused = 1;
}

void
ack_at_once(struct flow *flow)
{
	demux_wake(&flow->np->demux, flow->hash); /* it may fail */
	tcp_ack_now(flow->pcb);
	tcp_output(flow->pcb);
	ack_look(flow);
}

void
ack_again(struct flow *flow)
{
	if (flow->pcb == NULL || !flow->ack_refused)
		return;
	flow->ack_refused = 0;
	ack_at_once(flow);
}

int
ack_is_acceptable(const struct tcp_pcb *pcb, uint32_t ack)
{
	const uint32_t flight = pcb->snd_nxt - pcb->lastack;

	return (pcb->snd_nxt - ack <= flight + pcb->snd_wnd_max);
}

/*
 * tcp_keepalive() leaves the options out.  So do lwIP's own probes, after
 * KEEPALIVE_IDLE_MS and of a window too small for its segment, which are no
 * business of ours: guests take either.
 */
void
ack_ask(struct flow *flow)
{
	struct tcp_pcb *pcb = flow->pcb;

	pcb->snd_nxt--;
	tcp_send_empty_ack(pcb);
	pcb->snd_nxt++;
}

void
ack_turn(struct flow *flow)
{
	struct tcp_pcb *pcb = flow->pcb;

	if (pcb != NULL && (pcb->flags & TF_ACK_DELAY) != 0 && flow->ack_owed) {
		if (may_wait(flow)) {
			wait_begin(flow);
			return;
		}
		tcp_ack_now(pcb);
		tcp_output(pcb);
		ack_look(flow);
	} else if (flow->ack_waits && flow->ack_patience < PATIENCE_MAX) {
		flow->ack_patience++; /* an answer has taken it along */
	}
	flow->ack_owed = 0;
	flow->ack_is_late = 0;
	if (pcb != NULL)
		flow->acked = pcb->rcv_nxt;
	ack_end(flow);
}
