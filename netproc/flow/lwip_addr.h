#ifndef NETPROC_FLOW_LWIP_ADDR_H
#define NETPROC_FLOW_LWIP_ADDR_H

#include <string.h>

#include "lwip/ip_addr.h"

#include "ipc/addr.h"

/* Addresses between lwIP and the rest; both keep network byte order. */

static inline ip_addr_t
lwip_addr_of(const struct ipc_addr *addr)
{
	ip_addr_t ip;

	memset(&ip, 0, sizeof(ip));
	if (addr->family == 6) {
		IP_SET_TYPE_VAL(ip, IPADDR_TYPE_V6);
		memcpy(ip_2_ip6(&ip)->addr, addr->bytes, 16);
	} else {
		IP_SET_TYPE_VAL(ip, IPADDR_TYPE_V4);
		memcpy(&ip_2_ip4(&ip)->addr, addr->bytes, 4);
	}
	return (ip);
}

static inline struct ipc_addr
addr_of_lwip(const ip_addr_t *ip)
{
	struct ipc_addr addr;

	memset(&addr, 0, sizeof(addr));
	if (IP_IS_V6(ip)) {
		addr.family = 6;
		memcpy(addr.bytes, ip_2_ip6(ip)->addr, 16);
	} else {
		addr.family = 4;
		memcpy(addr.bytes, &ip_2_ip4(ip)->addr, 4);
	}
	return (addr);
}

#endif
