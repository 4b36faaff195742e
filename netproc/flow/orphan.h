#ifndef NETPROC_FLOW_ORPHAN_H
#define NETPROC_FLOW_ORPHAN_H

#include <stdint.h>

struct flow_tuple;
struct journal;
struct netproc;

/*
 * Connections that the guest had through a netproc that died.
 *
 * Theory of operation.  Nobody knows their sequence numbers any more, and the
 * guest believes no reset without.  So it is asked: an ACK with arbitrary
 * numbers and no timestamp is out of its window, and it answers with what it
 * expects (RFC 9293 3.10.7.4; RFC 5961 5).  For that segment we have no flow,
 * so it is answered as RFC 9293 3.10.7.1 has it, with a RST that carries the
 * acknowledgment as its sequence number: exact, and believed.  A connection
 * whose guest sends by itself ends the same way without being asked.
 *
 * A guest limits such answers to one per connection in 500 ms
 * (tcp_invalid_ratelimit), and a reset may be dropped on its way, so those
 * who have not said RST themselves are asked again after ORPHAN_RETRY_MS, at
 * most ORPHAN_ROUNDS times.  Names lie in the journal, so that they outlive
 * us too.  At most ORPHAN_BATCH are asked and have not answered, or for a
 * tick's time: more would not find room in the queues on the way.  Test:
 * tests/e2e/respawn.py, 500 and 5,000 idle connections.
 */

#define ORPHAN_BATCH	128
#define ORPHAN_RETRY_MS 570
#define ORPHAN_ROUNDS	20

struct orphans {
	struct journal *journal;
	uint32_t *buckets, *next; /* index + 1 of a name, 0: none */
	uint32_t nbuckets;	  /* a power of 2; 0: there are none */
	uint32_t cursor;	  /* the next to be asked */
	uint32_t nleft;
	uint32_t nasked; /* of late, without an answer */
	uint32_t rounds;
	uint64_t retry_ms; /* the next round, 0: one is under way */
};

/*
 * Before the lock: finds what the predecessor left in the journal.  0, or -1
 * with errno ENOMEM.
 */
int orphans_find(struct netproc *np);

/* The guest that they belong to is there, or is there no more. */
void orphans_start(struct netproc *np);
void orphans_forget(struct netproc *np);

/* Asks the next of them; at the end of every turn. */
void orphans_probe(struct netproc *np);

/* Every tick: those that have not answered are asked again. */
void orphans_tick(struct netproc *np);

/* A segment with these flags came from the guest on a tuple without a flow. */
void orphans_heard(struct netproc *np, const struct flow_tuple *tuple,
    uint64_t hash, uint8_t tcp_flags);

#endif
