#ifndef PARENT_WATCHDOG_H
#define PARENT_WATCHDOG_H

#include <stdint.h>

#include "ipc/proto.h"

struct event;
struct parent;
struct peer;

/*
 * A child that hangs is as good as lost, and is killed.
 *
 * Theory of operation.  Nobody is asked for a sign of life while nothing
 * happens: an idle sidecar does not wake up.  Two things tell that something
 * happens.  One is the guest's own frame: the parent holds a reference of the
 * frame socket, waits once for it to be readable, and then asks both children.
 * The other is a second of a processor's time that a child has used
 * (parent/cpu_alarm.h), with a guest or without.
 *
 *	OFF	no guest; also after that second
 *	ARMED	the guest has sent nothing since; no timer runs
 *	  | the frame socket is readable, or that second: PING to both
 *	  v
 *	ASKED	every WATCHDOG_TICK_MS is looked whether both have answered;
 *	  |	who has not after WATCHDOG_TICKS is lost, if it has done nothing
 *	  |	in so many, or has used WATCHDOG_CPU_NS of a processor.  Who got
 *	  |	less, as the machine is busy with others, has until
 *	  |	WATCHDOG_TICKS_MOST.  Time in which one is stopped (SIGSTOP)
 *	  |	does not count, and a freeze of all of us counts as one tick.
 *	  v both PONGs
 *	RESTING	for WATCHDOG_REST_MS, so that a busy guest costs two
 *	  |	questions a second; then both are asked once more, about what
 *	  v	the guest has sent meanwhile
 *	ARMED, or OFF
 *
 * A child that waits where it should not, and uses no time, is found out with
 * the guest's next frame.  Test: tests/e2e/respawn.py, "that hangs".
 */

#define WATCHDOG_TICK_MS 500
#define WATCHDOG_TICKS	 4
#define WATCHDOG_REST_MS 1000

#define WATCHDOG_CPU_NS	    UINT64_C(100000000)
#define WATCHDOG_TICKS_MOST 40

enum watchdog_state {
	WATCHDOG_OFF,
	WATCHDOG_ARMED,
	WATCHDOG_ASKED,
	WATCHDOG_RESTING
};

struct watchdog {
	enum watchdog_state state;
	uint32_t number; /* of the question */
	int again;	 /* it is the second one */
	struct event *ev_frame, *ev_timer;
};

/* 0, or -1 with errno ENOMEM. */
int watchdog_init(struct parent *parent);

/* netproc has the frame socket, of which we keep a reference. */
void watchdog_arm(struct parent *parent);

/* A child has used a second of a processor's time. */
void watchdog_busy(struct parent *parent);

/* The frame socket is about to be closed, or a child was lost. */
void watchdog_rest(struct parent *parent);

/* A child's answer. */
enum ipc_error watchdog_pong(struct peer *peer, const struct ipc_ping *pong);

void watchdog_end(struct parent *parent);

#endif
