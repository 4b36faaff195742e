#include <sys/socket.h>

#include <netinet/in.h>

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

#define FOR_EVER_MS 60000 /* longer than life_expect() waits */

/* The servers are sockets on loopback; what they say need not be DNS. */

/* The server takes a query, which has to be this; from is who asked. */
static void
server_expect(struct life *life, int server, const char *text,
    struct sockaddr_in *from)
{
	char buf[RESOLVER_QUERY_MAX + 1];
	socklen_t len = sizeof(*from);
	ssize_t n;

	life_wait_readable(life, server);
	n = recvfrom(server, buf, sizeof(buf), 0, (struct sockaddr *)from,
	    &len);
	assert_int_equal(n, strlen(text));
	assert_memory_equal(buf, text, strlen(text));
}

static void
server_answer(int server, const char *text, const struct sockaddr_in *to)
{
	assert_int_equal(sendto(server, text, strlen(text), 0,
			     (const struct sockaddr *)to, sizeof(*to)),
	    strlen(text));
}

static void
expect_answer(struct life *life, uint32_t slot, uint32_t generation,
    const char *text)
{
	struct ipc_dns dns;
	struct ipc_msg msg;

	life_expect(life, &life->dgram, IPC_DNS_ANSWER, &msg);
	memcpy(&dns, msg.payload, sizeof(dns));
	assert_int_equal(msg.hdr.flow, slot);
	assert_int_equal(msg.hdr.generation, generation);
	assert_int_equal(dns.guest_port, 1000 + slot);
	assert_int_equal(msg.tail_len, strlen(text));
	assert_memory_equal(msg.tail, text, strlen(text));
}

static unsigned int
in_flight(const struct life *life)
{
	const struct dns_query *query;
	unsigned int n = 0;

	TAILQ_FOREACH(query, &life->rp->resolver.in_flight, entry)
		n++;
	return (n);
}

/* As netproc does when it has found its answer. */
static void
done(struct life *life, uint32_t slot, uint32_t generation)
{
	const unsigned int before = in_flight(life);
	const struct ipc_dns dns = { 0 };

	assert_int_equal(channel_send(&life->dgram, IPC_DNS_DONE, slot,
			     generation, &dns, sizeof(dns)),
	    0);
	while (in_flight(life) == before)
		life_turn(life);
}

static void
expect_failed(struct life *life, uint32_t slot, uint32_t generation)
{
	struct ipc_dns dns;
	struct ipc_msg msg;

	life_expect(life, &life->dgram, IPC_DNS_FAILED, &msg);
	memcpy(&dns, msg.payload, sizeof(dns));
	assert_int_equal(msg.hdr.flow, slot);
	assert_int_equal(msg.hdr.generation, generation);
	assert_int_equal(dns.guest_port, 1000 + slot);
}

/* A port of loopback where nothing listens. */
static uint16_t
dead_port(void)
{
	uint16_t port;

	close(life_udp(&port));
	return (port);
}

static void
a_query_and_its_answer_pass_byte_for_byte(void **state)
{
	struct life *life = *state;
	struct sockaddr_in from;
	uint16_t port;
	int server = life_udp(&port);

	life_resolver(life, "127.0.0.1", port);
	life_start(life);
	life_ask(life, 3, 7, "\1not DNS at all");
	server_expect(life, server, "\1not DNS at all", &from);
	server_answer(server, "nor is this\377", &from);
	expect_answer(life, 3, 7, "nor is this\377");
	done(life, 3, 7);
	assert_int_equal(in_flight(life), 0);
	assert_int_equal(life->rp->counters.dns_answers, 1);
	close(server);
}

static void
every_query_has_a_port_of_its_own(void **state)
{
	struct life *life = *state;
	struct sockaddr_in one, two;
	uint16_t port;
	int server = life_udp(&port);

	life_resolver(life, "127.0.0.1", port);
	life_start(life);
	life_ask(life, 0, 1, "one");
	server_expect(life, server, "one", &one);
	life_ask(life, 1, 1, "two");
	server_expect(life, server, "two", &two);
	assert_int_not_equal(one.sin_port, two.sin_port);
	server_answer(server, "TWO", &two);
	expect_answer(life, 1, 1, "TWO");
	server_answer(server, "ONE", &one);
	expect_answer(life, 0, 1, "ONE");
	close(server);
}

/* A life with two servers, asked in this order. */
static void
start_with(struct life *life, int *first, int *second)
{
	uint16_t port;

	*first = life_udp(&port);
	life_resolver(life, "127.0.0.1", port);
	*second = life_udp(&port);
	life_resolver(life, "127.0.0.1", port);
	life_start(life);
}

