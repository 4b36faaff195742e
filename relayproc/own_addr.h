#ifndef RELAYPROC_OWN_ADDR_H
#define RELAYPROC_OWN_ADDR_H

#include "ipc/proto.h"

/*
 * Asks the kernel whether it delivers to itself what is sent to an address.
 * The list of the host's addresses has those of its interfaces.  A route of
 * type "local" makes others its own, a whole prefix at once, which no
 * interface has: for a load balancer that forwards to it, or as AnyIP.  So
 * does a program that joins an IPv6 anycast address.
 */
struct own_addr {
	int fd; /* UDP over IPv4, connected to nobody; -1 */
	int fd6;
};

#define OWN_ADDR_FDS 2

void own_addr_init(struct own_addr *own);

/*
 * arg is a struct own_addr, whose sockets are made when they are first needed.
 * 1 if addr is the host's, 0 if it is not, -1 if that cannot be found out: each
 * asks from a port, and the host may have none free.
 * Not found is an IPv4 address by a route of another table than "local", and an
 * IPv6 address where the route, or the loopback interface, has a smaller MTU
 * than that has by itself.
 */
int own_addr_is(const struct ipc_addr *addr, void *arg);

/* Closes the sockets. */
void own_addr_close(struct own_addr *own);

#endif
