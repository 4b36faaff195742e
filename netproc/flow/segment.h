#ifndef NETPROC_FLOW_SEGMENT_H
#define NETPROC_FLOW_SEGMENT_H

#include <stdint.h>

struct flow_tuple;
struct netproc;
struct shield_frame;

/*
 * Segments of connections that lwIP has none of.
 */

struct segment {
	uint32_t seq, ack;
	uint8_t flags; /* SHIELD_TCP_* */
	uint16_t window;
};

/* Sends a bare one, of no data and no options, as the guest's peer. */
void segment_send(struct netproc *np, const struct flow_tuple *tuple,
    const struct segment *segment);

/* Answers the guest's with the RST of RFC 9293 3.10.7.1; a RST with none. */
void segment_refuse(struct netproc *np, const struct flow_tuple *tuple,
    const struct shield_frame *sf);

#endif
