#include <sys/socket.h>

#include <netinet/in.h>
#include <netinet/tcp.h>

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include <event2/event.h>

#include "ipc/clock.h"
#include "relayproc/addr_class.h"
#include "relayproc/lend.h"
#include "relayproc/publish_accept.h"
#include "relayproc/relayproc.h"
#include "relayproc/splice.h"
#include "relayproc/tcp_connect.h"

/* Most clients taken from one listener before the loop turns. */
#define ACCEPT_BATCH 64

/*
 * Most accepted clients that may wait for room in the channel; beyond it no
 * more are accepted until the queue is empty.
 */
#define ACCEPT_LENDING_MAX 64

/*
 * How long no client is accepted after the host ran short of descriptors or
 * memory: the listener stays readable, and the loop would spin.  Test:
 * a_listener_rests_while_descriptors_are_short.
 */
#define ACCEPT_PAUSE_MS 100

/* The kernel's defaults of net.ipv4.tcp_rmem and tcp_wmem; they grow. */
#define RECEIVE_BYTES 131072
#define SEND_BYTES    16384

/* Linux 5.14; not in the C library's headers yet. */
#ifndef SO_BUF_LOCK
#define SO_BUF_LOCK 72
#endif

static void
option_set(int fd, int level, int option, int value)
{
	(void)setsockopt(fd, level, option, &value, sizeof(value));
}

/* Returns owned: a socket of the same family as the kernel makes it, or -1. */
static int
fresh_like(int fd)
{
	socklen_t len = sizeof(int);
	int domain;

	if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) == -1)
		return (-1);
	return (socket(domain, SOCK_STREAM | SOCK_CLOEXEC, 0));
}

/* Whether paths' MTUs are heeded is the host's to say (ip_no_pmtu_disc). */
static void
mtu_discovery_restore(int fd, int fresh)
{
	static const struct {
		int level, option;
	} options[] = {
		{ IPPROTO_IP, IP_MTU_DISCOVER },
		{ IPPROTO_IPV6, IPV6_MTU_DISCOVER },
	};
	socklen_t len;
	int value;
	size_t i;

	for (i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
		len = sizeof(value);
		if (getsockopt(fresh, options[i].level, options[i].option,
			&value, &len) == 0)
			option_set(fd, options[i].level, options[i].option,
			    value);
	}
}

/* What an accepted socket inherits, and tcp_prepare() does not set. */
static void
options_restore(int fd, int fresh)
{
	socklen_t len = sizeof(int);
	int locked = 0;

	mtu_discovery_restore(fd, fresh);
	option_set(fd, IPPROTO_TCP, TCP_MAXSEG, 0);
	option_set(fd, IPPROTO_IP, IP_RECVERR, 0);
	option_set(fd, IPPROTO_IPV6, IPV6_RECVERR, 0);
	(void)getsockopt(fd, SOL_SOCKET, SO_BUF_LOCK, &locked, &len);
	if (locked == 0)
		return;
	option_set(fd, SOL_SOCKET, SO_RCVBUF, RECEIVE_BYTES / 2);
	option_set(fd, SOL_SOCKET, SO_SNDBUF, SEND_BYTES / 2);
	option_set(fd, SOL_SOCKET, SO_BUF_LOCK, 0);
}

/* The interface that the socket is tied to; 0: none. */
static int
link_of(int fd)
{
	socklen_t len = sizeof(int);
	int link = 0;

	(void)getsockopt(fd, SOL_SOCKET, SO_BINDTOIFINDEX, &link, &len);
	return (link);
}

/*
 * A relayproc before this one had the same socket, and may have been taken
 * over and have set it up badly, disconnected it, or connected it elsewhere.
 * Its port it kept, unless somebody of this host has listened there meanwhile
 * (SECURITY.md).  We can listen again as well, but not after the lock.  Of a
 * connect to a link-local address an interface remains, which is for who may
 * use raw sockets to change: none of us.
 */
static void
listener_restore(int fd, uint16_t host_port)
{
	const struct sockaddr_storage unspec = { .ss_family = AF_UNSPEC };
	const int fresh = fresh_like(fd);
	socklen_t len = sizeof(int);
	int listens = 1;

	options_restore(fd, fresh);
	if (link_of(fd) != link_of(fresh))
		fatalx("published port %u: a relayproc before has tied it to "
		       "interface %d, for good",
		    (unsigned int)host_port, link_of(fd));
	if (fresh != -1)
		close(fresh);
	if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &len) == -1 ||
	    listens)
		return;
	log_warn("published port %u: a relayproc before had stopped listening",
	    (unsigned int)host_port);
	if (connect(fd, (const struct sockaddr *)&unspec,
		sizeof(struct sockaddr)) == -1 ||
	    listen(fd, SOMAXCONN) == -1)
		fatal("published port %u: listen", (unsigned int)host_port);
}

