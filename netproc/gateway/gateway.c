/*
 * The gateway's own answers on the link: what dhcp.c, dns.c and icmp.c build
 * is sent from here, and what they need is kept here.
 */

#include <string.h>

#include "ipc/log.h"
#include "netproc/flow/end.h"
#include "netproc/gateway/dns.h"
#include "netproc/gateway/gateway.h"
#include "netproc/gateway/icmp.h"
#include "netproc/gateway/packet.h"
#include "netproc/link/link.h"
#include "netproc/netproc.h"

/*
 * relayproc asks each server for 2 s and says when it gave up; this is for
 * the case that it says nothing.
 */
#define DNS_DEADLINE_MS 20000

/* A guest may send ICMP-worthy packets at any rate. */
#define ICMP_PER_S 100

/* The largest datagram that fits the link, IP header and all. */
#define UDP_PAYLOAD_MAX(np) ((np)->cfg.mtu - PACKET_IP4_LEN - PACKET_UDP_LEN)

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
	return (dns_table_init(&np->dns, np->cfg.dns_in_flight));
}

/* Sends payload as a datagram of the gateway's. */
static void
send_udp(struct netproc *np, const uint8_t dst_mac[6], uint32_t dst_ip,
    uint16_t sport, uint16_t dport, const uint8_t *payload, size_t len)
{
	uint8_t frame[PACKET_UDP_HEADROOM + UINT16_MAX];
	struct packet_udp udp = {
		.src_ip = np->gateway_ip,
		.dst_ip = dst_ip,
		.sport = sport,
		.dport = dport,
		.ip_id = np->ip_id++,
	};
	size_t frame_len;

	memcpy(udp.src_mac, np->cfg.gateway_mac, 6);
	memcpy(udp.dst_mac, dst_mac, 6);
	frame_len = packet_build_udp(&udp, payload, len, frame, sizeof(frame));
	if (frame_len > 0)
		link_send(np, frame, frame_len);
}

void
gateway_dhcp(struct netproc *np, const uint8_t *frame,
    const struct shield_frame *sf)
{
	uint8_t reply[DHCP_REPLY_MAX];
	struct dhcp_info info;
	size_t len;

	len = dhcp_answer(&np->dhcp, frame + sf->payload_off, sf->payload_len,
	    sf->src_mac, reply, sizeof(reply), &info);
	np->counters.dhcp[info.error]++;
	if (len == 0)
		return;
	if (info.type == DHCP_DISCOVER && np->leased) {
		log_info("guest asks for its address again: it has rebooted");
		COUNT(np, GUEST_REBOOT);
		end_forget_all(np);
		np->leased = 0;
	}
	if (info.reply_type == DHCP_ACK && info.type != DHCP_INFORM) {
		if (!np->leased)
			log_info("DHCP: the guest has its address");
		np->leased = 1;
	}
	COUNT(np, DHCP_REPLIES);
	send_udp(np, info.dst_mac, info.dst_ip, DHCP_SERVER_PORT,
	    DHCP_CLIENT_PORT, reply, len);
}

void
gateway_dns_query(struct netproc *np, const uint8_t *frame,
    const struct shield_frame *sf)
{
	const uint8_t *query = frame + sf->payload_off;
	struct ipc_dns dns = { .guest_port = sf->sport };
	struct dns_slot *slot;

	if (!dns_query_is_valid(query, sf->payload_len)) {
		COUNT(np, DNS_DROPPED);
		return;
	}
	slot = dns_table_add(&np->dns, sf->src_ip, sf->sport, query,
	    sf->payload_len, np->now_ms + DNS_DEADLINE_MS);
	if (slot == NULL) {
		COUNT(np, DNS_DROPPED);
		return;
	}
	COUNT(np, DNS_QUERIES);
	netproc_need_tick(np);
	if (channel_send_tail(&np->dgram, IPC_DNS_QUERY,
		dns_table_number(&np->dns, slot), slot->generation, &dns,
		sizeof(dns), query, sf->payload_len) == -1) {
		COUNT(np, DNS_DROPPED);
		dns_table_remove(&np->dns, slot);
	}
}

