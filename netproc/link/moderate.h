#ifndef NETPROC_LINK_MODERATE_H
#define NETPROC_LINK_MODERATE_H

#include <stddef.h>
#include <stdint.h>

struct event;
struct netproc;

/*
 * Moderation of wake-ups, as network cards do it for interrupts.
 *
 * While the link is full of bulk data, what a guest sends is acknowledgments
 * of little pieces, which let nothing go: the link would still be full.  To
 * wake up for each few of them costs a task switch, a read and a write that
 * takes nothing; together that was two fifths of all processor time of sixteen
 * downloads at MTU 1500.  So the frame fd is not read until the link has room,
 * or MODERATE_MS have passed: by the event loop's clock, which is the kernel's
 * coarse one, that may be a few.
 *
 * A guest that sends more than acknowledgments is not kept waiting: after a
 * read of MODERATE_READ bytes, or of MODERATE_DATA in frames too long to be
 * acknowledgments, there is no moderation for MODERATE_NOT_MS.  A VMM's socket
 * takes six times MODERATE_READ before it is full, unless the VMM has made its
 * buffer small: then what it takes in a millisecond is little.
 */
#define MODERATE_MS	1
#define MODERATE_READ	(32 * 1024)
#define MODERATE_DATA	(2 * 1024)
#define MODERATE_NOT_MS 10

/* Headers of Ethernet, IPv6 and TCP, the longest. */
#define MODERATE_ACK_MAX (14 + 40 + 60)

struct moderation {
	struct event *due;
	int stopped;	  /* the frame fd is not read */
	int was_read;	  /* it was, in this turn */
	uint64_t from_ms; /* not before */
};

/* Once, before the lock.  0, or -1. */
int moderate_init(struct netproc *np);

/* The frame fd was read: n bytes, acks of them in frames as short as those. */
void moderate_read(struct netproc *np, size_t n, size_t acks);

/* The turn is over: stops reading for a while where that is worth it. */
void moderate_begin(struct netproc *np);

/* Reads again.  Harmless when nothing was stopped. */
void moderate_end(struct netproc *np);

/* The frame fd goes, and its event with it. */
void moderate_forget(struct netproc *np);

#endif
