/* The remote hosts, at the other ends of what relayproc lends and splices. */

#include <sys/socket.h>

#include <unistd.h>

#include "tests/fuzz/whole.h"

enum act {
	ACT_WRITE,
	ACT_READ,
	ACT_SHUTDOWN,
	ACT_CLOSE,
	ACT_N
};

int
whole_remote_new(int conn, uint32_t iss, uint16_t guest_port, int small)
{
	struct whole_remote *remote = &whole.remotes[whole.nremotes];
	const int size = 4096;
	int fds[2];

	if (whole.nremotes == WHOLE_REMOTES)
		return (-1);
	FUZZ_CHECK(socketpair(AF_UNIX,
		       SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0,
		       fds) == 0);
	if (small)
		setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	memset(remote, 0, sizeof(*remote));
	remote->fd = fds[1];
	remote->conn = conn;
	remote->iss = iss;
	remote->guest_port = guest_port;
	whole.nremotes++;
	return (fds[0]);
}

uint32_t
whole_remote_splice(uint32_t slot, uint32_t generation, int spliced)
{
	struct whole_remote *remote = &whole.remotes[whole.nremotes - 1];

	remote->spliced = spliced;
	remote->slot = slot;
	remote->generation = generation;
	return ((uint32_t)spliced);
}

/* As long as relayproc has not heard of the flow's end. */
static void
say_ended(struct whole_remote *remote, enum flow_end end)
{
	const struct flow *flow = flow_by_wire_slot(&whole.np->flows,
	    remote->slot);
	const struct ipc_flow_ended ended = { .end = end };

	if (end <= remote->ended || flow->generation != remote->generation ||
	    flow->state == FLOW_FREE)
		return;
	remote->ended = end;
	whole_relay_tell(IPC_FLOW_ENDED, remote->slot, remote->generation,
	    &ended, sizeof(ended));
}

static void
remote_read(struct whole_remote *remote, size_t max)
{
	static uint8_t bytes[65536];
	ssize_t n;
	size_t i;

	n = read(remote->fd, bytes, max < sizeof(bytes) ? max : sizeof(bytes));
	if (n <= 0)
		return;
	whole_scan(bytes, (size_t)n);
	for (i = 0; i < (size_t)n && !whole.tainted && remote->conn != -1; i++)
		FUZZ_CHECK(bytes[i] ==
		    whole_up_byte(remote->conn, remote->iss,
			remote->read + (uint32_t)i));
	remote->read += (uint32_t)n;
}

static void
remote_write(int which, struct whole_remote *remote, size_t len)
{
	static uint8_t bytes[65536];
	ssize_t n;
	size_t i;

	for (i = 0; i < len; i++)
		bytes[i] = whole_down_byte(which,
		    remote->written + (uint32_t)i);
	n = send(remote->fd, bytes, len, MSG_NOSIGNAL);
	if (n > 0)
		remote->written += (uint32_t)n;
}

/* which what n: a remote host writes, reads, or ends. */
void
whole_remote_act(struct whole_bytes *in)
{
	const uint8_t which = whole_u8(in), what = whole_u8(in);
	const uint16_t n = whole_u16(in);
	struct whole_remote *remote;
	int i;

	if (whole.nremotes == 0)
		return;
	i = which % (int)whole.nremotes;
	remote = &whole.remotes[i];
	if (remote->fd == -1)
		return;
	switch ((enum act)(what % ACT_N)) {
	case ACT_WRITE:
		if (remote->ended == FLOW_END_NONE)
			remote_write(i, remote, n);
		break;
	case ACT_READ:
		remote_read(remote, n);
		break;
	case ACT_SHUTDOWN:
		if (remote->spliced)
			say_ended(remote, FLOW_END_FIN);
		else
			shutdown(remote->fd, SHUT_WR);
		break;
	default:
		/* A stream that ends without a word has lost relayproc. */
		if (remote->spliced && (n & 1) != 0)
			say_ended(remote, FLOW_END_RESET);
		close(remote->fd);
		remote->fd = -1;
		break;
	}
}
