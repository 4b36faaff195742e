/*
 * A child's configuration crosses IPC, since it can open no file.  While it
 * is set up the socket may fill up faster than the child reads: we wait, for
 * a limited time, rather than keep room for all of it in the ring.
 */

#include <errno.h>
#include <poll.h>
#include <string.h>

#include "ipc/fd_wait.h"
#include "parent/parent.h"

/* A child that does not read its configuration for so long is not well. */
#define CONFIGURE_WAIT_MS 2000

static int
wait_for_room(const struct channel *ch)
{
	if (fd_wait(ch->fd, POLLOUT, CONFIGURE_WAIT_MS) != 0)
		return (0);
	errno = ETIMEDOUT;
	return (-1);
}

/* Everything that waits in the ring goes first.  0, or -1 with errno. */
static int
drain(struct channel *ch)
{
	for (;;) {
		switch (channel_flush(ch)) {
		case 1:
			return (0);
		case -1:
			return (-1);
		default:
			break;
		}
		if (wait_for_room(ch) == -1)
			return (-1);
	}
}

static int
say(struct peer *peer, enum ipc_type type, const void *payload, size_t len)
{
	struct channel *ch = &peer->channel;

	if (drain(ch) == 0 && channel_send(ch, type, 0, 0, payload, len) == 0)
		return (0);
	peer_refused(peer, ipc_name(type));
	return (-1);
}

int
configure_hello(struct peer *peer)
{
	const struct ipc_hello hello = {
		.proto_hash = ipc_proto_hash(),
		.role = peer->child.role,
		.log_level = peer->parent->config.log_level,
	};

	return (say(peer, IPC_HELLO, &hello, sizeof(hello)));
}

static int
say_done(struct peer *peer, uint32_t records)
{
	const struct ipc_config_done done = { .records = records };

	return (say(peer, IPC_CONFIG_DONE, &done, sizeof(done)));
}

/* Ours stays open, for the next. */
static int
lend(struct peer *peer, enum ipc_type type, const void *payload, size_t len,
    int fd)
{
	struct channel *ch = &peer->channel;

	do {
		if (drain(ch) == 0 &&
		    channel_lend_fd(ch, type, 0, 0, payload, len, fd) == 0)
			return (0);
	} while (errno == ENOBUFS && wait_for_room(ch) == 0);
	peer_refused(peer, ipc_name(type));
	return (-1);
}

static int
configure_netproc(struct peer *peer)
{
	const struct parent *parent = peer->parent;
	const struct config *config = &parent->config;
	const struct ipc_host_route route = {
		.ip6 = parent->host_routes.ip6 ? 1 : 0,
	};
	const struct ipc_empty empty = { 0 };
	struct ipc_config_netproc wire;

	memset(&wire, 0, sizeof(wire));
	wire.address = config->address;
	wire.gateway = config->gateway;
	wire.prefix_len = config->prefix_len;
	if (!config->no_ipv6) {
		wire.address6 = config->address6;
		wire.gateway6 = config->gateway6;
		wire.prefix_len6 = config->prefix_len6;
	}
	wire.mtu = config->mtu;
	memcpy(wire.guest_mac, config->mac, sizeof(wire.guest_mac));
	memcpy(wire.gateway_mac, config->gateway_mac, sizeof(wire.gateway_mac));
	wire.guest_mac_auto = config->mac_auto ? 1 : 0;
	wire.lease_s = CONFIG_LEASE_S;
	wire.max_flows = config->max_flows;
	wire.max_inbound = config_max_inbound(config);
	wire.max_assocs = config_max_assocs(config);
	wire.max_assocs_in = config_max_assocs_in(config);
	wire.dns_in_flight = CONFIG_DNS_IN_FLIGHT;
	if (config->nsearch > 0) {
		wire.nsearch = config->nsearch;
		memcpy(wire.search, config->search, sizeof(wire.search));
	} else {
		wire.nsearch = parent->resolv.nsearch;
		memcpy(wire.search, parent->resolv.search, sizeof(wire.search));
	}
	if (say(peer, IPC_CONFIG_NETPROC, &wire, sizeof(wire)) == -1 ||
	    lend(peer, IPC_CONFIG_JOURNAL, &empty, sizeof(empty),
		parent->frame.journal_fd) == -1 ||
	    say(peer, IPC_HOST_ROUTE, &route, sizeof(route)) == -1)
		return (-1);
	return (say_done(peer, 3));
}

static int
say_limits(struct peer *peer)
{
	const struct config *config = &peer->parent->config;
	struct ipc_config_relayproc wire;

	memset(&wire, 0, sizeof(wire));
	wire.gateway = config->gateway;
	wire.address = config->address;
	wire.prefix_len = config->prefix_len;
	if (!config->no_ipv6) {
		wire.gateway6 = config->gateway6;
		wire.address6 = config->address6;
		wire.prefix_len6 = config->prefix_len6;
	}
	wire.max_assocs = config_max_assocs(config);
	wire.max_assocs_in = config_max_assocs_in(config);
	wire.udp_filter_open = config->udp_filter_open ? 1 : 0;
	wire.default_allow = config->default_allow ? 1 : 0;
	wire.max_flows = config->max_flows;
	wire.max_inbound = config_max_inbound(config);
	wire.max_pending = config->max_pending;
	wire.max_pending_per_dst = config->max_pending <
		CONFIG_PENDING_PER_DST_MAX ?
	    config->max_pending :
	    CONFIG_PENDING_PER_DST_MAX;
	wire.connect_rate_per_s = config->connect_rate_per_s;
	wire.connect_burst = 2 * config->connect_rate_per_s;
	wire.connect_timeout_ms = CONFIG_CONNECT_TIMEOUT_MS;
	wire.dns_timeout_ms = CONFIG_DNS_TIMEOUT_MS;
	wire.dns_in_flight = CONFIG_DNS_IN_FLIGHT;
	wire.splice = config->splice ? 1 : 0;
	return (say(peer, IPC_CONFIG_RELAYPROC, &wire, sizeof(wire)));
}

