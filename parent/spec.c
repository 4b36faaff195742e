#include <netinet/in.h>

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "parent/spec.h"

#define MEND_RULE \
	"say CIDR[:PORT[-PORT]][/tcp|/udp|/icmp], as in 10.1.0.0/16:443/tcp " \
	"or [fd00::/8]:443"
#define MEND_PUBLISH \
	"say [BIND:]HOST[-HOST]:GUEST[-GUEST][/tcp|/udp], as in 8080:80 or " \
	"0.0.0.0:8080:80"
#define MEND_SERVER "say ADDR, ADDR:PORT or [ADDR]:PORT, as in 1.1.1.1:53"
#define MEND_TWO_WAYS \
	"is an address, and may be one with a port; put the address alone " \
	"into brackets, [ADDR] or [ADDR]:PORT"

#define DNS_PORT 53

static const struct {
	const char *name;
	uint32_t proto;
} protos[] = {
	{ "tcp", IPPROTO_TCP },
	{ "udp", IPPROTO_UDP },
	{ "icmp", IPPROTO_ICMP },
};
#define NPROTOS (sizeof(protos) / sizeof(protos[0]))

int
spec_number(const char *text, uint32_t min, uint32_t max, uint32_t *value)
{
	const char *errstr;

	/* strtonum(3) takes blanks and a sign; a specification does not. */
	if (!isdigit((unsigned char)text[0]))
		return (-1);
	*value = (uint32_t)strtonum(text, min, max, &errstr);
	return (errstr == NULL ? 0 : -1);
}

/* "80" or "8000-8080" within min..65535. */
static int
parse_ports(const char *text, uint32_t min, uint16_t *low, uint16_t *high)
{
	char first[8];
	const char *dash;
	uint32_t a, b;
	size_t len;

	dash = strchr(text, '-');
	len = dash != NULL ? (size_t)(dash - text) : strlen(text);
	if (len >= sizeof(first))
		return (-1);
	memcpy(first, text, len);
	first[len] = '\0';
	if (spec_number(first, min, 65535, &a) == -1)
		return (-1);
	b = a;
	if (dash != NULL && spec_number(dash + 1, a, 65535, &b) == -1)
		return (-1);
	*low = (uint16_t)a;
	*high = (uint16_t)b;
	return (0);
}

/* Cuts "/word" off the end of text if a letter follows the last slash. */
static const char *
cut_proto(char *text)
{
	char *slash = strrchr(text, '/');

	if (slash == NULL || !isalpha((unsigned char)slash[1]))
		return (NULL);
	*slash = '\0';
	return (slash + 1);
}

/*
 * Cuts "HOST[:REST]" in two: HOST without its brackets, REST or NULL.  More
 * than one colon outside brackets is an IPv6 address without a REST.
 */
static int
cut_host(char *text, char **host, char **rest)
{
	char *end;

	*rest = NULL;
	*host = text;
	if (text[0] == '[') {
		end = strchr(text, ']');
		if (end == NULL || (end[1] != '\0' && end[1] != ':'))
			return (-1);
		*host = text + 1;
		*rest = end[1] == ':' ? end + 2 : NULL;
		*end = '\0';
		return (strchr(*host, ':') != NULL ? 0 : -1);
	}
	end = strchr(text, ':');
	if (end == NULL || strchr(end + 1, ':') != NULL)
		return (0);
	*rest = end + 1;
	*end = '\0';
	return (0);
}

/*
 * 1 if text is an IPv6 address whose last group may be meant for a port:
 * "fd00::1:443" and "fd00::1" are both.  Which is not ours to choose, a
 * --deny would miss.
 */
static int
reads_two_ways(const char *text)
{
	const char *colon = strrchr(text, ':');
	char less[ADDR_STRLEN];
	struct ipc_addr addr;
	uint32_t port;

	if (colon == NULL || spec_number(colon + 1, 1, 65535, &port) == -1)
		return (0);
	strlcpy(less, text, sizeof(less));
	if ((size_t)(colon - text) < sizeof(less))
		less[colon - text] = '\0';
	return (addr_parse(text, &addr) == 0 && addr.family == 6 &&
	    addr_parse(less, &addr) == 0);
}

