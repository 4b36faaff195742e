#include <sys/resource.h>
#include <sys/socket.h>

#include <netinet/in.h>

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "ipc/clock.h"
#include "tests/unit/relay_life.h"

/* The splice plane: netproc's place is taken by the test. */

#define LARGE (1024 * 1024)

/* How the splice(2) fails that comes after so many. */
static int fail_with, fail_after;

ssize_t __real_splice(int from, off_t *from_off, int to, off_t *to_off,
    size_t len, unsigned int flags);
ssize_t __wrap_splice(int from, off_t *from_off, int to, off_t *to_off,
    size_t len, unsigned int flags);

ssize_t
__wrap_splice(int from, off_t *from_off, int to, off_t *to_off, size_t len,
    unsigned int flags)
{
	if (fail_with != 0 && fail_after-- == 0) {
		errno = fail_with;
		fail_with = 0;
		return (-1);
	}
	return (__real_splice(from, from_off, to, to_off, len, flags));
}

/* How the next pipe2(2) fails. */
static int no_pipe;

int __real_pipe2(int fds[2], int flags);
int __wrap_pipe2(int fds[2], int flags);

int
__wrap_pipe2(int fds[2], int flags)
{
	if (no_pipe == 0)
		return (__real_pipe2(fds, flags));
	errno = no_pipe;
	no_pipe = 0;
	return (-1);
}

static int
not_started_setup(void **state)
{
	struct life *life;

	if (life_setup(state) == -1)
		return (-1);
	life = *state;
	life->config.splice = 1;
	return (0);
}

static int
spliced_setup(void **state)
{
	if (not_started_setup(state) == -1)
		return (-1);
	start_with_loopback(*state);
	return (0);
}

static void
expect_end(struct life *life, enum flow_end end)
{
	struct ipc_flow_ended ended;
	struct ipc_msg msg;

	life_expect(life, &life->peer, IPC_FLOW_ENDED, &msg);
	memcpy(&ended, msg.payload, sizeof(ended));
	assert_int_equal(ended.end, end);
}

static void
say_shut_wr(struct life *life, uint32_t slot, uint32_t generation)
{
	const struct ipc_empty msg = { 0 };

	assert_int_equal(channel_send(&life->peer, IPC_FLOW_SHUT_WR, slot,
			     generation, &msg, sizeof(msg)),
	    0);
}

static void
reset(int fd)
{
	const struct linger linger = { .l_onoff = 1 };

	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger,
			     sizeof(linger)),
	    0);
	close(fd);
}

/* Writes until nobody takes more; returns how many bytes. */
static size_t
fill(struct life *life, int fd)
{
	static const char buf[8192];
	size_t total = 0;
	int turns = 0;
	ssize_t n;

	while (turns < 60) {
		n = send(fd, buf, sizeof(buf), MSG_DONTWAIT);
		if (n > 0) {
			total += (size_t)n;
			turns = 0;
			continue;
		}
		assert_int_equal(errno, EAGAIN);
		/* The server's kernel takes more when it acknowledges late. */
		life_turn(life);
		usleep(1000);
		turns++;
	}
	return (total);
}

/* Reads exactly so many bytes. */
static void
drain(struct life *life, int fd, size_t total)
{
	char buf[8192];
	ssize_t n;

	while (total > 0) {
		life_wait_readable(life, fd);
		n = read(fd, buf, total < sizeof(buf) ? total : sizeof(buf));
		assert_true(n > 0);
		total -= (size_t)n;
	}
}

