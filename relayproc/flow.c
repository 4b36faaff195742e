#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ipc/log.h"
#include "relayproc/flow.h"

/*
 * Theory of operation
 *
 * A flow is one TCP connection between the guest and the host's network.
 * relayproc owns the host's end of it: it makes, judges, connects, lends,
 * resets and closes the socket, and never reads or writes it (where it does
 * not lend but splice, the kernel moves the bytes for it: splice.c).  netproc
 * owns the guest's end, moves the bytes, and decides when the flow is over.
 *
 *		     outbound				   inbound
 *
 *	FREE --FLOW_OPEN--> WAITING ---+		FREE
 *			       |       |		  | accept4
 *			  budget       | denied,	  |
 *			       v       | 1 s over	  |
 *			CONNECTING ----+		  |
 *			       |       | errno,		  |
 *		     connected |       | timeout	  |
 *			       v       v		  v
 *			  LENDING   FAILED		LENDING
 *			       |	 (FLOW_FAILED)	  |
 *	   FLOW_OPENED + fd    v			  v FLOW_INBOUND + fd
 *			     LENT			 LENT
 *
 * FLOW_CLOSE frees the slot: an outbound one from every state but FREE, and
 * FLOW_CLOSED answers; an inbound one when LENT.  A spliced flow that has
 * bytes of the guest's left is DRAINING first.
 *
 * Both sides keep a slot until both know that the other is done with it:
 *
 * - FLOW_FAILED and FLOW_CLOSE can cross.  netproc, having said FLOW_CLOSE,
 *   ignores FLOW_FAILED and waits for FLOW_CLOSED.  So FAILED remembers that
 *   one FLOW_CLOSE may still come; a FLOW_OPEN says that it will not.
 * - A slot carries a generation.  FLOW_OPEN has to bring a newer one than the
 *   last (compared as serial numbers, RFC 1982: it may wrap), and every other
 *   message has to name the current one.  netproc says nothing about a flow
 *   after FLOW_CLOSE, and the channel keeps order, so an old generation is
 *   never an accident: it ends netproc.
 *
 * Timers, each a deadline in its list; since all flows of a list wait equally
 * long, its head is the first to expire:
 *
 *	WAITING		1 s		VERDICT_RESOURCES: the guest's SYN is
 *					dropped, it will send it again
 *	CONNECTING	10 s		VERDICT_TIMEOUT; of a flow to name
 *					servers each but the last has 2 s
 *	DRAINING	120 s		reset; renewed by each byte
 *	LENT		1 to 2 s	outbound, the socket itself: nothing
 *					but netproc writes to it from then on
 *	others		none		netproc has the timers of a flow
 *
 * Limits: config.max_flows slots outbound, config.max_inbound inbound, all
 * allocated at start.  FLOW_OPEN beyond is netproc's fault (IPC_E_QUOTA); a
 * client of a published port beyond is reset (publish_accept.c).  The budget
 * (budget.c) holds the way from WAITING to CONNECTING.  The channel's room
 * holds the way from LENDING to LENT (lend.c).
 */

static const char *const state_names[] = {
	[FLOW_FREE] = "FREE",
	[FLOW_WAITING] = "WAITING",
	[FLOW_CONNECTING] = "CONNECTING",
	[FLOW_LENDING] = "LENDING",
	[FLOW_LENT] = "LENT",
	[FLOW_DRAINING] = "DRAINING",
	[FLOW_FAILED] = "FAILED",
};
_Static_assert(sizeof(state_names) / sizeof(state_names[0]) == FLOW_NSTATES,
    "every state has its name");

#define S(state) (1u << FLOW_##state)

/* The diagram: to which states a state may go, in each direction. */
static const struct {
	unsigned int outbound, inbound;
} steps[] = {
	[FLOW_FREE] = { S(WAITING), S(LENDING) },
	[FLOW_WAITING] = { S(CONNECTING) | S(FAILED) | S(FREE), 0 },
	[FLOW_CONNECTING] = { S(LENDING) | S(FAILED) | S(FREE), 0 },
	[FLOW_LENDING] = { S(LENT) | S(FREE), S(LENT) | S(FREE) },
	[FLOW_LENT] = { S(DRAINING) | S(FREE), S(DRAINING) | S(FREE) },
	[FLOW_DRAINING] = { S(DRAINING) | S(FREE), S(DRAINING) | S(FREE) },
	[FLOW_FAILED] = { S(WAITING) | S(FREE), 0 },
};
_Static_assert(sizeof(steps) / sizeof(steps[0]) == FLOW_NSTATES,
    "every state has its steps");

