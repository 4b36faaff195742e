#include "netproc/gateway/dns_name.h"

#include "ipc/cursor.h"

void
dns_name_put(struct cursor_out *out, const char *name)
{
	const size_t start = out->len;
	size_t label;

	while (*name != '\0') {
		label = strcspn(name, ".");
		if (label == 0 || label > DNS_LABEL_MAX) {
			out->len = start;
			return;
		}
		cursor_out_u8(out, (uint8_t)label);
		cursor_out_bytes(out, name, label);
		name += label;
		if (*name == '.')
			name++;
	}
	if (out->len > start)
		cursor_out_u8(out, 0);
	if (out->len - start > DNS_NAME_MAX)
		out->len = start;
}

void
dns_name_put_list(struct cursor_out *out, const char *const *names,
    size_t nnames, size_t room)
{
	const size_t start = out->len;
	size_t i, len;

	for (i = 0; i < nnames; i++) {
		len = out->len;
		dns_name_put(out, names[i]);
		if (out->error || out->len - start > room) {
			out->len = len;
			break;
		}
	}
}

static uint8_t
ascii_lower(uint8_t byte)
{
	return (byte >= 'A' && byte <= 'Z' ? (uint8_t)(byte | 0x20) : byte);
}

int
dns_name_equal(const uint8_t *a, const uint8_t *b, size_t len)
{
	size_t i;

	/* No label's length is a letter: it survives ascii_lower(). */
	for (i = 0; i < len; i++) {
		if (ascii_lower(a[i]) != ascii_lower(b[i]))
			return (0);
	}
	return (1);
}
