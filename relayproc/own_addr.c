#include <sys/socket.h>

#include <netinet/in.h>

#include <errno.h>
#include <unistd.h>

#include "ipc/addr.h"
#include "relayproc/own_addr.h"

/* Any port: nothing is sent. */
#define DISCARD_PORT 9

void
own_addr_init(struct own_addr *own)
{
	own->fd = -1;
}

void
own_addr_close(struct own_addr *own)
{
	if (own->fd != -1)
		close(own->fd);
	own->fd = -1;
}

/*
 * What goes to an address of the host's own has that address as its source,
 * where nobody has chosen one.
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
	struct sockaddr_storage ss;
	socklen_t len;
	int is;

	if (addr->family != 4)
		return (0);
	if (own->fd == -1)
		own->fd = socket(AF_INET,
		    SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_UDP);
	if (own->fd == -1)
		return (1);
	len = addr_to_sockaddr(addr, DISCARD_PORT, &ss);
	if (connect(own->fd, (struct sockaddr *)&ss, len) == -1)
		return (!is_unreachable(errno));
	is = source_is(own->fd, addr);
	/* Or the next route would be looked for with this source. */
	(void)connect(own->fd, (const struct sockaddr *)&nobody,
	    sizeof(struct sockaddr));
	return (is);
}
