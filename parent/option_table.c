/*
 * The option table and its setters.  A setter checks one value by itself;
 * what concerns several options is in config_check.c.
 */

#include <string.h>

#include "parent/options.h"
#include "parent/spec.h"

#define MEND_PATH "say a path of 1 to 107 bytes; a relative one is shorter"

static const char *
copy_path(char dst[CONFIG_SUN_PATH_MAX + 1], const char *value)
{
	if (value[0] == '\0' || strlen(value) > CONFIG_SUN_PATH_MAX)
		return (MEND_PATH);
	memset(dst, 0, CONFIG_SUN_PATH_MAX + 1);
	memcpy(dst, value, strlen(value));
	return (NULL);
}

static const char *
set_socket(struct config *config, const char *value)
{
	return (copy_path(config->socket_path, value));
}

static const char *
set_control(struct config *config, const char *value)
{
	return (copy_path(config->control_path, value));
}

static const char *
set_evidence(struct config *config, const char *value)
{
	const int is_fd = strncmp(value, "fd:", 3) == 0;
	uint32_t fd;

	if (is_fd && spec_number(value + 3, 3, 1048575, &fd) == -1)
		return ("must be fd: and the number of an open descriptor from "
			"3 on; a file of that name is ./fd:...");
	config->evidence_fd = is_fd ? (int)fd : -1;
	if (value[0] == '\0' ||
	    strlcpy(config->evidence_path, value,
		sizeof(config->evidence_path)) >= sizeof(config->evidence_path))
		return ("must be a path of 1 to 4095 bytes, or fd:N");
	return (NULL);
}

static const char *
set_descriptor(int *fd, const char *value)
{
	uint32_t number;

	if (spec_number(value, 3, 1048575, &number) == -1)
		return ("must be the number of an open descriptor from 3 on");
	*fd = (int)number;
	return (NULL);
}

static const char *
set_fd(struct config *config, const char *value)
{
	return (set_descriptor(&config->frame_fd, value));
}

static const char *
set_ready_fd(struct config *config, const char *value)
{
	return (set_descriptor(&config->ready_fd, value));
}

static const char *
set_address(struct config *config, const char *value)
{
	struct ipc_addr addr;
	unsigned int len;

	if (strchr(value, '/') == NULL ||
	    addr_parse_cidr(value, &addr, &len) == -1 || addr.family != 4)
		return ("say IPv4/PREFIX, as in 100.96.0.2/30");
	if (len < 1 || len > 30)
		return ("has a prefix length outside 1 to 30");
	config->address = addr;
	config->prefix_len = len;
	return (NULL);
}

static const char *
set_gateway(struct config *config, const char *value)
{
	struct ipc_addr addr;

	if (addr_parse(value, &addr) == -1 || addr.family != 4)
		return ("say an IPv4 address, as in 100.96.0.1");
	config->gateway = addr;
	return (NULL);
}

static const char *
set_address6(struct config *config, const char *value)
{
	struct ipc_addr addr;
	unsigned int len;

	if (strchr(value, '/') == NULL ||
	    addr_parse_cidr(value, &addr, &len) == -1 || addr.family != 6)
		return ("say IPv6/64, as in fd53:4d00::2/64");
	if (len != 64)
		return ("has another prefix length than 64, which SLAAC needs");
	config->address6 = addr;
	config->prefix_len6 = len;
	return (NULL);
}

static const char *
set_gateway6(struct config *config, const char *value)
{
	struct ipc_addr addr;

	if (addr_parse(value, &addr) == -1 || addr.family != 6)
		return ("say an IPv6 address, as in fd53:4d00::1");
	config->gateway6 = addr;
	return (NULL);
}

/* Without a value on the command line; a file cannot leave it out. */
static const char *
set_no_ipv6(struct config *config, const char *value)
{
	if (value[0] == '\0' || strcmp(value, "yes") == 0)
		config->no_ipv6 = 1;
	else if (strcmp(value, "no") == 0)
		config->no_ipv6 = 0;
	else
		return ("must be yes or no");
	return (NULL);
}

static const char *
set_mac(struct config *config, const char *value)
{
	const char *why;

	if (strcmp(value, "auto") == 0) {
		memset(config->mac, 0, sizeof(config->mac));
		config->mac_auto = 1;
		return (NULL);
	}
	why = spec_mac(value, config->mac);
	if (why == NULL)
		config->mac_auto = 0;
	return (why);
}

static const char *
set_gateway_mac(struct config *config, const char *value)
{
	return (spec_mac(value, config->gateway_mac));
}

