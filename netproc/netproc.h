#ifndef NETPROC_NETPROC_H
#define NETPROC_NETPROC_H

#include <stdint.h>

#include "ipc/channel_event.h"
#include "ipc/log.h"
#include "ipc/proto.h"
#include "netproc/counters.h"
#include "netproc/flow/assoc.h"
#include "netproc/flow/blocks.h"
#include "netproc/flow/coalesce.h"
#include "netproc/flow/datagram.h"
#include "netproc/flow/demux.h"
#include "netproc/flow/dns_flow.h"
#include "netproc/flow/flow.h"
#include "netproc/flow/orphan.h"
#include "netproc/gateway/dhcp.h"
#include "netproc/gateway/dhcp6.h"
#include "netproc/gateway/dns_table.h"
#include "netproc/gateway/ra.h"
#include "netproc/link/fragment.h"
#include "netproc/link/frame.h"
#include "netproc/link/moderate.h"
#include "netproc/link/shield.h"
#include "netproc/siphash.h"

struct event;
struct event_base;

/*
 * What an operator is told once a session: the guest causes it, and could
 * fill a log with it.
 */
enum netproc_warning {
	WARNED_FOREIGN_MAC,
	WARNED_FOREIGN_ADDRESS,
	WARNED_FOREIGN_ADDRESS6,
	WARNED_FLOWS_FULL,
	WARNED_ASSOCS_FULL,
};

/*
 * netproc's one state object, passed down everywhere.
 *
 * It is the only process that reads guest bytes.  A frame passes link/
 * (framing, shield), then gateway/ (what the gateway itself answers) or
 * flow/ (a TCP connection, ended in lwIP and pumped to a lent socket, or to a
 * stream in its place).
 */
struct netproc {
	struct event_base *base;
	struct channel parent, relay, dgram;
	struct channel_event ev_parent, ev_relay, ev_dgram;

	struct ipc_config_netproc cfg;
	uint32_t guest_ip, gateway_ip; /* host order */
	uint32_t nconfig;	       /* CONFIG_* messages so far */
	int configured;		       /* CONFIG_DONE has come */
	int hello_done;

	struct journal *journal; /* outlives us; ipc/journal.h */
	struct orphans orphans;

	/* link: the frame fd, -1 while no VMM is attached */
	int frame_fd;
	struct event *ev_frame_read, *ev_frame_write;
	struct moderation moderation;
	struct frame_reader reader;
	struct frame_writer writer;
	struct shield_config shield;
	struct fragment_pool fragments;
	uint32_t guest_mtu; /* as its SYNs show it, 0 before the first */
	uint16_t ip_id;	    /* of the gateway's own packets */

	/* gateway */
	struct dhcp_config dhcp;
	struct dns_table dns;
	int leased;		/* a lease was acknowledged in this session */
	int ip6_on;		/* the host has a way to the IPv6 internet */
	struct ipc_addr guest6; /* the global address that the guest uses */
	int guest6_seen;	/* ... and it has, in this session */
	struct event *ev_ra;	/* the next periodic router advertisement */
	int ip6_offered;	/* the last advertisement was no withdrawal */
	uint64_t ra_ms;		/* when it was */
	struct ra_config ra;
	struct dhcp6_config dhcp6;
	uint8_t *scratch, *scratch_fragment; /* GATEWAY_FRAME_MAX each */
	uint32_t fragment_id;		     /* of IPv6 packets to the guest */

	/* flow */
	struct flow_table flows;
	struct demux demux;
	struct block_pool blocks;
	struct dns_flows dns_flows;
	struct assoc_table assocs;
	struct datagram_batch batch;
	struct coalesce coalesce;
	struct flow_list touched; /* have something to do at the turn's end */
	struct flow_list again;	  /* the pump stopped at its bound, not at
				     the end of the data */
	struct flow_list acks;	  /* that wait, the first due first */
	struct event *ev_ack;
	struct flow_list looks; /* to be read once more, see pump.c */
	struct event *ev_look;
	size_t ahead_bytes; /* those of all flows */
	uint8_t hash_key[SIPHASH_KEY_LEN];
	uint64_t evict_ms;	   /* when idle flows were last looked for */
	unsigned int evict_wanted; /* SYNs since then that found no slot */
	uint16_t next_port;	   /* of the gateway's, netproc_next_port() */
	struct event *ev_tick;
	int tick_armed;
	uint64_t tick_due_ms;
	uint64_t swept_ms; /* when idle flows were last looked at */

	uint64_t now_ms; /* CLOCK_MONOTONIC, see netproc_wake() */
	struct counters counters;
	struct log_limit icmp_limit;
	struct log_limit lease_limit; /* of lines about leases */
	unsigned int told;	      /* 1 << enum netproc_warning, each */
	int stopping;
};

/* An Ethernet header and the longest IPv6 packet. */
#define GATEWAY_FRAME_MAX (14 + 40 + 65535)

/* Counts one. */
#define COUNT(np, name) ((np)->counters.n[COUNT_##name]++)

/* netproc.c: says a message to a peer; a channel that is lost ends us. */
void netproc_say_relay(struct netproc *np, enum ipc_type type, uint32_t flow,
    uint32_t generation, const void *payload, size_t len);
void netproc_say_parent(struct netproc *np, enum ipc_type type,
    const void *payload, size_t len);

/*
 * netproc.c: makes all that the configuration asks for, before the lock; and
 * one turn of the loop, which waits for events unless there is more to do.  1
 * if there is.  netproc_main() calls them, and a test that owns the clock and
 * the descriptors.
 */
void netproc_prepare(struct netproc *np);
int netproc_turn(struct netproc *np, int more);

/* netproc.c: reads the clock; every callback of the event loop begins so. */
void netproc_wake(struct netproc *np);

/* 1 for the first of its kind since the VMM has attached. */
static inline int
netproc_may_warn(struct netproc *np, enum netproc_warning what)
{
	const unsigned int bit = 1u << what;
	const int first = (np->told & bit) == 0;

	np->told |= bit;
	return (first);
}

/* RFC 6335's dynamic ports. */
#define GATEWAY_PORT_LOW 49152
#define GATEWAY_NPORTS	 (UINT16_MAX - GATEWAY_PORT_LOW + 1)

/* The gateway's end for a client of a published port; it may be in use. */
static inline uint16_t
netproc_next_port(struct netproc *np)
{
	if (++np->next_port < GATEWAY_PORT_LOW)
		np->next_port = GATEWAY_PORT_LOW;
	return (np->next_port);
}

/* netproc.c: the 250 ms tick runs only while something needs it. */
void netproc_need_tick(struct netproc *np);

/* dispatch_parent.c */
enum ipc_error netproc_from_parent(struct channel *ch, struct ipc_msg *msg,
    void *arg);

/* dispatch_relay.c: the flow channel and the datagram channel. */
enum ipc_error netproc_from_relay(struct channel *ch, struct ipc_msg *msg,
    void *arg);

#endif
