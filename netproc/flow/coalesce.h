#ifndef NETPROC_FLOW_COALESCE_H
#define NETPROC_FLOW_COALESCE_H

#include <stddef.h>
#include <stdint.h>

struct flow;
struct netproc;
struct shield_frame;

/*
 * What a card with receive offload does: segments of one flow that follow each
 * other in one read go to lwIP as one, their payload where it was read.
 *
 * Only plain ones: with payload, of no flags but ACK and PSH, with no option
 * but timestamps, and no more than the window takes.  In order, while lwIP
 * waits for nothing out of order; or ahead of their turn, where the guest hears
 * of each gap by SACK and need not count acknowledgments (RFC 6675): lwIP walks
 * along all that waits for each of them.  The whole has the timestamp of its
 * first segment (RFC 7323 4.3) and the acknowledgment, window and PSH of its
 * last.
 *
 * It has to be passed on before anything else of its flow is looked at, before
 * any frame that could end flows, and before its bytes go.
 */

/* Frames of 1500 bytes in 64 KiB, and some. */
#define COALESCE_MAX 48

struct coalesce {
	struct flow *flow; /* borrowed; NULL: nothing waits */
	uint64_t hash;
	uint8_t *packet;   /* of the first segment, IP header on */
	size_t l4_off;	   /* of its TCP header in that */
	size_t header_len; /* of each TCP header, bytes */
	uint8_t *last;	   /* the TCP header of the last */
	uint32_t next_seq;
	int ahead;    /* of their turn: lwIP keeps them, and takes a copy */
	size_t bytes; /* payload of all */
	size_t n;
	struct {
		uint8_t *bytes;
		size_t len;
	} piece[COALESCE_MAX];
};

/* 1 if the segment waits for those after it now, 0 if it is for others. */
int coalesce_add(struct netproc *np, struct flow *flow, uint64_t hash,
    uint8_t *frame, const struct shield_frame *sf);

/* Passes on what waits. */
void coalesce_flush(struct netproc *np);

#endif
