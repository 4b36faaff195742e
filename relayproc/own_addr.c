#include <sys/socket.h>

#include <netinet/in.h>

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "ipc/addr.h"
#include "relayproc/dgram.h"
#include "relayproc/own_addr.h"

/* Any port: nothing is sent. */
#define DISCARD_PORT 9

/*
 * Of the loopback interface, by which the kernel sends to itself, whatever
 * interface a route names: more than a packet can be long on any link that
 * leads elsewhere (RFC 8200 3, without jumbograms).
 */
#define LOOPBACK_MTU 65536

/*
 * With the last two the kernel finds the way of a datagram of no bytes, and
 * does not send it (udp_sendmsg()).  MSG_PROXY is what it calls MSG_PROBE.
 */
#define PROBE_FLAGS (DGRAM_SEND_FLAGS | MSG_CONFIRM | MSG_PROXY)

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
 * Only from an address of its own does the kernel find a way.  It looks into
 * its table of local routes, which has all that the interfaces bring with them
 * (of an address on loopback its whole prefix).  0, or an errno value.
 */
static int
probe_from(int fd, const struct ipc_addr *addr)
{
	_Alignas(struct cmsghdr)
	    uint8_t control[CMSG_SPACE(sizeof(struct in_pktinfo))];
	struct sockaddr_storage ss;
	struct mmsghdr msg = {
		.msg_hdr = {
		    .msg_name = &ss,
		    .msg_namelen = addr_to_sockaddr(addr, DISCARD_PORT, &ss),
		    .msg_control = control,
		    .msg_controllen = sizeof(control),
		},
	};
	struct in_pktinfo info = { .ipi_ifindex = 0 };
	struct cmsghdr *hdr;

	memset(control, 0, sizeof(control));
	hdr = CMSG_FIRSTHDR(&msg.msg_hdr);
	hdr->cmsg_level = IPPROTO_IP;
	hdr->cmsg_type = IP_PKTINFO;
	hdr->cmsg_len = CMSG_LEN(sizeof(info));
	memcpy(&info.ipi_spec_dst, addr->bytes, 4);
	memcpy(CMSG_DATA(hdr), &info, sizeof(info));
	return (sendmmsg(fd, &msg, 1, PROBE_FLAGS) == -1 ? errno : 0);
}

/* What goes to an IPv6 address of the host's own goes by it (ipv6(7)). */
static int
way_is_loopback(int fd)
{
	int mtu = 0;
	socklen_t len = sizeof(mtu);

	return (getsockopt(fd, IPPROTO_IPV6, IPV6_MTU, &mtu, &len) == -1 ||
	    mtu >= LOOPBACK_MTU);
}

/*
 * What the kernel says of an address from or to which there is no way, whoever
 * asks; any other failure says nothing of the address.  EADDRNOTAVAIL is a host
 * that has no IPv6 address to send from (disable_ipv6); a lack of ports, which
 * a guest can bring about, is EAGAIN.
 */
static int
is_unreachable(int error)
{
	return (error == ENETUNREACH || error == EHOSTUNREACH ||
	    error == EACCES || error == EINVAL || error == EADDRNOTAVAIL);
}

/* As own_addr_is(), of an attempt that ended with 0 or an errno value. */
static int
answer_of(int error)
{
	if (error == 0)
		return (1);
	return (is_unreachable(error) ? 0 : -1);
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
		return (errno == EAFNOSUPPORT ? 0 : -1);
	if (addr->family == 4)
		return (answer_of(probe_from(*fd, addr)));
	if (connect(*fd, (struct sockaddr *)&ss, len) == -1)
		return (answer_of(errno));
	is = way_is_loopback(*fd);
	/* Or the next route would be looked for with this source. */
	(void)connect(*fd, (const struct sockaddr *)&nobody,
	    sizeof(struct sockaddr));
	return (is);
}
