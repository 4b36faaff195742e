#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <netinet/in.h>

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <event2/event.h>

#include "ipc/clock.h"
#include "tests/unit/forked.h"
#include "tests/unit/relay_life.h"

/* Nobody's quota of descriptors in flight is that of RLIMIT_NOFILE. */
#define NOBODY	  65534
#define NFILES	  64
#define EXIT_SKIP 77

static int
fd_send(int sock, int fd)
{
	union {
		struct cmsghdr hdr;
		uint8_t bytes[CMSG_SPACE(sizeof(int))];
	} control;
	char x = 'x';
	struct iovec iov = { .iov_base = &x, .iov_len = 1 };
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};

	memset(&control, 0, sizeof(control));
	control.hdr.cmsg_level = SOL_SOCKET;
	control.hdr.cmsg_type = SCM_RIGHTS;
	control.hdr.cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(&control.hdr), &fd, sizeof(fd));
	return (sendmsg(sock, &msg, MSG_DONTWAIT) == -1 ? errno : 0);
}

/* In a process of its own, since it gives up its user. */
static int
lend_over_quota(const void *arg)
{
	const struct rlimit limit = { NFILES, NFILES };
	struct life life;
	int fds[2], error, n, server, listener, lent;
	struct ipc_msg msg;
	uint16_t port;

	(void)arg;
	life_init(&life);
	start_with_loopback(&life);
	listener = life_listen(&port, 1);
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == -1 ||
	    setrlimit(RLIMIT_NOFILE, &limit) == -1 ||
	    setresuid(NOBODY, NOBODY, NOBODY) == -1)
		return (EXIT_SKIP);
	for (n = 0; n < 4 * NFILES; n++) {
		error = fd_send(fds[0], fds[0]);
		if (error != 0)
			break;
	}
	assert_int_equal(error, ETOOMANYREFS);
	life_open(&life, 0, "127.0.0.1", port);
	server = life_accept(&life, listener);
	life_expect_silence(&life, &life.peer, 100);
	assert_int_equal(life.rp->flows.count[FLOW_LENDING], 1);
	/* What was in flight goes: only a timer wakes relayproc. */
	close(fds[1]);
	close(fds[0]);
	while (life.rp->flows.count[FLOW_LENDING] > 0)
		relayproc_turn(life.rp, EVLOOP_ONCE);
	life_expect(&life, &life.peer, IPC_FLOW_OPENED, &msg);
	lent = msg.fd;
	assert_int_not_equal(lent, -1);
	assert_int_equal(write(lent, "x", 1), 1);
	assert_int_equal(server_reads(&life, server), 1);
	return (0);
}

static void
lending_past_the_quota_in_flight_is_tried_again(void **state)
{
	int status;

	(void)state;
	status = forked(lend_over_quota, NULL);
	if (FORKED_EXITED(status, EXIT_SKIP))
		skip();
	assert_true(FORKED_EXITED(status, 0));
}

static void
what_a_connection_carried_is_counted(void **state)
{
	struct life *life = *state;
	const struct relay_counters *counters = &life->rp->counters;
	struct pair pair;

	start_with_loopback(life);
	/* In order: with both ends said, and what waits to be sent. */
	pair = pair_open(life, 0);
	assert_int_equal(write(pair.lent, "ping", 4), 4);
	assert_int_equal(server_reads(life, pair.server), 4);
	assert_int_equal(write(pair.server, "pong!", 5), 5);
	assert_int_equal(server_reads(life, pair.lent), 5);
	pair_end(life, &pair);
	life_close(life, 0, pair.generation, FLOW_CLOSE_DONE);
	life_expect_closed(life, 0);
	assert_int_equal(counters->tcp_bytes_out, 4);
	assert_int_equal(counters->tcp_bytes_in, 5);
	assert_int_equal(counters->closed_early, 0);
	pair_free(&pair);
	/* Reset: also what nobody read. */
	pair = pair_open(life, 1);
	assert_int_equal(write(pair.lent, "three", 5), 5);
	assert_int_equal(server_reads(life, pair.server), 5);
	assert_int_equal(write(pair.server, "unread", 6), 6);
	life_wait_readable(life, pair.lent);
	close(pair.lent);
	life_close(life, 1, pair.generation, FLOW_CLOSE_RESET);
	life_expect_closed(life, 1);
	assert_int_equal(counters->tcp_bytes_out, 9);
	assert_int_equal(counters->tcp_bytes_in, 11);
	pair_free(&pair);
}

