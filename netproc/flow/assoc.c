#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ipc/proto.h"
#include "netproc/flow/assoc.h"
#include "netproc/siphash.h"

int
assocs_init(struct assoc_table *table, uint32_t nout, uint32_t nin)
{
	struct assoc *assoc;
	uint32_t i;

	memset(table, 0, sizeof(*table));
	table->nout = nout;
	table->nin = nin;
	table->credit = (uint64_t)nout * ASSOC_TENURE_MS;
	table->nbuckets = 64;
	while (table->nbuckets < nout + nin)
		table->nbuckets *= 2;
	table->assocs = calloc((size_t)nout + nin, sizeof(*table->assocs));
	table->buckets = calloc(table->nbuckets, sizeof(*table->buckets));
	if (table->assocs == NULL || table->buckets == NULL) {
		free(table->assocs);
		free(table->buckets);
		errno = ENOMEM;
		return (-1);
	}
	TAILQ_INIT(&table->free);
	for (i = 0; i < ASSOC_NKINDS; i++)
		TAILQ_INIT(&table->active[i]);
	for (i = 0; i < nout + nin; i++) {
		assoc = &table->assocs[i];
		assoc->slot = i;
		assoc->inbound = i >= nout;
		if (!assoc->inbound)
			TAILQ_INSERT_TAIL(&table->free, assoc, entry);
	}
	return (0);
}

uint64_t
assocs_hash(const uint8_t *key, const struct assoc_key *id)
{
	return (siphash24(key, id, sizeof(*id)));
}

static struct assoc_bucket *
bucket_of(const struct assoc_table *table, uint64_t hash)
{
	return (&table->buckets[hash & (table->nbuckets - 1)]);
}

struct assoc *
assocs_lookup(const struct assoc_table *table, const struct assoc_key *id,
    uint64_t hash)
{
	struct assoc *assoc;

	LIST_FOREACH(assoc, bucket_of(table, hash), by_key) {
		if (memcmp(&assoc->key, id, sizeof(*id)) == 0)
			return (assoc);
	}
	return (NULL);
}

static void
begin(struct assoc_table *table, struct assoc *assoc,
    const struct assoc_key *id, uint64_t hash, uint32_t generation)
{
	assoc->used = 1;
	assoc->answered = 0;
	assoc->generation = generation;
	assoc->key = *id;
	assoc->deadline_ms = 0;
	assoc->used_ms = 0;
	assoc->kind = assoc->inbound ? ASSOC_INBOUND : ASSOC_UNANSWERED;
	LIST_INSERT_HEAD(bucket_of(table, hash), assoc, by_key);
	TAILQ_INSERT_HEAD(&table->active[assoc->kind], assoc, entry);
	table->nactive++;
	table->nactive_in += (uint32_t)assoc->inbound;
}

struct assoc *
assocs_alloc(struct assoc_table *table, const struct assoc_key *id,
    uint64_t hash)
{
	struct assoc *assoc = TAILQ_FIRST(&table->free);

	if (assoc == NULL)
		return (NULL);
	TAILQ_REMOVE(&table->free, assoc, entry);
	begin(table, assoc, id, hash, assoc->generation + 1);
	return (assoc);
}

static struct assoc *
oldest(const struct assoc_table *table, uint64_t now_ms)
{
	struct assoc *assoc, *found = NULL;
	size_t i;

	for (i = 0; i < ASSOC_INBOUND; i++) {
		assoc = TAILQ_FIRST(&table->active[i]);
		if (assoc == NULL)
			continue;
		if (!assoc->answered &&
		    now_ms - assoc->used_ms >= ASSOC_ONE_SHOT_MS)
			return (assoc);
		if (found == NULL || assoc->used_ms < found->used_ms)
			found = assoc;
	}
	return (found);
}

