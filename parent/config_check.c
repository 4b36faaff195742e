#include <netinet/in.h>

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "parent/options.h"
#include "parent/spec.h"

/*
 * A line that starts with the place of one option, or of one entry of a list:
 * "--gateway", or "FILE:7: gateway" if the file set it.
 */
static int __attribute__((format(printf, 5, 6)))
wrong_at(const struct config *config, struct config_error *error,
    enum option_id id, const struct config_origin *origin, const char *fmt, ...)
{
	const char *name = option_def(id)->name;
	char text[LOG_LINE_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (origin->where == ORIGIN_FILE)
		return (config_error(error, EX_CONFIG, "%s:%u: %s %s",
		    config->file, origin->line, name, text));
	return (config_error(error, EX_USAGE, "--%s %s", name, text));
}

#define wrong(config, error, id, ...) \
	wrong_at(config, error, id, &(config)->origin[id], __VA_ARGS__)

/* 1 if a host may have the address in its network of prefix_len bits. */
static int
is_host_address(uint32_t ip, uint32_t prefix_len)
{
	uint32_t host_bits = 0xffffffffu >> prefix_len;
	uint32_t host = ip & host_bits;
	uint32_t top = ip >> 24;

	return (host != 0 && host != host_bits && top != 0 && top != 127 &&
	    top < 224);
}

/* What the guest's and the gateway's addresses of one family are checked by. */
struct pair {
	enum option_id address_id, gateway_id;
	const struct ipc_addr *address, *gateway;
	uint32_t prefix_len;
	int is_host;	      /* a host may have the gateway's address */
	struct ipc_addr hint; /* a gateway that would do */
};

/* Who gave an address alone does not know the gateway it is at odds with. */
static int
check_gateway(const struct config *config, const struct pair *pair,
    struct config_error *error)
{
	const char *name = option_def(pair->gateway_id)->name;
	const int same = addr_equal(pair->gateway, pair->address);
	char addr[ADDR_STRLEN], gateway[ADDR_STRLEN], hint[ADDR_STRLEN];

