#include "netproc/link/shield.h"

#include <netinet/in.h>

#include "ipc/cursor.h"
#include "netproc/link/checksum.h"

/*
 * Each check_* takes what is left of the frame, one header further in than
 * its caller, and returns a verdict, or UNDECIDED where a later check has the
 * last word.  Headers are copied out of the cursor before anything in them is
 * believed.
 */
#define UNDECIDED SHIELD_NVERDICTS

#define ETHER_LEN 14

#define ETHERTYPE_IP4	0x0800
#define ETHERTYPE_ARP	0x0806
#define ETHERTYPE_VLAN	0x8100 /* IEEE 802.1Q */
#define ETHERTYPE_QINQ	0x88a8 /* IEEE 802.1ad */
#define ETHERTYPE_QINQ1 0x9100 /* what was used before 802.1ad */
#define ETHERTYPE_IP6	0x86dd

/* RFC 826 */
#define ARP_LEN	    28
#define ARP_ETHER   1
#define ARP_REQUEST 1
#define ARP_REPLY   2

#define IP4_LEN		  20
#define IP4_MF_AND_OFFS	  0x3fff /* more fragments, fragment offset */
#define IP4_BROADCAST	  0xffffffffu
#define IP4_MULTICAST(ip) ((ip) >> 28 == 0xe)

#define TCP_LEN		20
#define TCP_FLAGS_KNOWN 0x3f /* those of RFC 793; ECN has the other two */

/* RFC 9293 3.2, RFC 7323, RFC 2018 */
#define TCPOPT_END   0
#define TCPOPT_NOP   1
#define TCPOPT_MSS   2
#define TCPOPT_SCALE 3
#define TCPOPT_SACKP 4
#define TCPOPT_SACK  5
#define TCPOPT_TIME  8

#define UDP_LEN	 8
#define ICMP_LEN 8

#define BOOTP_SERVER 67
#define BOOTP_CLIENT 68

static enum shield_verdict
check_macs(const uint8_t *dst_mac, const struct shield_config *cfg,
    struct shield_frame *out)
{
	static const uint8_t zero[6];
	const uint8_t *src_mac = out->src_mac;

	if ((src_mac[0] & 1) != 0 || memcmp(src_mac, zero, 6) == 0)
		return (SHIELD_GROUP_SRC_MAC);
	if (memcmp(src_mac, cfg->gateway_mac, 6) == 0)
		return (SHIELD_FOREIGN_MAC);
	if (cfg->guest_mac_known && memcmp(src_mac, cfg->guest_mac, 6) != 0)
		return (SHIELD_FOREIGN_MAC);
	out->group_dst = dst_mac[0] & 1;
	if (!out->group_dst && memcmp(dst_mac, cfg->gateway_mac, 6) != 0)
		return (SHIELD_FOREIGN_DST_MAC);
	return (UNDECIDED);
}

static enum shield_verdict
check_arp(struct cursor c, const struct shield_config *cfg,
    struct shield_frame *out)
{
	const uint8_t *sender_mac;
	uint16_t hardware, protocol, lengths, operation;

	if (c.left > cfg->mtu)
		return (SHIELD_LONG_FRAME);
	hardware = cursor_be16(&c);
	protocol = cursor_be16(&c);
	lengths = cursor_be16(&c);
	operation = cursor_be16(&c);
	sender_mac = cursor_bytes(&c, 6);
	out->src_ip = cursor_be32(&c);
	cursor_skip(&c, 6);
	out->dst_ip = cursor_be32(&c);
	if (c.error || hardware != ARP_ETHER || protocol != ETHERTYPE_IP4 ||
	    lengths != 0x0604 ||
	    (operation != ARP_REQUEST && operation != ARP_REPLY))
		return (SHIELD_ARP_MALFORMED);
	if (out->src_ip == cfg->gateway_ip)
		return (SHIELD_ARP_GATEWAY);
	if (memcmp(sender_mac, out->src_mac, 6) != 0)
		return (SHIELD_ARP_FOREIGN);
	/* A probe (RFC 5227) does not say who sends it. */
	if (out->src_ip != cfg->guest_ip &&
	    !(out->src_ip == 0 && operation == ARP_REQUEST))
		return (SHIELD_ARP_FOREIGN);
	out->l3_len = ARP_LEN;
	return (SHIELD_ARP);
}

