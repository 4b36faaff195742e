#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ipc/journal.h"
#include "netproc/netproc.h"

/* Anything not named here cannot be: FLOW_NSTATES, by way of +1 and 0. */
#define TO(state) ((uint8_t)((state) + 1))

static const uint8_t transitions[FLOW_NSTATES][FLOW_NEVENTS] = {
	[FLOW_FREE] = {
		[FLOW_EV_SYN] = TO(FLOW_OPENING),
		[FLOW_EV_INBOUND] = TO(FLOW_CONNECTING),
	},
	[FLOW_OPENING] = {
		[FLOW_EV_OPENED] = TO(FLOW_ACCEPTING),
		[FLOW_EV_FAILED] = TO(FLOW_FREE),
		[FLOW_EV_END] = TO(FLOW_CLOSING),
	},
	[FLOW_ACCEPTING] = {
		[FLOW_EV_UP] = TO(FLOW_ESTABLISHED),
		[FLOW_EV_END] = TO(FLOW_CLOSING),
	},
	[FLOW_CONNECTING] = {
		[FLOW_EV_UP] = TO(FLOW_ESTABLISHED),
		[FLOW_EV_END] = TO(FLOW_CLOSING),
	},
	[FLOW_ESTABLISHED] = {
		[FLOW_EV_END] = TO(FLOW_CLOSING),
	},
	[FLOW_CLOSING] = {
		/* These two crossed our FLOW_CLOSE. */
		[FLOW_EV_OPENED] = TO(FLOW_CLOSING),
		[FLOW_EV_FAILED] = TO(FLOW_CLOSING),
		[FLOW_EV_CLOSED] = TO(FLOW_FREE),
	},
};

/* 0: the state has no deadline of its own. */
static const uint32_t deadlines_ms[FLOW_NSTATES] = {
	[FLOW_OPENING] = FLOW_OPENING_MS,
	[FLOW_ACCEPTING] = FLOW_ACCEPTING_MS,
	[FLOW_CONNECTING] = FLOW_CONNECTING_MS,
};

int
flows_init(struct flow_table *table, uint32_t nout, uint32_t nin,
    struct netproc *np)
{
	memset(table, 0, sizeof(*table));
	table->nout = nout;
	table->nin = nin;
	table->nbuckets = 256;
	while (table->nbuckets < nout + nin)
		table->nbuckets *= 2;
	table->flows = calloc((size_t)nout + nin, sizeof(*table->flows));
	table->buckets = calloc(table->nbuckets, sizeof(*table->buckets));
	if (table->flows == NULL || table->buckets == NULL) {
		free(table->flows);
		free(table->buckets);
		errno = ENOMEM;
		return (-1);
	}
	table->np = np;
	TAILQ_INIT(&table->free);
	TAILQ_INIT(&table->active);
	TAILQ_INIT(&table->awake);
	return (0);
}

/*
 * A slot is made ready when it is first looked at: memory for flows that never
 * were is not touched.
 */
static struct flow *
flow_at(struct flow_table *table, uint32_t i)
{
	struct flow *flow = &table->flows[i];

	if (!flow->ready) {
		flow->ready = 1;
		flow->slot = i;
		flow->inbound = i >= table->nout;
		flow->np = table->np;
		flow->fd = -1;
	}
	return (flow);
}

enum flow_state
flow_next_state(enum flow_state state, enum flow_event event, int inbound)
{
	uint8_t to;

	if ((unsigned int)state >= FLOW_NSTATES ||
	    (unsigned int)event >= FLOW_NEVENTS)
		return (FLOW_NSTATES);
	to = transitions[state][event];
	if (to == 0)
		return (FLOW_NSTATES);
	/* An inbound slot is relayproc's again as soon as it hears of it. */
	if (inbound && to == TO(FLOW_CLOSING))
		return (FLOW_FREE);
	return ((enum flow_state)(to - 1));
}

int
flow_step(struct flow *flow, enum flow_event event, uint64_t now_ms)
{
	enum flow_state next;

	next = flow_next_state(flow->state, event, flow->inbound);
	if (next == FLOW_NSTATES)
		return (-1);
	flow->state = next;
	flow->deadline_ms = 0;
	if (deadlines_ms[next] != 0) {
		flow->deadline_ms = now_ms + deadlines_ms[next];
		flow_wake(flow);
	}
	return (0);
}

uint32_t
flow_wire_slot(const struct flow_table *table, const struct flow *flow)
{
	if (flow->inbound)
		return (FLOW_INBOUND_BIT | (flow->slot - table->nout));
	return (flow->slot);
}

