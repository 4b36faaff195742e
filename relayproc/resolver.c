#include <sys/socket.h>

#include <netinet/in.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/event.h>

#include "ipc/clock.h"
#include "relayproc/relayproc.h"
#include "relayproc/resolver.h"

/*
 * Every query and every server asked has a socket of its own, connected, its
 * port chosen by the kernel at random: an answer has to come from the server
 * asked and to guess 16 bits of port beside the query's identifier (RFC 5452
 * 9.2), and one query's answer can never be taken for another's.
 *
 * The servers are asked in turn, beginning with the one that was the first to
 * speak last; a server that is unreachable or refuses costs no wait.  One that
 * says that it cannot or will not answer (SERVFAIL, NOTIMP, REFUSED) is passed
 * over while there is another, as a stub that knew them all would
 * (res_send(3)); it is first for the next query all the same.  Their order is
 * the operator's: while another than the first is, one query in RETURN_MS finds
 * out if that has come back.  All queries wait equally long for a server, so
 * the list of those in flight is in the order of their deadlines.
 *
 * The guest's datagrams may fill netproc's channel.  An answer that finds it
 * full is held until there is room, and no other is read meanwhile.
 */

#define RETURN_MS 30000

/* RFC 1035 4.1.1. */
#define HEADER_LEN     12
#define FLAG_QR	       0x80 /* of the third byte: a response */
#define RCODE_MASK     0x0f /* of the fourth */
#define RCODE_SERVFAIL 2
#define RCODE_NOTIMP   4
#define RCODE_REFUSED  5

int
resolver_add(struct resolver *resolver, const struct ipc_resolver *msg)
{
	if (resolver->nservers == RESOLVERS_MAX) {
		errno = ENOSPC;
		return (-1);
	}
	resolver->servers[resolver->nservers++] = *msg;
	return (0);
}

void
resolver_clear(struct resolver *resolver)
{
	struct dns_query *query;

	resolver->nservers = 0;
	resolver->preferred = 0;
	/* Before the queries are set up there is no list either. */
	if (resolver->queries == NULL)
		return;
	TAILQ_FOREACH(query, &resolver->in_flight, entry) {
		query->server = 0;
		query->tried = 0;
		query->refused = 0;
	}
}

int
resolver_init(struct resolver *resolver, uint32_t nqueries, uint32_t timeout_ms,
    struct relayproc *owner)
{
	TAILQ_INIT(&resolver->in_flight);
	resolver->timeout_ms = timeout_ms;
	resolver->nqueries = nqueries;
	resolver->queries = calloc(nqueries, sizeof(*resolver->queries));
	resolver->answer = calloc(1, IPC_DNS_TAIL_MAX);
	if (resolver->queries == NULL || resolver->answer == NULL) {
		resolver_free(resolver);
		errno = ENOMEM;
		return (-1);
	}
	resolver->owner = owner;
	return (0);
}

/*
 * A slot is made ready when it is first looked at: memory for queries that
 * never were is not touched.
 */
static struct dns_query *
query_at(struct resolver *resolver, uint32_t i)
{
	struct dns_query *query = &resolver->queries[i];

	if (!query->ready) {
		query->ready = 1;
		query->owner = resolver->owner;
		query->slot = i;
		query->generation = UINT32_MAX;
		query->fd = -1;
	}
	return (query);
}

void
resolver_free(struct resolver *resolver)
{
	free(resolver->queries);
	free(resolver->answer);
	resolver->queries = NULL;
	resolver->answer = NULL;
}

static void
query_hang_up(struct dns_query *query)
{
	struct resolver *resolver = &query->owner->resolver;

	if (resolver->held == query)
		resolver->held = NULL;
	if (query->fd == -1)
		return;
	event_del(&query->ev);
	close(query->fd);
	query->fd = -1;
}

static void
query_end(struct relayproc *rp, struct dns_query *query)
{
	query_hang_up(query);
	TAILQ_REMOVE(&rp->resolver.in_flight, query, entry);
	query->in_flight = 0;
}

/* Never silence: what cannot be answered is failed, if need be later. */
static void
query_fail(struct relayproc *rp, const struct dns_query *query)
{
	const struct ipc_dns msg = { .guest_port = query->guest_port };

	rp->counters.dns_failed++;
	if (channel_send(&rp->dgram, IPC_DNS_FAILED, query->slot,
		query->generation, &msg, sizeof(msg)) == -1 &&
	    errno == ENOBUFS)
		relayproc_accuse(rp, IPC_E_QUOTA, IPC_DNS_QUERY);
	channel_event_kick(&rp->dgram_ev);
}

