#ifndef NETPROC_FLOW_EVICT_H
#define NETPROC_FLOW_EVICT_H

struct netproc;

/*
 * No slot is free for a connection of the guest's.  The one that has been
 * idle longest is asked whether it lives, as keepalive does (RFC 9293 3.8.4):
 * a guest that has forgotten it answers with a reset, which frees the slot.
 * If it lives and is still the one when a slot is wanted again, it is reset.
 * The guest sends its SYN again (RFC 6298) and finds the slot.  Where several
 * SYNs find none, as many connections are asked, and reset.
 */
void evict_want(struct netproc *np);

/* Every tick: for the SYNs that came after the last search, as many flows. */
void evict_idle(struct netproc *np);

#endif
