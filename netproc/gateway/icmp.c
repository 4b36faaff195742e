#include "netproc/gateway/icmp.h"

#include <netinet/in.h>

#include "ipc/cursor.h"
#include "netproc/gateway/packet.h"
#include "netproc/link/checksum.h"

#define ICMP_LEN	    8
#define ICMP_CHECKSUM_OFF   2
#define ICMP_TYPE_UNREACH   3
#define ICMP_EMBED_LEN	    8 /* of what follows the IP header, RFC 792 */
#define IP4_OFFSET	    0x1fff
#define IP4_MULTICAST_BEGIN 0xe0000000u

/* Types about which an error may be sent: those that ask for something. */
static int
icmp_is_query(uint8_t type)
{
	switch (type) {
	case 8:	 /* echo, RFC 792 */
	case 13: /* timestamp */
	case 15: /* information */
	case 17: /* address mask, RFC 950 */
		return (1);
	default:
		return (0);
	}
}

/*
 * Length of the header and the bytes behind it to embed; 0 if the packet is
 * one about which no error is sent (RFC 1122 3.2.2).
 */
static size_t
embed_len(const uint8_t *packet, size_t len, uint32_t *src_ip)
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
	    *src_ip >= IP4_MULTICAST_BEGIN || dst_ip == 0 ||
	    dst_ip >= IP4_MULTICAST_BEGIN)
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

size_t
icmp_build_unreachable(uint32_t gateway_ip, uint8_t code, uint16_t ip_id,
    const uint8_t *packet, size_t len, uint8_t *out, size_t cap)
{
	struct cursor_out c;
	size_t embedded, total_len;
	uint32_t src_ip;
	uint16_t checksum;
	uint8_t *icmp;

	embedded = embed_len(packet, len, &src_ip);
	total_len = PACKET_IP4_LEN + ICMP_LEN + embedded;
	if (embedded == 0 || cap < total_len)
		return (0);
	cursor_out_init(&c, out, cap);
	packet_put_ip4(&c, gateway_ip, src_ip, IPPROTO_ICMP, ip_id,
	    (uint16_t)total_len);
	icmp = out + c.len;
	cursor_out_u8(&c, ICMP_TYPE_UNREACH);
	cursor_out_u8(&c, code);
	cursor_out_zero(&c, 2 + 4); /* checksum, unused */
	cursor_out_bytes(&c, packet, embedded);
	checksum = checksum_of(icmp, ICMP_LEN + embedded);
	icmp[ICMP_CHECKSUM_OFF] = (uint8_t)(checksum >> 8);
	icmp[ICMP_CHECKSUM_OFF + 1] = (uint8_t)checksum;
	return (c.len);
}
