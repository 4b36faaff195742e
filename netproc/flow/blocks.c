#include <sys/mman.h>

#include <stdlib.h>
#include <string.h>

#include "netproc/flow/blocks.h"

/* A flow may hold a quarter of what is free, within these. */
#define SHARE_DIVISOR 4
#define SHARE_MAX     (2 * 1024 * 1024)

/*
 * And a quarter of what is left of this: what all flows hold together should
 * stay in a processor's cache, between the read that brings it and the write
 * that takes it.  One flow has 2 MiB so, sixteen have 512 KiB each.  With less
 * than WARM_LEAST a flow is read in pieces that cost more than the cache gives.
 */
#define WARM_BYTES (10 * 1024 * 1024)
#define WARM_LEAST (256 * 1024)

int
blocks_init(struct block_pool *pool, size_t pool_bytes)
{
	size_t i;
	void *memory;

	memset(pool, 0, sizeof(*pool));
	pool->nblocks = pool_bytes / BLOCK_SIZE;
	pool->blocks = calloc(pool->nblocks, sizeof(*pool->blocks));
	if (pool->blocks == NULL)
		return (-1);
	memory = mmap(NULL, pool->nblocks * BLOCK_SIZE, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED) {
		free(pool->blocks);
		pool->blocks = NULL;
		return (-1);
	}
	pool->memory = memory;
	STAILQ_INIT(&pool->free);
	STAILQ_INIT(&pool->limbo);
	for (i = 0; i < pool->nblocks; i++) {
		pool->blocks[i].data = pool->memory + i * BLOCK_SIZE;
		STAILQ_INSERT_TAIL(&pool->free, &pool->blocks[i], entry);
	}
	pool->nfree = pool->nblocks;
	return (0);
}

size_t
blocks_free_bytes(const struct block_pool *pool)
{
	return (pool->nfree * BLOCK_SIZE);
}

int
blocks_are_few(const struct block_pool *pool)
{
	return (blocks_free_bytes(pool) < 2 * BLOCK_RESERVE);
}

size_t
blocks_share(const struct block_pool *pool)
{
	const size_t free_bytes = blocks_free_bytes(pool);
	const size_t held = pool->nblocks * BLOCK_SIZE - free_bytes;
	size_t share, warm;

	if (free_bytes <= BLOCK_RESERVE)
		return (0);
	if (free_bytes <= 2 * BLOCK_RESERVE + SHARE_DIVISOR * BLOCK_SIZE)
		return (BLOCK_SIZE); /* so that others are served beside hogs */
	share = (free_bytes - 2 * BLOCK_RESERVE) / SHARE_DIVISOR;
	warm = held < WARM_BYTES ? (WARM_BYTES - held) / SHARE_DIVISOR : 0;
	if (warm < WARM_LEAST)
		warm = WARM_LEAST;
	if (share > warm)
		share = warm;
	return (share < SHARE_MAX ? share : SHARE_MAX);
}

/* The latest freed is the first used again: its pages are warm. */
static void
block_put(struct block_pool *pool, struct block *block)
{
	STAILQ_INSERT_HEAD(&pool->free, block, entry);
	pool->nfree++;
}

static struct block *
block_get(struct block_pool *pool)
{
	struct block *block = STAILQ_FIRST(&pool->free);

	if (block == NULL)
		return (NULL);
	STAILQ_REMOVE_HEAD(&pool->free, entry);
	pool->nfree--;
	block->start = 0;
	block->end = 0;
	return (block);
}

void
block_queue_init(struct block_queue *q)
{
	STAILQ_INIT(&q->list);
	q->bytes = 0;
}

int
block_queue_room(struct block_pool *pool, struct block_queue *q,
    struct iovec *iov, int niov, size_t max)
{
	struct block *block = STAILQ_LAST(&q->list, block, entry);
	size_t room;
	int n = 0;

