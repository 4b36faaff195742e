#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "netproc/netproc.h"

#define NOUT 4
#define NIN  2

static struct netproc np;

static int
setup(void **state)
{
	(void)state;
	return (flows_init(&np.flows, NOUT, NIN, &np));
}

/* Every transition that may be; anything else must not. */
static const struct {
	enum flow_state from;
	enum flow_event event;
	enum flow_state out, in; /* to, for each kind of slot */
} legal[] = {
	{ FLOW_FREE, FLOW_EV_SYN, FLOW_OPENING, FLOW_OPENING },
	{ FLOW_FREE, FLOW_EV_INBOUND, FLOW_CONNECTING, FLOW_CONNECTING },
	{ FLOW_OPENING, FLOW_EV_OPENED, FLOW_ACCEPTING, FLOW_ACCEPTING },
	{ FLOW_OPENING, FLOW_EV_FAILED, FLOW_FREE, FLOW_FREE },
	{ FLOW_OPENING, FLOW_EV_END, FLOW_CLOSING, FLOW_FREE },
	{ FLOW_ACCEPTING, FLOW_EV_UP, FLOW_ESTABLISHED, FLOW_ESTABLISHED },
	{ FLOW_ACCEPTING, FLOW_EV_END, FLOW_CLOSING, FLOW_FREE },
	{ FLOW_CONNECTING, FLOW_EV_UP, FLOW_ESTABLISHED, FLOW_ESTABLISHED },
	{ FLOW_CONNECTING, FLOW_EV_END, FLOW_CLOSING, FLOW_FREE },
	{ FLOW_ESTABLISHED, FLOW_EV_END, FLOW_CLOSING, FLOW_FREE },
	{ FLOW_CLOSING, FLOW_EV_OPENED, FLOW_CLOSING, FLOW_FREE },
	{ FLOW_CLOSING, FLOW_EV_FAILED, FLOW_CLOSING, FLOW_FREE },
	{ FLOW_CLOSING, FLOW_EV_CLOSED, FLOW_FREE, FLOW_FREE },
};
#define NLEGAL (sizeof(legal) / sizeof(legal[0]))

static void
each_event_leads_where_the_theory_says_and_nowhere_else(void **state)
{
	enum flow_state out, in;
	int from, event;
	size_t i;

	(void)state;
	for (from = 0; from <= FLOW_NSTATES; from++) {
		for (event = 0; event <= FLOW_NEVENTS; event++) {
			out = FLOW_NSTATES;
			in = FLOW_NSTATES;
			for (i = 0; i < NLEGAL; i++) {
				if ((int)legal[i].from == from &&
				    (int)legal[i].event == event) {
					out = legal[i].out;
					in = legal[i].in;
				}
			}
			assert_int_equal(flow_next_state((enum flow_state)from,
					     (enum flow_event)event, 0),
			    out);
			assert_int_equal(flow_next_state((enum flow_state)from,
					     (enum flow_event)event, 1),
			    in);
		}
	}
}

static const struct flow_tuple tuple = {
	.peer = { .family = 4, .bytes = { 198, 51, 100, 1 } },
	.guest = { .family = 4, .bytes = { 100, 96, 0, 2 } },
	.peer_port = 443,
	.guest_port = 40000,
};

static void
each_state_has_its_deadline(void **state)
{
	struct flow *flow = flow_alloc(&np.flows, &tuple, 1);

	(void)state;
	assert_non_null(flow);
	assert_int_equal(flow_step(flow, FLOW_EV_SYN, 1000), 0);
	assert_int_equal(flow->deadline_ms, 1000 + FLOW_OPENING_MS);
	assert_int_equal(flow_step(flow, FLOW_EV_OPENED, 2000), 0);
	assert_int_equal(flow->deadline_ms, 2000 + FLOW_ACCEPTING_MS);
	assert_int_equal(flow_step(flow, FLOW_EV_UP, 3000), 0);
	assert_int_equal(flow->deadline_ms, 0);
	assert_int_equal(flow_step(flow, FLOW_EV_UP, 3000), -1);
	assert_int_equal(flow->state, FLOW_ESTABLISHED);
	assert_int_equal(flow_step(flow, FLOW_EV_END, 4000), 0);
	assert_int_equal(flow->deadline_ms, 0);
	assert_int_equal(flow_step(flow, FLOW_EV_CLOSED, 5000), 0);
	flow_release(&np.flows, flow);
}

static void
a_slot_comes_back_in_another_generation(void **state)
{
	struct flow *first = flow_alloc(&np.flows, &tuple, 1), *again;
	uint32_t generation = first->generation;

	(void)state;
	assert_ptr_equal(flow_lookup(&np.flows, &tuple, 1), first);
	flow_release(&np.flows, first);
	assert_null(flow_lookup(&np.flows, &tuple, 1));
	again = flow_alloc(&np.flows, &tuple, 1);
	assert_ptr_equal(again, first);
	assert_int_equal(again->generation, generation + 1);
	flow_release(&np.flows, again);
}

static void
a_tuple_is_free_before_its_slot_is(void **state)
{
	struct flow *old = flow_alloc(&np.flows, &tuple, 1), *young;

	(void)state;
	flow_unhash(&np.flows, old);
	assert_null(flow_lookup(&np.flows, &tuple, 1));
	young = flow_alloc(&np.flows, &tuple, 1);
	assert_non_null(young);
	assert_ptr_not_equal(young, old);
	assert_ptr_equal(flow_lookup(&np.flows, &tuple, 1), young);
	flow_release(&np.flows, old);
	assert_ptr_equal(flow_lookup(&np.flows, &tuple, 1), young);
	flow_release(&np.flows, young);
}