static void
netproc_gets_a_stream_and_no_internet_socket(void **state)
{
	struct life *life = *state;
	struct ipc_flow_opened opened;
	struct ipc_msg msg;
	socklen_t len = sizeof(int);
	int listener, server, domain = 0;
	uint16_t port;

	listener = life_listen(&port, 1);
	life_open(life, 0, "127.0.0.1", port);
	life_expect(life, &life->peer, IPC_FLOW_OPENED, &msg);
	memcpy(&opened, msg.payload, sizeof(opened));
	assert_int_equal(opened.spliced, 1);
	assert_int_equal(getsockopt(msg.fd, SOL_SOCKET, SO_DOMAIN, &domain,
			     &len),
	    0);
	assert_int_equal(domain, AF_UNIX);
	server = life_accept(life, listener);
	close(msg.fd);
	close(server);
	close(listener);
}

static void
bytes_pass_both_ways_and_the_flow_ends_in_order(void **state)
{
	struct life *life = *state;
	struct pair pair = pair_open(life, 0);

	assert_int_equal(write(pair.lent, "ping", 4), 4);
	assert_int_equal(server_reads(life, pair.server), 4);
	assert_int_equal(write(pair.server, "pong!", 5), 5);
	assert_int_equal(server_reads(life, pair.lent), 5);
	assert_int_equal(shutdown(pair.server, SHUT_WR), 0);
	expect_end(life, FLOW_END_FIN);
	assert_int_equal(shutdown(pair.lent, SHUT_WR), 0);
	say_shut_wr(life, 0, pair.generation);
	assert_int_equal(server_reads(life, pair.server), 0);
	close(pair.lent);
	life_close(life, 0, pair.generation, FLOW_CLOSE_DONE);
	life_expect_closed(life, 0);
	assert_int_equal(life->rp->splices.pipes.nused, 0);
	assert_int_equal(life->rp->splices.pipes.nidle, 0);
	assert_int_equal(life->rp->counters.tcp_bytes_out, 4);
	assert_int_equal(life->rp->counters.tcp_bytes_in, 5);
	pair_free(&pair);
}

static void
the_hosts_fin_is_said_and_never_the_streams_end(void **state)
{
	struct life *life = *state;
	struct pair pair = pair_open(life, 0);
	char byte;

	assert_int_equal(write(pair.server, "last", 4), 4);
	assert_int_equal(shutdown(pair.server, SHUT_WR), 0);
	expect_end(life, FLOW_END_FIN);
	/* All before it is there by then. */
	assert_int_equal(server_reads(life, pair.lent), 4);
	assert_int_equal(recv(pair.lent, &byte, 1, MSG_DONTWAIT), -1);
	assert_int_equal(errno, EAGAIN);
	close(pair.lent);
	pair_free(&pair);
}

static void
the_hosts_reset_is_said(void **state)
{
	struct life *life = *state;
	struct pair pair = pair_open(life, 0);

	reset(pair.server);
	expect_end(life, FLOW_END_RESET);
	close(pair.lent);
	life_close(life, 0, pair.generation, FLOW_CLOSE_RESET);
	life_expect_closed(life, 0);
	close(pair.listener);
}

static void
a_reset_after_the_hosts_fin_is_said_too(void **state)
{
	struct life *life = *state;
	struct pair pair = pair_open(life, 0);

	assert_int_equal(shutdown(pair.server, SHUT_WR), 0);
	expect_end(life, FLOW_END_FIN);
	reset(pair.server);
	expect_end(life, FLOW_END_RESET);
	close(pair.lent);
	close(pair.listener);
}

static void
a_reset_is_said_at_once_though_nobody_reads(void **state)
{
	struct life *life = *state;
	struct pair pair = pair_open(life, 0);

	fill(life, pair.server);
	reset(pair.server);
	expect_end(life, FLOW_END_RESET);
	close(pair.lent);
	close(pair.listener);
}

static void
a_reset_is_said_to_who_sends(void **state)
{
	struct life *life = *state;
	struct pair pair = pair_open(life, 0);

	fill(life, pair.lent);
	reset(pair.server);
	expect_end(life, FLOW_END_RESET);
	close(pair.lent);
	close(pair.listener);
}

