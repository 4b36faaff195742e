#include <stdlib.h>
#include <string.h>

#include "lwip/ip_addr.h"
#include "lwip/priv/tcp_priv.h"
#include "lwip/tcp.h"

#include "ipc/log.h"
#include "netproc/flow/demux.h"
#include "netproc/flow/lwip_addr.h"
#include "netproc/siphash.h"

/*
 * How often our FIN after the guest's is sent again: for a minute.  Then
 * nobody is there.
 */
#define LAST_ACK_MAXRTX 6

int
demux_init(struct demux *demux, uint32_t nbuckets)
{
	memset(demux, 0, sizeof(*demux));
	demux->nbuckets = nbuckets;
	demux->buckets = calloc(nbuckets, sizeof(*demux->buckets));
	return (demux->buckets == NULL ? -1 : 0);
}

uint64_t
demux_hash(const uint8_t *key, const struct flow_tuple *tuple)
{
	return (siphash24(key, tuple, sizeof(*tuple)));
}

void
demux_enter(struct demux *demux, uint64_t hash)
{
	struct demux_bucket *bucket;

	bucket = &demux->buckets[hash & (demux->nbuckets - 1)];
	if (demux->depth++ > 0) {
		if (demux->entered != NULL && demux->entered != bucket)
			fatalx("two buckets of the demultiplexer at once");
		return;
	}
	demux->entered = bucket;
	tcp_active_pcbs = bucket->active;
	tcp_tw_pcbs = bucket->time_wait;
}

void
demux_leave(struct demux *demux)
{
	if (--demux->depth > 0)
		return;
	demux->entered->active = tcp_active_pcbs;
	demux->entered->time_wait = tcp_tw_pcbs;
	demux->entered = NULL;
	tcp_active_pcbs = NULL;
	tcp_tw_pcbs = NULL;
}

/* A connection as lwIP has it: local is the guest's peer. */
static struct flow_tuple
pcb_tuple(const struct tcp_pcb *pcb)
{
	const struct flow_tuple tuple = {
		.peer = addr_of_lwip(&pcb->local_ip),
		.guest = addr_of_lwip(&pcb->remote_ip),
		.peer_port = pcb->local_port,
		.guest_port = pcb->remote_port,
	};

	return (tuple);
}

static struct tcp_pcb *
list_find(struct tcp_pcb *pcb, const struct flow_tuple *tuple)
{
	const ip_addr_t peer = lwip_addr_of(&tuple->peer);
	const ip_addr_t guest = lwip_addr_of(&tuple->guest);

	for (; pcb != NULL; pcb = pcb->next) {
		if (pcb->remote_port == tuple->guest_port &&
		    pcb->local_port == tuple->peer_port &&
		    ip_addr_eq(&pcb->local_ip, &peer) &&
		    ip_addr_eq(&pcb->remote_ip, &guest))
			return (pcb);
	}
	return (NULL);
}

struct tcp_pcb *
demux_find(const struct flow_tuple *tuple)
{
	struct tcp_pcb *pcb = list_find(tcp_active_pcbs, tuple);

	return (pcb != NULL ? pcb : list_find(tcp_tw_pcbs, tuple));
}

/* Puts list before *joined. */
static void
join(struct tcp_pcb **joined, struct tcp_pcb *list)
{
	struct tcp_pcb *last = list;

	if (list == NULL)
		return;
	while (last->next != NULL)
		last = last->next;
	last->next = *joined;
	*joined = list;
}

static void
join_all(struct demux *demux)
{
	uint32_t i;

	if (demux->depth++ != 0)
		fatalx("the demultiplexer's buckets are joined while in use");
	for (i = 0; i < demux->nbuckets; i++) {
		join(&tcp_active_pcbs, demux->buckets[i].active);
		join(&tcp_tw_pcbs, demux->buckets[i].time_wait);
		demux->buckets[i].active = NULL;
		demux->buckets[i].time_wait = NULL;
	}
}

static void
split_all(struct demux *demux, const uint8_t *key)
{
	struct demux_bucket *bucket;
	struct flow_tuple tuple;
	struct tcp_pcb *pcb;
	uint64_t hash;

	while ((pcb = tcp_active_pcbs) != NULL) {
		tuple = pcb_tuple(pcb);
		hash = demux_hash(key, &tuple);
		bucket = &demux->buckets[hash & (demux->nbuckets - 1)];
		tcp_active_pcbs = pcb->next;
		pcb->next = bucket->active;
		bucket->active = pcb;
	}
	while ((pcb = tcp_tw_pcbs) != NULL) {
		tuple = pcb_tuple(pcb);
		hash = demux_hash(key, &tuple);
		bucket = &demux->buckets[hash & (demux->nbuckets - 1)];
		tcp_tw_pcbs = pcb->next;
		pcb->next = bucket->time_wait;
		bucket->time_wait = pcb;
	}
	demux->depth--;
}

/*
 * lwIP counts the time in LAST_ACK from the guest's last segment, and drops
 * the connection after 1 s: that may be before our FIN has gone out, let alone
 * again.  It ends by its retransmissions, as those in CLOSING do.
 */
static void
last_acks_keep(void)
{
	struct tcp_pcb *pcb;
	unsigned int n = 0;

	for (pcb = tcp_active_pcbs; pcb != NULL; pcb = pcb->next)
		n += pcb->state == LAST_ACK;
	if (n > DEMUX_LAST_ACKS_MAX)
		return;
	for (pcb = tcp_active_pcbs; pcb != NULL; pcb = pcb->next) {
		if (pcb->state == LAST_ACK && pcb->nrtx < LAST_ACK_MAXRTX)
			pcb->tmr = tcp_ticks;
	}
}

int
demux_tick(struct demux *demux, const uint8_t *key)
{
	int left;

	join_all(demux);
	last_acks_keep();
	tcp_tmr();
	left = tcp_active_pcbs != NULL || tcp_tw_pcbs != NULL;
	split_all(demux, key);
	return (left);
}

void
demux_abandon_all(struct demux *demux)
{
	join_all(demux);
	while (tcp_active_pcbs != NULL)
		tcp_abandon(tcp_active_pcbs, 0);
	while (tcp_tw_pcbs != NULL)
		tcp_abandon(tcp_tw_pcbs, 0);
	demux->depth--;
}
