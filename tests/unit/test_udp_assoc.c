#include <netinet/in.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/relay_dgram.h"

/* In this process, so that no round of its loop is missed. */

static void
who_is_denied_since_is_not_heard(void **state)
{
	struct life *life = *state;
	struct server server = server_open("127.0.0.1", 0);
	const struct target to = { "127.0.0.1", server.port, 0, 0, 0 };
	struct ipc_assoc_data data;
	uint8_t buf[8];

	start_with_loopback(life);
	assoc_send(life, 0, 1, &to, "x", 1);
	server_gets(life, &server, buf, sizeof(buf));
	assoc_send(life, 0, 1, &to, "x", 1);
	server_gets(life, &server, buf, sizeof(buf));
	assert_int_equal(life->rp->assocs.slots[0].peers.n, 1);
	server_says(&server, "y", 1);
	expect_recv(life, &data, buf, sizeof(buf));
	life->rp->policy.rules[0].action = RULE_DENY;
	life->rp->policy.generation++;
	server_says(&server, "z", 1);
	life_expect_silence(life, &life->dgram, 20);
	assert_int_equal(life->rp->counters.dgrams_filtered, 1);
	close(server.fd);
}

static void
a_stranger_keeps_no_association_alive(void **state)
{
	struct life *life = *state;
	struct server server = server_open("127.0.0.1", 0), stranger;
	const struct target to = { "127.0.0.1", server.port, 0, 0, 0 };
	uint8_t buf[8];

	start_with_loopback(life);
	assoc_send(life, 0, 1, &to, "x", 1);
	server_gets(life, &server, buf, sizeof(buf));
	stranger = server_open("127.0.0.1", 0);
	stranger.from = server.from;
	assoc_send(life, 1, 1, &to, "x", 1);
	server_gets(life, &server, buf, sizeof(buf));
	server_says(&stranger, "boo", 3);
	life_expect_silence(life, &life->dgram, 20);
	assert_int_equal(life->rp->counters.dgrams_filtered, 1);
	assert_int_equal(TAILQ_FIRST(&life->rp->assocs.used)->slot, 0);
	close(server.fd);
	close(stranger.fd);
}

/* Its close was lost: nothing of the one before is left. */
static void
a_newer_generation_is_another_association(void **state)
{
	struct life *life = *state;
	struct server old = server_open("127.0.0.1", 0);
	struct server server = server_open("127.0.0.1", 0);
	struct target to = { "127.0.0.1", old.port, 0, 0, 0 };
	struct ipc_msg msg;
	uint8_t buf[8];

	start_with_loopback(life);
	assoc_send(life, 0, 1, &to, "x", 1);
	server_gets(life, &old, buf, sizeof(buf));
	to.port = server.port;
	assoc_send(life, 0, 2, &to, "x", 1);
	server_gets(life, &server, buf, sizeof(buf));
	assert_int_equal(life->rp->assocs.slots[0].peers.n, 1);
	server_says(&old, "old", 3);
	server_says(&server, "y", 1);
	life_expect(life, &life->dgram, IPC_ASSOC_RECV, &msg);
	assert_int_equal(msg.hdr.generation, 2);
	assert_int_equal(msg.tail_len, 1);
	close(old.fd);
	close(server.fd);
}

static void
an_open_filter_hears_none_whom_the_policy_denies(void **state)
{
	struct life *life = *state;
	struct server server = server_open("127.0.0.1", 0), stranger;
	const struct target to = { "127.0.0.1", server.port, 0, 0, 0 };
	uint8_t buf[8];

	life->config.udp_filter_open = 1;
	life_rule(life, RULE_DENY, "127.0.0.9");
	start_with_loopback(life);
	assoc_send(life, 0, 1, &to, "x", 1);
	server_gets(life, &server, buf, sizeof(buf));
	stranger = server_open("127.0.0.9", 0);
	stranger.from = server.from;
	server_says(&stranger, "boo", 3);
	life_expect_silence(life, &life->dgram, 20);
	assert_int_equal(life->rp->counters.dgrams_filtered, 1);
	close(server.fd);
	close(stranger.fd);
}

/* A guest that asks many ports has some forgotten before the errors come. */
static void
an_error_about_a_peer_that_was_forgotten_is_dropped(void **state)
{
	struct life *life = *state;
	struct server server = server_open("127.0.0.1", 0);
	const struct target to = { "127.0.0.1", server.port, 0, 0, 0 };
	struct sockaddr_in sin = {
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
		.sin_port = htons(server.port),
	};
	struct assoc *assoc;
	uint8_t buf[8];

	start_with_loopback(life);
	assoc_send(life, 0, 1, &to, "x", 1);
	server_gets(life, &server, buf, sizeof(buf));
	close(server.fd);
	assoc = &life->rp->assocs.slots[0];
	assoc_peer_set_clear(&life->rp->assocs.peers, &assoc->peers);
	assert_int_equal(sendto(assoc->source.sock.fd, "x", 1, 0,
			     (struct sockaddr *)&sin, sizeof(sin)),
	    1);
	life_expect_silence(life, &life->dgram, 20);
	assert_int_equal(life->rp->counters.dgram_errors, 0);
}

