#ifndef NETPROC_FLOW_DNS_FLOW_H
#define NETPROC_FLOW_DNS_FLOW_H

#include <stddef.h>
#include <stdint.h>

#include "netproc/flow/blocks.h"
#include "netproc/gateway/dns_stream.h"

/*
 * A connection to the gateway's port 53 is one to a server of the host's, but
 * for the queries that are answered here: those are taken out of what the
 * guest sends, and their answers put between two messages of the server's.
 */

/*
 * Such connections at a time; a SYN beyond is dropped and counted, the guest
 * tries again.  Test: "the 65th connection to the resolver waits for a place".
 */
#define DNS_FLOWS_MAX 64

/*
 * Answers of ours that wait for the end of a message of the server's, bytes.
 * Who asks for more without reading is reset.  Test: "who asks the gateway
 * and never reads is reset".
 */
#define DNS_FLOW_ANSWERS_MAX (16 * 1024)

struct flow;
struct netproc;

struct dns_flow {
	int used;
	struct dns_stream asked;
	struct dns_boundary answered;
	struct block_queue answers; /* ours, that wait */
};

struct dns_flows {
	struct dns_flow flow[DNS_FLOWS_MAX];
};

/* Makes this a flow to the resolver.  0, or -1 if there are too many. */
int dns_flow_attach(struct netproc *np, struct flow *flow);

/* The flow has ended.  Nothing happens if it is none to the resolver. */
void dns_flow_detach(struct netproc *np, struct flow *flow);

/*
 * Bytes of the guest's.  What is for the server is appended to flow->up; for
 * the rest the guest's window is opened again.  flow->broken is set if there
 * is no room.
 */
void dns_flow_asked(struct flow *flow, const uint8_t *bytes, size_t len);

/* Bytes of the server's, which stand in flow->down already. */
void dns_flow_answered(struct flow *flow, const uint8_t *bytes, size_t len);

/* Appends our answers to flow->down, if no message is under way there. */
void dns_flow_insert(struct flow *flow);

#endif
