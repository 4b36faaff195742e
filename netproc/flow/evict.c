#include "netproc/flow/ack.h"
#include "netproc/flow/evict.h"
#include "netproc/flow/turn.h"
#include "netproc/netproc.h"

/* Less idle than this is in use; then there is no slot. */
#define EVICT_IDLE_MS (30 * 1000)

/* Time for the guest to say that it knows nothing of a connection. */
#define EVICT_ANSWER_MS 500

/* The table is searched once in so long, however many SYNs come. */
#define EVICT_PAUSE_MS 250

static struct flow *
longest_idle(struct netproc *np)
{
	struct flow *flow, *found = NULL;

	TAILQ_FOREACH(flow, &np->flows.active, entry) {
		if (flow->state == FLOW_ESTABLISHED && flow->pcb != NULL &&
		    !flow->inbound &&
		    (found == NULL || flow->used_ms < found->used_ms))
			found = flow;
	}
	return (found);
}

void
evict_idle(struct netproc *np)
{
	struct flow *flow;

	if (np->now_ms - np->evict_ms < EVICT_PAUSE_MS)
		return;
	np->evict_ms = np->now_ms;
	flow = longest_idle(np);
	if (flow == NULL || np->now_ms - flow->used_ms < EVICT_IDLE_MS)
		return;
	if (flow->asked_ms <= flow->used_ms) {
		flow->asked_ms = np->now_ms;
		ack_ask(flow);
	} else if (np->now_ms - flow->asked_ms >= EVICT_ANSWER_MS) {
		if (turn_reset(flow))
			COUNT(np, FLOWS_EVICTED);
	}
}
