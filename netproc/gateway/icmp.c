#include "netproc/gateway/icmp.h"

#include <netinet/in.h>

#include "ipc/cursor.h"
#include "netproc/gateway/packet.h"
#include "netproc/link/checksum.h"

#define ICMP_LEN	    8
#define ICMP_CHECKSUM_OFF   2
#define ICMP_EMBED_LEN	    8 /* of what follows the IP header, RFC 792 */
#define IP4_OFFSET	    0x1fff
#define IP4_MULTICAST_BEGIN 0xe0000000u
#define IP4_MULTICAST_END   0xefffffffu
#define IP4_BROADCAST	    0xffffffffu
#define MTU4_MAX	    0xffff /* RFC 1191 4: it has 16 bits */

/* RFC 4443 2.1, 4 */
#define ICMP6_INFORMATION 128 /* lower types are errors */
#define ICMP6_REDIRECT	  137
#define IP6_MULTICAST	  0xff
#define IP6_SRC_OFF	  8
#define IP6_OFFSET	  0xfff8 /* RFC 8200 4.5 */

static const struct {
	uint8_t type, code, type6, code6;
} errors[] = {
#define X(name, type, code, type6, code6) { type, code, type6, code6 },
	ICMP_ERRORS(X)
#undef X
};
_Static_assert(sizeof(errors) / sizeof(errors[0]) == ICMP_NERRORS,
    "types and codes for every error");

/* Types about which an error may be sent: those that ask for something. */
static int
icmp_is_query(uint8_t type)
{
	switch (type) {
	case ICMP4_ECHO_REQUEST:
	case 13: /* timestamp */
	case 15: /* information */
	case 17: /* address mask, RFC 950 */
		return (1);
	default:
		return (0);
	}
}

/* For many; what lies between the two is reserved, and for one. */
static int
is_group4(uint32_t ip)
{
	return (ip == IP4_BROADCAST ||
	    (ip >= IP4_MULTICAST_BEGIN && ip <= IP4_MULTICAST_END));
}

/*
 * Length of the header and the bytes behind it to embed; 0 if the packet is
 * one about which no error is sent (RFC 1122 3.2.2).
 */
static size_t
embed_len4(const uint8_t *packet, size_t len, uint32_t *src_ip)
{
	struct cursor c;
	size_t header_len, total_len;
	uint32_t dst_ip;
	uint16_t offset;
	uint8_t first, protocol;

	cursor_init(&c, packet, len);
	first = cursor_u8(&c);
	cursor_skip(&c, 1);
	total_len = cursor_be16(&c);
	cursor_skip(&c, 2);
	offset = cursor_be16(&c);
	cursor_skip(&c, 1);
	protocol = cursor_u8(&c);
	cursor_skip(&c, 2);
	*src_ip = cursor_be32(&c);
	dst_ip = cursor_be32(&c);
	header_len = (first & 0xfu) * 4u;
	if (c.error || first >> 4 != 4 || header_len < PACKET_IP4_LEN ||
	    header_len > len || total_len < header_len)
		return (0);
	if ((offset & IP4_OFFSET) != 0 || *src_ip == 0 ||
	    *src_ip >= IP4_MULTICAST_BEGIN || dst_ip == 0 || is_group4(dst_ip))
		return (0);
	if (total_len > len)
		total_len = len;
	if (protocol == IPPROTO_ICMP &&
	    (total_len == header_len || !icmp_is_query(packet[header_len])))
		return (0);
	if (total_len > header_len + ICMP_EMBED_LEN)
		total_len = header_len + ICMP_EMBED_LEN;
	return (total_len);
}

/* The same for IPv6, where as much as fits is embedded (RFC 4443 2.4). */
static size_t
embed_len6(const uint8_t *packet, size_t len)
{
	static const uint8_t unspecified[16];
	struct cursor c;
	const uint8_t *src_ip6, *dst_ip6;
	size_t payload_len;
	uint8_t first, next, type;

	cursor_init(&c, packet, len);
	first = cursor_u8(&c);
	cursor_skip(&c, 3);
	payload_len = cursor_be16(&c);
	next = cursor_u8(&c);
	cursor_skip(&c, 1);
	src_ip6 = cursor_bytes(&c, 16);
	dst_ip6 = cursor_bytes(&c, 16);
	if (c.error || first >> 4 != 6 || src_ip6[0] == IP6_MULTICAST ||
	    dst_ip6[0] == IP6_MULTICAST ||
	    memcmp(src_ip6, unspecified, sizeof(unspecified)) == 0 ||
	    memcmp(dst_ip6, unspecified, sizeof(unspecified)) == 0)
		return (0);
	if (payload_len > c.left)
		payload_len = c.left;
	if (next == IPPROTO_FRAGMENT) {
		next = cursor_u8(&c);
		cursor_skip(&c, 1);
		/* One error a packet, by the fragment that names its ports. */
		if ((cursor_be16(&c) & IP6_OFFSET) != 0)
			return (0);
		cursor_skip(&c, 4);
		if (c.error)
			return (0);
	}
	if (next == IPPROTO_ICMPV6) {
		type = cursor_u8(&c);
		if (payload_len == 0 || type < ICMP6_INFORMATION ||
		    type == ICMP6_REDIRECT)
			return (0);
	}
	if (payload_len > ICMP_ERROR_MAX - 2 * PACKET_IP6_LEN - ICMP_LEN)
		payload_len = ICMP_ERROR_MAX - 2 * PACKET_IP6_LEN - ICMP_LEN;
	return (PACKET_IP6_LEN + payload_len);
}

