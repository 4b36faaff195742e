#ifndef TESTS_UNIT_RELAY_JAIL_H
#define TESTS_UNIT_RELAY_JAIL_H

#include <sys/resource.h>

#include "tests/unit/relay_life.h"

/*
 * relayproc behind its filter, in a process of its own: every path has to end
 * in an answer, and the process by STOP, not by SIGSYS.
 */

/* Configures, forks and waits for READY; nofile is its descriptor limit. */
void jailed_start(struct life *life, rlim_t nofile);

/* STOP, which has to end it with status 0. */
void jailed_stop(struct life *life);

/* The process has to end by itself, with this status. */
void expect_exit(int status);

/* For cmocka, with loopback allowed. */
int jailed_setup(void **state);
int jailed_teardown(void **state);

#endif
