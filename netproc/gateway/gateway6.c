/*
 * The gateway's IPv6: router and neighbour advertisements, DHCPv6.
 * lwIP sees no neighbour discovery: it ends TCP, and nothing else, over IPv6.
 *
 * The guest is offered IPv6 while the host has a way to it (HOST_ROUTE).
 * When that goes, a last advertisement withdraws the router.
 */

#include <string.h>

#include <event2/event.h>

#include "netproc/gateway/gateway.h"
#include "netproc/gateway/icmp.h"
#include "netproc/gateway/packet.h"
#include "netproc/link/link.h"
#include "netproc/netproc.h"

/* RFC 4861 6.2.1: at most every 600 s; lifetimes are three times that. */
#define RA_INTERVAL_S 300
#define RA_LIFETIME_S 1800
#define RA_VALID_S    86400

/* RFC 4861 6.2.6: no faster, however many ask; who asks sooner waits. */
#define RA_SOLICITED_MS 100

#define ND_ROUTER_SOLICIT   133
#define ND_NEIGHBOR_SOLICIT 135

static void
on_ra_due(evutil_socket_t fd, short what, void *arg)
{
	struct netproc *np = arg;

	(void)fd;
	(void)what;
	netproc_wake(np);
	gateway_announce6(np);
}

int
gateway_init6(struct netproc *np)
{
	uint32_t i;

	np->guest6 = np->cfg.address6;
	np->ev_ra = event_new(np->base, -1, 0, on_ra_due, np);
	if (np->ev_ra == NULL)
		return (-1);
	if (np->cfg.gateway6.family != 6)
		return (0);
	memcpy(np->ra.gateway_mac, np->cfg.gateway_mac, 6);
	ra_link_local(np->cfg.gateway_mac, np->ra.gateway_ll6);
	memcpy(np->ra.gateway_ip6, np->cfg.gateway6.bytes, 16);
	memcpy(np->ra.prefix6, np->cfg.address6.bytes, 16);
	np->ra.prefix_len6 = np->cfg.prefix_len6;
	np->ra.mtu = np->cfg.mtu;
	np->ra.router_lifetime_s = RA_LIFETIME_S;
	np->ra.valid_s = RA_VALID_S;
	memcpy(np->dhcp6.gateway_mac, np->cfg.gateway_mac, 6);
	memcpy(np->dhcp6.guest_ip6, np->cfg.address6.bytes, 16);
	memcpy(np->dhcp6.gateway_ip6, np->cfg.gateway6.bytes, 16);
	np->dhcp6.prefix_len6 = np->cfg.prefix_len6;
	np->dhcp6.lease_s = np->cfg.lease_s;
	np->ra.nsearch = np->cfg.nsearch;
	np->dhcp6.nsearch = np->cfg.nsearch;
	for (i = 0; i < np->cfg.nsearch; i++) {
		np->ra.search[i] = np->cfg.search[i];
		np->dhcp6.search[i] = np->cfg.search[i];
	}
	return (0);
}

static void
send_ra(struct netproc *np, const uint8_t *dst_mac, const uint8_t *dst_ip6)
{
	const size_t len = ra_build(&np->ra, dst_mac, dst_ip6, !np->ip6_on,
	    np->scratch, GATEWAY_FRAME_MAX);

	COUNT(np, RA_SENT);
	np->ra_ms = np->now_ms;
	if (len > 0)
		link_send(np, np->scratch, len);
}

void
gateway_announce6(struct netproc *np)
{
	static const struct timeval interval = { .tv_sec = RA_INTERVAL_S };
	size_t len;

	event_del(np->ev_ra);
	if (np->cfg.gateway6.family != 6 || np->frame_fd == -1)
		return;
	/* Never offered: there is nothing to withdraw. */
	if (!np->ip6_on && !np->ip6_offered)
		return;
	len = ra_build_na(&np->ra, np->ra.gateway_ip6, NULL, NULL, np->scratch,
	    GATEWAY_FRAME_MAX);
	if (len > 0)
		link_send(np, np->scratch, len);
	send_ra(np, NULL, NULL);
	np->ip6_offered = np->ip6_on;
	if (np->ip6_on)
		event_add(np->ev_ra, &interval);
}

/*
 * Who asks just after an advertisement may not have heard that one: its card
 * was not up yet.
 */
static void
answer_solicit(struct netproc *np)
{
	const uint64_t since_ms = np->now_ms - np->ra_ms;
	struct timeval wait = { .tv_sec = 0 };

	if (!np->ip6_on)
		return;
	if (since_ms < RA_SOLICITED_MS) {
		wait.tv_usec = (suseconds_t)(RA_SOLICITED_MS - since_ms) * 1000;
		event_add(np->ev_ra, &wait);
		return;
	}
	np->ip6_offered = 1;
	send_ra(np, NULL, NULL);
}

void
gateway_nd(struct netproc *np, const struct shield_frame *sf)
{
	size_t len;

	if (sf->icmp_type == ND_ROUTER_SOLICIT) {
		answer_solicit(np);
		return;
	}
	if (sf->icmp_type != ND_NEIGHBOR_SOLICIT || !sf->nd_for_gateway)
		return;
	len = ra_build_na(&np->ra, sf->nd_target, sf->src_mac, sf->src6,
	    np->scratch, GATEWAY_FRAME_MAX);
	if (len > 0)
		link_send(np, np->scratch, len);
}

void
gateway_dhcp6(struct netproc *np, const uint8_t *frame,
    const struct shield_frame *sf)
{
	uint8_t message[DHCP6_REPLY_MAX];
	struct packet_udp6 udp = {
		.sport = DHCP6_SERVER_PORT,
		.dport = sf->sport,
	};
	struct dhcp6_info info;
	size_t len;

	if (!np->ip6_on)
		return;
	len = dhcp6_answer(&np->dhcp6, frame + sf->payload_off, sf->payload_len,
	    message, sizeof(message), &info);
	np->counters.dhcp6[info.error]++;
	if (len == 0)
		return;
	COUNT(np, DHCP6_REPLIES);
	memcpy(udp.src_mac, np->cfg.gateway_mac, 6);
	memcpy(udp.dst_mac, sf->src_mac, 6);
	memcpy(udp.src_ip6, np->ra.gateway_ll6, 16);
	memcpy(udp.dst_ip6, sf->src6, 16);
	len = packet_build_udp6(&udp, message, len, np->scratch,
	    GATEWAY_FRAME_MAX);
	if (len > 0)
		link_send(np, np->scratch, len);
}
