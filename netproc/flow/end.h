#ifndef NETPROC_FLOW_END_H
#define NETPROC_FLOW_END_H

#include "ipc/proto.h"

struct flow;
struct netproc;

/* lwIP goes on with the connection by itself, or has none any more. */
void end_detach(struct flow *flow);

/* Closes our descriptor and says FLOW_CLOSE; lwIP's end is left as it is. */
void end_flow(struct flow *flow, enum flow_close_reason reason);

/* Ends a flow with a reset to the host and to the guest. */
void end_reset(struct flow *flow);
void end_reset_all(struct netproc *np);

/* The guest knows nothing of it any more: reset to the host alone. */
void end_forget(struct flow *flow);
void end_forget_all(struct netproc *np);

#endif
