#include "netproc/gateway/dhcp6.h"

#include <string.h>

#include "ipc/cursor.h"
#include "netproc/gateway/dhcp6_message.h"
#include "netproc/gateway/dns_name.h"

/* RFC 8415 11.4: a DUID-LL of Ethernet. */
#define DUID_LL	      3
#define DUID_ETHERNET 1
#define DUID_LEN      10

/* RFC 8415 21.13 */
#define STATUS_SUCCESS	   0
#define STATUS_NO_ADDRS	   2
#define STATUS_NO_BINDING  3
#define STATUS_NOT_ON_LINK 4
#define STATUS_NO_PREFIX   6

#define LEASE_FOREVER	0xffffffffu
#define OPTION_HEAD_LEN 4

static const struct dhcp6_ia *
first_ia_na(const struct dhcp6_message *msg)
{
	size_t i;

	for (i = 0; i < msg->nias; i++) {
		if (msg->ias[i].type == DHCP6_OPT_IA_NA)
			return (&msg->ias[i]);
	}
	return (NULL);
}

static int
on_link(const struct dhcp6_config *cfg, const uint8_t *addr)
{
	const size_t bits = cfg->prefix_len6 > 128 ? 128 : cfg->prefix_len6,
		     whole = bits / 8, rest = bits % 8;

	if (memcmp(addr, cfg->guest_ip6, whole) != 0)
		return (0);
	return (rest == 0 ||
	    ((addr[whole] ^ cfg->guest_ip6[whole]) & (0xff00u >> rest) &
		0xff) == 0);
}

static void
make_server_id(const struct dhcp6_config *cfg, uint8_t duid[DUID_LEN])
{
	const uint8_t head[4] = { 0, DUID_LL, 0, DUID_ETHERNET };

	memcpy(duid, head, sizeof(head));
	memcpy(duid + sizeof(head), cfg->gateway_mac, 6);
}

/* Whose identifiers a message must bear, RFC 8415 16. */
static enum dhcp6_error
check_ids(const struct dhcp6_config *cfg, const struct dhcp6_message *msg)
{
	uint8_t duid[DUID_LEN];
	int wants_client = 1, wants_server = 0, may_name_server = 0;

	switch (msg->type) {
	case DHCP6_REQUEST:
	case DHCP6_RENEW:
	case DHCP6_RELEASE:
	case DHCP6_DECLINE:
		wants_server = may_name_server = 1;
		break;
	case DHCP6_INFO_REQUEST:
		wants_client = 0;
		may_name_server = 1;
		break;
	default:
		break;
	}
	if (wants_client && msg->client_id_len == 0)
		return (DHCP6_E_CLIENT_ID);
	if (msg->server_id_len == 0)
		return (wants_server ? DHCP6_E_SERVER_ID : DHCP6_E_OK);
	if (!may_name_server)
		return (DHCP6_E_SERVER_ID);
	make_server_id(cfg, duid);
	if (msg->server_id_len != DUID_LEN ||
	    memcmp(msg->server_id, duid, DUID_LEN) != 0)
		return (DHCP6_E_OTHER_SERVER);
	return (DHCP6_E_OK);
}

static void
put_option(struct cursor_out *out, uint16_t code, const void *value, size_t len)
{
	cursor_out_be16(out, code);
	cursor_out_be16(out, (uint16_t)len);
	cursor_out_bytes(out, value, len);
}

static void
put_status(struct cursor_out *out, uint16_t status)
{
	cursor_out_be16(out, DHCP6_OPT_STATUS);
	cursor_out_be16(out, sizeof(status));
	cursor_out_be16(out, status);
}

static void
put_address(struct cursor_out *out, const uint8_t addr[16], uint32_t lease_s)
{
	cursor_out_be16(out, DHCP6_OPT_IA_ADDR);
	cursor_out_be16(out, 16 + 4 + 4);
	cursor_out_bytes(out, addr, 16);
	cursor_out_be32(out, lease_s); /* preferred */
	cursor_out_be32(out, lease_s); /* valid */
}

