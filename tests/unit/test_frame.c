#include <sys/socket.h>

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "lwip/init.h"
#include "lwip/pbuf.h"

#include "netproc/link/frame.h"

/* Frames of many sizes, one after the other, each with a byte of its own. */
static const size_t sizes[] = { 14, 15, 60, 1514, 64, 65550, 14, 9014 };
#define NSIZES (sizeof(sizes) / sizeof(sizes[0]))

static uint8_t *stream;
static size_t stream_len;

static int
setup(void **state)
{
	size_t i, off = 0;

	(void)state;
	for (i = 0; i < NSIZES; i++)
		stream_len += FRAME_PREFIX_LEN + sizes[i];
	stream = calloc(1, stream_len);
	for (i = 0; i < NSIZES; i++) {
		stream[off + 1] = (uint8_t)(sizes[i] >> 16);
		stream[off + 2] = (uint8_t)(sizes[i] >> 8);
		stream[off + 3] = (uint8_t)sizes[i];
		memset(stream + off + 4, (int)(i + 1), sizes[i]);
		off += FRAME_PREFIX_LEN + sizes[i];
	}
	lwip_init();
	return (0);
}

static void
make_pair(int fds[2])
{
	assert_return_code(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0,
			       fds),
	    errno);
}

static void
reader_make(struct frame_reader *r)
{
	struct journal *journal = journal_map(-1, 1);

	assert_non_null(journal);
	frame_reader_init(r, journal);
}

static void
writer_make(struct frame_writer *w)
{
	struct journal *journal = journal_map(-1, 1);

	assert_non_null(journal);
	assert_int_equal(frame_writer_init(w, journal, 0), 0);
}

static void
writer_free(struct frame_writer *w)
{
	journal_unmap(w->journal);
	free(w->slots);
	free(w->iov);
}

/* Takes what is there; says how many whole frames came, in order. */
static size_t
take(struct frame_reader *r, int fd, size_t next)
{
	uint8_t *frame;
	size_t len;
	ssize_t n;

	while ((n = frame_reader_fill(r, fd)) > 0) {
		while (frame_reader_next(r, &frame, &len) == FRAME_NEXT_FRAME) {
			assert_int_equal(len, sizes[next % NSIZES]);
			assert_int_equal(frame[0], next % NSIZES + 1);
			assert_int_equal(frame[len - 1], next % NSIZES + 1);
			next++;
		}
	}
	assert_int_equal(n, -1);
	assert_int_equal(errno, EAGAIN);
	return (next);
}

static void
frames_come_whole_however_the_stream_is_cut(void **state)
{
	struct frame_reader r;
	size_t split, step, off, piece, next;
	int fds[2];

	(void)state;
	reader_make(&r);
	make_pair(fds);
	/* Every cut of the first frames, which have every kind of border. */
	for (split = 1; split < 1700; split++) {
		frame_reader_reset(&r);
		assert_int_equal(write(fds[0], stream, split), split);
		next = take(&r, fds[1], 0);
		assert_int_equal(write(fds[0], stream + split,
				     stream_len - split),
		    stream_len - split);
		assert_int_equal(take(&r, fds[1], next), NSIZES);
	}
	/* And all of it in equal pieces. */
	for (step = 1; step < 40; step += 6) {
		frame_reader_reset(&r);
		next = 0;
		for (off = 0; off < stream_len; off += piece) {
			piece = stream_len - off < step ? stream_len - off :
							  step;
			assert_int_equal(write(fds[0], stream + off, piece),
			    piece);
			next = take(&r, fds[1], next);
		}
		assert_int_equal(next, NSIZES);
	}
	journal_unmap(r.journal);
	close(fds[0]);
	close(fds[1]);
}

static void
a_long_stream_wraps_without_losing_its_place(void **state)
{
	struct frame_reader r;
	size_t off = 0, next = 0, piece, round, seed = 1;
	int fds[2];

	(void)state;
	reader_make(&r);
	make_pair(fds);
	for (round = 0; round < 4000; round++) {
		seed = seed * 1103515245u + 12345u;
		piece = 1 + (seed >> 8) % 50000;
		if (piece > stream_len - off)
			piece = stream_len - off;
		assert_int_equal(write(fds[0], stream + off, piece), piece);
		off = (off + piece) % stream_len;
		next = take(&r, fds[1], next);
	}
	assert_true(next > 4000);
	journal_unmap(r.journal);
	close(fds[0]);
	close(fds[1]);
}

