/*
 * Input: a byte of choices, then operations of three bytes, a kind and a
 * number n, from which a byte stream is made:
 *
 *	0	a frame of 14 + n bytes; of 65550 for the greatest n
 *	1	a length prefix of the next four bytes
 *	2	n + 1 bytes at a time are written from now on
 *	3	n % 64 of the next bytes as they are
 *
 * So a short input makes a long stream.  The stream is read through a socket
 * and every frame compared with what a walk over the whole stream finds; or,
 * by choice, each frame goes through the writer first.
 */

#include <sys/socket.h>

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "lwip/pbuf.h"

#include "netproc/link/frame.h"
#include "tests/fuzz/fuzz.h"

#define ROUND_TRIP 0x01
#define WITH_HEAD  0x02
#define SMALL_BUF  0x04

#define STREAM_MAX (5 * 1024 * 1024 / 2)
#define WRITES_MAX 1024 /* a long stream is not written byte by byte */
#define FRAMES_MAX 256
#define HEAD_LEN   (FRAME_ETHER_LEN)

const char fuzz_name[] = "frame";

static uint8_t pattern[FRAME_LEN_MAX + 251];

struct stream {
	uint8_t *bytes; /* STREAM_MAX */
	size_t len;
	size_t nframes;
	size_t frame_at[FRAMES_MAX]; /* prefixes of the good frames */
	size_t chunk;
};

/* The codec counts references; nothing here is ever freed by it. */
void
pbuf_ref(struct pbuf *p)
{
	p->ref++;
}

u16_t
pbuf_clen(const struct pbuf *p)
{
	u16_t n = 0;

	for (; p != NULL; p = p->next)
		n++;
	return (n);
}

struct pbuf *
pbuf_alloc(pbuf_layer layer, u16_t len, pbuf_type type)
{
	(void)layer;
	(void)len;
	(void)type;
	return (NULL);
}

u8_t
pbuf_free(struct pbuf *p)
{
	FUZZ_CHECK(p->ref > 1);
	p->ref--;
	return (0);
}

static void
put_frame(struct stream *s, size_t len)
{
	uint8_t *at = s->bytes + s->len;

	if (FRAME_PREFIX_LEN + len > STREAM_MAX - s->len)
		return;
	at[0] = 0;
	at[1] = (uint8_t)(len >> 16);
	at[2] = (uint8_t)(len >> 8);
	at[3] = (uint8_t)len;
	memcpy(at + FRAME_PREFIX_LEN, pattern + s->len % 251, len);
	if (s->nframes < FRAMES_MAX)
		s->frame_at[s->nframes++] = s->len;
	s->len += FRAME_PREFIX_LEN + len;
}

static void
put_raw(struct stream *s, const uint8_t **data, size_t *size, size_t n)
{
	if (n > *size)
		n = *size;
	if (n > STREAM_MAX - s->len)
		return;
	memcpy(s->bytes + s->len, *data, n);
	s->len += n;
	*data += n;
	*size -= n;
}

static void
make_stream(struct stream *s, const uint8_t *data, size_t size)
{
	size_t n;
	uint8_t kind;

	s->chunk = SIZE_MAX;
	while (size >= 3) {
		kind = data[0] & 3;
		n = (size_t)data[1] << 8 | data[2];
		data += 3;
		size -= 3;
		switch (kind) {
		case 0:
			n += FRAME_LEN_MIN;
			put_frame(s, n > UINT16_MAX ? FRAME_LEN_MAX : n);
			break;
		case 1:
			put_raw(s, &data, &size, FRAME_PREFIX_LEN);
			break;
		case 2:
			s->chunk = n + 1;
			break;
		default:
			put_raw(s, &data, &size, n % 64);
			break;
		}
	}
	if (s->chunk < s->len / WRITES_MAX)
		s->chunk = s->len / WRITES_MAX;
}

/* The whole truth about the stream at *at; 1 for a frame, and steps over it. */
static int
reference_next(const struct stream *s, size_t *at, size_t *len, int *bad)
{
	const uint8_t *p = s->bytes + *at;

	*bad = 0;
	if (s->len - *at < 4)
		return (0);
	*len = (size_t)p[0] << 24 | (size_t)p[1] << 16 | (size_t)p[2] << 8 |
	    p[3];
	*bad = *len < 14 || *len > 65550;
	if (*bad || s->len - *at - 4 < *len)
		return (0);
	*at += 4 + *len;
	return (1);
}

/* Takes what the reader has.  0, or -1 after a bad length. */
static int
drain(struct frame_reader *r, const struct stream *s, size_t *at)
{
	enum frame_next next;
	uint8_t *frame;
	size_t start, len, want;
	int bad;

	for (;;) {
		start = *at;
		next = frame_reader_next(r, &frame, &len);
		if (next == FRAME_NEXT_PARTIAL)
			return (0);
		if (next == FRAME_NEXT_BAD) {
			FUZZ_CHECK(!reference_next(s, at, &want, &bad));
			FUZZ_CHECK(bad && len == want);
			return (-1);
		}
		FUZZ_CHECK(reference_next(s, at, &want, &bad));
		FUZZ_CHECK(len == want);
		FUZZ_CHECK(memcmp(frame, s->bytes + start + 4, len) == 0);
	}
}

