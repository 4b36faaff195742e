/* When netproc hears of a flow: wake-ups are what a connection costs. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#include <event2/event.h>

#include "tests/unit/relay_life.h"

#define SHARE 8 /* of the slots, one part in so many */
#define FEW   4

static void
expect_next(struct life *life, enum ipc_type type, uint32_t slot)
{
	struct ipc_msg msg;

	assert_int_equal(channel_recv(&life->peer, &msg), CHANNEL_MESSAGE);
	assert_string_equal(ipc_name(msg.hdr.type), ipc_name(type));
	assert_int_equal(msg.hdr.flow, slot);
	channel_msg_done(&msg);
}

static void
expect_nothing(struct life *life)
{
	struct ipc_msg msg;

	assert_int_equal(channel_recv(&life->peer, &msg), CHANNEL_EMPTY);
}

static void
a_near_server_is_lent_in_the_round_of_the_request(void **state)
{
	struct life *life = *state;
	uint16_t port;
	int fd;

	start_with_loopback(life);
	fd = life_listen(&port, 1);
	life_open(life, 0, "127.0.0.1", port);
	life_turn(life);
	expect_next(life, IPC_FLOW_OPENED, 0);
	close(fd);
}

static void
a_near_refusal_is_told_in_the_round_of_the_request(void **state)
{
	struct life *life = *state;
	uint16_t port;

	start_with_loopback(life);
	close(life_listen(&port, 1));
	life_open(life, 0, "127.0.0.1", port);
	life_turn(life);
	expect_next(life, IPC_FLOW_FAILED, 0);
}

static void
an_end_is_told_behind_the_next_flow(void **state)
{
	struct life *life = *state;
	struct pair pair;

	start_with_loopback(life);
	pair = pair_open(life, 0);
	life_close(life, 0, pair.generation, FLOW_CLOSE_DONE);
	life_open(life, 1, "127.0.0.1", pair.port);
	life_turn(life);
	expect_next(life, IPC_FLOW_OPENED, 1);
	expect_next(life, IPC_FLOW_CLOSED, 0);
	close(pair.lent);
	pair_free(&pair);
}

static void
ends_of_many_of_the_slots_are_told_at_once(void **state)
{
	struct life *life = *state;
	struct pair pair[64 / SHARE];
	const uint32_t n = life->config.max_flows / SHARE;
	uint32_t i;

	assert_int_equal(n, 64 / SHARE);
	start_with_loopback(life);
	for (i = 0; i < n; i++)
		pair[i] = pair_open(life, i);
	for (i = 0; i < n; i++)
		life_close(life, i, pair[i].generation, FLOW_CLOSE_DONE);
	life_turn(life);
	for (i = 0; i < n; i++)
		expect_next(life, IPC_FLOW_CLOSED, i);
	expect_nothing(life);
	for (i = 0; i < n; i++) {
		close(pair[i].lent);
		pair_free(&pair[i]);
	}
}

/* However many slots there are, no more ends than these are kept. */
static void
as_many_ends_as_are_kept_are_told_at_once(void **state)
{
	struct life *life = *state;
	const struct relayproc *rp = life->rp;
	uint32_t i, generation[LEND_CLOSED_MAX];

	life->config.max_flows = 2 * SHARE * LEND_CLOSED_MAX;
	life_start(life);
	for (i = 0; i < LEND_CLOSED_MAX; i++) {
		generation[i] = life_open(life, i, "10.0.0.1", 80);
		life_expect_failed(life, i, VERDICT_DENIED);
	}
	for (i = 0; i < LEND_CLOSED_MAX; i++)
		life_close(life, i, generation[i], FLOW_CLOSE_RESET);
	while (rp->flows.count[FLOW_FAILED] > 0)
		life_turn(life);
	assert_int_equal(rp->nclosed, 0);
	for (i = 0; i < LEND_CLOSED_MAX; i++)
		expect_next(life, IPC_FLOW_CLOSED, i);
}

