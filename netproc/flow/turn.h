#ifndef NETPROC_FLOW_TURN_H
#define NETPROC_FLOW_TURN_H

struct flow;
struct netproc;

/* 0, or -1 when out of memory. */
int turn_init(struct netproc *np);

/* The flow has something to do before the turn ends. */
void turn_touch(struct flow *flow);

/* It has nothing to do any more. */
void turn_untouch(struct flow *flow);

/* The host's socket is read once more, in LOOK_MS; or need not be. */
#define LOOK_MS 10
void turn_look_soon(struct flow *flow);
void turn_look_end(struct flow *flow);

/*
 * Resets the flow, the guest too, if the link has room for that.  1, or 0 if it
 * has none: then the caller must come again.
 */
int turn_reset(struct flow *flow);

/*
 * The guest has reset the flow: passes on what it said before in this turn, an
 * answer often, and its FIN.  The flow has no pcb any more.
 */
void turn_last(struct flow *flow);

/* Ends the turn: bytes on, acknowledgments out, ends told. */
void turn_flush(struct netproc *np);

/*
 * Flows whose pump stopped at its bound go on in the next turn.  1 if there
 * are any: the event loop must not wait.
 */
int turn_requeue(struct netproc *np);

/* The queue towards the VMM has room again. */
void turn_link_drained(struct netproc *np);

/*
 * lwIP's timers and ours: every 250 ms while a flow is awake; and once in so
 * long while there is one, for the keepalive of those asleep.
 */
#define TURN_SWEEP_MS (60 * 1000)
void turn_tick(struct netproc *np);

/* 1 if neither time nor room on the link has anything for the flow. */
int turn_may_sleep(const struct flow *flow);

#endif
