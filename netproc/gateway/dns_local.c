#include "ipc/cursor.h"
#include "netproc/gateway/dns.h"
#include "netproc/gateway/dns_name.h"

#define FLAG_QR	    0x8000
#define FLAG_OPCODE 0x7800
#define FLAG_AA	    0x0400 /* authoritative */
#define FLAG_RD	    0x0100
#define FLAG_RA	    0x0080
#define FLAG_CD	    0x0010

#define TYPE_A	  1
#define TYPE_AAAA 28 /* RFC 3596 */
#define TYPE_ANY  255
#define CLASS_IN  1
#define CLASS_ANY 255

#define NAME_POINTER (0xc000 | DNS_HEADER_LEN) /* the question's name */

struct question {
	uint16_t id;
	uint16_t flags;
	uint16_t type;
	uint16_t class;
	const uint8_t *bytes; /* borrows: name, type, class */
	size_t len;
};

static int
read_question(const uint8_t *query, size_t len, struct question *q)
{
	struct cursor c;
	size_t head_len;

	head_len = dns_head_len(query, len);
	if (head_len == 0)
		return (-1);
	cursor_init(&c, query, head_len);
	q->id = cursor_be16(&c);
	q->flags = cursor_be16(&c);
	cursor_skip(&c, DNS_HEADER_LEN - 4);
	q->len = c.left;
	q->bytes = c.at;
	cursor_skip(&c, q->len - 4);
	q->type = cursor_be16(&c);
	q->class = cursor_be16(&c);
	if ((q->flags & (FLAG_QR | FLAG_OPCODE)) != 0 ||
	    (q->class != CLASS_IN && q->class != CLASS_ANY))
		return (-1);
	return (0);
}

/* Returns borrowed, or NULL if it is none of ours. */
static const struct dns_local *
find_name(const struct dns_local *names, size_t nnames,
    const struct question *q)
{
	uint8_t wire[DNS_NAME_MAX + 2];
	struct cursor_out name;
	size_t i;

	for (i = 0; i < nnames; i++) {
		cursor_out_init(&name, wire, sizeof(wire));
		dns_name_put(&name, names[i].name);
		if (!name.error && name.len == q->len - 4 &&
		    dns_name_equal(wire, q->bytes, name.len))
			return (&names[i]);
	}
	return (NULL);
}

/* Adds a record if it is asked for and there is one.  Returns how many. */
static uint16_t
put_address(struct cursor_out *out, const struct question *q, uint16_t type,
    const struct ipc_addr *addr)
{
	const uint16_t len = addr->family == 4 ? 4 : 16;

	if (addr->family == 0 || (q->type != type && q->type != TYPE_ANY))
		return (0);
	cursor_out_be16(out, NAME_POINTER);
	cursor_out_be16(out, type);
	cursor_out_be16(out, CLASS_IN);
	cursor_out_be32(out, DNS_LOCAL_TTL_S);
	cursor_out_be16(out, len);
	cursor_out_bytes(out, addr->bytes, len);
	return (1);
}

size_t
dns_answer_local(const struct dns_local *names, size_t nnames,
    const uint8_t *query, size_t len, uint8_t *out, size_t cap)
{
	const struct dns_local *local;
	struct cursor_out c;
	struct question q;
	enum dns_edns edns = dns_edns_of(query, len);
	enum dns_rcode rcode = DNS_NOERROR;
	uint16_t nanswers = 0;

	if (cap < DNS_LOCAL_MAX || read_question(query, len, &q) == -1)
		return (0);
	local = find_name(names, nnames, &q);
	if (local == NULL)
		return (0);
	cursor_out_init(&c, out, cap);
	cursor_out_be16(&c, q.id);
	cursor_out_be16(&c,
	    (uint16_t)((q.flags & (FLAG_RD | FLAG_CD)) | FLAG_QR | FLAG_AA |
		FLAG_RA));
	cursor_out_be16(&c, 1);
	cursor_out_zero(&c, 2 + 2); /* answers, authority */
	cursor_out_be16(&c, edns != DNS_EDNS_NONE ? 1 : 0);
	cursor_out_bytes(&c, q.bytes, q.len);
	if (dns_edns_version(query, len) != 0) {
		rcode = DNS_BADVERS;
	} else {
		nanswers = put_address(&c, &q, TYPE_A, &local->ip4);
		nanswers = (uint16_t)(nanswers +
		    put_address(&c, &q, TYPE_AAAA, &local->ip6));
	}
	dns_put_opt(&c, edns, rcode);
	cursor_out_patch16(&c, 6, nanswers);
	return (c.error ? 0 : c.len);
}
