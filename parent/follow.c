/*
 * What the host changes while the guest runs: its addresses, its way to the
 * IPv6 internet, its name servers.  Whatever opens a descriptor is done before
 * the lock; only resolv.conf is opened again (resolv_watch.h).
 *
 * Watching begins when both children are ready, for what they are told before
 * is counted; until then the kernel keeps what it has to say.
 *
 * Routes and resolv.conf change in several steps: we look once things have
 * settled, SETTLE_MS after the first step, so that a host that goes on
 * changing is looked at ten times a second.
 */

#include <errno.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include <event2/event.h>

#include "parent/parent.h"

#define RESOLV_CONF_PATH "/etc/resolv.conf"

#define SETTLE_MS 100

static void
settle(struct event *timer)
{
	const struct timeval tv = { .tv_usec = SETTLE_MS * 1000 };

	if (!event_pending(timer, EV_TIMEOUT, NULL))
		event_add(timer, &tv);
}

static void
on_host_addrs(evutil_socket_t fd, short what, void *arg)
{
	struct parent *parent = arg;

	(void)fd;
	(void)what;
	if (host_addrs_read(&parent->host_addrs, configure_host_addr, parent) ==
	    -1)
		log_warn("host addresses changed too fast; reading all again");
}

static void
on_host_routes(evutil_socket_t fd, short what, void *arg)
{
	struct parent *parent = arg;
	struct host_routes *routes = &parent->host_routes;

	(void)fd;
	(void)what;
	if (host_routes_read(routes)) {
		configure_host_route(parent);
		log_info("the host has %s IPv6 route to the internet",
		    routes->ip6 ? "an" : "no");
	}
	if (routes->stale)
		settle(parent->ev_routes_settled);
}

static void
on_routes_settled(evutil_socket_t fd, short what, void *arg)
{
	struct parent *parent = arg;

	(void)fd;
	(void)what;
	host_routes_refresh(&parent->host_routes);
	/* With a dump under way its end comes back to on_host_routes(). */
	if (parent->host_routes.stale && !parent->host_routes.dumping)
		settle(parent->ev_routes_settled);
}

static void
on_resolv(evutil_socket_t fd, short what, void *arg)
{
	struct parent *parent = arg;

	(void)fd;
	(void)what;
	if (resolv_watch_read(&parent->resolv_watch))
		settle(parent->ev_resolv_settled);
}

static int
same_servers(const struct resolv_conf *a, const struct resolv_conf *b)
{
	uint32_t i;

	if (a->nservers != b->nservers)
		return (0);
	for (i = 0; i < a->nservers; i++) {
		if (!addr_equal(&a->servers[i].addr, &b->servers[i].addr))
			return (0);
	}
	return (1);
}

static void
log_servers(const struct resolv_conf *conf)
{
	char text[RESOLV_CONF_SERVERS * (ADDR_STRLEN + 2)], addr[ADDR_STRLEN];
	uint32_t i;

	text[0] = '\0';
	for (i = 0; i < conf->nservers; i++) {
		if (i > 0)
			strlcat(text, ", ", sizeof(text));
		strlcat(text,
		    addr_format(&conf->servers[i].addr, addr, sizeof(addr)),
		    sizeof(text));
	}
	log_info("%s has changed: queries go to %s", RESOLV_CONF_PATH, text);
}

/* The guest keeps its lease's search domains, so only servers change. */
static void
on_resolv_settled(evutil_socket_t fd, short what, void *arg)
{
	struct parent *parent = arg;
	struct resolv_conf conf;

	(void)fd;
	(void)what;
	if (resolv_conf_load(RESOLV_CONF_PATH, &conf) == -1) {
		log_warn("%s has changed but cannot be read: %s; queries go "
			 "on as before, restart to change that",
		    RESOLV_CONF_PATH, strerror(errno));
		return;
	}
	if (conf.names_none) {
		log_warn("%s has changed but names no server; queries go on "
			 "as before",
		    RESOLV_CONF_PATH);
		return;
	}
	if (same_servers(&conf, &parent->resolv))
		return;
	memcpy(parent->resolv.servers, conf.servers, sizeof(conf.servers));
	parent->resolv.nservers = conf.nservers;
	configure_resolvers(parent);
	log_servers(&parent->resolv); /* who reads this may rely on it */
}

