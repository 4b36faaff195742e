#include <sys/uio.h>

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lwip/pbuf.h"

#include "netproc/link/frame.h"

/* One frame with its prefix: less room than this and the rest moves up. */
#define ROOM_MIN (FRAME_PREFIX_LEN + FRAME_LEN_MAX)

enum frame_next
frame_next(const uint8_t *bytes, size_t len, size_t *frame_len)
{
	size_t n;

	*frame_len = 0;
	if (len < FRAME_PREFIX_LEN)
		return (FRAME_NEXT_PARTIAL);
	n = (size_t)bytes[0] << 24 | (size_t)bytes[1] << 16 |
	    (size_t)bytes[2] << 8 | bytes[3];
	*frame_len = n;
	if (n < FRAME_LEN_MIN || n > FRAME_LEN_MAX)
		return (FRAME_NEXT_BAD);
	if (len - FRAME_PREFIX_LEN < n)
		return (FRAME_NEXT_PARTIAL);
	return (FRAME_NEXT_FRAME);
}

int
frame_reader_init(struct frame_reader *r)
{
	memset(r, 0, sizeof(*r));
	r->buf = calloc(1, FRAME_READER_SIZE + FRAME_READER_TAIL);
	return (r->buf == NULL ? -1 : 0);
}

void
frame_reader_reset(struct frame_reader *r)
{
	r->start = 0;
	r->end = 0;
}

ssize_t
frame_reader_fill(struct frame_reader *r, int fd)
{
	ssize_t n;

	if (r->start == r->end) {
		r->start = 0;
		r->end = 0;
	} else if (FRAME_READER_SIZE - r->end < ROOM_MIN) {
		memmove(r->buf, r->buf + r->start, r->end - r->start);
		r->end -= r->start;
		r->start = 0;
	}
	do {
		n = read(fd, r->buf + r->end, FRAME_READER_SIZE - r->end);
	} while (n == -1 && errno == EINTR);
	if (n > 0)
		r->end += (size_t)n;
	return (n);
}

enum frame_next
frame_reader_next(struct frame_reader *r, uint8_t **frame, size_t *frame_len)
{
	enum frame_next next;

	next = frame_next(r->buf + r->start, r->end - r->start, frame_len);
	if (next == FRAME_NEXT_FRAME) {
		*frame = r->buf + r->start + FRAME_PREFIX_LEN;
		r->start += FRAME_PREFIX_LEN + *frame_len;
	}
	return (next);
}

int
frame_writer_init(struct frame_writer *w)
{
	memset(w, 0, sizeof(*w));
	w->slots = calloc(FRAME_QUEUE_FRAMES, sizeof(*w->slots));
	w->iov = calloc(FRAME_WRITE_IOV, sizeof(*w->iov));
	return (w->slots == NULL || w->iov == NULL ? -1 : 0);
}

static void
slot_pop(struct frame_writer *w)
{
	struct frame_slot *slot = &w->slots[w->first];

	w->bytes -= slot->len;
	w->written = 0;
	w->first = (w->first + 1) % FRAME_QUEUE_FRAMES;
	w->count--;
	pbuf_free(slot->p);
	slot->p = NULL;
}

void
frame_writer_reset(struct frame_writer *w)
{
	while (w->count > 0)
		slot_pop(w);
}

int
frame_writer_push(struct frame_writer *w, const uint8_t *head, struct pbuf *p)
{
	struct frame_slot *slot;
	size_t len = p->tot_len;

	if (head != NULL)
		len += FRAME_HEAD_MAX - FRAME_PREFIX_LEN;
	if (w->count == FRAME_QUEUE_FRAMES || len > FRAME_LEN_MAX ||
	    w->bytes + len > FRAME_QUEUE_BYTES)
		return (-1);
	slot = &w->slots[(w->first + w->count) % FRAME_QUEUE_FRAMES];
	slot->head[0] = 0;
	slot->head[1] = (uint8_t)(len >> 16);
	slot->head[2] = (uint8_t)(len >> 8);
	slot->head[3] = (uint8_t)len;
	slot->head_len = FRAME_PREFIX_LEN;
	if (head != NULL) {
		memcpy(slot->head + FRAME_PREFIX_LEN, head,
		    FRAME_HEAD_MAX - FRAME_PREFIX_LEN);
		slot->head_len = FRAME_HEAD_MAX;
	}
	slot->len = (uint32_t)(FRAME_PREFIX_LEN + len);
	slot->p = p;
	pbuf_ref(p);
	w->bytes += slot->len;
	w->count++;
	w->nqueued++;
	return (0);
}

/* Adds bytes [skip, len) to iov, and takes what was skipped off *skip. */
static int
iov_add(struct iovec *iov, const void *bytes, size_t len, size_t *skip)
{
	if (*skip >= len) {
		*skip -= len;
		return (0);
	}
	iov->iov_base = (uint8_t *)(uintptr_t)bytes + *skip;
	iov->iov_len = len - *skip;
	*skip = 0;
	return (1);
}

/* Fills iov with what waits, from the first unwritten byte on. */
static int
writer_gather(const struct frame_writer *w, struct iovec *iov)
{
	const struct frame_slot *slot;
	const struct pbuf *q;
	size_t i, skip = w->written;
	int n = 0;

	for (i = 0; i < w->count; i++) {
		slot = &w->slots[(w->first + i) % FRAME_QUEUE_FRAMES];
		if (n == FRAME_WRITE_IOV)
			return (n);
		n += iov_add(&iov[n], slot->head, slot->head_len, &skip);
		for (q = slot->p; q != NULL; q = q->next) {
			if (n == FRAME_WRITE_IOV)
				return (n);
			n += iov_add(&iov[n], q->payload, q->len, &skip);
		}
	}
	return (n);
}

static void
writer_advance(struct frame_writer *w, size_t n)
{
	size_t left;

	while (n > 0) {
		left = w->slots[w->first].len - w->written;
		if (n < left) {
			w->written += n;
			return;
		}
		n -= left;
		w->nsent++;
		slot_pop(w);
	}
}

int
frame_writer_flush(struct frame_writer *w, int fd)
{
	ssize_t n;

	while (w->count > 0) {
		n = writev(fd, w->iov, writer_gather(w, w->iov));
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1)
			return (errno == EAGAIN ? 0 : -1);
		writer_advance(w, (size_t)n);
	}
	return (1);
}