const char *
spec_mac(const char *text, uint8_t mac[6])
{
	static const char mend[] = "say six bytes, as in 02:53:4d:00:00:02";
	static const uint8_t zero[6];
	size_t i;

	if (strlen(text) != 17)
		return (mend);
	for (i = 0; i < 17; i++) {
		if (i % 3 == 2 ? text[i] != ':' :
				 !isxdigit((unsigned char)text[i]))
			return (mend);
	}
	for (i = 0; i < 6; i++)
		mac[i] = (uint8_t)strtoul(text + 3 * i, NULL, 16);
	if ((mac[0] & 1) != 0)
		return ("is a group address; its first byte must be even");
	if (memcmp(mac, zero, sizeof(zero)) == 0)
		return (mend);
	return (NULL);
}

static int
is_multicast_or_beyond(const struct ipc_addr *addr)
{
	return (addr->family == 4 ? addr->bytes[0] >= 224 :
				    addr->bytes[0] == 0xff);
}

/* fe80::/10: which of the host's links is not said. */
static int
is_link_local6(const struct ipc_addr *addr)
{
	return (addr->family == 6 && addr->bytes[0] == 0xfe &&
	    addr->bytes[1] >> 6 == 2);
}

const char *
spec_server_addr(const struct ipc_addr *addr)
{
	static const uint8_t zero[16];

	if (memcmp(addr->bytes, zero, sizeof(zero)) == 0)
		return ("is no address of a server; " MEND_SERVER);
	if (is_multicast_or_beyond(addr))
		return ("is no unicast address; " MEND_SERVER);
	if (is_link_local6(addr))
		return ("is an address of one link, and of which cannot be "
			"said; name another of the server's");
	return (NULL);
}

const char *
spec_server(const char *text, struct ipc_resolver *server)
{
	char copy[ADDR_STRLEN], *host, *port;
	uint32_t number = DNS_PORT;

	memset(server, 0, sizeof(*server));
	if (strlcpy(copy, text, sizeof(copy)) >= sizeof(copy))
		return (MEND_SERVER);
	if (reads_two_ways(copy))
		return (MEND_TWO_WAYS);
	if (cut_host(copy, &host, &port) == -1 ||
	    addr_parse(host, &server->addr) == -1)
		return (MEND_SERVER);
	if (port != NULL && spec_number(port, 1, 65535, &number) == -1)
		return ("has a port outside 1 to 65535");
	server->port = (uint16_t)number;
	return (spec_server_addr(&server->addr));
}

static int
has_host_bits(const struct ipc_addr *addr, unsigned int prefix_len)
{
	unsigned int bit, bits = addr->family == 4 ? 32 : 128;

	for (bit = prefix_len; bit < bits; bit++) {
		if (addr->bytes[bit / 8] & (0x80u >> (bit % 8)))
			return (1);
	}
	return (0);
}

static int
is_v4_mapped(const struct ipc_addr *addr, unsigned int prefix_len)
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };

	return (addr->family == 6 && prefix_len >= 96 &&
	    memcmp(addr->bytes, mapped, sizeof(mapped)) == 0);
}

