/*
 * netproc: reads the guest's frames in a jail.
 *
 *	1. put up the fences that need no filter
 *	2. take the configuration from the parent, make everything that will
 *	   be needed: event loop, lwIP, pools
 *	3. load the filter, say READY
 *	4. run: wait for frames, sockets and messages; a turn ends with bytes
 *	   passed on and frames written
 */

#include <errno.h>
#include <malloc.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include <event2/event.h>

#include "ipc/child_base.h"
#include "ipc/clock.h"
#include "ipc/journal.h"
#include "netproc/flow/ack.h"
#include "netproc/flow/end.h"
#include "netproc/flow/tcp.h"
#include "netproc/flow/turn.h"
#include "netproc/gateway/gateway.h"
#include "netproc/link/link.h"
#include "netproc/link/moderate.h"
#include "netproc/lwip_port.h"
#include "netproc/netproc.h"
#include "sandbox/isolate.h"

/*
 * Messages to the parent that may wait.  A guest can cause log lines: they
 * leave room for what must be said.  Test: "log lines that a guest causes do
 * not crowd out what must be said".
 */
#define PARENT_RING	 256
#define PARENT_RING_LOGS (PARENT_RING - 32)

/* lwIP counts its timers in these. */
#define TICK_MS 250

static void
log_to_parent(enum log_level level, const char *text, void *arg)
{
	struct netproc *np = arg;
	struct ipc_log line = { .level = level };

	strlcpy(line.text, text, sizeof(line.text));
	if (np->parent.count >= PARENT_RING_LOGS ||
	    channel_send(&np->parent, IPC_LOG, 0, 0, &line, sizeof(line)) == -1)
		COUNT(np, LOGS_LOST);
	channel_event_kick(&np->ev_parent);
}

void
netproc_say_parent(struct netproc *np, enum ipc_type type, const void *payload,
    size_t len)
{
	if (channel_send(&np->parent, type, 0, 0, payload, len) == -1)
		_exit(EX_UNAVAILABLE); /* nobody is left to be told */
	channel_event_kick(&np->ev_parent);
}

void
netproc_say_relay(struct netproc *np, enum ipc_type type, uint32_t flow,
    uint32_t generation, const void *payload, size_t len)
{
	if (channel_send(&np->relay, type, flow, generation, payload, len) ==
	    -1) {
		/* The parent sees relayproc's end itself, and names it. */
		if (errno == EPIPE || errno == ECONNRESET)
			return;
		fatal("cannot say %s to relayproc", ipc_name(type));
	}
	channel_event_kick(&np->ev_relay);
}

void
netproc_wake(struct netproc *np)
{
	np->now_ms = clock_now_ms();
	lwip_port_set_now(np->now_ms);
}

static void
on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct netproc *np = arg;

	(void)fd;
	(void)what;
	netproc_wake(np);
	np->tick_armed = 0;
	clock_due(UINT64_MAX);
	turn_tick(np);
	orphans_tick(np);
	gateway_dns_expire(np);
	datagram_expire(np);
	fragment_expire(&np->fragments, np->now_ms);
	if (fragment_deadline(&np->fragments) != UINT64_MAX)
		netproc_need_tick(np);
	if (np->dns.nused > 0)
		netproc_need_tick(np);
}

static void
tick_within(struct netproc *np, uint64_t ms)
{
	const struct timeval wait = {
		.tv_sec = (time_t)(ms / 1000),
		.tv_usec = (suseconds_t)(ms % 1000 * 1000),
	};

	if (np->tick_armed && np->tick_due_ms <= np->now_ms + ms)
		return;
	np->tick_armed = event_add(np->ev_tick, &wait) == 0;
	np->tick_due_ms = np->now_ms + ms;
	clock_due(np->tick_due_ms);
}

void
netproc_need_tick(struct netproc *np)
{
	tick_within(np, TICK_MS);
}

/* A peer that broke the protocol is reported; it is the parent who ends it. */
static void
on_lost(struct channel *ch, enum channel_result why, void *arg)
{
	struct netproc *np = arg;
	struct ipc_violation violation = {
		.role = ch->peer,
		.error = ch->error,
		.type = ch->error_type,
	};

	if (ch->peer == ROLE_PARENT)
		_exit(why == CHANNEL_CLOSED ? EX_OK : EX_PROTOCOL);
	if (why != CHANNEL_VIOLATION) {
		violation.error = IPC_E_CLOSED;
		violation.type = IPC_NONE;
	}
	netproc_say_parent(np, IPC_VIOLATION, &violation, sizeof(violation));
	channel_event_stop(ch == &np->relay ? &np->ev_relay : &np->ev_dgram);
}

/* Waits for the parent's messages until the configuration is complete. */
static void
configure(struct netproc *np)
{
	struct pollfd pfd = { .fd = FD_PARENT, .events = POLLIN };
	enum channel_result result;
	enum ipc_error error;
	struct ipc_msg msg;

	while (!np->configured) {
		result = channel_recv(&np->parent, &msg);
		if (result == CHANNEL_EMPTY) {
			poll(&pfd, 1, -1);
			continue;
		}
		if (result == CHANNEL_CLOSED)
			_exit(EX_OK);
		error = result == CHANNEL_VIOLATION ?
		    np->parent.error :
		    result == CHANNEL_MESSAGE ?
		    netproc_from_parent(&np->parent, &msg, np) :
		    IPC_E_SHORT;
		if (error != IPC_OK)
			fatalx("configuration: %s: %s", ipc_name(msg.hdr.type),
			    ipc_strerror(error));
		channel_msg_done(&msg);
		if (np->stopping)
			_exit(EX_OK);
	}
}