static int
say_resolvers(struct peer *peer, uint32_t *records)
{
	const struct parent *parent = peer->parent;
	const struct ipc_resolver *list = parent->config.resolvers;
	uint32_t i, n = parent->config.nresolvers;

	if (n == 0) {
		list = parent->resolv.servers;
		n = parent->resolv.nservers;
	}
	for (i = 0; i < n; i++, (*records)++) {
		if (say(peer, IPC_CONFIG_RESOLVER, &list[i], sizeof(list[i])) ==
		    -1)
			return (-1);
	}
	return (0);
}

static int
say_policy(struct peer *peer, uint32_t *records)
{
	const struct config *config = &peer->parent->config;
	uint32_t i;

	for (i = 0; i < config->nrules; i++, (*records)++) {
		if (say(peer, IPC_CONFIG_RULE, &config->rules[i],
			sizeof(config->rules[i])) == -1)
			return (-1);
	}
	for (i = 0; i < config->nhost_services; i++, (*records)++) {
		if (say(peer, IPC_CONFIG_HOST_SERVICE,
			&config->host_services[i],
			sizeof(config->host_services[i])) == -1)
			return (-1);
	}
	return (0);
}

static int
say_host_addrs(struct peer *peer, uint32_t *records)
{
	const struct host_addrs *addrs = &peer->parent->host_addrs;
	struct ipc_host_addr wire;
	uint32_t i;

	for (i = 0; i < addrs->n; i++, (*records)++) {
		wire.addr = addrs->list[i];
		wire.present = 1;
		if (say(peer, IPC_HOST_ADDR, &wire, sizeof(wire)) == -1)
			return (-1);
	}
	return (0);
}

static int
give_listeners(struct peer *peer, uint32_t *records)
{
	const struct publish_set *set = &peer->parent->publish;
	const struct publish_listener *listener;
	uint32_t i;

	for (i = 0; i < set->n; i++, (*records)++) {
		listener = &set->list[i];
		if (lend(peer, IPC_CONFIG_LISTENER, &listener->what,
			sizeof(listener->what), listener->fd) == -1)
			return (-1);
		peer->child.nlent++;
	}
	return (0);
}

static int
configure_relayproc(struct peer *peer)
{
	uint32_t records = 1;

	if (say_limits(peer) == -1 || say_resolvers(peer, &records) == -1 ||
	    say_policy(peer, &records) == -1 ||
	    say_host_addrs(peer, &records) == -1 ||
	    give_listeners(peer, &records) == -1)
		return (-1);
	return (say_done(peer, records));
}

void
configure_child(struct peer *peer)
{
	int result;

	if (peer->child.role == ROLE_NETPROC)
		result = configure_netproc(peer);
	else
		result = configure_relayproc(peer);
	if (result == 0)
		channel_event_kick(&peer->channel_event);
}

void
configure_serve(struct parent *parent)
{
	const struct ipc_empty empty = { 0 };
	struct peer *peer = &parent->relayproc;

	if (channel_send(&peer->channel, IPC_SERVE, 0, 0, &empty,
		sizeof(empty)) == -1)
		peer_refused(peer, ipc_name(IPC_SERVE));
	else
		channel_event_kick(&peer->channel_event);
}

void
configure_host_addr(const struct ipc_host_addr *change, void *arg)
{
	struct parent *parent = arg;
	struct peer *peer = &parent->relayproc;
	char text[ADDR_STRLEN];

	/* Before HELLO_ACK nothing was told yet; it will be, all of it. */
	if (parent->state == PARENT_STOPPING || !peer->hello_acked)
		return;
	/* A floor that lags behind the host is no floor. */
	if (channel_send(&peer->channel, IPC_HOST_ADDR, 0, 0, change,
		sizeof(*change)) == -1) {
		peer_refused(peer, "the host's addresses");
		return;
	}
	channel_event_kick(&peer->channel_event);
	log_debug("host address %s %s", /* who reads this may rely on it */
	    addr_format(&change->addr, text, sizeof(text)),
	    change->present ? "present" : "gone");
}

void
configure_host_route(struct parent *parent)
{
	const struct ipc_host_route wire = {
		.ip6 = parent->host_routes.ip6 ? 1 : 0,
	};
	struct peer *peer = &parent->netproc;

	if (parent->state == PARENT_STOPPING || !peer->hello_acked)
		return;
	if (channel_send(&peer->channel, IPC_HOST_ROUTE, 0, 0, &wire,
		sizeof(wire)) == -1)
		peer_refused(peer, "the host's routes");
	else
		channel_event_kick(&peer->channel_event);
}

void
configure_resolvers(struct parent *parent)
{
	struct peer *peer = &parent->relayproc;
	struct ipc_resolver wire;
	uint32_t i;

	if (parent->state == PARENT_STOPPING || !peer->hello_acked)
		return;
	for (i = 0; i < parent->resolv.nservers; i++) {
		wire = parent->resolv.servers[i];
		wire.first = i == 0 ? 1 : 0;
		if (channel_send(&peer->channel, IPC_CONFIG_RESOLVER, 0, 0,
			&wire, sizeof(wire)) == -1) {
			peer_refused(peer, "name servers");
			return;
		}
	}
	channel_event_kick(&peer->channel_event);
}
