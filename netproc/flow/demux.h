#ifndef NETPROC_FLOW_DEMUX_H
#define NETPROC_FLOW_DEMUX_H

#include <sys/queue.h>

#include <stdint.h>

#include "netproc/flow/flow.h"

struct tcp_pcb;

/*
 * lwIP keeps its connections in linear lists, which every segment and every
 * SYN walks.  Here they are spread over hash buckets: demux_enter() makes the
 * bucket of a connection lwIP's whole list, demux_leave() takes it away
 * again.  Every call into lwIP that looks for, adds or removes a pcb stands
 * between the two: tcp_input, tcp_connect, tcp_close, tcp_shutdown,
 * tcp_abort.
 *
 * A bucket is awake from when it is entered until lwIP's timers have nothing
 * to do for any of its pcbs; tcp_tmr() sees the awake ones joined.  An idle
 * connection costs nothing, and where all sleep there is no tick: the time that
 * lwIP has missed is added when the first wakes up.
 */

/*
 * So many connections may wait for their last acknowledgment as long as our
 * FIN is sent again.  They have no slot any more, and a guest that acknowledges
 * nothing makes one of each flow: while there are more, each has the second
 * that lwIP gives it.  Test: more_than_so_many_have_a_second_each.
 */
#define DEMUX_LAST_ACKS_MAX 1024

struct demux_bucket {
	struct tcp_pcb *active, *time_wait;
	SLIST_ENTRY(demux_bucket) entry; /* of the awake ones */
	int is_awake;
};

SLIST_HEAD(demux_buckets, demux_bucket);

struct demux {
	struct demux_bucket *buckets;
	uint32_t nbuckets; /* a power of 2 */
	struct demux_bucket *entered;
	int depth;
	struct demux_buckets awake;
	int rests;	    /* no tick runs */
	uint64_t ticked_ms; /* what lwIP's count of ticks stands for */
};

/* 0, or -1 with errno ENOMEM. */
int demux_init(struct demux *demux, uint32_t nbuckets);

/* SipHash of a connection: guests choose ports and addresses. */
uint64_t demux_hash(const uint8_t *key, const struct flow_tuple *tuple);

/* Enters of one connection may nest. */
void demux_enter(struct demux *demux, uint64_t hash);
void demux_leave(struct demux *demux);

/*
 * The pcb of a connection that has no flow any more (it drains, or is in
 * TIME_WAIT), borrowed, or NULL.  Between enter and leave.
 */
struct tcp_pcb *demux_find(const struct flow_tuple *tuple);

/* The bucket of a connection that lwIP is about to have work for. */
void demux_wake(struct demux *demux, uint64_t hash);

/* 1 if a tick is due, 0 if there is nothing for it to do. */
int demux_is_awake(const struct demux *demux);

/* 1 if no timer of lwIP's but keepalive runs for the pcb, 0 if one does. */
int demux_is_quiet(const struct tcp_pcb *pcb);

/*
 * Runs tcp_tmr() over those awake; or over all, until keepalive, the one timer
 * that a sleeper has, has been looked at.
 */
void demux_tick(struct demux *demux, const uint8_t *key, int all);

/* Frees every pcb without a word to the guest. */
void demux_abandon_all(struct demux *demux);

#endif
