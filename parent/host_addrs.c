/*
 * Subscribing comes before the dump: an address that appears in between is
 * told twice, none is missed.
 */

#include <sys/socket.h>

#include <linux/netlink.h>
#include <linux/rtnetlink.h>

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "parent/host_addrs.h"

#define DATAGRAM_BYTES 32768 /* iproute2's size for a dump's answers */
#define SNAPSHOT_MS    2000  /* the kernel answers at once, or is not well */

/* Netlink aligns messages and attributes to 4 bytes. */
static size_t
align4(size_t len)
{
	return ((len + 3) & ~(size_t)3);
}

/*
 * The address of one RTM_*ADDR: IFA_LOCAL where there is one, for on a
 * point-to-point link IFA_ADDRESS is the peer's.
 */
static int
parse_address(const uint8_t *at, size_t len, struct ipc_addr *addr)
{
	struct ifaddrmsg ifa;
	struct rtattr rta;
	size_t want;
	int found = 0;

	if (len < sizeof(ifa))
		return (0);
	memcpy(&ifa, at, sizeof(ifa));
	if (ifa.ifa_family != AF_INET && ifa.ifa_family != AF_INET6)
		return (0);
	want = ifa.ifa_family == AF_INET ? 4 : 16;
	memset(addr, 0, sizeof(*addr));
	addr->family = ifa.ifa_family == AF_INET ? 4 : 6;
	at += align4(sizeof(ifa));
	len -= align4(sizeof(ifa));
	while (len >= sizeof(rta)) {
		memcpy(&rta, at, sizeof(rta));
		if (rta.rta_len < sizeof(rta) || rta.rta_len > len)
			break;
		if (rta.rta_len == sizeof(rta) + want &&
		    (rta.rta_type == IFA_LOCAL ||
			(rta.rta_type == IFA_ADDRESS && !found))) {
			memcpy(addr->bytes, at + sizeof(rta), want);
			found = 1;
		}
		if (align4(rta.rta_len) >= len)
			break;
		at += align4(rta.rta_len);
		len -= align4(rta.rta_len);
	}
	return (found);
}

enum host_addrs_result
host_addrs_parse(const void *bytes, size_t len, host_addr_fn *fn, void *arg)
{
	const uint8_t *at = bytes;
	struct ipc_host_addr change;
	struct nlmsghdr hdr;
	int error;

	while (len >= sizeof(hdr)) {
		memcpy(&hdr, at, sizeof(hdr));
		if (hdr.nlmsg_len < sizeof(hdr) || hdr.nlmsg_len > len)
			break;
		if (hdr.nlmsg_type == NLMSG_DONE)
			return (HOST_ADDRS_DONE);
		if (hdr.nlmsg_type == NLMSG_ERROR) {
			error = 0;
			if (hdr.nlmsg_len >= sizeof(hdr) + sizeof(error))
				memcpy(&error, at + sizeof(hdr), sizeof(error));
			if (error != 0) {
				errno = -error;
				return (HOST_ADDRS_ERROR);
			}
		}
		memset(&change, 0, sizeof(change));
		change.present = hdr.nlmsg_type == RTM_NEWADDR;
		if ((hdr.nlmsg_type == RTM_NEWADDR ||
			hdr.nlmsg_type == RTM_DELADDR) &&
		    parse_address(at + sizeof(hdr), hdr.nlmsg_len - sizeof(hdr),
			&change.addr))
			fn(&change, arg);
		if (align4(hdr.nlmsg_len) >= len)
			break;
		at += align4(hdr.nlmsg_len);
		len -= align4(hdr.nlmsg_len);
	}
	return (HOST_ADDRS_MORE);
}

/* sendmsg(2) and recvmsg(2) with the flags that the parent's filter knows. */
static int
ask_dump(int fd)
{
	struct {
		struct nlmsghdr hdr;
		struct ifaddrmsg ifa;
	} request;
	struct iovec iov = { .iov_base = &request, .iov_len = sizeof(request) };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1 };

	memset(&request, 0, sizeof(request));
	request.hdr.nlmsg_len = sizeof(request);
	request.hdr.nlmsg_type = RTM_GETADDR;
	request.hdr.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	request.ifa.ifa_family = AF_UNSPEC;
	return (sendmsg(fd, &mh, MSG_DONTWAIT | MSG_NOSIGNAL) == -1 ? -1 : 0);
}

