#include <linux/icmp.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>

#include <errno.h>
#include <string.h>

#include <event2/event.h>

#include "ipc/clock.h"
#include "relayproc/assoc_record.h"
#include "relayproc/denial.h"
#include "relayproc/relayproc.h"
#include "relayproc/tcp_connect.h"
#include "relayproc/udp_assoc.h"

/*
 * One socket for each association, never connected: the guest sees one and
 * the same mapping whomever it talks to (RFC 4787 4.1), and only those whom
 * it has sent to may answer, unless the operator opened the filter.
 *
 * The policy is asked once for each peer, and again after it has changed.
 * Nothing leaves, and nothing comes in, without an answer of its present
 * generation.
 */

/* Most errors taken from one socket before the loop turns. */
#define ERRORS_BATCH 16

/*
 * A send meets what earlier datagrams caused: an ICMP error that waits, a
 * port that is taken.  So often it is tried; twice where the queue explains
 * nothing, for one that a flood has filled leaves the error without a reason,
 * and it need not be this peer's.
 */
#define SEND_TRIES 3

static const char *
proto_name(unsigned int proto)
{
	return (proto == IPPROTO_UDP ? "udp" : "icmp");
}

static int
is_echo(const struct ipc_assoc_data *data, const struct ipc_msg *msg)
{
	const uint8_t type = data->proto == IPPROTO_ICMP ? ICMP_ECHO :
							   ICMP6_ECHO_REQUEST;

	return (data->peer.family == (data->proto == IPPROTO_ICMP ? 4 : 6) &&
	    data->peer_port == 0 && data->segment_len == 0 &&
	    msg->tail_len >= sizeof(struct icmphdr) && msg->tail[0] == type &&
	    msg->tail[1] == 0);
}

static int
data_is_valid(const struct ipc_assoc_data *data, const struct ipc_msg *msg)
{
	if (!addr_is_valid(&data->peer) || data->peer.family == 0 ||
	    (data->flags & ~ASSOC_DF) != 0 ||
	    data->segment_len > msg->tail_len ||
	    dgram_segments(msg->tail_len, data->segment_len) >
		ASSOC_SEGMENTS_MAX)
		return (0);
	switch (data->proto) {
	case IPPROTO_UDP:
		return (1);
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		return (is_echo(data, msg));
	default:
		return (0);
	}
}

static void
assoc_hang_up(struct relayproc *rp, struct assoc *assoc)
{
	if (assoc->source.sock.fd != -1) {
		assoc_records_forget(rp, &assoc->source);
		dgram_close(&assoc->source.sock);
	}
	assoc_end(&rp->assocs, assoc);
}

/* What an error about it says of it; a batch is of datagrams alike. */
static void
peer_remember(struct assoc_peer *peer, const struct ipc_assoc_data *data,
    const struct ipc_msg *msg)
{
	size_t len = data->segment_len != 0 ? data->segment_len : msg->tail_len;

	if (data->proto != IPPROTO_UDP) {
		peer->sent_seq = (uint16_t)(msg->tail[6] << 8 | msg->tail[7]);
		len -= sizeof(struct icmphdr);
	}
	peer->sent_len = (uint16_t)len;
}

static void
assoc_tell(struct relayproc *rp, const struct assoc *assoc,
    const struct assoc_peer *peer, enum flow_verdict verdict,
    const struct dgram_error *why, uint64_t now_ms)
{
	struct ipc_assoc_error msg = {
		.peer = peer->addr,
		.peer_port = peer->port,
		.verdict = verdict,
		.len = peer->sent_len,
	};

	if (assoc->proto != IPPROTO_UDP)
		msg.peer_port = why != NULL && why->has_echo_seq ?
		    why->echo_seq :
		    peer->sent_seq;
	if (why != NULL) {
		msg.mtu = why->mtu;
		/* A host service is the gateway's, not 127.0.0.1's. */
		if (why->router.family == peer->addr.family)
			msg.router = why->router;
	}
	assoc_record_error(rp, assoc->slot, assoc->generation, &msg, now_ms);
}

