#include <sys/ioctl.h>
#include <sys/socket.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include <event2/event.h>

#include "ipc/clock.h"
#include "relayproc/lend.h"
#include "relayproc/relayproc.h"
#include "relayproc/splice.h"
#include "relayproc/tcp_connect.h"

/*
 * Theory of operation
 *
 *	    up	 netproc's end ==> near --pipe--> socket
 *	    down socket --pipe--> near ==> netproc's end
 *
 * Both descriptors are watched edge-triggered, so each event moves bytes until
 * a call says EAGAIN, or a share of the turn is used up (list again).  Bytes
 * that the receiver does not take stay in the pipe, and the flow keeps it;
 * nothing more is read from the sender, which is the back-pressure.
 *
 * Ends are never taken from the stream alone, since a process that dies ends
 * it too.  The host's FIN or reset is said to netproc (FLOW_ENDED), behind the
 * bytes before it.  The guest's FIN is near's end and netproc's word.  After
 * netproc's last word, FLOW_CLOSE, bytes of the guest's may still be here: the
 * flow is DRAINING, for as long as the host takes some within DRAIN_MS.
 *
 * relayproc alone looks at the socket's error, which is told once: where a
 * call meets it, or, while the socket is not read, when an event comes.
 */

/* One flow moves so much each way before the others have their turn. */
#define SPLICE_BURST (1024 * 1024)

/*
 * What a stream holds each way; the kernel doubles it for its own.  As much as
 * it grants everybody: with the default of half of it, and pipes of the default
 * size, a transfer takes half again as much processor time, for the wake-ups.
 */
#define STREAM_BYTES 212992

#define SPLICE_FLAGS (SPLICE_F_MOVE | SPLICE_F_NONBLOCK)

/* About as long as the kernel tries to send what a closed socket holds. */
#define DRAIN_MS 120000

/* After a pipe could not be had. */
#define HUNGRY_MS 10

enum way_result {
	WAY_WAITS, /* for an event */
	WAY_AGAIN, /* had its share */
	WAY_HUNGRY,
	WAY_BROKEN
};

/* Streams on their way to netproc; beyond it a flow is refused. */
#define FAR_ENDS_MAX 64

rlim_t
splice_descriptors(rlim_t flows)
{
	const rlim_t ways = 2 * flows;
	const rlim_t pipes = ways < SPLICE_PIPES_MAX ? ways : SPLICE_PIPES_MAX;

	return (flows + FAR_ENDS_MAX + 2 * (pipes + SPLICE_PIPES_IDLE));
}

int
splice_init(struct relayproc *rp)
{
	struct splice_table *table = &rp->splices;

	TAILQ_INIT(&table->again);
	TAILQ_INIT(&table->hungry);
	if (!rp->config.splice)
		return (0);
	table->slots = calloc(rp->config.max_flows + rp->config.max_inbound,
	    sizeof(*table->slots));
	return (table->slots == NULL ? -1 : 0);
}

void
splice_free(struct relayproc *rp)
{
	splice_pipes_free(&rp->splices.pipes);
	free(rp->splices.slots);
	rp->splices.slots = NULL;
}

static struct splice *
slot_of(struct relayproc *rp, const struct flow *flow)
{
	const uint32_t first = flow_is_inbound(flow) ? rp->config.max_flows : 0;

	return (&rp->splices.slots[first + (flow->slot & ~FLOW_INBOUND_BIT)]);
}

/* Fails only in that the stream moves less at a time. */
static void
stream_widen(int fd)
{
	const int size = STREAM_BYTES;

	(void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
}

int
splice_open(struct relayproc *rp, struct flow *flow)
{
	struct splice *s;
	int fds[2];

	if (rp->splices.slots == NULL)
		return (0);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0,
		fds) == -1)
		return (-1);
	stream_widen(fds[0]);
	stream_widen(fds[1]);
	s = slot_of(rp, flow);
	*s = (struct splice){
		.flow = flow,
		.near = fds[0],
		.far = fds[1],
		.up.pipe = { -1, -1 },
		.down.pipe = { -1, -1 },
		.down.from_host = 1,
	};
	flow->splice = s;
	return (0);
}

