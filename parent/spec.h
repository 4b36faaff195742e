#ifndef PARENT_SPEC_H
#define PARENT_SPEC_H

#include <stddef.h>
#include <stdint.h>

#include "parent/configuration.h"

/*
 * Parsers of option values: pure functions from text to a struct.  Those that
 * return a string return NULL, or what is wrong and the mend, as an
 * option_set does.
 */

/* Decimal digits alone, min..max.  0, or -1. */
int spec_number(const char *text, uint32_t min, uint32_t max, uint32_t *value);

/* "02:53:4d:00:00:01", a unicast address. */
const char *spec_mac(const char *text, uint8_t mac[6]);

/*
 * "ADDR", "ADDR:PORT", "[ADDR]:PORT"; without PORT 53.  An IPv6 address that
 * ends as if a port were behind it is taken in brackets alone.
 */
const char *spec_server(const char *text, struct ipc_resolver *server);

/* What spec_server() has against an address. */
const char *spec_server_addr(const struct ipc_addr *addr);

/*
 * CIDR[:PORTS][/PROTO], an IPv6 CIDR in brackets when PORTS follow, or when
 * it is an address whose end may be meant for one.
 */
const char *spec_rule(const char *text, uint32_t action, struct ipc_rule *rule);

/* [BIND:]HOST[-HOST]:GUEST[-GUEST][/tcp|/udp]; without, tcp. */
const char *spec_publish(const char *text, struct config_publish *publish);

/* GATEWAYPORT:HOSTPORT */
const char *spec_host_service(const char *text,
    struct ipc_host_service *service);

/* A domain name (RFC 1035 2.3.1, and underscores); one trailing dot goes. */
const char *spec_domain(const char *text, char name[NET_SEARCH_MAX + 1]);

/* The reverse of spec_rule() and spec_publish().  Return buf. */
#define SPEC_STRLEN 128 /* longest text of these, with its NUL */
const char *spec_format_rule(const struct ipc_rule *rule, char *buf,
    size_t size);
const char *spec_format_publish(const struct config_publish *publish, char *buf,
    size_t size);
const char *spec_format_mac(const uint8_t mac[6], char *buf, size_t size);

#endif
