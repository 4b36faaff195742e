#include <arpa/inet.h>
#include <netinet/in.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ipc/addr.h"

int
addr_is_valid(const struct ipc_addr *addr)
{
	static const uint8_t zero[16];
	size_t used;

	switch (addr->family) {
	case 0:
		used = 0;
		break;
	case 4:
		used = 4;
		break;
	case 6:
		used = 16;
		break;
	default:
		return (0);
	}
	return (memcmp(addr->pad, zero, sizeof(addr->pad)) == 0 &&
	    memcmp(addr->bytes + used, zero, 16 - used) == 0);
}

int
addr_equal(const struct ipc_addr *a, const struct ipc_addr *b)
{
	return (a->family == b->family &&
	    memcmp(a->bytes, b->bytes, sizeof(a->bytes)) == 0);
}

int
addr_in_prefix(const struct ipc_addr *addr, const struct ipc_addr *net,
    unsigned int prefix_len)
{
	size_t whole = prefix_len / 8;
	unsigned int rest = prefix_len % 8;
	uint8_t mask;

	if (addr->family != net->family || prefix_len > 128)
		return (0);
	if (memcmp(addr->bytes, net->bytes, whole) != 0)
		return (0);
	if (rest == 0)
		return (1);
	mask = (uint8_t)(0xff00u >> rest);
	return ((addr->bytes[whole] & mask) == (net->bytes[whole] & mask));
}

struct ipc_addr
addr_from_ip4(uint32_t ip)
{
	struct ipc_addr addr = { .family = 4 };
	uint32_t net = htonl(ip);

	memcpy(addr.bytes, &net, sizeof(net));
	return (addr);
}

uint32_t
addr_to_ip4(const struct ipc_addr *addr)
{
	uint32_t net;

	if (addr->family != 4)
		return (0);
	memcpy(&net, addr->bytes, sizeof(net));
	return (ntohl(net));
}

int
addr_parse(const char *text, struct ipc_addr *addr)
{
	memset(addr, 0, sizeof(*addr));
	if (inet_pton(AF_INET, text, addr->bytes) == 1) {
		addr->family = 4;
		return (0);
	}
	memset(addr, 0, sizeof(*addr));
	if (inet_pton(AF_INET6, text, addr->bytes) == 1) {
		addr->family = 6;
		return (0);
	}
	memset(addr, 0, sizeof(*addr));
	errno = EINVAL;
	return (-1);
}

int
addr_parse_cidr(const char *text, struct ipc_addr *addr,
    unsigned int *prefix_len)
{
	char host[ADDR_STRLEN];
	const char *slash, *errstr = NULL;
	size_t len;
	unsigned int max;

	slash = strchr(text, '/');
	len = slash != NULL ? (size_t)(slash - text) : strlen(text);
	if (len >= sizeof(host)) {
		errno = EINVAL;
		return (-1);
	}
	memcpy(host, text, len);
	host[len] = '\0';
	if (addr_parse(host, addr) == -1)
		return (-1);
	max = addr->family == 4 ? 32 : 128;
	*prefix_len = max;
	if (slash != NULL)
		*prefix_len = (unsigned int)strtonum(slash + 1, 0, max,
		    &errstr);
	if (errstr != NULL) {
		errno = EINVAL;
		return (-1);
	}
	return (0);
}

const char *
addr_format(const struct ipc_addr *addr, char *buf, size_t size)
{
	const int af = addr->family == 6 ? AF_INET6 : AF_INET;

	if (addr->family == 0 ||
	    inet_ntop(af, addr->bytes, buf, (socklen_t)size) == NULL)
		strlcpy(buf, "none", size);
	return (buf);
}

const char *
addr_format_port(const struct ipc_addr *addr, uint16_t port, char *buf,
    size_t size)
{
	char host[ADDR_STRLEN];

	addr_format(addr, host, sizeof(host));
	snprintf(buf, size, addr->family == 6 ? "[%s]:%u" : "%s:%u", host,
	    (unsigned int)port);
	return (buf);
}

socklen_t
addr_to_sockaddr(const struct ipc_addr *addr, uint16_t port,
    struct sockaddr_storage *ss)
{
	struct sockaddr_in sin = { .sin_family = AF_INET };
	struct sockaddr_in6 sin6 = { .sin6_family = AF_INET6 };

	memset(ss, 0, sizeof(*ss));
	if (addr->family == 4) {
		memcpy(&sin.sin_addr, addr->bytes, 4);
		sin.sin_port = htons(port);
		memcpy(ss, &sin, sizeof(sin));
		return (sizeof(sin));
	}
	if (addr->family == 6) {
		memcpy(&sin6.sin6_addr, addr->bytes, 16);
		sin6.sin6_port = htons(port);
		memcpy(ss, &sin6, sizeof(sin6));
		return (sizeof(sin6));
	}
	return (0);
}

int
addr_from_sockaddr(const struct sockaddr *sa, struct ipc_addr *addr,
    uint16_t *port)
{
	struct sockaddr_in sin;
	struct sockaddr_in6 sin6;

	memset(addr, 0, sizeof(*addr));
	if (sa->sa_family == AF_INET) {
		memcpy(&sin, sa, sizeof(sin));
		addr->family = 4;
		memcpy(addr->bytes, &sin.sin_addr, 4);
		if (port != NULL)
			*port = ntohs(sin.sin_port);
		return (0);
	}
	if (sa->sa_family == AF_INET6) {
		memcpy(&sin6, sa, sizeof(sin6));
		addr->family = 6;
		memcpy(addr->bytes, &sin6.sin6_addr, 16);
		if (port != NULL)
			*port = ntohs(sin6.sin6_port);
		return (0);
	}
	errno = EAFNOSUPPORT;
	return (-1);
}