static void
an_answer_from_someone_else_is_not_heard(void **state)
{
	struct life *life = *state;
	struct sockaddr_in from;
	uint16_t port, other_port;
	int server = life_udp(&port), other = life_udp(&other_port);

	life_resolver(life, "127.0.0.1", port);
	life_start(life);
	life_ask(life, 0, 1, "q");
	server_expect(life, server, "q", &from);
	(void)sendto(other, "forged", 6, 0, (struct sockaddr *)&from,
	    sizeof(from));
	life_expect_silence(life, &life->dgram, 20);
	server_answer(server, "true", &from);
	expect_answer(life, 0, 1, "true");
	close(other);
	close(server);
}

static void
answers_pass_until_netproc_has_found_its_own(void **state)
{
	struct life *life = *state;
	struct sockaddr_in from;
	uint16_t port;
	int server = life_udp(&port);

	life_resolver(life, "127.0.0.1", port);
	life_start(life);
	life_ask(life, 0, 1, "q");
	server_expect(life, server, "q", &from);
	server_answer(server, "forged", &from);
	expect_answer(life, 0, 1, "forged");
	server_answer(server, "a", &from);
	expect_answer(life, 0, 1, "a");
	done(life, 0, 1);
	(void)sendto(server, "late", 4, 0, (struct sockaddr *)&from,
	    sizeof(from));
	life_expect_silence(life, &life->dgram, 20);
	close(server);
}

static void
answers_beyond_the_limit_stay(void **state)
{
	struct life *life = *state;
	struct sockaddr_in from;
	uint16_t port;
	int i, server = life_udp(&port);

	life_resolver(life, "127.0.0.1", port);
	life_start(life);
	life_ask(life, 0, 1, "q");
	server_expect(life, server, "q", &from);
	for (i = 0; i < RESOLVER_ANSWERS_MAX; i++) {
		server_answer(server, "a", &from);
		expect_answer(life, 0, 1, "a");
	}
	server_answer(server, "a", &from);
	life_expect_silence(life, &life->dgram, 20);
	assert_int_equal(in_flight(life), 1);
	close(server);
}

static void
done_for_a_query_that_has_ended_is_nothing(void **state)
{
	struct life *life = *state;
	const struct ipc_dns dns = { 0 };

	life_start(life);
	life_ask(life, 0, 1, "q");
	expect_failed(life, 0, 1);
	assert_int_equal(channel_send(&life->dgram, IPC_DNS_DONE, 0, 1, &dns,
			     sizeof(dns)),
	    0);
	life_expect_silence(life, &life->dgram, 20);
}

static void
a_server_that_refuses_costs_no_wait(void **state)
{
	struct life *life = *state;
	struct sockaddr_in from;
	uint16_t port;
	int server = life_udp(&port);

	life->config.dns_timeout_ms = FOR_EVER_MS;
	life_resolver(life, "127.0.0.1", dead_port());
	life_resolver(life, "127.0.0.1", port);
	life_start(life);
	life_ask(life, 0, 1, "q");
	server_expect(life, server, "q", &from);
	server_answer(server, "a", &from);
	expect_answer(life, 0, 1, "a");
	close(server);
}

/* A DNS header, and what there is of one: no byte of it is zero. */
#define QUERY	"id\1\1\1\1\1\1\1\1\1\1"
#define REFUSES "id\x81\x85\1\1\1\1\1\1\1\1"
#define FORGED	"xd\x81\x85\1\1\1\1\1\1\1\1"

static void
who_says_that_he_has_no_answer_is_not_the_last_word(void **state)
{
	struct life *life = *state;
	struct sockaddr_in from;
	int first, server;
	uint32_t generation;

	start_with(life, &first, &server);
	for (generation = 1; generation <= 2; generation++) {
		life_ask(life, 0, generation, QUERY);
		server_expect(life, first, QUERY, &from);
		server_answer(first, FORGED, &from);
		expect_answer(life, 0, generation, FORGED);
		server_answer(first, REFUSES, &from);
		server_expect(life, server, QUERY, &from);
		server_answer(server, "a", &from);
		expect_answer(life, 0, generation, "a");
		done(life, 0, generation);
	}
	life_ask(life, 0, 3, QUERY);
	server_expect(life, first, QUERY, &from);
	server_answer(first, REFUSES, &from);
	server_expect(life, server, QUERY, &from);
	server_answer(server, REFUSES, &from);
	expect_answer(life, 0, 3, REFUSES);
	close(first);
	close(server);
}

static void
a_silent_server_is_left_for_the_next_after_the_timeout(void **state)
{
	struct life *life = *state;
	struct sockaddr_in from;
	uint64_t start_ms;
	int silent, server;

	life->config.dns_timeout_ms = 100;
	start_with(life, &silent, &server);
	start_ms = clock_now_ms();
	life_ask(life, 0, 1, "q");
	server_expect(life, silent, "q", &from);
	server_expect(life, server, "q", &from);
	assert_true(clock_now_ms() - start_ms >= 100);
	server_answer(server, "a", &from);
	expect_answer(life, 0, 1, "a");
	close(silent);
	close(server);
}

