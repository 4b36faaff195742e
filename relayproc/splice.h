#ifndef RELAYPROC_SPLICE_H
#define RELAYPROC_SPLICE_H

#include <sys/queue.h>
#include <sys/resource.h>

#include <stddef.h>
#include <stdint.h>

#include <event2/event_struct.h>

#include "relayproc/splice_pipe.h"

/*
 * The other data plane (--relay splice): the host's socket of a flow stays
 * here, netproc gets one end of a unix stream, and what arrives at the one is
 * moved to the other by splice(2), through a pipe.  It does not come into our
 * memory, but for a byte sent as urgent, which splice(2) does not move.
 */

struct flow;
struct relayproc;

/* One direction of a flow. */
struct splice_way {
	struct splice_pipe pipe; /* while bytes are held in it */
	size_t held;
	int from_host;
	int ended;  /* there will be no more */
	int passed; /* ... which the receiver has been told */
};

/* A flow's second half, of the slot of the same number. */
struct splice {
	struct flow *flow;	       /* borrowed */
	int near, far;		       /* ends of the stream, owned, or -1 */
	struct event host_ev, near_ev; /* edge-triggered, both ways */
	int watched;		       /* they are in the loop */
	int broken;		       /* bytes were lost: it ends by a reset */
	struct splice_way up, down;    /* to the host, to netproc */
	TAILQ_ENTRY(splice) entry;
	struct splice_list *waits_in; /* NULL: waits for events alone */
};

TAILQ_HEAD(splice_list, splice);

struct splice_table {
	struct splice *slots; /* outbound, then inbound; NULL: flows are lent */
	struct splice_pipes pipes;
	struct splice_list again;  /* had their share of a turn */
	struct splice_list hungry; /* found no pipe */
	uint64_t hungry_ms;	   /* when to try again */
};

/* Most descriptors that so many flows need beside their sockets. */
rlim_t splice_descriptors(rlim_t flows);

/* With config.splice: all slots.  0, or -1 with errno ENOMEM. */
int splice_init(struct relayproc *rp);

void splice_free(struct relayproc *rp);

/*
 * Makes the stream of a flow whose socket is connected, if flows are spliced.
 * 0, or -1 with errno of socketpair(2).
 */
int splice_open(struct relayproc *rp, struct flow *flow);

/* Returns borrowed: what netproc gets, the stream's far end or the socket. */
int splice_lent_fd(const struct flow *flow);

/* netproc has it: bytes move from now on.  Nothing for a lent flow. */
void splice_start(struct relayproc *rp, struct flow *flow);

/* netproc's FLOW_SHUT_WR: the end of the stream is the guest's FIN. */
void splice_shut_wr(struct relayproc *rp, struct flow *flow);

/*
 * netproc's FLOW_CLOSE after both ends.  1: bytes of the guest's are still on
 * their way, the flow is DRAINING and splice.c ends it; 0: it is done.
 */
int splice_drain(struct relayproc *rp, struct flow *flow);

/* Before a reset of the guest's: passes on what it sent first, if it can. */
void splice_flush(struct relayproc *rp, struct flow *flow);

/* It was cut short: whatever netproc says, the host is to see a reset. */
int splice_is_broken(const struct flow *flow);

/* Takes the stream and its bytes away, before the socket is closed. */
void splice_drop(struct relayproc *rp, struct flow *flow);

/* Once a round: flows that have more, or waited for a pipe, or too long. */
void splice_settle(struct relayproc *rp, uint64_t now_ms);

/* When splice_settle() is due, UINT64_MAX: after the next event. */
uint64_t splice_deadline_ms(const struct relayproc *rp, uint64_t now_ms);

#endif
