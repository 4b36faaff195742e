#ifndef SANDBOX_LANDLOCK_H
#define SANDBOX_LANDLOCK_H

#include <stdint.h>

#include "ipc/roles.h"

/*
 * The only files that a process still needs after the lock.  Each list is
 * borrowed and ended by NULL; NULL is an empty one.
 */
struct landlock_files {
	const char *const *unlink_dirs; /* files in these are removed */
	const char *const *read_paths;	/* files, or directories of files,
					   that are read; those that are not
					   there are passed over */
};

/*
 * Denies the calling process what Landlock can deny, for good; no_new_privs
 * must be set.
 *
 * Files: all access, but for files (borrowed; NULL: none).  Network: TCP
 * bind, and TCP connect unless the role is relayproc's.  Scope: abstract
 * sockets of others, and signals unless it is the parent, which must be able
 * to kill its children.
 *
 * Stages that the running kernel's Landlock does not know are settled with
 * stage_missed().  0, or -1 after a line of log_error.
 */
int landlock_deny(enum role role, const struct landlock_files *files,
    int strict, uint32_t *missed);

#endif
