#ifndef PARENT_CONTROL_H
#define PARENT_CONTROL_H

#include "ipc/log.h"
#include "parent/configuration.h"
#include "parent/unix_listen.h"

/*
 * The control socket (--control), SEQPACKET: a client sends one record, a
 * verb; the answer is one record of text, and the end.  Only root and our
 * own uid are heard.
 */

#define CONTROL_RECORD_MAX 4096 /* longest answer; longer ones are cut */
#define CONTROL_VERB_MAX   64

/* Clients at once; more wait in the backlog. */
#define CONTROL_CLIENTS_MAX 4

/* A client that says nothing for so long is dropped. */
#define CONTROL_IDLE_S 5

struct event;
struct event_base;
struct parent;

struct control_client {
	struct control *control;
	int fd; /* -1: free */
	struct event *ev;
};

struct control {
	const struct parent *parent; /* what status tells about */
	struct unix_listener listener;
	struct event *ev;
	struct control_client clients[CONTROL_CLIENTS_MAX];
	struct log_limit refused_limit; /* lines about who was refused */
};

/* Nothing open. */
void control_init(struct control *control, const struct parent *parent);

/* Opens config->control_path if there is one.  0, or -1 with error filled. */
int control_open(struct control *control, const struct config *config,
    struct config_error *error);

/* Serves clients from now on.  0, or -1 with errno ENOMEM. */
int control_watch(struct control *control, struct event_base *base);

/* Drops clients, closes, removes the socket's name. */
void control_close(struct control *control);

#endif
