#include <sys/socket.h>

#include <netinet/in.h>
#include <netinet/udp.h>

#include <errno.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "ipc/kernel.h"
#include "parent/publish.h"

/*
 * Clients that the kernel lets wait for relayproc, as many as
 * net.core.somaxconn; beyond, a SYN is lost and comes again after 1 s.
 */
#define PUBLISH_BACKLOG SOMAXCONN

static const char *
mend(int why)
{
	switch (why) {
	case EADDRINUSE:
		return ("publish another host port, or stop what listens "
			"there");
	case EADDRNOTAVAIL:
		return ("bind to an address that this host has");
	case EACCES:
		return ("publish a port from 1024 on, or set sysctl "
			"net.ipv4.ip_unprivileged_port_start");
	default:
		return ("publish another address or port");
	}
}

static int
status_of(int why)
{
	switch (why) {
	case EADDRINUSE:
	case EADDRNOTAVAIL:
		return (EX_UNAVAILABLE);
	case EACCES:
		return (EX_NOPERM);
	default:
		return (EX_OSERR);
	}
}

/* Before bind(2).  0, or -1 with errno. */
static int
set_before(int fd, int family, uint32_t proto)
{
	const int on = 1;

	if (family == AF_INET6 &&
	    setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)) == -1)
		return (-1);
	/* With UDP another process could then take the port from us. */
	if (proto == IPPROTO_TCP)
		return (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on,
		    sizeof(on)));
	return (0);
}

/*
 * relayproc can bind nothing and sets few options, so a UDP socket comes to it
 * ready: what clients' hosts answer by ICMP is reported (ip(7)), and datagrams
 * of one client arrive together (udp(7), since Linux 5.0).
 */
static int
make_udp_ready(int fd, int family)
{
	const int on = 1;
	int result;

	if (family == AF_INET6)
		result = setsockopt(fd, IPPROTO_IPV6, IPV6_RECVERR, &on,
		    sizeof(on));
	else
		result = setsockopt(fd, IPPROTO_IP, IP_RECVERR, &on,
		    sizeof(on));
	if (result == -1)
		return (-1);
	if (setsockopt(fd, IPPROTO_UDP, UDP_GRO, &on, sizeof(on)) == -1 &&
	    errno != ENOPROTOOPT)
		return (-1);
	return (0);
}

/* Returns owned: a socket that clients reach; -1 with errno. */
static int
listen_on(uint32_t proto, const struct ipc_addr *addr, uint16_t port)
{
	const int type = proto == IPPROTO_UDP ? SOCK_DGRAM : SOCK_STREAM;
	struct sockaddr_storage ss;
	socklen_t len;
	int fd, error;

	len = addr_to_sockaddr(addr, port, &ss);
	fd = socket(ss.ss_family, type | SOCK_NONBLOCK | SOCK_CLOEXEC,
	    (int)proto);
	if (fd == -1)
		return (-1);
	if (set_before(fd, ss.ss_family, proto) == -1 ||
	    (proto == IPPROTO_UDP && make_udp_ready(fd, ss.ss_family) == -1) ||
	    bind(fd, (struct sockaddr *)&ss, len) == -1 ||
	    (proto == IPPROTO_TCP && listen(fd, PUBLISH_BACKLOG) == -1))
		goto fail;
	return (fd);
fail:
	error = errno;
	close(fd);
	errno = error;
	return (-1);
}

/* optional: an address that the host does not have is passed over. */
static int
open_one(struct publish_set *set, const struct ipc_listener *what, int optional,
    struct config_error *error)
{
	struct publish_listener *listener = &set->list[set->n];
	char text[ADDR_STRLEN];

	listener->what = *what;
	listener->fd = listen_on(what->proto, &what->bind, what->host_port);
	if (listener->fd == -1) {
		if (optional &&
		    (errno == EADDRNOTAVAIL || errno == EAFNOSUPPORT))
			return (0);
		return (config_error(error, status_of(errno),
		    "--publish: cannot listen on %s%s: %s; %s",
		    addr_format_port(&what->bind, what->host_port, text,
			sizeof(text)),
		    what->proto == IPPROTO_UDP ? "/udp" : "", strerror(errno),
		    mend(errno)));
	}
	set->n++;
	return (0);
}

static int
open_range(struct publish_set *set, const struct config_publish *publish,
    int preserve, struct config_error *error)
{
	static const struct ipc_addr loopback4 = { .family = 4,
		.bytes = { 127, 0, 0, 1 } };
	static const struct ipc_addr loopback6 = { .family = 6,
		.bytes = { [15] = 1 } };
	const int both = publish->bind.family == 0;
	struct ipc_listener what;
	uint32_t i;

	memset(&what, 0, sizeof(what));
	what.proto = publish->proto;
	what.preserve = preserve ? 1 : 0;
	for (i = 0; i < publish->count; i++) {
		what.host_port = (uint16_t)(publish->host_port + i);
		what.guest_port = (uint16_t)(publish->guest_port + i);
		what.bind = both ? loopback4 : publish->bind;
		if (open_one(set, &what, 0, error) == -1)
			return (-1);
		what.bind = loopback6;
		if (both && open_one(set, &what, 1, error) == -1)
			return (-1);
	}
	return (0);
}

int
publish_open(const struct config *config, struct publish_set *set,
    struct config_error *error)
{
	uint32_t i;

	set->n = 0;
	for (i = 0; i < config->npublish; i++) {
		if (open_range(set, &config->publish[i],
			config->publish_preserve, error) == -1) {
			publish_close(set);
			return (-1);
		}
	}
	return (0);
}

void
publish_close(struct publish_set *set)
{
	uint32_t i;

	for (i = 0; i < set->n; i++) {
		if (set->list[i].fd != -1)
			close(set->list[i].fd);
		set->list[i].fd = -1;
	}
	set->n = 0;
}
