#include "netproc/link/shield_check.h"

#include "ipc/cursor.h"

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

/*
 * lwIP counts a segment and its header in 16 bits.  No guest sends more: that
 * takes a jumbogram, or IPv6 fragments of a segment.
 */
#define TCP_PACKET_MAX 65535

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
	return (fits ? SHIELD_UNDECIDED : SHIELD_TCP_OPTIONS);
}

static enum shield_verdict
check_tcp_options(struct cursor c, struct shield_frame *out)
{
	enum shield_verdict verdict = SHIELD_UNDECIDED;
	struct cursor value;
	uint8_t kind, len;

	while (c.left > 0 && verdict == SHIELD_UNDECIDED) {
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
	return ((flags & SHIELD_TCP_SYN) != 0 &&
	    (flags & (SHIELD_TCP_FIN | SHIELD_TCP_RST)) != 0);
}

/* Of no connection that could be: it is owed a RST, and lwIP no look at it. */
static int
tcp_is_stray(const struct shield_frame *out)
{
	return (out->dport == 0 || (out->tcp_flags & TCP_FLAGS_KNOWN) == 0);
}

enum shield_verdict
shield_tcp(struct cursor c, struct shield_frame *out)
{
	enum shield_verdict verdict;
	struct cursor options;

	if (c.left < TCP_LEN)
		return (SHIELD_TCP_SHORT);
	if (out->l3_len > TCP_PACKET_MAX)
		return (SHIELD_LONG_FRAME);
	out->sport = cursor_be16(&c);
	out->dport = cursor_be16(&c);
	out->tcp_seq = cursor_be32(&c);
	out->tcp_ack = cursor_be32(&c);
	out->tcp_header_len = (uint16_t)((cursor_u8(&c) >> 4) * 4);
	out->tcp_flags = cursor_u8(&c);
	cursor_skip(&c, 6); /* window, checksum (nobody's), urgent pointer */
	if (out->tcp_header_len < TCP_LEN || out->tcp_header_len > out->l4_len)
		return (SHIELD_TCP_OFFSET);
	out->payload_off = out->l4_off + out->tcp_header_len;
	out->payload_len = out->l4_len - out->tcp_header_len;
	if (out->sport == 0)
		return (SHIELD_PORT_ZERO);
	if (tcp_flags_are_absurd(out->tcp_flags))
		return (SHIELD_TCP_FLAGS);
	if (tcp_is_stray(out))
		return (SHIELD_TCP_STRAY);
	out->tcp_mss = SHIELD_MSS_DEFAULT;
	options = cursor_sub(&c, (size_t)out->tcp_header_len - TCP_LEN);
	verdict = check_tcp_options(options, out);
	if (verdict != SHIELD_UNDECIDED)
		return (verdict);
	return (SHIELD_TCP);
}

enum shield_verdict
shield_udp(struct cursor c, struct shield_frame *out)
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

enum shield_verdict
shield_icmp(struct cursor c, const struct shield_config *cfg,
    uint8_t echo_request, struct shield_frame *out)
{
	if (c.left < ICMP_LEN)
		return (SHIELD_ICMP_SHORT);
	if (out->l3_len > cfg->mtu)
		return (SHIELD_LONG_FRAME);
	out->icmp_type = cursor_u8(&c);
	out->icmp_code = cursor_u8(&c);
	cursor_skip(&c, 2); /* checksum */
	if (out->icmp_type == echo_request)
		out->sport = cursor_be16(&c);
	out->payload_off = out->l4_off + ICMP_LEN;
	out->payload_len = out->l4_len - ICMP_LEN;
	return (SHIELD_UNDECIDED);
}

enum shield_verdict
shield_fragment(size_t header_len, struct shield_frame *out)
{
	if (out->l4_len == 0)
		return (SHIELD_FRAGMENT_SHORT);
	if (out->frag_more && out->l4_len % 8 != 0)
		return (SHIELD_FRAGMENT_LENGTH);
	if (header_len + out->frag_off + out->l4_len > UINT16_MAX)
		return (SHIELD_FRAGMENT_END);
	return (SHIELD_UNDECIDED);
}
