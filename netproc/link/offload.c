#include <netinet/in.h>

#include <string.h>

#include "lwip/pbuf.h"

#include "netproc/link/checksum.h"
#include "netproc/link/offload.h"

/* Lengths and offsets of RFC 791 3.1, RFC 8200 3, RFC 9293 3.1. */
#define IP4_LEN	     20
#define IP4_LENGTH   2
#define IP4_ID	     4
#define IP4_PROTOCOL 9
#define IP4_CHECKSUM 10
#define IP4_SRC	     12
#define IP4_DST	     16
#define IP6_LEN	     40
#define IP6_LENGTH   4
#define IP6_NEXT     6
#define IP6_SRC	     8
#define IP6_DST	     24
#define TCP_SEQ	     4
#define TCP_OFFSET   12
#define TCP_FLAGS    13
#define TCP_CHECKSUM 16
#define TCP_LEN_MIN  20

#define FLAG_FIN 0x01
#define FLAG_PSH 0x08

static uint16_t
get16(const uint8_t *at)
{
	return ((uint16_t)(at[0] << 8 | at[1]));
}

static uint32_t
get32(const uint8_t *at)
{
	return ((uint32_t)get16(at) << 16 | get16(at + 2));
}

static void
put16(uint8_t *at, size_t value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

static void
put32(uint8_t *at, uint32_t value)
{
	put16(at, value >> 16);
	put16(at + 2, value & 0xffff);
}

int
offload_plan(struct offload *offload, const struct pbuf *p, size_t mtu)
{
	const uint8_t *ip = p->payload;
	size_t head_len;

	memset(offload, 0, sizeof(*offload));
	if (p->len < IP4_LEN + TCP_LEN_MIN)
		return (-1);
	offload->ip_len = ip[0] >> 4 == 6 ? IP6_LEN : IP4_LEN;
	if (p->len < offload->ip_len + TCP_LEN_MIN ||
	    (ip[0] != 0x45 && ip[0] >> 4 != 6) ||
	    ip[ip[0] >> 4 == 6 ? IP6_NEXT : IP4_PROTOCOL] != IPPROTO_TCP)
		return (-1);
	offload->tcp_len = (size_t)(ip[offload->ip_len + TCP_OFFSET] >> 4) * 4;
	head_len = offload->ip_len + offload->tcp_len;
	if (offload->tcp_len < TCP_LEN_MIN || p->len < head_len ||
	    p->tot_len <= head_len || mtu <= head_len)
		return (-1);
	offload->head = ip;
	offload->step = mtu - head_len;
	offload->total = p->tot_len - head_len;
	offload->nframes = (offload->total + offload->step - 1) / offload->step;
	offload->at.q = p;
	offload->at.off = head_len;
	return (0);
}

/* Steps over the part, and adds its bytes to sum. */
static void
part_take(struct frame_part *at, size_t len, struct checksum *sum)
{
	size_t n;

	while (len > 0 && at->q != NULL) {
		n = at->q->len - at->off < len ? at->q->len - at->off : len;
		checksum_add(sum, (const uint8_t *)at->q->payload + at->off, n);
		at->off += n;
		len -= n;
		if (at->off == at->q->len) {
			at->q = at->q->next;
			at->off = 0;
		}
	}
}

static void
head_ip4(const struct offload *offload, uint8_t *ip, size_t len, size_t i,
    struct checksum *sum)
{
	put16(ip + IP4_LENGTH, IP4_LEN + len);
	put16(ip + IP4_ID, get16(offload->head + IP4_ID) + i);
	put16(ip + IP4_CHECKSUM, 0);
	put16(ip + IP4_CHECKSUM, checksum_of(ip, IP4_LEN));
	checksum_pseudo4(sum, get32(ip + IP4_SRC), get32(ip + IP4_DST),
	    IPPROTO_TCP, (uint16_t)len);
}

static void
head_ip6(uint8_t *ip, size_t len, struct checksum *sum)
{
	put16(ip + IP6_LENGTH, len);
	checksum_pseudo6(sum, ip + IP6_SRC, ip + IP6_DST, IPPROTO_TCP,
	    (uint32_t)len);
}

size_t
offload_next(struct offload *offload, uint8_t *head, struct frame_part *part)
{
	const size_t head_len = offload->ip_len + offload->tcp_len;
	const size_t left = offload->total - offload->done;
	const size_t n = left < offload->step ? left : offload->step;
	uint8_t *tcp = head + offload->ip_len;
	struct checksum sum;

	*part = offload->at;
	part->len = n;
	memcpy(head, offload->head, head_len);
	put32(tcp + TCP_SEQ,
	    get32(offload->head + offload->ip_len + TCP_SEQ) +
		(uint32_t)offload->done);
	if (n < left)
		tcp[TCP_FLAGS] &= (uint8_t) ~(FLAG_FIN | FLAG_PSH);
	put16(tcp + TCP_CHECKSUM, 0);
	checksum_init(&sum);
	if (offload->ip_len == IP4_LEN)
		head_ip4(offload, head, offload->tcp_len + n,
		    offload->done / offload->step, &sum);
	else
		head_ip6(head, offload->tcp_len + n, &sum);
	checksum_add(&sum, tcp, offload->tcp_len);
	part_take(&offload->at, n, &sum);
	put16(tcp + TCP_CHECKSUM, checksum_finish(&sum));
	offload->done += n;
	return (head_len);
}