/* One datagram; only the kernel's (port 0) count.  Length, or -1. */
static ssize_t
receive(int fd, void *buf, size_t size)
{
	struct sockaddr_nl from;
	struct iovec iov = { .iov_base = buf, .iov_len = size };
	struct msghdr mh = {
		.msg_name = &from,
		.msg_namelen = sizeof(from),
		.msg_iov = &iov,
		.msg_iovlen = 1,
	};
	ssize_t n;

	do {
		memset(&from, 0, sizeof(from));
		mh.msg_namelen = sizeof(from);
		n = recvmsg(fd, &mh, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	} while ((n == -1 && errno == EINTR) || (n >= 0 && from.nl_pid != 0));
	return (n);
}

static void
snapshot_apply(const struct ipc_host_addr *change, void *arg)
{
	struct host_addrs *addrs = arg;
	uint32_t i;

	for (i = 0; i < addrs->n; i++) {
		if (!addr_equal(&addrs->list[i], &change->addr))
			continue;
		if (!change->present)
			addrs->list[i] = addrs->list[--addrs->n];
		return;
	}
	/* A full list is refused by snapshot(). */
	if (change->present && addrs->n < HOST_ADDRS_MAX)
		addrs->list[addrs->n++] = change->addr;
}

static int
snapshot(struct host_addrs *addrs)
{
	static _Alignas(8) uint8_t buf[DATAGRAM_BYTES];
	struct pollfd pfd = { .fd = addrs->fd, .events = POLLIN };
	enum host_addrs_result result = HOST_ADDRS_MORE;
	ssize_t n;

	if (ask_dump(addrs->fd) == -1)
		return (-1);
	while (result == HOST_ADDRS_MORE) {
		if (poll(&pfd, 1, SNAPSHOT_MS) <= 0) {
			errno = ETIMEDOUT;
			return (-1);
		}
		n = receive(addrs->fd, buf, sizeof(buf));
		if (n == -1 && errno == EAGAIN)
			continue;
		if (n == -1)
			return (-1);
		result = host_addrs_parse(buf, (size_t)n, snapshot_apply,
		    addrs);
	}
	if (addrs->n == HOST_ADDRS_MAX) {
		errno = E2BIG;
		return (-1);
	}
	return (result == HOST_ADDRS_DONE ? 0 : -1);
}

int
host_addrs_open(struct host_addrs *addrs)
{
	struct sockaddr_nl local = {
		.nl_family = AF_NETLINK,
		.nl_groups = RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR,
	};

	addrs->n = 0;
	addrs->fd = socket(AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC,
	    NETLINK_ROUTE);
	if (addrs->fd == -1)
		return (-1);
	if (bind(addrs->fd, (struct sockaddr *)&local, sizeof(local)) == -1 ||
	    snapshot(addrs) == -1) {
		host_addrs_close(addrs);
		return (-1);
	}
	return (0);
}

struct reading {
	host_addr_fn *fn;
	void *arg;
	int deleted;
};

static void
reading_apply(const struct ipc_host_addr *change, void *arg)
{
	struct reading *reading = arg;

	if (!change->present)
		reading->deleted = 1;
	reading->fn(change, reading->arg);
}

int
host_addrs_read(struct host_addrs *addrs, host_addr_fn *fn, void *arg)
{
	static _Alignas(8) uint8_t buf[DATAGRAM_BYTES];
	struct reading reading = { .fn = fn, .arg = arg };
	ssize_t n;

	for (;;) {
		n = receive(addrs->fd, buf, sizeof(buf));
		if (n == -1 && errno == EAGAIN) {
			/* Another interface may have the same address. */
			if (reading.deleted)
				ask_dump(addrs->fd);
			return (0);
		}
		if (n == -1 && errno == ENOBUFS) {
			ask_dump(addrs->fd);
			errno = ENOBUFS;
			return (-1);
		}
		if (n <= 0)
			return (0);
		host_addrs_parse(buf, (size_t)n, reading_apply, &reading);
	}
}

void
host_addrs_close(struct host_addrs *addrs)
{
	int error = errno;

	if (addrs->fd != -1)
		close(addrs->fd);
	addrs->fd = -1;
	errno = error;
}
