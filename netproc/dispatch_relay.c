/* Everything that relayproc says to netproc, of flows and of datagrams. */

#include "netproc/flow/tcp.h"
#include "netproc/gateway/gateway.h"
#include "netproc/netproc.h"

/* The flow that a message names, in the generation that it names. */
static struct flow *
flow_of(struct netproc *np, const struct ipc_hdr *hdr)
{
	struct flow *flow = flow_by_wire_slot(&np->flows, hdr->flow);

	if (flow == NULL || flow->state == FLOW_FREE ||
	    flow->generation != hdr->generation)
		return (NULL);
	return (flow);
}

static enum ipc_error
got_opened(struct netproc *np, const struct ipc_flow_opened *opened,
    struct ipc_msg *msg)
{
	struct flow *flow = flow_of(np, &msg->hdr);
	int fd = msg->fd;

	if (opened->spliced > 1)
		return (IPC_E_FIELD);
	if (flow == NULL || flow_step(flow, FLOW_EV_OPENED, np->now_ms) == -1)
		return (IPC_E_STATE);
	if (flow->state == FLOW_CLOSING)
		return (IPC_OK); /* it crossed FLOW_CLOSE; fd is closed */
	msg->fd = -1;
	tcp_flow_opened(flow, opened, fd);
	return (IPC_OK);
}

static enum ipc_error
got_failed(struct netproc *np, const struct ipc_flow_failed *failed,
    const struct ipc_msg *msg)
{
	struct flow *flow = flow_of(np, &msg->hdr);

	if (failed->verdict >= VERDICT_N)
		return (IPC_E_FIELD);
	if (flow == NULL || flow_step(flow, FLOW_EV_FAILED, np->now_ms) == -1)
		return (IPC_E_STATE);
	if (flow->state == FLOW_CLOSING)
		return (IPC_OK);
	tcp_flow_failed(flow, (enum flow_verdict)failed->verdict);
	return (IPC_OK);
}

static enum ipc_error
got_inbound(struct netproc *np, const struct ipc_flow_inbound *inbound,
    struct ipc_msg *msg)
{
	const uint32_t wire = msg->hdr.flow;
	const struct flow *flow = flow_by_wire_slot(&np->flows, wire);
	int fd = msg->fd;

	if (!addr_is_valid(&inbound->client) || inbound->client.family == 0 ||
	    inbound->guest_port == 0 || inbound->preserve > 1 ||
	    inbound->spliced > 1)
		return (IPC_E_FIELD);
	if (flow == NULL || !flow->inbound || flow->state != FLOW_FREE)
		return (IPC_E_STATE);
	msg->fd = -1;
	tcp_flow_inbound(np, wire, msg->hdr.generation, inbound, fd);
	return (IPC_OK);
}

static enum ipc_error
got_ended(struct netproc *np, const struct ipc_flow_ended *ended,
    const struct ipc_msg *msg)
{
	struct flow *flow = flow_of(np, &msg->hdr);

	if (ended->end == FLOW_END_NONE || ended->end >= FLOW_END_N)
		return (IPC_E_FIELD);
	if (flow == NULL)
		return (flow_by_wire_slot(&np->flows, msg->hdr.flow) != NULL &&
			    (msg->hdr.flow & FLOW_INBOUND_BIT) != 0 ?
			IPC_OK : /* it crossed FLOW_CLOSE */
			IPC_E_STATE);
	if (flow->state == FLOW_CLOSING)
		return (IPC_OK); /* so it did */
	if (!flow->spliced || ended->end <= flow->ended)
		return (IPC_E_STATE);
	tcp_flow_ended(flow, (enum flow_end)ended->end);
	return (IPC_OK);
}

static enum ipc_error
got_closed(struct netproc *np, const struct ipc_msg *msg)
{
	struct flow *flow = flow_of(np, &msg->hdr);

	if (flow == NULL || flow_step(flow, FLOW_EV_CLOSED, np->now_ms) == -1)
		return (IPC_E_STATE);
	flow_release(&np->flows, flow);
	return (IPC_OK);
}

enum ipc_error
netproc_from_relay(struct channel *ch, struct ipc_msg *msg, void *arg)
{
	struct netproc *np = arg;

	if ((ch == &np->dgram) != ipc_is_dgram(msg->hdr.type))
		return (IPC_E_DIRECTION);
	netproc_wake(np);
	switch (msg->hdr.type) {
	case IPC_FLOW_OPENED:
		return (got_opened(np, msg->payload, msg));
	case IPC_FLOW_FAILED:
		return (got_failed(np, msg->payload, msg));
	case IPC_FLOW_INBOUND:
		return (got_inbound(np, msg->payload, msg));
	case IPC_FLOW_ENDED:
		return (got_ended(np, msg->payload, msg));
	case IPC_FLOW_CLOSED:
		return (got_closed(np, msg));
	case IPC_DNS_ANSWER:
		gateway_dns_answer(np, msg->hdr.flow, msg->hdr.generation,
		    msg->tail, msg->tail_len);
		return (IPC_OK);
	case IPC_DNS_FAILED:
		gateway_dns_answer(np, msg->hdr.flow, msg->hdr.generation, NULL,
		    0);
		return (IPC_OK);
	case IPC_ASSOC_RECV:
		return (datagram_received(np, msg));
	case IPC_ASSOC_ERROR:
		return (datagram_failed(np, msg));
	default:
		return (IPC_E_TYPE);
	}
}
