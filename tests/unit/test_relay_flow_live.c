#include <sys/resource.h>
#include <sys/socket.h>

#include <netinet/in.h>
#include <netinet/tcp.h>

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

/* netproc's place is taken by the test; hosts are sockets on loopback. */

static void
a_connect_is_lent_and_carries_data_both_ways(void **state)
{
	struct life *life = *state;
	struct pair pair;
	char buf[8];

	start_with_loopback(life);
	pair = pair_open(life, 0);
	assert_int_equal(write(pair.lent, "ping", 4), 4);
	assert_int_equal(server_reads(life, pair.server), 4);
	assert_int_equal(write(pair.server, "pong!", 5), 5);
	life_wait_readable(life, pair.lent);
	assert_int_equal(read(pair.lent, buf, sizeof(buf)), 5);
	pair_end(life, &pair);
	life_close(life, 0, pair.generation, FLOW_CLOSE_DONE);
	life_expect_closed(life, 0);
	assert_int_equal(life->rp->counters.opened, 1);
	pair_free(&pair);
}

static void
a_lent_socket_is_set_up_as_netproc_relies_on(void **state)
{
	struct life *life = *state;
	socklen_t len = sizeof(int);
	struct pair pair;
	int value;

	start_with_loopback(life);
	pair = pair_open(life, 0);
	assert_int_equal(getsockopt(pair.lent, IPPROTO_TCP, TCP_NODELAY, &value,
			     &len),
	    0);
	assert_int_equal(value, 1);
	assert_int_equal(getsockopt(pair.lent, SOL_SOCKET, SO_KEEPALIVE, &value,
			     &len),
	    0);
	assert_int_equal(value, 1);
	assert_int_equal(getsockopt(pair.lent, SOL_SOCKET, SO_OOBINLINE, &value,
			     &len),
	    0);
	assert_int_equal(value, 1);
	assert_int_equal(getsockopt(pair.lent, IPPROTO_TCP, TCP_MAXSEG, &value,
			     &len),
	    0);
	assert_true(value <= 1460);
	close(pair.lent);
	pair_free(&pair);
}

static void
a_reset_reaches_the_server_while_netproc_holds_the_socket(void **state)
{
	struct life *life = *state;
	struct pair pair;
	char c;

	start_with_loopback(life);
	pair = pair_open(life, 0);
	life_close(life, 0, pair.generation, FLOW_CLOSE_RESET);
	life_expect_closed(life, 0);
	assert_int_equal(server_reads(life, pair.server), -ECONNRESET);
	assert_int_equal(read(pair.lent, &c, 1) <= 0, 1);
	close(pair.lent);
	pair_free(&pair);
}

static void
a_half_close_by_netproc_leaves_the_other_half_open(void **state)
{
	const struct ipc_empty empty = { 0 };
	struct life *life = *state;
	struct pair pair;
	char buf[8];

	start_with_loopback(life);
	pair = pair_open(life, 0);
	assert_int_equal(shutdown(pair.lent, SHUT_WR), 0);
	channel_send(&life->peer, IPC_FLOW_SHUT_WR, 0, pair.generation, &empty,
	    sizeof(empty));
	assert_int_equal(server_reads(life, pair.server), 0);
	assert_int_equal(write(pair.server, "late", 4), 4);
	life_wait_readable(life, pair.lent);
	assert_int_equal(read(pair.lent, buf, sizeof(buf)), 4);
	close(pair.lent);
	life_close(life, 0, pair.generation, FLOW_CLOSE_DONE);
	life_expect_closed(life, 0);
	pair_free(&pair);
}

static void
a_refused_connect_is_told_as_refused(void **state)
{
	struct life *life = *state;
	uint16_t port;
	int fd = life_listen(&port, 1);

	close(fd);
	start_with_loopback(life);
	life_open(life, 3, "127.0.0.1", port);
	life_expect_failed(life, 3, VERDICT_REFUSED);
	assert_int_equal(life->rp->counters.failed, 1);
	assert_int_equal(life->rp->budget.pending, 0);
	/* HELLO has asked for lines about flows. */
	life_expect_silence(life, &life->parent, 0);
	assert_non_null(strstr(life->log, "connect to 127.0.0.1:"));
}

