#include <sys/socket.h>

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "ipc/journal.h"
#include "ipc/kernel.h"
#include "parent/frame_open.h"

/* Bytes of frames in the socket; 16 of the largest. */
#define FRAME_SNDBUF (1024 * 1024)

static const char mend_fd[] =
    "pass a connected unix stream socket (socketpair), not opened "
    "close-on-exec";

static int
int_option(int fd, int name, int *value)
{
	socklen_t len = sizeof(*value);

	return (getsockopt(fd, SOL_SOCKET, name, value, &len));
}

/* NULL, or what the inherited descriptor is instead of what we take. */
static const char *
why_not(int fd)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);
	int domain, type, listening;

	if (fcntl(fd, F_GETFD) == -1)
		return ("is not open");
	if (int_option(fd, SO_DOMAIN, &domain) == -1)
		return ("is no socket");
	if (domain != AF_UNIX)
		return ("is no unix socket");
	if (int_option(fd, SO_TYPE, &type) == -1 || type != SOCK_STREAM)
		return (type == SOCK_DGRAM ?
			"is a datagram socket, which is not supported" :
			"is a socket of a type that is not supported");
	if (int_option(fd, SO_ACCEPTCONN, &listening) == 0 && listening != 0)
		return ("is a listening socket; for that say --socket PATH");
	if (getpeername(fd, (struct sockaddr *)&ss, &len) == -1)
		return ("is not connected");
	return (NULL);
}

static int
set_flags(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags == -1 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) == -1)
		return (-1);
	return (fcntl(fd, F_SETFD, FD_CLOEXEC));
}

void
frame_prepare(int fd)
{
	const int bytes = FRAME_SNDBUF, off = 0;

	/* No descriptor comes in beside frames; Linux 6.16 and later. */
	(void)setsockopt(fd, SOL_SOCKET, SO_PASSRIGHTS, &off, sizeof(off));

	/* Less than asked for, or the default, is slower and no error. */
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
}

static int
take_inherited(struct frame_source *source, int fd, struct config_error *error)
{
	socklen_t len = sizeof(source->vmm);
	const char *why = why_not(fd);

	if (why != NULL)
		return (config_error(error, EX_USAGE, "--fd %d: %s; %s", fd,
		    why, mend_fd));
	if (set_flags(fd) == -1 ||
	    getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &source->vmm, &len) == -1)
		return (config_error(error, EX_OSERR, "--fd %d: %s", fd,
		    strerror(errno)));
	frame_prepare(fd);
	source->fd = fd;
	return (0);
}

static int
open_pair(struct frame_source *source, struct config_error *error)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == -1)
		return (config_error(error, EX_OSERR, "socketpair: %s",
		    strerror(errno)));
	source->fd = pair[0];
	source->vmm_fd = pair[1];
	frame_prepare(pair[0]);
	frame_prepare(pair[1]);
	if (set_flags(source->fd) == -1)
		return (config_error(error, EX_OSERR, "socketpair: %s",
		    strerror(errno)));
	return (0);
}

void
frame_init(struct frame_source *source)
{
	memset(source, 0, sizeof(*source));
	source->listener.fd = -1;
	source->listener.dir_fd = -1;
	source->fd = -1;
	source->vmm_fd = -1;
	source->journal_fd = -1;
	source->command.pid = -1;
	source->command.pidfd = -1;
}

int
frame_open(const struct config *config, struct frame_source *source,
    struct config_error *error)
{
	int result;

	if (config->socket_path[0] != '\0')
		return (unix_listener_open(&source->listener,
		    config->socket_path, SOCK_STREAM, "socket", error));
	if (config->frame_fd != -1)
		result = take_inherited(source, config->frame_fd, error);
	else
		result = open_pair(source, error);
	if (result == -1)
		frame_close(source);
	return (result);
}

int
frame_open_journal(const struct config *config, struct frame_source *source,
    struct config_error *error)
{
	source->journal_fd = journal_create(config->max_flows +
	    config_max_inbound(config));
	if (source->journal_fd == -1)
		return (config_error(error, EX_OSERR, "memfd_create: %s%s",
		    strerror(errno),
		    errno == EFBIG ? "; raise the limit of a file's size "
				     "(ulimit -f)" :
				     ""));
	return (0);
}

/* What netproc says is gone is gone, though it had kept the socket. */
void
frame_drop(struct frame_source *source)
{
	if (source->fd != -1 && source->listener.fd != -1)
		(void)shutdown(source->fd, SHUT_RDWR);
	if (source->fd != -1)
		close(source->fd);
	source->fd = -1;
	memset(&source->vmm, 0, sizeof(source->vmm));
	memset(&source->frame, 0, sizeof(source->frame));
}

void
frame_close(struct frame_source *source)
{
	frame_drop(source);
	if (source->vmm_fd != -1)
		close(source->vmm_fd);
	source->vmm_fd = -1;
	if (source->journal_fd != -1)
		close(source->journal_fd);
	source->journal_fd = -1;
	unix_listener_close(&source->listener);
}
