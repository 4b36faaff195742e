#ifndef PARENT_COMMAND_H
#define PARENT_COMMAND_H

#include <sys/resource.h>
#include <sys/types.h>

#include <signal.h>

#include "parent/configuration.h"

/* The VMM that sallyport starts itself (-- COMMAND). */
struct command {
	pid_t pid;  /* -1 when there is none */
	int pidfd;  /* readable once it has ended */
	int status; /* to exit with, set by command_reap() */
};

/* What we changed for ourselves, and COMMAND gets back. */
struct command_env {
	sigset_t mask;
	struct rlimit nofile;
	sighandler_t on_pipe, on_child, on_fsize; /* SIG_DFL, SIG_IGN */
};

/* The descriptor of the frame socket in COMMAND. */
#define COMMAND_FRAME_FD 3

/* Exit statuses as the shell has them. */
#define COMMAND_CANNOT_EXEC 126
#define COMMAND_NOT_FOUND   127
#define COMMAND_SIGNAL_BASE 128

/*
 * Returns owned: arg with each "{fd}" replaced by the number; NULL with errno
 * ENOMEM.
 */
char *command_substitute(const char *arg, int fd);

/*
 * Executes argv with frame_fd (borrowed) as COMMAND_FRAME_FD, our stdio, no
 * other descriptor, and what env gives back.  Returns when it has executed.
 * 0, or -1 with error filled: status 126 or 127 as a shell would say it.
 */
int command_start(struct command *command, char **argv, int frame_fd,
    const struct command_env *env, struct config_error *error);

/* Passes a signal on.  Harmless when there is no process. */
void command_signal(const struct command *command, int signo);

/*
 * Takes the end of the process: 1 and status is set (its own, or 128 and the
 * number of the signal that killed it); 0 if it runs still.
 */
int command_reap(struct command *command);

/* SIGTERM, then SIGKILL after grace_ms if need be, and reaps. */
void command_end(struct command *command, int grace_ms);

#endif