/* An IPv6 socket reaches IPv4 only for the sake of host services. */
static int
is_dual(const struct relayproc *rp, const struct assoc *assoc)
{
	return (assoc->family == 6 && assoc->proto == IPPROTO_UDP &&
	    rp->policy.nservices > 0);
}

static unsigned int
policy_proto(const struct assoc *assoc)
{
	return (assoc->proto == IPPROTO_UDP ? IPPROTO_UDP : IPPROTO_ICMP);
}

/* The policy's word on this peer, asked for now if there is none yet. */
static void
peer_judge(struct relayproc *rp, const struct assoc *assoc,
    struct assoc_peer *peer, const struct policy_answer *answer,
    uint64_t now_ms)
{
	peer->policy_generation = rp->policy.generation;
	peer->verdict = VERDICT_N;
	if (answer->kind != POLICY_ALLOWED) {
		denial_log(rp, proto_name(assoc->proto), &peer->addr,
		    peer->port, answer, now_ms);
		peer->verdict = answer->verdict;
		/* The next datagram may find a port to ask from. */
		if (answer->kind == POLICY_UNKNOWN)
			peer->policy_generation = 0;
	} else if (answer->dial.family != assoc->family && !is_dual(rp, assoc))
		peer->verdict = VERDICT_NET_UNREACH;
}

/* Returns borrowed: the peer that the guest sends to, judged. */
static struct assoc_peer *
peer_get(struct relayproc *rp, struct assoc *assoc,
    const struct ipc_assoc_data *data, uint64_t now_ms)
{
	struct policy_answer answer;
	struct assoc_peer *peer;

	peer = assoc_peer_find(&rp->assocs.peers, &assoc->peers, &data->peer,
	    data->peer_port);
	if (peer != NULL && peer->policy_generation == rp->policy.generation)
		return (peer);
	policy_check(&rp->policy, policy_proto(assoc), &data->peer,
	    data->peer_port, &answer);
	if (peer == NULL)
		peer = assoc_peer_add(&rp->assocs.peers, &assoc->peers,
		    &data->peer, data->peer_port, &answer.dial,
		    answer.dial_port);
	peer_judge(rp, assoc, peer, &answer, now_ms);
	return (peer);
}

/*
 * Passes the socket's errors on.  hint is the peer of the send that failed
 * just now, or NULL; *is_local is set if one explains it.  Returns how many
 * there were.
 */
static unsigned int
errors_take(struct relayproc *rp, struct assoc *assoc,
    const struct assoc_peer *hint, int *is_local, uint64_t now_ms)
{
	const struct assoc_peer *peer;
	struct dgram_error error;
	unsigned int n;
	int result;

	*is_local = 0;
	for (n = 0; n < ERRORS_BATCH; n++) {
		result = dgram_error_take(&assoc->source.sock, &error);
		if (result == -1)
			break;
		if (result == 0)
			continue;
		peer = hint;
		if (error.is_local)
			*is_local = 1;
		else
			peer = assoc_peer_find_dial(&rp->assocs.peers,
			    &assoc->peers, &error.peer, error.peer_port);
		if (peer != NULL)
			assoc_tell(rp, assoc, peer, error.verdict, &error,
			    now_ms);
	}
	if (n == ERRORS_BATCH)
		dgram_errors_leave(&assoc->source.sock);
	return (n);
}

/* May what comes from dial go to the guest?  Then data says from whom. */
static int
source_admit(struct relayproc *rp, struct assoc *assoc,
    const struct dgram *dgram, struct ipc_assoc_data *data, uint64_t now_ms)
{
	struct policy_answer answer;
	struct assoc_peer *peer;

	peer = assoc_peer_find_dial(&rp->assocs.peers, &assoc->peers,
	    &dgram->peer, dgram->peer_port);
	if (peer != NULL) {
		data->peer = peer->addr;
		data->peer_port = peer->port;
		peer = peer_get(rp, assoc, data, now_ms);
		return (peer->verdict == VERDICT_N);
	}
	if (!rp->config.udp_filter_open || assoc->proto != IPPROTO_UDP ||
	    dgram->peer.family != assoc->family)
		return (0);
	data->peer = dgram->peer;
	data->peer_port = dgram->peer_port;
	policy_check(&rp->policy, IPPROTO_UDP, &data->peer, data->peer_port,
	    &answer);
	return (answer.kind == POLICY_ALLOWED);
}

