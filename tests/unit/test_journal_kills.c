/*
 * A writer that is lost in any write, then processes that are killed at
 * random: what the VMM reads keeps its framing.
 */

#include <sys/wait.h>

#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "lwip/pbuf.h"

#include "ipc/journal.h"
#include "netproc/link/frame.h"
#include "tests/unit/journal_rig.h"

/* Kills of the random test; more with SALLYPORT_TEST_KILLS. */
#define KILLS 150

static void
queue_frame(struct frame_writer *w, size_t i)
{
	struct pbuf *p = pbuf_alloc(PBUF_RAW, (u16_t)sizes[i], PBUF_RAM);
	const struct frame_part whole = { p, 0, sizes[i] };

	assert_non_null(p);
	memset(p->payload, (int)(i + 1), sizes[i]);
	assert_int_equal(frame_writer_push_part(w, NULL, 0, p, &whole), 0);
	pbuf_free(p);
}

/* One of each size, and of the short ones many: prefixes are everywhere. */
static void
queue_frames(struct frame_writer *w)
{
	static size_t next;
	size_t i, n;

	while (w->count < 300) {
		i = next++ % NSIZES;
		if (sizes[i] > UINT16_MAX)
			continue;
		n = sizes[i] < 100 ? (size_t)random() % 200 : 1;
		for (; n > 0 && w->count < 600; n--)
			queue_frame(w, i);
	}
}

/* What the VMM has read; every frame is ours, filler, or was cut short. */
struct vmm {
	uint8_t buf[2 * JOURNAL_FRAME_MAX];
	size_t len;
	size_t whole, filler, cut;
	int lost; /* a length that cannot be */
};

static int
is_a_size(size_t len)
{
	size_t i;

	for (i = 0; i < NSIZES; i++)
		if (sizes[i] == len)
			return (1);
	return (0);
}

/*
 * Of which nothing but the length had been written: what follows is filler,
 * whose first byte, zero or a length's, is always 0.
 */
static int
frame_is_empty(const uint8_t *frame, size_t len)
{
	return (frame[0] == 0 && is_a_size(len));
}

static void
vmm_frame(struct vmm *vmm, const uint8_t *frame, size_t len)
{
	if (frame_is_whole(frame, len))
		vmm->whole++;
	else if (memcmp(frame, mac, 6) == 0 && frame[12] == 0x88)
		vmm->filler++;
	else if ((frame[0] > 0 && frame[0] <= NSIZES &&
		     len == sizes[frame[0] - 1]) ||
	    frame_is_empty(frame, len))
		vmm->cut++;
	else
		vmm->lost = 1;
}

static void
vmm_read(struct vmm *vmm, int fd, size_t most)
{
	size_t off = 0, len;
	ssize_t n;

	if (most > sizeof(vmm->buf) - vmm->len)
		most = sizeof(vmm->buf) - vmm->len;
	n = read(fd, vmm->buf + vmm->len, most);
	if (n <= 0)
		return;
	vmm->len += (size_t)n;
	while (!vmm->lost) {
		switch (frame_next(vmm->buf + off, vmm->len - off, &len)) {
		case FRAME_NEXT_FRAME:
			vmm_frame(vmm, vmm->buf + off + 4, len);
			off += 4 + len;
			continue;
		case FRAME_NEXT_BAD:
			vmm->lost = 1;
			break;
		default:
			break;
		}
		break;
	}
	memmove(vmm->buf, vmm->buf + off, vmm->len - off);
	vmm->len -= off;
}

/*
 * The writer is lost between what the kernel did and what it noted: the
 * journal is put back to what it was during the write.
 */
static void
a_writer_may_be_lost_in_any_write(void **state)
{
	static struct vmm vmm;
	struct journal *journal = make_journal();
	struct frame_writer w;
	int fds[2], i, round;

	(void)state;
	make_pair(fds);
	journal_reset(journal);
	for (round = 0; round < 6000; round++) {
		assert_int_equal(frame_writer_init(&w, journal, chunk), 0);
		assert_int_equal(frame_writer_resume(&w, mac), 0);
		if (!w.fills || random() % 2 == 0)
			queue_frames(&w);
		for (i = (int)(random() % 4); i >= 0; i--) {
			frame_writer_flush(&w, fds[0]);
			vmm_read(&vmm, fds[1], 1 + (size_t)random() % 60000);
		}
		/* The record before the last stood during the last write. */
		if (!w.fills && w.nqueued > 0 && random() % 2 == 0)
			journal->write_current ^= 1;
		frame_writer_reset(&w);
		free(w.slots);
		free(w.iov);
		assert_int_equal(vmm.lost, 0);
	}
	assert_true(vmm.whole > 1000);
	assert_true(vmm.filler > 10);
	close(fds[0]);
	close(fds[1]);
	journal_unmap(journal);
}

