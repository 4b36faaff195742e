#ifndef RELAYPROC_OWN_ADDR_H
#define RELAYPROC_OWN_ADDR_H

#include "ipc/proto.h"

/*
 * Asks the kernel whether it delivers to itself what is sent to an address.
 * The list of the host's addresses has those of its interfaces.  A route of
 * type "local" makes others its own, a whole prefix at once, which no
 * interface has: for a load balancer that forwards to it, or as AnyIP.
 *
 * Of IPv6 the kernel does not tell, for there it chooses the source of what
 * goes to itself as for all else.
 */
struct own_addr {
	int fd; /* UDP over IPv4, connected to nobody; -1 */
};

#define OWN_ADDR_FDS 1

void own_addr_init(struct own_addr *own);

/*
 * arg is a struct own_addr, whose socket is made when it is first needed.
 * 1 if addr is the host's, or if that cannot be found out; 0 if it is not, or
 * is of IPv6.  Not found is one for which the host's route names another
 * source (ip route add local ... src).
 */
int own_addr_is(const struct ipc_addr *addr, void *arg);

/* Closes the socket. */
void own_addr_close(struct own_addr *own);

#endif
