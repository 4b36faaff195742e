/*
 * A netproc may be killed anywhere: where its successor goes on, place by
 * place.
 */

#include <sys/socket.h>

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "ipc/journal.h"
#include "netproc/link/frame.h"
#include "tests/unit/journal_rig.h"

static void
a_piece_is_written_whole_or_not_at_all(void **state)
{
	static uint8_t bytes[JOURNAL_PIECE];
	const int big = 1024 * 1024;
	size_t i, len;
	int fds[2], full = 0;
	ssize_t n;

	(void)state;
	make_pair(fds);
	for (i = 0; i < 40000; i++) {
		if (i == 20000)
			setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &big,
			    sizeof(big));
		len = 1 + (size_t)random() % sizeof(bytes);
		n = write(fds[0], bytes, len);
		if (n == -1) {
			assert_int_equal(errno, EAGAIN);
			full++;
		} else {
			assert_int_equal(n, len);
		}
		if (random() % 3 == 0)
			(void)!read(fds[1], bytes,
			    1 + (size_t)random() % sizeof(bytes));
	}
	assert_true(full > 100);
	close(fds[0]);
	close(fds[1]);
}

/* Writes of every length, to sockets of every fill: only there they stop. */
static void
the_probe_finds_where_a_write_can_stop(void **state)
{
	static uint8_t bytes[600000];
	const int big = 1024 * 1024;
	size_t i, len;
	int fds[2], cut = 0;
	ssize_t n;

	(void)state;
	assert_true(chunk >= JOURNAL_PIECE);
	make_pair(fds);
	for (i = 0; i < 20000; i++) {
		if (i == 10000)
			setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &big,
			    sizeof(big));
		len = 1 + (size_t)random() % sizeof(bytes);
		n = write(fds[0], bytes, len);
		if (n > 0 && (size_t)n < len) {
			assert_int_equal((size_t)n % chunk, 0);
			cut++;
		}
		if (random() % 3 == 0)
			(void)!read(fds[1], bytes,
			    1 + (size_t)random() % sizeof(bytes));
	}
	assert_true(cut > 1000);
	close(fds[0]);
	close(fds[1]);
}

/* Takes what is there; counts whole frames, all of which must be ours. */
static size_t
take(struct frame_reader *r, int fd, int parse)
{
	uint8_t *frame;
	size_t len, n = 0;
	ssize_t got;

	while ((got = frame_reader_fill(r, fd)) > 0) {
		if (!parse)
			continue;
		while (frame_reader_next(r, &frame, &len) == FRAME_NEXT_FRAME) {
			assert_true(frame_is_whole(frame, len));
			n++;
		}
	}
	assert_int_equal(got, -1);
	assert_int_equal(errno, EAGAIN);
	return (n);
}

/*
 * One reader reads up to a cut, and is gone: before it looked at the bytes or
 * after.  The next reads the rest.
 */
static void
cut_between_readers(size_t cut, int parse)
{
	struct journal *journal = make_journal();
	struct frame_reader first, second;
	size_t i, off = 0, after = 0;
	int fds[2];

	make_pair(fds);
	journal_reset(journal);
	frame_reader_init(&first, journal);
	assert_int_equal(write(fds[0], stream, cut), cut);
	take(&first, fds[1], parse);
	for (i = 0; i < NSIZES; i++) {
		if (off >= cut)
			after++;
		off += 4 + sizes[i];
	}
	frame_reader_init(&second, journal);
	assert_int_equal(frame_reader_resume(&second), 0);
	assert_int_equal(write(fds[0], stream + cut, stream_len - cut),
	    stream_len - cut);
	/* A prefix that was cut is put together: its frame is not lost. */
	i = take(&second, fds[1], 1);
	assert_in_range(i, after, after + 1);
	close(fds[0]);
	close(fds[1]);
	journal_unmap(journal);
}

static void
a_reader_goes_on_wherever_the_last_one_stopped(void **state)
{
	size_t cut;

	(void)state;
	for (cut = 0; cut < 1800; cut++) {
		cut_between_readers(cut, 0);
		cut_between_readers(cut, 1);
	}
	for (cut = 1800; cut <= stream_len; cut += 331) {
		cut_between_readers(cut, 0);
		cut_between_readers(cut, 1);
	}
}

static void
a_reader_may_be_lost_again_and_again(void **state)
{
	struct journal *journal = make_journal();
	struct frame_reader r;
	size_t i, off = 0, piece, frames = 0;
	int fds[2];

	(void)state;
	make_pair(fds);
	journal_reset(journal);
	for (i = 0; i < 20000; i++) {
		frame_reader_init(&r, journal);
		assert_int_equal(frame_reader_resume(&r), 0);
		piece = 1 + (size_t)random() % (i % 2 ? 7 : 70000);
		if (piece > stream_len - off)
			piece = stream_len - off;
		assert_int_equal(write(fds[0], stream + off, piece), piece);
		off = (off + piece) % stream_len;
		frames += take(&r, fds[1], random() % 2 == 0);
	}
	assert_true(frames > 1000);
	close(fds[0]);
	close(fds[1]);
	journal_unmap(journal);
}