/* The process that is killed: reads and writes as fast as it can. */
static void
live(struct journal *journal, int fd)
{
	struct pollfd pfd = { .fd = fd, .events = POLLIN | POLLOUT };
	struct frame_reader r;
	struct frame_writer w;
	uint8_t *frame;
	size_t len;

	frame_reader_init(&r, journal);
	if (frame_reader_resume(&r) == -1 ||
	    frame_writer_init(&w, journal, chunk) == -1 ||
	    frame_writer_resume(&w, mac) == -1)
		_exit(2);
	for (;;) {
		poll(&pfd, 1, -1);
		frame_reader_fill(&r, fd);
		for (;;) {
			switch (frame_reader_next(&r, &frame, &len)) {
			case FRAME_NEXT_FRAME:
				if (!frame_is_whole(frame, len))
					_exit(3);
				/* As segments are changed in place. */
				memset(frame, 0xee, len < 60 ? len : 60);
				continue;
			case FRAME_NEXT_BAD:
				_exit(4);
			default:
				break;
			}
			break;
		}
		queue_frames(&w);
		if (frame_writer_flush(&w, fd) == -1)
			_exit(5);
	}
}

static uint64_t
now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ((uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000);
}

/*
 * The VMM for so long: its own frames in pieces, and what comes.  It goes on
 * until so many frames have come whole, 10 s at most: a process that takes
 * longer than that time to begin is killed at work all the same.
 */
static void
vmm_run(struct vmm *vmm, int fd, size_t *off, uint64_t us, size_t frames)
{
	const uint64_t begin = now_us();
	const size_t enough = vmm->whole + frames;
	uint64_t now;
	size_t piece;
	ssize_t n;

	do {
		piece = 1 + (size_t)random() % 100000;
		if (piece > stream_len - *off)
			piece = stream_len - *off;
		n = write(fd, stream + *off, piece);
		if (n > 0)
			*off = (*off + (size_t)n) % stream_len;
		if (random() % 4 != 0)
			vmm_read(vmm, fd, 1 + (size_t)random() % 120000);
		now = now_us();
	} while (!vmm->lost && now < begin + 10000000 &&
	    (now < begin + us || vmm->whole < enough));
}

static void
random_kills_leave_both_streams_whole(void **state)
{
	static struct vmm vmm;
	const char *wish = getenv("SALLYPORT_TEST_KILLS");
	const int kills = wish != NULL ? (int)strtonum(wish, 1, 1000000, NULL) :
					 KILLS;
	struct journal *journal = make_journal();
	size_t off = 0;
	int fds[2], i, status;
	pid_t pid;

	(void)state;
	make_pair(fds);
	journal_reset(journal);
	for (i = 0; i < kills; i++) {
		pid = fork();
		assert_return_code(pid, errno);
		if (pid == 0)
			live(journal, fds[1]);
		/* One of four at any time, before its first frame too. */
		vmm_run(&vmm, fds[0], &off, 200 + (uint64_t)random() % 3000,
		    random() % 4 == 0 ? 0 : 2);
		kill(pid, SIGKILL);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		if (!WIFSIGNALED(status) || vmm.lost)
			print_message("kill %d: status %#x, lost %d\n", i,
			    (unsigned int)status, vmm.lost);
		assert_true(WIFSIGNALED(status));
		assert_int_equal(vmm.lost, 0);
	}
	print_message("%d kills: %zu frames, %zu of filler, %zu cut\n", kills,
	    vmm.whole, vmm.filler, vmm.cut);
	assert_true(vmm.whole > (size_t)kills);
	close(fds[0]);
	close(fds[1]);
	journal_unmap(journal);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_writer_may_be_lost_in_any_write),
		cmocka_unit_test(random_kills_leave_both_streams_whole),
	};

	return (cmocka_run_group_tests_name("journal_kills", tests, rig_setup,
	    NULL));
}