/* With few slots each is missed. */
static void
with_few_slots_an_end_is_told_at_once(void **state)
{
	struct life *life = *state;
	struct pair pair;

	life->config.max_flows = FEW;
	start_with_loopback(life);
	pair = pair_open(life, 0);
	life_close(life, 0, pair.generation, FLOW_CLOSE_DONE);
	life_turn(life);
	expect_next(life, IPC_FLOW_CLOSED, 0);
	close(pair.lent);
	pair_free(&pair);
}

static void
an_end_is_told_soon_though_nothing_else_happens(void **state)
{
	struct life *life = *state;
	struct pair pair;

	start_with_loopback(life);
	pair = pair_open(life, 0);
	life_close(life, 0, pair.generation, FLOW_CLOSE_DONE);
	life_expect_closed(life, 0);
	close(pair.lent);
	pair_free(&pair);
}

static void
a_connect_that_has_waited_is_judged_anew_before_it_is_made(void **state)
{
	struct life *life = *state;
	struct ipc_host_addr later = { .present = 1 };
	uint32_t generation;
	uint16_t port, open_port;
	int fd, listener, fill[4], i;

	life->config.max_pending = 1;
	start_with_loopback(life);
	fd = life_blackhole(&port, fill, 4);
	listener = life_listen(&open_port, 1);
	generation = life_open(life, 0, "127.0.0.1", port);
	life_open(life, 1, "203.0.113.77", 80);
	life_open(life, 2, "127.0.0.1", open_port);
	life_turn(life);
	assert_int_equal(life->rp->flows.count[FLOW_WAITING], 2);
	addr_parse("203.0.113.77", &later.addr);
	assert_int_equal(channel_send(&life->parent, IPC_HOST_ADDR, 0, 0,
			     &later, sizeof(later)),
	    0);
	for (i = 0; i < 3; i++)
		life_turn(life);
	life_close(life, 0, generation, FLOW_CLOSE_RESET);
	life_expect_failed(life, 1, VERDICT_DENIED);
	/* It never had a socket that an event could tell of. */
	assert_false(event_initialized(&life->rp->flows.outbound[1].ev));
	/* What is allowed still is made all the same. */
	close(life_expect_opened(life, 2));
	close(listener);
	for (i = 0; i < 4; i++)
		close(fill[i]);
	close(fd);
}

static void
a_connect_is_judged_anew_when_it_is_answered(void **state)
{
	struct life *life = *state;
	struct flow *flow;
	uint16_t port;
	int fd, fill[4], i;

	start_with_loopback(life);
	fd = life_blackhole(&port, fill, 4);
	life_open(life, 0, "127.0.0.1", port);
	flow = &life->rp->flows.outbound[0];
	while (flow->state != FLOW_CONNECTING)
		life_turn(life);
	life->rp->policy.rules[0].action = RULE_DENY;
	life->rp->policy.generation++;
	event_active(&flow->ev, EV_WRITE, 0);
	life_expect_failed(life, 0, VERDICT_DENIED);
	assert_int_equal(flow->fd, -1);
	assert_int_equal(life->rp->budget.pending, 0);
	for (i = 0; i < 4; i++)
		close(fill[i]);
	close(fd);
}

#define TEST(name) \
	cmocka_unit_test_setup_teardown(name, life_setup, life_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_near_server_is_lent_in_the_round_of_the_request),
		TEST(a_near_refusal_is_told_in_the_round_of_the_request),
		TEST(an_end_is_told_behind_the_next_flow),
		TEST(ends_of_many_of_the_slots_are_told_at_once),
		TEST(as_many_ends_as_are_kept_are_told_at_once),
		TEST(with_few_slots_an_end_is_told_at_once),
		TEST(an_end_is_told_soon_though_nothing_else_happens),
		TEST(
		    a_connect_that_has_waited_is_judged_anew_before_it_is_made),
		TEST(a_connect_is_judged_anew_when_it_is_answered),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