static void
a_denied_connect_leaves_no_socket_and_names_the_option(void **state)
{
	struct life *life = *state;

	life_start(life);
	life_open(life, 0, "10.0.0.5", 22);
	life_expect_failed(life, 0, VERDICT_DENIED);
	life_open(life, 0, "127.0.0.1", 22);
	life_expect_failed(life, 0, VERDICT_DENIED);
	life_open(life, 0, "::ffff:169.254.169.254", 80);
	life_expect_failed(life, 0, VERDICT_DENIED);
	assert_int_equal(life->rp->counters.denied, 3);
	assert_int_equal(life->rp->budget.pending, 0);
	life_expect_silence(life, &life->parent, 0);
	assert_non_null(strstr(life->log,
	    "denied tcp 10.0.0.5:22 (private "
	    "range, RFC 1918); --allow 10.0.0.5 would allow it\n"));
	assert_non_null(strstr(life->log, "--unsafe-allow 127.0.0.1 would"));
	/* The floor's option was named before. */
	assert_non_null(strstr(life->log,
	    "[::ffff:169.254.169.254]:80 (link-local and cloud metadata, "
	    "RFC 3927)\n"));
}

static void
denials_are_logged_ten_times_a_second_at_most(void **state)
{
	struct life *life = *state;
	unsigned int lines = 0;
	const char *line;
	uint32_t i;

	life_start(life);
	for (i = 0; i < 40; i++) {
		life_open(life, i, "10.0.0.5", 22);
		life_expect_failed(life, i, VERDICT_DENIED);
	}
	life_expect_silence(life, &life->parent, 0);
	for (line = life->log; (line = strstr(line, "denied tcp")) != NULL;
	     line++)
		lines++;
	/* The clock may turn to the next second once meanwhile. */
	assert_true(lines >= 10 && lines <= 20);
	assert_int_equal(life->rp->counters.denied, 40);
}

static void
the_gateways_address_reaches_a_host_service_only(void **state)
{
	struct life *life = *state;
	struct ipc_host_service service = { .gateway_port = 8080 };
	int listener, lent;

	listener = life_listen(&service.host_port, 4);
	life_config(life, IPC_CONFIG_HOST_SERVICE, &service, sizeof(service),
	    -1);
	life_start(life);
	life_open(life, 0, "100.96.0.1", 8080);
	lent = life_expect_opened(life, 0);
	close(life_accept(life, listener));
	life_open(life, 1, "100.96.0.1", 22);
	life_expect_failed(life, 1, VERDICT_REFUSED);
	close(lent);
	close(listener);
}

static void
a_connect_without_an_answer_times_out(void **state)
{
	struct life *life = *state;
	uint64_t start_ms;
	uint16_t port;
	int fd, fill[4];
	size_t i;

	life->config.connect_timeout_ms = 100;
	start_with_loopback(life);
	fd = life_blackhole(&port, fill, 4);
	start_ms = clock_now_ms();
	life_open(life, 0, "127.0.0.1", port);
	life_expect_failed(life, 0, VERDICT_TIMEOUT);
	assert_true(clock_now_ms() - start_ms >= 100);
	assert_int_equal(life->rp->budget.pending, 0);
	for (i = 0; i < 4; i++)
		close(fill[i]);
	close(fd);
}

static void
a_connect_that_finds_no_place_is_told_to_come_again(void **state)
{
	struct life *life = *state;
	uint64_t start_ms;
	uint16_t port;
	int fd, fill[4];
	size_t i;

	life->config.max_pending_per_dst = 2;
	start_with_loopback(life);
	fd = life_blackhole(&port, fill, 4);
	start_ms = clock_now_ms();
	for (i = 0; i < 3; i++)
		life_open(life, (uint32_t)i, "127.0.0.1", port);
	life_expect_failed(life, 2, VERDICT_RESOURCES);
	assert_true(clock_now_ms() - start_ms >= 1000);
	assert_int_equal(life->rp->counters.waited, 1);
	assert_int_equal(life->rp->counters.over_budget, 1);
	assert_int_equal(life->rp->budget.pending, 2);
	for (i = 0; i < 4; i++)
		close(fill[i]);
	close(fd);
}

static void
a_full_destination_does_not_hold_up_another(void **state)
{
	struct life *life = *state;
	struct pair pair;
	uint16_t port;
	int fd, fill[4];
	size_t i;

	life->config.max_pending_per_dst = 2;
	life_rule(life, RULE_UNSAFE_ALLOW, "127.0.0.0/8");
	life_start(life);
	fd = life_blackhole(&port, fill, 4);
	for (i = 0; i < 10; i++)
		life_open(life, 10 + (uint32_t)i, "127.0.0.1", port);
	pair.listener = life_listen(&pair.port, 4);
	/* Another address of loopback is another destination: refused there. */
	life_open(life, 0, "127.0.0.2", pair.port);
	life_expect_failed(life, 0, VERDICT_REFUSED);
	close(pair.listener);
	for (i = 0; i < 4; i++)
		close(fill[i]);
	close(fd);
}