/* Passes the answer on that was read, or holds it. */
static void
query_answer(struct relayproc *rp, struct dns_query *query)
{
	const struct ipc_dns msg = { .guest_port = query->guest_port };
	struct resolver *resolver = &rp->resolver;

	resolver->held = NULL;
	if (channel_send_tail(&rp->dgram, IPC_DNS_ANSWER, query->slot,
		query->generation, &msg, sizeof(msg), resolver->answer,
		resolver->answer_len) == 0) {
		rp->counters.dns_answers++;
	} else if (errno == ENOBUFS) {
		resolver->held = query;
		event_add(rp->records.ev_room, NULL);
	} else {
		query_end(rp, query);
		query_fail(rp, query);
	}
}

void
resolver_room(struct relayproc *rp)
{
	struct resolver *resolver = &rp->resolver;
	struct dns_query *query;

	if (resolver->held != NULL)
		query_answer(rp, resolver->held);
	if (resolver->held != NULL)
		return;
	TAILQ_FOREACH(query, &resolver->in_flight, entry) {
		if (query->fd != -1)
			event_add(&query->ev, NULL);
	}
}

/* The filter knows no send(2): one call is enough for all datagrams. */
static int
datagram_send(int fd, const uint8_t *data, size_t len)
{
	struct iovec iov = { (void *)(uintptr_t)data, len };
	struct mmsghdr msg = {
		.msg_hdr = { .msg_iov = &iov, .msg_iovlen = 1 },
	};

	return (sendmmsg(fd, &msg, 1, DGRAM_SEND_FLAGS));
}

static ssize_t
datagram_recv(int fd, uint8_t *data, size_t size)
{
	struct iovec iov = { data, size };
	struct mmsghdr msg = {
		.msg_hdr = { .msg_iov = &iov, .msg_iovlen = 1 },
	};

	if (recvmmsg(fd, &msg, 1, DGRAM_RECV_FLAGS, NULL) == -1)
		return (-1);
	return ((ssize_t)(msg.msg_len < size ? msg.msg_len : size));
}

static void on_answer(evutil_socket_t fd, short what, void *arg);

/* Sends the query to its current server.  0, or -1 with errno. */
static int
query_send(struct relayproc *rp, struct dns_query *query)
{
	const struct ipc_resolver *server;
	struct sockaddr_storage ss;
	socklen_t len;
	int error;

	server = &rp->resolver.servers[query->server];
	len = addr_to_sockaddr(&server->addr, server->port, &ss);
	query->fd = socket(ss.ss_family,
	    SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_UDP);
	if (query->fd == -1)
		return (-1);
	event_assign(&query->ev, rp->base, query->fd, EV_READ | EV_PERSIST,
	    on_answer, query);
	if (connect(query->fd, (struct sockaddr *)&ss, len) == 0 &&
	    datagram_send(query->fd, query->data, query->len) != -1 &&
	    event_add(&query->ev, NULL) == 0)
		return (0);
	error = errno;
	query_hang_up(query);
	errno = error;
	return (-1);
}

/* Asks the next server that can be reached; fails the query after the last. */
static void
query_next(struct relayproc *rp, struct dns_query *query, uint64_t now_ms)
{
	struct resolver *resolver = &rp->resolver;
	char text[ADDR_STRLEN];

	query_hang_up(query);
	TAILQ_REMOVE(&resolver->in_flight, query, entry);
	query->deadline_ms = now_ms + resolver->timeout_ms;
	TAILQ_INSERT_TAIL(&resolver->in_flight, query, entry);
	for (; query->tried < resolver->nservers; query->tried++) {
		if (query->tried > 0)
			query->server = (query->server + 1) %
			    resolver->nservers;
		if (query_send(rp, query) == 0) {
			query->tried++;
			return;
		}
		addr_format_port(&resolver->servers[query->server].addr,
		    resolver->servers[query->server].port, text, sizeof(text));
		log_debug("resolver %s: %s", text, strerror(errno));
	}
	query_end(rp, query);
	query_fail(rp, query);
}