void
netproc_prepare(struct netproc *np)
{
	const struct ipc_config_netproc *cfg = &np->cfg;
	const size_t slots = (size_t)cfg->max_flows + cfg->max_inbound;

	if (np->journal == NULL)
		fatalx("no journal has come");
	arc4random_buf(np->hash_key, sizeof(np->hash_key));
	np->ip_id = (uint16_t)arc4random();
	np->next_port = (uint16_t)arc4random();
	np->base = child_base_new();
	/* Each flow has one message under way, at most two. */
	if (channel_init(&np->relay, FD_PEER, ROLE_NETPROC, ROLE_RELAYPROC,
		IPC_RECORD_MAX, 2 * slots + 64) == -1 ||
	    channel_init(&np->dgram, FD_DGRAM, ROLE_NETPROC, ROLE_RELAYPROC,
		IPC_DGRAM_MAX, 0) == -1 ||
	    flows_init(&np->flows, cfg->max_flows, cfg->max_inbound, np) ==
		-1 ||
	    assocs_init(&np->assocs, cfg->max_assocs, cfg->max_assocs_in) ==
		-1 ||
	    demux_init(&np->demux, np->flows.nbuckets) == -1 ||
	    blocks_init(&np->blocks, BLOCK_POOL_BYTES) == -1 ||
	    link_init(np) == -1 || gateway_init(np) == -1 ||
	    lwip_port_init() == -1 || tcp_setup(np) == -1 ||
	    acks_init(np) == -1 || turn_init(np) == -1 ||
	    orphans_find(np) == -1)
		fatal("not enough memory to start");
	np->flows.journal = np->journal;
	np->ev_tick = event_new(np->base, -1, 0, on_tick, np);
	if (np->ev_tick == NULL ||
	    channel_event_start(&np->ev_parent, np->base, &np->parent,
		netproc_from_parent, on_lost, np) == -1 ||
	    channel_event_start(&np->ev_relay, np->base, &np->relay,
		netproc_from_relay, on_lost, np) == -1 ||
	    channel_event_start(&np->ev_dgram, np->base, &np->dgram,
		netproc_from_relay, on_lost, np) == -1)
		fatal("not enough memory to start");
	/* Every slot's socket, those still under way, and the frame fd. */
	if (isolate_set_nofile(FD_FIRST_DYNAMIC + slots + 64) == -1)
		fatal("the limit of descriptors cannot be set to %zu",
		    (size_t)FD_FIRST_DYNAMIC + slots + 64);
}

static void
stop(struct netproc *np)
{
	/* A reset may not get through: the names stay for a successor. */
	np->flows.journal = NULL;
	end_reset_all(np);
	link_flush(np);
	counters_log(&np->counters, np->fragments.count);
	channel_flush(&np->parent);
	_exit(EX_OK);
}

int
netproc_turn(struct netproc *np, int more)
{
	int was_full;

	if (event_base_loop(np->base,
		EVLOOP_ONCE | (more ? EVLOOP_NONBLOCK : 0)) == -1)
		fatal("event loop");
	netproc_wake(np);
	turn_flush(np);
	datagram_flush(np);
	orphans_probe(np);
	was_full = !link_has_bulk_room(np);
	link_flush(np);
	more = turn_requeue(np);
	/* Taken at once, it makes no event for those who wait. */
	if (was_full && link_has_bulk_room(np)) {
		turn_link_drained(np);
		more = 1;
	}
	moderate_begin(np);
	if (!TAILQ_EMPTY(&np->flows.awake) || demux_is_awake(&np->demux))
		netproc_need_tick(np);
	else if (np->flows.nactive > 0)
		tick_within(np, TURN_SWEEP_MS);
	return (more);
}

static _Noreturn void
run(struct netproc *np)
{
	int more = 0;

	for (;;) {
		more = netproc_turn(np, more);
		if (np->stopping)
			stop(np);
	}
}

/*
 * What free(3) keeps at the end of the heap: a burst of datagrams that the link
 * has not taken.  With the default of 128 KiB each burst gives its pages back,
 * and has them zeroed and mapped again.
 */
#define HEAP_KEPT_BYTES (1024 * 1024)

void
netproc_main(int strict)
{
	static struct netproc netproc; /* zeroed, and too large for a stack */
	struct netproc *np = &netproc;
	struct ipc_ready ready = { 0 };

	log_init("netproc", LOG_LEVEL_INFO);
	np->frame_fd = -1;
	(void)mallopt(M_TRIM_THRESHOLD, HEAP_KEPT_BYTES);
	if (signal(SIGPIPE, SIG_IGN) == SIG_ERR)
		fatal("SIGPIPE cannot be ignored");
	if (channel_init(&np->parent, FD_PARENT, ROLE_NETPROC, ROLE_PARENT,
		IPC_RECORD_MAX, PARENT_RING) == -1)
		_exit(EX_OSERR);
	log_set_sink(log_to_parent, np);
	if (isolate_self(ROLE_NETPROC, strict, &ready.missed) == -1)
		_exit(EX_NOPERM);
	configure(np);
	netproc_wake(np);
	netproc_prepare(np);
	if (sandbox_lock(ROLE_NETPROC, 0, strict, &ready.missed) == -1)
		_exit(EX_NOPERM);
	netproc_say_parent(np, IPC_READY, &ready, sizeof(ready));
	np->parent.phase = IPC_RUN;
	np->relay.phase = IPC_RUN;
	np->dgram.phase = IPC_RUN;
	run(np);
}