const char *
spec_rule(const char *text, uint32_t action, struct ipc_rule *rule)
{
	char copy[SPEC_STRLEN], *host, *ports;
	const char *proto;
	unsigned int prefix_len;
	size_t i;

	memset(rule, 0, sizeof(*rule));
	rule->action = action;
	rule->port_high = 65535;
	if (strlcpy(copy, text, sizeof(copy)) >= sizeof(copy))
		return (MEND_RULE);
	proto = cut_proto(copy);
	if (proto != NULL) {
		for (i = 0; i < NPROTOS; i++) {
			if (strcmp(proto, protos[i].name) == 0)
				break;
		}
		if (i == NPROTOS)
			return ("has an unknown protocol; " MEND_RULE);
		rule->proto = protos[i].proto;
	}
	if (reads_two_ways(copy))
		return (MEND_TWO_WAYS);
	if (cut_host(copy, &host, &ports) == -1 ||
	    addr_parse_cidr(host, &rule->net, &prefix_len) == -1)
		return (MEND_RULE);
	rule->prefix_len = prefix_len;
	if (is_v4_mapped(&rule->net, prefix_len))
		return ("is IPv4 in IPv6 clothes; say the IPv4 network");
	if (has_host_bits(&rule->net, prefix_len))
		return ("has bits set beyond its prefix length; clear them, "
			"or make the prefix longer");
	if (ports == NULL)
		return (NULL);
	if (rule->proto == IPPROTO_ICMP)
		return ("has ports, which ICMP has not");
	if (parse_ports(ports, 0, &rule->port_low, &rule->port_high) == -1)
		return ("has bad ports; " MEND_RULE);
	/* A ping has port 0 where the policy looks. */
	if (rule->port_low == 0 && rule->port_high != 65535)
		return ("has port 0, which nobody has; say ports from 1 on, "
			"or /icmp for pings alone");
	return (NULL);
}

/* Cuts "BIND:" off the front of "BIND:HOST:GUEST".  Moves *text behind it. */
static int
cut_bind(char **text, struct ipc_addr *bind)
{
	char *colon, *end = *text;

	memset(bind, 0, sizeof(*bind));
	if (end[0] == '[') {
		end = strchr(end, ']');
		if (end == NULL || end[1] != ':')
			return (-1);
		*end = '\0';
		if (addr_parse(*text + 1, bind) == -1 || bind->family != 6)
			return (-1);
		*text = end + 2;
		return (0);
	}
	colon = strchr(end, ':');
	if (colon == NULL || strchr(colon + 1, ':') == NULL)
		return (0);
	*colon = '\0';
	if (addr_parse(*text, bind) == -1)
		return (-1);
	*text = colon + 1;
	return (0);
}

const char *
spec_publish(const char *text, struct config_publish *publish)
{
	char copy[SPEC_STRLEN], *rest = copy, *colon;
	uint16_t host_low, host_high, guest_low, guest_high;
	const char *proto;

	memset(publish, 0, sizeof(*publish));
	if (strlcpy(copy, text, sizeof(copy)) >= sizeof(copy))
		return (MEND_PUBLISH);
	proto = cut_proto(copy);
	if (proto == NULL || strcmp(proto, "tcp") == 0)
		publish->proto = IPPROTO_TCP;
	else if (strcmp(proto, "udp") == 0)
		publish->proto = IPPROTO_UDP;
	else
		return ("has an unknown protocol; " MEND_PUBLISH);
	if (cut_bind(&rest, &publish->bind) == -1)
		return ("has a bad bind address; " MEND_PUBLISH);
	if (is_multicast_or_beyond(&publish->bind))
		return ("has no unicast address to bind to; say one of the "
			"host's");
	if (is_link_local6(&publish->bind))
		return ("has an address of one link to bind to, and of which "
			"cannot be said; say another, or [::]");
	if (is_v4_mapped(&publish->bind, 128))
		return ("has an IPv4 address in IPv6 clothes to bind to; say "
			"the IPv4 address");
	colon = strchr(rest, ':');
	if (colon == NULL)
		return (MEND_PUBLISH);
	*colon = '\0';
	if (parse_ports(rest, 1, &host_low, &host_high) == -1 ||
	    parse_ports(colon + 1, 1, &guest_low, &guest_high) == -1)
		return ("has bad ports; " MEND_PUBLISH);
	if (host_high - host_low != guest_high - guest_low)
		return ("has two port ranges of different length; make them "
			"the same");
	publish->host_port = host_low;
	publish->guest_port = guest_low;
	publish->count = (uint32_t)(host_high - host_low) + 1;
	return (NULL);
}

