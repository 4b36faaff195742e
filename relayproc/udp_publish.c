#include <sys/socket.h>

#include <netinet/in.h>

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include <event2/event.h>

#include "ipc/clock.h"
#include "relayproc/assoc_record.h"
#include "relayproc/relayproc.h"
#include "relayproc/udp_publish.h"

/* Most errors taken from one listener before the loop turns. */
#define ERRORS_BATCH 16

static int
is_unspecified(const struct ipc_addr *addr)
{
	static const uint8_t zero[16];

	return (memcmp(addr->bytes, zero, sizeof(zero)) == 0);
}

/*
 * A relayproc before this one may have been taken over and, with --relay
 * splice, have shut the socket for sending.  Nothing opens it again, and
 * nothing tells but a send: it goes to a socket of our own.
 */
static int
is_shut(int fd, const struct ipc_addr *bound)
{
	struct sockaddr_storage ss;
	socklen_t len, error_len = sizeof(int);
	int to, shut, error;

	len = addr_to_sockaddr(bound, 0, &ss);
	to = socket(ss.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (to == -1)
		return (0);
	/* one that waits would be told instead */
	(void)getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &error_len);
	shut = bind(to, (struct sockaddr *)&ss, len) == 0 &&
	    getsockname(to, (struct sockaddr *)&ss, &len) == 0 &&
	    sendto(fd, "", 0, MSG_DONTWAIT | MSG_NOSIGNAL,
		(struct sockaddr *)&ss, len) == -1 &&
	    errno == EPIPE;
	close(to);
	return (shut);
}

int
udp_publish_add(struct relayproc *rp, const struct ipc_listener *msg, int fd)
{
	struct udp_publish *publish = &rp->udp_publish;
	struct udp_listener *listener;

	if (publish->n == LISTENERS_MAX) {
		close(fd);
		errno = ENOSPC;
		return (-1);
	}
	listener = &publish->list[publish->n];
	if (dgram_adopt(&listener->source.sock, fd,
		msg->bind.family == 4 ? AF_INET : AF_INET6,
		is_unspecified(&msg->bind)) == -1)
		return (-1);
	if (rp->config.splice && is_shut(fd, &msg->bind))
		fatalx("published port %u/udp: a relayproc before has shut it, "
		       "for good",
		    (unsigned int)msg->host_port);
	listener->owner = rp;
	listener->guest_port = msg->guest_port;
	listener->flags = msg->preserve ? ASSOC_PRESERVE : 0;
	publish->n++;
	return (0);
}

/*
 * A client that has gone, or its network, says so about what was answered.
 * hint is whose answer failed just now, or NULL; *is_local is set if one of
 * the errors explains it.
 */
static unsigned int
errors_take(struct relayproc *rp, struct udp_listener *listener,
    struct assoc_client *hint, int *is_local, uint64_t now_ms)
{
	struct ipc_assoc_error msg;
	struct assoc_client *client;
	struct dgram_error error;
	unsigned int n;
	int result;

	*is_local = 0;
	for (n = 0; n < ERRORS_BATCH; n++) {
		result = dgram_error_take(&listener->source.sock, &error);
		if (result == -1)
			break;
		client = hint;
		if (error.is_local)
			*is_local = 1;
		else
			client = assoc_client_find(&rp->assocs, listener,
			    &error.peer, error.peer_port);
		if (result == 0 || client == NULL)
			continue;
		memset(&msg, 0, sizeof(msg));
		msg.peer = client->addr;
		msg.peer_port = client->port;
		msg.verdict = error.verdict;
		msg.mtu = error.mtu;
		msg.len = client->sent_len;
		msg.router = error.router;
		assoc_record_error(rp, client->slot, client->generation, &msg,
		    now_ms);
	}
	if (n == ERRORS_BATCH)
		dgram_errors_leave(&listener->source.sock);
	return (n);
}

