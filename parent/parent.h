#ifndef PARENT_PARENT_H
#define PARENT_PARENT_H

#include <signal.h>
#include <stdint.h>

#include "ipc/channel_event.h"
#include "ipc/log.h"
#include "parent/configuration.h"
#include "parent/control.h"
#include "parent/cpu_alarm.h"
#include "parent/evidence.h"
#include "parent/frame_open.h"
#include "parent/host_addrs.h"
#include "parent/host_routes.h"
#include "parent/notify.h"
#include "parent/publish.h"
#include "parent/resolv_conf.h"
#include "parent/resolv_watch.h"
#include "parent/respawn.h"
#include "parent/spawn.h"
#include "parent/watchdog.h"

struct event;
struct event_base;

/* The parent's state; one of it exists. */

enum parent_state {
	PARENT_SETUP,	/* the children are not ready */
	PARENT_RUN,	/* watching */
	PARENT_STOPPING /* STOP was said, or a child was lost */
};

/* How far an orderly end has come; see run.c. */
enum stop_stage {
	STOP_NONE,
	STOP_NETPROC,	/* netproc was told to stop */
	STOP_RELAYPROC, /* relayproc, too */
	STOP_KILL,	/* whoever lived was killed */
	STOP_COMMAND	/* and COMMAND gets a little longer */
};

/* A child, and the channel to it. */
struct peer {
	struct parent *parent;
	struct child child;
	struct channel channel;
	struct channel_event channel_event;
	struct event *ev_exit;	/* on the pidfd; NULL once it has ended */
	struct event *ev_doubt; /* it looks dead; NULL unless it ever did */
	struct cpu_alarm alarm; /* it is busy: the watchdog asks */
	struct log_limit log_limit;
	int hello_acked;
	int ready;
	uint32_t missed;    /* isolation stages that do not hold */
	uint32_t asked;	    /* questions of the watchdog's without an answer */
	unsigned int ticks; /* of the watchdog's, since the last */
	unsigned int idle;  /* the last of them: it has done nothing */
	uint64_t used_ns;   /* of a processor, in all of them */
	int stopped;	    /* by a signal, when it was looked at last */
};

struct parent {
	struct config config;
	enum parent_state state;
	int status; /* to exit with */
	pid_t pid;  /* our own */
	uid_t uid;
	uint64_t started_ms, ready_ms;

	struct frame_source frame;
	struct publish_set publish;
	struct resolv_conf resolv;
	struct resolv_watch resolv_watch;
	struct host_addrs host_addrs;
	struct host_routes host_routes;
	struct notify notify;
	struct evidence evidence;
	uint32_t missed; /* fences that the parent itself has not */
	struct control control;
	struct peer netproc, relayproc;
	struct peer leaving; /* a relayproc whose netproc was lost */
	struct spawner spawner;
	struct respawn respawn;
	struct watchdog watchdog;

	struct event_base *base;
	int signal_fd; /* every signal that we take */
	struct command_env env;
	struct event *ev_signal, *ev_timer, *ev_vmm, *ev_command;
	struct event *ev_host_addrs, *ev_host_routes, *ev_resolv;
	struct event *ev_routes_settled, *ev_resolv_settled; /* timers */
	struct log_limit vmm_limit;    /* lines about who was refused */
	struct log_limit attach_limit; /* ... and who came and went */
	int vmm_unlogged;	       /* who is connected came without one */
	enum stop_stage stop_stage;
	uint64_t stop_ms; /* when it began */
};

/*
 * configure.c: says HELLO; then, after HELLO_ACK, all of its configuration.
 * peer_refused() if it fails, of which the first tells: 0 or -1.
 */
int configure_hello(struct peer *peer);
void configure_child(struct peer *peer);

/* configure.c: relayproc's jail was seen, it may accept clients. */
void configure_serve(struct parent *parent);

/* configure.c: an address of the host came or went, while running. */
void configure_host_addr(const struct ipc_host_addr *change, void *arg);

/* configure.c: the way to the IPv6 internet came or went, while running. */
void configure_host_route(struct parent *parent);

/* configure.c: parent->resolv has other servers than before. */
void configure_resolvers(struct parent *parent);