/* 1 if an answer to the query says that there is none, whatever it asks. */
static int
is_refusal(const struct dns_query *query, const uint8_t *answer, size_t len)
{
	if (len < HEADER_LEN || query->len < HEADER_LEN ||
	    memcmp(answer, query->data, 2) != 0 || (answer[2] & FLAG_QR) == 0)
		return (0);
	switch (answer[3] & RCODE_MASK) {
	case RCODE_SERVFAIL:
	case RCODE_NOTIMP:
	case RCODE_REFUSED:
		return (1);
	default:
		return (0);
	}
}

static void
on_answer(evutil_socket_t fd, short what, void *arg)
{
	struct dns_query *query = arg;
	struct relayproc *rp = query->owner;
	ssize_t n;

	(void)what;
	if (rp->resolver.held != NULL) {
		event_del(&query->ev);
		event_add(rp->records.ev_room, NULL);
		return;
	}
	n = datagram_recv(fd, rp->resolver.answer, IPC_DNS_TAIL_MAX);
	if (n == 0 || (n == -1 && (errno == EAGAIN || errno == EINTR)))
		return;
	if (n == -1) {
		/* An ICMP error: nobody listens, or no way there. */
		query_next(rp, query, clock_now_ms());
		return;
	}
	if (query->tried < rp->resolver.nservers &&
	    is_refusal(query, rp->resolver.answer, (size_t)n)) {
		if (!query->refused)
			query->refuser = query->server;
		query->refused = 1;
		query_next(rp, query, clock_now_ms());
		return;
	}
	if (query->answers++ >= RESOLVER_ANSWERS_MAX)
		return;
	rp->resolver.answer_len = (size_t)n;
	query_answer(rp, query);
}

void
resolver_prefer(struct resolver *resolver, unsigned int server, uint64_t now_ms)
{
	if (server == resolver->preferred)
		return;
	resolver->preferred = server;
	resolver->return_ms = now_ms + RETURN_MS;
}

unsigned int
resolver_first(struct resolver *resolver, uint64_t now_ms)
{
	if (resolver->preferred == 0 || now_ms < resolver->return_ms)
		return (resolver->preferred);
	resolver->return_ms = now_ms + RETURN_MS;
	return (0);
}

enum ipc_error
resolver_done(struct relayproc *rp, uint32_t slot, uint32_t generation)
{
	struct dns_query *query;

	if (slot >= rp->resolver.nqueries)
		return (IPC_E_QUOTA);
	query = query_at(&rp->resolver, slot);
	/* It may have crossed our DNS_FAILED. */
	if (query->generation != generation || !query->in_flight)
		return (IPC_OK);
	/* Who has refused is there, and those before it are not. */
	resolver_prefer(&rp->resolver,
	    query->refused ? query->refuser : query->server, clock_now_ms());
	query_end(rp, query);
	return (IPC_OK);
}

enum ipc_error
resolver_ask(struct relayproc *rp, uint32_t slot, uint32_t generation,
    uint16_t guest_port, const uint8_t *data, size_t len, uint64_t now_ms)
{
	struct resolver *resolver = &rp->resolver;
	struct dns_query *query;

	if (slot >= resolver->nqueries)
		return (IPC_E_QUOTA);
	query = query_at(resolver, slot);
	if ((int32_t)(generation - query->generation) <= 0)
		return (IPC_E_STATE);
	if (query->in_flight)
		query_end(rp, query);
	rp->counters.dns_queries++;
	query->generation = generation;
	query->guest_port = guest_port;
	if (len == 0 || len > sizeof(query->data)) {
		query_fail(rp, query);
		return (IPC_OK);
	}
	memcpy(query->data, data, len);
	query->len = len;
	query->server = resolver_first(resolver, now_ms);
	query->tried = 0;
	query->answers = 0;
	query->refused = 0;
	query->in_flight = 1;
	TAILQ_INSERT_TAIL(&resolver->in_flight, query, entry);
	query_next(rp, query, now_ms);
	return (IPC_OK);
}

void
resolver_expire(struct relayproc *rp, uint64_t now_ms)
{
	struct dns_query *query;

	while ((query = TAILQ_FIRST(&rp->resolver.in_flight)) != NULL &&
	    query->deadline_ms <= now_ms)
		query_next(rp, query, now_ms);
}

uint64_t
resolver_deadline_ms(const struct resolver *resolver)
{
	const struct dns_query *query = TAILQ_FIRST(&resolver->in_flight);

	return (query != NULL ? query->deadline_ms : UINT64_MAX);
}

void
resolver_stop(struct relayproc *rp)
{
	struct dns_query *query;

	while ((query = TAILQ_FIRST(&rp->resolver.in_flight)) != NULL)
		query_end(rp, query);
}
