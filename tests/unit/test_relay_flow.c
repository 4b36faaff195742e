#include <sys/wait.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "relayproc/flow.h"

#define NOUT 4
#define NIN  2
#define IN   FLOW_INBOUND_BIT

static struct flow_table table;

static int
table_setup(void **state)
{
	(void)state;
	return (flow_table_init(&table, NOUT, NIN, NULL));
}

static int
table_teardown(void **state)
{
	(void)state;
	flow_table_free(&table);
	return (0);
}

static struct flow *
opened(uint32_t slot, uint32_t generation, uint64_t deadline_ms)
{
	struct flow *flow = NULL;

	assert_int_equal(flow_open(&table, slot, generation, deadline_ms,
			     &flow),
	    IPC_OK);
	assert_non_null(flow);
	assert_int_equal(flow->state, FLOW_WAITING);
	return (flow);
}

static enum ipc_error
open_error(uint32_t slot, uint32_t generation)
{
	struct flow *flow;

	return (flow_open(&table, slot, generation, 0, &flow));
}

static enum ipc_error
close_error(uint32_t slot, uint32_t generation)
{
	struct flow *flow;

	return (flow_closing(&table, slot, generation, &flow));
}

static void
a_slot_takes_one_flow_at_a_time(void **state)
{
	(void)state;
	opened(0, 1, 0);
	assert_int_equal(open_error(0, 2), IPC_E_STATE);
	opened(1, 1, 0);
}

static void
a_slot_beyond_those_granted_is_over_quota(void **state)
{
	(void)state;
	assert_int_equal(open_error(NOUT, 1), IPC_E_QUOTA);
	assert_int_equal(open_error(FLOW_SLOTS_MAX - 1, 1), IPC_E_QUOTA);
}

static void
an_inbound_or_impossible_slot_cannot_be_opened(void **state)
{
	(void)state;
	assert_int_equal(open_error(IN, 1), IPC_E_FIELD);
	assert_int_equal(open_error(FLOW_SLOTS_MAX, 1), IPC_E_FIELD);
	assert_int_equal(open_error(UINT32_MAX, 1), IPC_E_FIELD);
}

static void
a_generation_has_to_be_newer_than_the_last(void **state)
{
	struct flow *flow = opened(0, 7, 0);

	(void)state;
	flow_move(&table, flow, FLOW_FREE, 0);
	assert_int_equal(open_error(0, 7), IPC_E_STATE);
	assert_int_equal(open_error(0, 6), IPC_E_STATE);
	opened(0, 8, 0);
}

static void
the_first_generation_may_be_0_and_generations_may_wrap(void **state)
{
	struct flow *flow = opened(0, 0, 0);

	(void)state;
	flow_move(&table, flow, FLOW_FREE, 0);
	flow = opened(0, 0x7fffffff, 0);
	flow_move(&table, flow, FLOW_FREE, 0);
	flow = opened(0, 0xfffffffe, 0);
	flow_move(&table, flow, FLOW_FREE, 0);
	opened(0, 3, 0);
}

static void
a_close_of_no_flow_or_of_another_generation_is_an_error(void **state)
{
	(void)state;
	assert_int_equal(close_error(0, UINT32_MAX), IPC_E_STATE);
	opened(0, 5, 0);
	assert_int_equal(close_error(0, 4), IPC_E_STATE);
	assert_int_equal(close_error(0, 6), IPC_E_STATE);
	assert_int_equal(close_error(1, 5), IPC_E_STATE);
	assert_int_equal(close_error(NOUT, 5), IPC_E_STATE);
	assert_int_equal(close_error(IN | NIN, 5), IPC_E_STATE);
	assert_int_equal(close_error(UINT32_MAX, 5), IPC_E_STATE);
	assert_int_equal(close_error(0, 5), IPC_OK);
}

static void
a_close_may_cross_the_answer_in_every_state(void **state)
{
	struct flow *flow = opened(0, 1, 0);

	(void)state;
	assert_int_equal(close_error(0, 1), IPC_OK);
	flow_move(&table, flow, FLOW_CONNECTING, 0);
	assert_int_equal(close_error(0, 1), IPC_OK);
	flow_move(&table, flow, FLOW_LENDING, 0);
	assert_int_equal(close_error(0, 1), IPC_OK);
	flow_move(&table, flow, FLOW_LENT, 0);
	assert_int_equal(close_error(0, 1), IPC_OK);
	flow_move(&table, flow, FLOW_FREE, 0);
	assert_int_equal(close_error(0, 1), IPC_E_STATE);
}

static void
one_close_may_follow_a_failure(void **state)
{
	struct flow *flow = opened(0, 1, 0);

	(void)state;
	flow_move(&table, flow, FLOW_FAILED, 0);
	assert_int_equal(close_error(0, 1), IPC_OK);
	flow_move(&table, flow, FLOW_FREE, 0);
	assert_int_equal(close_error(0, 1), IPC_E_STATE);
}

