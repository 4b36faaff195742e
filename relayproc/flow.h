#ifndef RELAYPROC_FLOW_H
#define RELAYPROC_FLOW_H

#include <sys/queue.h>

#include <stdint.h>

#include <event2/event_struct.h>

#include "ipc/proto.h"

struct relayproc;
struct splice;

enum flow_state {
	FLOW_FREE,
	FLOW_WAITING,	 /* for a place in the budget */
	FLOW_CONNECTING, /* for the host's network */
	FLOW_LENDING,	 /* for room in the channel to netproc */
	FLOW_LENT,	 /* netproc has the socket too, or the stream to it */
	FLOW_DRAINING,	 /* closed; the guest's last bytes are under way */
	FLOW_FAILED,	 /* told; netproc may have said FLOW_CLOSE meanwhile */
	FLOW_NSTATES
};

struct flow {
	int ready;		 /* 0: never used, what follows is not set */
	TAILQ_ENTRY(flow) entry; /* of the list of its state */
	struct relayproc *owner; /* borrowed, for event callbacks */
	struct event ev;	 /* writability, while FLOW_CONNECTING */
	uint32_t slot;		 /* as it stands in a header */
	uint32_t generation;
	enum flow_state state;
	int fd;		       /* owned, or -1 */
	struct splice *splice; /* NULL: fd is lent */
	int shut_wr;	       /* netproc has sent the guest's FIN on */
	struct ipc_addr peer;  /* whom the socket talks to */
	uint16_t peer_port;
	uint16_t guest_port; /* inbound: what the guest listens on */
	uint32_t preserve;   /* inbound: said to netproc */
	struct ipc_addr dst; /* outbound: whom the guest has asked for */
	uint16_t dst_port;
	uint32_t policy_generation; /* ... that was judged then */
	struct ipc_addr charged;    /* outbound: whose place in the budget */
	int counted;		    /* what it carried is among the counters */
	int answered;		    /* outbound: the connect was, at once */
	int to_resolver; /* outbound: any configured server will do */
	unsigned int server, tried;
	uint16_t mss;	      /* of the guest, bytes */
	uint64_t deadline_ms; /* of WAITING, CONNECTING and DRAINING */
	uint64_t give_up_ms;  /* the last deadline of CONNECTING */
	TAILQ_ENTRY(flow) by_settle;
	uint64_t settle_ms; /* outbound, LENT: when it settles; 0: it has */
};

TAILQ_HEAD(flow_list, flow);

struct flow_table {
	struct flow *outbound, *inbound;
	uint32_t noutbound, ninbound;
	struct flow_list list[FLOW_NSTATES]; /* oldest first, or by deadline */
	uint32_t count[FLOW_NSTATES];
	struct flow_list inbound_free; /* used before */
	struct flow_list unsettled;    /* oldest first (lend.c) */
	uint32_t nfresh; /* inbound, those from here on never were */
	struct relayproc *owner;
};

/*
 * All slots of both directions, free.  owner is borrowed.  0, or -1 with
 * errno ENOMEM.
 */
int flow_table_init(struct flow_table *table, uint32_t max_flows,
    uint32_t max_inbound, struct relayproc *owner);

void flow_table_free(struct flow_table *table);

int flow_is_inbound(const struct flow *flow);

/*
 * Moves flow to the end of the list of its new state, where deadline_ms holds
 * for WAITING, CONNECTING and DRAINING.  A step that the diagram in flow.c
 * lacks is fatal.
 */
void flow_move(struct flow_table *table, struct flow *flow,
    enum flow_state state, uint64_t deadline_ms);

/*
 * Another deadline for a flow that stays WAITING or CONNECTING: it finds its
 * place among those of its list, looked for from the end.
 */
void flow_deadline_set(struct flow_table *table, struct flow *flow,
    uint64_t deadline_ms);

/*
 * netproc's FLOW_OPEN: the flow is WAITING until deadline_ms.  IPC_OK, or
 * IPC_E_FIELD (not an outbound slot), IPC_E_QUOTA (more slots than granted),
 * IPC_E_STATE (slot in use, or generation not newer than the last one).
 */
enum ipc_error flow_open(struct flow_table *table, uint32_t slot,
    uint32_t generation, uint64_t deadline_ms, struct flow **flow);

/*
 * A connection to a published port: consumes fd, the flow is LENDING with a
 * new generation.  Returns borrowed, or NULL (fd untouched) with no slot free.
 */
struct flow *flow_accept(struct flow_table *table, int fd);

/* netproc's FLOW_SHUT_WR: IPC_OK, or IPC_E_STATE (not lent, or said twice). */
enum ipc_error flow_shut_wr(struct flow_table *table, uint32_t slot,
    uint32_t generation, struct flow **flow);

/*
 * Finds the flow that netproc's FLOW_CLOSE names.  IPC_OK, or IPC_E_STATE: no
 * such flow, or one that it has not been told of.
 */
enum ipc_error flow_closing(struct flow_table *table, uint32_t slot,
    uint32_t generation, struct flow **flow);

/* Returns borrowed: a flow whose deadline is at or before now_ms, or NULL. */
struct flow *flow_expired(const struct flow_table *table, uint64_t now_ms);

/* The next deadline, UINT64_MAX without one. */
uint64_t flow_deadline_ms(const struct flow_table *table);

#endif