/* When to renew and to rebind, RFC 8415 14.2, or nothing to do so for. */
static void
put_times(struct cursor_out *out, uint32_t lease_s)
{
	const uint64_t lease = lease_s;

	if (lease_s == LEASE_FOREVER) {
		cursor_out_be32(out, LEASE_FOREVER);
		cursor_out_be32(out, LEASE_FOREVER);
		return;
	}
	cursor_out_be32(out, (uint32_t)(lease / 2));
	cursor_out_be32(out, (uint32_t)(lease * 4 / 5));
}

/* Addresses that the client has and should not: they end at once. */
static void
put_foreign(struct cursor_out *out, const struct dhcp6_config *cfg,
    const struct dhcp6_message *msg, const struct dhcp6_ia *ia)
{
	const uint8_t *addr;
	size_t i;

	if (msg->type != DHCP6_RENEW && msg->type != DHCP6_REBIND)
		return;
	for (i = 0; i < ia->naddrs; i++) {
		addr = msg->addrs[ia->first_addr + i];
		if (memcmp(addr, cfg->guest_ip6, 16) != 0)
			put_address(out, addr, 0);
	}
}

/* The first IA_NA has the one address; for all others there is none. */
static void
put_ia(struct cursor_out *out, const struct dhcp6_config *cfg,
    const struct dhcp6_message *msg, const struct dhcp6_ia *ia)
{
	const int gets_it = ia == first_ia_na(msg);
	const size_t at = out->len;

	cursor_out_be16(out, ia->type);
	cursor_out_be16(out, 0); /* length */
	cursor_out_be32(out, ia->iaid);
	if (ia->type != DHCP6_OPT_IA_TA)
		put_times(out, gets_it ? cfg->lease_s : 0);
	if (gets_it)
		put_address(out, cfg->guest_ip6, cfg->lease_s);
	put_foreign(out, cfg, msg, ia);
	if (!gets_it)
		put_status(out,
		    ia->type == DHCP6_OPT_IA_PD ? STATUS_NO_PREFIX :
						  STATUS_NO_ADDRS);
	cursor_out_patch16(out, at + 2,
	    (uint16_t)(out->len - at - OPTION_HEAD_LEN));
}

/* Of a RELEASE or DECLINE: what the client never had, RFC 8415 18.3.7. */
static void
put_unbound(struct cursor_out *out, const struct dhcp6_config *cfg,
    const struct dhcp6_message *msg)
{
	const struct dhcp6_ia *ia;
	size_t i, j;
	int bound;

	for (i = 0; i < msg->nias; i++) {
		ia = &msg->ias[i];
		bound = 0;
		for (j = 0; j < ia->naddrs; j++)
			bound |= memcmp(msg->addrs[ia->first_addr + j],
				     cfg->guest_ip6, 16) == 0;
		if (bound)
			continue;
		cursor_out_be16(out, ia->type);
		cursor_out_be16(out,
		    (ia->type == DHCP6_OPT_IA_TA ? 4 : 12) + 6);
		cursor_out_be32(out, ia->iaid);
		if (ia->type != DHCP6_OPT_IA_TA)
			cursor_out_zero(out, 8);
		put_status(out, STATUS_NO_BINDING);
	}
}

static void
put_confirmed(struct cursor_out *out, const struct dhcp6_config *cfg,
    const struct dhcp6_message *msg)
{
	uint16_t status = STATUS_SUCCESS;
	size_t i;

	for (i = 0; i < msg->naddrs; i++) {
		if (!on_link(cfg, msg->addrs[i]))
			status = STATUS_NOT_ON_LINK;
	}
	put_status(out, status);
}

