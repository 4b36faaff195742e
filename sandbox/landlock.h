#ifndef SANDBOX_LANDLOCK_H
#define SANDBOX_LANDLOCK_H

#include <stdint.h>

#include "ipc/roles.h"

/*
 * Denies the calling process what Landlock can deny, for good; no_new_privs
 * must be set.
 *
 * Files: all access, but for removing files in unlink_dirs (borrowed, ended by
 * NULL; NULL: none).  Network: TCP bind, and TCP connect unless the role is
 * relayproc's.  Scope: abstract sockets of others, and signals unless it is
 * the parent, which must be able to kill its children.
 *
 * Stages that the running kernel's Landlock does not know are settled with
 * stage_missed().  0, or -1 after a line of log_error.
 */
int landlock_deny(enum role role, const char *const *unlink_dirs, int strict,
    uint32_t *missed);

#endif
