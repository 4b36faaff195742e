/* Which segments are dropped where room is short, as if they were lost. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/intercept_rig.h"

#define MSS 1460 /* of the flows that flow_make() makes */

/* Of blocks that are free: the bounds between one rule and the next. */
#define HALF  (BLOCK_POOL_BYTES / 2 / BLOCK_SIZE)
#define FEW   (2 * BLOCK_RESERVE / BLOCK_SIZE)
#define LEAST (BLOCK_RESERVE / 2 / BLOCK_SIZE)
#define SURE  (16 * 1024)

/* What there is of room, and of the flow's bytes that are not written. */
struct room {
	size_t free_blocks;
	int writable;
	size_t held, turn, waits, since_room, len;
	int passes, asks;
};

static void
check(const struct room *room, size_t n)
{
	const struct flow_tuple tuple = tuple_make(4);
	struct flow *flow = flow_make(&tuple);
	size_t i;

	for (i = 0; i < n; i++, room++) {
		seen.npassed = seen.nasked = 0;
		np.counters.n[COUNT_SEGMENT_NO_ROOM] = 0;
		np.blocks.nfree = room->free_blocks;
		flow->writable = room->writable;
		flow->up.bytes = room->held;
		flow->since_room = room->since_room;
		flow->nturn = room->turn > 1 ? 2 : (int)room->turn;
		flow->turn[0].iov_len = 1;
		flow->turn[1].iov_len = room->turn - 1;
		np.coalesce.flow = room->waits > 0 ? flow : NULL;
		np.coalesce.bytes = room->waits;
		guest_sends(&tuple, room->len);
		if (seen.npassed != (unsigned int)room->passes)
			fail_msg("case %zu: %u passed", i, seen.npassed);
		if (seen.nasked != (unsigned int)room->asks)
			fail_msg("case %zu: asked %u times", i, seen.nasked);
		assert_int_equal(np.counters.n[COUNT_SEGMENT_NO_ROOM],
		    !room->passes);
	}
	flow_release(&np.flows, flow);
}

#define CHECK(cases) check(cases, sizeof(cases) / sizeof((cases)[0]))

static void
while_half_is_free_all_passes(void **state)
{
	static const struct room cases[] = {
		{ HALF, 0, BLOCK_SIZE, 9999, 0, SURE, 65000, 1, 0 },
		{ HALF - 1, 0, BLOCK_SIZE, 9999, 0, SURE, 65000, 0, 0 },
	};

	(void)state;
	CHECK(cases);
}

static void
what_has_no_bytes_needs_no_room(void **state)
{
	static const struct room cases[] = {
		{ HALF - 1, 0, 2 * BLOCK_SIZE, 0, 0, 0, 0, 1, 0 },
		{ FEW - 1, 0, BLOCK_SIZE, 0, 0, SURE, 0, 1, 0 },
		{ 0, 0, BLOCK_SIZE, 0, 0, 0, 0, 1, 0 },
		{ 0, 1, 0, 0, 0, 0, 1, 0, 0 },
	};

	(void)state;
	CHECK(cases);
}

static void
of_the_second_half_a_flow_holds_a_block(void **state)
{
	static const struct room cases[] = {
		/* held, of this turn, waiting to follow, its own */
		{ HALF - 1, 0, BLOCK_SIZE - 1, 0, 0, 0, 1, 1, 0 },
		{ HALF - 1, 1, BLOCK_SIZE, 0, 0, 0, 1, 0, 0 },
		{ FEW, 1, 1, 0, 0, 0, BLOCK_SIZE - 1, 1, 0 },
		{ FEW, 1, 1, 0, 0, 0, BLOCK_SIZE, 0, 0 },
		{ FEW, 0, 0, BLOCK_SIZE - MSS, 0, 0, MSS, 1, 0 },
		{ FEW, 0, 0, BLOCK_SIZE - MSS + 1, 0, 0, MSS, 0, 0 },
		{ FEW, 1, 0, 0, BLOCK_SIZE - MSS, 0, MSS, 1, 0 },
		{ FEW, 1, 0, 0, BLOCK_SIZE - MSS + 1, 0, MSS, 0, 0 },
		{ FEW, 0, 8000, 8000, 8000, 0, BLOCK_SIZE - 24000, 1, 0 },
		{ FEW, 0, 8000, 8000, 8000, 0, BLOCK_SIZE - 23999, 0, 0 },
	};

	(void)state;
	CHECK(cases);
}

