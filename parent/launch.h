#ifndef PARENT_LAUNCH_H
#define PARENT_LAUNCH_H

#include <sys/types.h>

#include <stdint.h>

#include "parent/spawn.h"

/*
 * The child between clone and exec.  Its steps, in order; where one fails the
 * parent gets a report and the child is gone.
 */
enum launch_step {
	STEP_GROUPS,
	STEP_UID,
	STEP_STDIO,
	STEP_DESCRIPTORS,
	STEP_EXEC,
	STEP_N
};

struct launch_report {
	uint32_t step;
	int32_t error;
};

/* What one child is made of; its descriptors are borrowed. */
struct launch {
	enum role role;
	const struct spawn_config *config;
	int fds[3]; /* FD_PARENT, FD_PEER, FD_DGRAM */
	int sync;   /* the child's end */
	uint64_t flags;
	int drop_groups; /* started by root */
	uid_t uid;	 /* as the child will ask for it */
	gid_t gid;
};

/*
 * Waits for one byte on launch->sync (end of file: exits), then becomes the
 * uid, sorts the descriptors and executes this program as launch->role.  On a
 * failure writes a struct launch_report to sync and exits.
 */
_Noreturn void launch_run(struct launch *launch);

#endif
