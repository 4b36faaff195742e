#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include <cmocka.h>

#include "ipc/clock.h"

#define START 1000000u

/* Each case goes on from where the last one left the clock. */

static void
without_a_wakeup_that_is_due_any_time_may_pass(void **state)
{
	(void)state;
	clock_due(UINT64_MAX);
	assert_int_equal(clock_without_stops(START), START);
	assert_int_equal(clock_without_stops(START + 1000000), START + 1000000);
}

static void
a_wakeup_may_be_a_little_late(void **state)
{
	const uint64_t now = START + 1000000;

	(void)state;
	clock_due(now + 250);
	assert_int_equal(clock_without_stops(now + 250 + CLOCK_LATE_MS),
	    now + 250 + CLOCK_LATE_MS);
}

static void
a_stop_of_minutes_takes_no_time(void **state)
{
	const uint64_t raw = START + 1000000 + 250 + CLOCK_LATE_MS;
	uint64_t now;

	(void)state;
	now = clock_without_stops(raw);
	clock_due(now + 250);
	assert_int_equal(clock_without_stops(raw + 400000), now + 250);
	/* From there time goes on, and is taken out once. */
	assert_int_equal(clock_without_stops(raw + 400010), now + 260);
	clock_due(now + 500);
	assert_int_equal(clock_without_stops(raw + 400250), now + 500);
	assert_int_equal(clock_without_stops(raw + 900000), now + 500);
	clock_due(UINT64_MAX);
	assert_int_equal(clock_without_stops(raw + 900100), now + 600);
}

static void
nanoseconds_and_milliseconds_are_of_one_clock(void **state)
{
	struct timespec ts;
	uint64_t before, now, after;

	/* The first case of all: nothing has been taken out yet. */
	(void)state;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	before = (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
	now = clock_now_ns();
	clock_gettime(CLOCK_MONOTONIC, &ts);
	after = (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
	assert_in_range(now, before, after);
	now = clock_now_ms();
	assert_in_range(now, before / 1000000u, clock_now_ns() / 1000000u);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(nanoseconds_and_milliseconds_are_of_one_clock),
		cmocka_unit_test(
		    without_a_wakeup_that_is_due_any_time_may_pass),
		cmocka_unit_test(a_wakeup_may_be_a_little_late),
		cmocka_unit_test(a_stop_of_minutes_takes_no_time),
	};

	return (cmocka_run_group_tests_name("clock", tests, NULL, NULL));
}
