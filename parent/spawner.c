#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <linux/close_range.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "ipc/fd_wait.h"
#include "ipc/log.h"
#include "parent/attest.h"
#include "parent/spawner.h"
#include "sandbox/isolate.h"

/* What it holds beside stdio. */
#define FD_CHANNEL 3
#define FD_EXE	   4

/* The channel and the pidfd of each child. */
#define PAIR_FDS 4

/* The descriptors of a pair, in the order in which they travel. */
static void
pair_fds(struct spawner_pair *pair, int *fds[PAIR_FDS])
{
	fds[0] = &pair->netproc.pidfd;
	fds[1] = &pair->netproc.channel_fd;
	fds[2] = &pair->relayproc.pidfd;
	fds[3] = &pair->relayproc.channel_fd;
}

/* Sends message, with the pair's descriptors where with_fds. */
static int
message_send(int fd, struct spawner_message *message, int with_fds)
{
	_Alignas(struct cmsghdr) char
	    control[CMSG_SPACE(PAIR_FDS * sizeof(int))];
	struct iovec iov = { .iov_base = message, .iov_len = sizeof(*message) };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct cmsghdr *cmsg;
	int *fds[PAIR_FDS], i;

	if (with_fds) {
		memset(control, 0, sizeof(control));
		mh.msg_control = control;
		mh.msg_controllen = sizeof(control);
		cmsg = CMSG_FIRSTHDR(&mh);
		cmsg->cmsg_level = SOL_SOCKET;
		cmsg->cmsg_type = SCM_RIGHTS;
		cmsg->cmsg_len = CMSG_LEN(PAIR_FDS * sizeof(int));
		pair_fds(&message->pair, fds);
		for (i = 0; i < PAIR_FDS; i++)
			memcpy(CMSG_DATA(cmsg) + (size_t)i * sizeof(int),
			    fds[i], sizeof(int));
	}
	if (sendmsg(fd, &mh, MSG_DONTWAIT | MSG_NOSIGNAL) ==
	    (ssize_t)sizeof(*message))
		return (0);
	return (-1);
}

/*
 * Receives one message; without descriptors those of the pair are -1.  The
 * length, 0 at the end, or -1 with errno.
 */
static ssize_t
message_receive(int fd, struct spawner_message *message, int flags)
{
	_Alignas(struct cmsghdr) char
	    control[CMSG_SPACE(PAIR_FDS * sizeof(int))];
	struct iovec iov = { .iov_base = message, .iov_len = sizeof(*message) };
	struct msghdr mh = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};
	const struct cmsghdr *cmsg;
	int *fds[PAIR_FDS], i;
	ssize_t n;

	do {
		n = recvmsg(fd, &mh, flags);
	} while (n == -1 && errno == EINTR);
	if (n <= 0)
		return (n);
	pair_fds(&message->pair, fds);
	cmsg = CMSG_FIRSTHDR(&mh);
	for (i = 0; i < PAIR_FDS; i++)
		*fds[i] = -1;
	if (cmsg != NULL && cmsg->cmsg_type == SCM_RIGHTS &&
	    cmsg->cmsg_len == CMSG_LEN(PAIR_FDS * sizeof(int)))
		for (i = 0; i < PAIR_FDS; i++)
			memcpy(fds[i],
			    CMSG_DATA(cmsg) + (size_t)i * sizeof(int),
			    sizeof(int));
	return (n);
}

/* Our references of what was sent are no longer needed. */
static void
pair_forget(struct spawner_pair *pair)
{
	int *fds[PAIR_FDS], i;

	pair_fds(pair, fds);
	for (i = 0; i < PAIR_FDS; i++) {
		if (*fds[i] != -1)
			close(*fds[i]);
		*fds[i] = -1;
	}
}

static void
answer_spawn(const struct spawn_config *config, struct spawner_message *message)
{
	struct spawner_pair *pair = &message->pair;

	message->result = spawn_children(config, &pair->netproc,
	    &pair->relayproc);
	if (message_send(FD_CHANNEL, message, message->result == 0) == -1)
		_exit(1); /* the parent is gone, and its children with it */
	if (message->result == 0)
		pair_forget(pair);
}

/* As attest_child(); the child is not ours, and may have been reaped. */
static int
look(const struct spawn_config *config, struct child *child, uint32_t *missed)
{
	int result = 1;

	child->pidfd = (int)syscall(SYS_pidfd_open, child->pid, 0);
	if (child->pidfd != -1 || errno != ESRCH)
		result = attest_child(child, config->strict, missed);
	if (child->pidfd != -1)
		close(child->pidfd);
	child->pidfd = -1;
	return (result);
}

