#ifndef NETPROC_FLOW_TCP_H
#define NETPROC_FLOW_TCP_H

#include <stdint.h>

#include "ipc/proto.h"

struct flow;
struct netproc;

/* lwIP's callbacks to flow events, and flow events to calls of lwIP. */

/* Once, before the lock: the listener that all replays go through. */
int tcp_setup(struct netproc *np);

/* What relayproc said; fd (owned) is connected and lent to us. */
void tcp_flow_opened(struct flow *flow, int fd);
void tcp_flow_failed(struct flow *flow, enum flow_verdict verdict);

/* A published port was connected to: asks the guest.  fd is owned. */
void tcp_flow_inbound(struct netproc *np, uint32_t wire, uint32_t generation,
    uint16_t guest_port, int fd);

/* While a held SYN goes through lwIP, its port listens; port 0: none does. */
void tcp_listen_begin(struct flow *flow, uint16_t port);
void tcp_listen_end(struct flow *flow, uint16_t port);

/* After a segment of the flow went through lwIP. */
void tcp_after_input(struct flow *flow);

/* The flow has something to do before the turn ends. */
void tcp_touch(struct flow *flow);

/* Ends the turn: bytes on, acknowledgments out, ends told. */
void tcp_turn_flush(struct netproc *np);

/* The queue towards the VMM has room again. */
void tcp_link_drained(struct netproc *np);

/* Every 250 ms while there is a flow: lwIP's timers and ours. */
void tcp_tick(struct netproc *np);

/* Ends a flow with a reset to the host and, unless it forgot it, the guest. */
void tcp_flow_reset(struct flow *flow);

/* The guest knows nothing of it any more: reset to the host alone. */
void tcp_forget(struct flow *flow);
void tcp_forget_all(struct netproc *np);

/* Resets every flow, both ways; for an orderly stop. */
void tcp_reset_all(struct netproc *np);

#endif