static void
a_length_outside_its_bounds_is_bad_at_once(void **state)
{
	static const struct {
		uint8_t prefix[4];
		size_t len;
		enum frame_next next;
	} cases[] = {
		{ { 0, 0, 0, 0 }, 0, FRAME_NEXT_BAD },
		{ { 0, 0, 0, 1 }, 1, FRAME_NEXT_BAD },
		{ { 0, 0, 0, 13 }, 13, FRAME_NEXT_BAD },
		{ { 0, 0, 0, 14 }, 14, FRAME_NEXT_PARTIAL },
		{ { 0, 1, 0, 14 }, 65550, FRAME_NEXT_PARTIAL },
		{ { 0, 1, 0, 15 }, 65551, FRAME_NEXT_BAD },
		{ { 0x80, 0, 0, 0 }, 0x80000000u, FRAME_NEXT_BAD },
		{ { 0xff, 0xff, 0xff, 0xff }, 0xffffffffu, FRAME_NEXT_BAD },
	};
	size_t i, len;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(frame_next(cases[i].prefix, 4, &len),
		    cases[i].next);
		assert_int_equal(len, cases[i].len);
		assert_int_equal(frame_next(cases[i].prefix, 3, &len),
		    FRAME_NEXT_PARTIAL);
	}
}

static struct pbuf *
pbuf_of(size_t len, int byte)
{
	struct pbuf *p = pbuf_alloc(PBUF_RAW, (u16_t)len, PBUF_RAM);

	assert_non_null(p);
	memset(p->payload, byte, len);
	return (p);
}

/* Queues frames of the sizes above, head and all, and frees our reference. */
static size_t
push_all(struct frame_writer *w, size_t rounds)
{
	uint8_t head[14];
	struct frame_part whole;
	struct pbuf *p, *q;
	size_t i, n = 0;

	for (i = 0; i < rounds * NSIZES; i++) {
		/* lwIP counts a packet's bytes in 16 bits. */
		if (sizes[i % NSIZES] <= 28 || sizes[i % NSIZES] > 65535)
			continue;
		memset(head, (int)(i % NSIZES + 1), sizeof(head));
		/* Two pieces, as a header and its data are. */
		p = pbuf_of(14, (int)(i % NSIZES + 1));
		q = pbuf_of(sizes[i % NSIZES] - 28, (int)(i % NSIZES + 1));
		pbuf_cat(p, q);
		whole = (struct frame_part){ p, 0, p->tot_len };
		assert_int_equal(frame_writer_push_part(w, head, sizeof(head),
				     p, &whole),
		    0);
		pbuf_free(p);
		n++;
	}
	return (n);
}

static void
frames_go_out_whole_however_little_the_socket_takes(void **state)
{
	struct frame_writer w;
	uint8_t *got, *frame;
	size_t have = 0, n, len, off = 0, seen = 0, cap = 4u << 20;
	ssize_t r;
	int fds[2], small = 4096, rc;

	(void)state;
	writer_make(&w);
	make_pair(fds);
	setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
	got = malloc(cap);
	assert_non_null(got);
	n = push_all(&w, 4);
	do {
		rc = frame_writer_flush(&w, fds[0]);
		assert_int_not_equal(rc, -1);
		/* 777 bytes at a time: the socket is nearly always full. */
		r = read(fds[1], got + have, 777);
		if (r > 0)
			have += (size_t)r;
	} while (rc == 0 || r > 0);
	while (off < have) {
		assert_int_equal(frame_next(got + off, have - off, &len),
		    FRAME_NEXT_FRAME);
		frame = got + off + FRAME_PREFIX_LEN;
		assert_int_equal(frame[0], frame[len - 1]);
		assert_int_equal(len, sizes[frame[0] - 1]);
		off += FRAME_PREFIX_LEN + len;
		seen++;
	}
	assert_int_equal(seen, n);
	assert_int_equal(w.nsent, n);
	assert_int_equal(w.bytes, 0);
	free(got);
	writer_free(&w);
	close(fds[0]);
	close(fds[1]);
}

static int
push_one(struct frame_writer *w, size_t len)
{
	struct pbuf *p = pbuf_of(len, 1);
	const struct frame_part whole = { p, 0, p->tot_len };
	int rc = frame_writer_push_part(w, NULL, 0, p, &whole);

	pbuf_free(p);
	return (rc);
}

