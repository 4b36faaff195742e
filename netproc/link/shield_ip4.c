#include "netproc/link/shield_check.h"

#include <netinet/in.h>

#include "ipc/cursor.h"
#include "netproc/link/checksum.h"

#define IP4_LEN		  20
#define IP4_DF		  0x4000 /* do not fragment */
#define IP4_MF		  0x2000 /* more fragments */
#define IP4_OFFSET	  0x1fff /* in units of 8 bytes */
#define IP4_BROADCAST	  0xffffffffu
#define IP4_MULTICAST(ip) ((ip) >> 28 == 0xe)

#define ICMP_ECHO 8 /* RFC 792 */

#define BOOTP_SERVER 67
#define BOOTP_CLIENT 68

static int
is_broadcast(uint32_t ip, const struct shield_config *cfg)
{
	return (ip == IP4_BROADCAST ||
	    (cfg->broadcast_ip != 0 && ip == cfg->broadcast_ip));
}

/* The one thing that a guest may say before it has its address. */
static int
is_dhcp(struct cursor c, const struct shield_config *cfg,
    const struct shield_frame *out)
{
	uint16_t sport = cursor_be16(&c), dport = cursor_be16(&c);

	return (out->protocol == IPPROTO_UDP && sport == BOOTP_CLIENT &&
	    dport == BOOTP_SERVER &&
	    (out->src_ip == 0 || out->src_ip == cfg->guest_ip) &&
	    (out->dst_ip == cfg->gateway_ip || is_broadcast(out->dst_ip, cfg)));
}

static enum shield_verdict
check_addresses(const struct shield_config *cfg, const struct shield_frame *out)
{
	if (out->src_ip != cfg->guest_ip)
		return (SHIELD_FOREIGN_IP);
	if (out->dst_ip == 0 || IP4_MULTICAST(out->dst_ip) ||
	    is_broadcast(out->dst_ip, cfg))
		return (SHIELD_GROUP_DST);
	if (out->dst_ip == cfg->guest_ip)
		return (SHIELD_SELF_DST);
	if (out->group_dst) /* RFC 1122 3.3.6 */
		return (SHIELD_GROUP_DST_MAC);
	return (SHIELD_UNDECIDED);
}

/* Reads the IP header at c, whose bytes are header for the checksum. */
static enum shield_verdict
check_header(struct cursor c, struct shield_frame *out)
{
	const uint8_t *header = c.at;
	size_t left = c.left, header_len;
	uint16_t offset;
	uint8_t first;

	first = cursor_u8(&c);
	cursor_skip(&c, 1); /* DSCP and ECN */
	out->l3_len = cursor_be16(&c);
	out->frag_id = cursor_be16(&c);
	offset = cursor_be16(&c);
	out->ttl = cursor_u8(&c);
	out->protocol = cursor_u8(&c);
	cursor_skip(&c, 2); /* checksum */
	out->src_ip = cursor_be32(&c);
	out->dst_ip = cursor_be32(&c);
	if (c.error)
		return (SHIELD_IP_SHORT);
	header_len = (first & 0xfu) * 4u;
	if (first >> 4 != 4)
		return (SHIELD_IP_VERSION);
	if (header_len < IP4_LEN || header_len > left)
		return (SHIELD_IP_HEADER);
	if (header_len > IP4_LEN)
		return (SHIELD_IP_OPTIONS);
	if (out->l3_len < IP4_LEN || out->l3_len > left)
		return (SHIELD_IP_LENGTH);
	if (checksum_of(header, IP4_LEN) != 0)
		return (SHIELD_IP_CHECKSUM);
	out->df = (offset & IP4_DF) != 0;
	out->frag_more = (offset & IP4_MF) != 0;
	out->frag_off = (offset & IP4_OFFSET) * 8u;
	return (SHIELD_UNDECIDED);
}

static enum shield_verdict
check_fragment(const struct shield_config *cfg, struct shield_frame *out)
{
	enum shield_verdict verdict;

	verdict = check_addresses(cfg, out);
	if (verdict == SHIELD_UNDECIDED)
		verdict = shield_fragment(IP4_LEN, out);
	if (verdict != SHIELD_UNDECIDED)
		return (verdict);
	switch (out->protocol) {
	case IPPROTO_TCP:
	case IPPROTO_UDP:
	case IPPROTO_ICMP:
		return (SHIELD_FRAGMENT);
	default:
		return (SHIELD_PROTOCOL);
	}
}

enum shield_verdict
shield_ip4(struct cursor c, const struct shield_config *cfg,
    struct shield_frame *out)
{
	enum shield_verdict verdict;
	struct cursor l4;
	int dhcp;

	out->version = 4;
	verdict = check_header(c, out);
	if (verdict != SHIELD_UNDECIDED)
		return (verdict);
	cursor_skip(&c, IP4_LEN);
	out->l4_off = out->l3_off + IP4_LEN;
	out->l4_len = out->l3_len - IP4_LEN;
	out->to_gateway = out->dst_ip == cfg->gateway_ip;
	if (out->frag_more || out->frag_off != 0)
		return (check_fragment(cfg, out));

	l4 = cursor_sub(&c, out->l4_len);
	dhcp = is_dhcp(l4, cfg, out);
	if (!dhcp)
		verdict = check_addresses(cfg, out);
	if (verdict != SHIELD_UNDECIDED)
		return (verdict);

	switch (out->protocol) {
	case IPPROTO_TCP:
		return (shield_tcp(l4, out));
	case IPPROTO_UDP:
		verdict = shield_udp(l4, out);
		return (verdict == SHIELD_UDP && dhcp ? SHIELD_DHCP : verdict);
	case IPPROTO_ICMP:
		verdict = shield_icmp(l4, cfg, ICMP_ECHO, out);
		return (verdict == SHIELD_UNDECIDED ? SHIELD_ICMP : verdict);
	default:
		return (SHIELD_PROTOCOL);
	}
}
