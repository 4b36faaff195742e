#ifndef RELAYPROC_RESOLVER_H
#define RELAYPROC_RESOLVER_H

#include <sys/queue.h>

#include <stddef.h>
#include <stdint.h>

#include <event2/event_struct.h>

#include "ipc/proto.h"

/*
 * The guest's DNS queries, carried to the configured servers and back as
 * datagrams; of an answer its identifier and its code alone are looked at.
 */

struct relayproc;

/*
 * More servers are a configuration error and refused at start.  Test:
 * more_records_than_a_table_holds_end_it.
 */
#define RESOLVERS_MAX 16

/*
 * Most bytes of a query: a header, one question of at most 259 bytes, EDNS
 * with its padding.  A longer one is answered by DNS_FAILED.  Test:
 * an_empty_query_and_one_beyond_the_limit_fail.
 */
#define RESOLVER_QUERY_MAX 4096

/*
 * Most answers to one query that are passed on; later ones are dropped and
 * the query waits for its deadline.  Test: answers_beyond_the_limit_stay.
 */
#define RESOLVER_ANSWERS_MAX 16

struct dns_query {
	int ready; /* 0: never used, what follows is not set */
	TAILQ_ENTRY(dns_query) entry; /* of those in flight, by deadline */
	struct relayproc *owner;      /* borrowed, for event callbacks */
	struct event ev;
	uint32_t slot, generation;
	uint16_t guest_port;
	int in_flight;
	int refused;	      /* a server has, and another is asked */
	unsigned int refuser; /* the first that has */
	int fd;		      /* owned: connected to the server; or -1 */
	unsigned int server, tried, answers;
	uint64_t deadline_ms;
	size_t len;
	uint8_t data[RESOLVER_QUERY_MAX];
};

TAILQ_HEAD(dns_query_list, dns_query);

struct resolver {
	struct ipc_resolver servers[RESOLVERS_MAX];
	unsigned int nservers;
	unsigned int preferred; /* the first to answer the last query */
	uint64_t return_ms;	/* when the first is asked before that */
	uint32_t timeout_ms;	/* for each server */
	struct dns_query *queries;
	uint32_t nqueries;
	struct dns_query_list in_flight;
	struct relayproc *owner;
	uint8_t *answer; /* IPC_DNS_TAIL_MAX bytes */
	size_t answer_len;
	struct dns_query *held; /* its answer waits for room, or NULL */
};

/* The servers so far are no more; queries in flight turn to the new ones. */
void resolver_clear(struct resolver *resolver);

/* Copies the record.  0, or -1 with errno ENOSPC. */
int resolver_add(struct resolver *resolver, const struct ipc_resolver *msg);

/* Allocates the slots.  0, or -1 with errno ENOMEM. */
int resolver_init(struct resolver *resolver, uint32_t nqueries,
    uint32_t timeout_ms, struct relayproc *owner);

void resolver_free(struct resolver *resolver);

/*
 * netproc's DNS_QUERY: data is sent on, DNS_ANSWERs or DNS_FAILED will follow.
 * A query that is in flight in the same slot is given up for a newer one.
 * IPC_OK, IPC_E_QUOTA (more slots than granted), IPC_E_STATE (generation not
 * newer than the last one).
 */
enum ipc_error resolver_ask(struct relayproc *rp, uint32_t slot,
    uint32_t generation, uint16_t guest_port, const uint8_t *data, size_t len,
    uint64_t now_ms);

/*
 * netproc has found its answer: the query ends, and its server, or the first
 * that had refused it, is asked first from now on (resolver_prefer()).  IPC_OK,
 * or IPC_E_QUOTA (no such slot).
 */
enum ipc_error resolver_done(struct relayproc *rp, uint32_t slot,
    uint32_t generation);

/* A server is asked first from now on, for a while if it is not the first. */
void resolver_prefer(struct resolver *resolver, unsigned int server,
    uint64_t now_ms);

/* Which server a new query, or a new connection of the guest's, is for. */
unsigned int resolver_first(struct resolver *resolver, uint64_t now_ms);

/* There may be room in netproc's channel for the answer that waits. */
void resolver_room(struct relayproc *rp);

/* Turns from the servers that did not answer in time to the next. */
void resolver_expire(struct relayproc *rp, uint64_t now_ms);

/* When resolver_expire() has something to do, UINT64_MAX: never. */
uint64_t resolver_deadline_ms(const struct resolver *resolver);

/* Gives all queries up without a word. */
void resolver_stop(struct relayproc *rp);

#endif