static void
answer_attest(const struct spawn_config *config,
    struct spawner_message *message)
{
	struct spawner_pair *pair = &message->pair;
	/* Both, whatever the first lacks: the evidence tells of both. */
	const int netproc = look(config, &pair->netproc, &pair->netproc_missed);
	const int relayproc = look(config, &pair->relayproc,
	    &pair->relayproc_missed);

	message->result = netproc != 0 || relayproc != 0 ? -1 : 0;
	if (message_send(FD_CHANNEL, message, 0) == -1)
		_exit(1);
}

/* Nothing but the channel, this program, and stderr for its log lines. */
static void
keep_descriptors(int channel, int exe_fd)
{
	const int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);

	channel = fcntl(channel, F_DUPFD_CLOEXEC, FD_EXE + 1);
	exe_fd = fcntl(exe_fd, F_DUPFD_CLOEXEC, FD_EXE + 1);
	if (channel == -1 || exe_fd == -1 || null_fd == -1 ||
	    dup2(null_fd, STDIN_FILENO) == -1 ||
	    dup2(null_fd, STDOUT_FILENO) == -1 ||
	    dup3(channel, FD_CHANNEL, O_CLOEXEC) == -1 ||
	    dup3(exe_fd, FD_EXE, O_CLOEXEC) == -1 ||
	    close_range(FD_EXE + 1, ~0U, 0) == -1)
		fatal("spawner: descriptors");
}

static _Noreturn void
spawner_main(const struct spawn_config *config, int channel, pid_t parent)
{
	struct spawn_config own = *config;
	struct spawner_message message;
	sigset_t all;

	/* A terminal's signals are for the parent to handle in order. */
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) == -1 ||
	    getppid() != parent || chdir("/") == -1)
		_exit(1);
	keep_descriptors(channel, own.exe_fd);
	own.exe_fd = FD_EXE;
	own.parent_fd = FD_CHANNEL;
	if (sandbox_trim_spawner(own.strict) == -1)
		_exit(1);
	setproctitle("spawner");
	while (message_receive(FD_CHANNEL, &message, 0) ==
	    (ssize_t)sizeof(message)) {
		pair_forget(&message.pair);
		if (message.op == SPAWNER_SPAWN)
			answer_spawn(&own, &message);
		else if (message.op == SPAWNER_ATTEST)
			answer_attest(&own, &message);
		else
			break;
	}
	_exit(0);
}

void
spawner_init(struct spawner *spawner)
{
	spawner->pid = -1;
	spawner->pidfd = -1;
	spawner->fd = -1;
}

int
spawner_start(struct spawner *spawner, const struct spawn_config *config)
{
	const pid_t self = getpid();
	int fds[2], error;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) == -1)
		return (-1);
	spawner->pid = fork();
	if (spawner->pid == 0)
		spawner_main(config, fds[1], self);
	error = errno;
	close(fds[1]);
	spawner->fd = fds[0];
	if (spawner->pid != -1) {
		spawner->pidfd = (int)syscall(SYS_pidfd_open, spawner->pid, 0);
		if (spawner->pidfd != -1)
			return (0);
		error = errno;
		kill(spawner->pid, SIGKILL);
	}
	spawner_end(spawner);
	errno = error;
	return (-1);
}

int
spawner_ask(const struct spawner *spawner, enum spawner_op op,
    const struct spawner_pair *pair)
{
	struct spawner_message message;

	memset(&message, 0, sizeof(message));
	message.op = op;
	if (pair != NULL)
		message.pair = *pair;
	return (message_send(spawner->fd, &message, 0));
}

int
spawner_take(const struct spawner *spawner, struct spawner_message *message)
{
	ssize_t n;

	n = message_receive(spawner->fd, message,
	    MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	if (n == -1 && errno == EAGAIN)
		return (0);
	return (n == (ssize_t)sizeof(*message) && message->op < SPAWNER_NOPS ?
		1 :
		-1);
}

void
spawner_end(struct spawner *spawner)
{
	if (spawner->fd != -1)
		close(spawner->fd);
	/* One that is stopped sees no end of its channel. */
	if (spawner->pidfd != -1 &&
	    fd_wait(spawner->pidfd, POLLIN, SPAWNER_END_MS) != 1)
		syscall(SYS_pidfd_send_signal, spawner->pidfd, SIGKILL, NULL,
		    0);
	if (spawner->pid > 0)
		while (waitpid(spawner->pid, NULL, 0) == -1 && errno == EINTR)
			;
	if (spawner->pidfd != -1)
		close(spawner->pidfd);
	spawner_init(spawner);
}
