#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <event2/event.h>

#include "ipc/clock.h"
#include "relayproc/denial.h"
#include "relayproc/dispatch_netproc.h"
#include "relayproc/dispatch_parent.h"
#include "relayproc/lend.h"
#include "relayproc/outbound.h"
#include "relayproc/relayproc.h"
#include "relayproc/splice.h"
#include "relayproc/udp_assoc.h"

/*
 * A round of the loop is: wait, let every handler do its own, then settle
 * what they made possible for each other.  There is one timer, set to the
 * earliest of all deadlines; it only wakes the loop.
 */

void
relayproc_tell_slot(struct relayproc *rp, enum ipc_type type, uint32_t slot,
    uint32_t generation, const void *payload, size_t len)
{
	if (rp->peer_lost)
		return;
	if (channel_send(&rp->peer, type, slot, generation, payload, len) ==
		-1 &&
	    errno == ENOBUFS)
		relayproc_accuse(rp, IPC_E_QUOTA, type);
	channel_event_kick(&rp->peer_ev);
}

void
relayproc_tell(struct relayproc *rp, enum ipc_type type,
    const struct flow *flow, const void *payload, size_t len)
{
	relayproc_tell_slot(rp, type, flow->slot, flow->generation, payload,
	    len);
}

void
relayproc_accuse(struct relayproc *rp, enum ipc_error error, uint32_t type)
{
	if (rp->accusation != IPC_OK)
		return;
	rp->accusation = error;
	rp->accusation_type = type;
}

/* The parent is gone, or mad: PDEATHSIG would end us too. */
static void
on_parent_lost(struct channel *ch, enum channel_result why, void *arg)
{
	struct relayproc *rp = arg;

	if (why == CHANNEL_VIOLATION)
		fatalx("parent: %s: %s", ipc_name(ch->error_type),
		    ipc_strerror(ch->error));
	rp->stop = 1;
}

/*
 * A netproc taken over can look dead by a record of no bytes; whether it is
 * dead, the parent knows by its pidfd, and says STOP.
 */
static void
on_netproc_lost(struct channel *ch, enum channel_result why, void *arg)
{
	struct relayproc *rp = arg;

	rp->peer_lost = 1;
	if (why == CHANNEL_VIOLATION)
		relayproc_accuse(rp, ch->error, ch->error_type);
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct relayproc *rp = arg;

	(void)fd;
	(void)what;
	/* A stop shows by how late it is; nothing is due until timer_set(). */
	(void)clock_now_ms();
	clock_due(UINT64_MAX);
	rp->timer_ms = UINT64_MAX;
}

static void
on_lend_room(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	lend_pump(arg);
}

void
relayproc_ready(struct relayproc *rp, uint32_t missed)
{
	const struct ipc_ready ready = { .missed = missed };

	rp->timer = evtimer_new(rp->base, on_timer, rp);
	rp->ev_lend = event_new(rp->base, rp->peer.fd, EV_WRITE, on_lend_room,
	    rp);
	if (rp->timer == NULL || rp->ev_lend == NULL ||
	    channel_event_start(&rp->parent_ev, rp->base, &rp->parent,
		dispatch_parent, on_parent_lost, rp) == -1 ||
	    channel_event_start(&rp->peer_ev, rp->base, &rp->peer,
		dispatch_netproc, on_netproc_lost, rp) == -1 ||
	    channel_event_start(&rp->dgram_ev, rp->base, &rp->dgram,
		dispatch_netproc, on_netproc_lost, rp) == -1 ||
	    assoc_records_start(rp) == -1)
		fatalx("no memory for the events of the channels");
	if (channel_send(&rp->parent, IPC_READY, 0, 0, &ready, sizeof(ready)) ==
	    -1)
		fatal("READY");
	channel_event_kick(&rp->parent_ev);
	rp->parent.phase = IPC_RUN;
	rp->peer.phase = IPC_RUN;
	rp->dgram.phase = IPC_RUN;
}

/* No word of netproc is heard any more, and nothing that it holds works. */
static void
netproc_disown(struct relayproc *rp)
{
	const struct ipc_violation msg = {
		.role = ROLE_NETPROC,
		.error = rp->accusation,
		.type = rp->accusation_type,
	};

	log_error("netproc broke the protocol: %s: %s",
	    ipc_name(rp->accusation_type), ipc_strerror(rp->accusation));
	if (channel_send(&rp->parent, IPC_VIOLATION, 0, 0, &msg, sizeof(msg)) ==
	    -1)
		fatal("VIOLATION");
	channel_event_kick(&rp->parent_ev);
	rp->accusation = IPC_OK;
	rp->peer_lost = 1;
	resolver_stop(rp);
	udp_assoc_stop(rp);
	lend_reset_all(rp);
}

