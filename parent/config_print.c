#include <stdio.h>

#include "parent/configuration.h"
#include "parent/options.h"
#include "parent/spec.h"

/* "name = "value"", both from the table and escaped for libconfuse. */
static int
print_value(int fd, enum option_id id, const char *value)
{
	char safe[2 * CONFIG_PATH_MAX + 1]; /* the longest, all escaped */
	size_t n = 0;

	for (; *value != '\0' && n + 2 < sizeof(safe); value++) {
		if (*value == '"' || *value == '\\' || *value == '$')
			safe[n++] = '\\';
		safe[n++] = *value;
	}
	safe[n] = '\0';
	return (dprintf(fd, "%s = \"%s\"\n", option_def(id)->name, safe) < 0);
}

static int
print_number(int fd, enum option_id id, uint32_t value)
{
	return (dprintf(fd, "%s = %u\n", option_def(id)->name, value) < 0);
}

static int
print_frame_source(const struct config *config, int fd)
{
	int bad = 0;

	if (config->socket_path[0] != '\0')
		bad |= print_value(fd, OPT_SOCKET, config->socket_path);
	if (config->frame_fd != -1)
		bad |= print_number(fd, OPT_FD, (uint32_t)config->frame_fd);
	return (bad);
}

static int
print_link(const struct config *config, int fd)
{
	char addr[ADDR_STRLEN], text[SPEC_STRLEN];
	int bad = 0;

	addr_format(&config->address, addr, sizeof(addr));
	snprintf(text, sizeof(text), "%s/%u", addr, config->prefix_len);
	bad |= print_value(fd, OPT_ADDRESS, text);
	bad |= print_value(fd, OPT_GATEWAY,
	    addr_format(&config->gateway, addr, sizeof(addr)));
	addr_format(&config->address6, addr, sizeof(addr));
	snprintf(text, sizeof(text), "%s/%u", addr, config->prefix_len6);
	bad |= print_value(fd, OPT_ADDRESS6, text);
	bad |= print_value(fd, OPT_GATEWAY6,
	    addr_format(&config->gateway6, addr, sizeof(addr)));
	bad |= print_value(fd, OPT_NO_IPV6, config->no_ipv6 ? "yes" : "no");
	bad |= print_value(fd, OPT_MAC,
	    config->mac_auto ?
		"auto" :
		spec_format_mac(config->mac, text, sizeof(text)));
	bad |= print_value(fd, OPT_GATEWAY_MAC,
	    spec_format_mac(config->gateway_mac, text, sizeof(text)));
	bad |= print_number(fd, OPT_MTU, config->mtu);
	return (bad);
}

static int
print_names(const struct config *config, int fd)
{
	char text[ADDR_STRLEN];
	uint32_t i;
	int bad = 0;

	for (i = 0; i < config->nresolvers; i++)
		bad |= print_value(fd, OPT_DNS,
		    addr_format_port(&config->resolvers[i].addr,
			config->resolvers[i].port, text, sizeof(text)));
	for (i = 0; i < config->nsearch; i++)
		bad |= print_value(fd, OPT_SEARCH, config->search[i]);
	return (bad);
}

/* Rules in their order: the first that matches wins. */
static int
print_policy(const struct config *config, int fd)
{
	static const enum option_id of_action[] = {
		[RULE_ALLOW] = OPT_ALLOW,
		[RULE_DENY] = OPT_DENY,
		[RULE_UNSAFE_ALLOW] = OPT_UNSAFE_ALLOW,
	};
	const struct ipc_host_service *service;
	char text[SPEC_STRLEN];
	uint32_t i;
	int bad = 0;

	for (i = 0; i < config->npublish; i++)
		bad |= print_value(fd, OPT_PUBLISH,
		    spec_format_publish(&config->publish[i], text,
			sizeof(text)));
	bad |= print_value(fd, OPT_PUBLISH_SOURCE,
	    config->publish_preserve ? "preserve" : "gateway");
	for (i = 0; i < config->nrules; i++)
		bad |= print_value(fd, of_action[config->rules[i].action],
		    spec_format_rule(&config->rules[i], text, sizeof(text)));
	bad |= print_value(fd, OPT_DEFAULT_EGRESS,
	    config->default_allow ? "allow" : "deny");
	for (i = 0; i < config->nhost_services; i++) {
		service = &config->host_services[i];
		snprintf(text, sizeof(text), "%u:%u",
		    (unsigned int)service->gateway_port,
		    (unsigned int)service->host_port);
		bad |= print_value(fd, OPT_HOST_SERVICE, text);
	}
	bad |= print_value(fd, OPT_UDP_FILTERING,
	    config->udp_filter_open ? "endpoint-independent" :
				      "address-and-port-dependent");
	return (bad);
}

static int
print_limits(const struct config *config, int fd)
{
	int bad = 0;

	bad |= print_value(fd, OPT_RELAY, config->splice ? "splice" : "lend");
	bad |= print_number(fd, OPT_MAX_FLOWS, config->max_flows);
	bad |= print_number(fd, OPT_MAX_UDP, config->max_udp);
	bad |= print_number(fd, OPT_MAX_PENDING, config->max_pending);
	bad |= print_number(fd, OPT_CONNECT_RATE, config->connect_rate_per_s);
	bad |= print_number(fd, OPT_MAX_RESTARTS, config->max_restarts);
	return (bad);
}

static int
print_process(const struct config *config, int fd)
{
	int bad = 0;

	bad |= print_value(fd, OPT_ISOLATION,
	    config->strict ? "strict" : "best-effort");
	if (config->user[0] != '\0')
		bad |= print_value(fd, OPT_USER, config->user);
	bad |= print_value(fd, OPT_LOG_LEVEL,
	    log_level_name(config->log_level));
	if (config->ready_fd != -1)
		bad |= print_number(fd, OPT_READY_FD,
		    (uint32_t)config->ready_fd);
	if (config->control_path[0] != '\0')
		bad |= print_value(fd, OPT_CONTROL, config->control_path);
	if (config->evidence_path[0] != '\0')
		bad |= print_value(fd, OPT_EVIDENCE, config->evidence_path);
	return (bad);
}

int
config_print(const struct config *config, int fd)
{
	int bad = 0;

	bad |= print_frame_source(config, fd);
	bad |= print_link(config, fd);
	bad |= print_names(config, fd);
	bad |= print_policy(config, fd);
	bad |= print_limits(config, fd);
	bad |= print_process(config, fd);
	return (bad ? -1 : 0);
}
