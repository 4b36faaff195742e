/*
 * A datagram of the guest finds its association by the guest's own address
 * and port alone, so that the guest keeps one port towards everybody; only
 * the clients of published ports are told apart by their address as well.
 */

#include <netinet/in.h>

#include <string.h>

#include "ipc/log.h"
#include "netproc/flow/client.h"
#include "netproc/flow/datagram.h"
#include "netproc/gateway/dns.h"
#include "netproc/gateway/gateway.h"
#include "netproc/gateway/icmp.h"
#include "netproc/link/link.h"
#include "netproc/netproc.h"

#define ICMP_ECHO_LEN 8 /* RFC 792, RFC 4443 4 */

void
datagram_flush(struct netproc *np)
{
	struct datagram_batch *batch = &np->batch;
	struct assoc *assoc = batch->assoc;

	if (assoc == NULL)
		return;
	batch->assoc = NULL;
	if (channel_send_tailv(&np->dgram, IPC_ASSOC_SEND,
		assocs_wire_slot(&np->assocs, assoc), assoc->generation,
		&batch->data, sizeof(batch->data), batch->iov,
		batch->niov) == -1)
		np->counters.n[COUNT_DATAGRAMS_NO_ROOM] += (uint64_t)
							       batch->niov;
}

/* 1 if the datagram can be one more of the batch. */
static int
batch_fits(const struct datagram_batch *batch, const struct assoc *assoc,
    const struct ipc_assoc_data *data, size_t len)
{
	return (batch->assoc == assoc &&
	    addr_equal(&batch->data.peer, &data->peer) &&
	    batch->data.peer_port == data->peer_port &&
	    batch->data.flags == data->flags && len > 0 &&
	    len <= batch->data.segment_len &&
	    batch->niov < ASSOC_SEGMENTS_MAX &&
	    batch->bytes + len <= IPC_DGRAM_TAIL_MAX);
}

/* Adds a datagram to the batch, or sends that and begins another. */
static void
batch_add(struct netproc *np, struct assoc *assoc,
    const struct ipc_assoc_data *data, const uint8_t *payload, size_t len)
{
	struct datagram_batch *batch = &np->batch;

	if (!batch_fits(batch, assoc, data, len)) {
		datagram_flush(np);
		batch->assoc = assoc;
		batch->data = *data;
		batch->data.segment_len = (uint16_t)len;
		batch->niov = 0;
		batch->bytes = 0;
	}
	batch->iov[batch->niov].iov_base = (void *)(uintptr_t)payload;
	batch->iov[batch->niov].iov_len = len;
	batch->niov++;
	batch->bytes += len;
	if (data->proto != IPPROTO_UDP)
		batch->data.segment_len = 0; /* always alone */
	/* A shorter one ends the record (udp(7), UDP_SEGMENT). */
	if (len < batch->data.segment_len || batch->data.segment_len == 0)
		datagram_flush(np);
}

static void
assoc_end(struct netproc *np, struct assoc *assoc)
{
	const struct ipc_empty empty = { 0 };

	if (np->batch.assoc == assoc)
		datagram_flush(np);
	/* If this is lost, relayproc's own timer ends it there. */
	channel_send(&np->dgram, IPC_ASSOC_CLOSE,
	    assocs_wire_slot(&np->assocs, assoc), assoc->generation, &empty,
	    sizeof(empty));
	assocs_release(&np->assocs, assoc);
}

static void
assocs_full(struct netproc *np)
{
	COUNT(np, ASSOCS_FULL);
	if (netproc_may_warn(np, WARNED_ASSOCS_FULL))
		log_warn("datagrams are dropped: the guest takes new ports "
			 "faster than %u can change hands; --max-udp would "
			 "allow more",
		    (unsigned int)np->assocs.nout);
}

/* The association of what the guest sends, made if need be; or NULL. */
static struct assoc *
assoc_of(struct netproc *np, const struct assoc_key *full)
{
	struct assoc_key key = *full;
	struct assoc *assoc;
	uint64_t hash;

	if (np->assocs.nactive_in > 0) {
		assoc = assocs_lookup(&np->assocs, full,
		    assocs_hash(np->hash_key, full));
		if (assoc != NULL)
			return (assoc);
	}
	memset(&key.peer, 0, sizeof(key.peer));
	key.peer_port = 0;
	hash = assocs_hash(np->hash_key, &key);
	assoc = assocs_lookup(&np->assocs, &key, hash);
	if (assoc != NULL)
		return (assoc);
	assoc = assocs_alloc(&np->assocs, &key, hash);
	if (assoc == NULL) {
		assoc = assocs_giving_way(&np->assocs, np->now_ms);
		if (assoc == NULL) {
			assocs_full(np);
			return (NULL);
		}
		COUNT(np, ASSOCS_EVICTED);
		assoc_end(np, assoc);
		assoc = assocs_alloc(&np->assocs, &key, hash);
	}
	COUNT(np, ASSOCS);
	netproc_need_tick(np);
	return (assoc);
}