static void
an_open_after_a_failure_takes_the_slot_again(void **state)
{
	struct flow *flow = opened(0, 1, 0);

	(void)state;
	flow_move(&table, flow, FLOW_FAILED, 0);
	opened(0, 2, 0);
	assert_int_equal(close_error(0, 1), IPC_E_STATE);
	assert_int_equal(close_error(0, 2), IPC_OK);
}

static void
a_half_close_is_said_once_of_a_lent_flow(void **state)
{
	struct flow *flow = opened(0, 1, 0);

	(void)state;
	assert_int_equal(flow_shut_wr(&table, 0, 1, &flow), IPC_E_STATE);
	flow_move(&table, flow, FLOW_CONNECTING, 0);
	flow_move(&table, flow, FLOW_LENDING, 0);
	assert_int_equal(flow_shut_wr(&table, 0, 1, &flow), IPC_E_STATE);
	flow_move(&table, flow, FLOW_LENT, 0);
	assert_int_equal(flow_shut_wr(&table, 0, 2, &flow), IPC_E_STATE);
	assert_int_equal(flow_shut_wr(&table, 0, 1, &flow), IPC_OK);
	assert_int_equal(flow_shut_wr(&table, 0, 1, &flow), IPC_E_STATE);
}

/* In its slot nothing is left of it. */
static void
the_flow_after_one_that_was_half_closed_may_be_so_too(void **state)
{
	struct flow *flow;
	uint32_t i;

	(void)state;
	for (i = 1; i < 3; i++) {
		flow = opened(0, i, 0);
		assert_int_equal(flow->counted, 0);
		flow->counted = 1;
		flow_move(&table, flow, FLOW_CONNECTING, 0);
		flow_move(&table, flow, FLOW_LENDING, 0);
		flow_move(&table, flow, FLOW_LENT, 0);
		assert_int_equal(flow_shut_wr(&table, 0, i, &flow), IPC_OK);
		flow_move(&table, flow, FLOW_FREE, 0);
	}
	for (i = 0; i < 2 * NIN; i++) {
		flow = flow_accept(&table, -1);
		assert_int_equal(flow->counted, 0);
		flow->counted = 1;
		flow_move(&table, flow, FLOW_LENT, 0);
		assert_int_equal(flow_shut_wr(&table, flow->slot,
				     flow->generation, &flow),
		    IPC_OK);
		flow_move(&table, flow, FLOW_FREE, 0);
	}
}

static void
an_inbound_flow_can_be_closed_once_netproc_was_told_of_it(void **state)
{
	struct flow *flow = flow_accept(&table, -1);

	(void)state;
	assert_non_null(flow);
	assert_true(flow_is_inbound(flow));
	assert_int_equal(flow->state, FLOW_LENDING);
	assert_int_equal(close_error(flow->slot, flow->generation),
	    IPC_E_STATE);
	flow_move(&table, flow, FLOW_LENT, 0);
	assert_int_equal(close_error(flow->slot, flow->generation), IPC_OK);
}

static void
inbound_slots_run_out_and_come_back_with_a_new_generation(void **state)
{
	struct flow *one = flow_accept(&table, -1);
	struct flow *two = flow_accept(&table, -1);
	uint32_t generation;

	(void)state;
	assert_non_null(one);
	assert_non_null(two);
	assert_ptr_not_equal(one, two);
	assert_null(flow_accept(&table, -1));
	generation = one->generation;
	flow_move(&table, one, FLOW_FREE, 0);
	assert_ptr_equal(flow_accept(&table, -1), one);
	assert_int_equal(one->generation, generation + 1);
}

static void
the_slot_that_was_free_longest_is_used_next(void **state)
{
	struct flow *one = flow_accept(&table, -1), *two;

	(void)state;
	flow_move(&table, one, FLOW_FREE, 0);
	two = flow_accept(&table, -1);
	assert_ptr_not_equal(one, two);
}

static void
waits_and_connects_expire_at_their_deadline_and_not_before(void **state)
{
	struct flow *one = opened(0, 1, 1000), *two = opened(1, 1, 1200);

	(void)state;
	assert_int_equal(flow_deadline_ms(&table), 1000);
	assert_null(flow_expired(&table, 999));
	assert_ptr_equal(flow_expired(&table, 1000), one);
	flow_move(&table, one, FLOW_CONNECTING, 9000);
	assert_int_equal(flow_deadline_ms(&table), 1200);
	assert_null(flow_expired(&table, 1199));
	assert_ptr_equal(flow_expired(&table, 1200), two);
	flow_move(&table, two, FLOW_FAILED, 0);
	assert_int_equal(flow_deadline_ms(&table), 9000);
	assert_null(flow_expired(&table, 8999));
	assert_ptr_equal(flow_expired(&table, 9000), one);
}

