/*
 * When the frame fd is not read for a while, and when it is again.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <event2/event.h>

#include "netproc/link/link.h"
#include "netproc/link/moderate.h"
#include "netproc/netproc.h"

#define NOW_MS 100000
#define FULL   (1024 * 1024)
#define ACK    54

static struct netproc np;
static int link_fds[2];

/* The clock that the timer finds is the test's. */
void __wrap_netproc_wake(struct netproc *waking);

void
__wrap_netproc_wake(struct netproc *waking)
{
	(void)waking;
}

static void
on_readable(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
}

static int
setup(void **state)
{
	(void)state;
	memset(&np, 0, sizeof(np));
	np.now_ms = NOW_MS;
	np.base = event_base_new();
	if (np.base == NULL || pipe(link_fds) == -1 || moderate_init(&np) == -1)
		return (-1);
	np.frame_fd = link_fds[0];
	np.ev_frame_read = event_new(np.base, np.frame_fd, EV_READ | EV_PERSIST,
	    on_readable, &np);
	np.writer.bytes = FULL;
	np.writer.streams = FULL;
	return (event_add(np.ev_frame_read, NULL));
}

static int
teardown(void **state)
{
	(void)state;
	event_free(np.ev_frame_read);
	event_free(np.moderation.due);
	event_base_free(np.base);
	close(link_fds[0]);
	close(link_fds[1]);
	return (0);
}

static int
is_read(void)
{
	return (event_pending(np.ev_frame_read, EV_READ, NULL) != 0);
}

/* A turn in which the guest has sent n bytes of acknowledgments. */
static void
turn_with(size_t n)
{
	moderate_read(&np, n, n);
	moderate_begin(&np);
}

static void
acknowledgments_wait_while_the_link_is_full(void **state)
{
	(void)state;
	turn_with(ACK);
	assert_false(is_read());
}

static void
they_are_read_after_a_millisecond(void **state)
{
	(void)state;
	turn_with(ACK);
	assert_int_equal(event_base_loop(np.base, EVLOOP_ONCE), 0);
	assert_true(is_read());
	assert_false(event_pending(np.moderation.due, EV_TIMEOUT, NULL));
}

static void
they_are_read_when_the_link_has_room(void **state)
{
	(void)state;
	turn_with(ACK);
	moderate_end(&np);
	assert_true(is_read());
	assert_false(event_pending(np.moderation.due, EV_TIMEOUT, NULL));
}

static void
a_link_with_room_is_always_read(void **state)
{
	(void)state;
	np.writer.bytes = 0;
	np.writer.streams = 0;
	turn_with(ACK);
	assert_true(is_read());
}

/* A stream's bytes would be let in. */
static void
datagrams_alone_are_no_reason(void **state)
{
	(void)state;
	np.writer.streams = 0;
	turn_with(ACK);
	assert_true(is_read());
}

/* Else a VMM that is stuck would wake us each millisecond. */
static void
a_silent_guest_wakes_nobody(void **state)
{
	(void)state;
	turn_with(ACK);
	assert_int_equal(event_base_loop(np.base, EVLOOP_ONCE), 0);
	moderate_begin(&np);
	assert_true(is_read());
	assert_false(event_pending(np.moderation.due, EV_TIMEOUT, NULL));
}

static void
a_guest_that_sends_data_is_not_kept_waiting(void **state)
{
	(void)state;
	turn_with(MODERATE_READ);
	assert_true(is_read());
	np.now_ms += MODERATE_NOT_MS - 1;
	turn_with(ACK);
	assert_true(is_read());
	np.now_ms++;
	turn_with(ACK);
	assert_false(is_read());
}

/* Its VMM's socket may be full of less than MODERATE_READ. */
static void
nor_is_one_that_sends_little_of_it_at_a_time(void **state)
{
	(void)state;
	moderate_read(&np, 3 * ACK + MODERATE_DATA, 3 * ACK);
	moderate_begin(&np);
	assert_true(is_read());
	np.now_ms += MODERATE_NOT_MS;
	/* The rest of a frame that came before. */
	moderate_read(&np, ACK / 2, ACK);
	moderate_begin(&np);
	assert_false(is_read());
}

static void
without_a_vmm_there_is_nothing_to_stop(void **state)
{
	(void)state;
	np.frame_fd = -1;
	turn_with(ACK);
	assert_true(is_read());
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(acknowledgments_wait_while_the_link_is_full),
		CASE(they_are_read_after_a_millisecond),
		CASE(they_are_read_when_the_link_has_room),
		CASE(a_link_with_room_is_always_read),
		CASE(datagrams_alone_are_no_reason),
		CASE(a_silent_guest_wakes_nobody),
		CASE(a_guest_that_sends_data_is_not_kept_waiting),
		CASE(nor_is_one_that_sends_little_of_it_at_a_time),
		CASE(without_a_vmm_there_is_nothing_to_stop),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