int
splice_lent_fd(const struct flow *flow)
{
	return (flow->splice != NULL ? flow->splice->far : flow->fd);
}

static void
wait_in(struct splice *s, struct splice_list *list)
{
	if (s->waits_in == list)
		return;
	if (s->waits_in != NULL)
		TAILQ_REMOVE(s->waits_in, s, entry);
	if (list != NULL)
		TAILQ_INSERT_TAIL(list, s, entry);
	s->waits_in = list;
}

/*
 * The kernel splices no byte that was sent as urgent (tcp_read_sock), though
 * it stays in the stream, and then says that there is nothing, or the end:
 * that one is carried by hand.  1 if it is in the pipe.
 */
static int
urgent_take(const struct splice_way *way, int from)
{
	int at_mark = 0;
	uint8_t byte;

	if (!way->from_host || ioctl(from, SIOCATMARK, &at_mark) == -1 ||
	    !at_mark || recv(from, &byte, 1, MSG_DONTWAIT) != 1)
		return (0);
	/* The pipe is empty. */
	return (write(way->pipe.in, &byte, 1) == 1);
}

/* Moves bytes one way until something stops it; *moved grows by as many. */
static enum way_result
way_move(struct splice_pipes *pipes, struct splice_way *way, int from, int to,
    size_t *moved)
{
	size_t share = SPLICE_BURST;
	ssize_t n;
	int error;

	for (;;) {
		while (way->held > 0) {
			n = splice(way->pipe.out, NULL, to, NULL, way->held,
			    SPLICE_FLAGS);
			if (n == -1 && errno == EINTR)
				continue;
			if (n == -1)
				return (errno == EAGAIN ? WAY_WAITS :
							  WAY_BROKEN);
			way->held -= (size_t)n;
			*moved += (size_t)n;
			share -= share < (size_t)n ? share : (size_t)n;
		}
		splice_pipe_give(pipes, &way->pipe, 1);
		if (way->ended)
			return (WAY_WAITS);
		if (share == 0)
			return (WAY_AGAIN);
		if (splice_pipe_take(pipes, &way->pipe) == -1)
			return (WAY_HUNGRY);
		do {
			n = splice(from, NULL, way->pipe.in, NULL,
			    SPLICE_PIPE_BYTES, SPLICE_FLAGS);
		} while (n == -1 && errno == EINTR);
		error = n == -1 ? errno : 0;
		if ((n == 0 || error == EAGAIN) && urgent_take(way, from))
			n = 1;
		if (n > 0) {
			way->held = (size_t)n;
			continue;
		}
		splice_pipe_give(pipes, &way->pipe, 1);
		if (n == 0)
			way->ended = 1;
		else if (error != EAGAIN)
			return (WAY_BROKEN);
		return (WAY_WAITS);
	}
}

/* No byte will go this way again, and nobody needs to be told. */
static void
way_cut(struct splice_pipes *pipes, struct splice_way *way)
{
	splice_pipe_give(pipes, &way->pipe, way->held == 0);
	way->held = 0;
	way->ended = 1;
	way->passed = 1;
}

static void
ended_tell(struct relayproc *rp, struct splice *s, enum flow_end end)
{
	const struct ipc_flow_ended msg = { .end = end };

	relayproc_tell(rp, IPC_FLOW_ENDED, s->flow, &msg, sizeof(msg));
}

/*
 * The host's connection is no more, or memory was short, or netproc has closed
 * its end, which it says as well: nothing moves again, and netproc, if it does
 * not know, ends the flow.
 */
static void
flow_broken(struct relayproc *rp, struct splice *s)
{
	s->broken = 1;
	way_cut(&rp->splices.pipes, &s->up);
	way_cut(&rp->splices.pipes, &s->down);
	wait_in(s, NULL);
	if (s->flow->state == FLOW_DRAINING) {
		lend_close(rp, s->flow, FLOW_CLOSE_RESET);
		return;
	}
	event_del(&s->host_ev);
	event_del(&s->near_ev);
	s->watched = 0;
	ended_tell(rp, s, FLOW_END_RESET);
}