static void
label_fill(struct relayproc *rp, struct udp_listener *listener, unsigned int i,
    uint64_t now_ms)
{
	struct assoc_label *label = &rp->records.labels[i];
	struct assoc_client *client = NULL;
	struct dgram dgram;

	dgram_get(rp->records.batch, i, &dgram);
	if (dgram.peer_port != 0)
		client = assoc_client_get(&rp->assocs, listener, &dgram.peer,
		    dgram.peer_port, now_ms);
	if (client == NULL) {
		label->drop = 1;
		rp->counters.dgrams_lost += dgram_segments(dgram.len,
		    dgram.segment_len);
		return;
	}
	client->local = dgram.local;
	client->link = dgram.link;
	label->slot = client->slot;
	label->generation = client->generation;
	label->data.peer = client->addr;
	label->data.peer_port = client->port;
	label->data.guest_port = listener->guest_port;
	label->data.proto = IPPROTO_UDP;
	label->data.flags = listener->flags;
}

static void
on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct udp_listener *listener = arg;
	struct relayproc *rp = listener->owner;
	const uint64_t now_ms = clock_now_ms();
	int i, is_local, n;

	(void)fd;
	(void)what;
	n = assoc_records_read(rp, &listener->source);
	if (n <= 0 && !listener->source.waits)
		errors_take(rp, listener, NULL, &is_local, now_ms);
	for (i = 0; i < n; i++)
		label_fill(rp, listener, (unsigned int)i, now_ms);
	if (n > 0)
		assoc_records_deliver(rp);
}

void
udp_publish_start(struct relayproc *rp)
{
	struct udp_listener *listener;
	size_t i;

	for (i = 0; i < rp->udp_publish.n; i++) {
		listener = &rp->udp_publish.list[i];
		event_assign(&listener->source.ev, rp->base,
		    listener->source.sock.fd, EV_READ | EV_PERSIST, on_readable,
		    listener);
		if (event_add(&listener->source.ev, NULL) == -1)
			fatalx("no memory for a listener's event");
	}
}

void
udp_publish_stop(struct relayproc *rp)
{
	struct udp_listener *listener;
	size_t i;

	for (i = 0; i < rp->udp_publish.n; i++) {
		listener = &rp->udp_publish.list[i];
		if (event_initialized(&listener->source.ev))
			assoc_records_forget(rp, &listener->source);
		dgram_close(&listener->source.sock);
	}
	rp->udp_publish.n = 0;
}

enum ipc_error
udp_publish_answer(struct relayproc *rp, const struct ipc_msg *msg,
    const struct ipc_assoc_data *data, uint64_t now_ms)
{
	struct udp_listener *listener;
	struct assoc_client *client;
	enum ipc_error error;
	struct dgram_to to;
	size_t sent = 0;
	int is_local, result;

	if (data->proto != IPPROTO_UDP)
		return (IPC_E_FIELD);
	error = assoc_client_named(&rp->assocs, &msg->hdr, &client);
	if (client == NULL) {
		rp->counters.dgrams_lost += dgram_segments(msg->tail_len,
		    data->segment_len);
		return (error);
	}
	assoc_client_touch(&rp->assocs, client, now_ms);
	client->sent_len = data->segment_len != 0 ? data->segment_len :
						    (uint16_t)msg->tail_len;
	listener = client->listener;
	to.addr = client->addr;
	to.port = client->port;
	to.local = client->local;
	to.link = client->link;
	result = dgram_send(&listener->source.sock, &to, msg->tail,
	    msg->tail_len, data->segment_len, data->flags & ASSOC_DF, &sent);
	/* It may have met an earlier datagram's error, in the queue or not. */
	if (result != 0) {
		errors_take(rp, listener, client, &is_local, now_ms);
		if (!is_local)
			result = dgram_send(&listener->source.sock, &to,
			    msg->tail, msg->tail_len, data->segment_len,
			    data->flags & ASSOC_DF, &sent);
	}
	assoc_record_sent(rp, data->segment_len, msg->tail_len, sent, result);
	return (IPC_OK);
}
