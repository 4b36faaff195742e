#ifndef RELAYPROC_METER_H
#define RELAYPROC_METER_H

#include <stdint.h>

/*
 * What a connection has carried, by the kernel's own count (TCP_INFO, tcp(7)):
 * netproc, which moves the bytes of a lent socket, is not asked.
 */

struct meter {
	uint64_t out; /* bytes that the host's network has got */
	uint64_t in;  /* bytes that came from it */
	int over;     /* neither half carries anything any more */
};

/*
 * Reads fd's, before it is reset or closed.  in_order: it will be closed with
 * the end said both ways, and what waits to be sent still goes.  All 0 where
 * there is nothing to read.
 */
void meter_read(int fd, int in_order, struct meter *meter);

#endif
