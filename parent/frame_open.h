#ifndef PARENT_FRAME_OPEN_H
#define PARENT_FRAME_OPEN_H

#include <sys/socket.h>

#include "ipc/proto.h"
#include "parent/command.h"
#include "parent/configuration.h"
#include "parent/unix_listen.h"

/*
 * Where frames come from: a listening socket, an inherited socket, or the
 * socket of a COMMAND.  fd is the parent's own reference to the connected
 * socket while netproc uses it.
 */
struct frame_source {
	struct unix_listener listener; /* --socket */
	int fd;			       /* of the VMM that is connected, or -1 */
	int journal_fd;	  /* of netproc, who hands it on (ipc/journal.h) */
	int vmm_fd;	  /* COMMAND's end until it has started, or -1 */
	struct ucred vmm; /* who is connected */
	struct ipc_frame frame; /* what a netproc is told of it */
	struct command command;
};

/* Opens what config names.  0, or -1 with error filled. */
int frame_open(const struct config *config, struct frame_source *source,
    struct config_error *error);

/*
 * Asks for room for frames towards the VMM; the kernel gives at most
 * net.core.wmem_max.  Without it a sidecar that writes and a VMM that reads
 * wait for each other more often.  And refuses descriptors that a VMM might
 * send, where the kernel can.
 */
void frame_prepare(int fd);

/* No source: every descriptor -1. */
void frame_init(struct frame_source *source);

/* The VMM is gone: drops our reference. */
void frame_drop(struct frame_source *source);

/*
 * Makes the journal for as many flows as config allows.  0, or -1 with error
 * filled.
 */
int frame_open_journal(const struct config *config, struct frame_source *source,
    struct config_error *error);

/* Closes all, removes the socket's name.  COMMAND is not touched. */
void frame_close(struct frame_source *source);

#endif
