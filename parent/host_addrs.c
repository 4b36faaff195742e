/*
 * Subscribing comes before the dump: an address that appears in between is
 * told twice, none is missed.
 *
 * That one has gone from an interface does not say that the host has it no
 * more: another may have the same.  And where many go at once the kernel drops
 * announcements.  So an address leaves the list when a whole dump has not told
 * it, and is denied until then.
 */

#include <sys/socket.h>

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "parent/host_addrs.h"

/* A link of two addresses has no third (RFC 6164). */
#define ANYCAST_PREFIX_END 127

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
parse_address(const uint8_t *at, size_t len, struct ipc_addr *addr,
    unsigned int *prefix_len)
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
	*prefix_len = ifa.ifa_prefixlen;
	return (found.any);
}

/*
 * The anycast address of a link's routers (RFC 4291 2.6.1), of whom this host
 * is one if it forwards: its UDP services hear what is sent there.  1, or 0 on
 * a link without one.
 */
static int
anycast_of(const struct ipc_addr *addr, unsigned int prefix_len,
    struct ipc_addr *anycast)
{
	unsigned int bit;

	if (addr->family != 6 || prefix_len == 0 ||
	    prefix_len >= ANYCAST_PREFIX_END)
		return (0);
	*anycast = *addr;
	for (bit = prefix_len; bit < 128; bit++)
		anycast->bytes[bit / 8] &= (uint8_t) ~(0x80u >> (bit % 8));
	return (1);
}

struct telling {
	host_addr_fn *fn;
	void *arg;
	int interrupted; /* a dump says that it is not whole */
};

static void
tell(const struct nlmsghdr *hdr, const uint8_t *at, size_t len, void *arg)
{
	struct telling *telling = arg;
	struct ipc_host_addr change;
	unsigned int prefix_len;

	if (hdr->nlmsg_type != RTM_NEWADDR && hdr->nlmsg_type != RTM_DELADDR)
		return;
	memset(&change, 0, sizeof(change));
	change.present = hdr->nlmsg_type == RTM_NEWADDR;
	if ((hdr->nlmsg_flags & NLM_F_DUMP_INTR) != 0)
		telling->interrupted = 1;
	if (!parse_address(at, len, &change.addr, &prefix_len))
		return;
	telling->fn(&change, telling->arg);
	if (anycast_of(&change.addr, prefix_len, &change.addr))
		telling->fn(&change, telling->arg);
}

enum rtnetlink_result
host_addrs_parse(const void *bytes, size_t len, host_addr_fn *fn, void *arg)
{
	struct telling telling = { .fn = fn, .arg = arg };

	return (rtnetlink_parse(bytes, len, tell, &telling));
}

/* Somebody who wants to hear of a change, after the list has it. */
struct listener {
	struct host_addrs *addrs;
	host_addr_fn *fn;
	void *arg;
};

/* A dump's answers are hundreds that the list had before, on some hosts. */
static void
list_take(const struct ipc_host_addr *change, void *arg)
{
	const struct listener *listener = arg;
	struct host_addrs *addrs = listener->addrs;
	uint32_t i;

	if (!change->present) {
		addrs->stale = 1;
		return;
	}
	for (i = 0; i < addrs->n; i++) {
		if (addr_equal(&addrs->list[i], &change->addr))
			break;
	}
	if (i == HOST_ADDRS_FULL)
		return;
	addrs->seen[i] = 1;
	if (i < addrs->n)
		return;
	addrs->list[addrs->n++] = change->addr;
	listener->fn(change, listener->arg);
}

/* The dump is whole: what it has not told has gone. */
static void
list_sweep(const struct listener *listener)
{
	struct ipc_host_addr change = { .present = 0 };
	struct host_addrs *addrs = listener->addrs;
	uint32_t i = 0;

	if (addrs->n == HOST_ADDRS_FULL)
		return;
	while (i < addrs->n) {
		if (addrs->seen[i]) {
			i++;
			continue;
		}
		change.addr = addrs->list[i];
		addrs->n--;
		addrs->list[i] = addrs->list[addrs->n];
		addrs->seen[i] = addrs->seen[addrs->n];
		listener->fn(&change, listener->arg);
	}
}

static void
ignore(const struct ipc_host_addr *change, void *arg)
{
	(void)change;
	(void)arg;
}

static int
snapshot(struct host_addrs *addrs)
{
	struct listener listener = { addrs, ignore, NULL };
	struct telling telling = { .fn = list_take, .arg = &listener };

	if (rtnetlink_snapshot(addrs->fd, RTM_GETADDR, AF_UNSPEC, tell,
		&telling) == -1)
		return (-1);
	if (addrs->n > HOST_ADDRS_MAX) {
		errno = E2BIG;
		return (-1);
	}
	return (0);
}

/* While one is under way its end comes back to us. */
static void
dump_if_stale(struct host_addrs *addrs)
{
	if (!addrs->stale || addrs->dumping ||
	    rtnetlink_ask_dump(addrs->fd, RTM_GETADDR, AF_UNSPEC) == -1)
		return;
	addrs->stale = 0;
	addrs->dumping = 1;
	addrs->interrupted = 0;
	memset(addrs->seen, 0, sizeof(addrs->seen));
}

/*
 * An error is one of the request's.  To ask again at once would turn in
 * circles; the next address that goes will.
 */
static void
dump_end(const struct listener *listener, enum rtnetlink_result result)
{
	struct host_addrs *addrs = listener->addrs;

	addrs->dumping = 0;
	if (addrs->interrupted)
		addrs->stale = 1;
	else if (result == RTNETLINK_DONE)
		list_sweep(listener);
}

int
host_addrs_open(struct host_addrs *addrs)
{
	memset(addrs, 0, sizeof(*addrs));
	addrs->fd = rtnetlink_open(RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR);
	if (addrs->fd == -1)
		return (-1);
	if (snapshot(addrs) == -1) {
		host_addrs_close(addrs);
		return (-1);
	}
	dump_if_stale(addrs);
	return (0);
}

int
host_addrs_read(struct host_addrs *addrs, host_addr_fn *fn, void *arg)
{
	static _Alignas(8) uint8_t buf[RTNETLINK_BYTES];
	struct listener listener = { addrs, fn, arg };
	struct telling telling = { .fn = list_take, .arg = &listener };
	enum rtnetlink_result result;
	int dropped = 0;
	ssize_t n;

	while ((n = rtnetlink_receive(addrs->fd, buf, sizeof(buf))) > 0 ||
	    (n == -1 && errno == ENOBUFS)) {
		if (n == -1) {
			addrs->stale = addrs->interrupted = dropped = 1;
			continue;
		}
		telling.interrupted = 0;
		result = rtnetlink_parse(buf, (size_t)n, tell, &telling);
		addrs->interrupted |= telling.interrupted;
		if (result != RTNETLINK_MORE && addrs->dumping)
			dump_end(&listener, result);
	}
	dump_if_stale(addrs);
	if (!dropped)
		return (0);
	errno = ENOBUFS;
	return (-1);
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
