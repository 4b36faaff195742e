#ifndef NETPROC_LINK_OFFLOAD_H
#define NETPROC_LINK_OFFLOAD_H

#include <stddef.h>
#include <stdint.h>

#include "netproc/link/frame.h"

/*
 * What a card with TCP segmentation offload does: a TCP segment that is longer
 * than the link's packets goes as several, each with headers of its own over a
 * part of the same payload.
 *
 * Sequence numbers go on, FIN and PSH are the last one's, IPv4 packets are
 * numbered; all else is the segment's.  The checksum of each is made here:
 * every byte of payload is added up once.
 */

/* IPv6 and the longest TCP header. */
#define OFFLOAD_HEAD_MAX (40 + 60)

struct offload {
	const uint8_t *head; /* borrowed: IP and TCP headers */
	size_t ip_len, tcp_len;
	size_t nframes;
	size_t step;  /* payload of a frame, bytes; the last may be shorter */
	size_t done;  /* payload of the frames so far */
	size_t total; /* of all */
	struct frame_part at; /* where the next frame's begins */
};

/*
 * Plans for a segment of a chain of pbufs, whose headers are in the first.
 * mtu is of the link, bytes.  0, or -1: it is no TCP segment with payload, or
 * its headers are not as lwIP makes them.
 */
int offload_plan(struct offload *offload, const struct pbuf *p, size_t mtu);

/*
 * The next frame: its headers from IP on in head, OFFLOAD_HEAD_MAX bytes, and
 * its payload in *part.  Returns the headers' length; nframes calls.
 */
size_t offload_next(struct offload *offload, uint8_t *head,
    struct frame_part *part);

#endif