/* Reads all that is in the socket. */
static int
read_all(struct frame_reader *r, int fd, const struct stream *s, size_t *at)
{
	ssize_t n;

	while ((n = frame_reader_fill(r, fd)) > 0) {
		FUZZ_CHECK(r->end <= FRAME_READER_SIZE);
		if (drain(r, s, at) == -1)
			return (-1);
	}
	FUZZ_CHECK(n == 0 || errno == EAGAIN);
	return (0);
}

static void
run_stream(struct frame_reader *r, const int fd[2], const struct stream *s)
{
	size_t at = 0, written = 0, want, n;
	ssize_t done;
	int bad;

	while (written < s->len) {
		n = s->len - written;
		done = write(fd[0], s->bytes + written,
		    n < s->chunk ? n : s->chunk);
		FUZZ_CHECK(done > 0);
		written += (size_t)done;
		if (read_all(r, fd[1], s, &at) == -1)
			return;
	}
	/* All was written: what is left is no frame. */
	FUZZ_CHECK(!reference_next(s, &at, &want, &bad) && !bad);
}

/* The frame behind the prefix at `at` as a chain of up to three pbufs. */
static size_t
make_pbufs(const struct stream *s, size_t at, size_t skip, struct pbuf *p)
{
	size_t len, piece, i;
	uint8_t *bytes = s->bytes + at + FRAME_PREFIX_LEN;

	len = (size_t)bytes[-3] << 16 | (size_t)bytes[-2] << 8 | bytes[-1];
	bytes += skip;
	len -= skip;
	if (len > UINT16_MAX) /* no pbuf is so long */
		return (0);
	for (i = 0; i < 3; i++) {
		piece = i < 2 ? len / 3 : len;
		p[i].payload = bytes;
		p[i].len = (u16_t)piece;
		p[i].tot_len = (u16_t)len;
		p[i].ref = 1;
		p[i].next = i < 2 ? &p[i + 1] : NULL;
		bytes += piece;
		len -= piece;
	}
	return (p[0].tot_len);
}

/* Only the good frames, in a stream of their own, through the writer. */
static void
run_round_trip(struct frame_reader *r, const int fd[2], struct stream *s,
    int with_head)
{
	static struct pbuf pbufs[FRAMES_MAX][3];
	const size_t skip = with_head ? HEAD_LEN : 0;
	struct frame_writer w;
	struct frame_part whole;
	size_t i, at = 0, nsent = 0, start;
	int flushed;

	if (frame_writer_init(&w, r->journal, 0) == -1)
		abort();
	for (i = 0; i < s->nframes; i++) {
		start = s->frame_at[i];
		if (make_pbufs(s, start, skip, pbufs[i]) == 0 && !with_head)
			continue;
		whole = (struct frame_part){ pbufs[i], 0, pbufs[i]->tot_len };
		if (frame_writer_push_part(&w,
			with_head ? s->bytes + start + FRAME_PREFIX_LEN : NULL,
			skip, pbufs[i], &whole) == -1)
			break;
		FUZZ_CHECK(w.bytes <= FRAME_QUEUE_BYTES + FRAME_PREFIX_LEN);
		nsent++;
	}
	do {
		flushed = frame_writer_flush(&w, fd[0]);
		FUZZ_CHECK(flushed != -1);
		FUZZ_CHECK(read_all(r, fd[1], s, &at) == 0);
	} while (flushed == 0);
	FUZZ_CHECK(w.nsent == nsent && w.count == 0 && w.bytes == 0);
	frame_writer_reset(&w);
	free(w.slots);
	free(w.iov);
	for (i = 0; i < s->nframes; i++)
		FUZZ_CHECK(pbufs[i][0].ref <= 1);
}

/* Leaves only the frames that the round trip sends. */
static void
keep_frames(struct stream *s)
{
	size_t i, len, kept = 0, at = 0;

	for (i = 0; i < s->nframes; i++) {
		const uint8_t *p = s->bytes + s->frame_at[i];

		len = ((size_t)p[1] << 16 | (size_t)p[2] << 8 | p[3]) + 4;
		if (len > UINT16_MAX)
			continue;
		memmove(s->bytes + at, p, len);
		s->frame_at[kept++] = at;
		at += len;
	}
	s->nframes = kept;
	s->len = at;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct frame_reader reader;
	static uint8_t bytes[STREAM_MAX];
	struct stream s = { .bytes = bytes };
	int fd[2], small = 4096;
	size_t i;

	if (size < 1 || size > 3000)
		return (0);
	if (reader.buf == NULL) {
		struct journal *journal = journal_map(-1, 1);

		if (journal == NULL)
			abort();
		frame_reader_init(&reader, journal);
		for (i = 0; i < sizeof(pattern); i++)
			pattern[i] = (uint8_t)(i * 7 >> 3);
	}
	frame_reader_reset(&reader);
	make_stream(&s, data + 1, size - 1);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fd) == -1)
		abort();
	if ((data[0] & SMALL_BUF) != 0)
		(void)setsockopt(fd[0], SOL_SOCKET, SO_SNDBUF, &small,
		    sizeof(small));
	if ((data[0] & ROUND_TRIP) != 0) {
		keep_frames(&s);
		run_round_trip(&reader, fd, &s, (data[0] & WITH_HEAD) != 0);
	} else {
		run_stream(&reader, fd, &s);
	}
	close(fd[0]);
	close(fd[1]);
	return (0);
}
