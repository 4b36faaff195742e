/*
 * DNS over UDP at the gateway's address.  Queries go on as they are, but for
 * the size that an answer may have; names of the gateway's are answered here,
 * and so is what is no question: the servers may be where the guest's own
 * datagrams may not go.  (DNS over TCP is a TCP connection: relayproc dials a
 * server for the gateway's port 53, and flow/dns_flow.c takes out what asks for
 * these names; the rest passes.)
 */

#include "netproc/gateway/dns.h"
#include "netproc/gateway/gateway.h"
#include "netproc/gateway/packet.h"
#include "netproc/netproc.h"

/*
 * relayproc asks each server for 2 s and says when it gave up; this is for
 * the case that it says nothing.
 */
#define DNS_DEADLINE_MS 40000

/* What no path fragments; the DNS flag day of 2020. */
#define DNS_EDNS_MAX 1232

static size_t
edns_max(const struct netproc *np)
{
	const size_t fits = np->cfg.mtu - PACKET_IP6_LEN - PACKET_UDP_LEN;

	return (fits < DNS_EDNS_MAX ? fits : DNS_EDNS_MAX);
}

static void
reply(struct netproc *np, const struct dns_client *client,
    const uint8_t *message, size_t len)
{
	const struct gateway_datagram d = {
		.src = client->gateway,
		.dst = client->guest,
		.sport = DNS_PORT,
		.dport = client->guest_port,
	};

	if (len > 0)
		gateway_send_udp(np, &d, message, len);
}

size_t
gateway_dns_local(struct netproc *np, const uint8_t *query, size_t len,
    uint8_t *out, size_t cap)
{
	const struct dns_local names[] = {
		{ "host.internal", np->cfg.gateway, np->cfg.gateway6 },
	};

	len = dns_answer_local(names, 1, query, len, out, cap);
	if (len > 0)
		COUNT(np, DNS_LOCAL);
	return (len);
}

static void
reply_error(struct netproc *np, const struct dns_client *client,
    const uint8_t *query, size_t query_len, enum dns_rcode rcode)
{
	uint8_t out[DNS_SHORT_MAX];

	reply(np, client, out,
	    dns_error(query, query_len, rcode, dns_edns_of(query, query_len),
		out, sizeof(out)));
}

static int
answer_here(struct netproc *np, const struct dns_client *client,
    const uint8_t *query, size_t query_len)
{
	const enum dns_rcode rcode = dns_query_check(query, query_len);
	uint8_t out[DNS_LOCAL_MAX];
	size_t len;

	if (rcode != DNS_NOERROR) {
		COUNT(np, DNS_REFUSED);
		reply_error(np, client, query, query_len, rcode);
		return (1);
	}
	len = gateway_dns_local(np, query, query_len, out, sizeof(out));
	reply(np, client, out, len);
	return (len > 0);
}

static void
fail(struct netproc *np, struct dns_slot *slot)
{
	uint8_t out[DNS_SHORT_MAX];
	size_t len;

	len = dns_error(slot->head, slot->head_len, DNS_SERVFAIL, slot->edns,
	    out, sizeof(out));
	COUNT(np, DNS_SERVFAIL);
	reply(np, &slot->client, out, len);
	dns_table_remove(&np->dns, slot);
}

void
gateway_dns_query(struct netproc *np, uint8_t *frame,
    const struct shield_frame *sf)
{
	uint8_t *query = frame + sf->payload_off;
	struct ipc_dns dns = { .guest_port = sf->sport };
	struct dns_client client = {
		.guest = shield_src(sf),
		.gateway = shield_dst(sf),
		.guest_port = sf->sport,
	};
	struct dns_slot *slot;

	if (!dns_query_is_valid(query, sf->payload_len)) {
		COUNT(np, DNS_DROPPED);
		return;
	}
	if (answer_here(np, &client, query, sf->payload_len))
		return;
	/* Without EDNS the server keeps to 512 bytes, or knows better. */
	client.udp_max = edns_max(np);
	dns_clamp_edns(query, sf->payload_len, edns_max(np));
	slot = dns_table_add(&np->dns, &client, query, sf->payload_len,
	    np->now_ms + DNS_DEADLINE_MS);
	if (slot == NULL) {
		COUNT(np, DNS_SERVFAIL);
		reply_error(np, &client, query, sf->payload_len, DNS_SERVFAIL);
		return;
	}
	COUNT(np, DNS_QUERIES);
	netproc_need_tick(np);
	if (channel_send_tail(&np->dgram, IPC_DNS_QUERY,
		dns_table_number(&np->dns, slot), slot->generation, &dns,
		sizeof(dns), query, sf->payload_len) == -1)
		fail(np, slot);
}

void
gateway_dns_answer(struct netproc *np, uint32_t number, uint32_t generation,
    const uint8_t *answer, size_t len)
{
	uint8_t cut[DNS_SHORT_MAX];
	struct ipc_dns done = { 0 };
	struct dns_slot *slot;

	slot = dns_table_find(&np->dns, number, generation);
	if (slot == NULL)
		return;
	if (answer == NULL) {
		fail(np, slot);
		return;
	}
	if (!dns_answer_matches(slot->head, slot->head_len, answer, len)) {
		COUNT(np, DNS_MISMATCH);
		return;
	}
	COUNT(np, DNS_ANSWERS);
	done.guest_port = slot->client.guest_port;
	channel_send(&np->dgram, IPC_DNS_DONE, number, generation, &done,
	    sizeof(done));
	if (len > slot->client.udp_max) {
		COUNT(np, DNS_TRUNCATED);
		len = dns_truncate(answer, len, slot->edns, cut, sizeof(cut));
		answer = cut;
	}
	reply(np, &slot->client, answer, len);
	dns_table_remove(&np->dns, slot);
}

void
gateway_dns_expire(struct netproc *np)
{
	struct dns_slot *slot;

	while ((slot = dns_table_expired(&np->dns, np->now_ms)) != NULL)
		fail(np, slot);
}
