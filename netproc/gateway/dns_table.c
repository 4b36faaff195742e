#include "netproc/gateway/dns_table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int
dns_table_init(struct dns_table *table, uint32_t nslots)
{
	uint32_t i;

	memset(table, 0, sizeof(*table));
	if (nslots == 0 || nslots > DNS_TABLE_MAX) {
		errno = EINVAL;
		return (-1);
	}
	table->slots = calloc(nslots, sizeof(*table->slots));
	if (table->slots == NULL)
		return (-1);
	table->nslots = nslots;
	for (i = 0; i < nslots; i++)
		table->slots[i].generation = 1;
	return (0);
}

void
dns_table_free(struct dns_table *table)
{
	free(table->slots);
	memset(table, 0, sizeof(*table));
}

struct dns_slot *
dns_table_add(struct dns_table *table, const struct dns_client *client,
    const uint8_t *query, size_t len, uint64_t deadline_ms)
{
	struct dns_slot *slot;

	if (table->nused == table->nslots)
		return (NULL);
	do {
		slot = &table->slots[table->next];
		table->next = (table->next + 1) % table->nslots;
	} while (slot->used);
	table->nused++;
	slot->used = 1;
	slot->client = *client;
	slot->deadline_ms = deadline_ms;
	slot->edns = dns_edns_of(query, len);
	slot->head_len = len < sizeof(slot->head) ? len : sizeof(slot->head);
	if (slot->head_len > 0)
		memcpy(slot->head, query, slot->head_len);
	return (slot);
}

uint32_t
dns_table_number(const struct dns_table *table, const struct dns_slot *slot)
{
	return ((uint32_t)(slot - table->slots));
}

struct dns_slot *
dns_table_find(struct dns_table *table, uint32_t number, uint32_t generation)
{
	struct dns_slot *slot;

	if (number >= table->nslots)
		return (NULL);
	slot = &table->slots[number];
	if (!slot->used || slot->generation != generation)
		return (NULL);
	return (slot);
}

void
dns_table_remove(struct dns_table *table, struct dns_slot *slot)
{
	if (!slot->used)
		return;
	slot->used = 0;
	if (++slot->generation == 0)
		slot->generation = 1;
	table->nused--;
}

void
dns_table_forget(struct dns_table *table)
{
	uint32_t i;

	for (i = 0; table->nused > 0 && i < table->nslots; i++)
		dns_table_remove(table, &table->slots[i]);
}

struct dns_slot *
dns_table_expired(struct dns_table *table, uint64_t now_ms)
{
	uint32_t i;

	for (i = 0; table->nused > 0 && i < table->nslots; i++) {
		if (table->slots[i].used &&
		    table->slots[i].deadline_ms <= now_ms)
			return (&table->slots[i]);
	}
	return (NULL);
}