struct flow *
flow_by_wire_slot(struct flow_table *table, uint32_t wire)
{
	uint32_t index = wire & ~FLOW_INBOUND_BIT;

	if ((wire & FLOW_INBOUND_BIT) != 0)
		return (index < table->nin ?
			flow_at(table, table->nout + index) :
			NULL);
	return (index < table->nout ? flow_at(table, index) : NULL);
}

/* Everything but what the slot is; the generation is the caller's. */
static void
flow_clear(struct flow *flow)
{
	const uint32_t slot = flow->slot, generation = flow->generation;
	const int inbound = flow->inbound;
	struct netproc *np = flow->np;

	memset(flow, 0, sizeof(*flow));
	flow->ready = 1;
	flow->slot = slot;
	flow->generation = generation;
	flow->inbound = inbound;
	flow->np = np;
	flow->fd = -1;
	block_queue_init(&flow->up);
	block_queue_init(&flow->down);
}

/* For a successor, who ends what the guest believes in (orphan.h). */
static void
flow_name(struct flow_table *table, const struct flow *flow)
{
	const struct journal_name name = {
		.peer = flow->tuple.peer,
		.guest = flow->tuple.guest,
		.peer_port = flow->tuple.peer_port,
		.guest_port = flow->tuple.guest_port,
	};

	if (table->journal != NULL)
		journal_name_set(table->journal, flow->slot, &name);
}

static void
flow_begin(struct flow_table *table, struct flow *flow,
    const struct flow_tuple *tuple, uint64_t hash)
{
	flow->tuple = *tuple;
	flow->hash = hash;
	flow->hashed = 1;
	LIST_INSERT_HEAD(&table->buckets[hash & (table->nbuckets - 1)], flow,
	    by_tuple);
	TAILQ_INSERT_TAIL(&table->active, flow, entry);
	table->nactive++;
	flow_name(table, flow);
}

struct flow *
flow_alloc(struct flow_table *table, const struct flow_tuple *tuple,
    uint64_t hash)
{
	struct flow *flow = TAILQ_FIRST(&table->free);

	if (flow != NULL)
		TAILQ_REMOVE(&table->free, flow, entry);
	else if (table->nfresh < table->nout)
		flow = flow_at(table, table->nfresh++);
	else
		return (NULL);
	flow_clear(flow);
	flow->generation++;
	flow_begin(table, flow, tuple, hash);
	return (flow);
}

struct flow *
flow_take(struct flow_table *table, uint32_t wire, uint32_t generation,
    const struct flow_tuple *tuple, uint64_t hash)
{
	struct flow *flow = flow_by_wire_slot(table, wire);

	if (flow == NULL || !flow->inbound || flow->state != FLOW_FREE)
		return (NULL);
	flow_clear(flow);
	flow->generation = generation;
	flow_begin(table, flow, tuple, hash);
	return (flow);
}

struct flow *
flow_lookup(const struct flow_table *table, const struct flow_tuple *tuple,
    uint64_t hash)
{
	struct flow *flow;

	LIST_FOREACH(flow, &table->buckets[hash & (table->nbuckets - 1)],
	    by_tuple) {
		if (memcmp(&flow->tuple, tuple, sizeof(*tuple)) == 0)
			return (flow);
	}
	return (NULL);
}

void
flow_wake(struct flow *flow)
{
	if (flow->is_awake)
		return;
	TAILQ_INSERT_TAIL(&flow->np->flows.awake, flow, awake);
	flow->np->flows.nawake++;
	flow->is_awake = 1;
}

void
flow_sleep(struct flow *flow)
{
	if (!flow->is_awake)
		return;
	TAILQ_REMOVE(&flow->np->flows.awake, flow, awake);
	flow->np->flows.nawake--;
	flow->is_awake = 0;
}

void
flow_served(struct flow_table *table, struct flow *flow)
{
	if (!flow->is_awake || TAILQ_NEXT(flow, awake) == NULL)
		return;
	TAILQ_REMOVE(&table->awake, flow, awake);
	TAILQ_INSERT_TAIL(&table->awake, flow, awake);
}

void
flow_unhash(struct flow_table *table, struct flow *flow)
{
	if (!flow->hashed)
		return;
	LIST_REMOVE(flow, by_tuple);
	flow->hashed = 0;
	if (table->journal != NULL)
		journal_name_clear(table->journal, flow->slot);
}

void
flow_release(struct flow_table *table, struct flow *flow)
{
	flow_unhash(table, flow);
	flow_sleep(flow);
	TAILQ_REMOVE(&table->active, flow, entry);
	table->nactive--;
	flow->state = FLOW_FREE;
	if (!flow->inbound)
		TAILQ_INSERT_HEAD(&table->free, flow, entry);
}
