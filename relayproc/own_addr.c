#include <sys/socket.h>

#include <netinet/in.h>

#include <errno.h>
#include <unistd.h>

#include "ipc/addr.h"
#include "relayproc/own_addr.h"

/* Any port: nothing is sent. */
#define DISCARD_PORT 9

/*
 * Of the loopback interface, by which the kernel sends to itself, whatever
 * interface a route names: more than a packet can be long on any link that
 * leads elsewhere (RFC 8200 3, without jumbograms).
 */
#define LOOPBACK_MTU 65536

void
own_addr_init(struct own_addr *own)
{
	own->fd = own->fd6 = -1;
}

static void
close_one(int *fd)
{
	if (*fd != -1)
		close(*fd);
	*fd = -1;
}

void
own_addr_close(struct own_addr *own)
{
	close_one(&own->fd);
	close_one(&own->fd6);
}

/*
 * What goes to an IPv4 address of the host's own has that address as its
 * source, where nobody has chosen one.
 */
static int
source_is(int fd, const struct ipc_addr *addr)
{
	struct sockaddr_storage ss;
	struct ipc_addr source;
	socklen_t len = sizeof(ss);

	return (getsockname(fd, (struct sockaddr *)&ss, &len) == -1 ||
	    addr_from_sockaddr((struct sockaddr *)&ss, &source, NULL) == -1 ||
	    addr_equal(&source, addr));
}

/* Over IPv6 it has a source as all else, but goes by loopback (ipv6(7)). */
static int
way_is_loopback(int fd)
{
	int mtu = 0;
	socklen_t len = sizeof(mtu);

	return (getsockopt(fd, IPPROTO_IPV6, IPV6_MTU, &mtu, &len) == -1 ||
	    mtu >= LOOPBACK_MTU);
}

/*
 * What connect(2) says of an address to which there is no way, whoever asks;
 * any other failure says nothing of the address.
 */
static int
is_unreachable(int error)
{
	return (error == ENETUNREACH || error == EHOSTUNREACH ||
	    error == EACCES || error == EINVAL);
}

int
own_addr_is(const struct ipc_addr *addr, void *arg)
{
	const struct sockaddr_storage nobody = { .ss_family = AF_UNSPEC };
	struct own_addr *own = arg;
	int *fd = addr->family == 4 ? &own->fd : &own->fd6;
	struct sockaddr_storage ss;
	socklen_t len;
	int is;

	len = addr_to_sockaddr(addr, DISCARD_PORT, &ss);
	if (*fd == -1)
		*fd = socket(ss.ss_family,
		    SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_UDP);
	/* A host without IPv6 has no address of it either. */
	if (*fd == -1)
		return (errno != EAFNOSUPPORT);
	if (connect(*fd, (struct sockaddr *)&ss, len) == -1)
		return (!is_unreachable(errno));
	is = addr->family == 4 ? source_is(*fd, addr) : way_is_loopback(*fd);
	/* Or the next route would be looked for with this source. */
	(void)connect(*fd, (const struct sockaddr *)&nobody,
	    sizeof(struct sockaddr));
	return (is);
}
