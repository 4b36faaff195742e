/*
 * Which name server is asked first when the first was silent for a while, and
 * what is left of servers and of queries that were replaced.
 */

#include <sys/socket.h>

#include <netinet/in.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#include "ipc/clock.h"
#include "tests/unit/relay_life.h"

#define NFILL 4

#define FOR_EVER_MS 60000 /* longer than life_expect() waits */

/* A header and no more; the fourth byte of the other says REFUSED. */
#define QUERY	"\1\2\1\20\1\1\1\1\1\1\1\1"
#define REFUSES "\1\2\201\205\1\1\1\1\1\1\1\1"
#define ANSWERS "\1\2\201\200\1\1\1\1\1\1\1\1"
#define LEN	12

/* The port of the server that a connection of the guest's came to. */
static uint16_t
server_of(struct life *life, uint32_t slot)
{
	struct sockaddr_in sin = { 0 };
	socklen_t len = sizeof(sin);
	int fd;

	life_open(life, slot, "100.96.0.1", 53);
	fd = life_expect_opened(life, slot);
	assert_int_equal(getpeername(fd, (struct sockaddr *)&sin, &len), 0);
	close(fd);
	return (ntohs(sin.sin_port));
}

static void
the_first_server_is_asked_again_when_it_is_back(void **state)
{
	struct life *life = *state;
	uint16_t first_port, port;
	int fill[NFILL], first, server, i;

	first = life_blackhole(&first_port, fill, NFILL);
	server = life_listen(&port, 8);
	life->config.dns_timeout_ms = 50;
	life_resolver(life, "127.0.0.1", first_port);
	life_resolver(life, "127.0.0.1", port);
	life_start(life);
	assert_int_equal(server_of(life, 0), port);
	for (i = 0; i < NFILL; i++)
		close(fill[i]);
	assert_int_equal(listen(first, 8), 0);
	assert_int_equal(server_of(life, 1), port);
	life->rp->resolver.return_ms = clock_now_ms();
	assert_int_equal(server_of(life, 2), first_port);
	assert_int_equal(server_of(life, 3), first_port);
	close(first);
	close(server);
}

static void
is_asked(struct life *life, int server, struct sockaddr_in *from)
{
	socklen_t len = sizeof(*from);
	char buf[LEN + 1];

	life_wait_readable(life, server);
	assert_int_equal(recvfrom(server, buf, sizeof(buf), 0,
			     (struct sockaddr *)from, &len),
	    LEN);
}

static void
says(int server, const char *answer, const struct sockaddr_in *to)
{
	assert_int_equal(sendto(server, answer, LEN, 0,
			     (const struct sockaddr *)to, sizeof(*to)),
	    LEN);
}

/* The server has answered, and netproc takes that. */
static void
is_done(struct life *life, uint32_t generation)
{
	const struct ipc_dns dns = { 0 };
	struct ipc_msg msg;

	life_expect(life, &life->dgram, IPC_DNS_ANSWER, &msg);
	assert_int_equal(channel_send(&life->dgram, IPC_DNS_DONE, 0, generation,
			     &dns, sizeof(dns)),
	    0);
	while (!TAILQ_EMPTY(&life->rp->resolver.in_flight))
		life_turn(life);
}

/* As one that has answers for the names of a private network alone. */
static void
a_first_server_that_refuses_is_back_all_the_same(void **state)
{
	struct life *life = *state;
	uint16_t first_port, port;
	struct sockaddr_in from;
	int first, server;

	first = life_udp(&first_port);
	server = life_udp(&port);
	life->config.dns_timeout_ms = 50;
	life_resolver(life, "127.0.0.1", first_port);
	life_resolver(life, "127.0.0.1", port);
	life_start(life);
	life_ask_bytes(life, 0, 1, QUERY, LEN);
	is_asked(life, first, &from);
	is_asked(life, server, &from);
	says(server, ANSWERS, &from);
	is_done(life, 1);
	life->rp->resolver.return_ms = clock_now_ms();
	life_ask_bytes(life, 0, 2, QUERY, LEN);
	is_asked(life, first, &from);
	says(first, REFUSES, &from);
	is_asked(life, server, &from);
	says(server, ANSWERS, &from);
	is_done(life, 2);
	assert_int_equal(life->rp->resolver.preferred, 0);
	close(first);
	close(server);
}