/* One option behind its kind and length; value is its body alone. */
static enum shield_verdict
check_tcp_option(uint8_t kind, struct cursor value, struct shield_frame *out)
{
	size_t len = value.left;
	int fits = 1;

	switch (kind) {
	case TCPOPT_MSS:
		/* In a later segment it would change lwIP's MSS in mid-flow. */
		if (len != 2 || (out->tcp_flags & SHIELD_TCP_SYN) == 0)
			return (SHIELD_TCP_OPTIONS);
		out->tcp_mss = cursor_be16(&value);
		if (out->tcp_mss < SHIELD_MSS_MIN)
			return (SHIELD_TCP_MSS);
		break;
	case TCPOPT_SCALE:
		fits = len == 1;
		break;
	case TCPOPT_SACKP:
		fits = len == 0;
		break;
	case TCPOPT_SACK:
		fits = len >= 8 && len % 8 == 0;
		break;
	case TCPOPT_TIME:
		fits = len == 8;
		break;
	default:
		break;
	}
	return (fits ? UNDECIDED : SHIELD_TCP_OPTIONS);
}

static enum shield_verdict
check_tcp_options(struct cursor c, struct shield_frame *out)
{
	enum shield_verdict verdict = UNDECIDED;
	struct cursor value;
	uint8_t kind, len;

	while (c.left > 0 && verdict == UNDECIDED) {
		kind = cursor_u8(&c);
		if (kind == TCPOPT_END)
			break;
		if (kind == TCPOPT_NOP)
			continue;
		len = cursor_u8(&c);
		if (c.error || len < 2)
			return (SHIELD_TCP_OPTIONS);
		value = cursor_sub(&c, (size_t)len - 2);
		if (c.error)
			return (SHIELD_TCP_OPTIONS);
		verdict = check_tcp_option(kind, value, out);
	}
	return (verdict);
}

/*
 * Flags that no TCP sends together; lwIP takes some of them for a SYN.  Every
 * other combination is for its state machine.
 */
static int
tcp_flags_are_absurd(uint8_t flags)
{
	if ((flags & TCP_FLAGS_KNOWN) == 0)
		return (1);
	return ((flags & SHIELD_TCP_SYN) != 0 &&
	    (flags & (SHIELD_TCP_FIN | SHIELD_TCP_RST)) != 0);
}

static enum shield_verdict
check_tcp(struct cursor c, struct shield_frame *out)
{
	enum shield_verdict verdict;
	struct cursor options;

	if (c.left < TCP_LEN)
		return (SHIELD_TCP_SHORT);
	out->sport = cursor_be16(&c);
	out->dport = cursor_be16(&c);
	out->tcp_seq = cursor_be32(&c);
	out->tcp_ack = cursor_be32(&c);
	out->tcp_header_len = (uint16_t)((cursor_u8(&c) >> 4) * 4);
	out->tcp_flags = cursor_u8(&c);
	cursor_skip(&c, 6); /* window, checksum, urgent pointer: lwIP's */
	if (out->tcp_header_len < TCP_LEN || out->tcp_header_len > out->l4_len)
		return (SHIELD_TCP_OFFSET);
	if (out->sport == 0 || out->dport == 0)
		return (SHIELD_PORT_ZERO);
	if (tcp_flags_are_absurd(out->tcp_flags))
		return (SHIELD_TCP_FLAGS);
	out->tcp_mss = SHIELD_MSS_DEFAULT;
	options = cursor_sub(&c, (size_t)out->tcp_header_len - TCP_LEN);
	verdict = check_tcp_options(options, out);
	if (verdict != UNDECIDED)
		return (verdict);
	out->payload_off = out->l4_off + out->tcp_header_len;
	out->payload_len = c.left;
	return (SHIELD_TCP);
}

static enum shield_verdict
check_udp(struct cursor c, struct shield_frame *out)
{
	uint16_t len;

	if (c.left < UDP_LEN)
		return (SHIELD_UDP_SHORT);
	out->sport = cursor_be16(&c);
	out->dport = cursor_be16(&c);
	len = cursor_be16(&c);
	if (len < UDP_LEN || len > out->l4_len)
		return (SHIELD_UDP_LENGTH);
	if (out->sport == 0 || out->dport == 0)
		return (SHIELD_PORT_ZERO);
	/* Bytes behind it are legal (RFC 9868), and nobody's payload. */
	out->l4_len = len;
	out->payload_off = out->l4_off + UDP_LEN;
	out->payload_len = (size_t)len - UDP_LEN;
	return (SHIELD_UDP);
}

static enum shield_verdict
check_icmp(const struct shield_config *cfg, struct shield_frame *out)
{
	if (out->l4_len < ICMP_LEN)
		return (SHIELD_ICMP_SHORT);
	if (out->l3_len > cfg->mtu)
		return (SHIELD_LONG_FRAME);
	out->payload_off = out->l4_off + ICMP_LEN;
	out->payload_len = out->l4_len - ICMP_LEN;
	return (SHIELD_ICMP);
}

static int
is_broadcast(uint32_t ip, const struct shield_config *cfg)
{
	return (ip == IP4_BROADCAST ||
	    (cfg->broadcast_ip != 0 && ip == cfg->broadcast_ip));
}

