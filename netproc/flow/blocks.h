#ifndef NETPROC_FLOW_BLOCKS_H
#define NETPROC_FLOW_BLOCKS_H

#include <sys/queue.h>
#include <sys/uio.h>

#include <stddef.h>
#include <stdint.h>

/*
 * The one budget for payload that netproc holds: blocks of a fixed size from
 * a pool that is mapped at start and touched on use.  A flow's bytes stand in
 * a queue of blocks, oldest first.
 *
 * BLOCK_POOL_BYTES bounds what a VM can make netproc hold.  When it runs
 * short each flow's share shrinks (blocks_share), and so do the windows that
 * the guest is given (pump.c).  Of the second half each flow may hold one block
 * of the guest's bytes, whatever it was promised: what the guest sends beyond
 * is dropped before TCP sees it, and comes again.  That is enough for several
 * hundred servers that do not read.  From twice the reserve on none is held:
 * what a socket takes passes, and each flow may hold one block of the host's,
 * down to the reserve.
 */
#define BLOCK_SIZE	 (32 * 1024)
#define BLOCK_POOL_BYTES (64 * 1024 * 1024)
#define BLOCK_RESERVE	 (4 * 1024 * 1024) /* for what one read brings */

struct block {
	STAILQ_ENTRY(block) entry;
	uint32_t start, end; /* bytes in use: data[start..end) */
	uint64_t stamp;	     /* limbo: frees when the writer has sent this */
	uint8_t *data;
};

STAILQ_HEAD(block_list, block);

struct block_pool {
	struct block *blocks;
	uint8_t *memory;
	size_t nblocks, nfree;
	struct block_list free;
	struct block_list limbo; /* freed, but a queued frame may point in */
};

struct block_queue {
	struct block_list list;
	size_t bytes;
};

/* 0, or -1 with errno ENOMEM. */
int blocks_init(struct block_pool *pool, size_t pool_bytes);

/* Bytes that are free, limbo not counted. */
size_t blocks_free_bytes(const struct block_pool *pool);

/* 1 if no more of the guest's bytes should be held: what is left is for all. */
int blocks_are_few(const struct block_pool *pool);

/* Most bytes that one flow should hold in one direction, as things stand. */
size_t blocks_share(const struct block_pool *pool);

void block_queue_init(struct block_queue *q);

/*
 * Room at the tail of the queue as iovecs for readv(2), at most max bytes;
 * blocks are added to the queue as needed.  Returns the number of iovecs.
 */
int block_queue_room(struct block_pool *pool, struct block_queue *q,
    struct iovec *iov, int niov, size_t max);

/* Says how many of these bytes were filled; unused blocks go back. */
void block_queue_filled(struct block_pool *pool, struct block_queue *q,
    size_t n);

/* Copies bytes to the tail.  0, or -1 if the pool is exhausted. */
int block_queue_append(struct block_pool *pool, struct block_queue *q,
    const uint8_t *bytes, size_t len);

/* The queue's bytes from offset on as iovecs; returns their number. */
int block_queue_peek(const struct block_queue *q, size_t offset,
    struct iovec *iov, int niov);

/*
 * Drops n bytes from the head.  Emptied blocks are free when the frame writer
 * has sent `stamp` frames, at once if it has already (sent >= stamp).
 */
void block_queue_drop(struct block_pool *pool, struct block_queue *q, size_t n,
    uint64_t stamp, uint64_t sent);

/* Drops all. */
void block_queue_clear(struct block_pool *pool, struct block_queue *q,
    uint64_t stamp, uint64_t sent);

/* Frees what waited for frames up to sent. */
void blocks_reap(struct block_pool *pool, uint64_t sent);

#endif
