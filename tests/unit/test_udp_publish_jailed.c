#include <netinet/in.h>
#include <netinet/udp.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/relay_dgram.h"

/* Published ports, services of the host, DNS over TCP; a hostile netproc. */

static void
published_is_answered(struct life *life, const char *bind_addr,
    const char *addr)
{
	struct server listener = server_open(bind_addr, 0), client;
	struct target to = { .addr = addr };
	struct ipc_assoc_data data;
	struct ipc_msg msg;
	char buf[8];

	udp_listener_add(life, &listener, bind_addr);
	jailed_start(life, NOFILE);
	client = client_of(addr, listener.port);
	server_says(&client, "hi", 2);
	life_expect(life, &life->dgram, IPC_ASSOC_RECV, &msg);
	memcpy(&data, msg.payload, sizeof(data));
	assert_true(msg.hdr.flow & FLOW_INBOUND_BIT);
	assert_int_equal(data.guest_port, 5353);
	assert_int_equal(data.peer_port, client.port);
	to.port = client.port;
	assoc_send(life, msg.hdr.flow, msg.hdr.generation, &to, "ho!", 3);
	assert_int_equal(server_gets(life, &client, buf, sizeof(buf)), 3);
	assert_int_equal(server_peer_port(&client), listener.port);
	close(client.fd);
	jailed_stop(life);
}

static void
a_published_port_is_answered(void **state)
{
	need_namespace();
	published_is_answered(*state, "127.0.0.1", "127.0.0.1");
}

static void
a_published_port_answers_from_the_address_that_was_asked(void **state)
{
	need_namespace();
	published_is_answered(*state, "0.0.0.0", "127.0.0.7");
}

static void
a_published_port_is_answered_over_ipv6(void **state)
{
	need_namespace();
	published_is_answered(*state, "::", "::1");
}

/* Linux passes up to 128 in one piece; a record holds fewer. */
#define BURST 100

static void
a_burst_larger_than_a_record_comes_in_several(void **state)
{
	struct life *life = *state;
	const int one = 1;
	struct server listener, client;
	struct ipc_assoc_data data;
	uint8_t sent[BURST], got[BURST], *at = got;
	size_t i, n, left = BURST;

	need_namespace();
	for (i = 0; i < BURST; i++)
		sent[i] = (uint8_t)i;
	listener = server_open("127.0.0.1", 0);
	udp_listener_add(life, &listener, "127.0.0.1");
	jailed_start(life, NOFILE);
	client = client_of("127.0.0.1", listener.port);
	if (setsockopt(client.fd, IPPROTO_UDP, UDP_SEGMENT, &one,
		sizeof(one)) == -1 ||
	    sendto(client.fd, sent, BURST, 0, (struct sockaddr *)&client.from,
		client.len) != BURST)
		skip();
	while (left > 0) {
		n = expect_recv(life, &data, at, left);
		assert_int_equal(data.segment_len, n > 1 ? 1 : 0);
		assert_in_range(n, 1, ASSOC_SEGMENTS_MAX);
		at += n;
		left -= n;
	}
	assert_memory_equal(got, sent, BURST);
	close(client.fd);
	jailed_stop(life);
}

static void
the_client_silent_for_longest_makes_room(void **state)
{
	struct life *life = *state;
	struct server listener, clients[3];
	struct target to = { .addr = "127.0.0.1" };
	struct ipc_hdr first;
	struct ipc_msg msg;
	int i;

	need_namespace();
	listener = server_open("127.0.0.1", 0);
	udp_listener_add(life, &listener, "127.0.0.1");
	jailed_start(life, NOFILE);
	for (i = 0; i < 3; i++) {
		clients[i] = client_of("127.0.0.1", listener.port);
		server_says(&clients[i], "x", 1);
		life_expect(life, &life->dgram, IPC_ASSOC_RECV, &msg);
		if (i == 0)
			first = msg.hdr;
	}
	assert_int_equal(msg.hdr.flow, first.flow);
	assert_int_equal(msg.hdr.generation, first.generation + 1);
	/* An answer that crossed goes nowhere. */
	assoc_send(life, first.flow, first.generation, &to, "late", 4);
	life_expect_silence(life, &life->parent, 20);
	for (i = 0; i < 3; i++)
		close(clients[i].fd);
	jailed_stop(life);
}

