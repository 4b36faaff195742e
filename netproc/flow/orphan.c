#include <stdlib.h>
#include <string.h>

#include "ipc/journal.h"
#include "netproc/flow/orphan.h"
#include "netproc/flow/segment.h"
#include "netproc/link/link.h"
#include "netproc/netproc.h"

/* Of the probe; any would do, and the guest's answer does not depend on it. */
#define PROBE_WINDOW 1024

/*
 * 1 if a flow of ours could have that name: the predecessor may have lied.
 */
static int
name_is_valid(const struct netproc *np, const struct journal_name *name)
{
	const int family = name->guest.family;

	return (addr_is_valid(&name->guest) && addr_is_valid(&name->peer) &&
	    name->peer.family == family &&
	    (family == 4 || (family == 6 && np->cfg.gateway6.family == 6)));
}

static void
name_to_tuple(const struct journal_name *name, struct flow_tuple *tuple)
{
	tuple->peer = name->peer;
	tuple->guest = name->guest;
	tuple->peer_port = name->peer_port;
	tuple->guest_port = name->guest_port;
}

static void
orphan_add(struct netproc *np, uint32_t i)
{
	struct orphans *orphans = &np->orphans;
	struct flow_tuple tuple;
	uint32_t *bucket;

	name_to_tuple(journal_dead(orphans->journal, i), &tuple);
	bucket = &orphans->buckets[demux_hash(np->hash_key, &tuple) &
	    (orphans->nbuckets - 1)];
	orphans->next[i] = *bucket;
	*bucket = i + 1;
	orphans->nleft++;
}

int
orphans_find(struct netproc *np)
{
	struct orphans *orphans = &np->orphans;
	struct journal *journal = np->journal;
	struct journal_name *name;
	uint32_t i, n = 0;

	orphans->journal = journal;
	journal_bury(journal);
	for (i = 0; i < journal->nslots; i++) {
		name = journal_dead(journal, i);
		if (name->used && !name_is_valid(np, name))
			name->used = 0;
		n += name->used;
	}
	if (n == 0)
		return (0);
	orphans->nbuckets = np->flows.nbuckets;
	orphans->buckets = calloc(orphans->nbuckets, sizeof(uint32_t));
	orphans->next = calloc(journal->nslots, sizeof(uint32_t));
	if (orphans->buckets == NULL || orphans->next == NULL)
		return (-1);
	for (i = 0; i < journal->nslots; i++) {
		if (journal_dead(journal, i)->used)
			orphan_add(np, i);
	}
	return (0);
}

void
orphans_start(struct netproc *np)
{
	if (np->orphans.nleft == 0)
		return;
	np->orphans.rounds = ORPHAN_ROUNDS;
	np->orphans.cursor = 0;
	np->orphans.retry_ms = 0;
	netproc_need_tick(np);
}

void
orphans_forget(struct netproc *np)
{
	struct orphans *orphans = &np->orphans;
	uint32_t i;

	for (i = 0; orphans->nleft > 0 && i < orphans->journal->nslots; i++)
		journal_dead(orphans->journal, i)->used = 0;
	orphans->nleft = 0;
	orphans->rounds = 0;
}

/*
 * Numbers that the guest cannot foresee, and others in each round: some would
 * happen to fit its window.
 */
static uint64_t
probe_numbers(const struct netproc *np, const struct journal_name *name)
{
	struct flow_tuple tuple;

	name_to_tuple(name, &tuple);
	return (demux_hash(np->hash_key, &tuple) +
	    np->orphans.rounds * UINT64_C(0x9e3779b97f4a7c15));
}

/* An ACK that acknowledges nothing that the guest has sent. */
static void
probe(struct netproc *np, const struct journal_name *name)
{
	const uint64_t numbers = probe_numbers(np, name);
	const struct segment ack = {
		.seq = (uint32_t)(numbers >> 32),
		.ack = (uint32_t)numbers,
		.flags = SHIELD_TCP_ACK,
		.window = PROBE_WINDOW,
	};
	struct flow_tuple tuple;

	name_to_tuple(name, &tuple);
	segment_send(np, &tuple, &ack);
	COUNT(np, ORPHANS_ASKED);
}

void
orphans_probe(struct netproc *np)
{
	struct orphans *orphans = &np->orphans;
	const struct journal_name *name;

	if (orphans->nleft == 0 || orphans->rounds == 0 ||
	    orphans->retry_ms != 0 || np->frame_fd == -1)
		return;
	netproc_need_tick(np);
	while (orphans->cursor < orphans->journal->nslots) {
		/* A turn comes with answers, a tick, or room. */
		if (orphans->nasked == ORPHAN_BATCH || !link_has_room(np))
			return;
		name = journal_dead(orphans->journal, orphans->cursor++);
		if (!name->used)
			continue;
		probe(np, name);
		orphans->nasked++;
	}
	orphans->retry_ms = np->now_ms + ORPHAN_RETRY_MS;
}

void
orphans_tick(struct netproc *np)
{
	struct orphans *orphans = &np->orphans;

	if (orphans->nleft == 0 || orphans->rounds == 0)
		return;
	netproc_need_tick(np);
	orphans->nasked = 0;
	if (orphans->retry_ms == 0 || orphans->retry_ms > np->now_ms)
		return;
	orphans->rounds--;
	orphans->cursor = 0;
	orphans->retry_ms = 0;
	if (orphans->rounds == 0)
		orphans_forget(np);
}

void
orphans_heard(struct netproc *np, const struct flow_tuple *tuple, uint64_t hash,
    uint8_t tcp_flags)
{
	struct orphans *orphans = &np->orphans;
	struct journal_name *name;
	struct flow_tuple of;
	uint32_t *at;

	if (orphans->nleft == 0)
		return;
	for (at = &orphans->buckets[hash & (orphans->nbuckets - 1)]; *at != 0;
	     at = &orphans->next[*at - 1]) {
		name = journal_dead(orphans->journal, *at - 1);
		name_to_tuple(name, &of);
		if (memcmp(&of, tuple, sizeof(of)) != 0)
			continue;
		if (orphans->nasked > 0)
			orphans->nasked--;
		/* An answer is reset, and leaves it: resets can be lost. */
		if ((tcp_flags & (SHIELD_TCP_SYN | SHIELD_TCP_RST)) == 0)
			return;
		name->used = 0;
		*at = orphans->next[*at - 1];
		orphans->nleft--;
		COUNT(np, ORPHANS_ENDED);
		return;
	}
}
