#ifndef IPC_CLOCK_H
#define IPC_CLOCK_H

#include <stdint.h>

/*
 * The time is handed in: every module takes now_ns or now_ms as an argument,
 * and only event loops call these.
 */

/* CLOCK_MONOTONIC in nanoseconds. */
uint64_t clock_now_ns(void);

/* CLOCK_MONOTONIC in milliseconds. */
uint64_t clock_now_ms(void);

#endif
