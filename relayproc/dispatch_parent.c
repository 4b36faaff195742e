#include <netinet/in.h>

#include <string.h>

#include "relayproc/dispatch_parent.h"
#include "relayproc/relayproc.h"

/*
 * The parent is trusted to mean well, not to be without faults: every field
 * is checked, and one out of range ends relayproc before it serves a guest.
 */

/* Bounds of the configuration; the parent's option table has the same. */
#define RATE_MAX	  1000000
#define BURST_MAX	  (2 * RATE_MAX)
#define TIMEOUT_MAX_MS	  600000
#define DNS_IN_FLIGHT_MAX 4096

static int
in_range(uint32_t value, uint32_t low, uint32_t high)
{
	return (value >= low && value <= high);
}

static int
is_address(const struct ipc_addr *addr)
{
	return (addr->family != 0 && addr_is_valid(addr));
}

static int
is_prefix(const struct ipc_addr *addr, uint32_t prefix_len)
{
	return (is_address(addr) &&
	    prefix_len <= (addr->family == 4 ? 32u : 128u));
}

static enum ipc_error
on_hello(struct relayproc *rp, const void *payload)
{
	struct ipc_hello msg;

	memcpy(&msg, payload, sizeof(msg));
	if (rp->hello)
		return (IPC_E_STATE);
	if (msg.proto_hash != ipc_proto_hash())
		fatalx("the parent is of another build");
	if (msg.role != ROLE_RELAYPROC || msg.log_level >= LOG_LEVEL_N)
		return (IPC_E_FIELD);
	rp->hello = 1;
	log_init("relayproc", (enum log_level)msg.log_level);
	if (channel_send(&rp->parent, IPC_HELLO_ACK, 0, 0, &msg, sizeof(msg)) ==
	    -1)
		fatal("HELLO_ACK");
	return (IPC_OK);
}

/* Both addresses of the guest's IPv6 link, or neither. */
static int
is_link6(const struct ipc_config_relayproc *config)
{
	if (config->gateway6.family == 0)
		return (addr_is_valid(&config->gateway6) &&
		    addr_is_valid(&config->address6) &&
		    config->address6.family == 0);
	return (config->gateway6.family == 6 && config->address6.family == 6 &&
	    is_address(&config->address6) &&
	    is_prefix(&config->gateway6, config->prefix_len6));
}

static enum ipc_error
on_config(struct relayproc *rp, const void *payload)
{
	struct ipc_config_relayproc *config = &rp->config;

	if (rp->configured)
		return (IPC_E_STATE);
	memcpy(config, payload, sizeof(*config));
	if (!is_prefix(&config->gateway, config->prefix_len) ||
	    !is_address(&config->address) || config->default_allow > 1 ||
	    !is_link6(config) || config->udp_filter_open > 1 ||
	    config->splice > 1 ||
	    !in_range(config->max_assocs, 0, FLOW_SLOTS_MAX) ||
	    !in_range(config->max_assocs_in, 0, FLOW_SLOTS_MAX) ||
	    !in_range(config->max_flows, 1, FLOW_SLOTS_MAX) ||
	    !in_range(config->max_inbound, 0, FLOW_SLOTS_MAX) ||
	    !in_range(config->max_pending, 1, FLOW_SLOTS_MAX) ||
	    !in_range(config->max_pending_per_dst, 1, FLOW_SLOTS_MAX) ||
	    !in_range(config->connect_rate_per_s, 1, RATE_MAX) ||
	    !in_range(config->connect_burst, 1, BURST_MAX) ||
	    !in_range(config->connect_timeout_ms, 1, TIMEOUT_MAX_MS) ||
	    !in_range(config->dns_timeout_ms, 1, TIMEOUT_MAX_MS) ||
	    !in_range(config->dns_in_flight, 1, DNS_IN_FLIGHT_MAX))
		return (IPC_E_FIELD);
	policy_configure(&rp->policy, config);
	rp->configured = 1;
	return (IPC_OK);
}

static enum ipc_error
on_rule(struct relayproc *rp, const void *payload)
{
	struct ipc_rule msg;

	memcpy(&msg, payload, sizeof(msg));
	if (!is_prefix(&msg.net, msg.prefix_len) ||
	    msg.action > RULE_UNSAFE_ALLOW || msg.port_low > msg.port_high ||
	    (msg.proto != 0 && msg.proto != IPPROTO_TCP &&
		msg.proto != IPPROTO_UDP && msg.proto != IPPROTO_ICMP))
		return (IPC_E_FIELD);
	return (policy_add_rule(&rp->policy, &msg) == -1 ? IPC_E_QUOTA :
							   IPC_OK);
}

static enum ipc_error
on_resolver(struct relayproc *rp, const void *payload)
{
	struct ipc_resolver msg;

	memcpy(&msg, payload, sizeof(msg));
	if (!is_address(&msg.addr) || msg.port == 0 || msg.first > 1)
		return (IPC_E_FIELD);
	if (msg.first)
		resolver_clear(&rp->resolver);
	return (resolver_add(&rp->resolver, &msg) == -1 ? IPC_E_QUOTA : IPC_OK);
}