static void
the_server_that_answered_last_is_asked_first_for_a_while(void **state)
{
	struct life *life = *state;
	struct sockaddr_in from;
	int first, server;

	life->config.dns_timeout_ms = 50;
	start_with(life, &first, &server);
	life_ask(life, 0, 1, "q");
	server_expect(life, first, "q", &from);
	server_expect(life, server, "q", &from);
	server_answer(server, "a", &from);
	expect_answer(life, 0, 1, "a");
	done(life, 0, 1);
	life_ask(life, 0, 2, "r");
	server_expect(life, server, "r", &from);
	assert_int_equal(life->rp->resolver.queries[0].tried, 1);
	server_answer(server, "b", &from);
	expect_answer(life, 0, 2, "b");
	done(life, 0, 2);
	life->rp->resolver.return_ms = clock_now_ms();
	life_ask(life, 0, 3, "s");
	server_expect(life, first, "s", &from);
	life_ask(life, 1, 1, "t"); /* one is enough to find out */
	server_expect(life, server, "t", &from);
	close(first);
	close(server);
}

static void
a_late_answer_of_a_server_that_was_left_is_not_heard(void **state)
{
	struct life *life = *state;
	struct sockaddr_in late, from;
	int slow, server;

	life->config.dns_timeout_ms = 50;
	start_with(life, &slow, &server);
	life_ask(life, 0, 1, "q");
	server_expect(life, slow, "q", &late);
	server_expect(life, server, "q", &from);
	(void)sendto(slow, "late", 4, 0, (struct sockaddr *)&late,
	    sizeof(late));
	server_answer(server, "a", &from);
	expect_answer(life, 0, 1, "a");
	close(slow);
	close(server);
}

static void
after_the_last_server_the_query_fails(void **state)
{
	struct life *life = *state;
	uint64_t start_ms;
	int one, two;

	life->config.dns_timeout_ms = 60;
	start_with(life, &one, &two);
	start_ms = clock_now_ms();
	life_ask(life, 2, 5, "q");
	expect_failed(life, 2, 5);
	assert_true(clock_now_ms() - start_ms >= 120);
	assert_int_equal(in_flight(life), 0);
	assert_int_equal(life->rp->counters.dns_failed, 1);
	close(one);
	close(two);
}

static void
when_all_servers_refuse_the_query_fails_at_once(void **state)
{
	struct life *life = *state;

	life->config.dns_timeout_ms = FOR_EVER_MS;
	life_resolver(life, "127.0.0.1", dead_port());
	life_resolver(life, "127.0.0.1", dead_port());
	life_start(life);
	life_ask(life, 0, 1, "q");
	expect_failed(life, 0, 1);
}

static void
without_a_server_the_query_fails(void **state)
{
	struct life *life = *state;

	life_start(life);
	life_ask(life, 0, 1, "q");
	expect_failed(life, 0, 1);
}

static void
an_empty_query_and_one_beyond_the_limit_fail(void **state)
{
	static const char big[RESOLVER_QUERY_MAX + 1];
	struct life *life = *state;
	uint16_t port;
	int server = life_udp(&port);

	life_resolver(life, "127.0.0.1", port);
	life_start(life);
	life_ask(life, 0, 1, "");
	expect_failed(life, 0, 1);
	life_ask_bytes(life, 0, 2, big, sizeof(big));
	expect_failed(life, 0, 2);
	life_ask_bytes(life, 0, 3, big, sizeof(big) - 1);
	life_wait_readable(life, server);
	close(server);
}

static void
the_largest_answer_passes(void **state)
{
	struct life *life = *state;
	struct sockaddr_in from;
	struct ipc_msg msg;
	uint8_t *big = calloc(1, IPC_DNS_TAIL_MAX);
	uint16_t port;
	int server = life_udp(&port);

	assert_non_null(big);
	life_resolver(life, "127.0.0.1", port);
	life_start(life);
	life_ask(life, 0, 1, "q");
	server_expect(life, server, "q", &from);
	assert_int_equal(sendto(server, big, IPC_DNS_TAIL_MAX, 0,
			     (struct sockaddr *)&from, sizeof(from)),
	    IPC_DNS_TAIL_MAX);
	life_expect(life, &life->dgram, IPC_DNS_ANSWER, &msg);
	assert_int_equal(msg.tail_len, IPC_DNS_TAIL_MAX);
	free(big);
	close(server);
}