static void
a_deadline_that_is_set_anew_has_its_place_among_the_others(void **state)
{
	struct flow *flows[3];
	unsigned int i;

	(void)state;
	for (i = 0; i < 3; i++) {
		flows[i] = opened(i, 1, 1000);
		flow_move(&table, flows[i], FLOW_CONNECTING, 9000 + i);
	}
	flow_deadline_set(&table, flows[2], 3000);
	assert_ptr_equal(flow_expired(&table, 3000), flows[2]);
	flow_deadline_set(&table, flows[1], 4000);
	assert_ptr_equal(flow_expired(&table, 4000), flows[2]);
	flow_deadline_set(&table, flows[2], 5000);
	assert_int_equal(flow_deadline_ms(&table), 4000);
	assert_ptr_equal(flow_expired(&table, 4000), flows[1]);
	flow_deadline_set(&table, flows[1], 9002);
	assert_int_equal(flow_deadline_ms(&table), 5000);
	flow_deadline_set(&table, flows[2], 9001);
	assert_int_equal(flow_deadline_ms(&table), 9000);
	assert_ptr_equal(flow_expired(&table, 9000), flows[0]);
	flow_deadline_set(&table, flows[0], 9003);
	assert_ptr_equal(flow_expired(&table, 9003), flows[2]);
	assert_int_equal(table.count[FLOW_CONNECTING], 3);
}

static void
a_flow_that_is_lent_or_failed_or_free_never_expires(void **state)
{
	struct flow *one = opened(0, 1, 1000), *two = opened(1, 1, 1000);

	(void)state;
	flow_move(&table, one, FLOW_CONNECTING, 2000);
	flow_move(&table, one, FLOW_LENDING, 0);
	flow_move(&table, two, FLOW_FAILED, 0);
	assert_null(flow_expired(&table, UINT64_MAX));
	flow_move(&table, one, FLOW_LENT, 0);
	assert_null(flow_expired(&table, UINT64_MAX));
	assert_int_equal(flow_deadline_ms(&table), UINT64_MAX);
}

static void
every_flow_is_counted_in_its_state(void **state)
{
	struct flow *one = opened(0, 1, 0);
	uint32_t sum = 0;
	int i;

	(void)state;
	opened(1, 1, 0);
	flow_accept(&table, -1);
	flow_move(&table, one, FLOW_CONNECTING, 0);
	assert_int_equal(table.count[FLOW_WAITING], 1);
	assert_int_equal(table.count[FLOW_CONNECTING], 1);
	assert_int_equal(table.count[FLOW_LENDING], 1);
	for (i = 0; i < FLOW_NSTATES; i++)
		sum += table.count[i];
	assert_int_equal(sum, NOUT + NIN);
}

/* The exit status of a process that makes the step, 0 if it survives. */
static int
step_status(struct flow *flow, enum flow_state to)
{
	pid_t pid = fork();
	int status = 0;

	assert_int_not_equal(pid, -1);
	if (pid == 0) {
		close(STDERR_FILENO);
		flow_move(&table, flow, to, 0);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return (WEXITSTATUS(status));
}

static void
a_step_that_the_diagram_lacks_ends_the_process(void **state)
{
	struct flow *out = opened(0, 1, 0), *in = flow_accept(&table, -1);

	(void)state;
	assert_int_equal(step_status(out, FLOW_LENT), 70);
	assert_int_equal(step_status(out, FLOW_LENDING), 70);
	assert_int_equal(step_status(out, FLOW_CONNECTING), 0);
	assert_int_equal(step_status(in, FLOW_WAITING), 70);
	assert_int_equal(step_status(in, FLOW_FAILED), 70);
	assert_int_equal(step_status(in, FLOW_LENT), 0);
}

#define TEST(name) \
	cmocka_unit_test_setup_teardown(name, table_setup, table_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_slot_takes_one_flow_at_a_time),
		TEST(a_slot_beyond_those_granted_is_over_quota),
		TEST(an_inbound_or_impossible_slot_cannot_be_opened),
		TEST(a_generation_has_to_be_newer_than_the_last),
		TEST(the_first_generation_may_be_0_and_generations_may_wrap),
		TEST(a_close_of_no_flow_or_of_another_generation_is_an_error),
		TEST(a_close_may_cross_the_answer_in_every_state),
		TEST(one_close_may_follow_a_failure),
		TEST(an_open_after_a_failure_takes_the_slot_again),
		TEST(a_half_close_is_said_once_of_a_lent_flow),
		TEST(the_flow_after_one_that_was_half_closed_may_be_so_too),
		TEST(an_inbound_flow_can_be_closed_once_netproc_was_told_of_it),
		TEST(inbound_slots_run_out_and_come_back_with_a_new_generation),
		TEST(the_slot_that_was_free_longest_is_used_next),
		TEST(
		    waits_and_connects_expire_at_their_deadline_and_not_before),
		TEST(
		    a_deadline_that_is_set_anew_has_its_place_among_the_others),
		TEST(a_flow_that_is_lent_or_failed_or_free_never_expires),
		TEST(every_flow_is_counted_in_its_state),
		TEST(a_step_that_the_diagram_lacks_ends_the_process),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