/* The one thing that a guest may say before it has its address. */
static int
is_dhcp(struct cursor c, uint8_t protocol, const struct shield_config *cfg,
    const struct shield_frame *out)
{
	uint16_t sport = cursor_be16(&c), dport = cursor_be16(&c);

	return (protocol == IPPROTO_UDP && sport == BOOTP_CLIENT &&
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
	return (UNDECIDED);
}

/* Reads the IP header at c, whose bytes are header for the checksum. */
static enum shield_verdict
check_ip4_header(struct cursor c, uint8_t *protocol, struct shield_frame *out)
{
	const uint8_t *header = c.at;
	size_t left = c.left, header_len;
	uint16_t offset;
	uint8_t first;

	first = cursor_u8(&c);
	cursor_skip(&c, 1); /* DSCP and ECN */
	out->l3_len = cursor_be16(&c);
	cursor_skip(&c, 2); /* identification */
	offset = cursor_be16(&c);
	cursor_skip(&c, 1); /* TTL */
	*protocol = cursor_u8(&c);
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
	if ((offset & IP4_MF_AND_OFFS) != 0)
		return (SHIELD_FRAGMENT);
	return (UNDECIDED);
}

static enum shield_verdict
check_ip4(struct cursor c, const struct shield_config *cfg,
    struct shield_frame *out)
{
	enum shield_verdict verdict;
	struct cursor l4;
	uint8_t protocol;
	int dhcp;

	verdict = check_ip4_header(c, &protocol, out);
	if (verdict != UNDECIDED)
		return (verdict);
	cursor_skip(&c, IP4_LEN);
	out->l4_off = out->l3_off + IP4_LEN;
	out->l4_len = out->l3_len - IP4_LEN;
	l4 = cursor_sub(&c, out->l4_len);

	dhcp = is_dhcp(l4, protocol, cfg, out);
	if (!dhcp)
		verdict = check_addresses(cfg, out);
	if (verdict != UNDECIDED)
		return (verdict);

	switch (protocol) {
	case IPPROTO_TCP:
		return (check_tcp(l4, out));
	case IPPROTO_UDP:
		verdict = check_udp(l4, out);
		return (verdict == SHIELD_UDP && dhcp ? SHIELD_DHCP : verdict);
	case IPPROTO_ICMP:
		return (check_icmp(cfg, out));
	default:
		return (SHIELD_PROTOCOL);
	}
}

static enum shield_verdict
check_frame(const uint8_t *frame, size_t len, const struct shield_config *cfg,
    struct shield_frame *out)
{
	enum shield_verdict verdict;
	const uint8_t *dst_mac;
	struct cursor c;
	uint16_t ethertype;

	if (len < ETHER_LEN)
		return (SHIELD_SHORT_FRAME);
	cursor_init(&c, frame, len);
	dst_mac = cursor_bytes(&c, 6);
	cursor_copy(&c, out->src_mac, 6);
	ethertype = cursor_be16(&c);
	out->l3_off = ETHER_LEN;
	if (len > SHIELD_FRAME_MAX)
		return (SHIELD_LONG_FRAME);
	verdict = check_macs(dst_mac, cfg, out);
	if (verdict != UNDECIDED)
		return (verdict);

	switch (ethertype) {
	case ETHERTYPE_IP4:
		return (check_ip4(c, cfg, out));
	case ETHERTYPE_ARP:
		return (check_arp(c, cfg, out));
	case ETHERTYPE_IP6:
		return (SHIELD_IP6);
	case ETHERTYPE_VLAN:
	case ETHERTYPE_QINQ:
	case ETHERTYPE_QINQ1:
		return (SHIELD_VLAN);
	default:
		return (SHIELD_ETHERTYPE);
	}
}

enum shield_verdict
shield_check(const uint8_t *frame, size_t len, const struct shield_config *cfg,
    struct shield_frame *out)
{
	enum shield_verdict verdict;
	uint8_t src_mac[6];

	memset(out, 0, sizeof(*out));
	verdict = check_frame(frame, len, cfg, out);
	if (!SHIELD_IS_PASS(verdict)) {
		memcpy(src_mac, out->src_mac, sizeof(src_mac));
		memset(out, 0, sizeof(*out));
		memcpy(out->src_mac, src_mac, sizeof(src_mac));
	}
	return (verdict);
}

const char *
shield_name(enum shield_verdict verdict)
{
	static const char *const names[] = {
#define X(name, counter) counter,
		SHIELD_PASSES(X) SHIELD_DROPS(X)
#undef X
	};
	_Static_assert(sizeof(names) / sizeof(names[0]) == SHIELD_NVERDICTS,
	    "a name for every verdict");

	if ((unsigned int)verdict >= SHIELD_NVERDICTS)
		return ("?");
	return (names[verdict]);
}