static void
a_host_service_is_reached_by_both_gateways(void **state)
{
	static const char *const gateways[] = { "100.96.0.1", "fd53:4d00::1" };
	struct life *life = *state;
	struct server server;
	struct ipc_host_service service = { .gateway_port = 123 };
	struct target to = { .port = 123 };
	struct ipc_assoc_data data;
	struct ipc_addr gateway;
	uint8_t buf[8];
	uint32_t i;

	need_namespace();
	server = server_open("127.0.0.1", 0);
	service.host_port = server.port;
	life_config(life, IPC_CONFIG_HOST_SERVICE, &service, sizeof(service),
	    -1);
	jailed_start(life, NOFILE);
	for (i = 0; i < 2; i++) {
		to.addr = gateways[i];
		addr_parse(to.addr, &gateway);
		assoc_send(life, i, 1, &to, "q", 1);
		server_gets(life, &server, buf, sizeof(buf));
		server_says(&server, "a", 1);
		assert_int_equal(expect_recv(life, &data, buf, sizeof(buf)), 1);
		assert_true(addr_equal(&data.peer, &gateway));
		assert_int_equal(data.peer_port, 123);
	}
	close(server.fd);
	jailed_stop(life);
}

static void
dns_over_tcp_turns_to_the_next_server(void **state)
{
	struct life *life = *state;
	uint16_t port, dead_port;
	int listener = life_listen(&port, 4), i;
	static const char *const gateways[] = { "100.96.0.1", "fd53:4d00::1" };

	close(life_listen(&dead_port, 1));
	life_resolver(life, "127.0.0.1", dead_port);
	life_resolver(life, "127.0.0.1", port);
	jailed_start(life, NOFILE);
	for (i = 0; i < 2; i++) {
		life_open(life, (uint32_t)i, gateways[i], 53);
		close(life_expect_opened(life, (uint32_t)i));
		close(life_accept(life, listener));
	}
	life_open(life, 2, gateways[0], 54);
	life_expect_failed(life, 2, VERDICT_REFUSED);
	close(listener);
	jailed_stop(life);
}

/* To which there is no way is said by connect(2) itself. */
static void
dns_over_tcp_passes_over_all_that_cannot_be_reached(void **state)
{
	struct life *life = *state;
	uint16_t port, dead_port;
	int listener;

	need_namespace();
	listener = life_listen(&port, 4);
	close(life_listen(&dead_port, 1));
	life_resolver(life, "127.0.0.1", dead_port);
	life_resolver(life, "203.0.113.9", port);
	life_resolver(life, "127.0.0.1", port);
	jailed_start(life, NOFILE);
	life_open(life, 0, "100.96.0.1", 53);
	close(life_expect_opened(life, 0));
	close(life_accept(life, listener));
	close(listener);
	jailed_stop(life);
}

static void
dns_over_tcp_waits_for_the_next_server_too(void **state)
{
	struct life *life = *state;
	uint16_t port, dead_port;
	int listener, fill[3], i;

	life->config.connect_timeout_ms = 50;
	close(life_listen(&dead_port, 1));
	listener = life_blackhole(&port, fill, 3);
	life_resolver(life, "127.0.0.1", dead_port);
	life_resolver(life, "127.0.0.1", port);
	jailed_start(life, NOFILE);
	life_open(life, 0, "100.96.0.1", 53);
	life_expect_failed(life, 0, VERDICT_TIMEOUT);
	for (i = 0; i < 3; i++)
		close(fill[i]);
	close(listener);
	jailed_stop(life);
}

static void
resolvers_are_replaced_while_it_runs(void **state)
{
	struct life *life = *state;
	struct ipc_resolver server = { .first = 1 };
	uint16_t dead_port;
	int listener = life_listen(&server.port, 4);

	addr_parse("127.0.0.1", &server.addr);
	close(life_listen(&dead_port, 1));
	life_resolver(life, "127.0.0.1", dead_port);
	jailed_start(life, NOFILE);
	life_open(life, 0, "100.96.0.1", 53);
	life_expect_failed(life, 0, VERDICT_REFUSED);
	assert_int_equal(channel_send(&life->parent, IPC_CONFIG_RESOLVER, 0, 0,
			     &server, sizeof(server)),
	    0);
	/* The two channels keep no order between them. */
	life_expect_silence(life, &life->parent, 50);
	life_open(life, 1, "100.96.0.1", 53);
	close(life_expect_opened(life, 1));
	close(listener);
	jailed_stop(life);
}

