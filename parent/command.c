#include <sys/syscall.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "ipc/kernel.h"
#include "parent/command.h"

static const char placeholder[] = "{fd}";
#define PLACEHOLDER_LEN (sizeof(placeholder) - 1)

char *
command_substitute(const char *arg, int fd)
{
	const char *at, *next;
	char number[12], *out;
	size_t n = 0, size;

	snprintf(number, sizeof(number), "%d", fd);
	for (at = arg; (at = strstr(at, placeholder)) != NULL;
	     at += PLACEHOLDER_LEN)
		n++;
	size = strlen(arg) + n * sizeof(number) + 1;
	out = calloc(1, size);
	if (out == NULL)
		return (NULL);
	n = 0;
	for (at = arg; (next = strstr(at, placeholder)) != NULL;
	     at = next + PLACEHOLDER_LEN) {
		memcpy(out + n, at, (size_t)(next - at));
		n += (size_t)(next - at);
		n += strlcpy(out + n, number, size - n);
	}
	strlcpy(out + n, at, size - n);
	return (out);
}

static void
argv_free(char **argv)
{
	size_t i;

	for (i = 0; argv != NULL && argv[i] != NULL; i++)
		free(argv[i]);
	free(argv);
}

static char **
argv_substitute(char **argv, int fd)
{
	char **out;
	size_t i, n = 0;

	while (argv[n] != NULL)
		n++;
	out = calloc(n + 1, sizeof(*out));
	for (i = 0; out != NULL && i < n; i++) {
		out[i] = command_substitute(argv[i], fd);
		if (out[i] == NULL) {
			argv_free(out);
			return (NULL);
		}
	}
	return (out);
}

/*
 * In the child.  Only what fork(2) leaves safe; errno goes through report,
 * which an exec closes.
 */
static _Noreturn void
run_child(char **argv, int frame_fd, int report, const struct command_env *env)
{
	int error;

	frame_fd = fcntl(frame_fd, F_DUPFD, COMMAND_FRAME_FD + 2);
	report = fcntl(report, F_DUPFD_CLOEXEC, COMMAND_FRAME_FD + 2);
	if (frame_fd == -1 || report == -1 ||
	    dup2(frame_fd, COMMAND_FRAME_FD) == -1 ||
	    dup3(report, COMMAND_FRAME_FD + 1, O_CLOEXEC) == -1)
		_exit(EX_OSERR);
	report = COMMAND_FRAME_FD + 1;
	close_range(COMMAND_FRAME_FD + 2, ~0U, 0);
	signal(SIGPIPE, env->on_pipe);
	signal(SIGCHLD, env->on_child);
	signal(SIGXFSZ, env->on_fsize);
	setrlimit(RLIMIT_NOFILE, &env->nofile);
	sigprocmask(SIG_SETMASK, &env->mask, NULL);
	execvp(argv[0], argv);
	error = errno;
	if (write(report, &error, sizeof(error)) == -1)
		_exit(EX_OSERR);
	_exit(COMMAND_CANNOT_EXEC);
}

static int
cannot_exec(const char *name, int why, struct config_error *error)
{
	if (why == ENOENT)
		return (config_error(error, COMMAND_NOT_FOUND,
		    "-- %s: not found; say the path of a program", name));
	return (config_error(error, COMMAND_CANNOT_EXEC,
	    "-- %s: cannot be executed: %s; say another program", name,
	    strerror(why)));
}

/* Waits for the exec.  The errno of a failed one, else 0. */
static int
exec_result(int report)
{
	ssize_t n;
	int why = 0;

	do {
		n = read(report, &why, sizeof(why));
	} while (n == -1 && errno == EINTR);
	return (n == (ssize_t)sizeof(why) ? why : 0);
}

int
command_start(struct command *command, char **argv, int frame_fd,
    const struct command_env *env, struct config_error *error)
{
	char **real_argv = NULL;
	int report[2] = { -1, -1 };
	int why;

	command->pid = -1;
	command->pidfd = -1;
	command->status = EX_SOFTWARE;
	real_argv = argv_substitute(argv, COMMAND_FRAME_FD);
	if (real_argv == NULL || pipe2(report, O_CLOEXEC) == -1)
		goto fail;
	command->pid = fork();
	if (command->pid == -1)
		goto fail;
	if (command->pid == 0)
		run_child(real_argv, frame_fd, report[1], env);
	close(report[1]);
	report[1] = -1;
	command->pidfd = (int)syscall(SYS_pidfd_open, command->pid, 0);
	if (command->pidfd == -1)
		goto fail;
	why = exec_result(report[0]);
	close(report[0]);
	argv_free(real_argv);
	if (why == 0)
		return (0);
	command_end(command, 0);
	return (cannot_exec(argv[0], why, error));
fail:
	config_error(error, EX_OSERR, "-- %s: %s", argv[0], strerror(errno));
	if (command->pid > 0) {
		kill(command->pid, SIGKILL);
		waitpid(command->pid, NULL, 0);
		command->pid = -1;
	}
	if (report[0] != -1)
		close(report[0]);
	if (report[1] != -1)
		close(report[1]);
	argv_free(real_argv);
	return (-1);
}

void
command_signal(const struct command *command, int signo)
{
	if (command->pidfd != -1)
		syscall(SYS_pidfd_send_signal, command->pidfd, signo, NULL, 0);
}

static int
reap(struct command *command, int options)
{
	siginfo_t info;

	memset(&info, 0, sizeof(info));
	if (command->pidfd == -1 ||
	    waitid((idtype_t)P_PIDFD, (id_t)command->pidfd, &info,
		WEXITED | options) == -1 ||
	    info.si_pid == 0)
		return (0);
	command->status = info.si_code == CLD_EXITED ?
	    info.si_status :
	    COMMAND_SIGNAL_BASE + info.si_status;
	close(command->pidfd);
	command->pidfd = -1;
	command->pid = -1;
	return (1);
}

int
command_reap(struct command *command)
{
	return (reap(command, WNOHANG));
}

void
command_end(struct command *command, int grace_ms)
{
	struct pollfd pfd = { .fd = command->pidfd, .events = POLLIN };

	if (command->pidfd == -1)
		return;
	command_signal(command, SIGTERM);
	if (poll(&pfd, 1, grace_ms) <= 0)
		command_signal(command, SIGKILL);
	reap(command, 0);
}
