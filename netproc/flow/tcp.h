#ifndef NETPROC_FLOW_TCP_H
#define NETPROC_FLOW_TCP_H

#include <stdint.h>

#include "ipc/proto.h"

struct flow;
struct netproc;

/* lwIP's callbacks to flow events, and flow events to calls of lwIP. */

/* Once, before the lock: the listener that all replays go through. */
int tcp_setup(struct netproc *np);

/* What relayproc said; fd (owned) is lent to us, or spliced. */
void tcp_flow_opened(struct flow *flow, const struct ipc_flow_opened *opened,
    int fd);
void tcp_flow_ended(struct flow *flow, enum flow_end end);
void tcp_flow_failed(struct flow *flow, enum flow_verdict verdict);

/* A published port was connected to: asks the guest.  fd is owned. */
void tcp_flow_inbound(struct netproc *np, uint32_t wire, uint32_t generation,
    const struct ipc_flow_inbound *inbound, int fd);

/* The guest's MAC is known now: SYNs that went to nobody go again. */
void tcp_guest_known(struct netproc *np);

/* While a held SYN goes through lwIP, its port listens. */
void tcp_listen_begin(struct flow *flow);
void tcp_listen_end(struct flow *flow);

/* After a segment of the flow went through lwIP. */
void tcp_after_input(struct flow *flow);

#endif