/* The gateway, as the guest calls it; any other peer is left alone. */
static void
name_gateway(const struct netproc *np, const struct assoc *assoc,
    struct ipc_addr *peer)
{
	if (!assoc->inbound && assoc->link_local &&
	    addr_equal(peer, &np->cfg.gateway6))
		memcpy(peer->bytes, np->shield.gateway_ll6,
		    sizeof(np->shield.gateway_ll6));
}

static void
send_out(struct netproc *np, const struct shield_frame *sf,
    const struct assoc_key *key, const uint8_t *payload, size_t len)
{
	struct assoc *assoc = assoc_of(np, key);
	struct ipc_assoc_data data = {
		.peer = key->peer,
		.peer_port = key->peer_port,
		.guest_port = key->guest_port,
		.proto = (uint8_t)key->proto,
		.flags = sf->df ? ASSOC_DF : 0,
	};

	if (assoc == NULL)
		return;
	/* The client of a published port has its own name for itself. */
	if (assoc->inbound) {
		data.peer = assoc->client;
		data.peer_port = assoc->client_port;
	} else if (sf->to_gateway && sf->version == 6) {
		/* relayproc knows it by this address alone. */
		data.peer = np->cfg.gateway6;
		assoc->link_local = !addr_equal(&key->peer, &data.peer);
	}
	assocs_use(&np->assocs, assoc, 0, key->peer_port == DNS_PORT,
	    np->now_ms);
	batch_add(np, assoc, &data, payload, len);
}

void
datagram_udp(struct netproc *np, const uint8_t *frame,
    const struct shield_frame *sf)
{
	const struct assoc_key key = {
		.guest = shield_src(sf),
		.peer = shield_dst(sf),
		.guest_port = sf->sport,
		.peer_port = sf->dport,
		.proto = IPPROTO_UDP,
	};

	COUNT(np, UDP_OUT);
	send_out(np, sf, &key, frame + sf->payload_off, sf->payload_len);
}

void
datagram_echo(struct netproc *np, const uint8_t *frame,
    const struct shield_frame *sf)
{
	const uint8_t *echo = frame + sf->l4_off;
	const struct assoc_key key = {
		.guest = shield_src(sf),
		.peer = shield_dst(sf),
		.guest_port = (uint16_t)(echo[4] << 8 | echo[5]),
		.proto = sf->version == 6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP,
	};

	if (echo[0] !=
		(sf->version == 6 ? ICMP6_ECHO_REQUEST : ICMP4_ECHO_REQUEST) ||
	    echo[1] != 0) {
		COUNT(np, ICMP_OTHER);
		return;
	}
	COUNT(np, ECHO_OUT);
	send_out(np, sf, &key, echo, sf->l4_len);
}

/* 1 if what relayproc says of an association can be. */
static int
data_is_valid(const struct ipc_assoc_data *data, size_t tail_len)
{
	if (!addr_is_valid(&data->peer) || data->peer.family == 0)
		return (0);
	if (data->segment_len != 0 &&
	    (tail_len + data->segment_len - 1) / data->segment_len >
		ASSOC_SEGMENTS_MAX)
		return (0);
	return (data->proto == IPPROTO_UDP || data->proto == IPPROTO_ICMP ||
	    data->proto == IPPROTO_ICMPV6);
}

/* How the guest sees the client of a published port. */
static int
client_name(struct netproc *np, const struct ipc_assoc_data *data,
    struct assoc_key *key)
{
	const int ip6 = data->peer.family == 6 && np->guest6_seen;

	memset(key, 0, sizeof(*key));
	key->proto = IPPROTO_UDP;
	key->guest = ip6 ? np->guest6 : np->cfg.address;
	key->guest_port = data->guest_port;
	if ((data->flags & ASSOC_PRESERVE) != 0 &&
	    data->peer.family == key->guest.family &&
	    client_is_routable(np, &data->peer)) {
		key->peer = data->peer;
		key->peer_port = data->peer_port;
		/* By another published port, it has that name already. */
		return (assocs_lookup(&np->assocs, key,
			    assocs_hash(np->hash_key, key)) == NULL);
	}
	key->peer = ip6 ? np->cfg.gateway6 : np->cfg.gateway;
	key->peer_port = gateway_udp_port(np, key);
	return (key->peer_port != 0);
}

