#include <sys/random.h>

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include <event2/event.h>

#include "ipc/clock.h"
#include "relayproc/dispatch_parent.h"
#include "relayproc/relayproc.h"
#include "relayproc/splice.h"

/*
 * Words that wait for the parent.  Log lines leave room for the others, which
 * must not be lost; more are, and are counted.
 */
#define PARENT_RING	 256
#define PARENT_RING_LOGS (PARENT_RING - 32)

static void
log_to_parent(enum log_level level, const char *text, void *arg)
{
	struct relayproc *rp = arg;
	struct ipc_log msg = { .level = level };

	strlcpy(msg.text, text, sizeof(msg.text));
	if (rp->parent.count >= PARENT_RING_LOGS ||
	    channel_send(&rp->parent, IPC_LOG, 0, 0, &msg, sizeof(msg)) == -1)
		rp->counters.logs_lost++;
	channel_event_kick(&rp->parent_ev);
}

void
relayproc_init(struct relayproc *rp, int parent_fd, int peer_fd, int dgram_fd)
{
	memset(rp, 0, sizeof(*rp));
	rp->timer_ms = UINT64_MAX;
	own_addr_init(&rp->own_addr);
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
	const size_t flows = (size_t)config->max_flows + config->max_inbound;
	/* A spliced flow has two ends to tell of on top. */
	const size_t ring = (config->splice ? 3 : 1) * flows + PEER_RING_HIGH +
	    LEND_CLOSED_MAX + CHANNEL_BATCH;
	uint64_t seed;

	if (getrandom(&seed, sizeof(seed), 0) != sizeof(seed))
		fatal("getrandom");

	if (channel_init(&rp->peer, rp->peer.fd, ROLE_RELAYPROC, ROLE_NETPROC,
		IPC_RECORD_MAX, ring) == -1 ||
	    channel_init(&rp->dgram, rp->dgram.fd, ROLE_RELAYPROC, ROLE_NETPROC,
		IPC_DGRAM_MAX,
		config->dns_in_flight + PEER_RING_HIGH + CHANNEL_BATCH) == -1 ||
	    flow_table_init(&rp->flows, config->max_flows, config->max_inbound,
		rp) == -1 ||
	    splice_init(rp) == -1 ||
	    budget_init(&rp->budget, config->connect_rate_per_s,
		config->connect_burst, config->max_pending,
		config->max_pending_per_dst, clock_now_ms()) == -1 ||
	    resolver_init(&rp->resolver, config->dns_in_flight,
		config->dns_timeout_ms, rp) == -1 ||
	    assoc_table_init(&rp->assocs, config->max_assocs,
		config->max_assocs_in, seed, rp) == -1 ||
	    assoc_records_init(&rp->records) == -1)
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
	assoc_records_free(&rp->records);
	assoc_table_free(&rp->assocs);
	budget_free(&rp->budget);
	splice_free(rp);
	flow_table_free(&rp->flows);
	event_base_free(rp->base);
}