/* Those of res_send(3): SERVFAIL, NOTIMP and REFUSED, in a response alone. */
static void
three_codes_say_that_another_server_may_know_more(void **state)
{
	char answer[LEN + 1] = ANSWERS;
	struct life *life = *state;
	struct sockaddr_in from;
	int first, server, code, passes;
	uint32_t generation = 0;
	uint16_t port;

	life->config.dns_timeout_ms = FOR_EVER_MS;
	first = life_udp(&port);
	life_resolver(life, "127.0.0.1", port);
	server = life_udp(&port);
	life_resolver(life, "127.0.0.1", port);
	life_start(life);
	for (code = 0; code < 32; code++) {
		passes = code != 2 && code != 4 && code != 5;
		answer[2] = (char)(code < 16 ? 0x81 : 0x01);
		answer[3] = (char)(0x80 | code % 16);
		life_ask_bytes(life, 0, ++generation, QUERY, LEN);
		is_asked(life, first, &from);
		says(first, answer, &from);
		if (!passes) {
			is_asked(life, server, &from);
			says(server, ANSWERS, &from);
		}
		is_done(life, generation);
	}
	close(first);
	close(server);
}

static void
behind_a_silent_server_one_that_refuses_is_the_first(void **state)
{
	struct life *life = *state;
	struct sockaddr_in from;
	int server[3], i;
	uint16_t port;

	life->config.dns_timeout_ms = 50;
	for (i = 0; i < 3; i++) {
		server[i] = life_udp(&port);
		life_resolver(life, "127.0.0.1", port);
	}
	life_start(life);
	life_ask_bytes(life, 0, 1, QUERY, LEN);
	is_asked(life, server[0], &from);
	is_asked(life, server[1], &from);
	says(server[1], REFUSES, &from);
	is_asked(life, server[2], &from);
	says(server[2], ANSWERS, &from);
	is_done(life, 1);
	assert_int_equal(life->rp->resolver.preferred, 1);
	for (i = 0; i < 3; i++)
		close(server[i]);
}

static void
servers_that_were_replaced_are_asked_no_more(void **state)
{
	struct life *life = *state;
	struct ipc_resolver new = { .first = 1 };
	const struct resolver *resolver = &life->rp->resolver;
	int old[2], server, i;
	struct sockaddr_in from;
	uint16_t port;

	life->config.dns_timeout_ms = 50;
	for (i = 0; i < 2; i++) {
		old[i] = life_udp(&port);
		life_resolver(life, "127.0.0.1", port);
	}
	server = life_udp(&new.port);
	addr_parse("127.0.0.1", &new.addr);
	life_start(life);
	life_ask_bytes(life, 0, 1, QUERY, LEN);
	is_asked(life, old[1], &from);
	says(old[1], ANSWERS, &from);
	is_done(life, 1);
	assert_int_equal(resolver->preferred, 1);
	assert_int_equal(channel_send(&life->parent, IPC_CONFIG_RESOLVER, 0, 0,
			     &new, sizeof(new)),
	    0);
	for (i = 0; i < 100 && resolver->servers[0].port != new.port; i++)
		life_turn(life);
	assert_int_equal(resolver->nservers, 1);
	assert_int_equal(resolver->preferred, 0);
	life_ask_bytes(life, 0, 2, QUERY, LEN);
	is_asked(life, server, &from);
	for (i = 0; i < 2; i++)
		close(old[i]);
	close(server);
}

