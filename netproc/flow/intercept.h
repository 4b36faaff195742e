#ifndef NETPROC_FLOW_INTERCEPT_H
#define NETPROC_FLOW_INTERCEPT_H

#include <stdint.h>

struct flow;
struct netproc;
struct shield_frame;

/*
 * The one seam where a segment to any address becomes a flow.  frame passed
 * the shield as TCP and is changed in place.
 */
void intercept_tcp(struct netproc *np, uint8_t *frame,
    const struct shield_frame *sf);

/* Gives the SYN that was held to lwIP, which answers it: SYN-ACK. */
void intercept_replay(struct flow *flow);

/* Gives it to lwIP while nothing listens: RST, with the right numbers. */
void intercept_reject(struct flow *flow);

#endif
