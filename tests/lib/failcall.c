/*
 * failcall PID: one system call of a running process fails, once.
 *
 * The process is traced from outside, so it may be in its jail, with its own
 * filter: instead of the call that is to fail it makes one that every filter
 * allows, brk(0), and is told what it did not do.  Lines on stdin:
 *
 *	NR N ERRNO	the N-th call NR from now on fails with ERRNO, or with
 *			ERRNO 0 handles one byte (or vector, or message) alone
 *	-		no call fails
 *
 * Each is answered by "armed"; then "hit" says that it has failed, "gone" that
 * the process has ended.  End of stdin ends the tracing.
 */

#include <sys/ptrace.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/user.h>
#include <sys/wait.h>

#include <err.h>
#include <errno.h>
#include <linux/ptrace.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#ifndef __x86_64__
int
main(void)
{
	fprintf(stderr, "failcall knows the registers of x86_64 alone\n");
	return (77);
}
#else

#define SYSCALL_STOP (SIGTRAP | 0x80)

static struct {
	pid_t pid;
	int armed;
	unsigned long nr;
	unsigned long n;
	int error;
	int failing; /* between entry and exit */
	struct user_regs_struct before;
} target;

static void
say(const char *word)
{
	if (printf("%s\n", word) < 0 || fflush(stdout) == EOF)
		exit(1);
}

/* At the entry of a call: is it the one? */
static void
at_entry(struct user_regs_struct *regs)
{
	if (!target.armed || regs->orig_rax != target.nr || --target.n > 0)
		return;
	target.armed = 0;
	if (target.error == 0) {
		if (target.nr == SYS_splice)
			regs->r8 = 1;
		else
			regs->rdx = 1;
		say("hit");
	} else {
		target.failing = 1;
		target.before = *regs;
		regs->orig_rax = SYS_brk;
		regs->rdi = 0;
	}
	if (ptrace(PTRACE_SETREGS, target.pid, 0, regs) == -1)
		err(1, "PTRACE_SETREGS");
}

static void
at_exit_of_call(struct user_regs_struct *regs)
{
	if (!target.failing)
		return;
	target.failing = 0;
	regs->orig_rax = target.before.orig_rax;
	regs->rdi = target.before.rdi;
	regs->rax = (unsigned long)-(long)target.error;
	if (ptrace(PTRACE_SETREGS, target.pid, 0, regs) == -1)
		err(1, "PTRACE_SETREGS");
	say("hit");
}

static void
at_stop(int status)
{
	struct user_regs_struct regs;
	struct ptrace_syscall_info info;
	const int sig = WSTOPSIG(status);
	int pass = 0, request = PTRACE_SYSCALL;

	if (status >> 16 == PTRACE_EVENT_STOP) {
		if (sig == SIGSTOP || sig == SIGTSTP)
			request = PTRACE_LISTEN;
	} else if (sig != SYSCALL_STOP) {
		pass = sig;
	} else if (ptrace(PTRACE_GET_SYSCALL_INFO, target.pid, sizeof(info),
		       &info) == -1 ||
	    ptrace(PTRACE_GETREGS, target.pid, 0, &regs) == -1) {
		return; /* killed meanwhile */
	} else if (info.op == PTRACE_SYSCALL_INFO_ENTRY) {
		at_entry(&regs);
	} else {
		at_exit_of_call(&regs);
	}
	ptrace((enum __ptrace_request)request, target.pid, 0, pass);
}

static void
on_child(void)
{
	int status;

	while (waitpid(target.pid, &status, __WALL | WNOHANG) > 0) {
		if (WIFSTOPPED(status)) {
			at_stop(status);
			continue;
		}
		say("gone");
		exit(0);
	}
}

static void
on_line(void)
{
	static char line[64];
	static size_t len;
	ssize_t n = read(STDIN_FILENO, line + len, 1);

	if (n <= 0)
		exit(0); /* the kernel lets go of the process */
	if (line[len] != '\n') {
		if (++len == sizeof(line))
			errx(1, "too long a line");
		return;
	}
	line[len] = '\0';
	len = 0;
	target.armed = sscanf(line, "%lu %lu %d", &target.nr, &target.n,
			   &target.error) == 3;
	say("armed");
}

int
main(int argc, char *argv[])
{
	struct signalfd_siginfo info;
	struct pollfd pfd[2] = { { .fd = STDIN_FILENO, .events = POLLIN },
		{ .events = POLLIN } };
	sigset_t set;

	if (argc != 2)
		errx(64, "usage: failcall PID");
	target.pid = (pid_t)strtol(argv[1], NULL, 10);
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);
	pfd[1].fd = signalfd(-1, &set, SFD_CLOEXEC);
	if (pfd[1].fd == -1)
		err(1, "signalfd");
	if (ptrace(PTRACE_SEIZE, target.pid, 0, PTRACE_O_TRACESYSGOOD) == -1 ||
	    ptrace(PTRACE_INTERRUPT, target.pid, 0, 0) == -1)
		err(1, "process %s", argv[1]);
	for (;;) {
		if (poll(pfd, 2, -1) == -1 && errno != EINTR)
			err(1, "poll");
		if (pfd[1].revents != 0 &&
		    read(pfd[1].fd, &info, sizeof(info)) > 0)
			on_child();
		if (pfd[0].revents != 0)
			on_line();
	}
}
#endif
