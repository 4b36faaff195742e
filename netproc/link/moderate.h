#ifndef NETPROC_LINK_MODERATE_H
#define NETPROC_LINK_MODERATE_H

#include <stddef.h>

struct netproc;

/*
 * Moderation of wake-ups, as network cards do it for interrupts.
 *
 * While the link is full of bulk data, what a guest sends is acknowledgments
 * of little pieces, which let nothing go: the link would still be full.  To
 * wake up for each few of them costs a task switch, a read and a write that
 * takes nothing; together that was two fifths of all processor time of sixteen
 * downloads at MTU 1500.  So the frame fd is not read until the link has room,
 * or MODERATE_MS have passed.
 *
 * A guest that sends more than acknowledgments is not kept waiting: after a
 * read of MODERATE_READ bytes there is no moderation for MODERATE_NOT_MS.  A
 * VMM's socket takes six times as much before it is full.
 */
#define MODERATE_MS	1
#define MODERATE_READ	(32 * 1024)
#define MODERATE_NOT_MS 10

/* Once, before the lock.  0, or -1. */
int moderate_init(struct netproc *np);

/* The frame fd was read: n bytes. */
void moderate_read(struct netproc *np, size_t n);

/* The turn is over: stops reading for a while where that is worth it. */
void moderate_begin(struct netproc *np);

/* Reads again.  Harmless when nothing was stopped. */
void moderate_end(struct netproc *np);

#endif
