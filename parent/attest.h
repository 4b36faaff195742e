#ifndef PARENT_ATTEST_H
#define PARENT_ATTEST_H

#include <stdint.h>

#include "parent/spawn.h"

/*
 * Checks from outside, in /proc/PID, that a child which said READY is jailed:
 * its filter and no_new_privs are on, it has no capability, no group, the
 * uid it should have, no namespace of ours (relayproc: but the network), an
 * empty root, hard limits, and no descriptor but its own.  The child cannot
 * influence what is read here.
 *
 * Call it after READY and before the child is given anything.
 *
 * *missed brings the stages known not to hold (child->missed and those of
 * READY) and goes out with those found here added.  0, or -1 after a line of
 * log_error for each fence that should stand and does not: in strict every
 * one, else only a fence that the child said it had put up.
 */
int attest_child(const struct child *child, int strict, uint32_t *missed);

#endif
