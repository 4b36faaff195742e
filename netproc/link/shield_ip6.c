#include "netproc/link/shield_check.h"

#include <netinet/in.h>

#include "ipc/cursor.h"

#define IP6_LEN	     40
#define FRAGMENT_LEN 8	    /* RFC 8200 4.5 */
#define FRAGMENT_MF  0x0001 /* more fragments */
#define FRAGMENT_OFF 0xfff8 /* in bytes */

/* Extension headers that netinet/in.h has no name for (IANA). */
#define NEXT_MOBILITY 135
#define NEXT_HIP      139
#define NEXT_SHIM6    140

/* RFC 4443 2.1, 4; RFC 4861 4; RFC 2710 3; RFC 3810 5.2 */
#define ICMP6_INFORMATION 128 /* lower types are errors */
#define ICMP6_UNREACH	  1   /* a firewall's refusal */
#define ICMP6_ECHO	  128
#define MLD_QUERY	  130
#define MLD_REPORT	  131
#define MLD_DONE	  132
#define ND_FIRST	  133 /* router solicitation */
#define ND_LAST		  137 /* redirect */
#define MLD2_REPORT	  143

/* RFC 8415 7.1, 7.2 */
#define DHCP6_CLIENT 546
#define DHCP6_SERVER 547
static const uint8_t dhcp6_servers[16] = { 0xff, 0x02, [13] = 1, [15] = 2 };

int
shield_is_gateway6(const uint8_t addr[16], const struct shield_config *cfg)
{
	return (memcmp(addr, cfg->gateway_ip6, 16) == 0 ||
	    memcmp(addr, cfg->gateway_ll6, 16) == 0);
}

int
shield_is_multicast6(const uint8_t addr[16])
{
	return (addr[0] == 0xff);
}

int
shield_is_unspecified6(const uint8_t addr[16])
{
	static const uint8_t unspecified[16];

	return (memcmp(addr, unspecified, sizeof(unspecified)) == 0);
}

/* RFC 4291 2.5.6 */
static int
is_link_local(const uint8_t addr[16])
{
	return (addr[0] == 0xfe && (addr[1] & 0xc0) == 0x80);
}

static int
in_prefix(const uint8_t addr[16], const struct shield_config *cfg)
{
	const size_t bits = cfg->prefix_len6 > 128 ? 128 : cfg->prefix_len6,
		     whole = bits / 8, rest = bits % 8;
	const unsigned int mask = 0xff00u >> rest & 0xff;

	if (memcmp(addr, cfg->prefix6, whole) != 0)
		return (0);
	return (rest == 0 || ((addr[whole] ^ cfg->prefix6[whole]) & mask) == 0);
}

int
shield_is_guest6(const uint8_t addr[16], const struct shield_config *cfg)
{
	return (!shield_is_multicast6(addr) && !shield_is_unspecified6(addr) &&
	    !shield_is_gateway6(addr, cfg) &&
	    (is_link_local(addr) || in_prefix(addr, cfg)));
}

static enum shield_verdict
check_addresses(const struct shield_config *cfg, const struct shield_frame *out)
{
	if (!shield_is_guest6(out->src6, cfg))
		return (SHIELD_FOREIGN_IP);
	if (shield_is_multicast6(out->dst6) ||
	    shield_is_unspecified6(out->dst6))
		return (SHIELD_GROUP_DST);
	if (shield_is_guest6(out->dst6, cfg))
		return (SHIELD_SELF_DST);
	if (out->group_dst)
		return (SHIELD_GROUP_DST_MAC);
	if (!out->to_gateway && is_link_local(out->src6))
		return (SHIELD_LINK_LOCAL); /* RFC 4291 2.5.6 */
	return (SHIELD_UNDECIDED);
}

static int
is_dhcp6(struct cursor c, const struct shield_config *cfg,
    const struct shield_frame *out)
{
	uint16_t sport = cursor_be16(&c), dport = cursor_be16(&c);

	return (out->protocol == IPPROTO_UDP && sport == DHCP6_CLIENT &&
	    dport == DHCP6_SERVER && shield_is_guest6(out->src6, cfg) &&
	    (out->to_gateway ||
		memcmp(out->dst6, dhcp6_servers, sizeof(dhcp6_servers)) == 0));
}

static int
is_mld(uint8_t type)
{
	return (type == MLD_QUERY || type == MLD_REPORT || type == MLD_DONE ||
	    type == MLD2_REPORT);
}

/*
 * Multicast listeners announce themselves behind a router alert (RFC 2710 3),
 * all the time: they are told from what nobody should send.
 */
static enum shield_verdict
check_hop_by_hop(struct cursor c)
{
	uint8_t next, units, type;

	next = cursor_u8(&c);
	units = cursor_u8(&c);
	cursor_skip(&c, units * 8u + 6u);
	type = cursor_u8(&c);
	if (!c.error && next == IPPROTO_ICMPV6 && is_mld(type))
		return (SHIELD_MLD);
	return (SHIELD_IP6_EXTENSION);
}

