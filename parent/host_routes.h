#ifndef PARENT_HOST_ROUTES_H
#define PARENT_HOST_ROUTES_H

#include <stddef.h>

#include "parent/rtnetlink.h"

/*
 * Whether the host has a way to the IPv6 internet: a unicast route in the main
 * table, by an interface other than loopback, whose prefix covers 2000::/3
 * (RFC 4291 2.4, 4: all global addresses that are given out).
 *
 * Which routes there are is never added up from announcements, which may be
 * lost or replace each other: one that could matter makes what we know stale,
 * and a new dump tells.
 */

struct host_routes {
	int fd;	     /* NETLINK_ROUTE, subscribed, non-blocking; or -1 */
	int ip6;     /* what the last whole dump said: 0 or 1 */
	int found;   /* ... and what the one under way has found */
	int dumping; /* one is under way */
	int stale;   /* a new one is needed */
};

/*
 * Takes one datagram of rtnetlink: routes of a dump into found, announced
 * ones into stale.  What rtnetlink_parse() returns.
 */
enum rtnetlink_result host_routes_parse(struct host_routes *routes,
    const void *bytes, size_t len);

/*
 * Subscribes, then looks.  A host whose kernel has no IPv6 has no way.
 * 0, or -1 with errno.
 */
int host_routes_open(struct host_routes *routes);

/*
 * Takes what has arrived; afterwards stale says whether host_routes_refresh()
 * is wanted, which is better done when things have settled.  1 if ip6 has
 * changed, else 0.
 */
int host_routes_read(struct host_routes *routes);

/* Asks for a new dump, unless one is under way. */
void host_routes_refresh(struct host_routes *routes);

void host_routes_close(struct host_routes *routes);

#endif
