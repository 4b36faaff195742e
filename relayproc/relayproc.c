#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include <event2/event.h>

#include "ipc/clock.h"
#include "relayproc/dispatch_netproc.h"
#include "relayproc/dispatch_parent.h"
#include "relayproc/lend.h"
#include "relayproc/outbound.h"
#include "relayproc/relayproc.h"
#include "sandbox/isolate.h"

/* Log lines that wait for the parent; more are lost and counted. */
#define PARENT_RING 256

/*
 * While so many words wait for netproc, nothing more is read from it.  What
 * comes on top is one answer for each message of the batch being read, and
 * one outcome of each connect under way, so a ring of that size is never
 * full but through netproc's own doing.
 */
#define PEER_RING_HIGH CHANNEL_BATCH

/* Descriptors beside flows, queries and listeners: the fixed, one to spare. */
#define NOFILE_SPARE (FD_FIRST_DYNAMIC + 1)

static void
log_to_parent(enum log_level level, const char *text, void *arg)
{
	struct relayproc *rp = arg;
	struct ipc_log msg = { .level = level };

	strlcpy(msg.text, text, sizeof(msg.text));
	if (channel_send(&rp->parent, IPC_LOG, 0, 0, &msg, sizeof(msg)) == -1)
		rp->counters.logs_lost++;
	channel_event_kick(&rp->parent_ev);
}

void
relayproc_tell(struct relayproc *rp, enum ipc_type type,
    const struct flow *flow, const void *payload, size_t len)
{
	if (rp->peer_lost)
		return;
	if (channel_send(&rp->peer, type, flow->slot, flow->generation,
		payload, len) == -1 &&
	    errno == ENOBUFS)
		relayproc_accuse(rp, IPC_E_QUOTA, type);
	channel_event_kick(&rp->peer_ev);
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

void
relayproc_init(struct relayproc *rp, struct event_base *base, int parent_fd,
    int peer_fd, int dgram_fd)
{
	memset(rp, 0, sizeof(*rp));
	rp->base = base;
	rp->timer_ms = UINT64_MAX;
	rp->publish.resume_ms = UINT64_MAX;
	/* The rings of netproc's channels need the configuration. */
	rp->peer.fd = peer_fd;
	rp->dgram.fd = dgram_fd;
	if (channel_init(&rp->parent, parent_fd, ROLE_RELAYPROC, ROLE_PARENT,
		IPC_RECORD_MAX, PARENT_RING) == -1)
		fatal("channel to the parent");
	log_init("relayproc", LOG_LEVEL_INFO);
	log_set_sink(log_to_parent, rp);
}

static void
tables_init(struct relayproc *rp)
{
	const struct ipc_config_relayproc *config = &rp->config;
	const size_t ring = (size_t)config->max_flows + config->max_inbound +
	    PEER_RING_HIGH + CHANNEL_BATCH;

	if (channel_init(&rp->peer, rp->peer.fd, ROLE_RELAYPROC, ROLE_NETPROC,
		IPC_RECORD_MAX, ring) == -1 ||
	    channel_init(&rp->dgram, rp->dgram.fd, ROLE_RELAYPROC,
		ROLE_NETPROC, IPC_DGRAM_MAX, config->dns_in_flight +
		CHANNEL_BATCH) == -1 ||
	    flow_table_init(&rp->flows, config->max_flows,
		config->max_inbound, rp) == -1 ||
	    budget_init(&rp->budget, config->connect_rate_per_s,
		config->connect_burst, config->max_pending,
		config->max_pending_per_dst, clock_now_ms()) == -1 ||
	    resolver_init(&rp->resolver, config->dns_in_flight,
		config->dns_timeout_ms, rp) == -1)
		fatal("tables");
}

void
relayproc_setup(struct relayproc *rp)
{
	struct pollfd pfd = { .fd = rp->parent.fd, .events = POLLIN };
	enum channel_result result;
	enum ipc_error error;
	struct ipc_msg msg;

	while (!rp->config_done) {
		result = channel_recv(&rp->parent, &msg);
		if (result == CHANNEL_EMPTY) {
			if (poll(&pfd, 1, -1) == -1 && errno != EINTR)
				fatal("poll");
			continue;
		}
		if (result == CHANNEL_CLOSED)
			_exit(0);
		if (result == CHANNEL_ERROR)
			fatal("parent");
		if (result == CHANNEL_VIOLATION)
			fatalx("parent: %s: %s",
			    ipc_name(rp->parent.error_type),
			    ipc_strerror(rp->parent.error));
		error = dispatch_parent(&rp->parent, &msg, rp);
		channel_msg_done(&msg);
		if (error != IPC_OK)
			fatalx("parent: %s: %s", ipc_name(msg.hdr.type),
			    ipc_strerror(error));
		if (rp->stop)
			_exit(0);
	}
	tables_init(rp);
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct relayproc *rp = arg;

	(void)fd;
	(void)what;
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
		dispatch_netproc, on_netproc_lost, rp) == -1)
		fatalx("no memory for the events of the channels");
	if (channel_send(&rp->parent, IPC_READY, 0, 0, &ready,
		sizeof(ready)) == -1)
		fatal("READY");
	channel_event_kick(&rp->parent_ev);
	rp->parent.phase = IPC_RUN;
	rp->peer.phase = IPC_RUN;
	rp->dgram.phase = IPC_RUN;
	publish_start(rp);
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
	if (channel_send(&rp->parent, IPC_VIOLATION, 0, 0, &msg,
		sizeof(msg)) == -1)
		fatal("VIOLATION");
	channel_event_kick(&rp->parent_ev);
	rp->accusation = IPC_OK;
	rp->peer_lost = 1;
	resolver_stop(rp);
	lend_reset_all(rp);
}