static void
a_burst_beyond_the_caps_completes_by_waiting(void **state)
{
	struct life *life = *state;
	struct ipc_msg msg;
	uint64_t start_ms;
	uint16_t port;
	int listener, i;

	life->config.max_flows = 256;
	start_with_loopback(life);
	listener = life_listen(&port, 256);
	start_ms = clock_now_ms();
	for (i = 0; i < 200; i++) {
		life_open(life, (uint32_t)i, "127.0.0.1", port);
		life_turn(life);
	}
	for (i = 0; i < 200; i++) {
		life_expect(life, &life->peer, IPC_FLOW_OPENED, &msg);
		channel_msg_done(&msg);
	}
	assert_true(clock_now_ms() - start_ms < 900);
	assert_int_equal(life->rp->counters.opened, 200);
	assert_int_equal(life->rp->counters.over_budget, 0);
	close(listener);
}

static void
connects_beyond_the_rate_wait_for_tokens(void **state)
{
	struct life *life = *state;
	struct ipc_msg msg;
	uint64_t start_ms;
	uint16_t port;
	int listener, i;

	life->config.connect_rate_per_s = 50;
	life->config.connect_burst = 2;
	start_with_loopback(life);
	listener = life_listen(&port, 256);
	start_ms = clock_now_ms();
	for (i = 0; i < 7; i++)
		life_open(life, (uint32_t)i, "127.0.0.1", port);
	for (i = 0; i < 7; i++) {
		life_expect(life, &life->peer, IPC_FLOW_OPENED, &msg);
		channel_msg_done(&msg);
	}
	/* Five tokens of 20 ms each. */
	assert_true(clock_now_ms() - start_ms >= 95);
	close(listener);
}

static void
a_close_that_crosses_the_answer_is_answered(void **state)
{
	struct life *life = *state;
	uint32_t generation;
	uint16_t port;
	int fd, fill[4];
	size_t i;

	start_with_loopback(life);
	fd = life_blackhole(&port, fill, 4);
	generation = life_open(life, 0, "127.0.0.1", port);
	life_close(life, 0, generation, FLOW_CLOSE_RESET);
	life_expect_closed(life, 0);
	assert_int_equal(life->rp->budget.pending, 0);
	/* After FLOW_FAILED, too. */
	generation = life_open(life, 0, "10.0.0.1", 80);
	life_expect_failed(life, 0, VERDICT_DENIED);
	life_close(life, 0, generation, FLOW_CLOSE_RESET);
	life_expect_closed(life, 0);
	for (i = 0; i < 4; i++)
		close(fill[i]);
	close(fd);
}

static void
a_client_of_a_published_port_is_lent_to_netproc(void **state)
{
	struct life *life = *state;
	struct ipc_flow_inbound inbound;
	struct sockaddr_in sin = {
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	}, own;
	socklen_t len = sizeof(own);
	struct ipc_addr loopback;
	struct ipc_msg msg;
	uint16_t port;
	int client;

	life_listener(life, life_listen(&port, 8), 8080);
	life_start(life);
	sin.sin_port = htons(port);
	client = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(connect(client, (struct sockaddr *)&sin, sizeof(sin)),
	    0);
	getsockname(client, (struct sockaddr *)&own, &len);
	life_expect(life, &life->peer, IPC_FLOW_INBOUND, &msg);
	memcpy(&inbound, msg.payload, sizeof(inbound));
	addr_parse("127.0.0.1", &loopback);
	assert_true(addr_equal(&inbound.client, &loopback));
	assert_int_equal(inbound.client_port, ntohs(own.sin_port));
	assert_int_equal(inbound.guest_port, 8080);
	assert_true(msg.hdr.flow & FLOW_INBOUND_BIT);
	assert_int_equal(write(client, "x", 1), 1);
	life_wait_readable(life, msg.fd);
	close(msg.fd);
	life_close(life, msg.hdr.flow, msg.hdr.generation, FLOW_CLOSE_REFUSED);
	assert_int_equal(server_reads(life, client), -ECONNRESET);
	assert_false(life->rp->peer_lost);
	close(client);
}

