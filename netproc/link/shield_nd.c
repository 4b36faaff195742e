#include "netproc/link/shield_check.h"

#include <netinet/in.h>

#include "ipc/cursor.h"
#include "netproc/link/checksum.h"

/*
 * Neighbour discovery as a host may say it: RFC 4861 6.1.1, 7.1.1 and 7.1.2.
 * Router advertisements and redirects are a router's, and this one has no
 * router behind it.
 */

#define ROUTER_SOLICIT	   133
#define NEIGHBOUR_SOLICIT  135
#define NEIGHBOUR_ADVERT   136
#define ND_HOP_LIMIT	   255 /* proves that no router has passed it on */
#define ADVERT_SOLICITED   0x40000000u
#define OPTION_SOURCE_LINK 1
#define OPTION_TARGET_LINK 2

/* ff02::1:ff00:0/104 and the last 24 bits of addr, RFC 4291 2.7.1. */
static int
is_solicited_node(const uint8_t dst[16], const uint8_t addr[16])
{
	static const uint8_t prefix[13] = { 0xff, 2, [11] = 1, [12] = 0xff };

	return (memcmp(dst, prefix, sizeof(prefix)) == 0 &&
	    memcmp(dst + 13, addr + 13, 3) == 0);
}

static int
checksum_is_right(struct cursor message, const struct shield_frame *out)
{
	struct checksum sum;

	checksum_init(&sum);
	checksum_pseudo6(&sum, out->src6, out->dst6, IPPROTO_ICMPV6,
	    (uint32_t)message.left);
	checksum_add(&sum, message.at, message.left);
	return (checksum_finish(&sum) == 0);
}

/* Sets *has_source if one names the sender's MAC. */
static enum shield_verdict
check_options(struct cursor c, const struct shield_frame *out, int *has_source)
{
	struct cursor value;
	uint8_t type, units;

	*has_source = 0;
	while (c.left > 0) {
		type = cursor_u8(&c);
		units = cursor_u8(&c);
		if (c.error || units == 0)
			return (SHIELD_ND_MALFORMED);
		value = cursor_sub(&c, units * (size_t)8 - 2);
		if (c.error)
			return (SHIELD_ND_MALFORMED);
		if (type != OPTION_SOURCE_LINK && type != OPTION_TARGET_LINK)
			continue;
		if (value.left != 6)
			return (SHIELD_ND_MALFORMED);
		if (memcmp(value.at, out->src_mac, 6) != 0)
			return (SHIELD_ND_FOREIGN);
		*has_source |= type == OPTION_SOURCE_LINK;
	}
	return (SHIELD_UNDECIDED);
}

static enum shield_verdict
check_addresses(const struct shield_config *cfg, const struct shield_frame *out)
{
	int group = shield_is_multicast6(out->dst6);

	/* Who has no address yet asks, and says nothing else. */
	if (!shield_is_guest6(out->src6, cfg) &&
	    !(shield_is_unspecified6(out->src6) &&
		out->icmp_type != NEIGHBOUR_ADVERT))
		return (SHIELD_FOREIGN_IP);
	if (group && (out->dst6[1] & 0xf) != 2) /* beyond the link */
		return (SHIELD_GROUP_DST);
	if (!group && !out->to_gateway)
		return (SHIELD_SELF_DST);
	if (!group && out->group_dst)
		return (SHIELD_GROUP_DST_MAC);
	return (SHIELD_UNDECIDED);
}

static enum shield_verdict
check_solicit(const struct shield_config *cfg, int has_source,
    struct shield_frame *out)
{
	int unspecified = shield_is_unspecified6(out->src6);

	if (shield_is_multicast6(out->nd_target) ||
	    shield_is_unspecified6(out->nd_target))
		return (SHIELD_ND_MALFORMED);
	if (unspecified &&
	    (has_source || !is_solicited_node(out->dst6, out->nd_target)))
		return (SHIELD_ND_MALFORMED);
	/* From ::, its answer says that it is taken (RFC 4862 5.4.3). */
	out->nd_for_gateway = (uint8_t)shield_is_gateway6(out->nd_target, cfg);
	return (SHIELD_ND);
}

static enum shield_verdict
check_advert(const struct shield_config *cfg, uint32_t flags,
    const struct shield_frame *out)
{
	if (shield_is_multicast6(out->nd_target) ||
	    (shield_is_multicast6(out->dst6) &&
		(flags & ADVERT_SOLICITED) != 0))
		return (SHIELD_ND_MALFORMED);
	if (shield_is_gateway6(out->nd_target, cfg))
		return (SHIELD_ND_GATEWAY);
	if (!shield_is_guest6(out->nd_target, cfg))
		return (SHIELD_ND_FOREIGN);
	return (SHIELD_ND);
}

enum shield_verdict
shield_nd(struct cursor c, const struct shield_config *cfg,
    struct shield_frame *out)
{
	enum shield_verdict verdict;
	struct cursor message = c;
	uint32_t flags;
	int has_source;

	if (out->icmp_type != ROUTER_SOLICIT &&
	    out->icmp_type != NEIGHBOUR_SOLICIT &&
	    out->icmp_type != NEIGHBOUR_ADVERT)
		return (SHIELD_ICMP6_TYPE);
	cursor_skip(&c, 4); /* type, code, checksum */
	flags = cursor_be32(&c);
	if (out->icmp_type != ROUTER_SOLICIT)
		cursor_copy(&c, out->nd_target, sizeof(out->nd_target));
	if (c.error || out->ttl != ND_HOP_LIMIT || out->icmp_code != 0 ||
	    !checksum_is_right(message, out))
		return (SHIELD_ND_MALFORMED);
	verdict = check_addresses(cfg, out);
	if (verdict == SHIELD_UNDECIDED)
		verdict = check_options(c, out, &has_source);
	if (verdict != SHIELD_UNDECIDED)
		return (verdict);
	switch (out->icmp_type) {
	case NEIGHBOUR_SOLICIT:
		return (check_solicit(cfg, has_source, out));
	case NEIGHBOUR_ADVERT:
		return (check_advert(cfg, flags, out));
	default:
		if (has_source && shield_is_unspecified6(out->src6))
			return (SHIELD_ND_MALFORMED);
		return (SHIELD_ND);
	}
}
