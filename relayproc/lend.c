#include <errno.h>
#include <unistd.h>

#include <event2/event.h>

#include "ipc/clock.h"
#include "relayproc/lend.h"
#include "relayproc/meter.h"
#include "relayproc/relayproc.h"
#include "relayproc/splice.h"
#include "relayproc/tcp_connect.h"

/*
 * relayproc keeps its own descriptor of a lent socket, outside the event
 * loop: netproc moves the data and says when the flow is over.  Of a spliced
 * flow netproc gets a stream instead (splice.c).  Descriptors in flight are
 * counted against the user's RLIMIT_NOFILE, so no more are under way than the
 * channel's socket holds; they never wait in its ring.
 */

#define LEND_RETRY_MS 10

/*
 * A lent flow settles (tcp_connect_settle()) with all others of the same
 * second, when it is one to two seconds old: one wake-up for all.
 */
#define LEND_SETTLE_MS 1000

/* How long FLOW_CLOSED may wait, and for what share of the slots. */
#define LEND_CLOSED_MS	  5
#define LEND_CLOSED_SHARE 8

static int
lend_one(struct relayproc *rp, const struct flow *flow)
{
	struct ipc_flow_opened opened = { .spliced = flow->splice != NULL };
	struct ipc_flow_inbound inbound = { 0 };

	if (!flow_is_inbound(flow))
		return (channel_lend_fd(&rp->peer, IPC_FLOW_OPENED, flow->slot,
		    flow->generation, &opened, sizeof(opened),
		    splice_lent_fd(flow)));
	inbound.client = flow->peer;
	inbound.client_port = flow->peer_port;
	inbound.guest_port = flow->guest_port;
	inbound.preserve = flow->preserve;
	inbound.spliced = flow->splice != NULL;
	return (channel_lend_fd(&rp->peer, IPC_FLOW_INBOUND, flow->slot,
	    flow->generation, &inbound, sizeof(inbound), splice_lent_fd(flow)));
}

static void
on_lend_retry(evutil_socket_t fd, short what, void *arg)
{
	struct relayproc *rp = arg;

	(void)fd;
	(void)what;
	rp->lend_retry = 0;
	lend_pump(rp);
}

/*
 * Room in the channel makes an event.  Room among the descriptors in flight,
 * which all processes of the user share, or memory, does not: ask again.
 */
static void
lend_later(struct relayproc *rp, int error)
{
	static const struct timeval pause = { .tv_usec = LEND_RETRY_MS * 1000 };

	if (error == ENOBUFS)
		event_add(rp->ev_lend, NULL);
	else if (error != EPIPE && error != ECONNRESET && !rp->lend_retry)
		rp->lend_retry = event_base_once(rp->base, -1, EV_TIMEOUT,
				     on_lend_retry, rp, &pause) == 0;
}

static void
closed_tell(struct relayproc *rp)
{
	const struct ipc_empty closed = { 0 };
	unsigned int i;

	for (i = 0; i < rp->nclosed; i++)
		relayproc_tell_slot(rp, IPC_FLOW_CLOSED, rp->closed[i].slot,
		    rp->closed[i].generation, &closed, sizeof(closed));
	rp->nclosed = 0;
}

/*
 * netproc is in no hurry to hear FLOW_CLOSED, but for the slot: each wakes it
 * for nothing else.  So they go with the next flow that it is told of, or soon,
 * or when there are many for the number of slots.
 */
static void
closed_note(struct relayproc *rp, const struct flow *flow, uint64_t now_ms)
{
	if (rp->nclosed == 0)
		rp->closed_ms = now_ms + LEND_CLOSED_MS;
	rp->closed[rp->nclosed].slot = flow->slot;
	rp->closed[rp->nclosed].generation = flow->generation;
	rp->nclosed++;
	if (rp->nclosed == LEND_CLOSED_MAX ||
	    rp->nclosed * LEND_CLOSED_SHARE >= rp->flows.noutbound)
		closed_tell(rp);
}

static uint64_t
closed_deadline_ms(const struct relayproc *rp)
{
	return (rp->nclosed > 0 ? rp->closed_ms : UINT64_MAX);
}

/* What was accepted, or is not lent, has nothing to settle. */
static void
settle_later(struct relayproc *rp, struct flow *flow, uint64_t now_ms)
{
	if (flow_is_inbound(flow) || flow->splice != NULL)
		return;
	flow->settle_ms = (now_ms / LEND_SETTLE_MS + 2) * LEND_SETTLE_MS;
	TAILQ_INSERT_TAIL(&rp->flows.unsettled, flow, by_settle);
}

static void
settle_forget(struct relayproc *rp, struct flow *flow)
{
	if (flow->settle_ms != 0)
		TAILQ_REMOVE(&rp->flows.unsettled, flow, by_settle);
	flow->settle_ms = 0;
}

uint64_t
lend_deadline_ms(const struct relayproc *rp)
{
	const struct flow *flow = TAILQ_FIRST(&rp->flows.unsettled);
	const uint64_t closed_ms = closed_deadline_ms(rp);

	return (flow != NULL && flow->settle_ms < closed_ms ? flow->settle_ms :
							      closed_ms);
}

