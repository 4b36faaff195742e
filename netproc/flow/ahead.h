#ifndef NETPROC_FLOW_AHEAD_H
#define NETPROC_FLOW_AHEAD_H

#include <stddef.h>
#include <stdint.h>

struct flow;
struct netproc;
struct tcp_pcb;
struct tcp_seg;

/*
 * Segments ahead of their turn wait in lwIP, in memory of malloc(3)'s: a flow's
 * bound there (lwipopts.h) counts their bytes, and one that another overlaps is
 * cut to what is left of it but keeps its memory.  So what all flows hold is
 * counted as it lies in memory.  Beyond the limit such a segment is dropped,
 * and comes again when its turn is nearer.  Test: "what waits for its turn is
 * bounded, however it is cut".
 */
#define AHEAD_BYTES_MAX (8 * 1024 * 1024)

/*
 * Once a turn, as it takes a walk along the queue; after whatever lwIP may have
 * done to it, or where the pcb is gone.
 */
void ahead_count(struct flow *flow);

/* 1 if no more may wait. */
int ahead_is_full(const struct netproc *np);

/*
 * lwIP ends what waits where a segment begins, and drops what waited behind
 * that of the same: the guest was told by SACK that it is here.  One whose
 * bytes all wait in another is so numbered as if it began where that does: lwIP
 * leaves the longer one alone.  tcp is its header, in the frame, and len what
 * it carries, bytes.
 */
void ahead_spare(const struct tcp_pcb *pcb, uint8_t *tcp, size_t len);

/* The last that waits, borrowed, or NULL: alone it may have a FIN. */
const struct tcp_seg *ahead_last(const struct tcp_pcb *pcb);

/* 1 if a FIN waits for its turn. */
int ahead_has_fin(const struct tcp_pcb *pcb);

#endif
