#ifndef PARENT_UNIX_LISTEN_H
#define PARENT_UNIX_LISTEN_H

#include <sys/socket.h>
#include <sys/types.h>

#include "parent/configuration.h"

/*
 * A listening unix socket in the file system, for the owner alone (mode 0600
 * from its birth), removed again at the end if it is still ours.
 */
struct unix_listener {
	int fd;	    /* -1 when closed */
	int dir_fd; /* the directory it lies in, O_PATH */
	char dir[CONFIG_SUN_PATH_MAX + 1];
	char name[CONFIG_SUN_PATH_MAX + 1]; /* within dir */
	dev_t dev;
	ino_t ino;
};

/*
 * Makes the socket.  A socket there that nobody listens on (a sidecar that
 * was killed left it) is replaced; anything else is left alone and refused.
 * path: 1..107 bytes; type: SOCK_STREAM or SOCK_SEQPACKET; option is its name
 * for the line in error.  0, or -1 with error filled.
 */
int unix_listener_open(struct unix_listener *listener, const char *path,
    int type, const char *option, struct config_error *error);

/*
 * Accepts one connection: a non-blocking descriptor, *peer tells who.  -1
 * with errno.
 */
int unix_listener_accept(struct unix_listener *listener, struct ucred *peer);

/* Closes it and removes its name.  Harmless on a closed one. */
void unix_listener_close(struct unix_listener *listener);

#endif
