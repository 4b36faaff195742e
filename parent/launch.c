#include <sys/types.h>

#include <linux/close_range.h>

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <unistd.h>

#include "parent/launch.h"

/*
 * Everything here runs in a copy of the parent that has inherited all it had,
 * so it makes system calls and nothing else: no log, no allocation.
 */

/* While a child sorts its descriptors they stay above the fixed numbers. */
#define FD_ASIDE 16

_Noreturn static void
child_fail(const struct launch *launch, enum launch_step step)
{
	struct launch_report report = { .step = step, .error = errno };

	(void)!write(launch->sync, &report, sizeof(report));
	_exit(1);
}

static void
child_become_user(const struct launch *launch)
{
	if (launch->drop_groups && setgroups(0, NULL) == -1)
		child_fail(launch, STEP_GROUPS);
	if (setresgid(launch->gid, launch->gid, launch->gid) == -1 ||
	    setresuid(launch->uid, launch->uid, launch->uid) == -1)
		child_fail(launch, STEP_UID);
}

static int
child_set_aside(const struct launch *launch, int fd)
{
	int aside;

	if ((aside = fcntl(fd, F_DUPFD_CLOEXEC, FD_ASIDE)) == -1)
		child_fail(launch, STEP_DESCRIPTORS);
	return (aside);
}

/* Puts every descriptor in its place; the exec closes all others. */
static int
child_sort_fds(struct launch *launch)
{
	int exe_fd, null_fd, fd;
	size_t i;

	launch->sync = child_set_aside(launch, launch->sync);
	exe_fd = child_set_aside(launch, launch->config->exe_fd);
	for (i = 0; i < 3; i++)
		launch->fds[i] = child_set_aside(launch, launch->fds[i]);
	if ((null_fd = open("/dev/null", O_RDWR)) == -1)
		child_fail(launch, STEP_STDIO);
	null_fd = child_set_aside(launch, null_fd);
	for (fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
#ifdef SALLYPORT_SANITIZERS
		if (fd == STDERR_FILENO)
			continue; /* the run-time's reports */
#endif
		if (dup2(null_fd, fd) == -1)
			child_fail(launch, STEP_STDIO);
	}
	for (i = 0; i < 3; i++)
		if (dup2(launch->fds[i], FD_PARENT + (int)i) == -1)
			child_fail(launch, STEP_DESCRIPTORS);
	if (close_range(FD_EPOLL, ~0U, CLOSE_RANGE_CLOEXEC) == -1)
		child_fail(launch, STEP_DESCRIPTORS);
	return (exe_fd);
}

/*
 * What a service manager sends to each of its processes would end the first of
 * a pid namespace as little; one without is to behave alike.
 */
static void
ignore_signals(void)
{
	static const int ignored[] = { SIGHUP, SIGINT, SIGQUIT, SIGTERM,
		SIGUSR1, SIGUSR2 };
	size_t i;

	for (i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++)
		(void)signal(ignored[i], SIG_IGN);
}

_Noreturn void
launch_run(struct launch *launch)
{
	char name[] = "sallyport", netproc[] = "--role-netproc";
	char relayproc[] = "--role-relayproc", strict[] = "strict";
	char best_effort[] = "best-effort";
	char *argv[] = { name,
		launch->role == ROLE_NETPROC ? netproc : relayproc,
		launch->config->strict ? strict : best_effort, NULL };
	char *envp[] = { NULL };
	sigset_t none;
	char go;
	int exe_fd;

	if (read(launch->sync, &go, 1) != 1)
		_exit(1); /* the parent gave up */
	child_become_user(launch);
	/*
	 * A terminal's signals are for the parent to handle in order.  No
	 * session of its own: the scheduler would weigh it against all of the
	 * VMM's (sched(7), autogrouping), and it would keep preempting it.
	 */
	setpgid(0, 0);
	ignore_signals();
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	exe_fd = child_sort_fds(launch);
	execveat(exe_fd, "", argv, envp, AT_EMPTY_PATH);
	child_fail(launch, STEP_EXEC);
}