static const char *
set_mtu(struct config *config, const char *value)
{
	if (spec_number(value, CONFIG_MTU_MIN, CONFIG_MTU_MAX, &config->mtu) ==
	    -1)
		return ("must be 1280 to 65520 bytes");
	return (NULL);
}

static const char *
set_dns(struct config *config, const char *value)
{
	const char *why;

	if (config->nresolvers == CONFIG_RESOLVERS_MAX)
		return ("is one server too many; name at most 8");
	why = spec_server(value, &config->resolvers[config->nresolvers]);
	if (why == NULL)
		config->nresolvers++;
	return (why);
}

static const char *
set_search(struct config *config, const char *value)
{
	const char *why;

	if (config->nsearch == NET_SEARCH_LIST)
		return ("is one domain too many; name at most 6");
	why = spec_domain(value, config->search[config->nsearch]);
	if (why == NULL)
		config->nsearch++;
	return (why);
}

static const char *
set_publish(struct config *config, const char *value)
{
	const char *why;

	if (config->npublish == CONFIG_PUBLISH_MAX)
		return ("is one publication too many; use port ranges");
	why = spec_publish(value, &config->publish[config->npublish]);
	if (why == NULL)
		config->npublish++;
	return (why);
}

static const char *
add_rule(struct config *config, const char *value, uint32_t action)
{
	const char *why;

	if (config->nrules == CONFIG_RULES_MAX)
		return ("is one rule too many; 256 are the most");
	why = spec_rule(value, action, &config->rules[config->nrules]);
	if (why == NULL)
		config->nrules++;
	return (why);
}

static const char *
set_allow(struct config *config, const char *value)
{
	return (add_rule(config, value, RULE_ALLOW));
}

static const char *
set_deny(struct config *config, const char *value)
{
	return (add_rule(config, value, RULE_DENY));
}

static const char *
set_unsafe_allow(struct config *config, const char *value)
{
	return (add_rule(config, value, RULE_UNSAFE_ALLOW));
}

static const char *
set_choice(int *yes, const char *value, const char *if_yes, const char *if_no,
    const char *mend)
{
	if (strcmp(value, if_yes) != 0 && strcmp(value, if_no) != 0)
		return (mend);
	*yes = strcmp(value, if_yes) == 0;
	return (NULL);
}

static const char *
set_default_egress(struct config *config, const char *value)
{
	return (set_choice(&config->default_allow, value, "allow", "deny",
	    "must be allow or deny"));
}

static const char *
set_publish_source(struct config *config, const char *value)
{
	return (set_choice(&config->publish_preserve, value, "preserve",
	    "gateway", "must be gateway or preserve"));
}

static const char *
set_udp_filtering(struct config *config, const char *value)
{
	return (set_choice(&config->udp_filter_open, value,
	    "endpoint-independent", "address-and-port-dependent",
	    "must be address-and-port-dependent or endpoint-independent"));
}

static const char *
set_relay(struct config *config, const char *value)
{
	return (set_choice(&config->splice, value, "splice", "lend",
	    "must be lend or splice"));
}

static const char *
set_isolation(struct config *config, const char *value)
{
	return (set_choice(&config->strict, value, "strict", "best-effort",
	    "must be strict or best-effort"));
}

static const char *
set_host_service(struct config *config, const char *value)
{
	const char *why;

	if (config->nhost_services == CONFIG_HOST_SERVICES_MAX)
		return ("is one service too many; 64 are the most");
	why = spec_host_service(value,
	    &config->host_services[config->nhost_services]);
	if (why == NULL)
		config->nhost_services++;
	return (why);
}

static const char *
set_max_flows(struct config *config, const char *value)
{
	if (spec_number(value, 1, FLOW_SLOTS_MAX, &config->max_flows) == -1)
		return ("must be 1 to 65536 flows");
	return (NULL);
}

static const char *
set_max_udp(struct config *config, const char *value)
{
	if (spec_number(value, 1, FLOW_SLOTS_MAX - CONFIG_MAX_ICMP,
		&config->max_udp) == -1)
		return ("must be 1 to 65472 associations");
	return (NULL);
}

static const char *
set_max_pending(struct config *config, const char *value)
{
	if (spec_number(value, 1, FLOW_SLOTS_MAX, &config->max_pending) == -1)
		return ("must be 1 to 65536 connects");
	return (NULL);
}

static const char *
set_max_restarts(struct config *config, const char *value)
{
	if (spec_number(value, 0, 100000, &config->max_restarts) == -1)
		return ("must be a number from 0 to 100000");
	return (NULL);
}

static const char *
set_connect_rate(struct config *config, const char *value)
{
	if (spec_number(value, 1, 1000000, &config->connect_rate_per_s) == -1)
		return ("must be 1 to 1000000 connects a second");
	return (NULL);
}