static size_t
build4(uint32_t from_ip, uint8_t type, uint8_t code, uint32_t rest,
    uint16_t ip_id, const uint8_t *packet, size_t len, uint8_t *out, size_t cap)
{
	struct cursor_out c;
	size_t embedded, total_len;
	uint32_t src_ip;

	embedded = embed_len4(packet, len, &src_ip);
	total_len = PACKET_IP4_LEN + ICMP_LEN + embedded;
	if (embedded == 0 || cap < total_len)
		return (0);
	cursor_out_init(&c, out, cap);
	packet_put_ip4(&c, from_ip, src_ip, IPPROTO_ICMP, ip_id, 0,
	    (uint16_t)total_len);
	cursor_out_u8(&c, type);
	cursor_out_u8(&c, code);
	cursor_out_be16(&c, 0); /* checksum */
	cursor_out_be32(&c, rest);
	cursor_out_bytes(&c, packet, embedded);
	cursor_out_patch16(&c, PACKET_IP4_LEN + ICMP_CHECKSUM_OFF,
	    checksum_of(out + PACKET_IP4_LEN, ICMP_LEN + embedded));
	return (c.len);
}

/* Over a message of len bytes behind an IPv6 header. */
static uint16_t
checksum6(const uint8_t src_ip6[16], const uint8_t dst_ip6[16],
    const uint8_t *message, size_t len)
{
	struct checksum sum;

	checksum_init(&sum);
	checksum_pseudo6(&sum, src_ip6, dst_ip6, IPPROTO_ICMPV6, (uint32_t)len);
	checksum_add(&sum, message, len);
	return (checksum_finish(&sum));
}

static size_t
build6(const uint8_t from_ip6[16], uint8_t type, uint8_t code, uint32_t rest,
    const uint8_t *packet, size_t len, uint8_t *out, size_t cap)
{
	const uint8_t *src_ip6;
	struct cursor_out c;
	size_t embedded, icmp_len;

	embedded = embed_len6(packet, len);
	icmp_len = ICMP_LEN + embedded;
	if (embedded == 0 || cap < PACKET_IP6_LEN + icmp_len)
		return (0);
	src_ip6 = packet + IP6_SRC_OFF;
	cursor_out_init(&c, out, cap);
	packet_put_ip6(&c, from_ip6, src_ip6, IPPROTO_ICMPV6, PACKET_HOP_LIMIT,
	    (uint16_t)icmp_len);
	cursor_out_u8(&c, type);
	cursor_out_u8(&c, code);
	cursor_out_be16(&c, 0); /* checksum */
	cursor_out_be32(&c, rest);
	cursor_out_bytes(&c, packet, embedded);
	cursor_out_patch16(&c, PACKET_IP6_LEN + ICMP_CHECKSUM_OFF,
	    checksum6(from_ip6, src_ip6, out + PACKET_IP6_LEN, icmp_len));
	return (c.len);
}

size_t
icmp_build_error(enum icmp_error error, uint32_t mtu,
    const struct ipc_addr *from, uint16_t ip_id, const uint8_t *packet,
    size_t len, uint8_t *out, size_t cap)
{
	if ((unsigned int)error >= ICMP_NERRORS || cap < ICMP_ERROR_MAX)
		return (0);
	if (error != ICMP_ERR_TOO_BIG)
		mtu = 0;
	if (from->family == 6)
		return (build6(from->bytes, errors[error].type6,
		    errors[error].code6, mtu, packet, len, out, cap));
	if (from->family == 4)
		return (build4(addr_to_ip4(from), errors[error].type,
		    errors[error].code, mtu > MTU4_MAX ? MTU4_MAX : mtu, ip_id,
		    packet, len, out, cap));
	return (0);
}
