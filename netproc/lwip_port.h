#ifndef NETPROC_LWIP_PORT_H
#define NETPROC_LWIP_PORT_H

#include <stdint.h>

/* What lwIP asks of its port: time, sequence numbers, the end. */

/* Once, before the lock: draws the key of the sequence numbers.  0. */
int lwip_port_init(void);

/* The time that lwIP sees until the next call, CLOCK_MONOTONIC in ms. */
void lwip_port_set_now(uint64_t now_ms);
uint64_t lwip_port_now_ms(void);

#endif