/* As if its time were up: the next server is asked. */
static void
expires(struct life *life)
{
	TAILQ_FIRST(&life->rp->resolver.in_flight)->deadline_ms = 0;
	resolver_expire(life->rp, clock_now_ms());
}

/* Servers of the list that life_start() says. */
static void
start_with_servers(struct life *life, int *server, int n)
{
	uint16_t port;
	int i;

	life->config.dns_timeout_ms = FOR_EVER_MS;
	for (i = 0; i < n; i++) {
		server[i] = life_udp(&port);
		life_resolver(life, "127.0.0.1", port);
	}
	life_start(life);
}

static void
close_all(const int *fd, int n)
{
	int i;

	for (i = 0; i < n; i++)
		close(fd[i]);
}

static void
of_two_that_refuse_the_first_is_back(void **state)
{
	struct life *life = *state;
	struct sockaddr_in from;
	int server[3], i;

	start_with_servers(life, server, 3);
	life_ask_bytes(life, 0, 1, QUERY, LEN);
	for (i = 0; i < 3; i++) {
		is_asked(life, server[i], &from);
		says(server[i], i < 2 ? REFUSES : ANSWERS, &from);
	}
	is_done(life, 1);
	assert_int_equal(life->rp->resolver.preferred, 0);
	close_all(server, 3);
}

static void
who_refused_the_query_before_has_not_refused_this_one(void **state)
{
	struct life *life = *state;
	struct sockaddr_in from;
	int server[2];

	start_with_servers(life, server, 2);
	life_ask_bytes(life, 0, 1, QUERY, LEN);
	is_asked(life, server[0], &from);
	says(server[0], REFUSES, &from);
	is_asked(life, server[1], &from);
	says(server[1], ANSWERS, &from);
	is_done(life, 1);
	life_ask_bytes(life, 0, 2, QUERY, LEN);
	is_asked(life, server[0], &from);
	expires(life);
	is_asked(life, server[1], &from);
	says(server[1], ANSWERS, &from);
	is_done(life, 2);
	assert_int_equal(life->rp->resolver.preferred, 1);
	close_all(server, 2);
}

/* It has asked both of the old list, and one of them refused. */
static void
a_query_under_way_begins_again_with_a_new_list(void **state)
{
	struct life *life = *state;
	struct ipc_resolver msg[2] = { { .first = 1 }, { .first = 0 } };
	const struct resolver *resolver = &life->rp->resolver;
	struct sockaddr_in from;
	int old[2], new[2], i;

	start_with_servers(life, old, 2);
	life_ask_bytes(life, 0, 1, QUERY, LEN);
	is_asked(life, old[0], &from);
	says(old[0], REFUSES, &from);
	is_asked(life, old[1], &from);
	for (i = 0; i < 2; i++) {
		new[i] = life_udp(&msg[i].port);
		addr_parse("127.0.0.1", &msg[i].addr);
		assert_int_equal(channel_send(&life->parent,
				     IPC_CONFIG_RESOLVER, 0, 0, &msg[i],
				     sizeof(msg[i])),
		    0);
	}
	for (i = 0; i < 100 && resolver->servers[1].port != msg[1].port; i++)
		life_turn(life);
	assert_int_equal(resolver->nservers, 2);
	for (i = 0; i < 2; i++) {
		expires(life);
		is_asked(life, new[i], &from);
	}
	says(new[1], ANSWERS, &from);
	is_done(life, 1);
	assert_int_equal(resolver->preferred, 1);
	close_all(old, 2);
	close_all(new, 2);
}

static void
a_datagram_of_no_bytes_is_no_answer(void **state)
{
	struct life *life = *state;
	struct sockaddr_in from;
	struct ipc_msg msg;
	int server;

	start_with_servers(life, &server, 1);
	life_ask_bytes(life, 0, 1, QUERY, LEN);
	is_asked(life, server, &from);
	assert_int_equal(sendto(server, "", 0, 0, (struct sockaddr *)&from,
			     sizeof(from)),
	    0);
	says(server, ANSWERS, &from);
	life_expect(life, &life->dgram, IPC_DNS_ANSWER, &msg);
	assert_int_equal(msg.tail_len, LEN);
	close(server);
}

