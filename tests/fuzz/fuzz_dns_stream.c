/*
 * Input: how long the pieces are that a stream comes in (one byte), the
 * stream.  Whatever the pieces, all of it comes out in order but for what is
 * still held, and both views of it agree on where messages end.
 */

#include <string.h>

#include "netproc/gateway/dns_stream.h"
#include "tests/fuzz/fuzz.h"

const char fuzz_name[] = "dns_stream";

struct view {
	struct dns_stream stream;
	struct dns_boundary boundary;
	const uint8_t *data; /* the whole */
	size_t out;	     /* bytes that have come out */
};

static void
check_piece(struct view *v, enum dns_piece kind, const uint8_t *piece,
    size_t len)
{
	FUZZ_CHECK(memcmp(piece, v->data + v->out, len) == 0);
	if (kind == DNS_PIECE_QUERY) {
		FUZZ_CHECK(dns_boundary_is_here(&v->boundary));
		FUZZ_CHECK(len <= sizeof(v->stream.held));
		FUZZ_CHECK(len ==
		    DNS_STREAM_PREFIX + ((size_t)piece[0] << 8 | piece[1]));
	}
	dns_boundary_add(&v->boundary, piece, len);
	v->out += len;
	if (kind == DNS_PIECE_QUERY)
		FUZZ_CHECK(dns_boundary_is_here(&v->boundary));
}

static void
feed(struct view *v, const uint8_t *bytes, size_t len)
{
	uint8_t *exact = malloc(len);
	const uint8_t *piece;
	enum dns_piece kind;
	size_t at, n, piece_len;

	if (exact == NULL)
		abort();
	memcpy(exact, bytes, len);
	for (at = 0; at < len; at += n) {
		n = dns_stream_next(&v->stream, exact + at, len - at, &kind,
		    &piece, &piece_len);
		FUZZ_CHECK(n >= 1 && n <= len - at);
		if (kind != DNS_PIECE_NONE)
			check_piece(v, kind, piece, piece_len);
	}
	free(exact);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct view v = { 0 };
	size_t at, n, step;

	if (size < 1)
		return (0);
	step = 1 + (size_t)data[0];
	v.data = ++data;
	size--;
	dns_stream_init(&v.stream);
	dns_boundary_init(&v.boundary);
	for (at = 0; at < size; at += n) {
		n = size - at < step ? size - at : step;
		feed(&v, data + at, n);
	}
	FUZZ_CHECK(v.out + v.stream.nheld == size);
	return (0);
}