/* Either call of either way: nobody is left waiting for bytes that are lost. */
static void
a_splice_that_memory_was_short_for_resets_the_flow(void **state)
{
	struct life *life = *state;
	struct pair pair;
	uint32_t i;

	for (i = 0; i < 4; i++) {
		pair = pair_open(life, i);
		life_turn(life);
		life_turn(life);
		fail_with = ENOBUFS;
		fail_after = (int)i % 2;
		assert_int_equal(write(i < 2 ? pair.lent : pair.server, "x", 1),
		    1);
		expect_end(life, FLOW_END_RESET);
		assert_int_equal(fail_with, 0);
		close(pair.lent);
		life_close(life, i, pair.generation, FLOW_CLOSE_RESET);
		life_expect_closed(life, i);
		pair_free(&pair);
	}
}

/* The host must not take what is missing for what was never sent. */
static void
a_flow_that_lost_bytes_is_reset_though_netproc_calls_it_done(void **state)
{
	struct life *life = *state;
	struct pair pair = pair_open(life, 0);

	life_turn(life);
	fail_with = ENOBUFS;
	fail_after = 1;
	assert_int_equal(write(pair.lent, "x", 1), 1);
	expect_end(life, FLOW_END_RESET);
	close(pair.lent);
	life_close(life, 0, pair.generation, FLOW_CLOSE_DONE);
	life_expect_closed(life, 0);
	assert_int_equal(server_reads(life, pair.server), -ECONNRESET);
	pair_free(&pair);
}

static void
the_streams_end_is_a_fin_only_by_netprocs_word(void **state)
{
	struct life *life = *state;
	struct pair pair = pair_open(life, 0);
	char byte;
	int i;

	assert_int_equal(shutdown(pair.lent, SHUT_WR), 0);
	for (i = 0; i < 100; i++) {
		life_turn(life);
		assert_int_equal(recv(pair.server, &byte, 1, MSG_DONTWAIT), -1);
		assert_int_equal(errno, EAGAIN);
		usleep(1000);
	}
	say_shut_wr(life, 0, pair.generation);
	assert_int_equal(server_reads(life, pair.server), 0);
	close(pair.lent);
	pair_free(&pair);
}

/* The guest has sent more than the server takes, and both have ended. */
static size_t
leave_undelivered(struct life *life, struct pair *pair)
{
	size_t total = fill(life, pair->lent);

	assert_int_equal(shutdown(pair->server, SHUT_WR), 0);
	expect_end(life, FLOW_END_FIN);
	close(pair->lent);
	say_shut_wr(life, 0, pair->generation);
	life_close(life, 0, pair->generation, FLOW_CLOSE_DONE);
	life_expect_silence(life, &life->peer, 50);
	assert_int_equal(life->rp->flows.count[FLOW_DRAINING], 1);
	return (total);
}

static void
what_the_guest_sent_arrives_after_the_close(void **state)
{
	struct life *life = *state;
	struct pair pair = pair_open(life, 0);
	size_t total = leave_undelivered(life, &pair);

	assert_true(total > LARGE / 8);
	drain(life, pair.server, total);
	assert_int_equal(server_reads(life, pair.server), 0);
	life_expect_closed(life, 0);
	assert_int_equal(life->rp->flows.count[FLOW_FREE], 64 + 4);
	assert_int_equal(life->rp->counters.tcp_bytes_out, total);
	assert_int_equal(life->rp->splices.pipes.nused, 0);
	pair_free(&pair);
}

static void
what_nobody_takes_after_the_close_is_reset_in_the_end(void **state)
{
	struct life *life = *state;
	struct pair pair = pair_open(life, 0);
	struct flow *flow;
	char buf[8192];
	ssize_t n;

	leave_undelivered(life, &pair);
	flow = TAILQ_FIRST(&life->rp->flows.list[FLOW_DRAINING]);
	assert_in_range(flow->deadline_ms - clock_now_ms(), 110000, 120000);
	flow->deadline_ms = clock_now_ms();
	life_expect_closed(life, 0);
	do {
		n = recv(pair.server, buf, sizeof(buf), MSG_DONTWAIT);
	} while (n > 0);
	assert_int_equal(n, -1);
	assert_int_equal(errno, ECONNRESET);
	assert_int_equal(life->rp->splices.pipes.nused, 0);
	pair_free(&pair);
}