	if (!same && pair->is_host &&
	    addr_in_prefix(pair->gateway, pair->address, pair->prefix_len))
		return (0);
	addr_format(pair->address, addr, sizeof(addr));
	addr_format(pair->gateway, gateway, sizeof(gateway));
	addr_format(&pair->hint, hint, sizeof(hint));
	if (config->origin[pair->gateway_id].where != ORIGIN_DEFAULT)
		return (wrong(config, error, pair->gateway_id,
		    "%s: is %s; say --%s %s", gateway,
		    same ? "the guest's address" :
			   "no host of the guest's network",
		    name, hint));
	return (wrong(config, error, pair->address_id,
	    "%s/%u: %s the default gateway, %s; say --%s %s, too", addr,
	    pair->prefix_len,
	    same ? "is the address of" : "is of another network than", gateway,
	    name, hint));
}

static int
check_addresses(const struct config *config, struct config_error *error)
{
	const uint32_t ip = addr_to_ip4(&config->address);
	const uint32_t net = ip & ~(0xffffffffu >> config->prefix_len);
	const struct pair pair = {
		.address_id = OPT_ADDRESS,
		.gateway_id = OPT_GATEWAY,
		.address = &config->address,
		.gateway = &config->gateway,
		.prefix_len = config->prefix_len,
		.is_host = is_host_address(addr_to_ip4(&config->gateway),
		    config->prefix_len),
		.hint = addr_from_ip4(net + (ip == net + 1 ? 2 : 1)),
	};
	char text[ADDR_STRLEN];

	if (!is_host_address(ip, config->prefix_len))
		return (wrong(config, error, OPT_ADDRESS,
		    "%s/%u: is no address of a host; say one inside its "
		    "network",
		    addr_format(&config->address, text, sizeof(text)),
		    config->prefix_len));
	if (check_gateway(config, &pair, error) == -1)
		return (-1);
	if (!config->mac_auto &&
	    memcmp(config->mac, config->gateway_mac, 6) == 0)
		return (wrong(config, error, OPT_MAC,
		    "%s: is the gateway's, too; change one",
		    spec_format_mac(config->mac, text, sizeof(text))));
	return (0);
}

/* 1 if a host may have the address in its network of 64 bits. */
static int
is_host_address6(const struct ipc_addr *addr)
{
	static const uint8_t zero[8], mapped[12] = { [10] = 0xff, [11] = 0xff };
	const uint8_t *bytes = addr->bytes;

	/* RFC 4291: 2.5.2 and 2.5.3 (::, ::1), 2.5.5.2, 2.5.6, 2.7 */
	if (memcmp(bytes, zero, 8) == 0 || memcmp(bytes, mapped, 12) == 0 ||
	    (bytes[0] == 0xfe && bytes[1] >> 6 == 2) || bytes[0] == 0xff)
		return (0);
	/* 2.6.1: the subnet's anycast address */
	return (memcmp(bytes + 8, zero, 8) != 0);
}

static int
check_addresses6(const struct config *config, struct config_error *error)
{
	struct pair pair = {
		.address_id = OPT_ADDRESS6,
		.gateway_id = OPT_GATEWAY6,
		.address = &config->address6,
		.gateway = &config->gateway6,
		.prefix_len = config->prefix_len6,
		.is_host = is_host_address6(&config->gateway6),
		.hint = config->address6,
	};
	char addr[ADDR_STRLEN];

	if (config->no_ipv6)
		return (0);
	if (!is_host_address6(&config->address6))
		return (wrong(config, error, OPT_ADDRESS6,
		    "%s/%u: is no unicast address of a host; say one inside "
		    "its network",
		    addr_format(&config->address6, addr, sizeof(addr)),
		    config->prefix_len6));
	memset(pair.hint.bytes + 8, 0, 8);
	pair.hint.bytes[15] = 1;
	if (addr_equal(&pair.hint, &config->address6))
		pair.hint.bytes[15] = 2;
	return (check_gateway(config, &pair, error));
}

/* relayproc asks from the host, where the gateway's address is nobody's. */
static int
check_resolvers(const struct config *config, struct config_error *error)
{
	const struct ipc_addr *addr;
	char text[ADDR_STRLEN];
	uint32_t i;

	for (i = 0; i < config->nresolvers; i++) {
		addr = &config->resolvers[i].addr;
		if (addr_equal(addr, &config->gateway) ||
		    (!config->no_ipv6 && addr_equal(addr, &config->gateway6)))
			return (wrong_at(config, error, OPT_DNS,
			    &config->resolver_origin[i],
			    "%s: is the gateway, which would ask itself; name "
			    "a server of the host's network",
			    addr_format(addr, text, sizeof(text))));
	}
	return (0);
}

static int
is_any(const struct ipc_addr *addr)
{
	static const uint8_t zero[16];

	return (memcmp(addr->bytes, zero, sizeof(zero)) == 0);
}

/* 1 if the kernel does not let both have one port. */
static int
binds_meet(const struct ipc_addr *a, const struct ipc_addr *b)
{
	static const struct ipc_addr loopback4 = { .family = 4,
		.bytes = { 127, 0, 0, 1 } };
	static const struct ipc_addr loopback6 = { .family = 6,
		.bytes = { [15] = 1 } };
	const struct ipc_addr *named = a->family == 0 ? b : a;

	if (a->family != 0 && b->family != 0)
		return (a->family == b->family &&
		    (addr_equal(a, b) || is_any(a) || is_any(b)));
	/* One at least is without BIND, or both: named is then, too. */
	return (is_any(named) || addr_equal(named, &loopback4) ||
	    addr_equal(named, &loopback6));
}

/* 1 if both would bind the same address and port. */
static int
publish_overlap(const struct config_publish *a, const struct config_publish *b)
{
	if (a->proto != b->proto || !binds_meet(&a->bind, &b->bind))
		return (0);
	return (a->host_port < b->host_port + b->count &&
	    b->host_port < a->host_port + a->count);
}

static int
check_publish(const struct config *config, struct config_error *error)
{
	char text[SPEC_STRLEN];
	uint32_t i, j, listeners = 0;
	const struct config_publish *publish;

	for (i = 0; i < config->npublish; i++) {
		publish = &config->publish[i];
		spec_format_publish(publish, text, sizeof(text));
		listeners += publish->count *
		    (publish->bind.family == 0 ? 2 : 1);
		if (listeners > CONFIG_LISTENERS_MAX)
			return (wrong_at(config, error, OPT_PUBLISH,
			    &config->publish_origin[i],
			    "%s: makes more than %d listeners; publish fewer "
			    "ports, or on one address",
			    text, CONFIG_LISTENERS_MAX));
		for (j = 0; j < i; j++) {
			if (publish_overlap(publish, &config->publish[j]))
				return (wrong_at(config, error, OPT_PUBLISH,
				    &config->publish_origin[i],
				    "%s: a host port is published twice; "
				    "remove one",
				    text));
		}
	}
	return (0);
}

static int
check_host_services(const struct config *config, struct config_error *error)
{
	const struct ipc_host_service *list = config->host_services;
	uint32_t i, j;

	for (i = 0; i < config->nhost_services; i++) {
		for (j = 0; j < i; j++) {
			if (list[i].gateway_port == list[j].gateway_port)
				return (wrong_at(config, error,
				    OPT_HOST_SERVICE,
				    &config->service_origin[i],
				    "%u:%u: that gateway port is taken by an "
				    "earlier one; remove one",
				    (unsigned int)list[i].gateway_port,
				    (unsigned int)list[i].host_port));
		}
	}
	return (0);
}

static int
check_frame_source(const struct config *config, struct config_error *error)
{
	int n = (config->socket_path[0] != '\0') + (config->frame_fd != -1) +
	    (config->command != NULL);

	if (n == 1 || (n == 0 && config->check_only))
		return (0);
	/* One of the command line beats the file's: both are in the file. */
	if (n > 1 && config->origin[OPT_FD].where == ORIGIN_FILE)
		return (wrong(config, error, OPT_FD,
		    "%d: the file has a socket as well; leave one of them out",
		    config->frame_fd));
	return (config_error(error, EX_USAGE,
	    "%s: say one of --socket PATH, --fd N, -- COMMAND",
	    n == 0 ? "no frame source" : "more than one frame source"));
}

/* One that is closed after its use would soon be a VMM's under its number. */
static int
check_descriptors(const struct config *config, struct config_error *error)
{
	const int frame = config->frame_fd, ready = config->ready_fd;
	const int evidence = config->evidence_fd;

	if (ready != -1 && ready == frame)
		return (wrong(config, error, OPT_READY_FD,
		    "%d: is the frame socket; pass another descriptor", ready));
	if (evidence != -1 && (evidence == frame || evidence == ready))
		return (wrong(config, error, OPT_EVIDENCE,
		    "fd:%d: is %s; pass another descriptor", evidence,
		    evidence == frame ? "the frame socket" :
					"that of --ready-fd"));
	return (0);
}

static int
is_qemu(const char *program)
{
	static const char qemu[] = "qemu-system-";
	const char *slash = strrchr(program, '/');

	return (strncmp(slash != NULL ? slash + 1 : program, qemu,
		    sizeof(qemu) - 1) == 0);
}

/*
 * QEMU and its virtio-net take frames of any size, so nothing is lost by the
 * largest MTU.  Its other cards are as small as those they are made after: an
 * e1000's guest has an MTU of 1500, and loses every longer datagram.
 */
static void
pick_mtu(struct config *config)
{
	char **arg;

	if (config->command == NULL ||
	    config->origin[OPT_MTU].where != ORIGIN_DEFAULT ||
	    !is_qemu(config->command[0]))
		return;
	for (arg = config->command + 1; *arg != NULL; arg++) {
		if (strstr(*arg, "virtio-net") != NULL ||
		    strstr(*arg, "model=virtio") != NULL)
			config->mtu = CONFIG_MTU_VM_MAX;
	}
}

static int
publishes(const struct config *config, uint32_t proto)
{
	uint32_t i;

	for (i = 0; i < config->npublish; i++) {
		if (config->publish[i].proto == proto)
			return (1);
	}
	return (0);
}

uint32_t
config_max_inbound(const struct config *config)
{
	return (publishes(config, IPPROTO_TCP) ? config->max_flows : 0);
}

uint32_t
config_max_assocs(const struct config *config)
{
	return (config->max_udp + CONFIG_MAX_ICMP);
}

uint32_t
config_max_assocs_in(const struct config *config)
{
	return (publishes(config, IPPROTO_UDP) ? config->max_udp : 0);
}

/* 1 if there is a path, and the other option has the same. */
static int
same_path(const char *path, const char *other)
{
	return (path[0] != '\0' && strcmp(path, other) == 0);
}

/* One would find the other's in its way, and take it for a stranger's. */
static int
check_paths(const struct config *config, struct config_error *error)
{
	const char *socket = config->socket_path;
	const char *control = config->control_path;
	const char *evidence = config->evidence_path;

	if (same_path(control, socket))
		return (wrong(config, error, OPT_CONTROL,
		    "%s: is the path of --socket; choose another", control));
	if (same_path(evidence, socket) || same_path(evidence, control))
		return (wrong(config, error, OPT_EVIDENCE,
		    "%s: is the path of --%s; choose another", evidence,
		    same_path(evidence, socket) ? "socket" : "control"));
	return (0);
}

int
config_check(struct config *config, struct config_error *error)
{
	if (config->verbose && !config->check_only)
		return (config_error(error, EX_USAGE,
		    "-v: goes with -n; for more log lines say --log-level "
		    "debug"));
	pick_mtu(config);
	if (check_descriptors(config, error) == -1 ||
	    check_paths(config, error) == -1 ||
	    check_addresses(config, error) == -1 ||
	    check_addresses6(config, error) == -1 ||
	    check_resolvers(config, error) == -1 ||
	    check_publish(config, error) == -1 ||
	    check_host_services(config, error) == -1)
		return (-1);
	return (check_frame_source(config, error));
}
