#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "ipc/fd_wait.h"
#include "parent/notify.h"

static const char word[] = "READY=1\n";

/* How long who is told may take to make room for that. */
#define ROOM_MS 2000

/* A path, or "@name" for an abstract socket. */
static int
connect_to(const char *name)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	size_t len = strlen(name);
	int fd, error;

	if ((name[0] != '/' && name[0] != '@') || len < 2 ||
	    len >= sizeof(sun.sun_path)) {
		errno = EINVAL;
		return (-1);
	}
	memcpy(sun.sun_path, name, len);
	if (name[0] == '@')
		sun.sun_path[0] = '\0';
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd == -1)
		return (-1);
	len += offsetof(struct sockaddr_un, sun_path);
	if (connect(fd, (struct sockaddr *)&sun, (socklen_t)len) == -1) {
		error = errno;
		close(fd);
		errno = error;
		return (-1);
	}
	return (fd);
}

/* The descriptor is ours alone from here on.  0, or -1 with errno. */
static int
take(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags == -1)
		return (-1);
	if ((flags & O_ACCMODE) == O_RDONLY) {
		errno = EBADF;
		return (-1);
	}
	return (fcntl(fd, F_SETFD, FD_CLOEXEC));
}

int
notify_open(const struct config *config, struct notify *notify,
    struct config_error *error)
{
	const char *name = getenv("NOTIFY_SOCKET");

	notify->socket_fd = -1;
	notify->ready_fd = -1;
	if (config->ready_fd != -1 && take(config->ready_fd) == -1)
		return (config_error(error, EX_USAGE,
		    "--ready-fd %d: %s; pass a descriptor open for writing",
		    config->ready_fd, strerror(errno)));
	notify->ready_fd = config->ready_fd;
	if (name != NULL && name[0] != '\0') {
		notify->socket_fd = connect_to(name);
		if (notify->socket_fd == -1)
			return (config_error(error, EX_UNAVAILABLE,
			    "NOTIFY_SOCKET=%s: %s; unset it or start what "
			    "listens there",
			    name, strerror(errno)));
	}
	unsetenv("NOTIFY_SOCKET");
	return (0);
}

/* 0, or -1 with errno. */
static int
wait_for_room(int fd)
{
	int n = fd_wait(fd, POLLOUT, ROOM_MS);

	if (n == 0)
		errno = EAGAIN;
	return (n == 1 ? 0 : -1);
}

void
notify_ready(struct notify *notify)
{
	/* The parent's filter knows write(2) to stderr, writev(2) to all. */
	struct iovec iov = { .iov_base = (void *)(uintptr_t)word,
		.iov_len = sizeof(word) - 1 };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1 };

	/* Who never hears of it takes the start for a failed one. */
	if (notify->socket_fd != -1 &&
	    (wait_for_room(notify->socket_fd) == -1 ||
		sendmsg(notify->socket_fd, &mh, MSG_DONTWAIT | MSG_NOSIGNAL) ==
		    -1))
		log_warn("NOTIFY_SOCKET: %s", strerror(errno));
	/* Which may block, and that for ever. */
	if (notify->ready_fd != -1 &&
	    (wait_for_room(notify->ready_fd) == -1 ||
		writev(notify->ready_fd, &iov, 1) == -1))
		log_warn("--ready-fd: %s", strerror(errno));
	notify_close(notify);
}

void
notify_close(struct notify *notify)
{
	if (notify->socket_fd != -1)
		close(notify->socket_fd);
	if (notify->ready_fd != -1)
		close(notify->ready_fd);
	notify->socket_fd = -1;
	notify->ready_fd = -1;
}
