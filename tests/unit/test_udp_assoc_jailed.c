#include <netinet/in.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/relay_dgram.h"

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
		assert_int_equal(error.len, 1);
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
	assert_int_equal(error.peer_port, 9);
	assert_int_equal(error.len, 1);
	assoc_send(life, 0, 1, &gateway, "x", 1);
	expect_error(life, VERDICT_REFUSED, &error);
	life_expect_silence(life, &life->parent, 20);
	jailed_stop(life);
	assert_non_null(strstr(life->log, "--allow 10.0.0.1 would allow it"));
}

/* A guest that has sent to server, and a stranger that sends to it. */
static void
stranger_sends(struct life *life, const char *addr, struct server *server,
    struct server *stranger)
{
	struct target to = { .addr = "127.0.0.1" };
	uint8_t buf[8];

	*server = server_open("127.0.0.1", 0);
	*stranger = server_open(addr, 0);
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
	stranger_sends(life, "127.0.0.1", &server, &stranger);
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
	struct ipc_addr addr;
	uint8_t buf[8];

	need_namespace();
	life->config.udp_filter_open = 1;
	stranger_sends(life, "127.0.0.9", &server, &stranger);
	assert_int_equal(expect_recv(life, &data, buf, sizeof(buf)), 3);
	addr_parse("127.0.0.9", &addr);
	assert_true(addr_equal(&data.peer, &addr));
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
	assert_int_equal(error.len, sizeof(big));
	to.segment_len = sizeof(big) / 2 + 1;
	assoc_send(life, 0, 1, &to, big, sizeof(big));
	expect_error(life, VERDICT_TOO_BIG, &error);
	assert_int_equal(error.mtu, LINK_MTU);
	assert_int_equal(error.len, to.segment_len);
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
a_line_about_a_denied_ping_has_no_port(void **state)
{
	struct life *life = *state;
	const struct target to = { .addr = "10.0.0.1", .proto = IPPROTO_ICMP };
	const struct target to6 = { .addr = "fc00::1",
		.proto = IPPROTO_ICMPV6 };
	const uint8_t echo[8] = { 8 }, echo6[8] = { 128 };
	struct ipc_assoc_error error;

	jailed_start(life, NOFILE);
	assoc_send(life, 0, 1, &to, echo, sizeof(echo));
	expect_error(life, VERDICT_DENIED, &error);
	assoc_send(life, 1, 1, &to6, echo6, sizeof(echo6));
	expect_error(life, VERDICT_DENIED, &error);
	life_expect_silence(life, &life->parent, 20);
	jailed_stop(life);
	assert_non_null(strstr(life->log, "denied icmp 10.0.0.1 ("));
	assert_non_null(strstr(life->log, "denied icmp fc00::1 ("));
}

static void
an_error_about_an_echo_says_which_it_was(void **state)
{
	struct life *life = *state;
	const struct target denied = { .addr = "10.0.0.1",
		.proto = IPPROTO_ICMP };
	const struct target far = { .addr = "127.0.0.1",
		.proto = IPPROTO_ICMP,
		.flags = ASSOC_DF };
	uint8_t echo[LINK_MTU] = { 8, 0, 0, 0, 0x9c, 0x40, 0x12, 0x34 };
	struct ipc_assoc_error error;

	need_namespace();
	pings_allow("0 2147483647");
	jailed_start(life, NOFILE);
	assoc_send(life, 0, 1, &denied, echo, 12);
	expect_error(life, VERDICT_DENIED, &error);
	assert_int_equal(error.peer_port, 0x1234);
	assert_int_equal(error.len, 4);
	echo[7] = 0x35;
	assoc_send(life, 0, 1, &far, echo, sizeof(echo));
	expect_error(life, VERDICT_TOO_BIG, &error);
	assert_int_equal(error.peer_port, 0x1235);
	assert_int_equal(error.len, sizeof(echo) - 8);
	jailed_stop(life);
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
		TEST(a_line_about_a_denied_ping_has_no_port),
		TEST(an_error_about_an_echo_says_which_it_was),
		TEST(a_host_without_pings_is_said_once),
		TEST(closed_associations_start_anew),
	};

	namespace_enter();
	return (cmocka_run_group_tests(tests, NULL, NULL));
}
