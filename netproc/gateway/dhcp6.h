#ifndef NETPROC_GATEWAY_DHCP6_H
#define NETPROC_GATEWAY_DHCP6_H

#include <stddef.h>
#include <stdint.h>

/*
 * A DHCPv6 server for one client and one address (RFC 8415), with DNS servers
 * and search list (RFC 3646) and rapid commit.  It keeps no state: the lease
 * is the configuration.  Its identifier is the DUID-LL of the gateway's MAC.
 */

#define DHCP6_SERVER_PORT 547
#define DHCP6_SEARCH_LIST 6
#define DHCP6_REPLY_MAX	  1232 /* longest reply: fits any link */

/* Message types, RFC 8415 7.3. */
#define DHCP6_SOLICIT	   1
#define DHCP6_ADVERTISE	   2
#define DHCP6_REQUEST	   3
#define DHCP6_CONFIRM	   4
#define DHCP6_RENEW	   5
#define DHCP6_REBIND	   6
#define DHCP6_REPLY	   7
#define DHCP6_RELEASE	   8
#define DHCP6_DECLINE	   9
#define DHCP6_INFO_REQUEST 11

/* Why a message got no reply.  X(name, counter): DHCP6_E_<name>. */
/* clang-format off */
#define DHCP6_ERRORS(X) \
	X(OK,		"ok") \
	X(SHORT,	"short") \
	X(TYPE,		"message-type") \
	X(OPTIONS,	"options-malformed") \
	X(CLIENT_ID,	"client-id") \
	X(SERVER_ID,	"server-id") \
	X(OTHER_SERVER,	"other-server") \
	X(NO_ADDRESS,	"no-address") \
	X(SPACE,	"no-space")
/* clang-format on */

enum dhcp6_error {
#define X(name, counter) DHCP6_E_##name,
	DHCP6_ERRORS(X)
#undef X
	DHCP6_NERRORS
};

/* Addresses are in network byte order. */
struct dhcp6_config {
	uint8_t gateway_mac[6];
	uint8_t guest_ip6[16];
	uint8_t gateway_ip6[16]; /* the DNS server */
	uint32_t prefix_len6;	 /* what is on the link, for CONFIRM */
	uint32_t lease_s;	 /* valid and preferred lifetime */
	uint32_t nsearch;
	const char *search[DHCP6_SEARCH_LIST]; /* borrows */
};

struct dhcp6_info {
	enum dhcp6_error error;
	uint8_t reply_type; /* DHCP6_ADVERTISE, DHCP6_REPLY, 0: none */
};

/*
 * Answers payload, len bytes of a UDP datagram to port 547.  Writes the
 * reply, the payload of a datagram from port 547 to the asker's address and
 * port, and returns its length.  0: no reply; info->error says why.  cap:
 * DHCP6_REPLY_MAX or more.
 */
size_t dhcp6_answer(const struct dhcp6_config *cfg, const uint8_t *payload,
    size_t len, uint8_t *reply, size_t cap, struct dhcp6_info *info);

/* Returns borrowed: "other-server"; "?" for a number that is no error. */
const char *dhcp6_error_name(enum dhcp6_error error);

#endif
