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

/* Closes our references. */
void publish_close(struct publish_set *set);

#endif
