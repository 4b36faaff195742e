#ifndef PARENT_SPAWN_H
#define PARENT_SPAWN_H

#include <sys/types.h>

#include <stdint.h>

#include "ipc/roles.h"

/* A child of the sidecar.  pid and descriptors are -1 when there is none. */
struct child {
	enum role role;
	pid_t pid;
	int pidfd;	/* readable once the child has ended */
	int channel_fd; /* our end: SEQPACKET, non-blocking; hand it to
			   channel_init() and set it to -1 */
	uid_t uid;	/* as the parent sees it */
	gid_t gid;
	uint32_t missed;    /* bit per enum isolation_stage that we could not
			    put up; READY brings the child's own */
	unsigned int nlent; /* descriptors it was handed over its channel and
			       still holds (listeners); the caller counts, for
			       attest_child() */
};

struct spawn_config {
	int exe_fd;    /* spawn_open_exe(); borrowed */
	int strict;    /* --isolation strict */
	int parent_fd; /* > 0: the children are those of our own parent, which
			  wants none any more once this has hung up */
	int has_user;  /* --user was given: uid and gid are set (root only) */
	uid_t uid;
	gid_t gid;
};

/*
 * Opens this program's own file, to be executed again later whatever happens
 * to its name.  Call it first.  Returns owned: a close-on-exec descriptor;
 * -1 with errno.
 */
int spawn_open_exe(void);

/*
 * Starts both children, each in namespaces of its own (relayproc shares the
 * host's network), connected to us and to each other by SEQPACKET pairs.
 * They have executed, and wait for HELLO, when this returns.
 *
 * Started by root each child gets a uid of its own, derived from our pid,
 * unless --user gave one; otherwise both keep ours, which is recorded.
 *
 * 0, or -1 after one line of log_error that says what was refused and how to
 * mend it, or after the parent hung up; then no child is left.  It takes 2 s
 * at most until a child has executed.  The caller must be single-threaded.
 */
int spawn_children(const struct spawn_config *config, struct child *netproc,
    struct child *relayproc);

/*
 * Kills a child if it lives, reaps it, closes its descriptors.  Harmless on
 * one that is not there.  *status (may be NULL) gets what waitpid(2) would
 * have said.
 */
void spawn_end(struct child *child, int *status);

/* No child: every descriptor and the pid -1. */
void child_init(struct child *child, enum role role);

#endif
