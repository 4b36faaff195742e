#ifndef NETPROC_FLOW_ACK_H
#define NETPROC_FLOW_ACK_H

#include <stdint.h>

struct flow;
struct netproc;
struct tcp_pcb;

/*
 * When the guest is told that its bytes have come: once a turn, at its end.
 *
 * What is less than a segment, and on its way to a server that is near, is
 * probably a request: it waits ACK_WAIT_MS for the answer, which carries the
 * acknowledgment along and saves the guest a frame (RFC 9293 3.8.6.3 allows
 * 500 ms); by the event loop's clock, the kernel's coarse one, that may be a
 * few.  A flow whose answers are slower soon is not waited for any more.
 */
#define ACK_WAIT_MS 1

/* The handshake with the host took so long at most: the server is near. */
#define ACK_NEAR_MS 2

/* 0, or -1 with errno. */
int acks_init(struct netproc *np);

/*
 * Before lwIP's own timer, which would try each that is owed, and forget it if
 * the link has no room: acknowledges all of them.
 */
void acks_hurry(struct netproc *np);

/* The host has answered the connect: now, after flow->syn_ms. */
void ack_host_answered(struct flow *flow);

/* The flow is up. */
void ack_begin(struct flow *flow);

/* The end of a turn: acknowledges what is owed, or lets it wait. */
void ack_turn(struct flow *flow);

/* After lwIP has sent, or tried to. */
void ack_look(struct flow *flow);

/* The link has room again: says what it had none for. */
void ack_again(struct flow *flow);

/*
 * Asks for an acknowledgment, of a byte that was acknowledged (RFC 9293 3.8.4):
 * with timestamps, where the connection has them (RFC 7323 3.2).
 */
void ack_ask(struct flow *flow);

/*
 * 1 if a segment may acknowledge that.  What was not sent yet (RFC 9293
 * 3.10.7.4) or is older than the window ever was (RFC 5961 5.2) is another
 * connection's, and so is what comes with it.
 */
int ack_is_acceptable(const struct tcp_pcb *pcb, uint32_t ack);

/* Says where the connection stands, as to a segment that was not taken. */
void ack_at_once(struct flow *flow);

/* The flow ends. */
void ack_end(struct flow *flow);

#endif
