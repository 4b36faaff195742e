#ifndef TESTS_UNIT_INTERCEPT_RIG_H
#define TESTS_UNIT_INTERCEPT_RIG_H

#include "netproc/netproc.h"

/*
 * intercept_tcp() with flows of a test's own and nothing behind it: what a
 * segment meets there is counted.  A program that links it wraps the functions
 * of intercept_wraps in tests/unit/netproc.mk.
 */

extern struct netproc np;

struct intercept_seen {
	/* What had room, and whose coalesce_add() heard it was. */
	unsigned int npassed;
	struct flow *taken;
	uint64_t hash;
	int takes; /* 1: coalesce_add() keeps it, 0: it goes on */
	unsigned int nasked;
	/* What became of it then. */
	unsigned int ninput, ncopied, nacked, nspared, nforgotten;
};
extern struct intercept_seen seen;

/* For cmocka: an empty table, half the pool free, and coalesce_add() takes. */
int intercept_setup(void **state);
int intercept_teardown(void **state);

/* A tuple, the same in each family but for that. */
struct flow_tuple tuple_make(uint8_t family);

/* A flow with that tuple, established. */
struct flow *flow_make(const struct flow_tuple *tuple);

/* The guest says sf, which needs no addresses and ports, on tuple. */
void guest_says(const struct flow_tuple *tuple, struct shield_frame sf);

/* The guest sends len bytes, on tuple. */
void guest_sends(const struct flow_tuple *tuple, size_t len);

#endif
