#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "relayproc/assoc.h"

/*
 * Theory of operation
 *
 * An association is one port of the guest's (or one echo identifier) and one
 * socket of the host's, whomever the guest talks to from it.  netproc gives
 * the slots out and ends them; datagrams may be lost on the way between us,
 * and so may its words, so every word names the association wholly:
 *
 *	ASSOC_SEND	generation newer: the one in the slot is replaced
 *			the same: sent, after our own idle timer from a new
 *			socket
 *			older: netproc lies (its channel keeps order)
 *	ASSOC_CLOSE	the same: ended; newer: every ASSOC_SEND of it was
 *			lost, nothing is there to end; older: a lie
 *
 * An inbound association stands for one client of a published port.  We give
 * its slots out, and take the one silent for longest when there is no other;
 * netproc hears of it by the next ASSOC_RECV, with a newer generation, and
 * what it says meanwhile to the client of before is dropped.
 *
 * Timers: ASSOC_IDLE_MS and ASSOC_CLIENT_IDLE_MS from the last datagram in
 * either direction, then the slot is free.
 *
 * Limits: config.max_assocs and config.max_assocs_in slots; peers as in
 * assoc_peer.h.
 */

/* The timer is at most so late. */
#define ROUND_MS 10000

/* The generation before the first: 0 is newer than it. */
#define GENERATION_NONE UINT32_MAX

/* RFC 1982: it may wrap. */
static int
generation_cmp(uint32_t a, uint32_t b)
{
	const int32_t difference = (int32_t)(a - b);

	return ((difference > 0) - (difference < 0));
}

/*
 * A slot is made ready when it is first looked at: memory for associations
 * that never were is not touched.
 */
static struct assoc *
slot_at(struct assoc_table *table, uint32_t i)
{
	struct assoc *assoc = &table->slots[i];

	if (!assoc->ready) {
		assoc->ready = 1;
		assoc->owner = table->owner;
		assoc->slot = i;
		assoc->generation = GENERATION_NONE;
		assoc->source.sock.fd = -1;
		assoc_peer_set_init(&assoc->peers, i);
	}
	return (assoc);
}

/* The same for a client; its slot number has the bit when it is ready. */
static struct assoc_client *
client_at(struct assoc_table *table, uint32_t i)
{
	struct assoc_client *client = &table->clients[i];

	if (client->slot == 0) {
		client->slot = i | FLOW_INBOUND_BIT;
		client->generation = GENERATION_NONE;
	}
	return (client);
}

int
assoc_table_init(struct assoc_table *table, uint32_t nslots, uint32_t nclients,
    uint64_t seed, struct relayproc *owner)
{
	memset(table, 0, sizeof(*table));
	TAILQ_INIT(&table->used);
	TAILQ_INIT(&table->clients_used);
	TAILQ_INIT(&table->clients_unused);
	table->seed = seed;
	table->nclient_buckets = 1;
	while (table->nclient_buckets < nclients)
		table->nclient_buckets *= 2;
	table->slots = calloc(nslots, sizeof(*table->slots));
	table->clients = calloc(nclients, sizeof(*table->clients));
	table->client_buckets = calloc(table->nclient_buckets,
	    sizeof(*table->client_buckets));
	if ((table->slots == NULL && nslots > 0) ||
	    (table->clients == NULL && nclients > 0) ||
	    table->client_buckets == NULL ||
	    assoc_peers_init(&table->peers, nslots * ASSOC_PEERS_AVG + 1,
		seed) == -1) {
		assoc_table_free(table);
		errno = ENOMEM;
		return (-1);
	}
	table->nslots = nslots;
	table->nclients = nclients;
	table->owner = owner;
	return (0);
}

void
assoc_table_free(struct assoc_table *table)
{
	assoc_peers_free(&table->peers);
	free(table->slots);
	free(table->clients);
	free(table->client_buckets);
	table->slots = NULL;
	table->clients = NULL;
	table->client_buckets = NULL;
}

