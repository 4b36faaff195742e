#ifndef NETPROC_FLOW_FLOW_H
#define NETPROC_FLOW_FLOW_H

#include <sys/queue.h>

#include <stddef.h>
#include <stdint.h>

#include <event2/event.h>
#include <event2/event_struct.h>

#include "ipc/proto.h"
#include "netproc/flow/blocks.h"
#include "netproc/flow/recover.h"

struct dns_flow;
struct tcp_pcb;

/*
 * Theory of operation
 *
 * A flow is one TCP connection of the guest: on the link side a pcb of
 * lwIP's, on the host side a connected socket that relayproc lent, or a unix
 * stream that relayproc joins to one (ipc/proto.h).  Its slot number and
 * generation name it in every message.
 *
 * The guest connects (outbound):
 *
 *	FREE --SYN--> OPENING	the SYN is kept, FLOW_OPEN asked; lwIP knows
 *				nothing yet, duplicates are absorbed
 *	OPENING --FLOW_OPENED--> ACCEPTING	the SYN is replayed into lwIP,
 *				whose SYN-ACK is the guest's first answer
 *	OPENING --FLOW_FAILED--> FREE	RST, and ICMP where it says more
 *	ACCEPTING --ACK--> ESTABLISHED	bytes are pumped
 *
 * A published port is connected to (inbound):
 *
 *	FREE --FLOW_INBOUND--> CONNECTING	lwIP connects to the guest
 *	CONNECTING --SYN-ACK--> ESTABLISHED
 *	CONNECTING --RST, timeout--> FREE	FLOW_CLOSE says refused
 *
 * The end, from any state: the socket is closed, FLOW_CLOSE is said once, and
 * the 4-tuple is free for a new connection.  An outbound slot waits in
 * CLOSING for FLOW_CLOSED; an inbound slot is relayproc's to give out again,
 * so it is FREE at once.
 *
 * Timers (flow.deadline_ms; condition -> consequence):
 *	OPENING		relayproc owes an answer	15 s -> RST to the guest
 *	ACCEPTING	lwIP gives up by itself		20 s -> RST to the host
 *	CONNECTING	the guest does not answer	10 s -> refused
 *	ESTABLISHED	one half ended, no byte moved	5 min -> reset both
 *	CLOSING		relayproc owes FLOW_CLOSED	none: its loss ends us
 *
 * Limits: slots as configured (--max-flows).  A SYN that finds no slot is
 * dropped and counted; the guest tries again, and the flow that has been idle
 * longest makes room (evict.h).
 */

enum flow_state {
	FLOW_FREE,
	FLOW_OPENING,
	FLOW_ACCEPTING,
	FLOW_CONNECTING,
	FLOW_ESTABLISHED,
	FLOW_CLOSING,
	FLOW_NSTATES
};

enum flow_event {
	FLOW_EV_SYN,	 /* the guest connects */
	FLOW_EV_INBOUND, /* FLOW_INBOUND */
	FLOW_EV_OPENED,	 /* FLOW_OPENED */
	FLOW_EV_FAILED,	 /* FLOW_FAILED */
	FLOW_EV_UP,	 /* lwIP's handshake with the guest is complete */
	FLOW_EV_END,	 /* done, reset or given up: FLOW_CLOSE is said */
	FLOW_EV_CLOSED,	 /* FLOW_CLOSED */
	FLOW_NEVENTS
};

/* What ends a flow when its deadline comes; see the table above. */
#define FLOW_OPENING_MS	    15000
#define FLOW_ACCEPTING_MS   20000
#define FLOW_CONNECTING_MS  10000
#define FLOW_HALF_CLOSED_MS (5 * 60 * 1000)

/* One connection as the guest sees it; ports in host order. */
struct flow_tuple {
	struct ipc_addr peer; /* the other end of the guest's connection */
	struct ipc_addr guest;
	uint16_t peer_port;
	uint16_t guest_port;
};
_Static_assert(sizeof(struct flow_tuple) == 44, "no padding: it is hashed");

#define FLOW_SYN_MAX 100 /* IPv6 header and the longest TCP header */
#define FLOW_IOV_MAX 64	 /* pieces of one turn, then they are written */

TAILQ_HEAD(flow_list, flow);

struct flow {
	int ready;     /* 0: never used, what follows is not set */
	uint32_t slot; /* index in the table */
	int inbound;   /* the slot is one of relayproc's */
	uint32_t generation;
	enum flow_state state;
	struct flow_tuple tuple;
	uint64_t hash;
	LIST_ENTRY(flow) by_tuple;
	int hashed;
	uint64_t deadline_ms; /* 0: none */

	struct netproc *np;
	struct tcp_pcb *pcb; /* NULL before and after */
	int fd;		     /* -1 before and after */
	int spliced;	     /* fd is a unix stream's, not the host's socket */
	enum flow_end ended; /* spliced: as relayproc says */
	int reset_follows;   /* behind a FIN that the guest has not seen */
	struct event ev;     /* edge-triggered, both ways */
	int watched;	     /* ev is on the event loop */
	int readable, writable;
	size_t since_room; /* bytes written since it last said so */
	int starved;	   /* readable, but there is no room for it */
	int recheck;	   /* drained as it seems: it is in netproc.looks */
	int hung_up; /* host may have said FIN or worse: read until it shows */