static void
slots_run_out_and_come_back(void **state)
{
	struct flow_tuple other = tuple;
	struct flow *flows[NOUT];
	int i;

	(void)state;
	for (i = 0; i < NOUT; i++) {
		other.guest_port++;
		flows[i] = flow_alloc(&np.flows, &other, other.guest_port);
		assert_non_null(flows[i]);
	}
	assert_null(flow_alloc(&np.flows, &tuple, 1));
	assert_int_equal(np.flows.nactive, NOUT);
	for (i = 0; i < NOUT; i++)
		flow_release(&np.flows, flows[i]);
	assert_int_equal(np.flows.nactive, 0);
}

static void
a_tuple_that_differs_in_one_field_is_another(void **state)
{
	struct flow *flow = flow_alloc(&np.flows, &tuple, 9);
	struct flow_tuple other;

	(void)state;
	other = tuple;
	other.peer.bytes[3] ^= 1;
	assert_null(flow_lookup(&np.flows, &other, 9));
	other = tuple;
	other.peer_port ^= 1;
	assert_null(flow_lookup(&np.flows, &other, 9));
	other = tuple;
	other.guest_port ^= 1;
	assert_null(flow_lookup(&np.flows, &other, 9));
	flow_release(&np.flows, flow);
}

static void
relayproc_chooses_inbound_slots_and_only_free_ones(void **state)
{
	struct flow *flow;

	(void)state;
	assert_null(flow_take(&np.flows, 0, 5, &tuple, 1));
	assert_null(flow_take(&np.flows, FLOW_INBOUND_BIT | NIN, 5, &tuple, 1));
	assert_null(flow_by_wire_slot(&np.flows, NOUT));
	assert_null(flow_by_wire_slot(&np.flows, FLOW_INBOUND_BIT | NIN));
	flow = flow_take(&np.flows, FLOW_INBOUND_BIT | 1, 5, &tuple, 1);
	assert_non_null(flow);
	assert_int_equal(flow->generation, 5);
	assert_int_equal(flow_wire_slot(&np.flows, flow), FLOW_INBOUND_BIT | 1);
	assert_int_equal(flow_step(flow, FLOW_EV_INBOUND, 0), 0);
	assert_int_equal(flow->deadline_ms, FLOW_CONNECTING_MS);
	assert_null(flow_take(&np.flows, FLOW_INBOUND_BIT | 1, 6, &tuple, 1));
	assert_int_equal(flow_step(flow, FLOW_EV_END, 0), 0);
	assert_int_equal(flow->state, FLOW_FREE);
	flow_release(&np.flows, flow);
}

static void
what_names_a_slot_changes_nothing_in_it(void **state)
{
	struct flow *flow = flow_alloc(&np.flows, &tuple, 1);
	const uint32_t wire = flow_wire_slot(&np.flows, flow);

	(void)state;
	flow->fd = 7;
	assert_ptr_equal(flow_by_wire_slot(&np.flows, wire), flow);
	assert_int_equal(flow->fd, 7);
	flow->fd = -1;
	flow_release(&np.flows, flow);
}

static void
whoever_was_served_is_behind_all_others(void **state)
{
	struct flow *flows[3], *flow;
	struct flow_tuple other = tuple;
	int i;

	(void)state;
	for (i = 0; i < 3; i++) {
		other.guest_port++;
		flows[i] = flow_alloc(&np.flows, &other, other.guest_port);
		flow_wake(flows[i]);
		flow_wake(flows[i]); /* it is already */
	}
	assert_int_equal(np.flows.nawake, 3);
	flow_served(&np.flows, flows[0]);
	flow_served(&np.flows, flows[0]);
	i = 0;
	TAILQ_FOREACH(flow, &np.flows.awake, awake)
		assert_ptr_equal(flow, flows[++i % 3]);
	assert_int_equal(i, 3);
	flow_sleep(flows[1]);
	flow_served(&np.flows, flows[1]);
	assert_false(flows[1]->is_awake);
	assert_ptr_equal(TAILQ_FIRST(&np.flows.awake), flows[2]);
	assert_int_equal(np.flows.nawake, 2);
	for (i = 0; i < 3; i++)
		flow_release(&np.flows, flows[i]);
	assert_int_equal(np.flows.nawake, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    each_event_leads_where_the_theory_says_and_nowhere_else),
		cmocka_unit_test(each_state_has_its_deadline),
		cmocka_unit_test(a_slot_comes_back_in_another_generation),
		cmocka_unit_test(a_tuple_is_free_before_its_slot_is),
		cmocka_unit_test(slots_run_out_and_come_back),
		cmocka_unit_test(what_names_a_slot_changes_nothing_in_it),
		cmocka_unit_test(whoever_was_served_is_behind_all_others),
		cmocka_unit_test(a_tuple_that_differs_in_one_field_is_another),
		cmocka_unit_test(
		    relayproc_chooses_inbound_slots_and_only_free_ones),
	};

	return (cmocka_run_group_tests_name("flow", tests, setup, NULL));
}