/* After netproc was lost there is nobody to accept, or to answer, for. */
static void
netproc_deafen(struct relayproc *rp)
{
	channel_event_stop(&rp->peer_ev);
	channel_event_stop(&rp->dgram_ev);
	event_del(rp->ev_lend);
	udp_assoc_stop(rp);
	udp_publish_stop(rp);
	publish_stop(rp);
}

static void
peer_back_pressure(struct relayproc *rp)
{
	const int full = rp->peer.count > PEER_RING_HIGH ||
	    rp->dgram.count > PEER_RING_HIGH;

	if (full == rp->peer_paused)
		return;
	rp->peer_paused = full;
	if (full) {
		channel_event_pause(&rp->peer_ev);
		channel_event_pause(&rp->dgram_ev);
	} else {
		channel_event_resume(&rp->peer_ev);
		channel_event_resume(&rp->dgram_ev);
	}
}

static uint64_t
min_ms(uint64_t a, uint64_t b)
{
	return (a < b ? a : b);
}

static void
timer_set(struct relayproc *rp, uint64_t now_ms)
{
	uint64_t deadline_ms, wait_ms;
	struct timeval tv;

	deadline_ms = min_ms(outbound_deadline_ms(rp, now_ms),
	    resolver_deadline_ms(&rp->resolver));
	deadline_ms = min_ms(deadline_ms, assoc_deadline_ms(&rp->assocs));
	deadline_ms = min_ms(deadline_ms, splice_deadline_ms(rp, now_ms));
	deadline_ms = min_ms(deadline_ms, lend_deadline_ms(rp));
	deadline_ms = min_ms(deadline_ms, denial_deadline_ms(rp));
	/* A pause that waits for the channel has no time, but 0. */
	if (rp->publish.resume_ms > now_ms)
		deadline_ms = min_ms(deadline_ms, rp->publish.resume_ms);
	if (deadline_ms == rp->timer_ms)
		return;
	rp->timer_ms = deadline_ms;
	clock_due(deadline_ms);
	if (deadline_ms == UINT64_MAX) {
		event_del(rp->timer);
		return;
	}
	wait_ms = deadline_ms > now_ms ? deadline_ms - now_ms : 0;
	tv.tv_sec = (time_t)(wait_ms / 1000);
	tv.tv_usec = (suseconds_t)(wait_ms % 1000 * 1000);
	event_add(rp->timer, &tv);
}

/*
 * What a round of events may have made possible: places in the budget, room
 * in the channel, deadlines that passed.
 */
static void
settle(struct relayproc *rp)
{
	const uint64_t now_ms = clock_now_ms();

	if (rp->accusation != IPC_OK)
		netproc_disown(rp);
	if (rp->peer_lost && rp->peer_ev.ev_read != NULL)
		netproc_deafen(rp);
	outbound_expire(rp, now_ms);
	splice_settle(rp, now_ms);
	resolver_expire(rp, now_ms);
	udp_assoc_expire(rp, now_ms);
	lend_expire(rp, now_ms);
	denial_settle(rp, now_ms);
	if (!rp->peer_lost) {
		outbound_admit(rp, now_ms);
		lend_pump(rp);
		publish_resume(rp, now_ms);
		peer_back_pressure(rp);
	}
	timer_set(rp, now_ms);
}

void
relayproc_turn(struct relayproc *rp, int evloop_flags)
{
	if (event_base_loop(rp->base, evloop_flags) == -1)
		fatal("event loop");
	settle(rp);
}

/* As many lines as it takes. */
static void
counters_log(const struct relayproc *rp)
{
	char line[LOG_LINE_MAX / 2] = "";
	char one[64];

#define X(name) \
	snprintf(one, sizeof(one), " " #name "=%" PRIu64, rp->counters.name); \
	if (strlcat(line, one, sizeof(line)) >= sizeof(line) - sizeof(one)) { \
		log_info("counters:%s", line); \
		line[0] = '\0'; \
	}
	RELAY_COUNTERS(X)
#undef X
	if (line[0] != '\0')
		log_info("counters:%s", line);
}

void
relayproc_end(struct relayproc *rp)
{
	resolver_stop(rp);
	udp_assoc_stop(rp);
	udp_publish_stop(rp);
	/* To reset thousands takes long, and who waits may kill us. */
	lend_count_all(rp);
	denial_end(rp);
	counters_log(rp);
	(void)channel_flush(&rp->parent);
	lend_reset_all(rp);
	publish_stop(rp);
	own_addr_close(&rp->own_addr);
	(void)channel_flush(&rp->parent);
}