static void
on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct assoc *assoc = arg;
	struct relayproc *rp = assoc->owner;
	const uint64_t now_ms = clock_now_ms();
	struct assoc_label *label;
	struct dgram dgram;
	int i, is_local, n, admitted = 0;

	(void)fd;
	(void)what;
	n = assoc_records_read(rp, &assoc->source);
	if (n <= 0 && !assoc->source.waits)
		errors_take(rp, assoc, NULL, &is_local, now_ms);
	for (i = 0; i < n; i++) {
		label = &rp->records.labels[i];
		label->slot = assoc->slot;
		label->generation = assoc->generation;
		label->data.guest_port = assoc->guest_port;
		label->data.proto = assoc->proto;
		dgram_get(rp->records.batch, (unsigned int)i, &dgram);
		if (source_admit(rp, assoc, &dgram, &label->data, now_ms)) {
			admitted = 1;
			continue;
		}
		label->drop = 1;
		rp->counters.dgrams_filtered += dgram_segments(dgram.len,
		    dgram.segment_len);
	}
	if (n <= 0)
		return;
	if (admitted)
		assoc_touch(&rp->assocs, assoc, now_ms);
	assoc_records_deliver(rp);
}

/* Said once: it is the host's configuration, and the guest retries for ever. */
static void
socket_refused(struct relayproc *rp, struct assoc *assoc,
    const struct assoc_peer *peer, int error, uint64_t now_ms)
{
	if (assoc->proto != IPPROTO_UDP &&
	    (error == EACCES || error == EPERM || error == EPROTONOSUPPORT)) {
		rp->counters.pings_refused++;
		if (!rp->ping_refusal_told)
			log_warn("the host does not let us ping: %s; sysctl "
				 "net.ipv4.ping_group_range=\"0 2147483647\" "
				 "would allow it",
			    strerror(error));
		rp->ping_refusal_told = 1;
	} else if (error == EAFNOSUPPORT)
		assoc_tell(rp, assoc, peer, VERDICT_NET_UNREACH, NULL, now_ms);
	else
		log_debug("%s socket: %s", proto_name(assoc->proto),
		    strerror(error));
}

/* 0, or -1: the datagram goes nowhere. */
static int
socket_make(struct relayproc *rp, struct assoc *assoc,
    const struct assoc_peer *peer, uint64_t now_ms)
{
	struct dgram_source *source = &assoc->source;

	if (dgram_open(&source->sock, assoc->family == 4 ? AF_INET : AF_INET6,
		assoc->proto, is_dual(rp, assoc)) == -1) {
		socket_refused(rp, assoc, peer, errno, now_ms);
		return (-1);
	}
	event_assign(&source->ev, rp->base, source->sock.fd,
	    EV_READ | EV_PERSIST, on_readable, assoc);
	if (event_add(&source->ev, NULL) == -1) {
		dgram_close(&source->sock);
		return (-1);
	}
	if (assoc->proto == IPPROTO_UDP && assoc->guest_port != 0)
		dgram_want_port(&source->sock, assoc->guest_port);
	assoc->has_sent = 0;
	rp->counters.assocs++;
	return (0);
}

/* What no error queue explains: this host has no way there, or no room. */
static void
send_refused(struct relayproc *rp, struct assoc *assoc,
    const struct assoc_peer *peer, int error, uint64_t now_ms)
{
	enum flow_verdict verdict = tcp_connect_verdict(error);

	/* Not for want of ports, as in a connect: we have no such address. */
	if (error == EADDRNOTAVAIL)
		verdict = VERDICT_NET_UNREACH;
	switch (verdict) {
	case VERDICT_NET_UNREACH:
	case VERDICT_HOST_UNREACH:
	case VERDICT_DENIED:
		assoc_tell(rp, assoc, peer, verdict, NULL, now_ms);
		break;
	default:
		log_debug("%s send: %s", proto_name(assoc->proto),
		    strerror(error));
	}
}

