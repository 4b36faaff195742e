#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "relayproc/assoc_peer.h"

int
assoc_peers_init(struct assoc_peers *peers, uint32_t n, uint64_t seed)
{
	memset(peers, 0, sizeof(*peers));
	TAILQ_INIT(&peers->used);
	TAILQ_INIT(&peers->unused);
	peers->seed = seed;
	peers->nbuckets = 1;
	while (peers->nbuckets < n)
		peers->nbuckets *= 2;
	peers->pool = calloc(n, sizeof(*peers->pool));
	peers->by_addr = calloc(peers->nbuckets, sizeof(*peers->by_addr));
	peers->by_dial = calloc(peers->nbuckets, sizeof(*peers->by_dial));
	if (peers->pool == NULL || peers->by_addr == NULL ||
	    peers->by_dial == NULL) {
		assoc_peers_free(peers);
		errno = ENOMEM;
		return (-1);
	}
	peers->n = n;
	return (0);
}

void
assoc_peers_free(struct assoc_peers *peers)
{
	free(peers->pool);
	free(peers->by_addr);
	free(peers->by_dial);
	memset(peers, 0, sizeof(*peers));
}

void
assoc_peer_set_init(struct assoc_peer_set *set, uint32_t id)
{
	TAILQ_INIT(&set->list);
	set->n = 0;
	set->id = id;
}

/*
 * The finaliser of MurmurHash3 between the words: enough to spread the load
 * as long as the seed is secret, and a chain is never longer than the pool.
 */
static uint64_t
mix(uint64_t hash, uint64_t word)
{
	hash ^= word;
	hash ^= hash >> 33;
	hash *= 0xff51afd7ed558ccdULL;
	hash ^= hash >> 33;
	hash *= 0xc4ceb9fe1a85ec53ULL;
	hash ^= hash >> 33;
	return (hash);
}

static uint32_t
bucket_of(const struct assoc_peers *peers, const struct assoc_peer_set *set,
    const struct ipc_addr *addr, uint16_t port)
{
	uint64_t words[2], hash;

	memcpy(words, addr->bytes, sizeof(words));
	hash = mix(peers->seed, (uint64_t)set->id << 16 | port);
	hash = mix(mix(hash, words[0]), words[1]);
	return ((uint32_t)hash & (peers->nbuckets - 1));
}

static void
peer_touch(struct assoc_peers *peers, struct assoc_peer *peer)
{
	if (TAILQ_NEXT(peer, all) != NULL) {
		TAILQ_REMOVE(&peers->used, peer, all);
		TAILQ_INSERT_TAIL(&peers->used, peer, all);
	}
	if (TAILQ_NEXT(peer, own) != NULL) {
		TAILQ_REMOVE(&peer->set->list, peer, own);
		TAILQ_INSERT_TAIL(&peer->set->list, peer, own);
	}
}

struct assoc_peer *
assoc_peer_find(struct assoc_peers *peers, struct assoc_peer_set *set,
    const struct ipc_addr *addr, uint16_t port)
{
	struct assoc_peer *peer;

	LIST_FOREACH(peer, &peers->by_addr[bucket_of(peers, set, addr, port)],
	    by_addr) {
		if (peer->set == set && peer->port == port &&
		    addr_equal(&peer->addr, addr)) {
			peer_touch(peers, peer);
			return (peer);
		}
	}
	return (NULL);
}

struct assoc_peer *
assoc_peer_find_dial(struct assoc_peers *peers, struct assoc_peer_set *set,
    const struct ipc_addr *dial, uint16_t port)
{
	struct assoc_peer *peer;

	LIST_FOREACH(peer, &peers->by_dial[bucket_of(peers, set, dial, port)],
	    by_dial) {
		if (peer->set == set && peer->dial_port == port &&
		    addr_equal(&peer->dial, dial)) {
			peer_touch(peers, peer);
			return (peer);
		}
	}
	return (NULL);
}

static void
assoc_peer_forget(struct assoc_peers *peers, struct assoc_peer *peer)
{
	TAILQ_REMOVE(&peers->used, peer, all);
	TAILQ_REMOVE(&peer->set->list, peer, own);
	LIST_REMOVE(peer, by_addr);
	LIST_REMOVE(peer, by_dial);
	peer->set->n--;
	peer->set = NULL;
	TAILQ_INSERT_HEAD(&peers->unused, peer, all);
}

/*
 * A peer that is in no list; the longest unused one where all are in use.
 * Memory for peers that never were is not touched.
 */
static struct assoc_peer *
peer_take(struct assoc_peers *peers)
{
	struct assoc_peer *peer;

	if (TAILQ_EMPTY(&peers->unused) && peers->nfresh < peers->n)
		return (&peers->pool[peers->nfresh++]);
	if (TAILQ_EMPTY(&peers->unused))
		assoc_peer_forget(peers, TAILQ_FIRST(&peers->used));
	peer = TAILQ_FIRST(&peers->unused);
	TAILQ_REMOVE(&peers->unused, peer, all);
	return (peer);
}

struct assoc_peer *
assoc_peer_add(struct assoc_peers *peers, struct assoc_peer_set *set,
    const struct ipc_addr *addr, uint16_t port, const struct ipc_addr *dial,
    uint16_t dial_port)
{
	struct assoc_peer *peer;

	if (set->n == ASSOC_PEERS_MAX)
		assoc_peer_forget(peers, TAILQ_FIRST(&set->list));
	peer = peer_take(peers);
	TAILQ_INSERT_TAIL(&peers->used, peer, all);
	TAILQ_INSERT_TAIL(&set->list, peer, own);
	LIST_INSERT_HEAD(&peers->by_addr[bucket_of(peers, set, addr, port)],
	    peer, by_addr);
	LIST_INSERT_HEAD(&peers
			      ->by_dial[bucket_of(peers, set, dial, dial_port)],
	    peer, by_dial);
	set->n++;
	peer->set = set;
	peer->addr = *addr;
	peer->port = port;
	peer->dial = *dial;
	peer->dial_port = dial_port;
	peer->verdict = VERDICT_DENIED;
	peer->policy_generation = 0;
	peer->sent_len = 0;
	peer->sent_seq = 0;
	return (peer);
}

void
assoc_peer_set_clear(struct assoc_peers *peers, struct assoc_peer_set *set)
{
	struct assoc_peer *peer;

	while ((peer = TAILQ_FIRST(&set->list)) != NULL)
		assoc_peer_forget(peers, peer);
}
