#include <sys/socket.h>
#include <sys/uio.h>

#include <stdint.h>
#include <unistd.h>

#include "netproc/link/chunk.h"

/* A write that is always too long, of the same bytes again and again. */
#define PROBE_IOV   16
#define PROBE_BYTES (32 * 1024)

/* SO_SNDBUF of the first try, and how much more the next ones have. */
#define SNDBUF_FIRST (64 * 1024)
#define SNDBUF_STEP  (4 * 1024)
#define NTRIES	     16

/* How much an empty socket takes, or -1. */
static ssize_t
taken(int sndbuf)
{
	static const char bytes[PROBE_BYTES];
	struct iovec iov[PROBE_IOV];
	ssize_t n = -1;
	int fds[2], i;

	for (i = 0; i < PROBE_IOV; i++) {
		iov[i].iov_base = (void *)(uintptr_t)bytes;
		iov[i].iov_len = sizeof(bytes);
	}
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0,
		fds) == -1)
		return (-1);
	if (setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &sndbuf,
		sizeof(sndbuf)) == 0)
		n = writev(fds[0], iov, PROBE_IOV);
	close(fds[0]);
	close(fds[1]);
	return (n);
}

/* A little more room is room for one more piece. */
size_t
chunk_probe(void)
{
	ssize_t first, more, chunk;
	int i;

	first = taken(SNDBUF_FIRST);
	for (i = 1; i <= NTRIES; i++) {
		more = taken(SNDBUF_FIRST + i * SNDBUF_STEP);
		if (more != first)
			break;
	}
	chunk = more - first;
	if (i > NTRIES || first <= 0 || chunk <= 0 || first % chunk != 0)
		return (0);
	return ((size_t)chunk);
}
