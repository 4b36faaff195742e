#include "netproc/gateway/dns.h"

#include "ipc/cursor.h"
#include "netproc/gateway/dns_name.h"

/* Header fields, RFC 1035 4.1.1. */
#define FLAG_QR	    0x8000 /* a response */
#define FLAG_OPCODE 0x7800
#define FLAG_TC	    0x0200 /* truncated */
#define FLAG_RD	    0x0100 /* recursion desired */
#define FLAG_RA	    0x0080 /* recursion available */
#define FLAG_CD	    0x0010 /* checking disabled, RFC 4035 3.2.2 */
#define FLAG_RCODE  0x000f

#define QTYPE_QCLASS 4

struct dns_header {
	uint16_t id;
	uint16_t flags;
	uint16_t qdcount;
};

static int
read_header(struct cursor *c, struct dns_header *header)
{
	header->id = cursor_be16(c);
	header->flags = cursor_be16(c);
	header->qdcount = cursor_be16(c);
	cursor_skip(c, 6); /* the other counts */
	return (c->error ? -1 : 0);
}

int
dns_query_is_valid(const uint8_t *query, size_t len)
{
	struct dns_header header;
	struct cursor c;

	cursor_init(&c, query, len);
	return (read_header(&c, &header) == 0 && (header.flags & FLAG_QR) == 0);
}

enum dns_rcode
dns_query_check(const uint8_t *query, size_t len)
{
	struct dns_header header;
	struct cursor c;

	cursor_init(&c, query, len);
	if (read_header(&c, &header) == 0 && (header.flags & FLAG_OPCODE) != 0)
		return (DNS_NOTIMP);
	return (dns_head_len(query, len) == 0 ? DNS_FORMERR : DNS_NOERROR);
}

size_t
dns_head_len(const uint8_t *message, size_t len)
{
	struct dns_header header;
	struct cursor c;
	size_t name_len = 0;
	uint8_t label;

	cursor_init(&c, message, len);
	if (read_header(&c, &header) == -1 || header.qdcount != 1)
		return (0);
	do {
		label = cursor_u8(&c);
		name_len += 1u + label;
		/* A pointer has nothing before it to point at. */
		if (label > DNS_LABEL_MAX || name_len > DNS_NAME_MAX)
			return (0);
		cursor_skip(&c, label);
	} while (label != 0 && !c.error);
	cursor_skip(&c, QTYPE_QCLASS);
	return (c.error ? 0 : len - c.left);
}

int
dns_answer_matches(const uint8_t *query, size_t query_len,
    const uint8_t *answer, size_t answer_len)
{
	struct dns_header asked, answered;
	struct cursor cq, ca;
	size_t head_len, name_len;

	cursor_init(&cq, query, query_len);
	cursor_init(&ca, answer, answer_len);
	if (read_header(&cq, &asked) == -1 ||
	    read_header(&ca, &answered) == -1 ||
	    (answered.flags & FLAG_QR) == 0 || asked.id != answered.id)
		return (0);
	/* An error may come without the question, and says nothing of it. */
	if (answered.qdcount == 0)
		return ((answered.flags & FLAG_RCODE) != DNS_NOERROR);
	head_len = dns_head_len(query, query_len);
	if (head_len == 0 || dns_head_len(answer, answer_len) != head_len)
		return (0);
	name_len = head_len - QTYPE_QCLASS - DNS_HEADER_LEN;
	return (dns_name_equal(query + DNS_HEADER_LEN, answer + DNS_HEADER_LEN,
		    name_len) &&
	    memcmp(query + head_len - QTYPE_QCLASS,
		answer + head_len - QTYPE_QCLASS, QTYPE_QCLASS) == 0);
}

/*
 * Writes a header with these flags; source's question and an OPT record if max
 * allows.
 */
static size_t
put_head(const uint8_t *source, size_t len, const struct dns_header *header,
    enum dns_edns edns, uint8_t *out, size_t max)
{
	struct cursor_out c;
	size_t head_len, opt_len;

	if (max < DNS_HEADER_LEN)
		return (0);
	if (max < DNS_HEADER_LEN + DNS_OPT_LEN)
		edns = DNS_EDNS_NONE;
	opt_len = edns != DNS_EDNS_NONE ? DNS_OPT_LEN : 0;
	head_len = dns_head_len(source, len);
	if (head_len > max - opt_len)
		head_len = 0;
	cursor_out_init(&c, out, max);
	cursor_out_be16(&c, header->id);
	cursor_out_be16(&c, header->flags);
	cursor_out_be16(&c, head_len != 0 ? 1 : 0);
	cursor_out_zero(&c, 2 + 2); /* answers, authority */
	cursor_out_be16(&c, opt_len != 0 ? 1 : 0);
	if (head_len != 0)
		cursor_out_bytes(&c, source + DNS_HEADER_LEN,
		    head_len - DNS_HEADER_LEN);
	dns_put_opt(&c, edns, DNS_NOERROR);
	return (c.len);
}

size_t
dns_error(const uint8_t *query, size_t len, enum dns_rcode rcode,
    enum dns_edns edns, uint8_t *out, size_t cap)
{
	struct dns_header header;
	struct cursor c;

	cursor_init(&c, query, len);
	if (read_header(&c, &header) == -1)
		return (0);
	header.flags &= FLAG_OPCODE | FLAG_RD | FLAG_CD;
	header.flags = (uint16_t)(header.flags | FLAG_QR | FLAG_RA | rcode);
	return (put_head(query, len, &header, edns, out, cap));
}

size_t
dns_truncate(const uint8_t *answer, size_t len, enum dns_edns edns,
    uint8_t *out, size_t max)
{
	struct dns_header header;
	struct cursor c;

	cursor_init(&c, answer, len);
	if (read_header(&c, &header) == -1)
		return (0);
	header.flags |= FLAG_TC;
	return (put_head(answer, len, &header, edns, out, max));
}
