#ifndef NETPROC_GATEWAY_DHCP_H
#define NETPROC_GATEWAY_DHCP_H

#include <stddef.h>
#include <stdint.h>

/*
 * A DHCPv4 server for one client and one address (RFC 2131, 2132), with Rapid
 * Commit (RFC 4039), domain search (RFC 3397) and client identifier in
 * replies (RFC 6842).  It keeps no state: the lease is the configuration.
 */

#define DHCP_SERVER_PORT 67
#define DHCP_CLIENT_PORT 68
#define DHCP_SEARCH_LIST 6
#define DHCP_REPLY_MAX	 1472 /* longest reply; what cap should be */
#define DHCP_REPLY_MIN	 548  /* RFC 2131 2: any client takes so much */

/* Message types, RFC 2132 9.6. */
#define DHCP_DISCOVER 1
#define DHCP_OFFER    2
#define DHCP_REQUEST  3
#define DHCP_DECLINE  4
#define DHCP_ACK      5
#define DHCP_NAK      6
#define DHCP_RELEASE  7
#define DHCP_INFORM   8

/* Why a message got no reply.  X(name, counter): DHCP_E_<name>. */
/* clang-format off */
#define DHCP_ERRORS(X) \
	X(OK,		"ok") \
	X(SHORT,	"short") \
	X(NOT_REQUEST,	"not-a-request") \
	X(HARDWARE,	"hardware-type") \
	X(CHADDR,	"foreign-chaddr") \
	X(RELAYED,	"relayed") \
	X(COOKIE,	"no-cookie") \
	X(OPTIONS,	"options-malformed") \
	X(TYPE,		"message-type") \
	X(OTHER_SERVER,	"other-server") \
	X(NO_ADDRESS,	"no-address") \
	X(SPACE,	"no-space")
/* clang-format on */

enum dhcp_error {
#define X(name, counter) DHCP_E_##name,
	DHCP_ERRORS(X)
#undef X
	DHCP_NERRORS
};

/* Addresses are in host byte order. */
struct dhcp_config {
	uint32_t guest_ip;
	uint32_t gateway_ip; /* router, DNS server and server identifier */
	uint32_t prefix_len;
	uint32_t mtu; /* bytes */
	uint32_t lease_s;
	uint32_t nsearch;
	const char *search[DHCP_SEARCH_LIST]; /* borrows; the first is also
						 the domain name */
};

struct dhcp_info {
	enum dhcp_error error;
	uint8_t type;	    /* DHCP_DISCOVER..., 0 if malformed */
	uint8_t reply_type; /* DHCP_OFFER, DHCP_ACK, DHCP_NAK, 0: none */
	uint8_t dst_mac[6]; /* where the reply goes: chaddr or broadcast */
	uint32_t dst_ip;
};

/*
 * Answers payload, len bytes of a UDP datagram from port 68 in a frame from
 * src_mac.  Writes the reply, a UDP payload from gateway_ip port 67 to
 * info->dst_ip port 68, and returns its length.  0: no reply, because
 * info->error says so or because none is due (RELEASE, DECLINE).
 */
size_t dhcp_answer(const struct dhcp_config *cfg, const uint8_t *payload,
    size_t len, const uint8_t src_mac[6], uint8_t *reply, size_t cap,
    struct dhcp_info *info);

/* Returns borrowed: "foreign-chaddr"; "?" for a number that is no error. */
const char *dhcp_error_name(enum dhcp_error error);

#endif
