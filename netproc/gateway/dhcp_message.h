#ifndef NETPROC_GATEWAY_DHCP_MESSAGE_H
#define NETPROC_GATEWAY_DHCP_MESSAGE_H

#include <stddef.h>
#include <stdint.h>

#include "netproc/gateway/dhcp.h"

/* Sizes of the fixed part, RFC 2131 2. */
#define DHCP_SNAME_LEN	64
#define DHCP_FILE_LEN	128
#define DHCP_CHADDR_LEN 16
#define DHCP_COOKIE	0x63825363u /* RFC 2131 3 */

#define DHCP_OP_REQUEST	 1
#define DHCP_OP_REPLY	 2
#define DHCP_HTYPE_ETHER 1

#define DHCP_FLAG_BROADCAST 0x8000

/* Option codes, RFC 2132 but where another RFC is named. */
#define DHCP_OPT_PAD	       0
#define DHCP_OPT_NETMASK       1
#define DHCP_OPT_ROUTER	       3
#define DHCP_OPT_DNS	       6
#define DHCP_OPT_DOMAIN	       15
#define DHCP_OPT_MTU	       26
#define DHCP_OPT_REQUESTED     50
#define DHCP_OPT_LEASE	       51
#define DHCP_OPT_OVERLOAD      52
#define DHCP_OPT_TYPE	       53
#define DHCP_OPT_SERVER	       54
#define DHCP_OPT_MAX_SIZE      57
#define DHCP_OPT_RENEW	       58
#define DHCP_OPT_REBIND	       59
#define DHCP_OPT_CLIENT_ID     61
#define DHCP_OPT_RAPID_COMMIT  80  /* RFC 4039 */
#define DHCP_OPT_DOMAIN_SEARCH 119 /* RFC 3397 */
#define DHCP_OPT_END	       255

/* What a client said.  Addresses are in host byte order, 0 where absent. */
struct dhcp_message {
	uint8_t type;
	uint8_t rapid_commit;
	uint8_t client_id_len; /* 0: none */
	uint8_t chaddr[6];
	uint16_t flags;
	uint16_t max_size; /* option 57, 0: absent */
	uint32_t xid;
	uint32_t ciaddr;
	uint32_t requested_ip;
	uint32_t server_id;
	const uint8_t *client_id; /* borrows from the payload */
};

/*
 * Reads a message of a client on the link whose frame came from src_mac.
 * Options are read from the sname and file fields too where option 52 says
 * so; of an option that comes twice the first counts.  Returns DHCP_E_OK, or
 * what is wrong with it, and then msg is all zeroes.
 */
enum dhcp_error dhcp_message_parse(const uint8_t *payload, size_t len,
    const uint8_t src_mac[6], struct dhcp_message *msg);

#endif
