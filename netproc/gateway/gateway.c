/*
 * How the gateway speaks IPv4 and UDP to the guest, and its DHCP.
 */

#include <stdlib.h>
#include <string.h>

#include "ipc/log.h"
#include "netproc/flow/end.h"
#include "netproc/gateway/gateway.h"
#include "netproc/gateway/icmp.h"
#include "netproc/gateway/packet.h"
#include "netproc/link/fragment.h"
#include "netproc/link/link.h"
#include "netproc/netproc.h"

/* How many of the gateway's ports are looked at for a client. */
#define PORT_TRIES 64

#define LEASE_LINES_PER_S 10

int
gateway_init(struct netproc *np)
{
	uint32_t i;

	np->dhcp.guest_ip = np->guest_ip;
	np->dhcp.gateway_ip = np->gateway_ip;
	np->dhcp.prefix_len = np->cfg.prefix_len;
	np->dhcp.mtu = np->cfg.mtu;
	np->dhcp.lease_s = np->cfg.lease_s;
	np->dhcp.nsearch = np->cfg.nsearch;
	for (i = 0; i < np->cfg.nsearch; i++)
		np->dhcp.search[i] = np->cfg.search[i];
	np->scratch = calloc(1, GATEWAY_FRAME_MAX);
	np->scratch_fragment = calloc(1, GATEWAY_FRAME_MAX);
	if (np->scratch == NULL || np->scratch_fragment == NULL)
		return (-1);
	if (dns_table_init(&np->dns, np->cfg.dns_in_flight) == -1)
		return (-1);
	return (gateway_init6(np));
}

static void
emit(void *arg, const uint8_t *frame, size_t len)
{
	link_send(arg, frame, len);
}

/* Sends a frame of our own, np->scratch, in as many as the MTU needs. */
static void
send_scratch(struct netproc *np, size_t len)
{
	if (len <= PACKET_ETHER_LEN)
		return;
	if (len - PACKET_ETHER_LEN <= link_mtu(np)) {
		link_send(np, np->scratch, len);
		return;
	}
	COUNT(np, DATAGRAMS_FRAGMENTED);
	fragment_split(np->scratch, len, link_mtu(np), np->fragment_id++,
	    np->scratch_fragment, GATEWAY_FRAME_MAX, emit, np);
}

/* One that has said nothing yet hears what is sent to all. */
static void
put_guest_mac(const struct netproc *np, uint8_t mac[6])
{
	if (np->shield.guest_mac_known)
		memcpy(mac, np->shield.guest_mac, 6);
	else
		memset(mac, 0xff, 6);
}

static size_t
build_udp4(struct netproc *np, const struct gateway_datagram *d,
    const uint8_t *payload, size_t len)
{
	struct packet_udp udp = {
		.src_ip = addr_to_ip4(&d->src),
		.dst_ip = addr_to_ip4(&d->dst),
		.sport = d->sport,
		.dport = d->dport,
		.ip_id = np->ip_id++,
		.may_fragment = PACKET_IP4_LEN + PACKET_UDP_LEN + len >
		    link_mtu(np),
	};

	memcpy(udp.src_mac, np->cfg.gateway_mac, 6);
	put_guest_mac(np, udp.dst_mac);
	return (packet_build_udp(&udp, payload, len, np->scratch,
	    GATEWAY_FRAME_MAX));
}

static size_t
build_udp6(struct netproc *np, const struct gateway_datagram *d,
    const uint8_t *payload, size_t len)
{
	struct packet_udp6 udp = { .sport = d->sport, .dport = d->dport };

	memcpy(udp.src_mac, np->cfg.gateway_mac, 6);
	put_guest_mac(np, udp.dst_mac);
	memcpy(udp.src_ip6, d->src.bytes, 16);
	memcpy(udp.dst_ip6, d->dst.bytes, 16);
	return (packet_build_udp6(&udp, payload, len, np->scratch,
	    GATEWAY_FRAME_MAX));
}

