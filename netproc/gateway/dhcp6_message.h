#ifndef NETPROC_GATEWAY_DHCP6_MESSAGE_H
#define NETPROC_GATEWAY_DHCP6_MESSAGE_H

#include <stddef.h>
#include <stdint.h>

#include "netproc/gateway/dhcp6.h"

/* Option codes, RFC 8415 21 but where another RFC is named. */
#define DHCP6_OPT_CLIENT_ID    1
#define DHCP6_OPT_SERVER_ID    2
#define DHCP6_OPT_IA_NA	       3
#define DHCP6_OPT_IA_TA	       4
#define DHCP6_OPT_IA_ADDR      5
#define DHCP6_OPT_STATUS       13
#define DHCP6_OPT_RAPID_COMMIT 14
#define DHCP6_OPT_DNS	       23 /* RFC 3646 */
#define DHCP6_OPT_SEARCH       24 /* RFC 3646 */
#define DHCP6_OPT_IA_PD	       25

#define DHCP6_DUID_MAX 130 /* RFC 8415 11.1 */

/* More are DHCP6_E_OPTIONS: a guest has one interface here. */
#define DHCP6_IA_MAX	  8
#define DHCP6_IA_ADDR_MAX 8 /* in all of them */

/* An identity association: what a client wants, or has. */
struct dhcp6_ia {
	uint8_t type; /* DHCP6_OPT_IA_NA, _IA_TA or _IA_PD */
	uint8_t naddrs;
	uint8_t first_addr; /* index in the message's addrs */
	uint32_t iaid;
};

/* What a client said.  Identifiers are borrowed from the payload. */
struct dhcp6_message {
	uint8_t type;
	uint8_t rapid_commit;
	uint8_t nias;
	uint8_t naddrs;
	uint32_t xid;	      /* 24 bits */
	size_t client_id_len; /* 0: none */
	size_t server_id_len;
	const uint8_t *client_id;
	const uint8_t *server_id;
	struct dhcp6_ia ias[DHCP6_IA_MAX];
	const uint8_t *addrs[DHCP6_IA_ADDR_MAX]; /* of 16 bytes, borrowed */
};

/*
 * Reads a message of a client.  Of an identifier that comes twice the first
 * counts.  Returns DHCP6_E_OK, or what is wrong with it, and then msg is all
 * zeroes.
 */
enum dhcp6_error dhcp6_message_parse(const uint8_t *payload, size_t len,
    struct dhcp6_message *msg);

#endif
