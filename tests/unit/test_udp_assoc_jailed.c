#include <sys/ioctl.h>
#include <sys/socket.h>

#include <net/if.h>
#include <netinet/in.h>

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/relay_jail.h"

/*
 * Datagrams through a relayproc behind its filter, in a network namespace of
 * our own, whose loopback has an MTU of 1500 bytes and may be pinged.
 */

#define LINK_MTU   1500
#define NOFILE	   64
#define GUEST_PORT 40000 /* in the kernel's default ip_local_port_range */

static const char *skip_reason;

static void
need_namespace(void)
{
	if (skip_reason == NULL)
		return;
	print_message("# %s\n", skip_reason);
	skip();
}

static void
pings_allow(const char *range)
{
	int fd = open("/proc/sys/net/ipv4/ping_group_range", O_WRONLY);

	assert_int_not_equal(fd, -1);
	assert_int_equal(write(fd, range, strlen(range)), strlen(range));
	close(fd);
}

static void
namespace_enter(void)
{
	struct ifreq ifr = { .ifr_name = "lo" };
	int fd;

	if (unshare(CLONE_NEWNET) == -1) {
		skip_reason = "no network namespace of our own";
		return;
	}
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	ifr.ifr_mtu = LINK_MTU;
	if (fd == -1 || ioctl(fd, SIOCSIFMTU, &ifr) == -1)
		skip_reason = "no MTU for loopback";
	memset(&ifr.ifr_ifru, 0, sizeof(ifr.ifr_ifru));
	ifr.ifr_flags = IFF_UP | IFF_LOOPBACK | IFF_RUNNING;
	if (fd == -1 || ioctl(fd, SIOCSIFFLAGS, &ifr) == -1)
		skip_reason = "no loopback";
	if (fd != -1)
		close(fd);
}

/* What a test sends to. */
struct target {
	const char *addr;
	uint16_t port;
	uint8_t proto;
	uint8_t flags;
	uint16_t segment_len;
};

static struct ipc_assoc_data
data_to(const struct target *to)
{
	struct ipc_assoc_data data = {
		.peer_port = to->port,
		.guest_port = GUEST_PORT,
		.segment_len = to->segment_len,
		.proto = to->proto != 0 ? to->proto : IPPROTO_UDP,
		.flags = to->flags,
	};

	assert_int_equal(addr_parse(to->addr, &data.peer), 0);
	return (data);
}

static void
assoc_send(struct life *life, uint32_t slot, uint32_t generation,
    const struct target *to, const void *bytes, size_t len)
{
	const struct ipc_assoc_data data = data_to(to);

	assert_int_equal(channel_send_tail(&life->dgram, IPC_ASSOC_SEND, slot,
			     generation, &data, sizeof(data), bytes, len),
	    0);
}

static void
expect_error(struct life *life, enum flow_verdict verdict,
    struct ipc_assoc_error *error)
{
	struct ipc_msg msg;

	life_expect(life, &life->dgram, IPC_ASSOC_ERROR, &msg);
	memcpy(error, msg.payload, sizeof(*error));
	assert_int_equal(error->verdict, verdict);
	assert_int_equal(error->guest_port, GUEST_PORT);
}

/* Returns the length; data says from whom. */
static size_t
expect_recv(struct life *life, struct ipc_assoc_data *data, uint8_t *bytes,
    size_t size)
{
	struct ipc_msg msg;

	life_expect(life, &life->dgram, IPC_ASSOC_RECV, &msg);
	memcpy(data, msg.payload, sizeof(*data));
	assert_true(msg.tail_len <= size);
	memcpy(bytes, msg.tail, msg.tail_len);
	return (msg.tail_len);
}

struct server {
	int fd;
	uint16_t port;
	struct sockaddr_storage from; /* of the last datagram */
	socklen_t len;
};