const char *
spec_host_service(const char *text, struct ipc_host_service *service)
{
	static const char mend[] = "say GATEWAYPORT:HOSTPORT, as in 5432:5432";
	uint16_t gateway_port, host_port, high;
	char copy[16], *colon;

	if (strlcpy(copy, text, sizeof(copy)) >= sizeof(copy))
		return (mend);
	colon = strchr(copy, ':');
	if (colon == NULL || strchr(copy, '-') != NULL)
		return (mend);
	*colon = '\0';
	if (parse_ports(copy, 1, &gateway_port, &high) == -1 ||
	    parse_ports(colon + 1, 1, &host_port, &high) == -1)
		return (mend);
	if (gateway_port == 53)
		return ("53 is the gateway's resolver; say another port, as in "
			"5353:53");
	service->gateway_port = gateway_port;
	service->host_port = host_port;
	return (NULL);
}

const char *
spec_domain(const char *text, char name[NET_SEARCH_MAX + 1])
{
	static const char mend[] = "is no domain name, as in example.org";
	size_t i, len = strlen(text), label = 0;

	if (len > 1 && text[len - 1] == '.')
		len--;
	/* 253: 255 on the wire less the first length and the root. */
	if (len == 0 || len > 253)
		return (mend);
	for (i = 0; i < len; i++) {
		if (text[i] == '.' && label == 0)
			return (mend);
		label = text[i] == '.' ? 0 : label + 1;
		if (label > 63)
			return (mend);
		if (text[i] != '.' && text[i] != '-' && text[i] != '_' &&
		    !isalnum((unsigned char)text[i]))
			return (mend);
	}
	if (label == 0)
		return (mend);
	memset(name, 0, NET_SEARCH_MAX + 1);
	memcpy(name, text, len);
	return (NULL);
}

static void
append_ports(char *buf, size_t size, uint32_t low, uint32_t high)
{
	size_t len = strlen(buf);

	if (low == high)
		snprintf(buf + len, size - len, "%u", low);
	else
		snprintf(buf + len, size - len, "%u-%u", low, high);
}

const char *
spec_format_rule(const struct ipc_rule *rule, char *buf, size_t size)
{
	char net[ADDR_STRLEN];
	size_t i;
	int ports = rule->port_low != 0 || rule->port_high != 65535;

	addr_format(&rule->net, net, sizeof(net));
	snprintf(buf, size,
	    ports && rule->net.family == 6 ? "[%s/%u]" : "%s/%u", net,
	    rule->prefix_len);
	if (ports) {
		strlcat(buf, ":", size);
		append_ports(buf, size, rule->port_low, rule->port_high);
	}
	for (i = 0; i < NPROTOS; i++) {
		if (protos[i].proto == rule->proto) {
			strlcat(buf, "/", size);
			strlcat(buf, protos[i].name, size);
		}
	}
	return (buf);
}

const char *
spec_format_publish(const struct config_publish *publish, char *buf,
    size_t size)
{
	uint32_t more = publish->count - 1;
	char bind[ADDR_STRLEN];

	buf[0] = '\0';
	if (publish->bind.family != 0) {
		addr_format(&publish->bind, bind, sizeof(bind));
		snprintf(buf, size,
		    publish->bind.family == 6 ? "[%s]:" : "%s:", bind);
	}
	append_ports(buf, size, publish->host_port, publish->host_port + more);
	strlcat(buf, ":", size);
	append_ports(buf, size, publish->guest_port,
	    publish->guest_port + more);
	strlcat(buf, publish->proto == IPPROTO_UDP ? "/udp" : "/tcp", size);
	return (buf);
}

const char *
spec_format_mac(const uint8_t mac[6], char *buf, size_t size)
{
	snprintf(buf, size, "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1],
	    mac[2], mac[3], mac[4], mac[5]);
	return (buf);
}