static void
a_journal_that_lies_is_not_believed(void **state)
{
	struct journal *journal = make_journal();
	struct frame_reader r;
	const struct journal_at bad[] = {
		{ .left = 65551 },
		{ .prefix_len = 4 },
		{ .left = 1, .prefix_len = 1 },
	};
	const struct journal_stops lies[] = {
		{ JOURNAL_STOPS_MAX + 1, { 0 } },
		{ UINT32_MAX, { 0 } },
		{ 1, { JOURNAL_FRAME_MAX } },
		{ 2, { 0, JOURNAL_FRAME_MIN - 1 } },
		{ 2, { 100, 117 } },
		{ 3, { 0, 18, UINT32_MAX } },
	};
	struct journal_stops stops;
	size_t i;

	(void)state;
	frame_reader_init(&r, journal);
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		journal_read_begin(journal, &bad[i]);
		assert_int_equal(frame_reader_resume(&r), -1);
	}
	journal_reset(journal);
	assert_int_equal(frame_reader_resume(&r), 0);
	journal->read[journal->current].msg.msg_len = 1;
	assert_int_equal(frame_reader_resume(&r), -1);
	journal->read[journal->current].niov = 1;
	journal->read[journal->current].iov[0].len = UINT64_MAX;
	journal->read[journal->current].iov[0].off = JOURNAL_BUF_BYTES;
	assert_int_equal(frame_reader_resume(&r), -1);
	journal->read[journal->current].iov[0].off = UINT64_MAX;
	assert_int_equal(frame_reader_resume(&r), -1);
	journal->read[journal->current].niov = 3;
	assert_int_equal(frame_reader_resume(&r), -1);
	journal_reset(journal);
	journal->current += 0x100;
	assert_int_equal(frame_reader_resume(&r), 0);
	for (i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
		journal_write_set(journal, &lies[i]);
		assert_int_equal(journal_write_left(journal, &stops), -1);
	}
	journal_unmap(journal);
}

static void
a_read_up_to_the_end_of_the_memory_is_believed(void **state)
{
	struct journal *journal = make_journal();
	struct journal_read *read;
	struct frame_reader r;

	(void)state;
	frame_reader_init(&r, journal);
	journal_reset(journal);
	read = &journal->read[journal->current];
	read->niov = 1;
	read->iov[0].off = JOURNAL_BUF_BYTES - JOURNAL_FRAME_MIN;
	read->iov[0].len = JOURNAL_FRAME_MIN;
	read->msg.msg_len = JOURNAL_FRAME_MIN;
	journal->buf[JOURNAL_BUF_BYTES - JOURNAL_FRAME_MIN + 3] =
	    JOURNAL_FRAME_MIN - 4;
	assert_int_equal(frame_reader_resume(&r), 0);
	journal_unmap(journal);
}

/* A reader of the VMM's that lacks so many bytes of a frame. */
static void
filler_is_taken(const uint8_t *bytes, size_t len, size_t lacks)
{
	struct journal_at at = { .left = (uint32_t)lacks };

	assert_int_equal(journal_walk(&at, bytes, len), 0);
	assert_int_equal(at.left, 0);
	assert_int_equal(at.prefix_len, 0);
}

static void
filler_is_taken_from_each(const struct journal_stops *stops)
{
	static uint8_t bytes[JOURNAL_FRAME_MAX];
	size_t len;
	uint32_t i;

	len = journal_filler(bytes, stops, mac);
	for (i = 0; i < stops->n; i++)
		filler_is_taken(bytes, len, stops->owed[i]);
}

static void
filler_ends_at_a_border_from_each_place(void **state)
{
	struct journal_stops stops;
	uint32_t owed, i;

	(void)state;
	for (owed = 0; owed < JOURNAL_FRAME_MAX; owed++) {
		stops = (struct journal_stops){ 1, { owed } };
		filler_is_taken_from_each(&stops);
		if (journal_stops_add(&stops, 0) == 0)
			filler_is_taken_from_each(&stops);
	}
	for (i = 0; i < 20000; i++) {
		stops.n = 0;
		while (stops.n < 2 + i % (JOURNAL_STOPS_WRITE - 1))
			(void)journal_stops_add(&stops,
			    (size_t)random() %
				(i % 2 ? 1500 : JOURNAL_FRAME_MAX));
		filler_is_taken_from_each(&stops);
	}
}

