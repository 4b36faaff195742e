#include <sys/uio.h>

#include <string.h>

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

void
frame_reader_init(struct frame_reader *r, struct journal *journal)
{
	memset(r, 0, sizeof(*r));
	r->journal = journal;
	r->buf = journal->buf;
}

void
frame_reader_reset(struct frame_reader *r)
{
	r->start = 0;
	r->end = 0;
	r->skip = 0;
}

int
frame_reader_resume(struct frame_reader *r)
{
	struct journal_at at;

	frame_reader_reset(r);
	if (journal_read_left(r->journal, &at) == -1)
		return (-1);
	/* It stands there until the first read says otherwise. */
	journal_read_begin(r->journal, &at);
	memcpy(r->buf, at.prefix, at.prefix_len);
	r->end = at.prefix_len;
	r->skip = at.left;
	return (0);
}

/* Where in the stream the last byte that was read stands. */
static void
reader_at(const struct frame_reader *r, struct journal_at *at)
{
	memset(at, 0, sizeof(*at));
	at->left = (uint32_t)r->skip;
	/* After a bad length the connection ends, and nobody goes on. */
	(void)journal_walk(at, r->buf + r->start, r->end - r->start);
}

/* Throws away what belongs to a frame that the predecessor has begun. */
static void
reader_skip(struct frame_reader *r)
{
	const size_t have = r->end - r->start;
	const size_t n = r->skip < have ? r->skip : have;

	r->start += n;
	r->skip -= n;
}

ssize_t
frame_reader_fill(struct frame_reader *r, int fd)
{
	struct journal_at at;
	struct iovec iov;
	ssize_t n;

	reader_at(r, &at);
	journal_read_begin(r->journal, &at);
	if (r->start == r->end) {
		r->start = 0;
		r->end = 0;
	} else if (FRAME_READER_SIZE - r->end < ROOM_MIN) {
		memmove(r->buf, r->buf + r->start, r->end - r->start);
		r->end -= r->start;
		r->start = 0;
	}
	iov.iov_base = r->buf + r->end;
	iov.iov_len = FRAME_READER_SIZE - r->end;
	n = journal_recv(r->journal, fd, &iov, 1);
	if (n > 0) {
		r->end += (size_t)n;
		reader_skip(r);
	}
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