static enum shield_verdict
check_fragment(struct cursor c, const struct shield_config *cfg,
    struct shield_frame *out)
{
	enum shield_verdict verdict;
	uint16_t offset;
	uint8_t type;

	out->protocol = cursor_u8(&c);
	cursor_skip(&c, 1); /* reserved */
	offset = cursor_be16(&c);
	out->frag_id = cursor_be32(&c);
	if (c.error)
		return (SHIELD_FRAGMENT_SHORT);
	out->frag_off = offset & FRAGMENT_OFF;
	out->frag_more = offset & FRAGMENT_MF;
	out->df = 0;
	out->l4_off += FRAGMENT_LEN;
	out->l4_len = c.left;
	verdict = check_addresses(cfg, out);
	if (verdict == SHIELD_UNDECIDED)
		verdict = shield_fragment(0, out);
	if (verdict != SHIELD_UNDECIDED)
		return (verdict);
	switch (out->protocol) {
	case IPPROTO_TCP:
	case IPPROTO_UDP:
		return (SHIELD_FRAGMENT6);
	case IPPROTO_ICMPV6:
		type = cursor_u8(&c);
		if (out->frag_off == 0 && type >= ND_FIRST && type <= ND_LAST)
			return (SHIELD_FRAGMENT_ND); /* RFC 6980 5 */
		return (SHIELD_FRAGMENT6);
	default:
		return (SHIELD_IP6_EXTENSION);
	}
}

static enum shield_verdict
check_icmp6(struct cursor c, const struct shield_config *cfg,
    struct shield_frame *out)
{
	enum shield_verdict verdict;

	verdict = shield_icmp(c, cfg, ICMP6_ECHO, out);
	if (verdict != SHIELD_UNDECIDED)
		return (verdict);
	if (out->icmp_type >= ND_FIRST && out->icmp_type <= ND_LAST)
		return (shield_nd(c, cfg, out));
	if (is_mld(out->icmp_type))
		return (SHIELD_MLD);
	verdict = check_addresses(cfg, out);
	if (verdict != SHIELD_UNDECIDED)
		return (verdict);
	if (out->icmp_type < ICMP6_INFORMATION &&
	    out->icmp_type != ICMP6_UNREACH)
		return (SHIELD_ICMP6_ERROR);
	if (out->icmp_type != ICMP6_ECHO && out->icmp_type != ICMP6_UNREACH)
		return (SHIELD_ICMP6_TYPE);
	return (SHIELD_ICMP6);
}

static enum shield_verdict
check_udp(struct cursor c, const struct shield_config *cfg,
    struct shield_frame *out)
{
	enum shield_verdict verdict;

	if (is_dhcp6(c, cfg, out)) {
		verdict = shield_udp(c, out);
		return (verdict == SHIELD_UDP ? SHIELD_DHCP6 : verdict);
	}
	verdict = check_addresses(cfg, out);
	return (verdict == SHIELD_UNDECIDED ? shield_udp(c, out) : verdict);
}

static enum shield_verdict
check_next(struct cursor c, const struct shield_config *cfg,
    struct shield_frame *out)
{
	enum shield_verdict verdict;

	switch (out->protocol) {
	case IPPROTO_TCP:
		verdict = check_addresses(cfg, out);
		return (verdict == SHIELD_UNDECIDED ? shield_tcp(c, out) :
						      verdict);
	case IPPROTO_UDP:
		return (check_udp(c, cfg, out));
	case IPPROTO_ICMPV6:
		return (check_icmp6(c, cfg, out));
	case IPPROTO_FRAGMENT:
		return (check_fragment(c, cfg, out));
	case IPPROTO_HOPOPTS:
		return (check_hop_by_hop(c));
	case IPPROTO_ROUTING:
	case IPPROTO_DSTOPTS:
	case IPPROTO_ESP:
	case IPPROTO_AH:
	case NEXT_MOBILITY:
	case NEXT_HIP:
	case NEXT_SHIM6:
		return (SHIELD_IP6_EXTENSION);
	default:
		return (SHIELD_PROTOCOL);
	}
}

enum shield_verdict
shield_ip6(struct cursor c, const struct shield_config *cfg,
    struct shield_frame *out)
{
	struct cursor payload;
	uint32_t first;

	out->version = 6;
	first = cursor_be32(&c); /* version, traffic class, flow label */
	out->l4_len = cursor_be16(&c);
	out->protocol = cursor_u8(&c);
	out->ttl = cursor_u8(&c);
	cursor_copy(&c, out->src6, sizeof(out->src6));
	cursor_copy(&c, out->dst6, sizeof(out->dst6));
	if (c.error)
		return (SHIELD_IP_SHORT);
	if (first >> 28 != 6)
		return (SHIELD_IP_VERSION);
	payload = cursor_sub(&c, out->l4_len);
	if (c.error)
		return (SHIELD_IP_LENGTH);
	out->df = 1;
	out->l3_len = IP6_LEN + out->l4_len;
	out->l4_off = out->l3_off + IP6_LEN;
	out->to_gateway = (uint8_t)shield_is_gateway6(out->dst6, cfg);
	return (check_next(payload, cfg, out));
}
