#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "relayproc/budget.h"

#define START_MS 5000

static struct budget budget;

static struct ipc_addr
dst(uint32_t i)
{
	return (addr_from_ip4(0xc6336400 + i));
}

static enum budget_result
take(uint32_t i, uint64_t now_ms)
{
	const struct ipc_addr a = dst(i);

	return (budget_take(&budget, &a, now_ms));
}

static void
release(uint32_t i)
{
	const struct ipc_addr a = dst(i);

	budget_release(&budget, &a);
}

/* 200 a second, a burst of 10, 8 under way, 3 to one address. */
static int
budget_setup(void **state)
{
	(void)state;
	return (budget_init(&budget, 200, 10, 8, 3, START_MS));
}

static int
budget_teardown(void **state)
{
	(void)state;
	budget_free(&budget);
	return (0);
}

/* Takes and gives back at once, so that the rate alone counts. */
static unsigned int
taken_at(uint64_t now_ms)
{
	unsigned int n = 0;

	while (take(1, now_ms) == BUDGET_OK) {
		release(1);
		n++;
	}
	return (n);
}

static void
a_burst_is_allowed_at_once_and_then_the_rate(void **state)
{
	(void)state;
	assert_int_equal(taken_at(START_MS), 10);
	assert_int_equal(take(1, START_MS), BUDGET_RATE);
	assert_int_equal(take(1, START_MS + 4), BUDGET_RATE);
	assert_int_equal(taken_at(START_MS + 5), 1);
	assert_int_equal(taken_at(START_MS + 25), 4);
}

static void
tokens_never_exceed_the_burst(void **state)
{
	(void)state;
	assert_int_equal(taken_at(START_MS + 1000000), 10);
	assert_int_equal(taken_at(UINT64_MAX), 10);
}

static void
what_is_left_of_a_burst_and_what_comes_are_no_more_than_it(void **state)
{
	unsigned int i;

	(void)state;
	for (i = 0; i < 5; i++) {
		assert_int_equal(take(1, START_MS), BUDGET_OK);
		release(1);
	}
	assert_int_equal(taken_at(START_MS + 40), 10);
}

static void
the_clock_standing_still_or_going_back_gives_no_token(void **state)
{
	(void)state;
	assert_int_equal(taken_at(START_MS), 10);
	assert_int_equal(taken_at(START_MS), 0);
	assert_int_equal(taken_at(START_MS - 1000), 0);
	assert_int_equal(taken_at(START_MS + 5), 1);
	assert_int_equal(take(1, START_MS - 1000), BUDGET_RATE);
	assert_int_equal(taken_at(START_MS + 10), 1);
}

static void
a_clock_that_stands_back_earns_no_token_twice(void **state)
{
	(void)state;
	assert_int_equal(take(1, START_MS), BUDGET_OK);
	assert_int_equal(take(1, START_MS - 1000), BUDGET_OK);
	release(1);
	release(1);
	assert_int_equal(taken_at(START_MS), 8);
}

static void
over_a_minute_the_rate_is_exact(void **state)
{
	unsigned int n = 0;
	uint64_t ms;

	(void)state;
	for (ms = 0; ms < 60000; ms++)
		n += taken_at(START_MS + ms);
	/* 10 at the start, 200 a second after, less the last millisecond. */
	assert_int_equal(n, 10 + 59999 / 5);
}

static void
the_time_of_the_next_token_is_neither_early_nor_late(void **state)
{
	uint64_t ms;

	(void)state;
	assert_int_equal(budget_token_ms(&budget, START_MS), START_MS);
	taken_at(START_MS);
	ms = budget_token_ms(&budget, START_MS);
	assert_int_equal(ms, START_MS + 5);
	assert_int_equal(take(1, ms - 1), BUDGET_RATE);
	assert_int_equal(take(1, ms), BUDGET_OK);
	/* Three fifths of one are there. */
	assert_int_equal(budget_token_ms(&budget, ms + 3), ms + 5);
}