static void
clients_beyond_the_inbound_slots_are_reset_and_counted(void **state)
{
	struct life *life = *state;
	struct sockaddr_in sin = {
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	struct ipc_msg msg;
	uint16_t port;
	int client[5];
	size_t i;

	life_listener(life, life_listen(&port, 8), 8080);
	life_start(life);
	sin.sin_port = htons(port);
	for (i = 0; i < 5; i++) {
		client[i] = socket(AF_INET, SOCK_STREAM, 0);
		assert_int_equal(connect(client[i], (struct sockaddr *)&sin,
				     sizeof(sin)),
		    0);
	}
	for (i = 0; i < 4; i++) {
		life_expect(life, &life->peer, IPC_FLOW_INBOUND, &msg);
		channel_msg_done(&msg);
	}
	assert_int_equal(server_reads(life, client[4]), -ECONNRESET);
	assert_int_equal(life->rp->counters.inbound_full, 1);
	for (i = 0; i < 5; i++)
		close(client[i]);
}

static void
a_listener_rests_while_descriptors_are_short(void **state)
{
	struct life *life = *state;
	struct sockaddr_in sin = {
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	struct rlimit old, limit;
	struct ipc_msg msg;
	uint16_t port;
	int client, spare;

	life_listener(life, life_listen(&port, 8), 8080);
	life_start(life);
	sin.sin_port = htons(port);
	client = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(connect(client, (struct sockaddr *)&sin, sizeof(sin)),
	    0);
	spare = dup(client);
	close(spare);
	getrlimit(RLIMIT_NOFILE, &old);
	limit = old;
	limit.rlim_cur = (rlim_t)spare;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	life_turn(life);
	life_turn(life);
	assert_int_equal(life->rp->publish.running, 0);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	life_expect(life, &life->peer, IPC_FLOW_INBOUND, &msg);
	channel_msg_done(&msg);
	assert_int_equal(life->rp->publish.running, 1);
	close(client);
}

static void
out_of_descriptors_a_connect_is_told_to_come_again(void **state)
{
	struct life *life = *state;
	struct rlimit old, limit;
	int spare;

	start_with_loopback(life);
	spare = dup(STDERR_FILENO);
	close(spare);
	getrlimit(RLIMIT_NOFILE, &old);
	limit = old;
	limit.rlim_cur = (rlim_t)spare;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	life_open(life, 0, "127.0.0.1", 80);
	life_expect_failed(life, 0, VERDICT_RESOURCES);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	assert_int_equal(life->rp->budget.pending, 0);
}

static void
a_new_address_of_the_host_is_denied_from_then_on(void **state)
{
	struct life *life = *state;
	struct ipc_host_addr msg = { .present = 1 };
	struct ipc_msg in;
	int i;

	life_rule(life, RULE_ALLOW, "0.0.0.0/0");
	life_start(life);
	addr_parse("203.0.113.77", &msg.addr);
	assert_int_equal(channel_send(&life->parent, IPC_HOST_ADDR, 0, 0, &msg,
			     sizeof(msg)),
	    0);
	for (i = 0; i < 3; i++)
		life_turn(life);
	life_open(life, 0, "203.0.113.77", 80);
	life_expect(life, &life->peer, IPC_FLOW_FAILED, &in);
	assert_int_equal(life->rp->counters.denied, 1);
}

static void
stop_leaves_the_loop_and_resets_what_is_open(void **state)
{
	struct life *life = *state;
	const struct ipc_empty empty = { 0 };
	struct pair pair;
	int i;

	start_with_loopback(life);
	pair = pair_open(life, 0);
	assert_int_equal(channel_send(&life->parent, IPC_STOP, 0, 0, &empty,
			     sizeof(empty)),
	    0);
	for (i = 0; i < 3; i++)
		life_turn(life);
	assert_int_equal(life->rp->stop, 1);
	relayproc_end(life->rp);
	assert_int_equal(server_reads(life, pair.server), -ECONNRESET);
	life_expect_silence(life, &life->parent, 0);
	assert_non_null(strstr(life->log, "counters: opened=1 "));
	close(pair.lent);
	pair_free(&pair);
}

#define TEST(name) \
	cmocka_unit_test_setup_teardown(name, life_setup, life_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_connect_is_lent_and_carries_data_both_ways),
		TEST(a_lent_socket_is_set_up_as_netproc_relies_on),
		TEST(a_reset_reaches_the_server_while_netproc_holds_the_socket),
		TEST(a_half_close_by_netproc_leaves_the_other_half_open),
		TEST(a_refused_connect_is_told_as_refused),
		TEST(a_denied_connect_leaves_no_socket_and_names_the_option),
		TEST(denials_are_logged_ten_times_a_second_at_most),
		TEST(the_gateways_address_reaches_a_host_service_only),
		TEST(a_connect_without_an_answer_times_out),
		TEST(a_connect_that_finds_no_place_is_told_to_come_again),
		TEST(a_full_destination_does_not_hold_up_another),
		TEST(a_burst_beyond_the_caps_completes_by_waiting),
		TEST(connects_beyond_the_rate_wait_for_tokens),
		TEST(a_close_that_crosses_the_answer_is_answered),
		TEST(a_client_of_a_published_port_is_lent_to_netproc),
		TEST(clients_beyond_the_inbound_slots_are_reset_and_counted),
		TEST(a_listener_rests_while_descriptors_are_short),
		TEST(out_of_descriptors_a_connect_is_told_to_come_again),
		TEST(a_new_address_of_the_host_is_denied_from_then_on),
		TEST(stop_leaves_the_loop_and_resets_what_is_open),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
