#ifndef NETPROC_GATEWAY_DNS_TABLE_H
#define NETPROC_GATEWAY_DNS_TABLE_H

#include <stddef.h>
#include <stdint.h>

#include "netproc/gateway/dns.h"

/*
 * Queries that wait for an answer.  A slot is named by its number and its
 * generation, so that a late answer finds nothing.  Times are CLOCK_MONOTONIC
 * in ms and handed in.
 */

#define DNS_TABLE_MAX 256

/* Who asked, and where: the answer goes back the same way. */
struct dns_client {
	struct ipc_addr guest;
	struct ipc_addr gateway; /* it has several IPv6 addresses */
	uint16_t guest_port;
	size_t udp_max; /* longest answer that it takes, bytes */
};

struct dns_slot {
	uint32_t generation; /* of the present or next use, never 0 */
	uint8_t used;
	struct dns_client client;
	uint64_t deadline_ms;
	enum dns_edns edns; /* of the query: its OPT record is not kept */
	size_t head_len;
	uint8_t head[DNS_HEAD_MAX]; /* the query's first bytes */
};

struct dns_table {
	struct dns_slot *slots;
	uint32_t nslots;
	uint32_t nused;
	uint32_t next; /* where the search for a free slot begins */
};

/* nslots 1..DNS_TABLE_MAX.  0, or -1 with errno EINVAL or ENOMEM. */
int dns_table_init(struct dns_table *table, uint32_t nslots);
void dns_table_free(struct dns_table *table);

/*
 * Copies client and the head of query.  Returns borrowed, or NULL if all are
 * in use.
 */
struct dns_slot *dns_table_add(struct dns_table *table,
    const struct dns_client *client, const uint8_t *query, size_t len,
    uint64_t deadline_ms);

/* The number of a slot, as dns_table_find() takes it. */
uint32_t dns_table_number(const struct dns_table *table,
    const struct dns_slot *slot);

/* Returns borrowed, or NULL if no such slot is in use in that generation. */
struct dns_slot *dns_table_find(struct dns_table *table, uint32_t number,
    uint32_t generation);

/* Ends the slot's use; its generation moves on. */
void dns_table_remove(struct dns_table *table, struct dns_slot *slot);

/* The guest has gone: ends the use of every slot. */
void dns_table_forget(struct dns_table *table);

/*
 * A slot whose deadline has come, borrowed, or NULL; the caller answers it,
 * removes it and asks again.
 */
struct dns_slot *dns_table_expired(struct dns_table *table, uint64_t now_ms);

#endif