/* The generation before the first: 0 is newer than it. */
#define GENERATION_NONE UINT32_MAX

static int
generation_is_newer(uint32_t generation, uint32_t last)
{
	return ((int32_t)(generation - last) > 0);
}

/* Free slots of netproc's need no list: it names the one that it takes. */
static struct flow_list *
list_of(struct flow_table *table, const struct flow *flow)
{
	if (flow->state != FLOW_FREE)
		return (&table->list[flow->state]);
	return (flow_is_inbound(flow) ? &table->inbound_free : NULL);
}

/*
 * A slot is made ready when it is first looked at: memory for flows that never
 * were is not touched.
 */
static struct flow *
flow_at(struct flow_table *table, struct flow *flows, uint32_t i, uint32_t bit)
{
	struct flow *flow = &flows[i];

	if (!flow->ready) {
		flow->ready = 1;
		flow->slot = bit | i;
		flow->generation = GENERATION_NONE;
		flow->fd = -1;
		flow->owner = table->owner;
	}
	return (flow);
}

int
flow_table_init(struct flow_table *table, uint32_t max_flows,
    uint32_t max_inbound, struct relayproc *owner)
{
	unsigned int i;

	memset(table, 0, sizeof(*table));
	for (i = 0; i < FLOW_NSTATES; i++)
		TAILQ_INIT(&table->list[i]);
	TAILQ_INIT(&table->inbound_free);
	TAILQ_INIT(&table->unsettled);
	table->outbound = calloc(max_flows, sizeof(*table->outbound));
	table->inbound = calloc(max_inbound, sizeof(*table->inbound));
	if ((table->outbound == NULL && max_flows > 0) ||
	    (table->inbound == NULL && max_inbound > 0)) {
		flow_table_free(table);
		errno = ENOMEM;
		return (-1);
	}
	table->noutbound = max_flows;
	table->ninbound = max_inbound;
	table->owner = owner;
	table->count[FLOW_FREE] = max_flows + max_inbound;
	return (0);
}

void
flow_table_free(struct flow_table *table)
{
	free(table->outbound);
	free(table->inbound);
	table->outbound = NULL;
	table->inbound = NULL;
}

/* Returns borrowed: "CONNECTING". */
static const char *
flow_state_name(enum flow_state state)
{
	return (state < FLOW_NSTATES ? state_names[state] : "?");
}

int
flow_is_inbound(const struct flow *flow)
{
	return ((flow->slot & FLOW_INBOUND_BIT) != 0);
}

void
flow_move(struct flow_table *table, struct flow *flow, enum flow_state state,
    uint64_t deadline_ms)
{
	const unsigned int allowed = flow_is_inbound(flow) ?
	    steps[flow->state].inbound :
	    steps[flow->state].outbound;
	struct flow_list *list;

	if ((allowed & (1u << state)) == 0)
		fatalx("flow %#x/%u: no step from %s to %s", flow->slot,
		    flow->generation, flow_state_name(flow->state),
		    flow_state_name(state));
	list = list_of(table, flow);
	if (list != NULL)
		TAILQ_REMOVE(list, flow, entry);
	table->count[flow->state]--;
	flow->state = state;
	flow->deadline_ms = deadline_ms;
	list = list_of(table, flow);
	if (list != NULL)
		TAILQ_INSERT_TAIL(list, flow, entry);
	table->count[state]++;
}

void
flow_deadline_set(struct flow_table *table, struct flow *flow,
    uint64_t deadline_ms)
{
	struct flow_list *list = list_of(table, flow);
	struct flow *before = TAILQ_LAST(list, flow_list);

	flow->deadline_ms = deadline_ms;
	while (before != NULL &&
	    (before == flow || before->deadline_ms > deadline_ms))
		before = TAILQ_PREV(before, flow_list, entry);
	TAILQ_REMOVE(list, flow, entry);
	if (before != NULL)
		TAILQ_INSERT_AFTER(list, before, flow, entry);
	else
		TAILQ_INSERT_HEAD(list, flow, entry);
}

