#include <sys/socket.h>

#include <netinet/in.h>

#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include <event2/event.h>

#include <cmocka.h>

#include "tests/unit/relay_jail.h"

/* Every path has to end in an answer, and the process by STOP. */

static int
client_of(uint16_t port)
{
	struct sockaddr_in sin = {
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
		.sin_port = htons(port),
	};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(connect(fd, (struct sockaddr *)&sin, sizeof(sin)), 0);
	return (fd);
}

static void
connects_are_lent_closed_and_reset(void **state)
{
	struct life *life = *state;
	struct pair one, two;

	jailed_start(life, 64);
	one = pair_open(life, 0);
	two = pair_open(life, 1);
	pair_end(life, &one);
	life_close(life, 0, one.generation, FLOW_CLOSE_DONE);
	life_expect_closed(life, 0);
	life_close(life, 1, two.generation, FLOW_CLOSE_RESET);
	life_expect_closed(life, 1);
	assert_int_equal(server_reads(life, two.server), -ECONNRESET);
	close(two.lent);
	pair_free(&one);
	pair_free(&two);
	jailed_stop(life);
}

static void
connects_are_refused_denied_and_timed_out(void **state)
{
	struct life *life = *state;
	uint16_t port;
	int listener, fill[3], i;

	life->config.connect_timeout_ms = 50;
	jailed_start(life, 64);
	close(life_listen(&port, 1));
	life_open(life, 0, "127.0.0.1", port);
	life_expect_failed(life, 0, VERDICT_REFUSED);
	life_open(life, 0, "10.0.0.1", 80);
	life_expect_failed(life, 0, VERDICT_DENIED);
	listener = life_blackhole(&port, fill, 3);
	life_open(life, 0, "127.0.0.1", port);
	life_expect_failed(life, 0, VERDICT_TIMEOUT);
	for (i = 0; i < 3; i++)
		close(fill[i]);
	close(listener);
	jailed_stop(life);
}

static void
a_client_is_accepted_and_its_flow_reset(void **state)
{
	struct life *life = *state;
	struct ipc_msg msg;
	uint16_t port;
	int client;

	life_listener(life, life_listen(&port, 8), 8080);
	jailed_start(life, 64);
	client = client_of(port);
	life_expect(life, &life->peer, IPC_FLOW_INBOUND, &msg);
	channel_msg_done(&msg);
	life_close(life, msg.hdr.flow, msg.hdr.generation, FLOW_CLOSE_REFUSED);
	assert_int_equal(server_reads(life, client), -ECONNRESET);
	close(client);
	jailed_stop(life);
}

static void
clients_beyond_the_slots_are_reset(void **state)
{
	struct life *life = *state;
	struct ipc_msg msg;
	uint16_t port;
	int one, two;

	life->config.max_inbound = 1;
	life_listener(life, life_listen(&port, 8), 8080);
	jailed_start(life, 64);
	one = client_of(port);
	life_expect(life, &life->peer, IPC_FLOW_INBOUND, &msg);
	channel_msg_done(&msg);
	two = client_of(port);
	assert_int_equal(server_reads(life, two), -ECONNRESET);
	close(one);
	close(two);
	jailed_stop(life);
}

static void
without_descriptors_nothing_dies(void **state)
{
	struct life *life = *state;
	struct ipc_msg msg;
	uint16_t port, dns_port;
	int client, server = life_udp(&dns_port);

	life_listener(life, life_listen(&port, 8), 8080);
	life_resolver(life, "127.0.0.1", dns_port);
	/* The fixed ones and the listener: none is left. */
	jailed_start(life, FD_FIRST_DYNAMIC + 1);
	life_open(life, 0, "127.0.0.1", port);
	life_expect_failed(life, 0, VERDICT_RESOURCES);
	client = client_of(port);
	life_ask(life, 0, 1, "q");
	life_expect(life, &life->dgram, IPC_DNS_FAILED, &msg);
	close(client);
	close(server);
	jailed_stop(life);
}

/* The loop sleeps between these, unlike one that a test turns by hand. */
static void
connects_that_wait_for_tokens_are_woken(void **state)
{
	struct life *life = *state;
	struct ipc_msg msg;
	uint16_t port;
	uint32_t i;
	int listener = life_listen(&port, 16);

	life->config.connect_rate_per_s = 50;
	life->config.connect_burst = 1;
	jailed_start(life, 64);
	for (i = 0; i < 6; i++)
		life_open(life, i, "127.0.0.1", port);
	for (i = 0; i < 6; i++) {
		life_expect(life, &life->peer, IPC_FLOW_OPENED, &msg);
		channel_msg_done(&msg);
	}
	close(listener);
	jailed_stop(life);
}

