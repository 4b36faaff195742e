#ifndef RELAYPROC_RELAYPROC_H
#define RELAYPROC_RELAYPROC_H

#include <stdint.h>

#include "ipc/channel_event.h"
#include "ipc/log.h"
#include "ipc/proto.h"
#include "relayproc/assoc.h"
#include "relayproc/assoc_record.h"
#include "relayproc/budget.h"
#include "relayproc/flow.h"
#include "relayproc/own_addr.h"
#include "relayproc/policy.h"
#include "relayproc/publish_accept.h"
#include "relayproc/resolver.h"
#include "relayproc/splice.h"
#include "relayproc/udp_publish.h"

/*
 * relayproc owns the host's sockets.  It judges netproc's requests, connects,
 * lends or splices, resets and closes; it never reads what a TCP flow carries
 * (but a byte sent as urgent, splice.c), and of datagrams no more than their
 * addresses, but for a name server's answer: whether it is one (resolver.c).
 */

/* Printed when relayproc ends, in this order. */
#define RELAY_COUNTERS(X) \
	X(opened)	 /* outbound flows, lent or spliced */ \
	X(failed)	 /* connects that the network refused */ \
	X(denied)	 /* requests that the policy refused */ \
	X(waited)	 /* requests that waited for a place in the budget */ \
	X(over_budget)	 /* ... and got none within a second */ \
	X(accepted)	 /* inbound flows, lent or spliced */ \
	X(inbound_full)	 /* clients reset for want of a slot, or a stream */ \
	X(closed_early)	 /* said to have ended, and had not: reset */ \
	X(tcp_bytes_out) /* of flows that have ended; see meter.h */ \
	X(tcp_bytes_in)	 /* ... */ \
	X(dns_queries)	 /* from the guest */ \
	X(dns_answers)	 /* from resolvers */ \
	X(dns_failed)	 /* queries that no resolver answered */ \
	X(assocs)	 /* sockets for UDP ports and echo identifiers */ \
	X(dgrams_out)	 /* datagrams sent, UDP and ICMP echo */ \
	X(dgrams_in)	 /* ... and told to netproc */ \
	X(dgrams_denied) /* ... that the policy refused */ \
	X(dgrams_filtered) /* from peers that the guest has not sent to */ \
	X(dgrams_lost)	   /* for want of room, descriptors or a route */ \
	X(dgram_errors)	   /* told to netproc */ \
	X(errors_lost)	   /* ... and not, because there were too many */ \
	X(pings_refused)   /* echo sockets that the host refused */ \
	X(logs_lost)	   /* lines for which the parent's channel was full */

struct relay_counters {
#define X(name) uint64_t name;
	RELAY_COUNTERS(X)
#undef X
};

/* How many flows may have ended of which netproc has not been told (lend.c). */
#define LEND_CLOSED_MAX 16

struct relayproc {
	struct channel parent, peer, dgram;
	struct channel_event parent_ev, peer_ev, dgram_ev;
	struct event_base *base;
	struct event *timer;   /* the earliest of all deadlines */
	struct event *ev_lend; /* room in the channel to netproc */
	int lend_retry;	       /* a timer stands in for it */
	struct lend_closed {
		uint32_t slot, generation;
	} closed[LEND_CLOSED_MAX]; /* flows whose end netproc is to hear of */
	unsigned int nclosed;
	uint64_t closed_ms; /* when, at the latest */
	uint64_t timer_ms;  /* what timer is set to, UINT64_MAX: not */

	struct ipc_config_relayproc config;
	int hello;		 /* HELLO has come */
	int configured;		 /* CONFIG_RELAYPROC has come */
	int config_done;	 /* CONFIG_DONE has come */
	int serves;		 /* SERVE has come: clients are accepted */
	uint32_t config_records; /* so far */

	struct policy policy;
	struct own_addr own_addr;
	struct budget budget;
	struct flow_table flows;
	struct splice_table splices;
	struct publish publish;
	struct resolver resolver;
	struct assoc_table assocs;
	struct assoc_records records;
	struct udp_publish udp_publish;

	int peer_paused; /* netproc does not take what we say: back-pressure */
	int peer_lost;	 /* nothing is read from netproc any more */
	enum ipc_error accusation; /* to be told to the parent, or IPC_OK */
	uint32_t accusation_type;
	int stop; /* leave the loop */

	struct log_limit assoc_error_limit;
	int ping_refusal_told;
	struct log_limit denial_limit;
	uint32_t denial_kinds; /* bit per policy_kind: its mend was told */
	struct relay_counters counters;
};

/*
 * While more words wait for netproc, nothing more is read from it.  What
 * comes on top is one answer for each message of the batch being read, and
 * one outcome of each connect under way, so the ring is never full but
 * through netproc's own doing.
 */
#define PEER_RING_HIGH CHANNEL_BATCH

/* Runs the process from exec to exit; strict as isolate_self() takes it. */
_Noreturn void relayproc_main(int strict);

/*
 * What a life is made of, apart so that a test can live one without a jail.
 * init consumes three SEQPACKET descriptors and sends log lines to the parent;
 * then the caller sets rp->base, owned from then on.  setup blocks until
 * CONFIG_DONE and allocates every table; ready says READY, with the mask of
 * missed fences, and starts to serve; turn is one round of the loop.  A
 * failure of init or setup ends the process.
 */
void relayproc_init(struct relayproc *rp, int parent_fd, int peer_fd,
    int dgram_fd);
void relayproc_setup(struct relayproc *rp);
void relayproc_ready(struct relayproc *rp, uint32_t missed);
void relayproc_turn(struct relayproc *rp, int evloop_flags);

/* Resets all flows, closes all sockets, logs the counters. */
void relayproc_end(struct relayproc *rp);

/* Frees what a test's life allocated; after relayproc_end(). */
void relayproc_free(struct relayproc *rp);

/*
 * Says one message to netproc.  A ring that is full by now is netproc's
 * fault, who does not read: it is accused.
 */
void relayproc_tell(struct relayproc *rp, enum ipc_type type,
    const struct flow *flow, const void *payload, size_t len);
void relayproc_tell_slot(struct relayproc *rp, enum ipc_type type,
    uint32_t slot, uint32_t generation, const void *payload, size_t len);

/*
 * netproc broke the protocol: at the end of this round the parent is told and
 * netproc's flows are reset.
 */
void relayproc_accuse(struct relayproc *rp, enum ipc_error error,
    uint32_t type);

#endif