	uint8_t syn[FLOW_SYN_MAX];
	size_t syn_len;
	size_t syn_l4_off;
	uint32_t irs;	 /* the guest's initial sequence number */
	uint64_t syn_ms; /* when it came */

	/* guest to host */
	struct iovec turn[FLOW_IOV_MAX]; /* of this turn, where they were
					    read */
	int nturn;
	struct block_queue up; /* what the socket did not take */
	int broken;	       /* errno of the socket: reset the guest */
	int guest_fin;	       /* the guest sends no more */
	int shut_wr;	       /* and the host has been told */
	int ack_owed;	       /* and all that follows is of ack.c */
	int ack_waits;	       /* for an answer: it is in netproc.acks */
	int ack_is_late;       /* none came */
	int ack_refused;       /* the link had no room for it */
	unsigned int ack_patience;
	uint32_t acked; /* the guest's sequence number that it was told */
	uint64_t ack_due_ms;
	TAILQ_ENTRY(flow) ack_entry;
	TAILQ_ENTRY(flow) look_entry;
	size_t ahead_bytes;	  /* of memory, wait for their turn */
	uint32_t window;	  /* bytes granted to the guest's window */
	uint32_t window_used;	  /* consumed since the last whole one */
	uint64_t window_since_ms; /* when that began */

	/* host to guest */
	uint16_t guest_mss; /* bytes; lwIP's segments may be larger */
	uint64_t probe_ms;  /* when to ask for the guest's window again */
	uint32_t probe_gap_ms;
	struct block_queue down; /* not acknowledged by the guest */
	size_t down_written;	 /* of these, handed to lwIP */
	uint32_t down_seq;	 /* sequence number of the queue's head */
	struct recovery recovery;
	int host_fin; /* the host sends no more */
	int fin_sent; /* and lwIP has been told */
	int is_bulk;  /* the last burst was half of one or more */

	uint64_t used_ms;  /* when bytes last moved, either way */
	uint64_t asked_ms; /* when the guest was last asked if it lives */

	struct dns_flow *dns; /* NULL: no flow to the resolver */

	TAILQ_ENTRY(flow) touched;
	int is_touched;
	TAILQ_ENTRY(flow) again;
	int is_again;
	TAILQ_ENTRY(flow) awake;
	int is_awake;
	TAILQ_ENTRY(flow) entry; /* of the active or the free list */
};

LIST_HEAD(flow_bucket, flow);

struct flow_table {
	struct flow *flows; /* outbound slots, then inbound slots */
	uint32_t nout, nin;
	struct netproc *np;
	struct flow_list free; /* outbound, used before */
	uint32_t nfresh;       /* outbound, those from here on never were */
	struct flow_list active;
	uint32_t nactive;
	struct flow_list awake; /* served longest ago first */
	uint32_t nawake;
	struct flow_bucket *buckets;
	uint32_t nbuckets;	 /* a power of 2 */
	struct journal *journal; /* borrowed: names of flows; may be NULL */
};

/* 0, or -1 with errno ENOMEM.  Names are kept once table->journal is set. */
int flows_init(struct flow_table *table, uint32_t nout, uint32_t nin,
    struct netproc *np);

/* The next state, or FLOW_NSTATES if the event cannot be in that state. */
enum flow_state flow_next_state(enum flow_state state, enum flow_event event,
    int inbound);

/*
 * Moves the flow on, and sets the deadline of its new state.  0, or -1 if the
 * event cannot be (the caller knows whose fault that is).
 */
int flow_step(struct flow *flow, enum flow_event event, uint64_t now_ms);

/* flow.slot as it crosses IPC: FLOW_INBOUND_BIT is set for inbound slots. */
uint32_t flow_wire_slot(const struct flow_table *table,
    const struct flow *flow);

/* Returns borrowed, or NULL if the slot is out of range. */
struct flow *flow_by_wire_slot(struct flow_table *table, uint32_t wire);

/* A free outbound slot, hashed under tuple, state FREE; NULL if none. */
struct flow *flow_alloc(struct flow_table *table,
    const struct flow_tuple *tuple, uint64_t hash);

/* The same for an inbound slot that relayproc chose; NULL if not free. */
struct flow *flow_take(struct flow_table *table, uint32_t wire,
    uint32_t generation, const struct flow_tuple *tuple, uint64_t hash);

struct flow *flow_lookup(const struct flow_table *table,
    const struct flow_tuple *tuple, uint64_t hash);

/*
 * Awake are those that time or room on the link may have work for: whatever
 * happens to a flow wakes it, and turn_tick() lets it sleep.  An idle flow
 * costs nothing.
 */
void flow_wake(struct flow *flow);
void flow_sleep(struct flow *flow);

/*
 * The flow had its share of the link: when there is room again, all others
 * are before it.  Not while the awake list is walked.
 */
void flow_served(struct flow_table *table, struct flow *flow);

/* The tuple may be used again, the slot not yet. */
void flow_unhash(struct flow_table *table, struct flow *flow);

/* The slot is free again. */
void flow_release(struct flow_table *table, struct flow *flow);

#endif
