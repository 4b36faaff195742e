#include "netproc/gateway/dhcp6_message.h"

#include "ipc/cursor.h"

#define IA_LEN	    12 /* IAID, T1, T2 */
#define IA_TA_LEN   4  /* IAID */
#define IA_ADDR_LEN 24 /* address, preferred and valid lifetime */

/* A sub-option; of those only addresses are wanted. */
static int
take_ia_option(struct dhcp6_message *msg, struct dhcp6_ia *ia, uint16_t code,
    struct cursor value)
{
	if (code != DHCP6_OPT_IA_ADDR || ia->type == DHCP6_OPT_IA_PD)
		return (0);
	if (value.left < IA_ADDR_LEN || msg->naddrs == DHCP6_IA_ADDR_MAX)
		return (-1);
	msg->addrs[msg->naddrs++] = value.at;
	ia->naddrs++;
	return (0);
}

static int
take_ia(struct dhcp6_message *msg, uint8_t type, struct cursor c)
{
	struct dhcp6_ia *ia;
	struct cursor value;
	uint16_t code;

	if (msg->nias == DHCP6_IA_MAX)
		return (-1);
	ia = &msg->ias[msg->nias++];
	ia->type = type;
	ia->first_addr = msg->naddrs;
	ia->iaid = cursor_be32(&c);
	if (type != DHCP6_OPT_IA_TA)
		cursor_skip(&c, IA_LEN - IA_TA_LEN);
	while (c.left > 0 && !c.error) {
		code = cursor_be16(&c);
		value = cursor_sub(&c, cursor_be16(&c));
		if (c.error || take_ia_option(msg, ia, code, value) == -1)
			return (-1);
	}
	return (c.error ? -1 : 0);
}

static int
take_id(struct cursor value, const uint8_t **id, size_t *id_len)
{
	if (value.left == 0 || value.left > DHCP6_DUID_MAX)
		return (-1);
	if (*id_len == 0) {
		*id = value.at;
		*id_len = value.left;
	}
	return (0);
}

static enum dhcp6_error
take_option(struct dhcp6_message *msg, uint16_t code, struct cursor value)
{
	switch (code) {
	case DHCP6_OPT_CLIENT_ID:
		return (take_id(value, &msg->client_id, &msg->client_id_len) ==
			    -1 ?
			DHCP6_E_CLIENT_ID :
			DHCP6_E_OK);
	case DHCP6_OPT_SERVER_ID:
		return (take_id(value, &msg->server_id, &msg->server_id_len) ==
			    -1 ?
			DHCP6_E_SERVER_ID :
			DHCP6_E_OK);
	case DHCP6_OPT_IA_NA:
	case DHCP6_OPT_IA_TA:
	case DHCP6_OPT_IA_PD:
		return (take_ia(msg, (uint8_t)code, value) == -1 ?
			DHCP6_E_OPTIONS :
			DHCP6_E_OK);
	case DHCP6_OPT_RAPID_COMMIT:
		if (value.left != 0)
			return (DHCP6_E_OPTIONS);
		msg->rapid_commit = 1;
		return (DHCP6_E_OK);
	default:
		return (DHCP6_E_OK);
	}
}

/* The messages of clients; all others are a server's or a relay's. */
static int
is_from_client(uint8_t type)
{
	switch (type) {
	case DHCP6_SOLICIT:
	case DHCP6_REQUEST:
	case DHCP6_CONFIRM:
	case DHCP6_RENEW:
	case DHCP6_REBIND:
	case DHCP6_RELEASE:
	case DHCP6_DECLINE:
	case DHCP6_INFO_REQUEST:
		return (1);
	default:
		return (0);
	}
}

static enum dhcp6_error
parse(struct cursor c, struct dhcp6_message *msg)
{
	enum dhcp6_error error = DHCP6_E_OK;
	struct cursor value;
	uint16_t code;

	msg->xid = cursor_be32(&c);
	if (c.error)
		return (DHCP6_E_SHORT);
	msg->type = (uint8_t)(msg->xid >> 24);
	msg->xid &= 0xffffff;
	if (!is_from_client(msg->type))
		return (DHCP6_E_TYPE);
	while (c.left > 0 && error == DHCP6_E_OK) {
		code = cursor_be16(&c);
		value = cursor_sub(&c, cursor_be16(&c));
		if (c.error)
			return (DHCP6_E_OPTIONS);
		error = take_option(msg, code, value);
	}
	return (error);
}

enum dhcp6_error
dhcp6_message_parse(const uint8_t *payload, size_t len,
    struct dhcp6_message *msg)
{
	enum dhcp6_error error;
	struct cursor c;

	memset(msg, 0, sizeof(*msg));
	cursor_init(&c, payload, len);
	error = parse(c, msg);
	if (error != DHCP6_E_OK)
		memset(msg, 0, sizeof(*msg));
	return (error);
}