static void
done_of_the_query_before_does_not_end_this_one(void **state)
{
	const struct ipc_dns dns = { 0 };
	struct life *life = *state;
	struct sockaddr_in from;
	uint32_t generation;
	int server;

	start_with_servers(life, &server, 1);
	for (generation = 1; generation <= 2; generation++) {
		life_ask_bytes(life, 0, generation, QUERY, LEN);
		is_asked(life, server, &from);
	}
	assert_int_equal(channel_send(&life->dgram, IPC_DNS_DONE, 0, 1, &dns,
			     sizeof(dns)),
	    0);
	life_expect_silence(life, &life->dgram, 20);
	says(server, ANSWERS, &from);
	is_done(life, 2);
	close(server);
}

#define FLOOD 8

/* It would be taken for that of the query that is in the slot now. */
static void
an_answer_that_waits_for_room_goes_with_its_query(void **state)
{
	static const uint8_t big[IPC_DNS_TAIL_MAX];
	struct life *life = *state;
	const struct dns_query *held;
	struct sockaddr_in from;
	struct ipc_msg msg;
	uint16_t port;
	uint32_t i;
	int server = life_udp(&port);

	life_resolver(life, "127.0.0.1", port);
	life_start(life);
	for (i = 0; i < FLOOD; i++) {
		life_ask_bytes(life, i, 1, QUERY, LEN);
		is_asked(life, server, &from);
		(void)sendto(server, big, sizeof(big), 0,
		    (struct sockaddr *)&from, sizeof(from));
		life_turn(life);
	}
	held = life->rp->resolver.held;
	assert_non_null(held);
	life_ask_bytes(life, held->slot, 2, QUERY, LEN);
	for (i = 0; i < 100 && held->generation != 2; i++)
		life_turn(life);
	assert_ptr_not_equal(life->rp->resolver.held, held);
	for (i = 0; i < FLOOD - 1; i++) {
		life_expect(life, &life->dgram, IPC_DNS_ANSWER, &msg);
		assert_int_not_equal(msg.hdr.flow, held->slot);
	}
	close(server);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
		    the_first_server_is_asked_again_when_it_is_back, life_setup,
		    life_teardown),
		cmocka_unit_test_setup_teardown(
		    a_first_server_that_refuses_is_back_all_the_same,
		    life_setup, life_teardown),
		cmocka_unit_test_setup_teardown(
		    servers_that_were_replaced_are_asked_no_more, life_setup,
		    life_teardown),
		cmocka_unit_test_setup_teardown(
		    an_answer_that_waits_for_room_goes_with_its_query,
		    life_setup, life_teardown),
		cmocka_unit_test_setup_teardown(
		    three_codes_say_that_another_server_may_know_more,
		    life_setup, life_teardown),
		cmocka_unit_test_setup_teardown(
		    behind_a_silent_server_one_that_refuses_is_the_first,
		    life_setup, life_teardown),
		cmocka_unit_test_setup_teardown(
		    of_two_that_refuse_the_first_is_back, life_setup,
		    life_teardown),
		cmocka_unit_test_setup_teardown(
		    who_refused_the_query_before_has_not_refused_this_one,
		    life_setup, life_teardown),
		cmocka_unit_test_setup_teardown(
		    a_query_under_way_begins_again_with_a_new_list, life_setup,
		    life_teardown),
		cmocka_unit_test_setup_teardown(
		    a_datagram_of_no_bytes_is_no_answer, life_setup,
		    life_teardown),
		cmocka_unit_test_setup_teardown(
		    done_of_the_query_before_does_not_end_this_one, life_setup,
		    life_teardown),
	};

	return (cmocka_run_group_tests_name("resolver_order", tests, NULL,
	    NULL));
}
