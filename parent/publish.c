#include <sys/socket.h>

#include <netinet/in.h>

#include <errno.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "parent/publish.h"

/*
 * Clients that the kernel lets wait while relayproc is at its limit of
 * inbound flows; beyond, their SYNs are retried.
 */
#define PUBLISH_BACKLOG 128

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

/* Returns owned: a listening socket; -1 with errno. */
static int
listen_on(const struct ipc_addr *addr, uint16_t port)
{
	struct sockaddr_storage ss;
	const int on = 1;
	socklen_t len;
	int fd, error;

	len = addr_to_sockaddr(addr, port, &ss);
	fd = socket(ss.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC,
	    IPPROTO_TCP);
	if (fd == -1)
		return (-1);
	if (ss.ss_family == AF_INET6 &&
	    setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)) == -1)
		goto fail;
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == -1 ||
	    bind(fd, (struct sockaddr *)&ss, len) == -1 ||
	    listen(fd, PUBLISH_BACKLOG) == -1)
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
open_one(struct publish_set *set, const struct ipc_addr *bind_to,
    uint16_t host_port, uint16_t guest_port, int optional,
    struct config_error *error)
{
	struct publish_listener *listener = &set->list[set->n];
	char text[ADDR_STRLEN];

	memset(listener, 0, sizeof(*listener));
	listener->fd = listen_on(bind_to, host_port);
	if (listener->fd == -1) {
		if (optional &&
		    (errno == EADDRNOTAVAIL || errno == EAFNOSUPPORT))
			return (0);
		return (config_error(error, status_of(errno),
		    "--publish: cannot listen on %s: %s; %s",
		    addr_format_port(bind_to, host_port, text, sizeof(text)),
		    strerror(errno), mend(errno)));
	}
	listener->what.proto = IPPROTO_TCP;
	listener->what.guest_port = guest_port;
	listener->what.host_port = host_port;
	listener->what.bind = *bind_to;
	set->n++;
	return (0);
}

static int
open_range(struct publish_set *set, const struct config_publish *publish,
    struct config_error *error)
{
	static const struct ipc_addr loopback4 = { .family = 4,
		.bytes = { 127, 0, 0, 1 } };
	static const struct ipc_addr loopback6 = { .family = 6,
		.bytes = { [15] = 1 } };
	const int both = publish->bind.family == 0;
	uint16_t host, guest;
	uint32_t i;

	for (i = 0; i < publish->count; i++) {
		host = (uint16_t)(publish->host_port + i);
		guest = (uint16_t)(publish->guest_port + i);
		if (open_one(set, both ? &loopback4 : &publish->bind, host,
			guest, 0, error) == -1)
			return (-1);
		if (both &&
		    open_one(set, &loopback6, host, guest, 1, error) == -1)
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
		if (open_range(set, &config->publish[i], error) == -1) {
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