/* Errors about one who has gone: more than are looked at in one go. */
#define PILE 100

static void
errors_pile_up(int fd)
{
	struct server gone = server_open("127.0.0.1", 0);
	int i;

	close(gone.fd);
	/* Every other send meets the error of the one before. */
	for (i = 0; i < 2 * PILE; i++)
		(void)sendto(fd, "x", 1, 0, (struct sockaddr *)&gone.from,
		    gone.len);
}

static void
a_pile_of_errors_costs_no_peer_a_datagram(void **state)
{
	struct life *life = *state;
	struct server server = server_open("127.0.0.1", 0);
	const struct target to = { "127.0.0.1", server.port, 0, 0, 0 };
	uint8_t buf[8];

	start_with_loopback(life);
	assoc_send(life, 0, 1, &to, "x", 1);
	server_gets(life, &server, buf, sizeof(buf));
	errors_pile_up(life->rp->assocs.slots[0].source.sock.fd);
	assoc_send(life, 0, 1, &to, "yz", 2);
	assert_int_equal(server_gets(life, &server, buf, sizeof(buf)), 2);
	assert_int_equal(life->rp->counters.dgrams_lost, 0);
	close(server.fd);
}

static void
a_pile_of_errors_costs_no_client_its_answer(void **state)
{
	struct life *life = *state;
	struct server listener = server_open("127.0.0.1", 0), client;
	const struct target to = { .addr = "127.0.0.1" };
	struct ipc_msg msg;
	uint8_t buf[8];

	udp_listener_add(life, &listener, "127.0.0.1");
	start_with_loopback(life);
	client = client_of("127.0.0.1", listener.port);
	server_says(&client, "x", 1);
	life_expect(life, &life->dgram, IPC_ASSOC_RECV, &msg);
	errors_pile_up(life->rp->udp_publish.list[0].source.sock.fd);
	assoc_send(life, msg.hdr.flow, msg.hdr.generation, &to, "yz", 2);
	assert_int_equal(server_gets(life, &client, buf, sizeof(buf)), 2);
	assert_int_equal(life->rp->counters.dgrams_lost, 0);
	close(client.fd);
}

/* However many of them come in one record. */
static void
each_datagram_keeps_its_length(void **state)
{
	static const size_t lens[] = { 100, 100, 60, 100, 101, 0, 0, 7, 7, 3, 3,
		7 };
	const size_t n = sizeof(lens) / sizeof(lens[0]);
	struct life *life = *state;
	struct server server = server_open("127.0.0.1", 0);
	const struct target to = { "127.0.0.1", server.port, 0, 0, 0 };
	struct ipc_assoc_data data;
	uint8_t buf[1024] = { 0 };
	size_t at, len, one, i;

	start_with_loopback(life);
	assoc_send(life, 0, 1, &to, "x", 1);
	server_gets(life, &server, buf, sizeof(buf));
	for (i = 0; i < n; i++)
		server_says(&server, buf, lens[i]);
	for (i = 0; i < n;) {
		len = expect_recv(life, &data, buf, sizeof(buf));
		at = 0;
		do {
			one = len - at;
			if (data.segment_len != 0 && data.segment_len < one)
				one = data.segment_len;
			assert_true(i < n);
			assert_int_equal(one, lens[i++]);
			at += one;
		} while (at < len);
	}
	close(server.fd);
}

#define FLOOD	  140
#define FLOOD_LEN 1400

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

#define TEST(name) \
	cmocka_unit_test_setup_teardown(name, life_setup, life_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(who_is_denied_since_is_not_heard),
		TEST(a_stranger_keeps_no_association_alive),
		TEST(a_newer_generation_is_another_association),
		TEST(an_open_filter_hears_none_whom_the_policy_denies),
		TEST(an_error_about_a_peer_that_was_forgotten_is_dropped),
		TEST(a_pile_of_errors_costs_no_peer_a_datagram),
		TEST(a_pile_of_errors_costs_no_client_its_answer),
		TEST(each_datagram_keeps_its_length),
		TEST(what_netproc_has_no_room_for_waits_in_the_kernel),
	};

	namespace_enter();
	return (cmocka_run_group_tests(tests, NULL, NULL));
}
