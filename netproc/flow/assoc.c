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
	TAILQ_INIT(&table->active);
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
	assoc->hash = hash;
	assoc->deadline_ms = 0;
	assoc->used_ms = 0;
	LIST_INSERT_HEAD(bucket_of(table, hash), assoc, by_key);
	TAILQ_INSERT_TAIL(&table->active, assoc, entry);
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

struct assoc *
assocs_oldest(const struct assoc_table *table, uint64_t now_ms)
{
	struct assoc *assoc, *oldest = NULL;

	TAILQ_FOREACH(assoc, &table->active, entry) {
		if (assoc->inbound)
			continue;
		if (oldest == NULL)
			oldest = assoc;
		if (!assoc->answered &&
		    now_ms - assoc->used_ms >= ASSOC_ONE_SHOT_MS)
			return (assoc);
	}
	return (oldest);
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

void
assocs_use(struct assoc_table *table, struct assoc *assoc, int answer, int dns,
    uint64_t now_ms)
{
	uint64_t idle_ms = ASSOC_IDLE_MS;

	if (answer)
		assoc->answered = 1;
	if (!assoc->answered && !assoc->inbound)
		idle_ms = dns ? ASSOC_DNS_MS : ASSOC_UNANSWERED_MS;
	assoc->used_ms = now_ms;
	assoc->deadline_ms = now_ms + idle_ms;
	TAILQ_REMOVE(&table->active, assoc, entry);
	TAILQ_INSERT_TAIL(&table->active, assoc, entry);
}

void
assocs_release(struct assoc_table *table, struct assoc *assoc)
{
	LIST_REMOVE(assoc, by_key);
	TAILQ_REMOVE(&table->active, assoc, entry);
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

	TAILQ_FOREACH(assoc, &table->active, entry) {
		if (assoc->deadline_ms <= now_ms)
			return (assoc);
	}
	return (NULL);
}
