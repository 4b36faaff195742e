#include <sys/syscall.h>
#include <sys/wait.h>

#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/forked.h"

#define HANG_MS 10000

int
forked(int (*fn)(const void *), const void *arg)
{
	/* cmocka's own handlers would turn a crash into a failed test */
	static const int deadly[] = { SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGSEGV,
		SIGSYS };
	struct pollfd pfd = { .events = POLLIN };
	int status, n;
	size_t i;
	pid_t pid;

	if ((pid = fork()) == 0) {
		for (i = 0; i < sizeof(deadly) / sizeof(deadly[0]); i++)
			signal(deadly[i], SIG_DFL);
		/* a failed assertion ends this process, not its copy of main */
		setenv("CMOCKA_TEST_ABORT", "1", 1);
		_exit(fn(arg));
	}
	assert_true(pid > 0);
	pfd.fd = (int)syscall(SYS_pidfd_open, pid, 0);
	assert_true(pfd.fd >= 0);
	do {
		n = poll(&pfd, 1, HANG_MS);
	} while (n == -1 && errno == EINTR);
	if (n != 1)
		kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	close(pfd.fd);
	if (n != 1)
		fail_msg("the process hangs");
	return (status);
}
