#include <string.h>

#include "netproc/gateway/dns_stream.h"

static size_t
smaller(size_t a, size_t b)
{
	return (a < b ? a : b);
}

static size_t
length_of(const uint8_t prefix[DNS_STREAM_PREFIX])
{
	return ((size_t)prefix[0] << 8 | prefix[1]);
}

void
dns_stream_init(struct dns_stream *s)
{
	s->nheld = 0;
	s->left = 0;
}

/* Takes bytes until want of them are held.  Returns how many it took. */
static size_t
hold(struct dns_stream *s, const uint8_t *bytes, size_t len, size_t want)
{
	const size_t n = smaller(len, want - s->nheld);

	memcpy(s->held + s->nheld, bytes, n);
	s->nheld += n;
	return (n);
}

size_t
dns_stream_next(struct dns_stream *s, const uint8_t *bytes, size_t len,
    enum dns_piece *kind, const uint8_t **piece, size_t *piece_len)
{
	size_t message, taken = 0;

	*kind = DNS_PIECE_NONE;
	if (len == 0)
		return (0);
	if (s->left > 0) {
		taken = smaller(len, s->left);
		s->left -= taken;
		*kind = DNS_PIECE_PASS;
		*piece = bytes;
		*piece_len = taken;
		return (taken);
	}
	if (s->nheld < DNS_STREAM_PREFIX)
		taken = hold(s, bytes, len, DNS_STREAM_PREFIX);
	if (s->nheld < DNS_STREAM_PREFIX)
		return (taken);
	message = length_of(s->held);
	*piece = s->held;
	*piece_len = DNS_STREAM_PREFIX;
	if (message > DNS_STREAM_HELD_MAX) {
		*kind = DNS_PIECE_PASS;
		s->left = message;
		s->nheld = 0;
		return (taken);
	}
	taken += hold(s, bytes + taken, len - taken,
	    DNS_STREAM_PREFIX + message);
	if (s->nheld == DNS_STREAM_PREFIX + message) {
		*kind = DNS_PIECE_QUERY;
		*piece_len = s->nheld;
		s->nheld = 0;
	}
	return (taken);
}

void
dns_boundary_init(struct dns_boundary *b)
{
	memset(b, 0, sizeof(*b));
}

void
dns_boundary_add(struct dns_boundary *b, const uint8_t *bytes, size_t len)
{
	size_t n;

	while (len > 0) {
		n = 1;
		if (b->left > 0) {
			n = smaller(len, b->left);
			b->left -= n;
		} else if (b->nprefix == 0) {
			b->prefix = bytes[0];
			b->nprefix = 1;
		} else {
			b->left = (size_t)b->prefix << 8 | bytes[0];
			b->nprefix = 0;
		}
		bytes += n;
		len -= n;
	}
}

int
dns_boundary_is_here(const struct dns_boundary *b)
{
	return (b->left == 0 && b->nprefix == 0);
}