static void
bytes_of_streams_are_counted_while_they_wait(void **state)
{
	struct frame_writer w;
	uint8_t got[2048];
	int fds[2], i;

	(void)state;
	writer_make(&w);
	make_pair(fds);
	/* More than once around the ring: a place is no stream's for ever. */
	for (i = 0; i < 2 * FRAME_QUEUE_FRAMES; i += 2) {
		assert_int_equal(push_one(&w, i % 4 == 0 ? 60 : 100), 0);
		frame_writer_is_stream(&w);
		assert_int_equal(push_one(&w, 1000), 0);
		assert_int_equal(w.streams,
		    FRAME_PREFIX_LEN + (i % 4 == 0 ? 60 : 100));
		assert_int_equal(w.nstreams, 1);
		assert_int_equal(frame_writer_flush(&w, fds[0]), 1);
		assert_int_equal(w.streams, 0);
		assert_int_equal(w.nstreams, 0);
		assert_true(read(fds[1], got, sizeof(got)) > 0);
	}
	assert_int_equal(push_one(&w, 60), 0);
	frame_writer_is_stream(&w);
	frame_writer_reset(&w);
	assert_int_equal(w.streams, 0);
	writer_free(&w);
	close(fds[0]);
	close(fds[1]);
}

static void
the_queue_is_bounded_in_frames_and_in_bytes(void **state)
{
	struct frame_writer w;
	size_t n = 0;

	(void)state;
	writer_make(&w);
	while (push_one(&w, 60) == 0)
		n++;
	assert_int_equal(n, FRAME_QUEUE_FRAMES);
	frame_writer_reset(&w);
	assert_int_equal(w.bytes, 0);
	while (push_one(&w, 65000) == 0)
		continue;
	assert_true(w.bytes <= FRAME_QUEUE_BYTES);
	assert_true(w.bytes > FRAME_QUEUE_BYTES - 2 * FRAME_LEN_MAX);
	frame_writer_reset(&w);
	writer_free(&w);
}

/* Where the writer has noted that a write, which wrote nothing, may stop. */
static const struct journal_stops *
stops_of(struct frame_writer *w, int full)
{
	const struct journal *journal = w->journal;

	assert_int_equal(frame_writer_flush(w, full), 0);
	/* What is current says that nothing was written. */
	return (&journal->write[(journal->write_current & 1) ^ 1]);
}

/* A successor could not know what the rest of the prefix is. */
static void
no_write_stops_in_a_length_prefix(void **state)
{
	static const size_t lens[] = { 29, 36, 37, 41, 60, 100, 1514 };
	const struct journal_stops *stops;
	struct frame_writer w;
	size_t i, j, shift, whole;
	int fds[2];

	(void)state;
	make_pair(fds);
	while (write(fds[0], stream, 1000) > 0)
		continue;
	while (write(fds[0], stream, 1) > 0)
		continue;
	for (i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
		whole = FRAME_PREFIX_LEN + lens[i];
		for (shift = 0; shift < whole; shift++) {
			writer_make(&w);
			w.chunk = 2000;
			assert_int_equal(push_one(&w, 100 + shift), 0);
			while (w.bytes < 10 * w.chunk)
				assert_int_equal(push_one(&w, lens[i]), 0);
			stops = stops_of(&w, fds[0]);
			for (j = 0; j < stops->n; j++)
				assert_false(stops->owed[j] > lens[i] &&
				    stops->owed[j] < whole);
			frame_writer_reset(&w);
			writer_free(&w);
		}
	}
	close(fds[0]);
	close(fds[1]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(frames_come_whole_however_the_stream_is_cut),
		cmocka_unit_test(a_long_stream_wraps_without_losing_its_place),
		cmocka_unit_test(a_length_outside_its_bounds_is_bad_at_once),
		cmocka_unit_test(
		    frames_go_out_whole_however_little_the_socket_takes),
		cmocka_unit_test(bytes_of_streams_are_counted_while_they_wait),
		cmocka_unit_test(the_queue_is_bounded_in_frames_and_in_bytes),
		cmocka_unit_test(no_write_stops_in_a_length_prefix),
	};

	return (cmocka_run_group_tests_name("frame", tests, setup, NULL));
}
