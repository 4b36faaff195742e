#ifndef TESTS_UNIT_FORKED_H
#define TESTS_UNIT_FORKED_H

/*
 * Runs fn(arg) in a forked process, which exits with what fn returns, and
 * gives its status as waitpid(2) has it.  A process that hangs for 10 seconds
 * is killed and fails the test.
 */
int forked(int (*fn)(const void *), const void *arg);

/* The process exited by itself with this status. */
#define FORKED_EXITED(status, code) \
	(WIFEXITED(status) && WEXITSTATUS(status) == (code))

/* A seccomp filter killed it. */
#define FORKED_SIGSYS(status) \
	(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS)

#endif
