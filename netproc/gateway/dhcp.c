#include "netproc/gateway/dhcp.h"

#include <string.h>

#include "ipc/cursor.h"
#include "netproc/gateway/dhcp_message.h"
#include "netproc/gateway/dns_name.h"

#define IP_UDP_LEN    28
#define MESSAGE_MIN   300 /* BOOTP's size; some clients drop less */
#define MAX_SIZE_MIN  576 /* RFC 2132 9.10 */
#define LEASE_FOREVER 0xffffffffu
#define OPTION_MAX    255
#define IP4_BROADCAST 0xffffffffu

/*
 * What a REQUEST asks for.  It names the address in option 50 (SELECTING,
 * INIT-REBOOT) or in ciaddr (RENEWING, REBINDING); RFC 2131 4.3.2.
 */
static enum dhcp_error
decide_request(const struct dhcp_config *cfg, const struct dhcp_message *msg,
    uint8_t *reply_type)
{
	if (msg->server_id != 0 && msg->server_id != cfg->gateway_ip)
		return (DHCP_E_OTHER_SERVER);
	if (msg->requested_ip == 0 && msg->ciaddr == 0)
		return (DHCP_E_NO_ADDRESS);
	*reply_type = DHCP_ACK;
	if ((msg->requested_ip != 0 && msg->requested_ip != cfg->guest_ip) ||
	    (msg->ciaddr != 0 && msg->ciaddr != cfg->guest_ip))
		*reply_type = DHCP_NAK;
	return (DHCP_E_OK);
}

static enum dhcp_error
decide(const struct dhcp_config *cfg, const struct dhcp_message *msg,
    uint8_t *reply_type)
{
	*reply_type = 0;
	switch (msg->type) {
	case DHCP_DISCOVER:
		*reply_type = msg->rapid_commit ? DHCP_ACK : DHCP_OFFER;
		return (DHCP_E_OK);
	case DHCP_REQUEST:
		return (decide_request(cfg, msg, reply_type));
	case DHCP_INFORM:
		if (msg->ciaddr != 0 && msg->ciaddr != cfg->guest_ip)
			return (DHCP_E_NO_ADDRESS);
		*reply_type = DHCP_ACK;
		return (DHCP_E_OK);
	case DHCP_RELEASE:
	case DHCP_DECLINE:
		if (msg->server_id != 0 && msg->server_id != cfg->gateway_ip)
			return (DHCP_E_OTHER_SERVER);
		return (DHCP_E_OK);
	default:
		return (DHCP_E_TYPE);
	}
}

/* RFC 2131 4.1; without a relay, and for one client whose address is known. */
static void
set_destination(const struct dhcp_config *cfg, const struct dhcp_message *msg,
    struct dhcp_info *info)
{
	int wants_broadcast = (msg->flags & DHCP_FLAG_BROADCAST) != 0 &&
	    msg->ciaddr != cfg->guest_ip;

	if (info->reply_type == DHCP_NAK || wants_broadcast) {
		memset(info->dst_mac, 0xff, sizeof(info->dst_mac));
		info->dst_ip = IP4_BROADCAST;
	} else {
		memcpy(info->dst_mac, msg->chaddr, sizeof(info->dst_mac));
		info->dst_ip = cfg->guest_ip;
	}
}

/* 1 if n more bytes and the end option fit. */
static int
has_room(const struct cursor_out *out, size_t n)
{
	return (!out->error && out->cap - out->len > n);
}

/* Leaves an option out that does not fit: the first ones matter most. */
static void
put_option(struct cursor_out *out, uint8_t code, const void *value, size_t len)
{
	if (len > OPTION_MAX || !has_room(out, 2 + len))
		return;
	cursor_out_u8(out, code);
	cursor_out_u8(out, (uint8_t)len);
	cursor_out_bytes(out, value, len);
}

static void
put_option_u8(struct cursor_out *out, uint8_t code, uint8_t v)
{
	put_option(out, code, &v, sizeof(v));
}