	if (block != NULL && block->end == BLOCK_SIZE)
		block = NULL;
	while (n < niov && max > 0) {
		if (block == NULL) {
			block = block_get(pool);
			if (block == NULL)
				break;
			STAILQ_INSERT_TAIL(&q->list, block, entry);
		}
		room = BLOCK_SIZE - block->end;
		if (room > max)
			room = max;
		iov[n].iov_base = block->data + block->end;
		iov[n].iov_len = room;
		max -= room;
		n++;
		block = NULL;
	}
	return (n);
}

/* Empty blocks at the tail go back to the pool. */
static void
tail_trim(struct block_pool *pool, struct block_queue *q)
{
	struct block *block, *last = NULL;

	STAILQ_FOREACH(block, &q->list, entry) {
		if (block->start == block->end)
			break;
		last = block;
	}
	while (block != NULL) {
		if (last != NULL)
			STAILQ_REMOVE_AFTER(&q->list, last, entry);
		else
			STAILQ_REMOVE_HEAD(&q->list, entry);
		block_put(pool, block);
		block = last != NULL ? STAILQ_NEXT(last, entry) :
				       STAILQ_FIRST(&q->list);
	}
}

void
block_queue_filled(struct block_pool *pool, struct block_queue *q, size_t n)
{
	struct block *block;
	size_t room;

	q->bytes += n;
	STAILQ_FOREACH(block, &q->list, entry) {
		room = BLOCK_SIZE - block->end;
		if (n == 0)
			break;
		if (room > n)
			room = n;
		block->end += (uint32_t)room;
		n -= room;
	}
	tail_trim(pool, q);
}

int
block_queue_append(struct block_pool *pool, struct block_queue *q,
    const uint8_t *bytes, size_t len)
{
	struct iovec iov[4];
	size_t done;
	int i, n;

	while (len > 0) {
		n = block_queue_room(pool, q, iov, 4, len);
		if (n == 0)
			return (-1);
		done = 0;
		for (i = 0; i < n; i++) {
			memcpy(iov[i].iov_base, bytes + done, iov[i].iov_len);
			done += iov[i].iov_len;
		}
		block_queue_filled(pool, q, done);
		bytes += done;
		len -= done;
	}
	return (0);
}

int
block_queue_peek(const struct block_queue *q, size_t offset, struct iovec *iov,
    int niov)
{
	const struct block *block;
	size_t len;
	int n = 0;

	STAILQ_FOREACH(block, &q->list, entry) {
		len = block->end - block->start;
		if (offset >= len) {
			offset -= len;
			continue;
		}
		if (n == niov)
			break;
		iov[n].iov_base = block->data + block->start + offset;
		iov[n].iov_len = len - offset;
		offset = 0;
		n++;
	}
	return (n);
}

void
block_queue_drop(struct block_pool *pool, struct block_queue *q, size_t n,
    uint64_t stamp, uint64_t sent)
{
	struct block *block;
	size_t len;

	while (n > 0 && (block = STAILQ_FIRST(&q->list)) != NULL) {
		len = block->end - block->start;
		if (n < len) {
			block->start += (uint32_t)n;
			q->bytes -= n;
			return;
		}
		n -= len;
		q->bytes -= len;
		STAILQ_REMOVE_HEAD(&q->list, entry);
		if (sent >= stamp) {
			block_put(pool, block);
		} else {
			block->stamp = stamp;
			STAILQ_INSERT_TAIL(&pool->limbo, block, entry);
		}
	}
}

void
block_queue_clear(struct block_pool *pool, struct block_queue *q,
    uint64_t stamp, uint64_t sent)
{
	block_queue_drop(pool, q, q->bytes, stamp, sent);
}

void
blocks_reap(struct block_pool *pool, uint64_t sent)
{
	struct block *block;

	while ((block = STAILQ_FIRST(&pool->limbo)) != NULL &&
	    block->stamp <= sent) {
		STAILQ_REMOVE_HEAD(&pool->limbo, entry);
		block_put(pool, block);
	}
}