static void
an_answer_that_netproc_has_no_room_for_waits(void **state)
{
	struct life *life = *state;
	struct sockaddr_in from;
	struct ipc_msg msg;
	uint8_t *big = calloc(1, IPC_DNS_TAIL_MAX);
	uint32_t i;
	uint16_t port;
	int server = life_udp(&port);

	assert_non_null(big);
	life_resolver(life, "127.0.0.1", port);
	life_start(life);
	for (i = 0; i < 8; i++) {
		life_ask(life, i, 1, "q");
		server_expect(life, server, "q", &from);
		(void)sendto(server, big, IPC_DNS_TAIL_MAX, 0,
		    (struct sockaddr *)&from, sizeof(from));
		life_turn(life);
	}
	assert_non_null(life->rp->resolver.held);
	assert_true(life->rp->counters.dns_answers < 8);
	for (i = 0; i < 8; i++)
		life_expect(life, &life->dgram, IPC_DNS_ANSWER, &msg);
	assert_null(life->rp->resolver.held);
	free(big);
	close(server);
}

static void
a_newer_query_in_a_slot_replaces_the_one_in_flight(void **state)
{
	struct life *life = *state;
	struct sockaddr_in old, new;
	uint16_t port;
	int server = life_udp(&port);

	life_resolver(life, "127.0.0.1", port);
	life_start(life);
	life_ask(life, 0, 1, "old");
	server_expect(life, server, "old", &old);
	life_ask(life, 0, 2, "new");
	server_expect(life, server, "new", &new);
	assert_int_equal(in_flight(life), 1);
	(void)sendto(server, "OLD", 3, 0, (struct sockaddr *)&old, sizeof(old));
	server_answer(server, "NEW", &new);
	expect_answer(life, 0, 2, "NEW");
	life_expect_silence(life, &life->dgram, 20);
	close(server);
}

static void
a_stale_generation_of_a_query_is_a_violation(void **state)
{
	life_start(*state);
	life_ask(*state, 0, 5, "q");
	expect_failed(*state, 0, 5);
	life_ask(*state, 0, 5, "q");
	life_expect_violation(*state, IPC_E_STATE);
}

static void
a_query_slot_beyond_the_quota_is_a_violation(void **state)
{
	life_start(*state);
	life_ask(*state, 8, 1, "q");
	life_expect_violation(*state, IPC_E_QUOTA);
}

static void
nonzero_padding_of_a_query_is_a_violation(void **state)
{
	struct life *life = *state;
	const struct ipc_dns msg = { .guest_port = 1, .pad = 1 };

	life_start(life);
	assert_int_equal(channel_send_tail(&life->dgram, IPC_DNS_QUERY, 0, 1,
			     &msg, sizeof(msg), "q", 1),
	    0);
	life_expect_violation(life, IPC_E_FIELD);
}

static void
a_resolver_on_the_floor_answers_dns_but_takes_no_connect(void **state)
{
	struct life *life = *state;
	struct sockaddr_in from;
	uint16_t port;
	int server = life_udp(&port);

	life_resolver(life, "127.0.0.1", port);
	life_start(life);
	life_ask(life, 0, 1, "q");
	server_expect(life, server, "q", &from);
	life_open(life, 0, "127.0.0.1", port);
	life_expect_failed(life, 0, VERDICT_DENIED);
	close(server);
}

#define TEST(name) \
	cmocka_unit_test_setup_teardown(name, life_setup, life_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_query_and_its_answer_pass_byte_for_byte),
		TEST(every_query_has_a_port_of_its_own),
		TEST(an_answer_from_someone_else_is_not_heard),
		TEST(answers_pass_until_netproc_has_found_its_own),
		TEST(answers_beyond_the_limit_stay),
		TEST(done_for_a_query_that_has_ended_is_nothing),
		TEST(a_server_that_refuses_costs_no_wait),
		TEST(who_says_that_he_has_no_answer_is_not_the_last_word),
		TEST(a_silent_server_is_left_for_the_next_after_the_timeout),
		TEST(the_server_that_answered_last_is_asked_first_for_a_while),
		TEST(a_late_answer_of_a_server_that_was_left_is_not_heard),
		TEST(after_the_last_server_the_query_fails),
		TEST(when_all_servers_refuse_the_query_fails_at_once),
		TEST(without_a_server_the_query_fails),
		TEST(an_empty_query_and_one_beyond_the_limit_fail),
		TEST(the_largest_answer_passes),
		TEST(an_answer_that_netproc_has_no_room_for_waits),
		TEST(a_newer_query_in_a_slot_replaces_the_one_in_flight),
		TEST(a_stale_generation_of_a_query_is_a_violation),
		TEST(a_query_slot_beyond_the_quota_is_a_violation),
		TEST(nonzero_padding_of_a_query_is_a_violation),
		TEST(a_resolver_on_the_floor_answers_dns_but_takes_no_connect),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
