#ifndef PARENT_NOTIFY_H
#define PARENT_NOTIFY_H

#include "parent/configuration.h"

/*
 * Says once that every process is locked down: sd_notify(3)'s READY=1 to
 * NOTIFY_SOCKET, and "READY=1\n" to --ready-fd.
 */
struct notify {
	int socket_fd; /* connected datagram socket, or -1 */
	int ready_fd;  /* or -1 */
};

/*
 * Opens what is asked for; NOTIFY_SOCKET goes from the environment, so that
 * COMMAND does not speak for us.  0, or -1 with error filled.
 */
int notify_open(const struct config *config, struct notify *notify,
    struct config_error *error);

/* Announces, and closes both. */
void notify_ready(struct notify *notify);

/* Closes both without a word. */
void notify_close(struct notify *notify);

#endif