/* Also where two segments are more than a block. */
static void
the_first_of_a_turn_and_two_segments_pass(void **state)
{
	static const struct room first[] = {
		{ FEW, 0, 0, 0, 0, SURE, BLOCK_SIZE + 1, 1, 0 },
		{ FEW, 0, 1, 0, 0, 0, BLOCK_SIZE + 1, 0, 0 },
	};
	const struct flow_tuple tuple = tuple_make(4);
	struct flow *flow;

	(void)state;
	CHECK(first);
	flow = flow_make(&tuple);
	flow->guest_mss = 20000;
	np.blocks.nfree = FEW;
	flow->nturn = 1;
	flow->turn[0].iov_len = 20000;
	flow->writable = 1;
	guest_sends(&tuple, 20000);
	assert_int_equal(seen.npassed, 1);
	guest_sends(&tuple, 20001);
	assert_int_equal(seen.npassed, 1);
	flow->writable = 0;
	guest_sends(&tuple, 20000);
	assert_int_equal(seen.npassed, 1);
	flow->writable = 1;
	flow->up.bytes = 1;
	guest_sends(&tuple, 20000);
	assert_int_equal(seen.npassed, 1);
	flow->up.bytes = 0;
	flow->turn[0].iov_len = 30000;
	guest_sends(&tuple, 20000);
	assert_int_equal(seen.npassed, 1);
}

static void
of_the_last_a_flow_gets_what_its_socket_takes(void **state)
{
	static const struct room cases[] = {
		{ FEW - 1, 1, 0, 0, 0, 0, SURE + 1, 1, 0 },
		{ FEW - 1, 0, 0, 0, 0, 0, 1, 0, 0 },
		{ FEW - 1, 1, 1, 0, 0, 0, 1, 0, 0 },
		/* It has taken some, and is asked only where none is to come
		 * that asks by itself. */
		{ FEW - 1, 1, 0, 0, 0, 1, SURE - 1, 1, 0 },
		{ FEW - 1, 1, 0, 0, 0, 1, SURE, 0, 1 },
		{ FEW - 1, 1, 0, 1, 0, 0, SURE - 1, 1, 0 },
		{ FEW - 1, 1, 0, 1, 0, 0, SURE, 0, 0 },
		{ FEW - 1, 1, 0, 0, 1, 0, SURE, 0, 0 },
		{ FEW - 1, 1, 0, 4000, 4000, 4000, SURE - 12000, 1, 0 },
		{ FEW - 1, 1, 0, 4000, 4000, 4000, SURE - 11999, 0, 0 },
	};

	(void)state;
	CHECK(cases);
}

static void
what_one_read_brings_has_room_of_its_own(void **state)
{
	static const struct room cases[] = {
		{ LEAST, 1, 0, 0, 0, 0, 1, 1, 0 },
		{ LEAST - 1, 1, 0, 0, 0, 0, 1, 0, 0 },
	};

	(void)state;
	CHECK(cases);
}

static void
what_another_flow_waits_for_does_not_count(void **state)
{
	const struct flow_tuple tuple = tuple_make(4), like = tuple_make(6);

	(void)state;
	flow_make(&tuple);
	np.coalesce.flow = flow_make(&like);
	np.coalesce.bytes = BLOCK_SIZE;
	np.blocks.nfree = FEW;
	guest_sends(&tuple, MSS);
	assert_int_equal(seen.npassed, 1);
	guest_sends(&like, MSS);
	assert_int_equal(seen.npassed, 1);
}

int
main(void)
{
#define T(name) \
	cmocka_unit_test_setup_teardown(name, intercept_setup, \
	    intercept_teardown)
	const struct CMUnitTest tests[] = {
		T(while_half_is_free_all_passes),
		T(what_has_no_bytes_needs_no_room),
		T(of_the_second_half_a_flow_holds_a_block),
		T(the_first_of_a_turn_and_two_segments_pass),
		T(of_the_last_a_flow_gets_what_its_socket_takes),
		T(what_one_read_brings_has_room_of_its_own),
		T(what_another_flow_waits_for_does_not_count),
	};

	return (cmocka_run_group_tests_name("intercept_room", tests, NULL,
	    NULL));
}
