#include <sys/inotify.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "parent/resolv_watch.h"

/* A directory: a file was written, came by that name, or is a new link. */
#define DIR_EVENTS (IN_CLOSE_WRITE | IN_MOVED_TO | IN_CREATE | IN_ONLYDIR)

/* Room for some events with the longest names. */
#define EVENTS_BYTES (16 * (sizeof(struct inotify_event) + NAME_MAX + 1))

void
resolv_watch_init(struct resolv_watch *watch)
{
	memset(watch, 0, sizeof(*watch));
	watch->fd = -1;
	watch->file_wd = -1;
}

/* Returns borrowed: what follows the last slash. */
static const char *
base_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	return (slash != NULL ? slash + 1 : path);
}

/* dir has PATH_MAX bytes. */
static void
dir_of(const char *path, char *dir)
{
	strlcpy(dir, path, PATH_MAX);
	dir[base_of(path) - path] = '\0';
}

static void
list_readable(struct resolv_watch *watch, int as_root)
{
	size_t n = 0;

	if (access(watch->real, F_OK) == 0)
		watch->readable[n++] = watch->real;
	if (strcmp(watch->dir, watch->real_dir) != 0)
		watch->readable[n++] = watch->real_dir;
	if (!as_root)
		watch->readable[n++] = watch->dir;
}

/*
 * Where a link leads, though nothing is there: what sets up the network may
 * write the file after our start.  real has PATH_MAX bytes.  0, or -1 where
 * path is no link, or its directory is not there either.
 */
static int
link_target(const char *path, char *real)
{
	char target[PATH_MAX], whole[PATH_MAX], dir[PATH_MAX];
	ssize_t n = readlink(path, target, sizeof(target) - 1);

	if (n <= 0)
		return (-1);
	target[n] = '\0';
	dir_of(target[0] == '/' ? "" : path, whole);
	if (strlcat(whole, target, sizeof(whole)) >= sizeof(whole))
		return (-1);
	dir_of(whole, dir);
	if (realpath(dir, real) == NULL ||
	    strlcat(real, "/", PATH_MAX) >= PATH_MAX ||
	    strlcat(real, base_of(whole), PATH_MAX) >= PATH_MAX)
		return (-1);
	return (0);
}

int
resolv_watch_open(struct resolv_watch *watch, const char *path, int as_root)
{
	resolv_watch_init(watch);
	if (path[0] != '/' ||
	    strlcpy(watch->path, path, PATH_MAX) >= PATH_MAX) {
		errno = EINVAL;
		return (-1);
	}
	/* A name that leads nowhere may become one that does. */
	if (realpath(path, watch->real) == NULL &&
	    link_target(path, watch->real) == -1)
		strlcpy(watch->real, path, PATH_MAX);
	dir_of(path, watch->dir);
	dir_of(watch->real, watch->real_dir);
	watch->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (watch->fd == -1)
		return (-1);
	if (inotify_add_watch(watch->fd, watch->dir, DIR_EVENTS) == -1 ||
	    inotify_add_watch(watch->fd, watch->real_dir, DIR_EVENTS) == -1) {
		resolv_watch_close(watch);
		return (-1);
	}
	/* A file that is a mount has its directory elsewhere. */
	watch->file_wd = inotify_add_watch(watch->fd, watch->real,
	    IN_CLOSE_WRITE);
	list_readable(watch, as_root);
	return (0);
}

static int
is_ours(const struct resolv_watch *watch, const struct inotify_event *event,
    const char *name)
{
	/* Events were lost. */
	if ((event->mask & IN_Q_OVERFLOW) != 0)
		return (1);
	if ((event->mask & IN_IGNORED) != 0)
		return (0);
	if (event->wd == watch->file_wd)
		return (1);
	return (event->len > 0 &&
	    (strcmp(name, base_of(watch->path)) == 0 ||
		strcmp(name, base_of(watch->real)) == 0));
}

int
resolv_watch_read(struct resolv_watch *watch)
{
	static _Alignas(8) char buf[EVENTS_BYTES];
	struct inotify_event event;
	size_t at, left;
	int ours = 0;
	ssize_t n;

	/* The kernel gives whole events, each name ended by NUL: inotify(7). */
	while ((n = read(watch->fd, buf, sizeof(buf))) > 0) {
		left = (size_t)n;
		for (at = 0; left >= sizeof(event); at += event.len) {
			memcpy(&event, buf + at, sizeof(event));
			at += sizeof(event);
			left -= sizeof(event);
			if (event.len > left)
				break;
			left -= event.len;
			ours |= is_ours(watch, &event, buf + at);
		}
	}
	return (ours);
}

void
resolv_watch_close(struct resolv_watch *watch)
{
	int error = errno;

	if (watch->fd != -1)
		close(watch->fd);
	watch->fd = -1;
	errno = error;
}
