#ifndef NETPROC_FLOW_CLIENT_H
#define NETPROC_FLOW_CLIENT_H

#include "ipc/addr.h"

struct netproc;

/*
 * 1 if the guest may be shown client, of a published port, as the source of
 * packets (--publish-source preserve): its answers will be sent here.  0 for
 * what its kernel takes for a lie (loopback, link-local, no unicast address;
 * RFC 1122 3.2.1.3) or looks for on the link.
 */
int client_is_routable(const struct netproc *np, const struct ipc_addr *client);

#endif
