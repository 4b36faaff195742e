#ifndef NETPROC_FLOW_RECOVER_H
#define NETPROC_FLOW_RECOVER_H

struct flow;

/*
 * More than one loss of a flight (RFC 6582).  lwIP 2.2.1 sends again what the
 * guest asks for, once, and takes the next acknowledgment of something new for
 * the end of all loss.  But frames keep their order on the link: if that comes
 * before the end of what had been sent before the repetition, more of it is
 * lost.  Without this the next loss waits for the timer, a second, in a guest
 * whose card is overrun.
 *
 * After lwIP has seen a segment of the flow's; its pcb is there.
 */
void recover_look(struct flow *flow);

/*
 * At each tick: what was sent again and brought no acknowledgment is lost once
 * more, and is sent a third time before the timer does.
 */
void recover_tick(struct flow *flow);

#endif
