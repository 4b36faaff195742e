#ifndef TESTS_UNIT_JAIL_CHILD_H
#define TESTS_UNIT_JAIL_CHILD_H

#include <sys/resource.h>

#include <stdint.h>

#include "parent/spawn.h"

/*
 * A stand-in for the two children: the test program executed again by
 * spawn_children() isolates itself, looks around, locks itself, and reports.
 */

/* What the child leaves out or adds, a set. */
#define JAIL_NO_ISOLATION 1u
#define JAIL_NO_LOCK	  2u
#define JAIL_EXTRA_FD	  4u
#define JAIL_ABORT	  8u /* abort() after the report */
/* Another thing in the place of standard input, the loop's, a channel. */
#define JAIL_STDIN_SOCKET 16u
#define JAIL_EPOLL_SOCKET 32u
#define JAIL_CHANNEL_FILE 64u

struct jail_order {
	uint32_t behaviour;
	char abstract[32]; /* a listening abstract socket, less its NUL */
};

/* What it saw.  An errno value where an attempt failed, 0 where it worked. */
struct jail_report {
	int32_t result; /* of isolate_self() or sandbox_lock() */
	uint32_t missed;
	int32_t pid, ppid;
	int32_t argc;
	int32_t nenv;
	int32_t root_entries; /* names in "/" */
	int32_t open_passwd;
	int32_t open_proc;
	int32_t make_dir;
	int32_t make_file;
	int32_t map_exec;
	int32_t make_process;
	int32_t tcp_bind;
	int32_t tcp_connect; /* to a port of 127.0.0.1 where nobody listens */
	int32_t abstract_connect;
	int32_t send_fd; /* to the parent */
	int32_t pipe_fd; /* lowest free descriptor */
	int32_t securebits;
	int32_t death_signal;
	int32_t ignores_sigpipe;
	uint64_t limit_cur[RLIM_NLIMITS], limit_max[RLIM_NLIMITS];
};

/*
 * Call it first in main(): runs the child and does not return if the
 * arguments say so.
 */
void jail_child_main(int argc, char **argv);

/* Tells a spawned child how to behave, and waits for its report. */
void jail_child_run(const struct child *child, uint32_t behaviour,
    struct jail_report *report);

#endif
