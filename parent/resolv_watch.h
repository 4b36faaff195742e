#ifndef PARENT_RESOLV_WATCH_H
#define PARENT_RESOLV_WATCH_H

#include <limits.h>

/*
 * Sees that a resolv.conf has changed: written in place, replaced by a rename,
 * or made anew, also where its name is a symbolic link or a mount.
 *
 * All of inotify(7) is set up before the lock.  What is then left to do, to
 * open the file and read it, is fenced twice: the filter lets openat(2) open
 * for reading alone, and Landlock nothing but the paths of readable:
 *
 *	the file	it may be written in place
 *	its directory	it may be replaced, or come, where the name is a link to
 *			another directory: such hold this and little else
 *	the name's	likewise, unless we are root: root could then read all
 *	directory	that is secret in /etc
 *
 * So a plain file in /etc that is replaced is out of root's reach; that is
 * said, and what was known stays.
 */

#define RESOLV_WATCH_READABLE 3

struct resolv_watch {
	int fd;	     /* inotify, non-blocking; or -1 */
	int file_wd; /* of the file itself, or -1 */
	char path[PATH_MAX];
	char dir[PATH_MAX];
	char real[PATH_MAX]; /* path, its links followed */
	char real_dir[PATH_MAX];
	const char *readable[RESOLV_WATCH_READABLE + 1]; /* ended by NULL */
};

void resolv_watch_init(struct resolv_watch *watch);

/*
 * Watches path, an absolute one; the file need not be there.  as_root: what
 * uid 0 may not read is left out of readable.  0, or -1 with errno.
 */
int resolv_watch_open(struct resolv_watch *watch, const char *path,
    int as_root);

/* Takes what has happened.  1 if the file may have changed, else 0. */
int resolv_watch_read(struct resolv_watch *watch);

void resolv_watch_close(struct resolv_watch *watch);

#endif
