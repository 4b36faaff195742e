#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include <event2/event.h>

#include <cmocka.h>

#include "ipc/child_base.h"
#include "sandbox/rules.h"
#include "tests/unit/relay_jail.h"

#define ABOVE_ALL_FIXED 64

static pid_t jailed = -1;

static void
fd_place(int *fd, int where)
{
	if (dup2(*fd, where) == -1)
		_exit(99);
	*fd = where;
}

/* The child's life: the descriptors of the real one, and its filter. */
static _Noreturn void
jailed_main(struct relayproc *rp, rlim_t nofile)
{
	const struct rlimit limit = { nofile, nofile };
	int fds[3], i;

	fds[0] = fcntl(rp->parent.fd, F_DUPFD, ABOVE_ALL_FIXED);
	fds[1] = fcntl(rp->peer.fd, F_DUPFD, ABOVE_ALL_FIXED);
	fds[2] = fcntl(rp->dgram.fd, F_DUPFD, ABOVE_ALL_FIXED);
	for (i = 0; i < 3; i++)
		fd_place(&fds[i], FD_PARENT + i);
	rp->parent.fd = FD_PARENT;
	rp->peer.fd = FD_PEER;
	rp->dgram.fd = FD_DGRAM;
	if (close_range(FD_EPOLL, ~0U, 0) == -1)
		_exit(98);
	rp->base = child_base_new();
	signal(SIGPIPE, SIG_IGN);
	relayproc_setup(rp);
	if (setrlimit(RLIMIT_NOFILE, &limit) == -1 ||
	    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == -1 ||
	    filter_load(ROLE_RELAYPROC, (int)rp->config.splice) == -1)
		_exit(97);
	relayproc_ready(rp, 0);
	while (!rp->stop)
		relayproc_turn(rp, EVLOOP_ONCE);
	relayproc_end(rp);
	_exit(0);
}

void
jailed_start(struct life *life, rlim_t nofile)
{
	const struct ipc_empty serve = { 0 };
	struct ipc_msg msg;

	life_configure(life);
	jailed = fork();
	assert_int_not_equal(jailed, -1);
	if (jailed == 0)
		jailed_main(life->rp, nofile);
	life_drop_relayproc(life);
	life_expect(life, &life->parent, IPC_HELLO_ACK, &msg);
	life_expect(life, &life->parent, IPC_READY, &msg);
	life->parent.phase = IPC_RUN;
	assert_int_equal(channel_send(&life->parent, IPC_SERVE, 0, 0, &serve,
			     sizeof(serve)),
	    0);
}

/* The process has to end by itself, with this status. */
void
expect_exit(int status)
{
	int how = 0;

	assert_int_equal(waitpid(jailed, &how, 0), jailed);
	jailed = -1;
	if (WIFSIGNALED(how))
		fail_msg("killed by signal %d", WTERMSIG(how));
	assert_int_equal(WEXITSTATUS(how), status);
}

void
jailed_stop(struct life *life)
{
	const struct ipc_empty empty = { 0 };

	assert_int_equal(channel_send(&life->parent, IPC_STOP, 0, 0, &empty,
			     sizeof(empty)),
	    0);
	expect_exit(0);
}

int
jailed_setup(void **state)
{
	struct life *life;

	if (life_setup(state) == -1)
		return (-1);
	life = *state;
	life_rule(life, RULE_UNSAFE_ALLOW, "127.0.0.0/8");
	return (0);
}

int
jailed_teardown(void **state)
{
	struct life *life = *state;

	if (jailed != -1) {
		kill(jailed, SIGKILL);
		waitpid(jailed, NULL, 0);
		jailed = -1;
	}
	channel_close(&life->parent);
	channel_close(&life->peer);
	channel_close(&life->dgram);
	free(life);
	return (0);
}
