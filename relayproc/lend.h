#ifndef RELAYPROC_LEND_H
#define RELAYPROC_LEND_H

#include <stdint.h>

#include "ipc/proto.h"

/* A flow's socket between its connect and its end, in both directions. */

struct flow;
struct relayproc;

/* Lends what is connected to netproc, as far as the channel has room. */
void lend_pump(struct relayproc *rp);

/* netproc's FLOW_CLOSE: ends the flow, reset where reason says so. */
void lend_close(struct relayproc *rp, struct flow *flow,
    enum flow_close_reason reason);

/*
 * Once a round: FLOW_CLOSED that nothing has taken along, and connections that
 * have stood for a while (tcp_connect_settle()).  When one is due.
 */
void lend_expire(struct relayproc *rp, uint64_t now_ms);
uint64_t lend_deadline_ms(const struct relayproc *rp);

/* Counts what all connections have carried so far, and no byte more. */
void lend_count_all(struct relayproc *rp);

/* Resets the connections of all flows, and tells netproc of none. */
void lend_reset_all(struct relayproc *rp);

/*
 * Takes the socket of a flow that is not lent out of the loop and closes it;
 * a connect under way gives its place in the budget back.
 */
void lend_socket_drop(struct relayproc *rp, struct flow *flow);

#endif