/* In ASSOC_TENURE_MS as much comes back as there are slots. */
static int
credit_take(struct assoc_table *table, uint64_t now_ms)
{
	const uint64_t full = (uint64_t)table->nout * ASSOC_TENURE_MS;
	const uint64_t elapsed_ms = now_ms - table->credit_ms;

	if (elapsed_ms >= ASSOC_TENURE_MS)
		table->credit = full;
	else
		table->credit += elapsed_ms * table->nout;
	if (table->credit > full)
		table->credit = full;
	table->credit_ms = now_ms;
	if (table->credit < ASSOC_TENURE_MS)
		return (0);
	table->credit -= ASSOC_TENURE_MS;
	return (1);
}

struct assoc *
assocs_giving_way(struct assoc_table *table, uint64_t now_ms)
{
	return (credit_take(table, now_ms) ? oldest(table, now_ms) : NULL);
}

struct assoc *
assocs_take(struct assoc_table *table, uint32_t wire, uint32_t generation,
    const struct assoc_key *id, uint64_t hash)
{
	struct assoc *assoc = assocs_by_wire_slot(table, wire);

	if (assoc == NULL || !assoc->inbound)
		return (NULL);
	if (assoc->used && assoc->generation == generation)
		return (assoc);
	if (assoc->used)
		assocs_release(table, assoc);
	begin(table, assoc, id, hash, generation);
	return (assoc);
}

uint32_t
assocs_wire_slot(const struct assoc_table *table, const struct assoc *assoc)
{
	if (assoc->inbound)
		return (FLOW_INBOUND_BIT | (assoc->slot - table->nout));
	return (assoc->slot);
}

struct assoc *
assocs_by_wire_slot(struct assoc_table *table, uint32_t wire)
{
	const uint32_t index = wire & ~FLOW_INBOUND_BIT;

	if ((wire & FLOW_INBOUND_BIT) != 0)
		return (index < table->nin ?
			&table->assocs[table->nout + index] :
			NULL);
	return (index < table->nout ? &table->assocs[index] : NULL);
}

static enum assoc_kind
kind_of(const struct assoc *assoc, int dns)
{
	if (assoc->inbound)
		return (ASSOC_INBOUND);
	if (assoc->answered)
		return (ASSOC_ANSWERED);
	return (dns ? ASSOC_DNS : ASSOC_UNANSWERED);
}

void
assocs_use(struct assoc_table *table, struct assoc *assoc, int answer, int dns,
    uint64_t now_ms)
{
	static const uint64_t idle_ms[ASSOC_NKINDS] = {
		[ASSOC_DNS] = ASSOC_DNS_MS,
		[ASSOC_UNANSWERED] = ASSOC_UNANSWERED_MS,
		[ASSOC_ANSWERED] = ASSOC_IDLE_MS,
		[ASSOC_INBOUND] = ASSOC_IDLE_MS,
	};

	if (answer)
		assoc->answered = 1;
	TAILQ_REMOVE(&table->active[assoc->kind], assoc, entry);
	assoc->kind = kind_of(assoc, dns);
	assoc->used_ms = now_ms;
	assoc->deadline_ms = now_ms + idle_ms[assoc->kind];
	TAILQ_INSERT_TAIL(&table->active[assoc->kind], assoc, entry);
}

void
assocs_release(struct assoc_table *table, struct assoc *assoc)
{
	LIST_REMOVE(assoc, by_key);
	TAILQ_REMOVE(&table->active[assoc->kind], assoc, entry);
	table->nactive--;
	table->nactive_in -= (uint32_t)assoc->inbound;
	assoc->used = 0;
	if (!assoc->inbound)
		TAILQ_INSERT_HEAD(&table->free, assoc, entry);
}

struct assoc *
assocs_expired(const struct assoc_table *table, uint64_t now_ms)
{
	struct assoc *assoc;
	size_t i;

	for (i = 0; i < ASSOC_NKINDS; i++) {
		assoc = TAILQ_FIRST(&table->active[i]);
		if (assoc != NULL && assoc->deadline_ms <= now_ms)
			return (assoc);
	}
	return (NULL);
}

struct assoc *
assocs_any(const struct assoc_table *table)
{
	size_t i;

	for (i = 0; i < ASSOC_NKINDS; i++) {
		if (!TAILQ_EMPTY(&table->active[i]))
			return (TAILQ_FIRST(&table->active[i]));
	}
	return (NULL);
}