static void
datagrams_send(struct relayproc *rp, struct assoc *assoc,
    const struct assoc_peer *peer, const struct ipc_assoc_data *data,
    const struct ipc_msg *msg, uint64_t now_ms)
{
	const struct dgram_to to = {
		.addr = peer->dial,
		.port = peer->dial_port,
	};
	struct dgram_sock *sock = &assoc->source.sock;
	int error = 0, is_local = 0, tries;
	unsigned int taken;
	size_t sent = 0;

	for (tries = 0; tries < SEND_TRIES; tries++) {
		error = dgram_send(sock, &to, msg->tail, msg->tail_len,
		    data->segment_len, data->flags & ASSOC_DF, &sent);
		if (error == 0)
			break;
		if (error == EAGAIN && !assoc->has_sent)
			dgram_want_port(sock, 0);
		else {
			taken = errors_take(rp, assoc, peer, &is_local, now_ms);
			if (is_local || (taken == 0 && tries > 0))
				break;
		}
		assoc->has_sent = 1;
	}
	assoc->has_sent = 1;
	assoc_record_sent(rp, data->segment_len, msg->tail_len, sent, error);
	if (error != 0 && !is_local)
		send_refused(rp, assoc, peer, error, now_ms);
}

enum ipc_error
udp_assoc_send(struct relayproc *rp, const struct ipc_msg *msg, uint64_t now_ms)
{
	struct ipc_assoc_data data;
	struct assoc_peer *peer;
	struct assoc *assoc;
	enum ipc_error error;
	size_t n;
	int old;

	memcpy(&data, msg->payload, sizeof(data));
	if (!data_is_valid(&data, msg))
		return (IPC_E_FIELD);
	if (msg->hdr.flow & FLOW_INBOUND_BIT)
		return (udp_publish_answer(rp, msg, &data, now_ms));
	error = assoc_lookup(&rp->assocs, &msg->hdr, &data, &assoc, &old);
	if (error != IPC_OK)
		return (error);
	if (old)
		assoc_hang_up(rp, assoc);
	if (assoc->in_use)
		assoc_touch(&rp->assocs, assoc, now_ms);
	else
		assoc_begin(&rp->assocs, assoc, msg->hdr.generation, &data,
		    now_ms);
	peer = peer_get(rp, assoc, &data, now_ms);
	peer_remember(peer, &data, msg);
	n = dgram_segments(msg->tail_len, data.segment_len);
	if (peer->verdict != VERDICT_N) {
		rp->counters.dgrams_denied += n;
		assoc_tell(rp, assoc, peer, peer->verdict, NULL, now_ms);
		return (IPC_OK);
	}
	if (assoc->source.sock.fd == -1 &&
	    socket_make(rp, assoc, peer, now_ms) == -1)
		rp->counters.dgrams_lost += n;
	else
		datagrams_send(rp, assoc, peer, &data, msg, now_ms);
	return (IPC_OK);
}

enum ipc_error
udp_assoc_close(struct relayproc *rp, const struct ipc_hdr *hdr)
{
	struct assoc_client *client;
	struct assoc *assoc;
	enum ipc_error error;

	if (hdr->flow & FLOW_INBOUND_BIT) {
		error = assoc_client_named(&rp->assocs, hdr, &client);
		if (client != NULL)
			assoc_client_forget(&rp->assocs, client);
		return (error);
	}
	error = assoc_closing(&rp->assocs, hdr, &assoc);
	if (assoc != NULL) {
		assoc_hang_up(rp, assoc);
		assoc->generation = hdr->generation;
	}
	return (error);
}

void
udp_assoc_expire(struct relayproc *rp, uint64_t now_ms)
{
	struct assoc *assoc;

	while ((assoc = assoc_expired(&rp->assocs, now_ms)) != NULL)
		assoc_hang_up(rp, assoc);
	assoc_clients_expire(&rp->assocs, now_ms);
}

void
udp_assoc_stop(struct relayproc *rp)
{
	struct assoc *assoc;

	while ((assoc = TAILQ_FIRST(&rp->assocs.used)) != NULL)
		assoc_hang_up(rp, assoc);
	assoc_records_stop(rp);
}
