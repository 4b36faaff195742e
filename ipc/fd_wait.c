#include <poll.h>
#include <stddef.h>
#include <time.h>

#include "ipc/fd_wait.h"

int
fd_wait(int fd, short events, int timeout_ms)
{
	const struct timespec timeout = {
		.tv_sec = timeout_ms / 1000,
		.tv_nsec = timeout_ms % 1000 * 1000000L,
	};
	struct pollfd pfd = { .fd = fd, .events = events };

	return (ppoll(&pfd, 1, &timeout, NULL));
}
