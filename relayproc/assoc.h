#ifndef RELAYPROC_ASSOC_H
#define RELAYPROC_ASSOC_H

#include <sys/queue.h>

#include <stdint.h>

#include <event2/event_struct.h>

#include "ipc/proto.h"
#include "relayproc/assoc_peer.h"
#include "relayproc/dgram.h"

/* The slots of associations, in both directions.  No sockets are used here. */

struct relayproc;
struct udp_listener;

/* A socket that is read: of an association, or of a published port. */
struct dgram_source {
	TAILQ_ENTRY(dgram_source) entry; /* of those that wait for room */
	struct event ev;
	struct dgram_sock sock;
	int waits;
};

TAILQ_HEAD(dgram_source_list, dgram_source);

struct assoc {
	int ready;		    /* 0: never used, what follows is not set */
	struct dgram_source source; /* first: found from its socket's event */
	TAILQ_ENTRY(assoc) entry;   /* of those in use, by last use */
	struct relayproc *owner;    /* borrowed, for event callbacks */
	uint32_t slot, generation;
	int in_use;
	uint8_t proto;
	uint8_t family; /* of the guest's side, 4 or 6 */
	uint16_t guest_port;
	int has_sent; /* the socket has its local port */
	uint64_t used_ms;
	struct assoc_peer_set peers;
};

/* One client of a published port: an inbound association. */
struct assoc_client {
	TAILQ_ENTRY(assoc_client) entry; /* by last use, or of the unused */
	LIST_ENTRY(assoc_client) by_addr;
	uint32_t slot, generation;
	struct udp_listener *listener; /* borrowed; NULL: the slot is free */
	struct ipc_addr addr;
	uint16_t port;
	struct ipc_addr local; /* to which address of the host's it sends */
	uint32_t link;	       /* ... and by which link, as in struct dgram */
	uint16_t sent_len;     /* the last answer's payload, bytes */
	uint64_t used_ms;
};

TAILQ_HEAD(assoc_list, assoc);
TAILQ_HEAD(assoc_client_list, assoc_client);
LIST_HEAD(assoc_client_bucket, assoc_client);

struct assoc_table {
	struct assoc *slots;
	uint32_t nslots;
	struct assoc_list used; /* oldest first */
	struct assoc_peers peers;
	struct assoc_client *clients;
	uint32_t nclients;
	struct assoc_client_list clients_used, clients_unused;
	uint32_t nfresh; /* clients, those from here on never were */
	struct relayproc *owner;
	struct assoc_client_bucket *client_buckets;
	uint32_t nclient_buckets; /* a power of two */
	uint64_t seed;
};

/* netproc has the timers of an association; this is for what it forgot. */
#define ASSOC_IDLE_MS 360000

/* RFC 4787 4.3: five minutes. */
#define ASSOC_CLIENT_IDLE_MS 300000

/* All slots, free.  owner is borrowed.  0, or -1 with errno ENOMEM. */
int assoc_table_init(struct assoc_table *table, uint32_t nslots,
    uint32_t nclients, uint64_t seed, struct relayproc *owner);

void assoc_table_free(struct assoc_table *table);

/*
 * What netproc's ASSOC_SEND means for an outbound slot.  *assoc is the slot;
 * *old is 1 if an association of an older generation is in use there and has
 * to be ended first.  IPC_OK, IPC_E_QUOTA (no such slot), IPC_E_STATE (a
 * generation that has passed), IPC_E_FIELD (it is another's port or protocol).
 */
enum ipc_error assoc_lookup(struct assoc_table *table,
    const struct ipc_hdr *hdr, const struct ipc_assoc_data *msg,
    struct assoc **assoc, int *old);

/* The slot is in use from now on. */
void assoc_begin(struct assoc_table *table, struct assoc *assoc,
    uint32_t generation, const struct ipc_assoc_data *msg, uint64_t now_ms);

void assoc_touch(struct assoc_table *table, struct assoc *assoc,
    uint64_t now_ms);

/* Forgets the association and its peers; the socket is closed already. */
void assoc_end(struct assoc_table *table, struct assoc *assoc);

/*
 * netproc's ASSOC_CLOSE of an outbound slot: *assoc is what has to be ended,
 * or NULL.  IPC_OK, IPC_E_QUOTA, IPC_E_STATE as above.
 */
enum ipc_error assoc_closing(struct assoc_table *table,
    const struct ipc_hdr *hdr, struct assoc **assoc);

/* Returns borrowed: one idle since ASSOC_IDLE_MS, or NULL. */
struct assoc *assoc_expired(const struct assoc_table *table, uint64_t now_ms);

/*
 * Returns borrowed: the client of this address, in use from now on; a new one
 * takes the slot of the one that was silent for longest.  NULL without slots.
 */
struct assoc_client *assoc_client_get(struct assoc_table *table,
    struct udp_listener *listener, const struct ipc_addr *addr, uint16_t port,
    uint64_t now_ms);

/* Returns borrowed: the client of this address, or NULL; it is not touched. */
struct assoc_client *assoc_client_find(struct assoc_table *table,
    const struct udp_listener *listener, const struct ipc_addr *addr,
    uint16_t port);

/*
 * The client that netproc names.  *client is NULL if it was forgotten.
 * IPC_OK, IPC_E_QUOTA (no such slot), IPC_E_STATE (not told to netproc yet).
 */
enum ipc_error assoc_client_named(struct assoc_table *table,
    const struct ipc_hdr *hdr, struct assoc_client **client);

void assoc_client_touch(struct assoc_table *table, struct assoc_client *client,
    uint64_t now_ms);
void assoc_client_forget(struct assoc_table *table,
    struct assoc_client *client);

/* Forgets the clients idle since ASSOC_CLIENT_IDLE_MS. */
void assoc_clients_expire(struct assoc_table *table, uint64_t now_ms);

/*
 * When something may expire, UINT64_MAX: never.  Rounded up, so that a busy
 * association does not move the timer with every datagram.
 */
uint64_t assoc_deadline_ms(const struct assoc_table *table);

#endif