int
publish_add(struct relayproc *rp, const struct ipc_listener *msg, int fd)
{
	struct publish *publish = &rp->publish;
	struct listener *listener;

	if (publish->n == LISTENERS_MAX) {
		close(fd);
		errno = ENOSPC;
		return (-1);
	}
	listener_restore(fd, msg->host_port);
	listener = &publish->list[publish->n++];
	listener->owner = rp;
	listener->fd = fd;
	listener->guest_port = msg->guest_port;
	listener->preserve = msg->preserve;
	return (0);
}

static void
publish_pause(struct relayproc *rp, uint64_t resume_ms)
{
	size_t i;

	for (i = 0; i < rp->publish.n; i++)
		event_del(&rp->publish.list[i].ev);
	rp->publish.running = 0;
	rp->publish.resume_ms = resume_ms;
}

/* Errors of one client and not of the listener; accept(2), "Error handling". */
static int
is_client_error(int error)
{
	switch (error) {
	case ECONNABORTED:
	case EINTR:
	case ENETDOWN:
	case EPROTO:
	case ENOPROTOOPT:
	case EHOSTDOWN:
	case ENONET:
	case EHOSTUNREACH:
	case ENETUNREACH:
	case ETIMEDOUT:
	case EPERM: /* the host's firewall */
		return (1);
	default:
		return (0);
	}
}

static void
client_take(struct relayproc *rp, const struct listener *listener, int fd,
    const struct sockaddr *sa)
{
	struct addr_forms forms;
	struct ipc_addr client;
	struct flow *flow;
	uint16_t port;

	if (addr_from_sockaddr(sa, &client, &port) == -1 ||
	    tcp_prepare(fd) == -1) {
		tcp_reset(fd);
		return;
	}
	flow = flow_accept(&rp->flows, fd);
	if (flow == NULL) {
		rp->counters.inbound_full++;
		tcp_reset(fd);
		return;
	}
	if (splice_open(rp, flow) == -1) {
		rp->counters.inbound_full++;
		lend_close(rp, flow, FLOW_CLOSE_REFUSED);
		return;
	}
	addr_canonicalise(&client, &forms);
	flow->peer = forms.dial;
	flow->peer_port = port;
	flow->guest_port = listener->guest_port;
	flow->preserve = listener->preserve;
}

static void
on_client(evutil_socket_t fd, short what, void *arg)
{
	struct listener *listener = arg;
	struct relayproc *rp = listener->owner;
	struct sockaddr_storage ss;
	socklen_t len;
	int client, i;

	(void)what;
	for (i = 0; i < ACCEPT_BATCH; i++) {
		if (rp->flows.count[FLOW_LENDING] >= ACCEPT_LENDING_MAX) {
			publish_pause(rp, 0);
			break;
		}
		len = sizeof(ss);
		client = accept4(fd, (struct sockaddr *)&ss, &len,
		    SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (client != -1) {
			client_take(rp, listener, client,
			    (struct sockaddr *)&ss);
			continue;
		}
		if (errno == EAGAIN)
			break;
		if (is_client_error(errno))
			continue;
		/* As for listener_restore(): by one that was on its way out. */
		if (errno == EINVAL)
			fatalx("a published port has stopped listening");
		log_warn("accept on a published port: %s", strerror(errno));
		publish_pause(rp, clock_now_ms() + ACCEPT_PAUSE_MS);
		break;
	}
	lend_pump(rp);
}

void
publish_start(struct relayproc *rp)
{
	struct listener *listener;
	size_t i;

	for (i = 0; i < rp->publish.n; i++) {
		listener = &rp->publish.list[i];
		if (!event_initialized(&listener->ev))
			event_assign(&listener->ev, rp->base, listener->fd,
			    EV_READ | EV_PERSIST, on_client, listener);
		if (event_add(&listener->ev, NULL) == -1)
			fatalx("no memory for a listener's event");
	}
	rp->publish.running = 1;
	rp->publish.resume_ms = UINT64_MAX;
}

void
publish_stop(struct relayproc *rp)
{
	size_t i;

	if (rp->publish.running)
		publish_pause(rp, UINT64_MAX);
	for (i = 0; i < rp->publish.n; i++)
		close(rp->publish.list[i].fd);
	rp->publish.n = 0;
	rp->publish.resume_ms = UINT64_MAX;
}

void
publish_resume(struct relayproc *rp, uint64_t now_ms)
{
	if (rp->publish.running || rp->publish.resume_ms > now_ms ||
	    rp->flows.count[FLOW_LENDING] > 0)
		return;
	publish_start(rp);
}
