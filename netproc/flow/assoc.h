#ifndef NETPROC_FLOW_ASSOC_H
#define NETPROC_FLOW_ASSOC_H

#include <sys/queue.h>

#include <stdint.h>

#include "ipc/addr.h"

/*
 * Associations: what a flow is to TCP, an association is to UDP and ICMP echo.
 *
 * One stands for one port (or echo identifier) of the guest's, whoever it
 * speaks to (endpoint-independent mapping, RFC 4787 4.1), and for one socket
 * of relayproc's.  An inbound one stands for one client of a published port,
 * and has a port of the gateway's (or the client's own address) as the guest
 * sees it.
 *
 * Timers (assoc.deadline_ms; RFC 4787 4.3), after the last datagram:
 *	no answer yet			120 s, and 30 s when slots are short
 *	... and it was a DNS query	10 s
 *	answered			300 s
 * Then ASSOC_CLOSE is said and the slot is free.  When all slots are in use,
 * one that nobody has answered for 30 s gives way first, then the one that
 * was idle longest.
 *
 * To give way costs relayproc a socket, which is dear, and the guest the
 * answers that are under way.  A guest that sends each datagram from another
 * port may have as many in a burst as there are slots, and then each slot anew
 * every 250 ms on average; what is beyond that is dropped.
 */
#define ASSOC_IDLE_MS	    (300 * 1000)
#define ASSOC_UNANSWERED_MS (120 * 1000)
#define ASSOC_ONE_SHOT_MS   (30 * 1000)
#define ASSOC_DNS_MS	    (10 * 1000)
#define ASSOC_TENURE_MS	    250

/* Those of one kind have one timer: the first used is the first to end. */
enum assoc_kind {
	ASSOC_DNS, /* the guest's; a query that nobody has answered */
	ASSOC_UNANSWERED,
	ASSOC_ANSWERED,
	ASSOC_INBOUND, /* last: it gives way to none */
	ASSOC_NKINDS
};

/* What the guest calls it; all of it for an inbound one, without peer else. */
struct assoc_key {
	struct ipc_addr guest;
	struct ipc_addr peer; /* family 0: any */
	uint16_t guest_port;
	uint16_t peer_port;
	uint32_t proto; /* IPPROTO_UDP, IPPROTO_ICMP, IPPROTO_ICMPV6 */
};
_Static_assert(sizeof(struct assoc_key) == 48, "no padding: it is hashed");

struct assoc {
	uint32_t slot; /* index in the table */
	uint32_t generation;
	int used, inbound;
	int answered;
	enum assoc_kind kind;
	int link_local; /* the guest has last called the gateway by that */
	struct assoc_key key;
	uint64_t deadline_ms, used_ms;
	struct ipc_addr client; /* inbound: as relayproc knows it */
	uint16_t client_port;
	LIST_ENTRY(assoc) by_key;
	TAILQ_ENTRY(assoc) entry; /* free, or active */
};

LIST_HEAD(assoc_bucket, assoc);
TAILQ_HEAD(assoc_list, assoc);

struct assoc_table {
	struct assoc *assocs; /* outbound slots, then inbound slots */
	uint32_t nout, nin;
	uint32_t nactive, nactive_in;
	struct assoc_list free;			/* outbound only */
	struct assoc_list active[ASSOC_NKINDS]; /* idle longest first */
	struct assoc_bucket *buckets;
	uint32_t nbuckets; /* a power of 2 */
	uint64_t credit; /* of those that may give way, ASSOC_TENURE_MS each */
	uint64_t credit_ms; /* as it was then */
};

/* 0, or -1 with errno ENOMEM. */
int assocs_init(struct assoc_table *table, uint32_t nout, uint32_t nin);

uint64_t assocs_hash(const uint8_t *key, const struct assoc_key *id);

/* Returns borrowed, or NULL. */
struct assoc *assocs_lookup(const struct assoc_table *table,
    const struct assoc_key *id, uint64_t hash);

/*
 * A free outbound slot, now in use under id.  NULL if there is none; then
 * assocs_giving_way() says which is to be ended first.
 */
struct assoc *assocs_alloc(struct assoc_table *table,
    const struct assoc_key *id, uint64_t hash);

/*
 * The outbound association that gives way to another, or NULL: too many have
 * done so of late.  A guest may ask with each datagram: the table is not
 * searched.
 */
struct assoc *assocs_giving_way(struct assoc_table *table, uint64_t now_ms);

/*
 * The inbound slot that relayproc names, in that generation: as it is, or
 * taken for id anew.  NULL if the slot is out of range.
 */
struct assoc *assocs_take(struct assoc_table *table, uint32_t wire,
    uint32_t generation, const struct assoc_key *id, uint64_t hash);

/* Slot as it crosses IPC, and back (NULL: out of range). */
uint32_t assocs_wire_slot(const struct assoc_table *table,
    const struct assoc *assoc);
struct assoc *assocs_by_wire_slot(struct assoc_table *table, uint32_t wire);

/* A datagram went out, or (answer) came in: sets the deadline. */
void assocs_use(struct assoc_table *table, struct assoc *assoc, int answer,
    int dns, uint64_t now_ms);

/* The slot is free again. */
void assocs_release(struct assoc_table *table, struct assoc *assoc);

/* An association whose deadline has come, or NULL. */
struct assoc *assocs_expired(const struct assoc_table *table, uint64_t now_ms);

/* One in use, or NULL. */
struct assoc *assocs_any(const struct assoc_table *table);

#endif
