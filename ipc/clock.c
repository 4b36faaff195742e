#include <time.h>

#include "ipc/clock.h"

/*
 * File-scope state: what the process has said it wants to be woken at, and
 * how much time has been taken out.
 */
static uint64_t due_ms = UINT64_MAX;
static uint64_t missed_ms;

uint64_t
clock_now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ((uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec);
}

uint64_t
clock_without_stops(uint64_t raw_ms)
{
	uint64_t now_ms = raw_ms - missed_ms;

	if (now_ms > due_ms && now_ms - due_ms > CLOCK_LATE_MS) {
		missed_ms += now_ms - due_ms;
		now_ms = due_ms;
	}
	return (now_ms);
}

uint64_t
clock_now_ms(void)
{
	return (clock_without_stops(clock_now_ns() / 1000000u));
}

void
clock_due(uint64_t ms)
{
	due_ms = ms;
}