static enum ipc_error
on_host_service(struct relayproc *rp, const void *payload)
{
	struct ipc_host_service msg;

	memcpy(&msg, payload, sizeof(msg));
	if (msg.gateway_port == 0 || msg.host_port == 0)
		return (IPC_E_FIELD);
	return (policy_add_service(&rp->policy, &msg) == -1 ? IPC_E_QUOTA :
							      IPC_OK);
}

static enum ipc_error
on_listener(struct relayproc *rp, struct ipc_msg *msg)
{
	struct ipc_listener listener;
	int fd = msg->fd;

	memcpy(&listener, msg->payload, sizeof(listener));
	if (!is_address(&listener.bind) || listener.guest_port == 0 ||
	    listener.preserve > 1 ||
	    (listener.proto != IPPROTO_TCP && listener.proto != IPPROTO_UDP))
		return (IPC_E_FIELD);
	if (fd == -1)
		fatalx("a listener did not fit under the descriptor limit; "
		       "raise ulimit -n");
	msg->fd = -1;
	if (listener.proto == IPPROTO_UDP)
		return (udp_publish_add(rp, &listener, fd) == -1 ? IPC_E_QUOTA :
								   IPC_OK);
	return (publish_add(rp, &listener, fd) == -1 ? IPC_E_QUOTA : IPC_OK);
}

static enum ipc_error
on_host_addr(struct relayproc *rp, const void *payload)
{
	struct ipc_host_addr msg;

	memcpy(&msg, payload, sizeof(msg));
	if (!is_address(&msg.addr) || msg.present > 1)
		return (IPC_E_FIELD);
	if (policy_host_addr(&rp->policy, &msg.addr, (int)msg.present) == -1)
		log_warn("the host has more than %d addresses: all egress is "
			 "denied; restart sallyport where there are fewer",
		    POLICY_HOST_ADDRS_MAX);
	return (IPC_OK);
}

static enum ipc_error
on_config_done(struct relayproc *rp, const void *payload)
{
	struct ipc_config_done msg;

	memcpy(&msg, payload, sizeof(msg));
	if (!rp->configured || rp->config_done)
		return (IPC_E_STATE);
	if (msg.records != rp->config_records)
		return (IPC_E_FIELD);
	rp->config_done = 1;
	return (IPC_OK);
}

static enum ipc_error
dispatch_config(struct relayproc *rp, struct ipc_msg *msg)
{
	rp->config_records++;
	switch (msg->hdr.type) {
	case IPC_CONFIG_RELAYPROC:
		return (on_config(rp, msg->payload));
	case IPC_CONFIG_RULE:
		return (on_rule(rp, msg->payload));
	case IPC_CONFIG_RESOLVER:
		return (on_resolver(rp, msg->payload));
	case IPC_CONFIG_HOST_SERVICE:
		return (on_host_service(rp, msg->payload));
	case IPC_CONFIG_LISTENER:
		return (on_listener(rp, msg));
	case IPC_HOST_ADDR:
		return (on_host_addr(rp, msg->payload));
	default:
		return (IPC_E_TYPE);
	}
}

static enum ipc_error
on_serve(struct relayproc *rp, const void *payload)
{
	struct ipc_empty msg;

	memcpy(&msg, payload, sizeof(msg));
	if (rp->serves)
		return (IPC_E_STATE);
	if (msg.reserved != 0)
		return (IPC_E_FIELD);
	rp->serves = 1;
	publish_start(rp);
	udp_publish_start(rp);
	return (IPC_OK);
}

enum ipc_error
dispatch_parent(struct channel *ch, struct ipc_msg *msg, void *arg)
{
	struct relayproc *rp = arg;

	(void)ch;
	if (!rp->hello && msg->hdr.type != IPC_HELLO &&
	    msg->hdr.type != IPC_STOP)
		return (IPC_E_STATE);
	switch (msg->hdr.type) {
	case IPC_HELLO:
		return (on_hello(rp, msg->payload));
	case IPC_CONFIG_DONE:
		return (on_config_done(rp, msg->payload));
	case IPC_SERVE:
		return (on_serve(rp, msg->payload));
	case IPC_PING:
		if (channel_send(&rp->parent, IPC_PONG, 0, 0, msg->payload,
			sizeof(struct ipc_ping)) == -1)
			fatal("PONG");
		channel_event_kick(&rp->parent_ev);
		return (IPC_OK);
	case IPC_STOP:
		rp->stop = 1;
		return (IPC_OK);
	default:
		if (rp->config_done && msg->hdr.type != IPC_HOST_ADDR &&
		    msg->hdr.type != IPC_CONFIG_RESOLVER)
			return (IPC_E_STATE);
		return (dispatch_config(rp, msg));
	}
}
