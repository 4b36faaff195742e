/* Two ends of a channel, relayproc's and netproc's. */
#ifndef TESTS_UNIT_CHANNEL_PAIR_H
#define TESTS_UNIT_CHANNEL_PAIR_H

#include <sys/socket.h>

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "ipc/channel.h"

#define RING 8

struct pair {
	struct channel relay, net; /* relayproc's end and netproc's */
};

static int
setup(void **state)
{
	static struct pair pair;
	int fds[2];

	signal(SIGPIPE, SIG_IGN);
	assert_return_code(socketpair(AF_UNIX,
			       SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0,
			       fds),
	    errno);
	assert_return_code(channel_init(&pair.relay, fds[0], ROLE_RELAYPROC,
			       ROLE_NETPROC, IPC_DGRAM_MAX, RING),
	    errno);
	assert_return_code(channel_init(&pair.net, fds[1], ROLE_NETPROC,
			       ROLE_RELAYPROC, IPC_DGRAM_MAX, RING),
	    errno);
	pair.relay.phase = IPC_RUN;
	pair.net.phase = IPC_RUN;
	*state = &pair;
	return (0);
}

static int
teardown(void **state)
{
	struct pair *pair = *state;

	channel_close(&pair->relay);
	channel_close(&pair->net);
	return (0);
}

static const struct ipc_flow_close reset = { .reason = FLOW_CLOSE_RESET };

static int
say_close(struct channel *ch, uint32_t flow)
{
	return (channel_send(ch, IPC_FLOW_CLOSE, flow, 7, &reset,
	    sizeof(reset)));
}

#endif