static void
a_second_close_while_bytes_are_under_way_breaks_the_protocol(void **state)
{
	struct life *life = *state;
	struct pair pair = pair_open(life, 0);

	leave_undelivered(life, &pair);
	life_close(life, 0, pair.generation, FLOW_CLOSE_DONE);
	life_expect_violation(life, IPC_E_STATE);
	pair_free(&pair);
}

static void
a_reset_of_the_guests_drops_what_is_under_way(void **state)
{
	struct life *life = *state;
	struct pair pair = pair_open(life, 0);
	int error;

	fill(life, pair.lent);
	close(pair.lent);
	life_close(life, 0, pair.generation, FLOW_CLOSE_RESET);
	life_expect_closed(life, 0);
	do {
		error = server_reads(life, pair.server);
	} while (error > 0);
	assert_int_equal(error, -ECONNRESET);
	assert_int_equal(life->rp->splices.pipes.nused, 0);
	pair_free(&pair);
}

static void
urgent_bytes_pass_as_any_other_also_the_last(void **state)
{
	struct life *life = *state;
	struct pair pair = pair_open(life, 0);

	assert_int_equal(send(pair.server, "ab", 2, 0), 2);
	assert_int_equal(send(pair.server, "!", 1, MSG_OOB), 1);
	drain(life, pair.lent, 3);
	assert_int_equal(send(pair.server, "!", 1, MSG_OOB), 1);
	assert_int_equal(shutdown(pair.server, SHUT_WR), 0);
	expect_end(life, FLOW_END_FIN);
	drain(life, pair.lent, 1);
	close(pair.lent);
	pair_free(&pair);
}

static void
flows_take_turns_when_there_are_too_few_pipes(void **state)
{
	struct life *life = *state;
	struct splice_pipes *pipes = &life->rp->splices.pipes;
	struct pair first = pair_open(life, 0), second = pair_open(life, 1);

	splice_pipes_free(pipes);
	pipes->nused = SPLICE_PIPES_MAX;
	assert_int_equal(write(first.lent, "1", 1), 1);
	assert_int_equal(write(second.lent, "2", 1), 1);
	life_turn(life);
	life_turn(life);
	assert_false(TAILQ_EMPTY(&life->rp->splices.hungry));
	/* One comes back, and the time to ask for it. */
	pipes->nused--;
	assert_int_equal(server_reads(life, first.server), 1);
	assert_int_equal(server_reads(life, second.server), 1);
	assert_true(TAILQ_EMPTY(&life->rp->splices.hungry));
	pipes->nused -= SPLICE_PIPES_MAX - 1;
	close(first.lent);
	close(second.lent);
	pair_free(&first);
	pair_free(&second);
}

static void
a_pipe_that_the_host_is_short_of_is_asked_for_again(void **state)
{
	struct life *life = *state;
	struct pair pair = pair_open(life, 0);

	splice_pipes_free(&life->rp->splices.pipes);
	no_pipe = ENFILE;
	assert_int_equal(write(pair.lent, "x", 1), 1);
	assert_int_equal(server_reads(life, pair.server), 1);
	assert_int_equal(no_pipe, 0);
	close(pair.lent);
	pair_free(&pair);
}