static const char *
set_user(struct config *config, const char *value)
{
	if (value[0] == '\0' || value[0] == '-' ||
	    strlcpy(config->user, value, sizeof(config->user)) >=
		sizeof(config->user)) {
		config->user[0] = '\0';
		return ("say a user's name of 1 to 32 bytes");
	}
	return (NULL);
}

static const char *
set_log_level(struct config *config, const char *value)
{
	if (log_level_parse(value, &config->log_level) == -1)
		return ("must be error, warn, info or debug");
	return (NULL);
}

static const char *
set_file(struct config *config, const char *value)
{
	if (config->file != NULL)
		return ("is a second file; put the options into one");
	if (value[0] == '\0')
		return ("say the path of a file");
	config->file = value;
	return (NULL);
}

#define SET_FLAG(field) \
	static const char *set_##field(struct config *config, \
	    const char *value) \
	{ \
		(void)value; \
		config->field = 1; \
		return (NULL); \
	}
SET_FLAG(check_only)
SET_FLAG(verbose)
SET_FLAG(print_policy)
SET_FLAG(help)
SET_FLAG(version)
#undef SET_FLAG

#define IN_FILE OPTION_IN_FILE
#define REPEAT	(OPTION_IN_FILE | OPTION_REPEAT)
#define SHOWN	OPTION_DEF_SHOWN