/* To where a flow goes after its bytes moved, and what became of them. */
static void
way_settled(struct relayproc *rp, struct splice *s, enum way_result result)
{
	if (result == WAY_AGAIN)
		wait_in(s, &rp->splices.again);
	if (result == WAY_HUNGRY && s->waits_in == NULL) {
		if (TAILQ_EMPTY(&rp->splices.hungry))
			rp->splices.hungry_ms = clock_now_ms() + HUNGRY_MS;
		wait_in(s, &rp->splices.hungry);
	}
}

/* Returns 0 if the flow is over. */
static int
down_move(struct relayproc *rp, struct splice *s)
{
	struct splice_way *way = &s->down;
	enum way_result result;
	size_t moved = 0;

	if (way->passed)
		return (1);
	result = way_move(&rp->splices.pipes, way, s->flow->fd, s->near,
	    &moved);
	if (result == WAY_BROKEN) {
		flow_broken(rp, s);
		return (0);
	}
	way_settled(rp, s, result);
	if (way->ended && way->held == 0) {
		way->passed = 1;
		ended_tell(rp, s, FLOW_END_FIN);
	}
	return (1);
}

static void
up_move(struct relayproc *rp, struct splice *s)
{
	const int closing = s->flow->state == FLOW_DRAINING;
	struct splice_way *way = &s->up;
	enum way_result result;
	size_t moved = 0;

	if (way->passed)
		return;
	result = way_move(&rp->splices.pipes, way, s->near, s->flow->fd,
	    &moved);
	if (result == WAY_BROKEN) {
		/* What the host has said before it is still there. */
		if (!closing && !s->down.passed)
			(void)way_move(&rp->splices.pipes, &s->down,
			    s->flow->fd, s->near, &moved);
		flow_broken(rp, s);
		return;
	}
	way_settled(rp, s, result);
	if (closing && moved > 0)
		flow_move(&rp->flows, s->flow, FLOW_DRAINING,
		    clock_now_ms() + DRAIN_MS);
	if (!way->ended || way->held > 0)
		return;
	if (closing) {
		way->passed = 1;
		lend_close(rp, s->flow, FLOW_CLOSE_DONE);
	} else if (s->flow->shut_wr) {
		way->passed = 1;
		/* Fails only where there is no connection left to end. */
		(void)shutdown(s->flow->fd, SHUT_WR);
	}
}

static void
splice_run(struct relayproc *rp, struct splice *s)
{
	wait_in(s, NULL);
	if (s->flow->state == FLOW_LENT && !down_move(rp, s))
		return;
	up_move(rp, s);
}

/*
 * An event says all that is so, not only what is new: a way whose receiver
 * became ready has something to do only if it holds bytes.
 */
static void
on_host_event(evutil_socket_t fd, short what, void *arg)
{
	struct splice *s = arg;
	struct relayproc *rp = s->flow->owner;

	(void)what;
	/* What is not read now does not say that it was reset. */
	if ((s->down.held > 0 || s->down.ended) && tcp_is_broken(fd))
		flow_broken(rp, s);
	else if (s->up.held > 0)
		splice_run(rp, s);
	else if (s->flow->state == FLOW_LENT)
		(void)down_move(rp, s);
}

static void
on_near_event(evutil_socket_t fd, short what, void *arg)
{
	struct splice *s = arg;
	struct relayproc *rp = s->flow->owner;

	(void)fd;
	(void)what;
	if (s->down.held > 0)
		splice_run(rp, s);
	else
		up_move(rp, s);
}