static void
put_dns(struct cursor_out *out, const struct dhcp6_config *cfg)
{
	uint8_t wire[DHCP6_SEARCH_LIST * (DNS_NAME_MAX + 2)];
	struct cursor_out list;
	size_t room, n;

	put_option(out, DHCP6_OPT_DNS, cfg->gateway_ip6, 16);
	if (out->error || out->cap - out->len < OPTION_HEAD_LEN)
		return;
	room = out->cap - out->len - OPTION_HEAD_LEN;
	n = cfg->nsearch < DHCP6_SEARCH_LIST ? cfg->nsearch : DHCP6_SEARCH_LIST;
	cursor_out_init(&list, wire, sizeof(wire));
	dns_name_put_list(&list, cfg->search, n, room);
	if (list.len > 0)
		put_option(out, DHCP6_OPT_SEARCH, wire, list.len);
}

/* What the reply says beyond the identifiers. */
static void
put_body(struct cursor_out *out, const struct dhcp6_config *cfg,
    const struct dhcp6_message *msg)
{
	size_t i;

	if (msg->type == DHCP6_SOLICIT && msg->rapid_commit)
		put_option(out, DHCP6_OPT_RAPID_COMMIT, NULL, 0);
	switch (msg->type) {
	case DHCP6_SOLICIT:
	case DHCP6_REQUEST:
	case DHCP6_RENEW:
	case DHCP6_REBIND:
		for (i = 0; i < msg->nias; i++)
			put_ia(out, cfg, msg, &msg->ias[i]);
		break;
	case DHCP6_CONFIRM:
		put_confirmed(out, cfg, msg);
		return;
	case DHCP6_RELEASE:
	case DHCP6_DECLINE:
		put_status(out, STATUS_SUCCESS);
		put_unbound(out, cfg, msg);
		return;
	default:
		break;
	}
	put_dns(out, cfg);
}

/* What no reply is due to, RFC 8415 16.12 and 18.3.3. */
static enum dhcp6_error
check_ias(const struct dhcp6_message *msg)
{
	if (msg->type == DHCP6_INFO_REQUEST && msg->nias > 0)
		return (DHCP6_E_OPTIONS);
	if (msg->type == DHCP6_CONFIRM && msg->naddrs == 0)
		return (DHCP6_E_NO_ADDRESS);
	return (DHCP6_E_OK);
}

size_t
dhcp6_answer(const struct dhcp6_config *cfg, const uint8_t *payload, size_t len,
    uint8_t *reply, size_t cap, struct dhcp6_info *info)
{
	struct dhcp6_message msg;
	struct cursor_out out;
	uint8_t duid[DUID_LEN];

	memset(info, 0, sizeof(*info));
	info->error = dhcp6_message_parse(payload, len, &msg);
	if (info->error == DHCP6_E_OK)
		info->error = check_ids(cfg, &msg);
	if (info->error == DHCP6_E_OK)
		info->error = check_ias(&msg);
	if (info->error == DHCP6_E_OK && cap < DHCP6_REPLY_MAX)
		info->error = DHCP6_E_SPACE;
	if (info->error != DHCP6_E_OK)
		return (0);
	info->reply_type = msg.type == DHCP6_SOLICIT && !msg.rapid_commit ?
	    DHCP6_ADVERTISE :
	    DHCP6_REPLY;

	make_server_id(cfg, duid);
	cursor_out_init(&out, reply, DHCP6_REPLY_MAX);
	cursor_out_be32(&out, (uint32_t)info->reply_type << 24 | msg.xid);
	if (msg.client_id_len > 0)
		put_option(&out, DHCP6_OPT_CLIENT_ID, msg.client_id,
		    msg.client_id_len);
	put_option(&out, DHCP6_OPT_SERVER_ID, duid, sizeof(duid));
	put_body(&out, cfg, &msg);
	return (out.len);
}

const char *
dhcp6_error_name(enum dhcp6_error error)
{
	static const char *const names[] = {
#define X(name, counter) counter,
		DHCP6_ERRORS(X)
#undef X
	};
	_Static_assert(sizeof(names) / sizeof(names[0]) == DHCP6_NERRORS,
	    "a name for every error");

	if ((unsigned int)error >= DHCP6_NERRORS)
		return ("?");
	return (names[error]);
}