void
lend_expire(struct relayproc *rp, uint64_t now_ms)
{
	struct flow *flow;

	if (closed_deadline_ms(rp) <= now_ms)
		closed_tell(rp);
	while ((flow = TAILQ_FIRST(&rp->flows.unsettled)) != NULL &&
	    flow->settle_ms <= now_ms) {
		settle_forget(rp, flow);
		tcp_connect_settle(flow->fd, &flow->peer, flow->peer_port);
	}
}

void
lend_pump(struct relayproc *rp)
{
	struct flow *flow;

	if (rp->peer_lost || TAILQ_EMPTY(&rp->flows.list[FLOW_LENDING]))
		return;
	while ((flow = TAILQ_FIRST(&rp->flows.list[FLOW_LENDING])) != NULL) {
		if (lend_one(rp, flow) == -1) {
			lend_later(rp, errno);
			break;
		}
		flow_move(&rp->flows, flow, FLOW_LENT, 0);
		if (flow_is_inbound(flow))
			rp->counters.accepted++;
		else
			rp->counters.opened++;
		settle_later(rp, flow, clock_now_ms());
		splice_start(rp, flow);
	}
	closed_tell(rp);
}

void
lend_socket_drop(struct relayproc *rp, struct flow *flow)
{
	if (flow->state == FLOW_CONNECTING) {
		if (flow->fd != -1 && event_initialized(&flow->ev))
			event_del(&flow->ev);
		budget_release(&rp->budget, &flow->charged);
	}
	if (flow->fd != -1)
		close(flow->fd);
	flow->fd = -1;
}

/* What a connection has carried: once, whoever asks first. */
static void
count_bytes(struct relayproc *rp, struct flow *flow, const struct meter *meter)
{
	if (flow->counted)
		return;
	flow->counted = 1;
	rp->counters.tcp_bytes_out += meter->out;
	rp->counters.tcp_bytes_in += meter->in;
}

/* Only what is connected can be reset. */
static void
socket_reset(struct relayproc *rp, struct flow *flow)
{
	struct meter meter;

	if (flow->state != FLOW_LENT && flow->state != FLOW_LENDING &&
	    flow->state != FLOW_DRAINING)
		return;
	meter_read(flow->fd, 0, &meter);
	count_bytes(rp, flow, &meter);
	tcp_reset(flow->fd);
	flow->fd = -1;
}

/*
 * Both halves have ended, says netproc.  It could keep its reference of a lent
 * socket and go on, uncounted and beyond its slots: the kernel is asked.
 */
static void
socket_finish(struct relayproc *rp, struct flow *flow, int lent)
{
	struct meter meter;

	if (flow->state != FLOW_LENT && flow->state != FLOW_DRAINING) {
		/* Nobody could end it; the server may have sent already. */
		socket_reset(rp, flow);
		return;
	}
	meter_read(flow->fd, 1, &meter);
	if (lent && !meter.over) {
		rp->counters.closed_early++;
		socket_reset(rp, flow);
		return;
	}
	count_bytes(rp, flow, &meter);
	tcp_finish(flow->fd);
	flow->fd = -1;
}

void
lend_close(struct relayproc *rp, struct flow *flow,
    enum flow_close_reason reason)
{
	const int lent = flow->splice == NULL;

	if (reason == FLOW_CLOSE_DONE && flow->state == FLOW_LENT &&
	    splice_drain(rp, flow))
		return;
	if (reason == FLOW_CLOSE_RESET && flow->state == FLOW_LENT)
		splice_flush(rp, flow);
	/* Bytes of the guest's are missing, of which netproc need not know. */
	if (splice_is_broken(flow))
		reason = FLOW_CLOSE_RESET;
	splice_drop(rp, flow);
	settle_forget(rp, flow);
	if (reason == FLOW_CLOSE_DONE)
		socket_finish(rp, flow, lent);
	else
		socket_reset(rp, flow);
	lend_socket_drop(rp, flow);
	flow_move(&rp->flows, flow, FLOW_FREE, 0);
	if (!flow_is_inbound(flow))
		closed_note(rp, flow, clock_now_ms());
}

void
lend_count_all(struct relayproc *rp)
{
	static const enum flow_state states[] = { FLOW_LENDING, FLOW_LENT,
		FLOW_DRAINING };
	struct flow *flow;
	struct meter meter;
	size_t i;

	for (i = 0; i < sizeof(states) / sizeof(states[0]); i++) {
		TAILQ_FOREACH(flow, &rp->flows.list[states[i]], entry) {
			meter_read(flow->fd, 0, &meter);
			count_bytes(rp, flow, &meter);
		}
	}
}

static void
reset_list(struct relayproc *rp, enum flow_state state)
{
	struct flow *flow;

	while ((flow = TAILQ_FIRST(&rp->flows.list[state])) != NULL) {
		splice_drop(rp, flow);
		settle_forget(rp, flow);
		socket_reset(rp, flow);
		lend_socket_drop(rp, flow);
		flow_move(&rp->flows, flow, FLOW_FREE, 0);
	}
}

void
lend_reset_all(struct relayproc *rp)
{
	rp->nclosed = 0;
	reset_list(rp, FLOW_WAITING);
	reset_list(rp, FLOW_CONNECTING);
	reset_list(rp, FLOW_LENDING);
	reset_list(rp, FLOW_LENT);
	reset_list(rp, FLOW_DRAINING);
}
