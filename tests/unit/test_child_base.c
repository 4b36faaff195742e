#include <sys/socket.h>

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include <cmocka.h>
#include <event2/event.h>

#include "ipc/child_base.h"
#include "ipc/log.h"
#include "ipc/roles.h"
#include "tests/unit/forked.h"

static char last_line[256];

static void
sink_keep(enum log_level level, const char *text, void *arg)
{
	(void)level;
	(void)arg;
	strlcpy(last_line, text, sizeof(last_line));
}

/* As a child that was spawned: no descriptor from FD_EPOLL on. */
static void
become_child(void)
{
	int fds[2];

	close_range(FD_PARENT, ~0U, 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fds), 0);
	assert_int_equal(fds[0], FD_PARENT);
	assert_int_equal(fds[1], FD_PEER);
	assert_int_equal(dup(FD_PEER), FD_DGRAM);
}

static int
is_open(int fd)
{
	return (fcntl(fd, F_GETFD) != -1);
}

static int
hold_one_descriptor(const void *arg)
{
	struct event_base *base;

	(void)arg;
	become_child();
	/* The environment says so to whoever asks it. */
	setenv("EVENT_NOEPOLL", "1", 1);
	base = child_base_new();
	if (strcmp(event_base_get_method(base), "epoll") != 0)
		return (1);
	if (!is_open(FD_EPOLL) || is_open(FD_EPOLL + 1) ||
	    is_open(FD_EPOLL + 2) || is_open(FD_EPOLL + 3))
		return (2);
	return (0);
}

static int
find_its_number_taken(const void *arg)
{
	(void)arg;
	become_child();
	assert_int_equal(dup(FD_PEER), FD_EPOLL);
	child_base_new();
	return (0);
}

static void
enter_again(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	event_base_loop(arg, EVLOOP_NONBLOCK); /* which libevent warns of */
}

static int
do_wrong(const void *arg)
{
	struct event_base *base;

	(void)arg;
	become_child();
	base = child_base_new();
	if (event_base_once(base, -1, EV_TIMEOUT, enter_again, base, NULL) ==
	    -1)
		return (1);
	event_base_loop(base, EVLOOP_NONBLOCK);
	return (strncmp(last_line, "libevent: ", 10) == 0 ? 0 : 2);
}

static void
a_childs_loop_holds_one_descriptor_and_asks_no_environment(void **state)
{
	int status = forked(hold_one_descriptor, NULL);

	(void)state;
	if (!FORKED_EXITED(status, 0))
		fail_msg("status %#x", status);
}

static void
a_child_whose_loop_would_have_another_number_ends(void **state)
{
	int status = forked(find_its_number_taken, NULL);

	(void)state;
	if (!FORKED_EXITED(status, EX_SOFTWARE))
		fail_msg("status %#x", status);
}

static void
what_libevent_warns_of_is_logged(void **state)
{
	int status = forked(do_wrong, NULL);

	(void)state;
	if (!FORKED_EXITED(status, 0))
		fail_msg("status %#x", status);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    a_childs_loop_holds_one_descriptor_and_asks_no_environment),
		cmocka_unit_test(
		    a_child_whose_loop_would_have_another_number_ends),
		cmocka_unit_test(what_libevent_warns_of_is_logged),
	};

	log_init("test", LOG_LEVEL_WARN);
	log_set_sink(sink_keep, NULL);
	return (cmocka_run_group_tests(tests, NULL, NULL));
}
