#include <netinet/in.h>

#include <string.h>

#include "ipc/cursor.h"
#include "netproc/gateway/icmp.h"

/*
 * What the guest says of a segment of ours: that there is no way to where it
 * went.
 */

/* RFC 792, RFC 4443 3.1 */
#define ICMP_UNREACH	  3
#define ICMP_FRAG_NEEDED  4 /* RFC 1191: there is a way */
#define ICMP6_UNREACH	  1
#define ICMP_REST_LEN	  4
#define IP4_LEN		  20
#define IP4_OFFSET	  0x1fff
#define IP6_BEFORE_NEXT	  6 /* up to the next header */
#define IP4_BEFORE_OFFSET 6
#define ADDR4_LEN	  4
#define ADDR6_LEN	  16

static int
read_ip4(struct cursor *c, struct icmp_unreach *about)
{
	const uint8_t first = cursor_u8(c);
	const size_t header_len = (first & 0xfu) * 4u;
	uint16_t offset;
	uint8_t protocol;

	cursor_skip(c, IP4_BEFORE_OFFSET - 1);
	offset = cursor_be16(c);
	cursor_skip(c, 1); /* time to live */
	protocol = cursor_u8(c);
	cursor_skip(c, 2); /* checksum */
	about->src.family = about->dst.family = 4;
	cursor_copy(c, about->src.bytes, ADDR4_LEN);
	cursor_copy(c, about->dst.bytes, ADDR4_LEN);
	if (first >> 4 != 4 || header_len < IP4_LEN ||
	    (offset & IP4_OFFSET) != 0 || protocol != IPPROTO_TCP)
		return (-1);
	cursor_skip(c, header_len - IP4_LEN);
	return (0);
}

static int
read_ip6(struct cursor *c, struct icmp_unreach *about)
{
	const uint8_t first = cursor_u8(c);
	uint8_t next;

	cursor_skip(c, IP6_BEFORE_NEXT - 1);
	next = cursor_u8(c);
	cursor_skip(c, 1); /* hop limit */
	about->src.family = about->dst.family = 6;
	cursor_copy(c, about->src.bytes, ADDR6_LEN);
	cursor_copy(c, about->dst.bytes, ADDR6_LEN);
	return (first >> 4 == 6 && next == IPPROTO_TCP ? 0 : -1);
}

int
icmp_parse_unreach(int ip6, const uint8_t *message, size_t len,
    struct icmp_unreach *about)
{
	struct cursor c;
	uint8_t type, code;

	memset(about, 0, sizeof(*about));
	cursor_init(&c, message, len);
	type = cursor_u8(&c);
	code = cursor_u8(&c);
	cursor_skip(&c, 2 + ICMP_REST_LEN); /* checksum */
	if (ip6 ? type != ICMP6_UNREACH :
		  (type != ICMP_UNREACH || code == ICMP_FRAG_NEEDED))
		return (-1);
	if ((ip6 ? read_ip6(&c, about) : read_ip4(&c, about)) == -1)
		return (-1);
	about->sport = cursor_be16(&c);
	about->dport = cursor_be16(&c);
	about->seq = cursor_be32(&c);
	return (c.error ? -1 : 0);
}
