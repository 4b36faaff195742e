#ifndef RELAYPROC_PUBLISH_ACCEPT_H
#define RELAYPROC_PUBLISH_ACCEPT_H

#include <stddef.h>
#include <stdint.h>

#include <event2/event_struct.h>

#include "ipc/proto.h"

/* Published ports: the parent has bound them, clients are accepted here. */

struct relayproc;

/*
 * More is a configuration error and refused at start.  Test:
 * more_records_than_a_table_holds_end_it.
 */
#define LISTENERS_MAX 1024

struct listener {
	struct relayproc *owner; /* borrowed, for event callbacks */
	struct event ev;
	int fd; /* owned */
	uint16_t guest_port;
	uint32_t preserve; /* for netproc */
};

struct publish {
	struct listener list[LISTENERS_MAX];
	size_t n;
	int running;	    /* the listeners are in the event loop */
	uint64_t resume_ms; /* when to try again, UINT64_MAX: not waiting */
};

/*
 * Before the lock: fd, consumed, is made to listen again if it does not.  0, or
 * -1 with errno ENOSPC (fd is closed then too).
 */
int publish_add(struct relayproc *rp, const struct ipc_listener *msg, int fd);

/* Starts to accept; before it clients wait in the kernel's queue. */
void publish_start(struct relayproc *rp);

/* Stops for good. */
void publish_stop(struct relayproc *rp);

/* Goes on after a pause, if it is time to and netproc keeps up. */
void publish_resume(struct relayproc *rp, uint64_t now_ms);

#endif
