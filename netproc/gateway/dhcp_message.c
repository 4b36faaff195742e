#include "netproc/gateway/dhcp_message.h"

#include "ipc/cursor.h"

#define OVERLOAD_FILE  1
#define OVERLOAD_SNAME 2

/* Keeps the first of two; an option of the wrong length is an error. */
static int
take_be32(struct cursor *value, uint32_t *to)
{
	if (value->left != 4)
		return (-1);
	if (*to == 0)
		*to = cursor_be32(value);
	return (0);
}

static int
take_u8(struct cursor *value, uint8_t *to)
{
	if (value->left != 1)
		return (-1);
	if (*to == 0)
		*to = cursor_u8(value);
	return (0);
}

static int
take_option(struct dhcp_message *msg, uint8_t code, struct cursor value,
    uint8_t *overload)
{
	switch (code) {
	case DHCP_OPT_TYPE:
		return (take_u8(&value, &msg->type));
	case DHCP_OPT_OVERLOAD:
		return (take_u8(&value, overload));
	case DHCP_OPT_REQUESTED:
		return (take_be32(&value, &msg->requested_ip));
	case DHCP_OPT_SERVER:
		return (take_be32(&value, &msg->server_id));
	case DHCP_OPT_MAX_SIZE:
		if (value.left != 2)
			return (-1);
		if (msg->max_size == 0)
			msg->max_size = cursor_be16(&value);
		return (0);
	case DHCP_OPT_CLIENT_ID:
		if (value.left == 0)
			return (-1);
		if (msg->client_id == NULL) {
			msg->client_id_len = (uint8_t)value.left;
			msg->client_id = value.at;
		}
		return (0);
	case DHCP_OPT_RAPID_COMMIT:
		if (value.left != 0)
			return (-1);
		msg->rapid_commit = 1;
		return (0);
	default:
		return (0);
	}
}

/*
 * Options up to the end option or, as some clients leave it out, the end of
 * the area.
 */
static int
take_options(struct dhcp_message *msg, struct cursor area, uint8_t *overload)
{
	struct cursor value;
	uint8_t code, len;

	while (area.left > 0) {
		code = cursor_u8(&area);
		if (code == DHCP_OPT_END)
			break;
		if (code == DHCP_OPT_PAD)
			continue;
		len = cursor_u8(&area);
		value = cursor_sub(&area, len);
		if (area.error)
			return (-1);
		if (take_option(msg, code, value, overload) == -1)
			return (-1);
	}
	return (0);
}

static enum dhcp_error
parse(struct cursor c, const uint8_t src_mac[6], struct dhcp_message *msg)
{
	struct cursor sname, file;
	uint32_t giaddr, cookie;
	uint8_t op, htype, hlen, overload = 0, ignored = 0;

	op = cursor_u8(&c);
	htype = cursor_u8(&c);
	hlen = cursor_u8(&c);
	cursor_skip(&c, 1); /* hops */
	msg->xid = cursor_be32(&c);
	cursor_skip(&c, 2); /* secs */
	msg->flags = cursor_be16(&c);
	msg->ciaddr = cursor_be32(&c);
	cursor_skip(&c, 8); /* yiaddr, siaddr: the server's to fill in */
	giaddr = cursor_be32(&c);
	cursor_copy(&c, msg->chaddr, sizeof(msg->chaddr));
	cursor_skip(&c, DHCP_CHADDR_LEN - sizeof(msg->chaddr));
	sname = cursor_sub(&c, DHCP_SNAME_LEN);
	file = cursor_sub(&c, DHCP_FILE_LEN);
	cookie = cursor_be32(&c);
	if (c.error)
		return (DHCP_E_SHORT);
	if (op != DHCP_OP_REQUEST)
		return (DHCP_E_NOT_REQUEST);
	if (htype != DHCP_HTYPE_ETHER || hlen != sizeof(msg->chaddr))
		return (DHCP_E_HARDWARE);
	if (memcmp(msg->chaddr, src_mac, sizeof(msg->chaddr)) != 0)
		return (DHCP_E_CHADDR);
	if (giaddr != 0)
		return (DHCP_E_RELAYED);
	if (cookie != DHCP_COOKIE)
		return (DHCP_E_COOKIE);

	if (take_options(msg, c, &overload) == -1)
		return (DHCP_E_OPTIONS);
	if ((overload & OVERLOAD_FILE) != 0 &&
	    take_options(msg, file, &ignored) == -1)
		return (DHCP_E_OPTIONS);
	if ((overload & OVERLOAD_SNAME) != 0 &&
	    take_options(msg, sname, &ignored) == -1)
		return (DHCP_E_OPTIONS);
	if (msg->type < DHCP_DISCOVER || msg->type > DHCP_INFORM)
		return (DHCP_E_TYPE); /* none: BOOTP */
	return (DHCP_E_OK);
}

enum dhcp_error
dhcp_message_parse(const uint8_t *payload, size_t len, const uint8_t src_mac[6],
    struct dhcp_message *msg)
{
	enum dhcp_error error;
	struct cursor c;

	memset(msg, 0, sizeof(*msg));
	cursor_init(&c, payload, len);
	error = parse(c, src_mac, msg);
	if (error != DHCP_E_OK)
		memset(msg, 0, sizeof(*msg));
	return (error);
}
