#include "ipc/cursor.h"
#include "netproc/gateway/dns.h"
#include "netproc/gateway/dns_name.h"

#define COUNTS_OFF 4 /* RFC 1035 4.1.1 */

/* RFC 6891 6.1.2 */
#define TYPE_OPT	41
#define OPT_SIZE_OFF	3 /* root name, type */
#define OPT_VERSION_OFF 6 /* ... size, extended code */
#define OPT_FLAGS_OFF	7
#define OPT_FLAG_DO	0x8000 /* RFC 3225 3 */
#define OPT_SIZE	1232   /* what we take */

/* Records that sign the message: RFC 2931, RFC 8945. */
#define TYPE_SIG  24
#define TYPE_TSIG 250

/* Steps over a name; the cursor's error is set if it is none. */
static void
skip_name(struct cursor *c)
{
	size_t name_len = 0;
	uint8_t label;

	do {
		label = cursor_u8(c);
		name_len += 1u + label;
		if (label > DNS_LABEL_MAX || name_len > DNS_NAME_MAX)
			c->error = 1;
		cursor_skip(c, label);
	} while (label != 0 && !c->error);
}

/* Steps over a record and returns its type. */
static uint16_t
skip_record(struct cursor *c)
{
	uint16_t type;

	skip_name(c);
	type = cursor_be16(c);
	cursor_skip(c, 2 + 4); /* class, TTL; OPT has its own there */
	cursor_skip(c, cursor_be16(c));
	return (type);
}

size_t
dns_opt_offset(const uint8_t *query, size_t len)
{
	struct cursor c;
	size_t head_len, at, found = 0;
	uint16_t nanswers, nauthority, nadditional, type;

	head_len = dns_head_len(query, len);
	if (head_len == 0)
		return (0);
	cursor_init(&c, query, len);
	cursor_skip(&c, COUNTS_OFF + 2);
	nanswers = cursor_be16(&c);
	nauthority = cursor_be16(&c);
	nadditional = cursor_be16(&c);
	if (nanswers != 0 || nauthority != 0)
		return (0);
	cursor_skip(&c, head_len - DNS_HEADER_LEN);
	for (; nadditional > 0; nadditional--) {
		at = len - c.left;
		type = skip_record(&c);
		if (c.error || type == TYPE_SIG || type == TYPE_TSIG)
			return (0);
		if (type != TYPE_OPT)
			continue;
		if (found != 0 || query[at] != 0)
			return (0);
		found = at;
	}
	return (found);
}

enum dns_edns
dns_edns_of(const uint8_t *query, size_t len)
{
	size_t at = dns_opt_offset(query, len);

	if (at == 0)
		return (DNS_EDNS_NONE);
	return ((query[at + OPT_FLAGS_OFF] & OPT_FLAG_DO >> 8) != 0 ?
		DNS_EDNS_DO :
		DNS_EDNS_PLAIN);
}

uint8_t
dns_edns_version(const uint8_t *query, size_t len)
{
	size_t at = dns_opt_offset(query, len);

	return (at != 0 ? query[at + OPT_VERSION_OFF] : 0);
}

void
dns_put_opt(struct cursor_out *out, enum dns_edns edns, enum dns_rcode rcode)
{
	if (edns == DNS_EDNS_NONE)
		return;
	cursor_out_u8(out, 0); /* root */
	cursor_out_be16(out, TYPE_OPT);
	cursor_out_be16(out, OPT_SIZE);
	cursor_out_u8(out, (uint8_t)(rcode >> 4));
	cursor_out_u8(out, 0); /* version */
	cursor_out_be16(out, edns == DNS_EDNS_DO ? OPT_FLAG_DO : 0);
	cursor_out_zero(out, 2); /* no options */
}

size_t
dns_clamp_edns(uint8_t *query, size_t len, size_t max)
{
	size_t at, size;
	uint8_t *field;

	at = dns_opt_offset(query, len);
	if (at == 0)
		return (DNS_UDP_MIN);
	field = query + at + OPT_SIZE_OFF;
	size = (size_t)field[0] << 8 | field[1];
	if (size > max) {
		size = max;
		field[0] = (uint8_t)(size >> 8);
		field[1] = (uint8_t)size;
	}
	return (size < DNS_UDP_MIN ? DNS_UDP_MIN : size);
}
