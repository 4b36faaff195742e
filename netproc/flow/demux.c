#include <stdlib.h>
#include <string.h>

#include "lwip/ip_addr.h"
#include "lwip/priv/tcp_priv.h"
#include "lwip/tcp.h"

#include "ipc/log.h"
#include "netproc/flow/demux.h"
#include "netproc/flow/lwip_addr.h"
#include "netproc/lwip_port.h"
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
	SLIST_INIT(&demux->awake);
	demux->rests = 1;
	demux->ticked_ms = lwip_port_now_ms();
	demux->nbuckets = nbuckets;
	demux->buckets = calloc(nbuckets, sizeof(*demux->buckets));
	return (demux->buckets == NULL ? -1 : 0);
}

uint64_t
demux_hash(const uint8_t *key, const struct flow_tuple *tuple)
{
	return (siphash24(key, tuple, sizeof(*tuple)));
}

static struct demux_bucket *
bucket_of(struct demux *demux, uint64_t hash)
{
	return (&demux->buckets[hash & (demux->nbuckets - 1)]);
}

/*
 * Counts the ticks that there were none of, before lwIP notes the time of
 * anything: all slept, so none of its shorter timers sees the leap.
 */
static void
rest_end(struct demux *demux)
{
	const uint64_t now_ms = lwip_port_now_ms();
	uint64_t missed;

	demux->rests = 0;
	if (now_ms <= demux->ticked_ms)
		return;
	missed = (now_ms - demux->ticked_ms) / TCP_SLOW_INTERVAL;
	tcp_ticks += (u32_t)missed;
	demux->ticked_ms += missed * TCP_SLOW_INTERVAL;
}

static void
bucket_wake(struct demux *demux, struct demux_bucket *bucket)
{
	if (bucket->is_awake)
		return;
	if (demux->rests)
		rest_end(demux);
	bucket->is_awake = 1;
	SLIST_INSERT_HEAD(&demux->awake, bucket, entry);
}

void
demux_wake(struct demux *demux, uint64_t hash)
{
	bucket_wake(demux, bucket_of(demux, hash));
}

static void
wake_all(struct demux *demux)
{
	struct demux_bucket *bucket;
	uint32_t i;

	for (i = 0; i < demux->nbuckets; i++) {
		bucket = &demux->buckets[i];
		if (bucket->active != NULL || bucket->time_wait != NULL)
			bucket_wake(demux, bucket);
	}
}

int
demux_is_awake(const struct demux *demux)
{
	return (!SLIST_EMPTY(&demux->awake));
}

int
demux_is_quiet(const struct tcp_pcb *pcb)
{
	switch (pcb->state) {
	case ESTABLISHED:
	case CLOSE_WAIT:
		break;
	case FIN_WAIT_2:
		if ((pcb->flags & TF_RXCLOSED) != 0)
			return (0);
		break;
	default:
		return (0);
	}
	return (pcb->unsent == NULL && pcb->unacked == NULL &&
	    pcb->ooseq == NULL && pcb->refused_data == NULL &&
	    pcb->persist_backoff == 0 && pcb->keep_cnt_sent == 0 &&
	    (pcb->flags & (TF_ACK_DELAY | TF_ACK_NOW | TF_CLOSEPEND)) == 0);
}

void
demux_enter(struct demux *demux, uint64_t hash)
{
	struct demux_bucket *bucket = bucket_of(demux, hash);

	if (demux->depth++ > 0) {
		if (demux->entered != NULL && demux->entered != bucket)
			fatalx("two buckets of the demultiplexer at once");
		return;
	}
	bucket_wake(demux, bucket);
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

/* What is awake becomes lwIP's whole list, and nothing is awake. */
static void
join_awake(struct demux *demux)
{
	struct demux_bucket *bucket;

	if (demux->depth++ != 0)
		fatalx("the demultiplexer's buckets are joined while in use");
	while ((bucket = SLIST_FIRST(&demux->awake)) != NULL) {
		SLIST_REMOVE_HEAD(&demux->awake, entry);
		bucket->is_awake = 0;
		join(&tcp_active_pcbs, bucket->active);
		join(&tcp_tw_pcbs, bucket->time_wait);
		bucket->active = NULL;
		bucket->time_wait = NULL;
	}
}

static void
split(struct demux *demux, const uint8_t *key)
{
	struct demux_bucket *bucket;
	struct flow_tuple tuple;
	struct tcp_pcb *pcb;

	while ((pcb = tcp_active_pcbs) != NULL) {
		tuple = pcb_tuple(pcb);
		bucket = bucket_of(demux, demux_hash(key, &tuple));
		tcp_active_pcbs = pcb->next;
		pcb->next = bucket->active;
		bucket->active = pcb;
		if (!demux_is_quiet(pcb))
			bucket_wake(demux, bucket);
	}
	while ((pcb = tcp_tw_pcbs) != NULL) {
		tuple = pcb_tuple(pcb);
		bucket = bucket_of(demux, demux_hash(key, &tuple));
		tcp_tw_pcbs = pcb->next;
		pcb->next = bucket->time_wait;
		bucket->time_wait = pcb;
		bucket_wake(demux, bucket);
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

static uint32_t
seg_seq(const struct tcp_seg *seg)
{
	return (lwip_ntohl(seg->tcphdr->seqno));
}

/* Of runs that are in order: what comes too late is put in its place. */
static void
unsent_sort(struct tcp_pcb *pcb)
{
	struct tcp_seg **at = &pcb->unsent, **place, *next;

	while (*at != NULL && (next = (*at)->next) != NULL) {
		if (TCP_SEQ_GEQ(seg_seq(next), seg_seq(*at))) {
			at = &(*at)->next;
			continue;
		}
		(*at)->next = next->next;
		place = &pcb->unsent;
		while (TCP_SEQ_LT(seg_seq(*place), seg_seq(next)))
			place = &(*place)->next;
		next->next = *place;
		*place = next;
	}
}

/*
 * lwIP 2.2.1 puts what is in flight before what is unsent when its timer runs
 * out (tcp_rexmit_rto_prepare).  The first of those may come before them: the
 * guest has asked for it again, and has had no room for it since.  Behind them
 * it would never be sent into a small window, and pump_down_release() would
 * take it for acknowledged.
 */
static void
timeouts_put_in_order(void)
{
	struct tcp_pcb *pcb;

	for (pcb = tcp_active_pcbs; pcb != NULL; pcb = pcb->next) {
		if ((pcb->flags & TF_RTO) != 0)
			unsent_sort(pcb);
	}
}

void
demux_tick(struct demux *demux, const uint8_t *key, int all)
{
	u32_t before;

	if (all)
		wake_all(demux);
	join_awake(demux);
	last_acks_keep();
	before = tcp_ticks;
	do {
		tcp_tmr();
	} while (all && tcp_ticks == before);
	demux->ticked_ms += (uint64_t)(tcp_ticks - before) * TCP_SLOW_INTERVAL;
	timeouts_put_in_order();
	split(demux, key);
	demux->rests = SLIST_EMPTY(&demux->awake);
}

void
demux_abandon_all(struct demux *demux)
{
	wake_all(demux);
	join_awake(demux);
	while (tcp_active_pcbs != NULL)
		tcp_abandon(tcp_active_pcbs, 0);
	while (tcp_tw_pcbs != NULL)
		tcp_abandon(tcp_tw_pcbs, 0);
	demux->depth--;
}