static struct server
server_open(const char *addr, uint16_t port)
{
	struct server server = { .len = sizeof(server.from) };
	struct ipc_addr parsed;
	socklen_t len;

	assert_int_equal(addr_parse(addr, &parsed), 0);
	len = addr_to_sockaddr(&parsed, port, &server.from);
	server.fd = socket(server.from.ss_family,
	    SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	assert_int_not_equal(server.fd, -1);
	assert_int_equal(bind(server.fd, (struct sockaddr *)&server.from, len),
	    0);
	assert_int_equal(getsockname(server.fd, (struct sockaddr *)&server.from,
			     &server.len),
	    0);
	addr_from_sockaddr((struct sockaddr *)&server.from, &parsed,
	    &server.port);
	return (server);
}

/* Returns the length of what the server gets; remembers from where. */
static size_t
server_gets(struct life *life, struct server *server, void *buf, size_t size)
{
	ssize_t n;

	life_wait_readable(life, server->fd);
	server->len = sizeof(server->from);
	n = recvfrom(server->fd, buf, size, 0, (struct sockaddr *)&server->from,
	    &server->len);
	assert_int_not_equal(n, -1);
	return ((size_t)n);
}

static void
server_says(struct server *server, const void *buf, size_t len)
{
	assert_int_equal(sendto(server->fd, buf, len, 0,
			     (struct sockaddr *)&server->from, server->len),
	    len);
}

static uint16_t
server_peer_port(const struct server *server)
{
	struct ipc_addr addr;
	uint16_t port = 0;

	addr_from_sockaddr((const struct sockaddr *)&server->from, &addr,
	    &port);
	return (port);
}

static void
echo_is_answered(struct life *life, const char *addr)
{
	struct server server = server_open(addr, 0);
	const struct target to = { addr, server.port, 0, 0, 0 };
	struct ipc_assoc_data data;
	struct ipc_addr peer;
	uint8_t buf[64];

	addr_parse(addr, &peer);
	jailed_start(life, NOFILE);
	assoc_send(life, 3, 7, &to, "ping", 4);
	assert_int_equal(server_gets(life, &server, buf, sizeof(buf)), 4);
	assert_int_equal(server_peer_port(&server), GUEST_PORT);
	server_says(&server, "pong!", 5);
	assert_int_equal(expect_recv(life, &data, buf, sizeof(buf)), 5);
	assert_memory_equal(buf, "pong!", 5);
	assert_true(addr_equal(&data.peer, &peer));
	assert_int_equal(data.peer_port, server.port);
	assert_int_equal(data.guest_port, GUEST_PORT);
	assert_int_equal(data.segment_len, 0);
	server_says(&server, "", 0);
	assert_int_equal(expect_recv(life, &data, buf, sizeof(buf)), 0);
	close(server.fd);
	jailed_stop(life);
}

static void
datagrams_are_answered_and_the_port_is_kept(void **state)
{
	need_namespace();
	echo_is_answered(*state, "127.0.0.1");
}

static void
datagrams_are_answered_over_ipv6(void **state)
{
	need_namespace();
	life_rule(*state, RULE_UNSAFE_ALLOW, "::1");
	echo_is_answered(*state, "::1");
}

static void
a_port_that_is_taken_becomes_any_port(void **state)
{
	struct life *life = *state;
	struct server server, taker;
	struct target to = { .addr = "127.0.0.1" };
	uint8_t buf[64];

	need_namespace();
	taker = server_open("0.0.0.0", GUEST_PORT);
	server = server_open("127.0.0.1", 0);
	to.port = server.port;
	jailed_start(life, NOFILE);
	assoc_send(life, 0, 1, &to, "x", 1);
	server_gets(life, &server, buf, sizeof(buf));
	assert_int_not_equal(server_peer_port(&server), GUEST_PORT);
	close(taker.fd);
	close(server.fd);
	jailed_stop(life);
}

#define SEGMENT	 100
#define SEGMENTS 10

static void
batches_are_cut_and_joined(void **state)
{
	struct life *life = *state;
	struct server server;
	struct target to = { .addr = "127.0.0.1", .segment_len = SEGMENT };
	uint8_t out[SEGMENT * SEGMENTS - 1], in[SEGMENT * SEGMENTS];
	struct ipc_assoc_data data;
	size_t i, n, got = 0;

	need_namespace();
	for (i = 0; i < sizeof(out); i++)
		out[i] = (uint8_t)(i * 7);
	server = server_open("127.0.0.1", 0);
	to.port = server.port;
	jailed_start(life, NOFILE);
	assoc_send(life, 0, 1, &to, out, sizeof(out));
	for (i = 0; i < SEGMENTS; i++) {
		n = server_gets(life, &server, in, sizeof(in));
		assert_int_equal(n, i + 1 < SEGMENTS ? SEGMENT : SEGMENT - 1);
		assert_memory_equal(in, out + i * SEGMENT, n);
	}
	for (i = 0; i < SEGMENTS; i++)
		server_says(&server, out + i * SEGMENT,
		    i + 1 < SEGMENTS ? SEGMENT : SEGMENT - 1);
	while (got < sizeof(out)) {
		n = expect_recv(life, &data, in + got, sizeof(in) - got);
		assert_true(data.segment_len == SEGMENT ||
		    (data.segment_len == 0 && n <= SEGMENT));
		got += n;
	}
	assert_memory_equal(in, out, sizeof(out));
	close(server.fd);
	jailed_stop(life);
}

static void
a_closed_port_is_told(void **state)
{
	struct life *life = *state;
	struct ipc_assoc_error error;
	struct server server;
	struct target to = { .addr = "127.0.0.1" };
	int i;

	need_namespace();
	server = server_open("127.0.0.1", 0);
	to.port = server.port;
	close(server.fd);
	jailed_start(life, NOFILE);
	for (i = 0; i < 3; i++) {
		assoc_send(life, 0, 1, &to, "x", 1);
		expect_error(life, VERDICT_REFUSED, &error);
		assert_int_equal(error.peer_port, to.port);
	}
	jailed_stop(life);
}

static void
what_the_policy_denies_is_told(void **state)
{
	struct life *life = *state;
	const struct target to = { .addr = "10.0.0.1", .port = 9 };
	const struct target gateway = { .addr = "100.96.0.1", .port = 9 };
	struct ipc_assoc_error error;

	jailed_start(life, NOFILE);
	assoc_send(life, 0, 1, &to, "x", 1);
	expect_error(life, VERDICT_DENIED, &error);
	assoc_send(life, 0, 1, &gateway, "x", 1);
	expect_error(life, VERDICT_REFUSED, &error);
	life_expect_silence(life, &life->parent, 20);
	jailed_stop(life);
	assert_non_null(strstr(life->log, "--allow 10.0.0.1 would allow it"));
}

/* A guest that has sent to server, and a stranger that sends to it. */
static void
stranger_sends(struct life *life, struct server *server,
    struct server *stranger)
{
	struct target to = { .addr = "127.0.0.1" };
	uint8_t buf[8];

	*server = server_open("127.0.0.1", 0);
	*stranger = server_open("127.0.0.1", 0);
	to.port = server->port;
	jailed_start(life, NOFILE);
	assoc_send(life, 0, 1, &to, "x", 1);
	server_gets(life, server, buf, sizeof(buf));
	stranger->from = server->from;
	stranger->len = server->len;
	server_says(stranger, "boo", 3);
}

static void
a_stranger_is_not_heard(void **state)
{
	struct life *life = *state;
	struct server server, stranger;
	struct ipc_assoc_data data;
	uint8_t buf[8];

	need_namespace();
	stranger_sends(life, &server, &stranger);
	server_says(&server, "y", 1);
	assert_int_equal(expect_recv(life, &data, buf, sizeof(buf)), 1);
	assert_int_equal(data.peer_port, server.port);
	close(server.fd);
	close(stranger.fd);
	jailed_stop(life);
}

static void
an_open_filter_hears_strangers(void **state)
{
	struct life *life = *state;
	struct server server, stranger;
	struct ipc_assoc_data data;
	uint8_t buf[8];

	need_namespace();
	life->config.udp_filter_open = 1;
	stranger_sends(life, &server, &stranger);
	assert_int_equal(expect_recv(life, &data, buf, sizeof(buf)), 3);
	assert_int_equal(data.peer_port, stranger.port);
	close(server.fd);
	close(stranger.fd);
	jailed_stop(life);
}

static void
df_decides(struct life *life, const char *addr)
{
	static uint8_t big[3000];
	struct server server = server_open(addr, 0);
	struct target to = { addr, server.port, 0, ASSOC_DF, 0 };
	struct ipc_assoc_error error;

	jailed_start(life, NOFILE);
	assoc_send(life, 0, 1, &to, big, sizeof(big));
	expect_error(life, VERDICT_TOO_BIG, &error);
	assert_int_equal(error.mtu, LINK_MTU);
	assert_int_equal(error.peer_port, server.port);
	to.segment_len = sizeof(big) / 2 + 1;
	assoc_send(life, 0, 1, &to, big, sizeof(big));
	expect_error(life, VERDICT_TOO_BIG, &error);
	assert_int_equal(error.mtu, LINK_MTU);
	to.segment_len = 0;
	to.flags = 0;
	assoc_send(life, 0, 1, &to, big, sizeof(big));
	assert_int_equal(server_gets(life, &server, big, sizeof(big)),
	    sizeof(big));
	close(server.fd);
	jailed_stop(life);
}

static void
a_datagram_beyond_the_mtu_is_too_big_with_df_alone(void **state)
{
	need_namespace();
	df_decides(*state, "127.0.0.1");
}

static void
a_datagram_beyond_the_mtu_is_too_big_over_ipv6(void **state)
{
	need_namespace();
	life_rule(*state, RULE_UNSAFE_ALLOW, "::1");
	df_decides(*state, "::1");
}

static void
the_largest_datagram_arrives(void **state)
{
	static uint8_t big[65507];
	struct life *life = *state;
	struct server server;
	struct target to = { .addr = "127.0.0.1" };
	struct ipc_assoc_data data;

	need_namespace();
	server = server_open("127.0.0.1", 0);
	to.port = server.port;
	jailed_start(life, NOFILE);
	assoc_send(life, 0, 1, &to, big, sizeof(big));
	assert_int_equal(server_gets(life, &server, big, sizeof(big)),
	    sizeof(big));
	server_says(&server, big, sizeof(big));
	assert_int_equal(expect_recv(life, &data, big, sizeof(big)),
	    sizeof(big));
	close(server.fd);
	jailed_stop(life);
}

static void
ping_is_answered(struct life *life, const char *addr, uint8_t proto,
    uint8_t request, uint8_t reply)
{
	const struct target to = { .addr = addr, .proto = proto };
	const uint8_t echo[12] = { request, 0, 0, 0, 0x9c, 0x40, 0, 5, 'd', 'a',
		't', 'a' };
	struct ipc_assoc_data data;
	uint8_t buf[64];

	pings_allow("0 2147483647");
	jailed_start(life, NOFILE);
	assoc_send(life, 0, 1, &to, echo, sizeof(echo));
	assert_int_equal(expect_recv(life, &data, buf, sizeof(buf)),
	    sizeof(echo));
	assert_int_equal(buf[0], reply);
	assert_memory_equal(buf + 6, echo + 6, 6);
	assert_int_equal(data.proto, proto);
	assert_int_equal(data.peer_port, 0);
	jailed_stop(life);
}

static void
pings_are_answered(void **state)
{
	need_namespace();
	ping_is_answered(*state, "127.0.0.1", IPPROTO_ICMP, 8, 0);
}

static void
pings_are_answered_over_ipv6(void **state)
{
	need_namespace();
	life_rule(*state, RULE_UNSAFE_ALLOW, "::1");
	ping_is_answered(*state, "::1", IPPROTO_ICMPV6, 128, 129);
}

static void
a_host_without_pings_is_said_once(void **state)
{
	struct life *life = *state;
	const struct target to = { .addr = "127.0.0.1", .proto = IPPROTO_ICMP };
	const uint8_t echo[8] = { 8 };
	char *first;

	need_namespace();
	pings_allow("1 0");
	jailed_start(life, NOFILE);
	assoc_send(life, 0, 1, &to, echo, sizeof(echo));
	assoc_send(life, 0, 1, &to, echo, sizeof(echo));
	life_expect_silence(life, &life->dgram, 20);
	life_expect_silence(life, &life->parent, 20);
	first = strstr(life->log, "ping_group_range");
	assert_non_null(first);
	assert_null(strstr(first + 1, "ping_group_range"));
	jailed_stop(life);
}

static void
udp_listener_add(struct life *life, const struct server *server,
    const char *bind_addr)
{
	struct ipc_listener listener = {
		.proto = IPPROTO_UDP,
		.guest_port = 5353,
	};

	addr_parse(bind_addr, &listener.bind);
	life_config(life, IPC_CONFIG_LISTENER, &listener, sizeof(listener),
	    server->fd);
}

/* A client's socket, aimed at a published port. */
static struct server
client_of(const char *addr, uint16_t port)
{
	struct server client = server_open(addr, 0);
	struct ipc_addr parsed;

	addr_parse(addr, &parsed);
	client.len = addr_to_sockaddr(&parsed, port, &client.from);
	return (client);
}

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

static void
closed_associations_start_anew(void **state)
{
	struct life *life = *state;
	const struct ipc_empty empty = { 0 };
	struct server server;
	struct target to = { .addr = "127.0.0.1" };
	uint32_t generation;
	uint8_t buf[8];

	need_namespace();
	server = server_open("127.0.0.1", 0);
	to.port = server.port;
	jailed_start(life, NOFILE);
	for (generation = 1; generation < 200; generation++) {
		assoc_send(life, 0, generation, &to, "x", 1);
		server_gets(life, &server, buf, sizeof(buf));
		/* An old one that nobody closed is replaced. */
		if (generation % 2 == 0)
			channel_send(&life->dgram, IPC_ASSOC_CLOSE, 0,
			    generation, &empty, sizeof(empty));
	}
	close(server.fd);
	jailed_stop(life);
}

#define FLOOD	  140
#define FLOOD_LEN 1400

/* In this process, so that no round of its loop is missed. */
static void
what_netproc_has_no_room_for_waits_in_the_kernel(void **state)
{
	struct life *life = *state;
	struct server server = server_open("127.0.0.1", 0);
	const struct target to = { "127.0.0.1", server.port, 0, 0, 0 };
	static uint8_t bytes[FLOOD * FLOOD_LEN];
	struct ipc_assoc_data data;
	size_t got = 0;
	int i;

	start_with_loopback(life);
	assoc_send(life, 0, 1, &to, "x", 1);
	server_gets(life, &server, bytes, sizeof(bytes));
	memset(bytes, 0, sizeof(bytes));
	for (i = 0; i < FLOOD; i++) {
		bytes[0] = (uint8_t)i;
		server_says(&server, bytes, FLOOD_LEN);
		life_turn(life);
	}
	assert_true(life->rp->records.next < life->rp->records.n);
	assert_true(life->rp->counters.dgrams_in < FLOOD);
	while (got < sizeof(bytes))
		got += expect_recv(life, &data, bytes + got,
		    sizeof(bytes) - got);
	for (i = 0; i < FLOOD; i++)
		assert_int_equal(bytes[i * FLOOD_LEN], i);
	assert_int_equal(life->rp->counters.dgrams_in, FLOOD);
	assert_int_equal(life->rp->counters.dgrams_lost, 0);
	close(server.fd);
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
	{ 0, 5, { "127.0.0.1", 0, IPPROTO_ICMPV6, 0, 0 }, 8, 128, IPC_E_FIELD },
	{ 8, 5, { "127.0.0.1", 9, 0, 0, 0 }, 8, 0, IPC_E_QUOTA },
	{ 1, 4, { "127.0.0.1", 9, 0, 0, 0 }, 8, 0, IPC_E_STATE },
	{ 1, 5, { "::1", 9, 0, 0, 0 }, 8, 0, IPC_E_FIELD },
	{ FLOW_INBOUND_BIT | 2, 0, { "127.0.0.1", 9, 0, 0, 0 }, 8, 0,
	    IPC_E_QUOTA },
	{ FLOW_INBOUND_BIT, 0, { "127.0.0.1", 9, 0, 0, 0 }, 8, 0, IPC_E_STATE },
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

#define TEST(name) \
	cmocka_unit_test_setup_teardown(name, jailed_setup, jailed_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(datagrams_are_answered_and_the_port_is_kept),
		TEST(datagrams_are_answered_over_ipv6),
		TEST(a_port_that_is_taken_becomes_any_port),
		TEST(batches_are_cut_and_joined),
		TEST(a_closed_port_is_told),
		TEST(what_the_policy_denies_is_told),
		TEST(a_stranger_is_not_heard),
		TEST(an_open_filter_hears_strangers),
		TEST(a_datagram_beyond_the_mtu_is_too_big_with_df_alone),
		TEST(a_datagram_beyond_the_mtu_is_too_big_over_ipv6),
		TEST(the_largest_datagram_arrives),
		TEST(pings_are_answered),
		TEST(pings_are_answered_over_ipv6),
		TEST(a_host_without_pings_is_said_once),
		TEST(a_published_port_is_answered),
		TEST(a_published_port_answers_from_the_address_that_was_asked),
		TEST(a_published_port_is_answered_over_ipv6),
		TEST(the_client_silent_for_longest_makes_room),
		TEST(a_host_service_is_reached_by_both_gateways),
		TEST(dns_over_tcp_turns_to_the_next_server),
		TEST(resolvers_are_replaced_while_it_runs),
		TEST(closed_associations_start_anew),
		TEST(a_hostile_record_ends_netproc),
		cmocka_unit_test_setup_teardown(
		    what_netproc_has_no_room_for_waits_in_the_kernel,
		    life_setup, life_teardown),
	};

	namespace_enter();
	return (cmocka_run_group_tests(tests, NULL, NULL));
}
