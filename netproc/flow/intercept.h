#ifndef NETPROC_FLOW_INTERCEPT_H
#define NETPROC_FLOW_INTERCEPT_H

#include <stdint.h>

struct flow;
struct flow_tuple;
struct netproc;
struct shield_frame;

/*
 * The one seam where a segment to any address becomes a flow.  frame passed
 * the shield as TCP and is changed in place.
 */
void intercept_tcp(struct netproc *np, uint8_t *frame,
    const struct shield_frame *sf);

/*
 * A frame that passed as SHIELD_TCP_STRAY is answered as any other of no
 * connection: a connect to port 0 fails at once, and a scan with no flags
 * finds ports closed.
 */
void intercept_stray(struct netproc *np, const struct shield_frame *sf);

/*
 * A guest's firewall may refuse by ICMP, and many do.  frame, which passed the
 * shield as ICMP or ICMPv6, ends the connect that it is about (RFC 1122
 * 4.2.3.9), and no connection that stands.
 */
void intercept_unreach(struct netproc *np, const uint8_t *frame,
    const struct shield_frame *sf);

/*
 * A connection of which only lwIP's end is left, draining or in TIME_WAIT,
 * gives way to a new one (RFC 9293 3.6.1 allows it for TIME_WAIT).
 */
void intercept_linger_end(struct netproc *np, const struct flow_tuple *tuple,
    uint64_t hash);

/* Gives the SYN that was held to lwIP, which answers it: SYN-ACK. */
void intercept_replay(struct flow *flow);

/* Answers it with RST. */
void intercept_reject(struct flow *flow);

#endif