enum ipc_error
assoc_lookup(struct assoc_table *table, const struct ipc_hdr *hdr,
    const struct ipc_assoc_data *msg, struct assoc **assoc, int *old)
{
	struct assoc *a;
	int cmp;

	*old = 0;
	if (hdr->flow >= table->nslots)
		return (IPC_E_QUOTA);
	a = *assoc = slot_at(table, hdr->flow);
	cmp = generation_cmp(hdr->generation, a->generation);
	if (cmp < 0)
		return (IPC_E_STATE);
	if (!a->in_use)
		return (IPC_OK);
	if (cmp > 0)
		*old = 1;
	else if (a->proto != msg->proto || a->family != msg->peer.family ||
	    a->guest_port != msg->guest_port)
		return (IPC_E_FIELD);
	return (IPC_OK);
}

void
assoc_begin(struct assoc_table *table, struct assoc *assoc, uint32_t generation,
    const struct ipc_assoc_data *msg, uint64_t now_ms)
{
	assoc->generation = generation;
	assoc->in_use = 1;
	assoc->proto = msg->proto;
	assoc->family = msg->peer.family;
	assoc->guest_port = msg->guest_port;
	assoc->has_sent = 0;
	assoc->used_ms = now_ms;
	TAILQ_INSERT_TAIL(&table->used, assoc, entry);
}

void
assoc_touch(struct assoc_table *table, struct assoc *assoc, uint64_t now_ms)
{
	assoc->used_ms = now_ms;
	if (TAILQ_NEXT(assoc, entry) == NULL)
		return;
	TAILQ_REMOVE(&table->used, assoc, entry);
	TAILQ_INSERT_TAIL(&table->used, assoc, entry);
}

void
assoc_end(struct assoc_table *table, struct assoc *assoc)
{
	assoc_peer_set_clear(&table->peers, &assoc->peers);
	TAILQ_REMOVE(&table->used, assoc, entry);
	assoc->in_use = 0;
}

enum ipc_error
assoc_closing(struct assoc_table *table, const struct ipc_hdr *hdr,
    struct assoc **assoc)
{
	struct assoc *a;
	int cmp;

	*assoc = NULL;
	if (hdr->flow >= table->nslots)
		return (IPC_E_QUOTA);
	a = slot_at(table, hdr->flow);
	cmp = generation_cmp(hdr->generation, a->generation);
	if (cmp < 0)
		return (IPC_E_STATE);
	if (a->in_use)
		*assoc = a;
	else
		a->generation = hdr->generation;
	return (IPC_OK);
}

struct assoc *
assoc_expired(const struct assoc_table *table, uint64_t now_ms)
{
	struct assoc *assoc = TAILQ_FIRST(&table->used);

	if (assoc != NULL && assoc->used_ms + ASSOC_IDLE_MS <= now_ms)
		return (assoc);
	return (NULL);
}

static struct assoc_client_bucket *
client_bucket(const struct assoc_table *table, const struct ipc_addr *addr,
    uint16_t port)
{
	uint64_t words[2], hash;

	memcpy(words, addr->bytes, sizeof(words));
	/* splitmix64's constants; the seed is what keeps chains short. */
	hash = (table->seed ^ words[0]) * 0xbf58476d1ce4e5b9ULL;
	hash = (hash ^ hash >> 31 ^ words[1]) * 0x94d049bb133111ebULL;
	hash = (hash ^ hash >> 31 ^ port) * 0xbf58476d1ce4e5b9ULL;
	hash ^= hash >> 32;
	return (&table->client_buckets[hash & (table->nclient_buckets - 1)]);
}

struct assoc_client *
assoc_client_find(struct assoc_table *table,
    const struct udp_listener *listener, const struct ipc_addr *addr,
    uint16_t port)
{
	struct assoc_client *client;

	LIST_FOREACH(client, client_bucket(table, addr, port), by_addr) {
		if (client->listener == listener && client->port == port &&
		    addr_equal(&client->addr, addr))
			return (client);
	}
	return (NULL);
}

