/*
 * One frame of the guest: the shield's verdict says which room it enters.
 */

#include <stdio.h>
#include <string.h>

#include "ipc/log.h"
#include "netproc/flow/intercept.h"
#include "netproc/flow/tcp.h"
#include "netproc/gateway/gateway.h"
#include "netproc/link/link.h"
#include "netproc/netproc.h"

/* The first valid frame of a VM's session says which MAC is the guest's. */
static void
pin_mac(struct netproc *np, const uint8_t mac[6])
{
	memcpy(np->shield.guest_mac, mac, 6);
	np->shield.guest_mac_known = 1;
	log_info("guest MAC is %02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1],
	    mac[2], mac[3], mac[4], mac[5]);
	tcp_guest_known(np);
}

static void
input_icmp(struct netproc *np, const uint8_t *frame, size_t len,
    const struct shield_frame *sf)
{
	if (sf->dst_ip != np->gateway_ip) {
		COUNT(np, ICMP_OTHER);
		return;
	}
	COUNT(np, ICMP_GATEWAY);
	netif_input_copy(np, frame, len);
}

static void
input_udp(struct netproc *np, const uint8_t *frame,
    const struct shield_frame *sf)
{
	if (sf->dst_ip == np->gateway_ip && sf->dport == DNS_PORT)
		gateway_dns_query(np, frame, sf);
	else
		gateway_udp_refuse(np, frame, sf);
}

void
link_input(struct netproc *np, uint8_t *frame, size_t len)
{
	struct shield_frame sf;
	enum shield_verdict verdict;

	verdict = shield_check(frame, len, &np->shield, &sf);
	np->counters.shield[verdict]++;
	if (!SHIELD_IS_PASS(verdict))
		return;
	if (!np->shield.guest_mac_known)
		pin_mac(np, sf.src_mac);
	switch (verdict) {
	case SHIELD_ARP:
		if (sf.dst_ip == np->gateway_ip)
			COUNT(np, ARP_GATEWAY);
		netif_input_copy(np, frame, len);
		break;
	case SHIELD_TCP:
		intercept_tcp(np, frame, &sf);
		break;
	case SHIELD_DHCP:
		gateway_dhcp(np, frame, &sf);
		break;
	case SHIELD_UDP:
		input_udp(np, frame, &sf);
		break;
	case SHIELD_ICMP:
		input_icmp(np, frame, len, &sf);
		break;
	default:
		fatalx("the shield passed a frame as %s", shield_name(verdict));
	}
}