static void
places_too_close_for_a_frame_are_refused(void **state)
{
	struct journal *journal = make_journal();
	struct journal_stops stops = { 1, { 1000 } }, left;
	size_t owed;

	(void)state;
	for (owed = 0; owed < JOURNAL_FRAME_MIN; owed++)
		assert_int_equal(journal_stops_add(&stops, owed),
		    owed == 0 ? 0 : -1);
	for (owed = 983; owed < 1018; owed++)
		assert_int_equal(journal_stops_add(&stops, owed),
		    owed == 1000 ? 0 : -1);
	assert_int_equal(stops.n, 2);
	assert_int_equal(journal_stops_add(&stops, JOURNAL_FRAME_MIN), 0);
	assert_int_equal(journal_stops_add(&stops, JOURNAL_FRAME_MAX), -1);
	for (owed = 2000; stops.n < JOURNAL_STOPS_MAX; owed += 18)
		assert_int_equal(journal_stops_add(&stops, owed), 0);
	assert_int_equal(journal_stops_add(&stops, 5000), -1);
	journal_write_set(journal, &stops);
	assert_int_equal(journal_write_left(journal, &left), 0);
	assert_memory_equal(&left, &stops, sizeof(left));
	journal_unmap(journal);
}

static void
names_of_flows_are_buried_and_stay(void **state)
{
	struct journal *journal = make_journal();
	struct journal_name name = { .peer_port = 1, .guest_port = 2 };
	uint32_t i, n = 0;

	(void)state;
	journal_reset(journal);
	for (i = 0; i < SLOTS; i++)
		journal_name_set(journal, i, &name);
	journal_name_clear(journal, 3);
	journal_bury(journal);
	for (i = 0; i < SLOTS; i++) {
		assert_int_equal(journal->names[i].used, 0);
		n += journal_dead(journal, i)->used;
	}
	assert_int_equal(n, SLOTS - 1);
	/* Those that a second death adds fill what is free, and no more. */
	name.peer_port = 9;
	journal_name_set(journal, 0, &name);
	journal_name_set(journal, 1, &name);
	journal_bury(journal);
	for (i = 0, n = 0; i < SLOTS; i++)
		n += journal_dead(journal, i)->peer_port == 9;
	assert_int_equal(n, 1);
	journal_reset(journal);
	assert_int_equal(journal_dead(journal, 0)->used, 0);
	journal_unmap(journal);
}

static void
a_journal_that_was_never_written_is_of_a_new_stream(void **state)
{
	struct journal *journal = make_journal();
	struct journal_stops stops;
	struct journal_at at;

	(void)state;
	assert_int_equal(journal_read_left(journal, &at), 0);
	assert_int_equal(at.left + at.prefix_len, 0);
	assert_int_equal(journal_write_left(journal, &stops), 0);
	assert_int_equal(stops.n, 1);
	assert_int_equal(stops.owed[0], 0);
	journal_unmap(journal);
}

static void
one_that_is_reset_is_of_a_new_stream(void **state)
{
	const struct journal_stops two = { 2, { 100, 200 } };
	const struct journal_at at = { .left = 100 };
	struct journal *journal = make_journal();
	struct journal_stops stops;
	struct journal_at left;

	(void)state;
	journal_read_begin(journal, &at);
	journal_write_set(journal, &two);
	journal->guest.leased = 1;
	journal->guest.has_addr6 = 1;
	journal_reset(journal);
	assert_int_equal(journal_read_left(journal, &left), 0);
	assert_int_equal(left.left, 0);
	assert_int_equal(journal_write_left(journal, &stops), 0);
	assert_int_equal(stops.n, 1);
	assert_int_equal(stops.owed[0], 0);
	assert_int_equal(journal->guest.leased, 0);
	assert_int_equal(journal->guest.has_addr6, 0);
	journal_unmap(journal);
}

static void
the_memory_keeps_its_size(void **state)
{
	const int seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;
	int fd = journal_create(SLOTS);

	(void)state;
	assert_return_code(fd, errno);
	assert_int_equal(ftruncate(fd, 1), -1);
	assert_int_equal(errno, EPERM);
	assert_int_equal(fcntl(fd, F_GET_SEALS) & seals, seals);
	assert_null(journal_map(fd, 100 * SLOTS));
	close(fd);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_piece_is_written_whole_or_not_at_all),
		cmocka_unit_test(
		    a_reader_goes_on_wherever_the_last_one_stopped),
		cmocka_unit_test(a_reader_may_be_lost_again_and_again),
		cmocka_unit_test(a_journal_that_lies_is_not_believed),
		cmocka_unit_test(
		    a_read_up_to_the_end_of_the_memory_is_believed),
		cmocka_unit_test(the_probe_finds_where_a_write_can_stop),
		cmocka_unit_test(filler_ends_at_a_border_from_each_place),
		cmocka_unit_test(places_too_close_for_a_frame_are_refused),
		cmocka_unit_test(names_of_flows_are_buried_and_stay),
		cmocka_unit_test(
		    a_journal_that_was_never_written_is_of_a_new_stream),
		cmocka_unit_test(one_that_is_reset_is_of_a_new_stream),
		cmocka_unit_test(the_memory_keeps_its_size),
	};

	return (cmocka_run_group_tests_name("journal", tests, rig_setup, NULL));
}
