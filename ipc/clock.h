#ifndef IPC_CLOCK_H
#define IPC_CLOCK_H

#include <stdint.h>

/*
 * The time is handed in: every module takes now_ns or now_ms as an argument,
 * and only event loops call these.
 */

/* CLOCK_MONOTONIC in nanoseconds. */
uint64_t clock_now_ns(void);

/*
 * CLOCK_MONOTONIC in milliseconds, without the time during which this process
 * was stopped: a sidecar that is frozen together with its VM must not find
 * every timer expired when both go on.  A wake-up that comes this much later
 * than it was due is how a stop shows.
 */
#define CLOCK_LATE_MS 5000

uint64_t clock_now_ms(void);

/* When the next wake-up is due, by clock_now_ms(); UINT64_MAX: none is. */
void clock_due(uint64_t ms);

/* clock_now_ms() for a given CLOCK_MONOTONIC, which must not go back. */
uint64_t clock_without_stops(uint64_t raw_ms);

#endif