enum ipc_error
flow_open(struct flow_table *table, uint32_t slot, uint32_t generation,
    uint64_t deadline_ms, struct flow **flow)
{
	struct flow *f;

	if (slot >= FLOW_SLOTS_MAX)
		return (IPC_E_FIELD);
	if (slot >= table->noutbound)
		return (IPC_E_QUOTA);
	f = flow_at(table, table->outbound, slot, 0);
	if ((f->state != FLOW_FREE && f->state != FLOW_FAILED) ||
	    !generation_is_newer(generation, f->generation))
		return (IPC_E_STATE);
	f->generation = generation;
	f->shut_wr = 0;
	f->counted = 0;
	flow_move(table, f, FLOW_WAITING, deadline_ms);
	*flow = f;
	return (IPC_OK);
}

struct flow *
flow_accept(struct flow_table *table, int fd)
{
	struct flow *flow;

	/* Those that never were have been free longest. */
	if (table->nfresh < table->ninbound) {
		flow = flow_at(table, table->inbound, table->nfresh++,
		    FLOW_INBOUND_BIT);
		TAILQ_INSERT_HEAD(&table->inbound_free, flow, entry);
	}
	flow = TAILQ_FIRST(&table->inbound_free);
	if (flow == NULL)
		return (NULL);
	flow->generation++;
	flow->fd = fd;
	flow->shut_wr = 0;
	flow->counted = 0;
	flow_move(table, flow, FLOW_LENDING, 0);
	return (flow);
}

/* Returns borrowed: the flow of this slot and generation, or NULL. */
static struct flow *
flow_find(struct flow_table *table, uint32_t slot, uint32_t generation)
{
	const uint32_t i = slot & ~FLOW_INBOUND_BIT;
	struct flow *flow;

	if (slot & FLOW_INBOUND_BIT)
		flow = i < table->ninbound ?
		    flow_at(table, table->inbound, i, FLOW_INBOUND_BIT) :
		    NULL;
	else
		flow = i < table->noutbound ?
		    flow_at(table, table->outbound, i, 0) :
		    NULL;
	if (flow == NULL || flow->state == FLOW_FREE ||
	    flow->generation != generation)
		return (NULL);
	return (flow);
}

enum ipc_error
flow_shut_wr(struct flow_table *table, uint32_t slot, uint32_t generation,
    struct flow **flow)
{
	*flow = flow_find(table, slot, generation);
	if (*flow == NULL || (*flow)->state != FLOW_LENT || (*flow)->shut_wr)
		return (IPC_E_STATE);
	(*flow)->shut_wr = 1;
	return (IPC_OK);
}

enum ipc_error
flow_closing(struct flow_table *table, uint32_t slot, uint32_t generation,
    struct flow **flow)
{
	*flow = flow_find(table, slot, generation);
	if (*flow == NULL || (*flow)->state == FLOW_DRAINING ||
	    (flow_is_inbound(*flow) && (*flow)->state != FLOW_LENT))
		return (IPC_E_STATE);
	return (IPC_OK);
}

struct flow *
flow_expired(const struct flow_table *table, uint64_t now_ms)
{
	struct flow *flow;

	flow = TAILQ_FIRST(&table->list[FLOW_WAITING]);
	if (flow != NULL && flow->deadline_ms <= now_ms)
		return (flow);
	flow = TAILQ_FIRST(&table->list[FLOW_CONNECTING]);
	if (flow != NULL && flow->deadline_ms <= now_ms)
		return (flow);
	return (NULL);
}

uint64_t
flow_deadline_ms(const struct flow_table *table)
{
	const struct flow *waiting, *connecting;
	uint64_t ms = UINT64_MAX;

	waiting = TAILQ_FIRST(&table->list[FLOW_WAITING]);
	connecting = TAILQ_FIRST(&table->list[FLOW_CONNECTING]);
	if (waiting != NULL)
		ms = waiting->deadline_ms;
	if (connecting != NULL && connecting->deadline_ms < ms)
		ms = connecting->deadline_ms;
	return (ms);
}