/* Watching comes before reading: no change is missed in between. */
static void
open_resolv(struct parent *parent)
{
	char text[ADDR_STRLEN];

	if (parent->config.nresolvers == 0 &&
	    resolv_watch_open(&parent->resolv_watch, RESOLV_CONF_PATH,
		parent->uid == 0) == -1)
		log_warn("%s: %s; its changes will not be seen",
		    RESOLV_CONF_PATH, strerror(errno));
	resolv_conf_read(RESOLV_CONF_PATH, &parent->resolv);
	/* Somebody else's server, and nothing that the host was set up with. */
	if (parent->config.nresolvers == 0 && parent->resolv.names_none)
		log_warn("%s names no server that can be used; queries go to "
			 "%s; --dns names another",
		    RESOLV_CONF_PATH,
		    addr_format(&parent->resolv.servers[0].addr, text,
			sizeof(text)));
}

int
follow_open(struct parent *parent, struct config_error *error)
{
	if (host_addrs_open(&parent->host_addrs) == -1) {
		if (errno == E2BIG)
			return (config_error(error, EX_OSERR,
			    "the host has more than %d addresses, which is "
			    "more than the guest can be kept from; start "
			    "sallyport in a network namespace with fewer",
			    HOST_ADDRS_MAX));
		return (config_error(error, EX_OSERR,
		    "the host's addresses cannot be read (rtnetlink): %s%s",
		    strerror(errno),
		    errno == EAFNOSUPPORT || errno == EPERM || errno == EACCES ?
			"; allow sockets of AF_NETLINK" :
			""));
	}
	if (!parent->config.no_ipv6 &&
	    host_routes_open(&parent->host_routes) == -1)
		return (config_error(error, EX_OSERR,
		    "the host's routes cannot be read (rtnetlink): %s; "
		    "--no-ipv6 does without",
		    strerror(errno)));
	open_resolv(parent);
	return (0);
}

static int
watch(struct parent *parent, int fd, event_callback_fn fn, struct event **ev)
{
	if (fd == -1)
		return (0);
	*ev = run_event_watch(parent, fd, fn);
	return (*ev != NULL ? 0 : -1);
}

int
follow_watch(struct parent *parent)
{
	parent->ev_routes_settled = event_new(parent->base, -1, 0,
	    on_routes_settled, parent);
	parent->ev_resolv_settled = event_new(parent->base, -1, 0,
	    on_resolv_settled, parent);
	if (parent->ev_routes_settled == NULL ||
	    parent->ev_resolv_settled == NULL ||
	    watch(parent, parent->host_addrs.fd, on_host_addrs,
		&parent->ev_host_addrs) == -1 ||
	    watch(parent, parent->host_routes.fd, on_host_routes,
		&parent->ev_host_routes) == -1 ||
	    watch(parent, parent->resolv_watch.fd, on_resolv,
		&parent->ev_resolv) == -1) {
		errno = ENOMEM;
		return (-1);
	}
	return (0);
}

void
follow_close(struct parent *parent)
{
	run_event_drop(&parent->ev_host_addrs);
	run_event_drop(&parent->ev_host_routes);
	run_event_drop(&parent->ev_resolv);
	run_event_drop(&parent->ev_routes_settled);
	run_event_drop(&parent->ev_resolv_settled);
	host_addrs_close(&parent->host_addrs);
	host_routes_close(&parent->host_routes);
	resolv_watch_close(&parent->resolv_watch);
}
