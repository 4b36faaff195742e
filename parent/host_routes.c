#include <sys/socket.h>

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "parent/host_routes.h"

#define LOOPBACK_INDEX 1 /* in every network namespace */

/* What the attributes of one route say. */
struct route {
	uint8_t dst[16];
	int by_interface; /* other than loopback */
};

static void
take_attr(unsigned int type, const uint8_t *at, size_t len, void *arg)
{
	struct route *route = arg;
	uint32_t number = 0;

	if (len == sizeof(number))
		memcpy(&number, at, sizeof(number));
	switch (type) {
	case RTA_DST:
		if (len == sizeof(route->dst))
			memcpy(route->dst, at, len);
		break;
	case RTA_OIF:
		route->by_interface |= number != LOOPBACK_INDEX;
		break;
	case RTA_MULTIPATH:
	case RTA_NH_ID:
		route->by_interface = 1;
		break;
	default:
		break;
	}
}

/*
 * Fills rtm and route.  1 if the route's prefix covers 2000::/3: it has the
 * first bits of that, and at most three.
 */
static int
covers_internet(const uint8_t *at, size_t len, struct rtmsg *rtm,
    struct route *route)
{
	uint8_t mask;

	if (len < sizeof(*rtm))
		return (0);
	memcpy(rtm, at, sizeof(*rtm));
	if (rtm->rtm_family != AF_INET6 || rtm->rtm_dst_len > 3 ||
	    (rtm->rtm_flags & RTM_F_CLONED) != 0)
		return (0);
	memset(route, 0, sizeof(*route));
	rtnetlink_attrs(at, len, sizeof(*rtm), take_attr, route);
	mask = (uint8_t)(0xff00u >> rtm->rtm_dst_len);
	return ((route->dst[0] & mask) == (0x20 & mask));
}

static void
take_message(const struct nlmsghdr *hdr, const uint8_t *at, size_t len,
    void *arg)
{
	struct host_routes *routes = arg;
	struct route route;
	struct rtmsg rtm;

	/* The routes changed while they were dumped. */
	if ((hdr->nlmsg_flags & NLM_F_DUMP_INTR) != 0)
		routes->stale = 1;
	if ((hdr->nlmsg_type != RTM_NEWROUTE &&
		hdr->nlmsg_type != RTM_DELROUTE) ||
	    !covers_internet(at, len, &rtm, &route))
		return;
	/* Of whatever kind it is: it may have replaced a way out. */
	if ((hdr->nlmsg_flags & NLM_F_MULTI) == 0)
		routes->stale = 1;
	else if (rtm.rtm_type == RTN_UNICAST && rtm.rtm_src_len == 0 &&
	    (rtm.rtm_flags & RTNH_F_DEAD) == 0 &&
	    rtm.rtm_table == RT_TABLE_MAIN && route.by_interface)
		routes->found = 1;
}

enum rtnetlink_result
host_routes_parse(struct host_routes *routes, const void *bytes, size_t len)
{
	return (rtnetlink_parse(bytes, len, take_message, routes));
}

int
host_routes_open(struct host_routes *routes)
{
	memset(routes, 0, sizeof(*routes));
	routes->fd = rtnetlink_open(RTMGRP_IPV6_ROUTE);
	if (routes->fd == -1)
		return (-1);
	if (rtnetlink_snapshot(routes->fd, RTM_GETROUTE, AF_INET6, take_message,
		routes) == -1 &&
	    errno != EOPNOTSUPP && errno != EAFNOSUPPORT) {
		host_routes_close(routes);
		return (-1);
	}
	routes->ip6 = routes->found;
	return (0);
}

/* 1 if ip6 has changed. */
static int
end_dump(struct host_routes *routes, enum rtnetlink_result result)
{
	int was = routes->ip6;

	routes->dumping = 0;
	/* An error is one of the request's: it will be asked again. */
	if (result == RTNETLINK_ERROR) {
		routes->stale = 1;
		return (0);
	}
	routes->ip6 = routes->found;
	return (routes->ip6 != was);
}

int
host_routes_read(struct host_routes *routes)
{
	static _Alignas(8) uint8_t buf[RTNETLINK_BYTES];
	enum rtnetlink_result result;
	int changed = 0;
	ssize_t n;

	for (;;) {
		n = rtnetlink_receive(routes->fd, buf, sizeof(buf));
		if (n == -1 && errno == ENOBUFS) {
			routes->stale = 1;
			continue;
		}
		if (n <= 0)
			return (changed);
		result = host_routes_parse(routes, buf, (size_t)n);
		if (result != RTNETLINK_MORE && routes->dumping)
			changed |= end_dump(routes, result);
	}
}

void
host_routes_refresh(struct host_routes *routes)
{
	if (routes->dumping)
		return;
	routes->stale = 0;
	routes->found = 0;
	if (rtnetlink_ask_dump(routes->fd, RTM_GETROUTE, AF_INET6) == -1)
		routes->stale = 1;
	else
		routes->dumping = 1;
}

void
host_routes_close(struct host_routes *routes)
{
	int error = errno;

	if (routes->fd != -1)
		close(routes->fd);
	routes->fd = -1;
	errno = error;
}