/* clang-format off */
static const struct option_def table[OPT_N] = {
	[OPT_SOCKET] = { "socket", 0, "PATH", NULL,
	    "listen on this unix stream socket for the VMM",
	    IN_FILE, set_socket },
	[OPT_FD] = { "fd", 0, "N", NULL,
	    "take this inherited unix stream socket",
	    IN_FILE, set_fd },
	[OPT_ADDRESS] = { "address", 0, "ADDR/LEN", "100.96.0.2/30",
	    "the guest's IPv4 address", IN_FILE, set_address },
	[OPT_GATEWAY] = { "gateway", 0, "ADDR", "100.96.0.1",
	    "the gateway's IPv4 address", IN_FILE, set_gateway },
	[OPT_ADDRESS6] = { "address6", 0, "ADDR/64", "fd53:4d00::2/64",
	    "the guest's IPv6 address", IN_FILE, set_address6 },
	[OPT_GATEWAY6] = { "gateway6", 0, "ADDR", "fd53:4d00::1",
	    "the gateway's IPv6 address", IN_FILE, set_gateway6 },
	[OPT_NO_IPV6] = { "no-ipv6", 0, NULL, NULL,
	    "IPv4 alone for the guest", IN_FILE, set_no_ipv6 },
	[OPT_MAC] = { "mac", 0, "ADDR|auto", "auto",
	    "the guest's MAC; auto: the first frame's", IN_FILE, set_mac },
	[OPT_GATEWAY_MAC] = { "gateway-mac", 0, "ADDR", "02:53:4d:00:00:01",
	    "the gateway's MAC", IN_FILE, set_gateway_mac },
	[OPT_MTU] = { "mtu", 0, "BYTES", "1500",
	    "1280 to 65520; 65520 for QEMU's virtio-net", IN_FILE, set_mtu },
	[OPT_DNS] = { "dns", 0, "ADDR[:PORT]", "the host's",
	    "a server that queries go to", REPEAT | SHOWN, set_dns },
	[OPT_SEARCH] = { "search", 0, "DOMAIN", "the host's",
	    "a search domain for the guest", REPEAT | SHOWN, set_search },
	[OPT_PUBLISH] = { "publish", 'p', "SPEC", NULL,
	    "[BIND:]HOST[-HOST]:GUEST[-GUEST][/tcp|/udp]", REPEAT, set_publish },
	[OPT_PUBLISH_SOURCE] = { "publish-source", 0, "gateway|preserve",
	    "gateway", "whom the guest sees as the client",
	    IN_FILE, set_publish_source },
	[OPT_ALLOW] = { "allow", 0, "RULE", NULL,
	    "let CIDR[:PORTS][/PROTO] out; first match wins",
	    REPEAT, set_allow },
	[OPT_DENY] = { "deny", 0, "RULE", NULL,
	    "do not let CIDR[:PORTS][/PROTO] out", REPEAT, set_deny },
	[OPT_UNSAFE_ALLOW] = { "unsafe-allow", 0, "RULE", NULL,
	    "let out even what the floor denies", REPEAT, set_unsafe_allow },
	[OPT_DEFAULT_EGRESS] = { "default-egress", 0, "allow|deny", "allow",
	    "for public addresses that no rule names",
	    IN_FILE, set_default_egress },
	[OPT_HOST_SERVICE] = { "host-service", 0, "GWPORT:HOSTPORT", NULL,
	    "gateway port that reaches host loopback",
	    REPEAT, set_host_service },
	[OPT_UDP_FILTERING] = { "udp-filtering", 0, "FILTERING",
	    "address-and-port-dependent",
	    "or endpoint-independent: anybody may answer",
	    IN_FILE, set_udp_filtering },
	[OPT_RELAY] = { "relay", 0, "lend|splice", "lend",
	    "splice: no host socket in netproc",
	    IN_FILE, set_relay },
	[OPT_MAX_FLOWS] = { "max-flows", 0, "N", "1024",
	    "TCP flows at once, each direction", IN_FILE, set_max_flows },
	[OPT_MAX_UDP] = { "max-udp", 0, "N", "512",
	    "UDP ports of the guest's in use at once", IN_FILE, set_max_udp },
	[OPT_MAX_PENDING] = { "max-pending", 0, "N", "64",
	    "connects under way", IN_FILE, set_max_pending },
	[OPT_CONNECT_RATE] = { "connect-rate", 0, "N", "200",
	    "connects a second; the burst is twice that",
	    IN_FILE, set_connect_rate },
	[OPT_MAX_RESTARTS] = { "max-restarts", 0, "N", "4",
	    "times in 60 s that lost processes are replaced", IN_FILE,
	    set_max_restarts },
	[OPT_ISOLATION] = { "isolation", 0, "strict|best-effort", "strict",
	    "strict: refuse to start without every fence",
	    IN_FILE, set_isolation },
	[OPT_USER] = { "user", 0, "NAME", "a uid for each process",
	    "uid of the children when started by root",
	    IN_FILE | SHOWN, set_user },
	[OPT_LOG_LEVEL] = { "log-level", 0, "LEVEL", "info",
	    "error, warn, info or debug", IN_FILE, set_log_level },
	[OPT_READY_FD] = { "ready-fd", 0, "N", NULL,
	    "write READY=1 here when ready", IN_FILE, set_ready_fd },
	[OPT_CONTROL] = { "control", 0, "PATH", NULL,
	    "unix socket for sallyportctl", IN_FILE, set_control },
	[OPT_EVIDENCE] = { "evidence", 0, "FILE|fd:N", NULL,
	    "write what was seen of the jails here, as JSON",
	    IN_FILE, set_evidence },
	[OPT_FILE] = { "file", 'f', "FILE", NULL,
	    "read options from FILE, too", 0, set_file },
	[OPT_CHECK] = { "check", 'n', NULL, NULL,
	    "check the configuration, start nothing", 0, set_check_only },
	[OPT_VERBOSE] = { "verbose", 'v', NULL, NULL,
	    "with -n: print the configuration", 0, set_verbose },
	[OPT_PRINT_POLICY] = { "print-policy", 0, NULL, NULL,
	    "print the system call filters", 0, set_print_policy },
	[OPT_HELP] = { "help", 'h', NULL, NULL, "print this", 0, set_help },
	[OPT_VERSION] = { "version", 0, NULL, NULL,
	    "print the version", 0, set_version },
};
/* clang-format on */

const struct option_def *
option_def(enum option_id id)
{
	return (&table[id]);
}

enum option_id
option_find(const char *name)
{
	unsigned int id;

	for (id = 0; id < OPT_N; id++) {
		if (strcmp(table[id].name, name) == 0)
			break;
	}
	return ((enum option_id)id);
}

void
option_said(struct config *config, enum option_id id, enum origin where,
    unsigned int line)
{
	const struct config_origin from = { .where = where, .line = line };

	if (id == OPT_DNS)
		config->resolver_origin[config->nresolvers - 1] = from;
	else if (id == OPT_PUBLISH)
		config->publish_origin[config->npublish - 1] = from;
	else if (id == OPT_HOST_SERVICE)
		config->service_origin[config->nhost_services - 1] = from;
	if (where >= config->origin[id].where)
		config->origin[id] = from;
}

void
config_init(struct config *config)
{
	unsigned int id;

	memset(config, 0, sizeof(*config));
	config->frame_fd = -1;
	config->ready_fd = -1;
	config->evidence_fd = -1;
	for (id = 0; id < OPT_N; id++) {
		if (table[id].def == NULL ||
		    (table[id].flags & OPTION_DEF_SHOWN) != 0)
			continue;
		if (table[id].set(config, table[id].def) != NULL)
			fatalx("default of --%s is refused", table[id].name);
	}
}
