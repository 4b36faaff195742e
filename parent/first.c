#include <sys/wait.h>

#include <linux/close_range.h>

#include <errno.h>
#include <signal.h>
#include <sysexits.h>
#include <unistd.h>

#include "parent/command.h"
#include "parent/first.h"
#include "sandbox/isolate.h"

/* Reaps who has ended; exits when pid is among them. */
static void
reap(pid_t pid)
{
	pid_t ended;
	int status;

	while ((ended = waitpid(-1, &status, WNOHANG)) > 0) {
		if (ended != pid)
			continue;
		_exit(WIFEXITED(status) ?
			WEXITSTATUS(status) :
			COMMAND_SIGNAL_BASE + WTERMSIG(status));
	}
	/* It ended while SIGCHLD was ignored, as who starts us may have it. */
	if (ended == -1 && errno == ECHILD)
		_exit(EX_SOFTWARE);
}

/* Holds nothing, so that each end of file comes when the child is gone. */
static _Noreturn void
stay(pid_t pid, const sigset_t *all)
{
	siginfo_t info;

	(void)signal(SIGCHLD, SIG_DFL);
	if (sandbox_trim_first() == -1)
		_exit(EX_OSERR);
	close_range(0, ~0U, 0);
	for (;;) {
		reap(pid);
		if (sigwaitinfo(all, &info) > 0 && info.si_signo != SIGCHLD &&
		    info.si_code != SI_KERNEL)
			kill(pid, info.si_signo);
	}
}

void
first_process_step_back(void)
{
	sigset_t all, mask;
	pid_t pid;

	if (getpid() != 1)
		return;
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &mask);
	pid = fork();
	if (pid > 0)
		stay(pid, &all);
	/* Where no more are allowed the start fails soon, and says so. */
	sigprocmask(SIG_SETMASK, &mask, NULL);
}