static struct assoc *
assoc_inbound(struct netproc *np, const struct ipc_hdr *hdr,
    const struct ipc_assoc_data *data)
{
	struct assoc *assoc = assocs_by_wire_slot(&np->assocs, hdr->flow);
	struct assoc_key key;

	if (assoc == NULL || data->proto != IPPROTO_UDP)
		return (NULL);
	if (assoc->used && assoc->generation == hdr->generation)
		return (assoc);
	/* The batch may be of the association that gives way. */
	datagram_flush(np);
	if (assoc->used)
		assocs_release(&np->assocs, assoc);
	if (!client_name(np, data, &key))
		return (NULL);
	assoc = assocs_take(&np->assocs, hdr->flow, hdr->generation, &key,
	    assocs_hash(np->hash_key, &key));
	if (assoc == NULL)
		return (NULL);
	assoc->client = data->peer;
	assoc->client_port = data->peer_port;
	netproc_need_tick(np);
	return (assoc);
}

static void
deliver_udp(struct netproc *np, const struct assoc *assoc,
    const struct ipc_assoc_data *data, const uint8_t *bytes, size_t len)
{
	struct gateway_datagram d = {
		.src = assoc->inbound ? assoc->key.peer : data->peer,
		.dst = assoc->key.guest,
		.sport = assoc->inbound ? assoc->key.peer_port :
					  data->peer_port,
		.dport = assoc->key.guest_port,
	};
	size_t step = data->segment_len != 0 ? data->segment_len : len, n;

	name_gateway(np, assoc, &d.src);
	do {
		n = len < step ? len : step;
		gateway_send_udp(np, &d, bytes, n);
		COUNT(np, UDP_IN);
		bytes += n;
		len -= n;
	} while (len > 0);
}

enum ipc_error
datagram_received(struct netproc *np, const struct ipc_msg *msg)
{
	struct ipc_assoc_data data;
	struct assoc *assoc;

	memcpy(&data, msg->payload, sizeof(data));
	if (!data_is_valid(&data, msg->tail_len))
		return (IPC_E_FIELD);
	if (np->frame_fd == -1)
		return (IPC_OK);
	if ((msg->hdr.flow & FLOW_INBOUND_BIT) != 0)
		assoc = assoc_inbound(np, &msg->hdr, &data);
	else
		assoc = assocs_by_wire_slot(&np->assocs, msg->hdr.flow);
	/* It may have crossed our ASSOC_CLOSE. */
	if (assoc == NULL || !assoc->used ||
	    assoc->generation != msg->hdr.generation)
		return (IPC_OK);
	if (!assoc->inbound &&
	    (data.proto != assoc->key.proto ||
		data.peer.family != assoc->key.guest.family))
		return (IPC_E_FIELD);
	assocs_use(&np->assocs, assoc, !assoc->inbound, 0, np->now_ms);
	if (!link_has_room(np)) {
		COUNT(np, DATAGRAMS_NO_ROOM);
		return (IPC_OK);
	}
	if (data.proto == IPPROTO_UDP)
		deliver_udp(np, assoc, &data, msg->tail, msg->tail_len);
	else if (msg->tail_len >= ICMP_ECHO_LEN &&
	    msg->tail[0] ==
		(data.proto == IPPROTO_ICMP ? ICMP4_ECHO_REPLY :
					      ICMP6_ECHO_REPLY))
		gateway_send_echo(np, &data.peer, &assoc->key.guest,
		    assoc->key.guest_port, msg->tail, msg->tail_len);
	return (IPC_OK);
}

enum ipc_error
datagram_failed(struct netproc *np, const struct ipc_msg *msg)
{
	struct ipc_assoc_error error;
	const struct assoc *assoc;

	memcpy(&error, msg->payload, sizeof(error));
	if (!addr_is_valid(&error.peer) || !addr_is_valid(&error.router) ||
	    error.verdict >= VERDICT_N || error.len > IPC_DGRAM_TAIL_MAX)
		return (IPC_E_FIELD);
	assoc = assocs_by_wire_slot(&np->assocs, msg->hdr.flow);
	if (assoc == NULL || !assoc->used ||
	    assoc->generation != msg->hdr.generation)
		return (IPC_OK);
	/* The guest knows a client by the name that it was given. */
	if (assoc->inbound) {
		error.peer = assoc->key.peer;
		error.peer_port = assoc->key.peer_port;
	}
	name_gateway(np, assoc, &error.peer);
	if (error.peer.family != assoc->key.guest.family)
		return (IPC_OK);
	gateway_datagram_error(np, &assoc->key, &error);
	return (IPC_OK);
}

void
datagram_expire(struct netproc *np)
{
	struct assoc *assoc;

	while ((assoc = assocs_expired(&np->assocs, np->now_ms)) != NULL)
		assoc_end(np, assoc);
	if (np->assocs.nactive > 0)
		netproc_need_tick(np);
}

void
datagram_forget_all(struct netproc *np)
{
	struct assoc *assoc;

	np->batch.assoc = NULL;
	while ((assoc = assocs_any(&np->assocs)) != NULL)
		assoc_end(np, assoc);
}
