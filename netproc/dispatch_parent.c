/* Everything that the parent says to netproc. */

#include <string.h>

#include "ipc/journal.h"
#include "ipc/log.h"
#include "netproc/flow/tcp.h"
#include "netproc/gateway/gateway.h"
#include "netproc/link/link.h"
#include "netproc/netproc.h"

static enum ipc_error
got_hello(struct netproc *np, const struct ipc_hello *hello)
{
	struct ipc_hello ack = {
		.proto_hash = ipc_proto_hash(),
		.role = ROLE_NETPROC,
		.log_level = hello->log_level,
	};

	if (np->hello_done || hello->proto_hash != ack.proto_hash ||
	    hello->role != ROLE_NETPROC || hello->log_level >= LOG_LEVEL_N)
		return (IPC_E_FIELD);
	np->hello_done = 1;
	log_init("netproc", (enum log_level)hello->log_level);
	netproc_say_parent(np, IPC_HELLO_ACK, &ack, sizeof(ack));
	return (IPC_OK);
}

/* 1 if every search domain ends within its field. */
static int
search_is_valid(const struct ipc_config_netproc *cfg)
{
	uint32_t i;

	if (cfg->nsearch > NET_SEARCH_LIST)
		return (0);
	for (i = 0; i < cfg->nsearch; i++) {
		if (memchr(cfg->search[i], '\0', sizeof(cfg->search[i])) ==
		    NULL)
			return (0);
	}
	return (1);
}

/* 1 if there is no IPv6, or all of it is there. */
static int
config6_is_valid(const struct ipc_config_netproc *cfg)
{
	if (!addr_is_valid(&cfg->address6) || !addr_is_valid(&cfg->gateway6))
		return (0);
	if (cfg->gateway6.family == 0)
		return (cfg->address6.family == 0);
	return (cfg->gateway6.family == 6 && cfg->address6.family == 6 &&
	    cfg->prefix_len6 == 64);
}

static enum ipc_error
got_config(struct netproc *np, const struct ipc_config_netproc *cfg)
{
	if (!np->hello_done || np->cfg.max_flows != 0)
		return (IPC_E_STATE);
	if (!addr_is_valid(&cfg->address) || cfg->address.family != 4 ||
	    !addr_is_valid(&cfg->gateway) || cfg->gateway.family != 4 ||
	    cfg->prefix_len < 1 || cfg->prefix_len > 32 || cfg->mtu < 1280 ||
	    cfg->mtu > 65520 || cfg->max_flows == 0 ||
	    cfg->max_flows > FLOW_SLOTS_MAX ||
	    cfg->max_inbound > FLOW_SLOTS_MAX || cfg->dns_in_flight == 0 ||
	    cfg->dns_in_flight > DNS_TABLE_MAX || cfg->lease_s == 0 ||
	    !search_is_valid(cfg))
		return (IPC_E_FIELD);
	if (!config6_is_valid(cfg) || cfg->max_assocs == 0 ||
	    cfg->max_assocs > FLOW_SLOTS_MAX ||
	    cfg->max_assocs_in > FLOW_SLOTS_MAX)
		return (IPC_E_FIELD);
	np->cfg = *cfg;
	np->guest_ip = addr_to_ip4(&cfg->address);
	np->gateway_ip = addr_to_ip4(&cfg->gateway);
	np->nconfig++;
	return (IPC_OK);
}

static enum ipc_error
got_journal(struct netproc *np, const struct ipc_empty *empty,
    const struct ipc_msg *msg)
{
	if (np->cfg.max_flows == 0 || np->journal != NULL)
		return (IPC_E_STATE);
	if (empty->reserved != 0)
		return (IPC_E_FIELD);
	np->journal = journal_map(msg->fd,
	    np->cfg.max_flows + np->cfg.max_inbound);
	if (msg->fd == -1 || np->journal == NULL)
		fatal("the journal cannot be mapped");
	np->nconfig++;
	return (IPC_OK);
}

static enum ipc_error
got_host_route(struct netproc *np, const struct ipc_host_route *route)
{
	if (route->ip6 > 1)
		return (IPC_E_FIELD);
	if (!np->configured)
		np->nconfig++;
	if (np->ip6_on == (int)route->ip6)
		return (IPC_OK);
	np->ip6_on = (int)route->ip6;
	log_info("the host has %s IPv6 route", np->ip6_on ? "an" : "no");
	if (np->configured)
		gateway_announce6(np);
	return (IPC_OK);
}

static enum ipc_error
got_config_done(struct netproc *np, const struct ipc_config_done *done)
{
	if (np->nconfig == 0 || done->records != np->nconfig)
		return (IPC_E_STATE);
	np->configured = 1;
	return (IPC_OK);
}

static enum ipc_error
got_frame(struct netproc *np, const struct ipc_frame *frame,
    struct ipc_msg *msg)
{
	int fd = msg->fd;

	if (frame->kind >= FRAME_NKINDS || np->frame_fd != -1)
		return (IPC_E_STATE);
	if (frame->resumed > 1 || frame->guest_mac_known > 1)
		return (IPC_E_FIELD);
	msg->fd = -1;
	if (fd == -1 || link_attach(np, fd, frame) == -1)
		fatal("the frame descriptor cannot be used");
	return (IPC_OK);
}

enum ipc_error
netproc_from_parent(struct channel *ch, struct ipc_msg *msg, void *arg)
{
	struct netproc *np = arg;

	(void)ch;
	netproc_wake(np);
	switch (msg->hdr.type) {
	case IPC_HELLO:
		return (got_hello(np, msg->payload));
	case IPC_CONFIG_NETPROC:
		return (got_config(np, msg->payload));
	case IPC_CONFIG_JOURNAL:
		return (got_journal(np, msg->payload, msg));
	case IPC_CONFIG_DONE:
		return (got_config_done(np, msg->payload));
	case IPC_HOST_ROUTE:
		return (got_host_route(np, msg->payload));
	case IPC_FRAME:
		return (got_frame(np, msg->payload, msg));
	case IPC_PING:
		netproc_say_parent(np, IPC_PONG, msg->payload,
		    sizeof(struct ipc_ping));
		return (IPC_OK);
	case IPC_STOP:
		np->stopping = 1;
		return (IPC_OK);
	default:
		return (IPC_E_TYPE);
	}
}