static void
dns_reply(struct netproc *np, const struct dns_slot *slot,
    const uint8_t *message, size_t len)
{
	send_udp(np, np->shield.guest_mac, slot->guest_ip, DNS_PORT,
	    slot->guest_port, message, len);
}

static void
dns_fail(struct netproc *np, struct dns_slot *slot)
{
	uint8_t out[DNS_HEAD_MAX];
	size_t len;

	len = dns_servfail(slot->head, slot->head_len, out, sizeof(out));
	COUNT(np, DNS_SERVFAIL);
	if (len > 0)
		dns_reply(np, slot, out, len);
	dns_table_remove(&np->dns, slot);
}

void
gateway_dns_answer(struct netproc *np, uint32_t number, uint32_t generation,
    const uint8_t *answer, size_t len)
{
	uint8_t cut[DNS_HEAD_MAX];
	struct ipc_dns done = { 0 };
	struct dns_slot *slot;

	slot = dns_table_find(&np->dns, number, generation);
	if (slot == NULL)
		return;
	if (answer == NULL) {
		dns_fail(np, slot);
		return;
	}
	if (!dns_answer_matches(slot->head, slot->head_len, answer, len)) {
		COUNT(np, DNS_MISMATCH);
		return;
	}
	COUNT(np, DNS_ANSWERS);
	done.guest_port = slot->guest_port;
	channel_send(&np->dgram, IPC_DNS_DONE, number, generation, &done,
	    sizeof(done));
	if (len > UDP_PAYLOAD_MAX(np)) {
		COUNT(np, DNS_TRUNCATED);
		len = dns_truncate(answer, len, sizeof(cut), cut);
		answer = cut;
	}
	if (len > 0)
		dns_reply(np, slot, answer, len);
	dns_table_remove(&np->dns, slot);
}

void
gateway_dns_expire(struct netproc *np)
{
	struct dns_slot *slot;

	while ((slot = dns_table_expired(&np->dns, np->now_ms)) != NULL)
		dns_fail(np, slot);
}

static void
send_unreachable(struct netproc *np, uint8_t code, const uint8_t *packet,
    size_t len)
{
	uint8_t out[ICMP_UNREACH_MAX];
	uint64_t suppressed;
	size_t n;

	np->icmp_limit.lines_per_s = ICMP_PER_S;
	if (!log_limit_ok(&np->icmp_limit, np->now_ms, &suppressed))
		return;
	n = icmp_build_unreachable(np->gateway_ip, code, np->ip_id++, packet,
	    len, out, sizeof(out));
	if (n > 0)
		link_send_ip(np, out, n);
}

void
gateway_udp_refuse(struct netproc *np, const uint8_t *frame,
    const struct shield_frame *sf)
{
	COUNT(np, UDP_OTHER);
	if (sf->group_dst)
		return;
	send_unreachable(np,
	    sf->dst_ip == np->gateway_ip ? ICMP_UNREACH_PORT :
					   ICMP_UNREACH_PROHIBITED,
	    frame + sf->l3_off, sf->l3_len);
}

void
gateway_icmp_verdict(struct netproc *np, enum flow_verdict verdict,
    const uint8_t *packet, size_t len)
{
	switch (verdict) {
	case VERDICT_NET_UNREACH:
		send_unreachable(np, ICMP_UNREACH_NET, packet, len);
		break;
	case VERDICT_HOST_UNREACH:
	case VERDICT_TIMEOUT:
		send_unreachable(np, ICMP_UNREACH_HOST, packet, len);
		break;
	case VERDICT_DENIED:
		send_unreachable(np, ICMP_UNREACH_PROHIBITED, packet, len);
		break;
	default:
		break;
	}
}