static void
put_option_be32(struct cursor_out *out, uint8_t code, uint32_t v)
{
	const uint8_t b[4] = { (uint8_t)(v >> 24), (uint8_t)(v >> 16),
		(uint8_t)(v >> 8), (uint8_t)v };

	put_option(out, code, b, sizeof(b));
}

static void
put_option_be16(struct cursor_out *out, uint8_t code, uint32_t v)
{
	uint16_t v16 = (uint16_t)(v > UINT16_MAX ? UINT16_MAX : v);
	const uint8_t b[2] = { (uint8_t)(v16 >> 8), (uint8_t)v16 };

	put_option(out, code, b, sizeof(b));
}

static size_t
split_len(size_t len)
{
	return (len + (len + OPTION_MAX - 1) / OPTION_MAX * 2);
}

/*
 * The search list: as many domains as fit, uncompressed, in several options
 * where one is too small (RFC 3396).
 */
static void
put_search(struct cursor_out *out, const struct dhcp_config *cfg)
{
	uint8_t wire[DHCP_SEARCH_LIST * (DNS_NAME_MAX + 2)];
	struct cursor_out list;
	size_t at, n, len;
	uint32_t i;

	cursor_out_init(&list, wire, sizeof(wire));
	for (i = 0; i < cfg->nsearch && i < DHCP_SEARCH_LIST; i++) {
		len = list.len;
		dns_name_put(&list, cfg->search[i]);
		if (list.error || !has_room(out, split_len(list.len))) {
			list.len = len;
			break;
		}
	}
	for (at = 0; at < list.len; at += n) {
		n = list.len - at;
		if (n > OPTION_MAX)
			n = OPTION_MAX;
		put_option(out, DHCP_OPT_DOMAIN_SEARCH, wire + at, n);
	}
}

static void
put_domain(struct cursor_out *out, const struct dhcp_config *cfg)
{
	size_t len;

	if (cfg->nsearch == 0)
		return;
	len = strlen(cfg->search[0]);
	if (len > 0 && cfg->search[0][len - 1] == '.')
		len--;
	if (len > 0)
		put_option(out, DHCP_OPT_DOMAIN, cfg->search[0], len);
}

/* The options of an OFFER or ACK, in the order of need. */
static void
put_lease(struct cursor_out *out, const struct dhcp_config *cfg,
    const struct dhcp_message *msg)
{
	const uint64_t lease = cfg->lease_s;
	const unsigned int bits = cfg->prefix_len > 32 ? 32 : cfg->prefix_len;
	const uint32_t netmask = bits == 0 ? 0 : 0xffffffffu << (32 - bits);

	if (msg->type != DHCP_INFORM) /* RFC 2131 4.3.5 */
		put_option_be32(out, DHCP_OPT_LEASE, cfg->lease_s);
	put_option_be32(out, DHCP_OPT_NETMASK, netmask);
	put_option_be32(out, DHCP_OPT_ROUTER, cfg->gateway_ip);
	put_option_be32(out, DHCP_OPT_DNS, cfg->gateway_ip);
	/* Asked for or not: without it libkrun's guests assume 65520. */
	put_option_be16(out, DHCP_OPT_MTU, cfg->mtu);
	if (msg->type == DHCP_DISCOVER && msg->rapid_commit)
		put_option(out, DHCP_OPT_RAPID_COMMIT, NULL, 0);
	if (msg->client_id_len > 0)
		put_option(out, DHCP_OPT_CLIENT_ID, msg->client_id,
		    msg->client_id_len);
	if (msg->type != DHCP_INFORM && cfg->lease_s != LEASE_FOREVER) {
		put_option_be32(out, DHCP_OPT_RENEW, (uint32_t)(lease / 2));
		put_option_be32(out, DHCP_OPT_REBIND,
		    (uint32_t)(lease * 7 / 8));
	}
	put_domain(out, cfg);
	put_search(out, cfg);
}

