/*
 * Subscribing comes before the dump: an address that appears in between is
 * told twice, none is missed.
 */

#include <sys/socket.h>

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "parent/host_addrs.h"

/* The address of one message; family 0 until there is one. */
struct found {
	size_t want; /* bytes of the family's addresses */
	struct ipc_addr addr;
	int local; /* it was IFA_LOCAL */
	int any;
};

/* On a point-to-point link IFA_ADDRESS is the peer's, so IFA_LOCAL wins. */
static void
take_attr(unsigned int type, const uint8_t *at, size_t len, void *arg)
{
	struct found *found = arg;

	if (len != found->want)
		return;
	if (type != IFA_LOCAL && (type != IFA_ADDRESS || found->local))
		return;
	memcpy(found->addr.bytes, at, len);
	found->local = type == IFA_LOCAL;
	found->any = 1;
}

static int
parse_address(const uint8_t *at, size_t len, struct ipc_addr *addr)
{
	struct found found;
	struct ifaddrmsg ifa;

	if (len < sizeof(ifa))
		return (0);
	memcpy(&ifa, at, sizeof(ifa));
	if (ifa.ifa_family != AF_INET && ifa.ifa_family != AF_INET6)
		return (0);
	memset(&found, 0, sizeof(found));
	found.want = ifa.ifa_family == AF_INET ? 4 : 16;
	found.addr.family = ifa.ifa_family == AF_INET ? 4 : 6;
	rtnetlink_attrs(at, len, sizeof(ifa), take_attr, &found);
	*addr = found.addr;
	return (found.any);
}

struct telling {
	host_addr_fn *fn;
	void *arg;
	int deleted; /* an RTM_DELADDR was among them */
};

static void
tell(const struct nlmsghdr *hdr, const uint8_t *at, size_t len, void *arg)
{
	struct telling *telling = arg;
	struct ipc_host_addr change;

	if (hdr->nlmsg_type != RTM_NEWADDR && hdr->nlmsg_type != RTM_DELADDR)
		return;
	memset(&change, 0, sizeof(change));
	change.present = hdr->nlmsg_type == RTM_NEWADDR;
	if (!parse_address(at, len, &change.addr))
		return;
	if (!change.present)
		telling->deleted = 1;
	telling->fn(&change, telling->arg);
}

enum rtnetlink_result
host_addrs_parse(const void *bytes, size_t len, host_addr_fn *fn, void *arg)
{
	struct telling telling = { .fn = fn, .arg = arg };

	return (rtnetlink_parse(bytes, len, tell, &telling));
}

/* 1 if the list is another now. */
static int
list_change(struct host_addrs *addrs, const struct ipc_host_addr *change)
{
	uint32_t i;

	if (addrs->n == HOST_ADDRS_FULL)
		return (0);
	for (i = 0; i < addrs->n; i++) {
		if (!addr_equal(&addrs->list[i], &change->addr))
			continue;
		if (!change->present)
			addrs->list[i] = addrs->list[--addrs->n];
		return (!change->present);
	}
	if (change->present)
		addrs->list[addrs->n++] = change->addr;
	return (change->present != 0);
}

static void
list_apply(const struct ipc_host_addr *change, void *arg)
{
	list_change(arg, change);
}

static int
snapshot(struct host_addrs *addrs)
{
	struct telling telling = { .fn = list_apply, .arg = addrs };

	if (rtnetlink_snapshot(addrs->fd, RTM_GETADDR, AF_UNSPEC, tell,
		&telling) == -1)
		return (-1);
	if (addrs->n > HOST_ADDRS_MAX) {
		errno = E2BIG;
		return (-1);
	}
	return (0);
}

int
host_addrs_open(struct host_addrs *addrs)
{
	addrs->n = 0;
	addrs->fd = rtnetlink_open(RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR);
	if (addrs->fd == -1)
		return (-1);
	if (snapshot(addrs) == -1) {
		host_addrs_close(addrs);
		return (-1);
	}
	return (0);
}

/*
 * Somebody who wants to hear of a change, after the list has it.  A dump's
 * answers are hundreds that the list had before, on some hosts.
 */
struct listener {
	struct host_addrs *addrs;
	host_addr_fn *fn;
	void *arg;
};

static void
list_and_tell(const struct ipc_host_addr *change, void *arg)
{
	const struct listener *listener = arg;

	if (list_change(listener->addrs, change))
		listener->fn(change, listener->arg);
}

int
host_addrs_read(struct host_addrs *addrs, host_addr_fn *fn, void *arg)
{
	static _Alignas(8) uint8_t buf[RTNETLINK_BYTES];
	struct listener listener = { addrs, fn, arg };
	struct telling telling = { .fn = list_and_tell, .arg = &listener };
	ssize_t n;

	for (;;) {
		n = rtnetlink_receive(addrs->fd, buf, sizeof(buf));
		if (n == -1 && errno == EAGAIN) {
			/* Another interface may have the same address. */
			if (telling.deleted)
				rtnetlink_ask_dump(addrs->fd, RTM_GETADDR,
				    AF_UNSPEC);
			return (0);
		}
		if (n == -1 && errno == ENOBUFS) {
			rtnetlink_ask_dump(addrs->fd, RTM_GETADDR, AF_UNSPEC);
			errno = ENOBUFS;
			return (-1);
		}
		if (n <= 0)
			return (0);
		rtnetlink_parse(buf, (size_t)n, tell, &telling);
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