/* After netproc was lost there is nobody to accept, or to answer, for. */
static void
netproc_deafen(struct relayproc *rp)
{
	channel_event_stop(&rp->peer_ev);
	channel_event_stop(&rp->dgram_ev);
	event_del(rp->ev_lend);
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
	/* A pause that waits for the channel has no time, but 0. */
	if (rp->publish.resume_ms > now_ms)
		deadline_ms = min_ms(deadline_ms, rp->publish.resume_ms);
	if (deadline_ms == rp->timer_ms)
		return;
	rp->timer_ms = deadline_ms;
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
	resolver_expire(rp, now_ms);
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

void
relayproc_end(struct relayproc *rp)
{
	char line[LOG_LINE_MAX] = "counters:";
	char one[64];

	resolver_stop(rp);
	lend_reset_all(rp);
	publish_stop(rp);
#define X(name) \
	snprintf(one, sizeof(one), " " #name "=%" PRIu64, rp->counters.name); \
	strlcat(line, one, sizeof(line));
	RELAY_COUNTERS(X)
#undef X
	log_info("%s", line);
	(void)channel_flush(&rp->parent);
}

void
relayproc_free(struct relayproc *rp)
{
	log_set_sink(NULL, NULL);
	channel_event_stop(&rp->parent_ev);
	channel_event_stop(&rp->peer_ev);
	channel_event_stop(&rp->dgram_ev);
	event_free(rp->ev_lend);
	event_free(rp->timer);
	channel_close(&rp->parent);
	channel_close(&rp->peer);
	channel_close(&rp->dgram);
	resolver_free(&rp->resolver);
	budget_free(&rp->budget);
	flow_table_free(&rp->flows);
	event_base_free(rp->base);
}

/*
 * The first descriptor that libevent opens is its epoll descriptor, the next
 * two a socketpair for signals, which we do not use.
 */
static struct event_base *
base_bare(void)
{
	struct event_config *config;
	struct event_base *base = NULL;
	struct stat st;
	int fd;

	config = event_config_new();
	if (config != NULL) {
		event_config_set_flag(config, EVENT_BASE_FLAG_IGNORE_ENV);
		base = event_base_new_with_config(config);
		event_config_free(config);
	}
	if (base == NULL)
		fatalx("libevent: no event base");
	if (strcmp(event_base_get_method(base), "epoll") != 0 ||
	    fcntl(FD_EPOLL, F_GETFD) == -1)
		fatalx("libevent: descriptor %d is not epoll's", FD_EPOLL);
	for (fd = FD_EPOLL + 1; fd <= FD_EPOLL + 2; fd++) {
		if (fstat(fd, &st) == -1)
			continue;
		if (!S_ISSOCK(st.st_mode))
			fatalx("libevent: descriptor %d is not a socket", fd);
		close(fd);
	}
	return (base);
}

static rlim_t
descriptors_needed(const struct relayproc *rp)
{
	return ((rlim_t)rp->config.max_flows + rp->config.max_inbound +
	    rp->config.dns_in_flight + rp->publish.n + NOFILE_SPARE);
}

_Noreturn void
relayproc_main(int strict)
{
	struct relayproc *rp;
	uint32_t missed = 0;

	rp = calloc(1, sizeof(*rp));
	if (rp == NULL)
		fatalx("no memory");
	/* Before any listener arrives: the epoll descriptor's number. */
	if (isolate_self(ROLE_RELAYPROC, strict, &missed) == -1)
		_exit(EX_UNAVAILABLE);
	relayproc_init(rp, base_bare(), FD_PARENT, FD_PEER, FD_DGRAM);
	setproctitle("relayproc");
	relayproc_setup(rp);
	if (isolate_set_nofile(descriptors_needed(rp)) == -1)
		fatal("descriptor limit");
	if (sandbox_lock(ROLE_RELAYPROC, strict, &missed) == -1)
		_exit(EX_UNAVAILABLE);
	relayproc_ready(rp, missed);
	while (!rp->stop)
		relayproc_turn(rp, EVLOOP_ONCE);
	relayproc_end(rp);
	_exit(0);
}