static void
a_flow_without_a_descriptor_for_its_stream_is_to_come_again(void **state)
{
	struct life *life = *state;
	struct rlimit before, limit;
	uint16_t port;
	int listener, next;

	listener = life_listen(&port, 1);
	/* What asks for the host's own addresses keeps its descriptor. */
	life_open(life, 1, "10.0.0.1", 80);
	life_expect_failed(life, 1, VERDICT_DENIED);
	/* One is left, for the socket. */
	next = dup(listener);
	close(next);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	limit = before;
	limit.rlim_cur = (rlim_t)next + 1;
	life_open(life, 0, "127.0.0.1", port);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	life_expect_failed(life, 0, VERDICT_RESOURCES);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	close(life_accept(life, listener)); /* it was the stream that lacked */
	close(listener);
}

static void
a_client_without_a_descriptor_for_its_stream_is_reset_and_counted(void **state)
{
	struct sockaddr_in sin = {
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	struct life *life = *state;
	struct rlimit before, limit;
	uint16_t port;
	int client, next;

	life_listener(life, life_listen(&port, 1), 8080);
	start_with_loopback(life);
	sin.sin_port = htons(port);
	client = socket(AF_INET, SOCK_STREAM, 0);
	next = dup(client);
	close(next);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	limit = before;
	limit.rlim_cur = (rlim_t)next + 1;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	assert_int_equal(connect(client, (struct sockaddr *)&sin, sizeof(sin)),
	    0);
	life_expect_silence(life, &life->peer, 20);
	assert_int_equal(server_reads(life, client), -ECONNRESET);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	assert_int_equal(life->rp->counters.inbound_full, 1);
	close(client);
}

static void
all_streams_are_closed_and_connections_reset_when_netproc_lies(void **state)
{
	struct life *life = *state;
	struct pair pair = pair_open(life, 0);
	char byte;

	say_shut_wr(life, 0, pair.generation + 1);
	life_expect_violation(life, IPC_E_STATE);
	assert_int_equal(server_reads(life, pair.server), -ECONNRESET);
	assert_int_equal(recv(pair.lent, &byte, 1, MSG_DONTWAIT), 0);
	close(pair.lent);
	pair_free(&pair);
}

#define SPLICED(test) \
	cmocka_unit_test_setup_teardown(test, spliced_setup, life_teardown)

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		SPLICED(netproc_gets_a_stream_and_no_internet_socket),
		SPLICED(bytes_pass_both_ways_and_the_flow_ends_in_order),
		SPLICED(the_hosts_fin_is_said_and_never_the_streams_end),
		SPLICED(the_hosts_reset_is_said),
		SPLICED(a_reset_after_the_hosts_fin_is_said_too),
		SPLICED(a_reset_is_said_at_once_though_nobody_reads),
		SPLICED(a_reset_is_said_to_who_sends),
		SPLICED(a_splice_that_memory_was_short_for_resets_the_flow),
		SPLICED(
		    a_flow_that_lost_bytes_is_reset_though_netproc_calls_it_done),
		SPLICED(the_streams_end_is_a_fin_only_by_netprocs_word),
		SPLICED(what_the_guest_sent_arrives_after_the_close),
		SPLICED(what_nobody_takes_after_the_close_is_reset_in_the_end),
		SPLICED(
		    a_second_close_while_bytes_are_under_way_breaks_the_protocol),
		SPLICED(a_reset_of_the_guests_drops_what_is_under_way),
		SPLICED(urgent_bytes_pass_as_any_other_also_the_last),
		SPLICED(flows_take_turns_when_there_are_too_few_pipes),
		SPLICED(a_pipe_that_the_host_is_short_of_is_asked_for_again),
		SPLICED(
		    a_flow_without_a_descriptor_for_its_stream_is_to_come_again),
		cmocka_unit_test_setup_teardown(
		    a_client_without_a_descriptor_for_its_stream_is_reset_and_counted,
		    not_started_setup, life_teardown),
		SPLICED(
		    all_streams_are_closed_and_connections_reset_when_netproc_lies),
	};

	return (cmocka_run_group_tests_name("relay_splice", tests, NULL, NULL));
}