void
gateway_send_udp(struct netproc *np, const struct gateway_datagram *d,
    const uint8_t *payload, size_t len)
{
	send_scratch(np,
	    d->dst.family == 6 ? build_udp6(np, d, payload, len) :
				 build_udp4(np, d, payload, len));
}

void
gateway_send_echo(struct netproc *np, const struct ipc_addr *peer,
    const struct ipc_addr *guest, uint16_t id, const uint8_t *message,
    size_t len)
{
	const uint16_t ethertype = guest->family == 6 ? PACKET_ETHERTYPE_IP6 :
							PACKET_ETHERTYPE_IP4;
	uint8_t *frame = np->scratch;
	size_t n;

	memcpy(frame, np->shield.guest_mac, 6);
	memcpy(frame + 6, np->cfg.gateway_mac, 6);
	frame[12] = (uint8_t)(ethertype >> 8);
	frame[13] = (uint8_t)ethertype;
	n = icmp_build_echo_reply(peer, guest, id, np->ip_id++, message, len,
	    frame + PACKET_ETHER_LEN, GATEWAY_FRAME_MAX - PACKET_ETHER_LEN);
	if (n > 0)
		send_scratch(np, PACKET_ETHER_LEN + n);
}

uint16_t
gateway_udp_port(struct netproc *np, const struct assoc_key *key)
{
	struct assoc_key try = *key;
	int i;

	for (i = 0; i < PORT_TRIES; i++) {
		try.peer_port = netproc_next_port(np);
		if (assocs_lookup(&np->assocs, &try,
			assocs_hash(np->hash_key, &try)) == NULL)
			return (try.peer_port);
	}
	return (0);
}

/* A guest can take and forget its address as fast as it likes. */
static int
may_log_lease(struct netproc *np)
{
	uint64_t suppressed;

	np->lease_limit.lines_per_s = LEASE_LINES_PER_S;
	return (log_limit_ok(&np->lease_limit, np->now_ms, &suppressed));
}

/* The guest has started anew: it knows nothing of what was open. */
static void
rebooted(struct netproc *np)
{
	if (may_log_lease(np))
		log_info("guest asks for its address again: it has rebooted");
	COUNT(np, GUEST_REBOOT);
	end_forget_all(np);
	orphans_forget(np);
	datagram_forget_all(np);
	np->leased = 0;
	np->journal->guest.leased = 0;
}

void
gateway_dhcp(struct netproc *np, const uint8_t *frame,
    const struct shield_frame *sf)
{
	struct packet_udp udp = {
		.src_ip = np->gateway_ip,
		.sport = DHCP_SERVER_PORT,
		.dport = DHCP_CLIENT_PORT,
		.ip_id = np->ip_id++,
	};
	uint8_t reply[DHCP_REPLY_MAX];
	struct dhcp_info info;
	size_t len;

	len = dhcp_answer(&np->dhcp, frame + sf->payload_off, sf->payload_len,
	    sf->src_mac, reply, sizeof(reply), &info);
	np->counters.dhcp[info.error]++;
	if (len == 0)
		return;
	if (info.type == DHCP_DISCOVER && np->leased)
		rebooted(np);
	if (info.reply_type == DHCP_ACK && info.type != DHCP_INFORM) {
		if (!np->leased && may_log_lease(np))
			log_info("DHCP: the guest has its address");
		np->leased = 1;
		np->journal->guest.leased = 1;
	}
	COUNT(np, DHCP_REPLIES);
	memcpy(udp.src_mac, np->cfg.gateway_mac, 6);
	memcpy(udp.dst_mac, info.dst_mac, 6);
	udp.dst_ip = info.dst_ip;
	len = packet_build_udp(&udp, reply, len, np->scratch,
	    GATEWAY_FRAME_MAX);
	if (len > 0)
		link_send(np, np->scratch, len);
}