/*
 * follow.c: opens what tells of the host's changes; then, with both children
 * ready, watches it.  Returns 0; or -1, with error filled or errno.
 */
int follow_open(struct parent *parent, struct config_error *error);
int follow_watch(struct parent *parent);
void follow_close(struct parent *parent);

/* dispatch_netproc.c, dispatch_relayproc.c: arg is the struct peer. */
channel_dispatch parent_from_netproc;
channel_dispatch parent_from_relayproc;

/* peer.c: no child yet. */
void peer_init(struct peer *peer, struct parent *parent, enum role role);

/* peer.c: watches a child that was spawned.  0, or -1 with errno. */
int peer_watch(struct peer *peer, channel_dispatch *dispatch);

/* peer.c: what both children may say. */
enum ipc_error peer_hello_ack(struct peer *peer, const void *payload);
enum ipc_error peer_ready(struct peer *peer, const void *payload);
enum ipc_error peer_log(struct peer *peer, const void *payload);
enum ipc_error peer_violation(struct peer *peer, const void *payload);

/*
 * peer.c: it is taken down if it lives, and one line says how it ended; then
 * it is replaced (respawn.h), or the sidecar ends if that is under way or was
 * never ready.
 */
void peer_lost(struct peer *peer, const char *cause);

/*
 * peer.c: as peer_lost(), after a send of what failed with errno.  Where its
 * channel had ended it was no refusal: the cause is how the child ended.
 */
void peer_refused(struct peer *peer, const char *what);

/* peer.c: tells it to end in order. */
void peer_say_stop(struct peer *peer);

/*
 * peer.c: to, which is none, becomes the relayproc that from was, which then
 * is none; of what it says only log lines are heard.  0, or -1 with errno
 * ENOMEM, and it was killed.
 */
int peer_put_aside(struct peer *to, struct peer *from);

/* peer.c: takes the child down if it lives, and all that belongs to it. */
void peer_end(struct peer *peer);

/* vmm.c: gives the frame socket that is there to netproc, or waits for one. */
void vmm_start(struct parent *parent);

/* vmm.c: netproc has pinned the guest's MAC. */
enum ipc_error vmm_guest_mac(struct parent *parent,
    const struct ipc_guest_mac *guest);

/* vmm.c: netproc says that the VMM has gone. */
void vmm_gone(struct parent *parent, const struct ipc_frame_gone *gone);

/* vmm.c: gives a new netproc the frame socket of the last one. */
void vmm_resume(struct parent *parent);

/* vmm.c: starts COMMAND.  0, or -1 with error filled. */
int vmm_start_command(struct parent *parent, struct config_error *error);

/*
 * run.c: from now on a signal ends nothing, but waits for the event loop.
 * COMMAND gets what was before.  0, or -1 with errno.
 */
int run_hold_signals(struct parent *parent);

/* run.c: makes the event base, hears signals.  0, or -1 with errno. */
int run_init(struct parent *parent);

/*
 * run.c: configures the children and waits until both are ready.  0, or -1
 * after a line of log_error; then parent->status says what to exit with, and
 * nothing is left running.
 */
int run_setup(struct parent *parent);

/* run.c: says that peer_watch() or respawn_watch() failed, with errno. */
void run_cannot_watch(void);

/* run.c: watches until the end. */
void run_watch(struct parent *parent);

/* run.c: ends the sidecar in order, with this status unless one was set. */
void run_stop(struct parent *parent, int status);

/* run.c: a child or COMMAND has ended; goes on with an end under way. */
void run_someone_ended(struct parent *parent);

/* run.c: takes down whatever is there, in any state. */
void run_end(struct parent *parent);

/* run.c: what a readable descriptor causes; NULL if there is no memory. */
struct event *run_event_watch(struct parent *parent, int fd,
    void (*fn)(int, short, void *));

/* run.c: the timer fires once, after so long. */
void run_timer_set(struct event *timer, uint64_t ms);

/*
 * run.c: accepting failed on the listener of ev, which stays readable: it is
 * left alone for a second.  Then fn is called, to add it again.
 */
void run_accept_later(struct event_base *base, struct event *ev,
    void (*fn)(int, short, void *), void *arg);

/* run.c: frees an event, if there is one, and forgets it. */
void run_event_drop(struct event **ev);

#endif
