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

/* So many make room in one search; the others' SYNs come again. */
#define EVICT_AT_ONCE 8

static int
may_go(const struct flow *flow, uint64_t now_ms)
{
	return (flow->state == FLOW_ESTABLISHED && flow->pcb != NULL &&
	    !flow->inbound && now_ms - flow->used_ms >= EVICT_IDLE_MS &&
	    (flow->asked_ms <= flow->used_ms ||
		now_ms - flow->asked_ms >= EVICT_ANSWER_MS));
}

/* Finds up to max, those idle longest first; returns how many. */
static unsigned int
longest_idle(struct netproc *np, struct flow **found, unsigned int max)
{
	struct flow *flow;
	unsigned int i, n = 0;

	TAILQ_FOREACH(flow, &np->flows.active, entry) {
		if (!may_go(flow, np->now_ms))
			continue;
		for (i = n; i > 0 && flow->used_ms < found[i - 1]->used_ms; i--)
			if (i < max)
				found[i] = found[i - 1];
		if (i < max)
			found[i] = flow;
		if (n < max)
			n++;
	}
	return (n);
}

void
evict_idle(struct netproc *np)
{
	struct flow *found[EVICT_AT_ONCE], *flow;
	unsigned int i, n;

	if (np->evict_wanted == 0 || np->now_ms - np->evict_ms < EVICT_PAUSE_MS)
		return;
	np->evict_ms = np->now_ms;
	n = longest_idle(np, found, np->evict_wanted);
	np->evict_wanted = 0;
	for (i = 0; i < n; i++) {
		flow = found[i];
		if (flow->asked_ms <= flow->used_ms) {
			flow->asked_ms = np->now_ms;
			ack_ask(flow);
		} else if (turn_reset(flow)) {
			COUNT(np, FLOWS_EVICTED);
		}
	}
}

void
evict_want(struct netproc *np)
{
	if (np->evict_wanted < EVICT_AT_ONCE)
		np->evict_wanted++;
	netproc_need_tick(np);
	evict_idle(np);
}
