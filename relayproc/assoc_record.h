#ifndef RELAYPROC_ASSOC_RECORD_H
#define RELAYPROC_ASSOC_RECORD_H

#include <stddef.h>
#include <stdint.h>

#include "ipc/proto.h"
#include "relayproc/assoc.h"

/*
 * What sockets received, on its way to netproc: datagrams that follow each
 * other from one peer share a record.  When netproc's channel is full, what
 * was read waits here and all other sockets are left unread until there is
 * room: the kernel's buffers drop then, and nobody else.
 */

struct relayproc;

/* Whose a received message is. */
struct assoc_label {
	uint32_t slot, generation;
	struct ipc_assoc_data data; /* but for segment_len */
	int drop;		    /* it goes nowhere */
};

struct assoc_records {
	struct dgram_batch *batch;
	struct assoc_label labels[DGRAM_BATCH];
	unsigned int n, next; /* messages next..n-1 wait */
	size_t offset;	      /* so many bytes of message next are sent */
	uint8_t *stage;	      /* IPC_DGRAM_TAIL_MAX bytes */
	struct event *ev_room;
	struct dgram_source_list waiting; /* are not read until there is room */
};

/* 0, or -1 with errno ENOMEM. */
int assoc_records_init(struct assoc_records *records);
void assoc_records_free(struct assoc_records *records);

/* Puts the event on rp's loop.  0, or -1. */
int assoc_records_start(struct relayproc *rp);

/* Drops what waits. */
void assoc_records_stop(struct relayproc *rp);

/*
 * Reads from source into the labels, which the caller fills, and then calls
 * assoc_records_deliver().  Returns the number of messages, 0 if nothing
 * waits or source has to wait for room, -1 with errno for an error that is in
 * the socket's queue.
 */
int assoc_records_read(struct relayproc *rp, struct dgram_source *source);
void assoc_records_deliver(struct relayproc *rp);

/* Takes a source that will be closed out of the loop. */
void assoc_records_forget(struct relayproc *rp, struct dgram_source *source);

/* Counts what dgram_send() has made of a record: datagrams out, and lost. */
void assoc_record_sent(struct relayproc *rp, size_t segment_len, size_t len,
    size_t sent, int error);

/*
 * Tells netproc what became of a datagram; dropped and counted when netproc
 * does not keep up, or more often than errors are of use.
 */
void assoc_record_error(struct relayproc *rp, uint32_t slot,
    uint32_t generation, const struct ipc_assoc_error *error, uint64_t now_ms);

#endif
