#ifndef NETPROC_FLOW_RECOVER_H
#define NETPROC_FLOW_RECOVER_H

#include <stdint.h>

struct flow;

/*
 * More than one loss of a flight (RFC 6582).  lwIP 2.2.1 sends again what the
 * guest asks for, once, and takes the next acknowledgment of something new for
 * the end of all loss.  But frames keep their order on the link: if that comes
 * before the end of what had been sent before the repetition, more of it is
 * lost.  Without this the next loss waits for the timer, a second, in a guest
 * whose card is overrun.
 *
 * All but the time are sequence numbers of ours.
 */
struct recovery {
	int active;    /* 0: the next five are not set */
	uint32_t from; /* the guest has acknowledged so far */
	uint32_t end;  /* what was sent before the repetition ends here */
	uint32_t resent_from; /* acknowledged when that was sent again */
	uint32_t resent_end;  /* where the repetition ends */
	uint64_t resent_ms;   /* when that was; 0: and a third time since */
	uint32_t sent_end;    /* all that was sent, when the guest last spoke */
};

/* After lwIP has seen a segment of the flow's; its pcb is there. */
void recover_look(struct flow *flow);

/*
 * At each tick: what was sent again and brought no acknowledgment is lost once
 * more, and is sent a third time before the timer does.
 */
void recover_tick(struct flow *flow);

#endif