static void
sockets_that_wait_for_room_in_the_channel_are_lent(void **state)
{
	struct life *life = *state;
	struct pollfd pfd = { .events = POLLIN };
	struct ipc_msg msg;
	const int few = 1;
	uint16_t port;
	uint32_t i;
	int listener = life_listen(&port, 64);

	/* The kernel's least: room for a handful of records. */
	assert_int_equal(setsockopt(life->rp->peer.fd, SOL_SOCKET, SO_SNDBUF,
			     &few, sizeof(few)),
	    0);
	life->config.max_pending_per_dst = 64;
	jailed_start(life, 256);
	for (i = 0; i < 40; i++)
		life_open(life, i, "127.0.0.1", port);
	/* All are connected before one is taken. */
	pfd.fd = listener;
	for (i = 0; i < 40; i++) {
		assert_int_equal(poll(&pfd, 1, 5000), 1);
		close(accept(listener, NULL, NULL));
	}
	for (i = 0; i < 40; i++) {
		life_expect(life, &life->peer, IPC_FLOW_OPENED, &msg);
		channel_msg_done(&msg);
	}
	close(listener);
	jailed_stop(life);
}

/* A socket of this type on ::1, or -1 on a host without IPv6. */
static int
bound6(int type, uint16_t *port)
{
	struct sockaddr_in6 sin6 = {
		.sin6_family = AF_INET6,
		.sin6_addr = IN6ADDR_LOOPBACK_INIT,
	};
	socklen_t len = sizeof(sin6);
	int fd = socket(AF_INET6, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd == -1)
		return (-1);
	if (bind(fd, (struct sockaddr *)&sin6, len) == -1) {
		close(fd);
		return (-1);
	}
	assert_int_equal(getsockname(fd, (struct sockaddr *)&sin6, &len), 0);
	*port = ntohs(sin6.sin6_port);
	return (fd);
}

static void
hosts_and_resolvers_are_reached_over_ipv6(void **state)
{
	struct life *life = *state;
	uint16_t port, dns_port;
	int listener, server;

	listener = bound6(SOCK_STREAM, &port);
	server = bound6(SOCK_DGRAM, &dns_port);
	if (listener == -1 || server == -1) {
		print_message("# no IPv6 loopback here\n");
		skip();
	}
	assert_int_equal(listen(listener, 1), 0);
	life_rule(life, RULE_UNSAFE_ALLOW, "::1");
	life_resolver(life, "::1", dns_port);
	jailed_start(life, 64);
	life_open(life, 0, "::1", port);
	close(life_expect_opened(life, 0));
	life_ask(life, 0, 1, "q");
	life_wait_readable(life, server);
	close(listener);
	close(server);
	jailed_stop(life);
}

static void
dns_is_answered_failed_over_and_failed(void **state)
{
	struct life *life = *state;
	struct sockaddr_in from;
	socklen_t len = sizeof(from);
	struct ipc_msg msg;
	uint16_t port, dead_port;
	int server = life_udp(&port);
	char buf[16];

	close(life_udp(&dead_port));
	life->config.dns_timeout_ms = 50;
	life_resolver(life, "127.0.0.1", dead_port);
	life_resolver(life, "127.0.0.1", port);
	jailed_start(life, 64);
	life_ask(life, 0, 1, "q");
	life_wait_readable(life, server);
	assert_int_equal(recvfrom(server, buf, sizeof(buf), 0,
			     (struct sockaddr *)&from, &len),
	    1);
	assert_int_equal(sendto(server, "a", 1, 0, (struct sockaddr *)&from,
			     len),
	    1);
	life_expect(life, &life->dgram, IPC_DNS_ANSWER, &msg);
	life_ask(life, 0, 2, "q");
	life_expect(life, &life->dgram, IPC_DNS_FAILED, &msg);
	close(server);
	jailed_stop(life);
}

static void
a_violation_is_told_and_its_flows_reset(void **state)
{
	struct life *life = *state;
	struct pair pair;

	jailed_start(life, 64);
	pair = pair_open(life, 0);
	assert_int_equal(write(life->peer.fd, "abc", 3), 3);
	life_expect_violation(life, IPC_E_SHORT);
	assert_int_equal(server_reads(life, pair.server), -ECONNRESET);
	close(pair.lent);
	pair_free(&pair);
	jailed_stop(life);
}

static void
a_mad_parent_ends_it_by_fatal_and_not_by_the_filter(void **state)
{
	struct life *life = *state;

	jailed_start(life, 64);
	assert_int_equal(write(life->parent.fd, "abc", 3), 3);
	expect_exit(70);
}

static void
the_parent_being_gone_ends_it(void **state)
{
	struct life *life = *state;

	jailed_start(life, 64);
	close(life->parent.fd);
	life->parent.fd = -1;
	expect_exit(0);
}

#define TEST(name) \
	cmocka_unit_test_setup_teardown(name, jailed_setup, jailed_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(connects_are_lent_closed_and_reset),
		TEST(connects_are_refused_denied_and_timed_out),
		TEST(a_client_is_accepted_and_its_flow_reset),
		TEST(clients_beyond_the_slots_are_reset),
		TEST(without_descriptors_nothing_dies),
		TEST(connects_that_wait_for_tokens_are_woken),
		TEST(sockets_that_wait_for_room_in_the_channel_are_lent),
		TEST(hosts_and_resolvers_are_reached_over_ipv6),
		TEST(dns_is_answered_failed_over_and_failed),
		TEST(a_violation_is_told_and_its_flows_reset),
		TEST(a_mad_parent_ends_it_by_fatal_and_not_by_the_filter),
		TEST(the_parent_being_gone_ends_it),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