void
splice_start(struct relayproc *rp, struct flow *flow)
{
	static const short what = EV_READ | EV_WRITE | EV_ET | EV_PERSIST;
	struct splice *s = flow->splice;

	if (s == NULL)
		return;
	close(s->far);
	s->far = -1;
	event_assign(&s->host_ev, rp->base, flow->fd, what, on_host_event, s);
	event_assign(&s->near_ev, rp->base, s->near, what, on_near_event, s);
	s->watched = 1;
	if (event_add(&s->host_ev, NULL) == -1 ||
	    event_add(&s->near_ev, NULL) == -1)
		flow_broken(rp, s);
}

void
splice_shut_wr(struct relayproc *rp, struct flow *flow)
{
	if (flow->splice != NULL)
		splice_run(rp, flow->splice);
}

int
splice_drain(struct relayproc *rp, struct flow *flow)
{
	struct splice *s = flow->splice;

	if (s == NULL || s->up.passed)
		return (0);
	flow_move(&rp->flows, flow, FLOW_DRAINING, clock_now_ms() + DRAIN_MS);
	splice_run(rp, s);
	return (1);
}

void
splice_flush(struct relayproc *rp, struct flow *flow)
{
	struct splice *s = flow->splice;
	size_t moved = 0;

	if (s != NULL && !s->up.passed)
		(void)way_move(&rp->splices.pipes, &s->up, s->near, flow->fd,
		    &moved);
}

int
splice_is_broken(const struct flow *flow)
{
	return (flow->splice != NULL && flow->splice->broken);
}

void
splice_drop(struct relayproc *rp, struct flow *flow)
{
	struct splice *s = flow->splice;

	if (s == NULL)
		return;
	way_cut(&rp->splices.pipes, &s->up);
	way_cut(&rp->splices.pipes, &s->down);
	wait_in(s, NULL);
	if (s->watched) {
		event_del(&s->host_ev);
		event_del(&s->near_ev);
	}
	close(s->near);
	if (s->far != -1)
		close(s->far);
	flow->splice = NULL;
}

/* Each that waits now, once: they may come to wait again. */
static void
run_again(struct relayproc *rp)
{
	struct splice_list *again = &rp->splices.again;
	struct splice *last = TAILQ_LAST(again, splice_list), *s;

	while (last != NULL) {
		s = TAILQ_FIRST(again);
		if (s == last)
			last = NULL;
		splice_run(rp, s);
	}
}

/* In their order, until one finds no pipe as before. */
static void
run_hungry(struct relayproc *rp, uint64_t now_ms)
{
	struct splice_list *hungry = &rp->splices.hungry;
	struct splice *s;

	if (TAILQ_EMPTY(hungry) || rp->splices.hungry_ms > now_ms)
		return;
	rp->splices.hungry_ms = now_ms + HUNGRY_MS;
	while ((s = TAILQ_FIRST(hungry)) != NULL) {
		splice_run(rp, s);
		if (TAILQ_LAST(hungry, splice_list) == s)
			break;
	}
}

void
splice_settle(struct relayproc *rp, uint64_t now_ms)
{
	struct flow *flow;

	if (rp->splices.slots == NULL)
		return;
	run_again(rp);
	run_hungry(rp, now_ms);
	while ((flow = TAILQ_FIRST(&rp->flows.list[FLOW_DRAINING])) != NULL &&
	    flow->deadline_ms <= now_ms)
		lend_close(rp, flow, FLOW_CLOSE_RESET);
	if (rp->flows.count[FLOW_LENT] == 0)
		splice_pipes_free(&rp->splices.pipes);
}

uint64_t
splice_deadline_ms(const struct relayproc *rp, uint64_t now_ms)
{
	const struct flow *flow = TAILQ_FIRST(&rp->flows.list[FLOW_DRAINING]);
	uint64_t ms = UINT64_MAX;

	if (!TAILQ_EMPTY(&rp->splices.again))
		return (now_ms);
	if (!TAILQ_EMPTY(&rp->splices.hungry))
		ms = rp->splices.hungry_ms;
	if (flow != NULL && flow->deadline_ms < ms)
		ms = flow->deadline_ms;
	return (ms);
}
