#include <string.h>

#include "ipc/clock.h"
#include "relayproc/dispatch_netproc.h"
#include "relayproc/lend.h"
#include "relayproc/outbound.h"
#include "relayproc/relayproc.h"
#include "relayproc/splice.h"
#include "relayproc/udp_assoc.h"

static enum ipc_error
on_flow_open(struct relayproc *rp, const struct ipc_hdr *hdr,
    const void *payload)
{
	struct ipc_flow_open msg;

	memcpy(&msg, payload, sizeof(msg));
	if (!addr_is_valid(&msg.dst) || msg.dst.family == 0)
		return (IPC_E_FIELD);
	return (outbound_open(rp, hdr->flow, hdr->generation, &msg,
	    clock_now_ms()));
}

static enum ipc_error
on_flow_shut_wr(struct relayproc *rp, const struct ipc_hdr *hdr,
    const void *payload)
{
	struct ipc_empty msg;
	struct flow *flow;
	enum ipc_error error;

	memcpy(&msg, payload, sizeof(msg));
	if (msg.reserved != 0)
		return (IPC_E_FIELD);
	error = flow_shut_wr(&rp->flows, hdr->flow, hdr->generation, &flow);
	if (error == IPC_OK)
		splice_shut_wr(rp, flow);
	return (error);
}

static enum ipc_error
on_flow_close(struct relayproc *rp, const struct ipc_hdr *hdr,
    const void *payload)
{
	struct ipc_flow_close msg;
	struct flow *flow;
	enum ipc_error error;

	memcpy(&msg, payload, sizeof(msg));
	if (msg.reason >= FLOW_CLOSE_NREASONS)
		return (IPC_E_FIELD);
	error = flow_closing(&rp->flows, hdr->flow, hdr->generation, &flow);
	if (error != IPC_OK)
		return (error);
	if (msg.reason == FLOW_CLOSE_REFUSED && !flow_is_inbound(flow))
		return (IPC_E_FIELD);
	lend_close(rp, flow, (enum flow_close_reason)msg.reason);
	return (IPC_OK);
}

static enum ipc_error
on_dns_query(struct relayproc *rp, const struct ipc_msg *msg)
{
	struct ipc_dns dns;

	memcpy(&dns, msg->payload, sizeof(dns));
	if (dns.pad != 0)
		return (IPC_E_FIELD);
	return (resolver_ask(rp, msg->hdr.flow, msg->hdr.generation,
	    dns.guest_port, msg->tail, msg->tail_len, clock_now_ms()));
}

static enum ipc_error
on_assoc_close(struct relayproc *rp, const struct ipc_hdr *hdr,
    const void *payload)
{
	struct ipc_empty msg;

	memcpy(&msg, payload, sizeof(msg));
	if (msg.reserved != 0)
		return (IPC_E_FIELD);
	return (udp_assoc_close(rp, hdr));
}

enum ipc_error
dispatch_netproc(struct channel *ch, struct ipc_msg *msg, void *arg)
{
	struct relayproc *rp = arg;

	if ((ch == &rp->dgram) != ipc_is_dgram(msg->hdr.type))
		return (IPC_E_DIRECTION);
	switch (msg->hdr.type) {
	case IPC_FLOW_OPEN:
		return (on_flow_open(rp, &msg->hdr, msg->payload));
	case IPC_FLOW_SHUT_WR:
		return (on_flow_shut_wr(rp, &msg->hdr, msg->payload));
	case IPC_FLOW_CLOSE:
		return (on_flow_close(rp, &msg->hdr, msg->payload));
	case IPC_DNS_QUERY:
		return (on_dns_query(rp, msg));
	case IPC_DNS_DONE:
		return (resolver_done(rp, msg->hdr.flow, msg->hdr.generation));
	case IPC_ASSOC_SEND:
		return (udp_assoc_send(rp, msg, clock_now_ms()));
	case IPC_ASSOC_CLOSE:
		return (on_assoc_close(rp, &msg->hdr, msg->payload));
	default:
		return (IPC_E_TYPE);
	}
}
