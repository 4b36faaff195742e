#include <netinet/in.h>

#include "ipc/cursor.h"
#include "netproc/gateway/packet.h"
#include "netproc/link/checksum.h"
#include "netproc/link/fragment.h"

#define UNIT_MASK (~(size_t)7) /* offsets are multiples of 8 */

#define MTU4_MIN 68   /* RFC 791 3.2 */
#define MTU6_MIN 1280 /* RFC 8200 5 */

#define IP4_VERSION_IHL 0x45
#define IP4_TOTAL	2
#define IP4_FRAG	6
#define IP4_CHECKSUM	10
#define IP4_DF		0x4000
#define IP4_MF		0x2000
#define IP4_OFFSET	0x1fff

/* RFC 8200 4.5 */
#define IP6_PLEN     4
#define IP6_NEXT     6
#define IP6_FRAG_LEN 8
#define IP6_MF	     0x0001

/* A packet, and how it is cut. */
struct cut {
	const uint8_t *frame; /* borrows */
	const uint8_t *payload;
	size_t payload_len;
	size_t header_len; /* of IP */
	size_t piece_len;  /* of every fragment but the last */
	int version;
	uint8_t next;
	uint32_t id;
};

static int
read_ip4(struct cut *cut, struct cursor c, size_t mtu)
{
	size_t total_len, left = c.left;
	uint16_t frag;
	uint8_t first;

	first = cursor_u8(&c);
	cursor_skip(&c, 1);
	total_len = cursor_be16(&c);
	cursor_skip(&c, 2);
	frag = cursor_be16(&c);
	cursor_skip(&c, PACKET_IP4_LEN - 8);
	if (c.error || first != IP4_VERSION_IHL || total_len != left)
		return (-1);
	if ((frag & (IP4_MF | IP4_OFFSET)) != 0 || mtu < MTU4_MIN ||
	    ((frag & IP4_DF) != 0 && total_len > mtu))
		return (-1);
	cut->version = 4;
	cut->header_len = PACKET_IP4_LEN;
	cut->piece_len = (mtu - PACKET_IP4_LEN) & UNIT_MASK;
	cut->payload = c.at;
	cut->payload_len = c.left;
	return (0);
}

static int
read_ip6(struct cut *cut, struct cursor c, size_t mtu)
{
	size_t payload_len;
	uint8_t first;

	first = cursor_u8(&c);
	cursor_skip(&c, 3);
	payload_len = cursor_be16(&c);
	cut->next = cursor_u8(&c);
	cursor_skip(&c, PACKET_IP6_LEN - 7);
	if (c.error || first >> 4 != 6 || payload_len != c.left ||
	    cut->next == IPPROTO_FRAGMENT || mtu < MTU6_MIN)
		return (-1);
	cut->version = 6;
	cut->header_len = PACKET_IP6_LEN;
	cut->piece_len = (mtu - PACKET_IP6_LEN - IP6_FRAG_LEN) & UNIT_MASK;
	cut->payload = c.at;
	cut->payload_len = c.left;
	return (0);
}

static int
read_packet(struct cut *cut, const uint8_t *frame, size_t len, size_t mtu)
{
	struct cursor c;

	cursor_init(&c, frame, len);
	cursor_skip(&c, PACKET_ETHER_LEN - 2);
	switch (cursor_be16(&c)) {
	case PACKET_ETHERTYPE_IP4:
		return (read_ip4(cut, c, mtu));
	case PACKET_ETHERTYPE_IP6:
		return (read_ip6(cut, c, mtu));
	default:
		return (-1);
	}
}

/* Makes the fragment of len bytes at offset off. */
static void
put_fragment(struct cursor_out *out, const struct cut *cut, size_t off,
    size_t len)
{
	const int more = off + len < cut->payload_len;
	const size_t ip = PACKET_ETHER_LEN;

	cursor_out_bytes(out, cut->frame, PACKET_ETHER_LEN + cut->header_len);
	if (cut->version == 6) {
		cursor_out_u8(out, cut->next);
		cursor_out_u8(out, 0);
		cursor_out_be16(out, (uint16_t)(off | (more ? IP6_MF : 0)));
		cursor_out_be32(out, cut->id);
		cursor_out_bytes(out, cut->payload + off, len);
		cursor_out_patch16(out, ip + IP6_PLEN,
		    (uint16_t)(IP6_FRAG_LEN + len));
		if (!out->error)
			out->base[ip + IP6_NEXT] = IPPROTO_FRAGMENT;
		return;
	}
	cursor_out_bytes(out, cut->payload + off, len);
	cursor_out_patch16(out, ip + IP4_TOTAL,
	    (uint16_t)(PACKET_IP4_LEN + len));
	cursor_out_patch16(out, ip + IP4_FRAG,
	    (uint16_t)(off / 8 | (more ? IP4_MF : 0)));
	cursor_out_patch16(out, ip + IP4_CHECKSUM, 0);
	if (!out->error)
		cursor_out_patch16(out, ip + IP4_CHECKSUM,
		    checksum_of(out->base + ip, PACKET_IP4_LEN));
}

size_t
fragment_split(const uint8_t *frame, size_t len, size_t mtu, uint32_t id,
    uint8_t *out, size_t cap,
    void (*emit)(void *arg, const uint8_t *frame, size_t len), void *arg)
{
	struct cut cut = { .frame = frame, .id = id };
	struct cursor_out c;
	size_t off, n, nframes = 0;

	if (read_packet(&cut, frame, len, mtu) == -1)
		return (0);
	if (len - PACKET_ETHER_LEN <= mtu) {
		emit(arg, frame, len);
		return (1);
	}
	if (cap < PACKET_ETHER_LEN || cap - PACKET_ETHER_LEN < mtu)
		return (0);
	for (off = 0; off < cut.payload_len; off += n) {
		n = cut.payload_len - off;
		if (n > cut.piece_len)
			n = cut.piece_len;
		cursor_out_init(&c, out, cap);
		put_fragment(&c, &cut, off, n);
		emit(arg, out, c.len);
		nframes++;
	}
	return (nframes);
}