static void
a_part_of_a_millisecond_counts_as_one(void **state)
{
	(void)state;
	budget_free(&budget);
	assert_int_equal(budget_init(&budget, 3, 1, 8, 3, START_MS), 0);
	assert_int_equal(taken_at(START_MS), 1);
	assert_int_equal(budget_token_ms(&budget, START_MS), START_MS + 334);
	assert_int_equal(take(1, START_MS + 333), BUDGET_RATE);
	assert_int_equal(take(1, START_MS + 334), BUDGET_OK);
}

/* The place of one that went is another's: its count begins anew. */
static void
a_new_address_inherits_no_count(void **state)
{
	(void)state;
	assert_int_equal(take(1, START_MS), BUDGET_OK);
	assert_int_equal(take(2, START_MS), BUDGET_OK);
	assert_int_equal(take(2, START_MS), BUDGET_OK);
	release(1);
	assert_int_equal(take(3, START_MS), BUDGET_OK);
	assert_int_equal(take(3, START_MS), BUDGET_OK);
	assert_int_equal(take(3, START_MS), BUDGET_OK);
	assert_int_equal(take(3, START_MS), BUDGET_DST);
}

static void
no_more_connects_to_one_address_than_its_cap(void **state)
{
	(void)state;
	assert_int_equal(take(1, START_MS), BUDGET_OK);
	assert_int_equal(take(1, START_MS), BUDGET_OK);
	assert_int_equal(take(1, START_MS), BUDGET_OK);
	assert_int_equal(take(1, START_MS), BUDGET_DST);
	assert_int_equal(take(2, START_MS), BUDGET_OK);
	release(1);
	assert_int_equal(take(1, START_MS), BUDGET_OK);
	assert_int_equal(take(1, START_MS), BUDGET_DST);
}

static void
no_more_connects_under_way_than_the_cap_in_all(void **state)
{
	uint32_t i;

	(void)state;
	for (i = 0; i < 8; i++)
		assert_int_equal(take(i, START_MS), BUDGET_OK);
	assert_int_equal(take(8, START_MS), BUDGET_PENDING);
	release(3);
	assert_int_equal(take(8, START_MS), BUDGET_OK);
	assert_int_equal(take(9, START_MS), BUDGET_PENDING);
}

static void
what_is_refused_costs_no_token(void **state)
{
	uint32_t i;

	(void)state;
	for (i = 0; i < 3; i++)
		assert_int_equal(take(1, START_MS), BUDGET_OK);
	for (i = 0; i < 100; i++)
		assert_int_equal(take(1, START_MS), BUDGET_DST);
	for (i = 0; i < 3; i++)
		release(1);
	assert_int_equal(taken_at(START_MS), 7);
}

static void
addresses_of_both_families_are_counted_apart(void **state)
{
	struct ipc_addr four = { .family = 4, .bytes = { 1, 2, 3, 4 } };
	struct ipc_addr six = { .family = 6, .bytes = { 1, 2, 3, 4 } };
	int i;

	(void)state;
	for (i = 0; i < 3; i++) {
		assert_int_equal(budget_take(&budget, &four, START_MS),
		    BUDGET_OK);
		assert_int_equal(budget_take(&budget, &six, START_MS),
		    BUDGET_OK);
	}
	assert_int_equal(budget_take(&budget, &four, START_MS), BUDGET_DST);
	assert_int_equal(budget_take(&budget, &six, START_MS), BUDGET_DST);
}

#define TEST(name) \
	cmocka_unit_test_setup_teardown(name, budget_setup, budget_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_burst_is_allowed_at_once_and_then_the_rate),
		TEST(tokens_never_exceed_the_burst),
		TEST(
		    what_is_left_of_a_burst_and_what_comes_are_no_more_than_it),
		TEST(a_part_of_a_millisecond_counts_as_one),
		TEST(a_new_address_inherits_no_count),
		TEST(the_clock_standing_still_or_going_back_gives_no_token),
		TEST(a_clock_that_stands_back_earns_no_token_twice),
		TEST(over_a_minute_the_rate_is_exact),
		TEST(the_time_of_the_next_token_is_neither_early_nor_late),
		TEST(no_more_connects_to_one_address_than_its_cap),
		TEST(no_more_connects_under_way_than_the_cap_in_all),
		TEST(what_is_refused_costs_no_token),
		TEST(addresses_of_both_families_are_counted_apart),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
