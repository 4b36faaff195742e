#ifndef RELAYPROC_ASSOC_PEER_H
#define RELAYPROC_ASSOC_PEER_H

#include <sys/queue.h>

#include <stdint.h>

#include "ipc/proto.h"

/*
 * To whom each association has sent: who may therefore answer (address- and
 * port-dependent filtering, RFC 4787 5), and what the policy said of it.  All
 * of them share one pool; who was heard of least recently makes room.
 */

/*
 * Most peers of one association, and how many the pool has for each of them
 * on average.  Beyond either the peer that was used least recently is
 * forgotten: its datagrams are dropped until the guest sends to it again.
 * Tests: an_association_forgets_its_oldest_peer,
 * a_full_pool_forgets_the_oldest_peer_of_all.
 */
#define ASSOC_PEERS_MAX 1024
#define ASSOC_PEERS_AVG 16

struct assoc_peer {
	TAILQ_ENTRY(assoc_peer) all; /* by last use, or of the free */
	TAILQ_ENTRY(assoc_peer) own; /* of its association, by last use */
	LIST_ENTRY(assoc_peer) by_addr, by_dial;
	struct assoc_peer_set *set;
	struct ipc_addr addr; /* as the guest says it */
	uint16_t port;
	uint16_t dial_port;
	struct ipc_addr dial;	    /* where the datagrams go */
	uint32_t policy_generation; /* when it was judged */
	enum flow_verdict verdict;  /* VERDICT_N: allowed */
	uint16_t sent_len; /* the payload of the last datagram, bytes */
	uint16_t sent_seq; /* ... and its echo sequence number */
};

TAILQ_HEAD(assoc_peer_list, assoc_peer);
LIST_HEAD(assoc_peer_bucket, assoc_peer);

/* Those of one association. */
struct assoc_peer_set {
	struct assoc_peer_list list; /* oldest first */
	uint32_t n;
	uint32_t id; /* differs between sets of a pool */
};

struct assoc_peers {
	struct assoc_peer *pool;
	uint32_t n, nfresh; /* those from nfresh on never were in use */
	struct assoc_peer_list used, unused;
	struct assoc_peer_bucket *by_addr, *by_dial;
	uint32_t nbuckets; /* a power of two */
	uint64_t seed;
};

/*
 * A pool of n peers, n at least 1; seed should be unknown to the guest.  0,
 * or -1 with errno ENOMEM.
 */
int assoc_peers_init(struct assoc_peers *peers, uint32_t n, uint64_t seed);

void assoc_peers_free(struct assoc_peers *peers);

void assoc_peer_set_init(struct assoc_peer_set *set, uint32_t id);

/* Forgets them all. */
void assoc_peer_set_clear(struct assoc_peers *peers,
    struct assoc_peer_set *set);

/*
 * Returns borrowed: the peer that the guest calls addr, or that answers from
 * dial; NULL if there is none.  What is found counts as used.
 */
struct assoc_peer *assoc_peer_find(struct assoc_peers *peers,
    struct assoc_peer_set *set, const struct ipc_addr *addr, uint16_t port);
struct assoc_peer *assoc_peer_find_dial(struct assoc_peers *peers,
    struct assoc_peer_set *set, const struct ipc_addr *dial, uint16_t port);

/* Returns borrowed: a new peer, to be judged; others may be forgotten. */
struct assoc_peer *assoc_peer_add(struct assoc_peers *peers,
    struct assoc_peer_set *set, const struct ipc_addr *addr, uint16_t port,
    const struct ipc_addr *dial, uint16_t dial_port);

#endif