static void
put_fixed(struct cursor_out *out, const struct dhcp_config *cfg,
    const struct dhcp_message *msg, uint8_t reply_type)
{
	int nak = reply_type == DHCP_NAK;
	int keeps_ciaddr = reply_type == DHCP_ACK && msg->type != DHCP_DISCOVER;
	int gives = !nak && msg->type != DHCP_INFORM;

	cursor_out_u8(out, DHCP_OP_REPLY);
	cursor_out_u8(out, DHCP_HTYPE_ETHER);
	cursor_out_u8(out, sizeof(msg->chaddr));
	cursor_out_u8(out, 0); /* hops */
	cursor_out_be32(out, msg->xid);
	cursor_out_be16(out, 0); /* secs */
	cursor_out_be16(out, msg->flags);
	cursor_out_be32(out, keeps_ciaddr ? msg->ciaddr : 0);
	cursor_out_be32(out, gives ? cfg->guest_ip : 0); /* yiaddr */
	cursor_out_zero(out, 4 + 4);			 /* siaddr, giaddr */
	cursor_out_bytes(out, msg->chaddr, sizeof(msg->chaddr));
	cursor_out_zero(out, DHCP_CHADDR_LEN - sizeof(msg->chaddr));
	cursor_out_zero(out, DHCP_SNAME_LEN + DHCP_FILE_LEN);
	cursor_out_be32(out, DHCP_COOKIE);
}

/* As long as the client (option 57), the link and the buffer can take. */
static size_t
reply_limit(const struct dhcp_config *cfg, const struct dhcp_message *msg,
    size_t cap)
{
	size_t limit = DHCP_REPLY_MIN;

	if (msg->max_size > MAX_SIZE_MIN)
		limit = (size_t)msg->max_size - IP_UDP_LEN;
	if (cfg->mtu >= MAX_SIZE_MIN && limit > cfg->mtu - IP_UDP_LEN)
		limit = cfg->mtu - IP_UDP_LEN;
	return (limit > cap ? cap : limit);
}

size_t
dhcp_answer(const struct dhcp_config *cfg, const uint8_t *payload, size_t len,
    const uint8_t src_mac[6], uint8_t *reply, size_t cap,
    struct dhcp_info *info)
{
	struct dhcp_message msg;
	struct cursor_out out;

	memset(info, 0, sizeof(*info));
	info->error = dhcp_message_parse(payload, len, src_mac, &msg);
	if (info->error != DHCP_E_OK)
		return (0);
	info->type = msg.type;
	info->error = decide(cfg, &msg, &info->reply_type);
	if (info->error != DHCP_E_OK || info->reply_type == 0)
		return (0);
	if (cap < DHCP_REPLY_MIN) {
		info->reply_type = 0;
		info->error = DHCP_E_SPACE;
		return (0);
	}
	set_destination(cfg, &msg, info);

	cursor_out_init(&out, reply, reply_limit(cfg, &msg, cap));
	put_fixed(&out, cfg, &msg, info->reply_type);
	put_option_u8(&out, DHCP_OPT_TYPE, info->reply_type);
	put_option_be32(&out, DHCP_OPT_SERVER, cfg->gateway_ip);
	if (info->reply_type != DHCP_NAK)
		put_lease(&out, cfg, &msg);
	else if (msg.client_id_len > 0)
		put_option(&out, DHCP_OPT_CLIENT_ID, msg.client_id,
		    msg.client_id_len);
	cursor_out_u8(&out, DHCP_OPT_END);
	if (out.len < MESSAGE_MIN)
		cursor_out_zero(&out, MESSAGE_MIN - out.len);
	return (out.len);
}

const char *
dhcp_error_name(enum dhcp_error error)
{
	static const char *const names[] = {
#define X(name, counter) counter,
		DHCP_ERRORS(X)
#undef X
	};
	_Static_assert(sizeof(names) / sizeof(names[0]) == DHCP_NERRORS,
	    "a name for every error");

	if ((unsigned int)error >= DHCP_NERRORS)
		return ("?");
	return (names[error]);
}