void
assoc_client_touch(struct assoc_table *table, struct assoc_client *client,
    uint64_t now_ms)
{
	client->used_ms = now_ms;
	TAILQ_REMOVE(&table->clients_used, client, entry);
	TAILQ_INSERT_TAIL(&table->clients_used, client, entry);
}

/* A client that is in no list; the longest idle one where all are in use. */
static struct assoc_client *
client_take(struct assoc_table *table)
{
	struct assoc_client *client;

	/* Those that never were have been free longest. */
	if (table->nfresh < table->nclients)
		return (client_at(table, table->nfresh++));
	if (TAILQ_EMPTY(&table->clients_unused) &&
	    (client = TAILQ_FIRST(&table->clients_used)) != NULL)
		assoc_client_forget(table, client);
	client = TAILQ_FIRST(&table->clients_unused);
	if (client != NULL)
		TAILQ_REMOVE(&table->clients_unused, client, entry);
	return (client);
}

struct assoc_client *
assoc_client_get(struct assoc_table *table, struct udp_listener *listener,
    const struct ipc_addr *addr, uint16_t port, uint64_t now_ms)
{
	struct assoc_client *client;

	client = assoc_client_find(table, listener, addr, port);
	if (client != NULL) {
		assoc_client_touch(table, client, now_ms);
		return (client);
	}
	client = client_take(table);
	if (client == NULL)
		return (NULL);
	TAILQ_INSERT_TAIL(&table->clients_used, client, entry);
	LIST_INSERT_HEAD(client_bucket(table, addr, port), client, by_addr);
	client->generation++;
	client->listener = listener;
	client->addr = *addr;
	client->port = port;
	client->used_ms = now_ms;
	return (client);
}

enum ipc_error
assoc_client_named(struct assoc_table *table, const struct ipc_hdr *hdr,
    struct assoc_client **client)
{
	const uint32_t i = hdr->flow & ~FLOW_INBOUND_BIT;
	struct assoc_client *c;

	*client = NULL;
	if (i >= table->nclients)
		return (IPC_E_QUOTA);
	c = client_at(table, i);
	if (generation_cmp(hdr->generation, c->generation) > 0 ||
	    c->generation == GENERATION_NONE)
		return (IPC_E_STATE);
	if (c->listener != NULL && c->generation == hdr->generation)
		*client = c;
	return (IPC_OK);
}

void
assoc_client_forget(struct assoc_table *table, struct assoc_client *client)
{
	LIST_REMOVE(client, by_addr);
	client->listener = NULL;
	TAILQ_REMOVE(&table->clients_used, client, entry);
	TAILQ_INSERT_TAIL(&table->clients_unused, client, entry);
}

void
assoc_clients_expire(struct assoc_table *table, uint64_t now_ms)
{
	struct assoc_client *client;

	while ((client = TAILQ_FIRST(&table->clients_used)) != NULL &&
	    client->used_ms + ASSOC_CLIENT_IDLE_MS <= now_ms)
		assoc_client_forget(table, client);
}

uint64_t
assoc_deadline_ms(const struct assoc_table *table)
{
	const struct assoc_client *client = TAILQ_FIRST(&table->clients_used);
	const struct assoc *assoc = TAILQ_FIRST(&table->used);
	uint64_t ms = UINT64_MAX;

	if (assoc != NULL)
		ms = assoc->used_ms + ASSOC_IDLE_MS;
	if (client != NULL && client->used_ms + ASSOC_CLIENT_IDLE_MS < ms)
		ms = client->used_ms + ASSOC_CLIENT_IDLE_MS;
	if (ms == UINT64_MAX)
		return (ms);
	return ((ms + ROUND_MS - 1) / ROUND_MS * ROUND_MS);
}