/* Each is netproc's fault, and the end of it. */
static const struct hostile {
	uint32_t slot, generation;
	struct target to;
	size_t len;
	uint8_t first;
	enum ipc_error error;
} hostile[] = {
	{ 0, 5, { "127.0.0.1", 9, 0, 0, 9 }, 8, 0, IPC_E_FIELD },
	{ 0, 5, { "127.0.0.1", 9, 0, 0, 1 }, 65, 0, IPC_E_FIELD },
	{ 0, 5, { "127.0.0.1", 9, 0, 2, 0 }, 8, 0, IPC_E_FIELD },
	{ 0, 5, { "127.0.0.1", 9, IPPROTO_TCP, 0, 0 }, 8, 0, IPC_E_FIELD },
	{ 0, 5, { "127.0.0.1", 9, IPPROTO_ICMP, 0, 0 }, 8, 8, IPC_E_FIELD },
	{ 0, 5, { "127.0.0.1", 0, IPPROTO_ICMP, 0, 0 }, 8, 0, IPC_E_FIELD },
	{ 0, 5, { "127.0.0.1", 0, IPPROTO_ICMP, 0, 0 }, 7, 8, IPC_E_FIELD },
	{ 0, 5, { "127.0.0.1", 0, IPPROTO_ICMP, 0, 8 }, 8, 8, IPC_E_FIELD },
	{ 0, 5, { "127.0.0.1", 0, IPPROTO_ICMPV6, 0, 0 }, 8, 128, IPC_E_FIELD },
	{ 8, 5, { "127.0.0.1", 9, 0, 0, 0 }, 8, 0, IPC_E_QUOTA },
	{ 1, 4, { "127.0.0.1", 9, 0, 0, 0 }, 8, 0, IPC_E_STATE },
	{ 1, 5, { "::1", 9, 0, 0, 0 }, 8, 0, IPC_E_FIELD },
	{ FLOW_INBOUND_BIT | 2, 0, { "127.0.0.1", 9, 0, 0, 0 }, 8, 0,
	    IPC_E_QUOTA },
	{ FLOW_INBOUND_BIT, 0, { "127.0.0.1", 9, 0, 0, 0 }, 8, 0, IPC_E_STATE },
	{ FLOW_INBOUND_BIT, 0, { "127.0.0.1", 0, IPPROTO_ICMP, 0, 0 }, 8, 8,
	    IPC_E_FIELD },
};

static void
a_hostile_record_ends_netproc(void **state)
{
	const struct target good = { "127.0.0.1", 9, 0, 0, 0 };
	uint8_t bytes[65] = { 0 };
	size_t i;

	for (i = 0; i < sizeof(hostile) / sizeof(hostile[0]); i++) {
		bytes[0] = hostile[i].first;
		jailed_start(*state, NOFILE);
		assoc_send(*state, 1, 5, &good, "x", 1);
		assoc_send(*state, hostile[i].slot, hostile[i].generation,
		    &hostile[i].to, bytes, hostile[i].len);
		life_expect_violation(*state, hostile[i].error);
		jailed_stop(*state);
		jailed_teardown(state);
		assert_int_equal(jailed_setup(state), 0);
	}
	jailed_start(*state, NOFILE);
	jailed_stop(*state);
}

/* Of no family, of an unknown one, and longer than its family's. */
static void
an_address_that_is_none_ends_netproc(void **state)
{
	static const struct ipc_addr none[] = {
		{ .family = 0 },
		{ .family = 0, .bytes = { 127, 0, 0, 1 } },
		{ .family = 5, .bytes = { 127, 0, 0, 1 } },
		{ .family = 4, .bytes = { 127, 0, 0, 1, 1 } },
	};
	struct ipc_assoc_data data = { .peer_port = 9, .proto = IPPROTO_UDP };
	size_t i;

	for (i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
		data.peer = none[i];
		jailed_start(*state, NOFILE);
		channel_send_tail(&((struct life *)*state)->dgram,
		    IPC_ASSOC_SEND, 0, 1, &data, sizeof(data), "x", 1);
		life_expect_violation(*state, IPC_E_FIELD);
		jailed_stop(*state);
		jailed_teardown(state);
		assert_int_equal(jailed_setup(state), 0);
	}
	jailed_start(*state, NOFILE);
	jailed_stop(*state);
}

#define TEST(name) \
	cmocka_unit_test_setup_teardown(name, jailed_setup, jailed_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_published_port_is_answered),
		TEST(a_published_port_answers_from_the_address_that_was_asked),
		TEST(a_published_port_is_answered_over_ipv6),
		TEST(a_burst_larger_than_a_record_comes_in_several),
		TEST(the_client_silent_for_longest_makes_room),
		TEST(a_host_service_is_reached_by_both_gateways),
		TEST(dns_over_tcp_turns_to_the_next_server),
		TEST(dns_over_tcp_passes_over_all_that_cannot_be_reached),
		TEST(dns_over_tcp_waits_for_the_next_server_too),
		TEST(resolvers_are_replaced_while_it_runs),
		TEST(a_hostile_record_ends_netproc),
		TEST(an_address_that_is_none_ends_netproc),
	};

	namespace_enter();
	return (cmocka_run_group_tests(tests, NULL, NULL));
}
