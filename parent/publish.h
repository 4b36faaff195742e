#ifndef PARENT_PUBLISH_H
#define PARENT_PUBLISH_H

#include <stdint.h>

#include "parent/configuration.h"

/* A TCP listener or a bound UDP socket of --publish. */
struct publish_listener {
	int fd; /* owned, non-blocking; each relayproc gets a reference */
	struct ipc_listener what;
};

struct publish_set {
	uint32_t n;
	struct publish_listener list[CONFIG_LISTENERS_MAX];
};

/*
 * Opens and binds everything that config publishes.  0, or -1 with
 * error filled and nothing left open.
 */
int publish_open(const struct config *config, struct publish_set *set,
    struct config_error *error);

/*
 * Closes our references.  Not once a relayproc has had them: one that was taken
 * over may have connected one, and have it linger (SO_LINGER), and close(2)
 * then waits for a host of its choice.  The exit of a process does not.
 */
void publish_close(struct publish_set *set);

#endif