/* netproc does not hear of it, and says all the same that it has ended. */
static void
is_counted_before_it_is_lent(struct life *life)
{
	const int size = 0; /* the least that there is */
	const struct relayproc *rp = life->rp;
	int listener, servers[64];
	uint32_t generation, n = 0;
	uint16_t port;

	start_with_loopback(life);
	assert_int_equal(setsockopt(rp->peer.fd, SOL_SOCKET, SO_SNDBUF, &size,
			     sizeof(size)),
	    0);
	listener = life_listen(&port, 8);
	do {
		assert_true(n < 64);
		generation = life_open(life, n, "127.0.0.1", port);
		servers[n++] = life_accept(life, listener);
		while (rp->counters.opened + rp->flows.count[FLOW_LENDING] < n)
			life_turn(life);
	} while (rp->flows.count[FLOW_LENDING] == 0);
	assert_int_equal(write(servers[n - 1], "unread", 6), 6);
	life_close(life, n - 1, generation, FLOW_CLOSE_DONE);
	while (rp->flows.count[FLOW_LENDING] > 0)
		life_turn(life);
	assert_int_equal(rp->counters.tcp_bytes_in, 6);
	assert_int_equal(server_reads(life, servers[n - 1]), -ECONNRESET);
	while (n > 0)
		close(servers[--n]);
	close(listener);
}

static void
what_came_before_a_connection_was_lent_is_counted(void **state)
{
	is_counted_before_it_is_lent(*state);
}

static void
what_came_before_a_stream_was_lent_is_counted(void **state)
{
	struct life *life = *state;

	life->config.splice = 1;
	is_counted_before_it_is_lent(life);
}

static void
an_end_that_is_only_said_is_a_reset(void **state)
{
	struct life *life = *state;
	struct pair pair;

	start_with_loopback(life);
	pair = pair_open(life, 0);
	assert_int_equal(write(pair.lent, "four", 4), 4);
	assert_int_equal(server_reads(life, pair.server), 4);
	life_close(life, 0, pair.generation, FLOW_CLOSE_DONE);
	life_expect_closed(life, 0);
	/* Our reference is of no use any more. */
	assert_int_equal(server_reads(life, pair.server), -ECONNRESET);
	assert_int_equal(send(pair.lent, "more", 4, MSG_NOSIGNAL), -1);
	assert_int_equal(life->rp->counters.closed_early, 1);
	assert_int_equal(life->rp->counters.tcp_bytes_out, 4);
	close(pair.lent);
	pair_free(&pair);
}

static void
half_an_end_is_none(void **state)
{
	struct life *life = *state;
	struct pair pair;

	start_with_loopback(life);
	pair = pair_open(life, 0);
	assert_int_equal(shutdown(pair.lent, SHUT_WR), 0);
	assert_int_equal(server_reads(life, pair.server), 0);
	life_close(life, 0, pair.generation, FLOW_CLOSE_DONE);
	life_expect_closed(life, 0);
	assert_int_equal(life->rp->counters.closed_early, 1);
	assert_int_equal(send(pair.server, "more", 4, MSG_NOSIGNAL), -1);
	close(pair.lent);
	pair_free(&pair);
}

/* Its tokens come back meanwhile, and its deadlines come nearer. */
static void
time_in_which_nothing_is_due_is_no_stop(void **state)
{
	struct life *life = *state;
	uint64_t now_ms, raw_ms;
	struct pair pair;

	start_with_loopback(life);
	pair = pair_open(life, 0);
	pair_end(life, &pair);
	life_close(life, 0, pair.generation, FLOW_CLOSE_DONE);
	/* FLOW_CLOSED is said by the timer, and nothing else is due. */
	do {
		relayproc_turn(life->rp, EVLOOP_ONCE);
	} while (life->rp->nclosed > 0);
	life_expect_closed(life, 0);
	now_ms = clock_now_ms();
	raw_ms = clock_now_ns() / 1000000;
	assert_true(clock_without_stops(raw_ms + 60000) >= now_ms + 60000);
	pair_free(&pair);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
		    an_end_that_is_only_said_is_a_reset, life_setup,
		    life_teardown),
		cmocka_unit_test_setup_teardown(half_an_end_is_none, life_setup,
		    life_teardown),
		cmocka_unit_test_setup_teardown(
		    time_in_which_nothing_is_due_is_no_stop, life_setup,
		    life_teardown),
		cmocka_unit_test(
		    lending_past_the_quota_in_flight_is_tried_again),
		cmocka_unit_test_setup_teardown(
		    what_a_connection_carried_is_counted, life_setup,
		    life_teardown),
		cmocka_unit_test_setup_teardown(
		    what_came_before_a_connection_was_lent_is_counted,
		    life_setup, life_teardown),
		cmocka_unit_test_setup_teardown(
		    what_came_before_a_stream_was_lent_is_counted, life_setup,
		    life_teardown),
	};

	return (cmocka_run_group_tests_name("relay_lend", tests, NULL, NULL));
}
