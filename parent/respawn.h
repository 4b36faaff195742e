#ifndef PARENT_RESPAWN_H
#define PARENT_RESPAWN_H

#include <stddef.h>
#include <stdint.h>

#include "parent/spawner.h"

struct config;
struct event;
struct parent;
struct peer;

/*
 * A child that was lost is replaced, and the VM need not notice.
 *
 * Theory of operation.  The two are replaced together, whichever was lost: a
 * flow has a half in each, and none survives the loss of one.  So nobody has
 * to be told who is new, and the way to a working pair is the one of the
 * start: the same namespaces, configuration, filters, attestation.
 *
 *	NONE	a pair is at work; one of it is lost, and was reaped
 *	  |	the other is told STOP; the spawner is asked for a pair
 *	  v	meanwhile
 *	CLEARING  a netproc resets its flows towards the guest, and must have
 *	  |	ended, or be killed after RESPAWN_CLEAR_MS, before another has
 *	  |	the frame socket.  A relayproc resets its flows towards the
 *	  |	host and says its counters, for which nobody waits
 *	  |	(parent->leaving); it is killed after RESPAWN_LEAVE_MS
 *	  |	the new pair is there
 *	  v
 *	SETUP	HELLO, configuration, READY of both.  Who is not ready and has
 *	  |	done nothing for RESPAWN_SETUP_TICKS, or has used
 *	  v	RESPAWN_SETUP_CPU_NS of a processor before them, is lost
 *	ATTEST	the spawner looks at both jails from outside; where a fence is
 *	  |	missing it looks again after RESPAWN_LOOK_MS, for of a process
 *	  |	that is about to end none is seen; then that is the end
 *	  |	all fences stand: the frame socket is handed over as "resumed",
 *	  v	with the journal (ipc/journal.h)
 *	NONE
 *
 * The parent's references keep what must outlive the pair: the frame socket,
 * the journal, the listeners, in whose backlog clients wait meanwhile.
 *
 * An order that the spawner does not answer in SPAWNER_ANSWER_S ends the
 * sidecar: without a spawner it has no way back.
 *
 * Each loss counts, also one of a pair that is not ready yet.  More than
 * --max-restarts within RESPAWN_WINDOW_S end the sidecar: then something is
 * wrong that a new process does not mend, or a guest makes a game of it.
 */

#define RESPAWN_WINDOW_S 60
#define RESPAWN_CLEAR_MS 50
#define RESPAWN_LEAVE_MS 2000
#define RESPAWN_LOOK_MS	 100

#define RESPAWN_SETUP_TICK_MS 500
#define RESPAWN_SETUP_TICKS   4
#define RESPAWN_SETUP_CPU_NS  UINT64_C(500000000)

enum respawn_stage {
	RESPAWN_NONE,
	RESPAWN_CLEARING,
	RESPAWN_SETUP,
	RESPAWN_ATTEST
};

struct respawn {
	enum respawn_stage stage;
	uint64_t since_ms;   /* the loss that began it */
	uint64_t *losses_ms; /* the last max_restarts, a ring */
	size_t next, cap;
	uint64_t restarts, netproc_losses, relayproc_losses;
	uint64_t last_ms;  /* how long the last one took */
	unsigned int owed; /* answers of the spawner's */
	int owed_s;	   /* since the last, or since it was asked */
	int asked;	   /* ... one of them a pair */
	int have_pair;	   /* and this is it */
	struct spawner_pair pair;
	int doubt;	   /* a fence was missing at the first look */
	int setup_idle;	   /* ticks */
	uint64_t setup_ns; /* of a processor, by who is not ready */
	struct event *ev_timer, *ev_spawner, *ev_leave, *ev_owed;
};

/* 0, or -1 with errno ENOMEM. */
int respawn_init(struct parent *parent);

/* Hears the spawner from now on.  0, or -1 with errno ENOMEM. */
int respawn_watch(struct parent *parent);

/* A child was lost, and was reaped, while a pair was at work or in the making.
 */
void respawn_lost(struct peer *peer);

/*
 * relayproc is to go on netproc's word, which may be a lie: it leaves in
 * order, and netproc goes as well.
 */
void respawn_accused(struct parent *parent);

/* Both new children are ready. */
void respawn_ready(struct parent *parent);

/* Kills whatever is in the making. */
void respawn_end(struct parent *parent);

#endif
