#ifndef NETPROC_FLOW_PUMP_H
#define NETPROC_FLOW_PUMP_H

#include <stddef.h>
#include <stdint.h>

struct flow;
struct pbuf;

/*
 * The byte pump of one flow.  Guest to host: the segments of a turn are
 * written from where they were read; only what the socket does not take is
 * copied, and the guest's window stays closed by as much.  Host to guest:
 * read into blocks, handed to lwIP without a copy, kept until acknowledged.
 * Socket errors end up in flow.broken.
 */

/* Data of the guest, in order.  The pbuf stays the caller's. */
void pump_up_add(struct flow *flow, const struct pbuf *p);

/*
 * The guest may send n bytes more, for as many that went their way; more than
 * that where it uses its window up.
 */
void pump_window_open(struct flow *flow, size_t n);

/* The window that a flow grants at first, bytes. */
uint32_t pump_window_first(const struct flow *flow);

/* Writes what there is, keeps what the socket does not take. */
void pump_up_flush(struct flow *flow);

/* Has the socket say again that it has room, if it has: flow.since_room. */
void pump_ask_room(struct flow *flow);

/* Reads what the host sent, within the flow's share, and hands it to lwIP. */
void pump_down(struct flow *flow);

/*
 * Asks for the guest's window, ever more seldom, where it is closed and
 * nothing is under way whose acknowledgment would tell (RFC 9293 3.8.6.1).
 */
void pump_ask_window(struct flow *flow);

/* 1 if what the host sends would stay unread, and its reset behind it. */
int pump_is_full(const struct flow *flow);

/* Sets flow.broken if the socket has been reset, whatever can be read yet. */
void pump_probe(struct flow *flow);

/* Lets go of what the guest has acknowledged. */
void pump_down_release(struct flow *flow);

#endif
