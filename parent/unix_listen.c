#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "ipc/kernel.h"
#include "parent/unix_listen.h"

/* One VMM at a time; a second waits only until it is refused. */
#define UNIX_BACKLOG 4

/* How long another start may keep us from a directory. */
#define LOCK_TRIES  500
#define LOCK_TRY_MS 10

static socklen_t
sun_fill(struct sockaddr_un *sun, const char *path)
{
	memset(sun, 0, sizeof(*sun));
	sun->sun_family = AF_UNIX;
	strlcpy(sun->sun_path, path, sizeof(sun->sun_path));
	return (sizeof(*sun));
}

static int
status_of(int why)
{
	switch (why) {
	case EACCES:
	case EPERM:
	case EROFS:
		return (EX_NOPERM);
	default:
		return (EX_CANTCREAT);
	}
}

static void
split_path(struct unix_listener *listener, const char *path)
{
	const char *slash = strrchr(path, '/');
	size_t len;

	if (slash == NULL) {
		strlcpy(listener->dir, ".", sizeof(listener->dir));
		strlcpy(listener->name, path, sizeof(listener->name));
		return;
	}
	len = slash == path ? 1 : (size_t)(slash - path);
	memcpy(listener->dir, path, len);
	listener->dir[len] = '\0';
	strlcpy(listener->name, slash + 1, sizeof(listener->name));
}

/* bind(2) that gives the file mode 0600 from the start. */
static int
bind_private(int fd, const struct sockaddr_un *sun, socklen_t len)
{
	mode_t mask = umask(0177);
	int result;

	result = bind(fd, (const struct sockaddr *)sun, len);
	umask(mask);
	return (result);
}

/*
 * Something has the name.  0 if it was a socket without a listener and is
 * gone now; -1 with error filled.
 */
static int
remove_stale(const struct sockaddr_un *sun, socklen_t len, int type,
    const char *option, struct config_error *error)
{
	struct stat st;
	int fd, result, why;

	if (lstat(sun->sun_path, &st) == -1)
		return (errno == ENOENT ?
			0 :
			config_error(error, EX_OSERR, "--%s %s: %s", option,
			    sun->sun_path, strerror(errno)));
	if (!S_ISSOCK(st.st_mode))
		return (config_error(error, EX_CANTCREAT,
		    "--%s %s: exists and is no socket; remove it or choose "
		    "another path",
		    option, sun->sun_path));
	fd = socket(AF_UNIX, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd == -1)
		return (config_error(error, EX_OSERR, "--%s: socket: %s",
		    option, strerror(errno)));
	result = connect(fd, (const struct sockaddr *)sun, len);
	why = errno;
	close(fd);
	if (result == 0 || why != ECONNREFUSED)
		return (config_error(error, EX_UNAVAILABLE,
		    "--%s %s: another program listens there; stop it or "
		    "choose another path",
		    option, sun->sun_path));
	if (unlink(sun->sun_path) == -1 && errno != ENOENT)
		return (config_error(error, status_of(errno),
		    "--%s %s: cannot remove the socket that a dead process "
		    "left: %s; remove it",
		    option, sun->sun_path, strerror(errno)));
	return (0);
}

static int
bind_fresh(struct unix_listener *listener, const char *path, int type,
    const char *option, struct config_error *error)
{
	struct sockaddr_un sun;
	socklen_t len = sun_fill(&sun, path);

	if (bind_private(listener->fd, &sun, len) == 0)
		return (0);
	if (errno == EADDRINUSE) {
		if (remove_stale(&sun, len, type, option, error) == -1)
			return (-1);
		if (bind_private(listener->fd, &sun, len) == 0)
			return (0);
	}
	return (config_error(error, status_of(errno),
	    "--%s %s: cannot make the socket: %s; choose a directory that "
	    "you can write to",
	    option, path, strerror(errno)));
}

/*
 * Between its bind(2) and its listen(2) a socket looks like one that a dead
 * process left: who makes one holds a lock of the directory meanwhile, so that
 * two starts on one path do not take it from each other.  Returns owned, -1
 * where there is no lock to be had; the start goes on without.
 */
static int
dir_lock(const char *dir)
{
	const struct timespec pause = { .tv_nsec = LOCK_TRY_MS * 1000000L };
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), tries;

	for (tries = 0; fd != -1 && tries < LOCK_TRIES; tries++) {
		if (flock(fd, LOCK_EX | LOCK_NB) == 0)
			return (fd);
		if (errno != EWOULDBLOCK)
			break;
		nanosleep(&pause, NULL);
	}
	if (fd != -1)
		close(fd);
	return (-1);
}

static int
listener_bind(struct unix_listener *listener, const char *path, int type,
    const char *option, struct config_error *error)
{
	const int off = 0;
	struct stat st;

	/*
	 * What is accepted inherits it, so that no descriptor comes in even
	 * before that; Linux 6.16 and later.
	 */
	(void)setsockopt(listener->fd, SOL_SOCKET, SO_PASSRIGHTS, &off,
	    sizeof(off));
	if (bind_fresh(listener, path, type, option, error) == -1) {
		close(listener->fd);
		listener->fd = -1;
		return (-1);
	}
	listener->dir_fd = open(listener->dir, O_PATH | O_CLOEXEC);
	if (listener->dir_fd == -1 ||
	    fstatat(listener->dir_fd, listener->name, &st,
		AT_SYMLINK_NOFOLLOW) == -1 ||
	    listen(listener->fd, UNIX_BACKLOG) == -1) {
		config_error(error, EX_OSERR, "--%s %s: %s", option, path,
		    strerror(errno));
		unlink(path);
		unix_listener_close(listener);
		return (-1);
	}
	listener->dev = st.st_dev;
	listener->ino = st.st_ino;
	return (0);
}

int
unix_listener_open(struct unix_listener *listener, const char *path, int type,
    const char *option, struct config_error *error)
{
	int lock, result;

	memset(listener, 0, sizeof(*listener));
	listener->dir_fd = -1;
	split_path(listener, path);
	listener->fd = socket(AF_UNIX, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (listener->fd == -1)
		return (config_error(error, EX_OSERR, "--%s: socket: %s",
		    option, strerror(errno)));
	lock = dir_lock(listener->dir);
	result = listener_bind(listener, path, type, option, error);
	if (lock != -1)
		close(lock);
	return (result);
}

int
unix_listener_accept(struct unix_listener *listener, struct ucred *peer)
{
	socklen_t len = sizeof(*peer);
	int fd, error;

	memset(peer, 0, sizeof(*peer));
	fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd == -1)
		return (-1);
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, peer, &len) == -1) {
		error = errno;
		close(fd);
		errno = error;
		return (-1);
	}
	return (fd);
}

void
unix_listener_close(struct unix_listener *listener)
{
	struct stat st;

	if (listener->fd == -1)
		return;
	/* Somebody may have put another socket in its place meanwhile. */
	if (listener->dir_fd != -1 &&
	    fstatat(listener->dir_fd, listener->name, &st,
		AT_SYMLINK_NOFOLLOW) == 0 &&
	    st.st_dev == listener->dev && st.st_ino == listener->ino &&
	    unlinkat(listener->dir_fd, listener->name, 0) == -1)
		log_warn("%s/%s is left behind: %s", listener->dir,
		    listener->name, strerror(errno));
	if (listener->dir_fd != -1)
		close(listener->dir_fd);
	close(listener->fd);
	listener->dir_fd = -1;
	listener->fd = -1;
}
