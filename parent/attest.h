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
 * Call it after READY and before the child is given the frame descriptor;
 * child->nlent says how many descriptors it was given by then.
 *
 * *missed brings what READY reported (child->missed is added) and goes out
 * with the stages found here added.  0, or -1 after a line of log_error for
 * each fence that does not stand though the child said it did, and in strict
 * for each that should not be missing at all.  Or 1, without a line: it said
 * so and has ended, of which child->pidfd tells (-1: nobody can tell).
 */
int attest_child(const struct child *child, int strict, uint32_t *missed);

/* 1 if it can be seen from outside whether the stage stands. */
int attest_sees(unsigned int stage);

#endif
