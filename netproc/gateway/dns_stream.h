#ifndef NETPROC_GATEWAY_DNS_STREAM_H
#define NETPROC_GATEWAY_DNS_STREAM_H

#include <stddef.h>
#include <stdint.h>

/*
 * DNS over TCP: each message is led by its length, a u16 in network order
 * (RFC 1035 4.2.2, RFC 7766 8), and queries may follow each other unanswered
 * (RFC 7766 6.2.1.1).  Two views of such a stream, however it was cut.
 */

#define DNS_STREAM_PREFIX 2

/*
 * Messages up to this are held until they are whole, and looked at: a query
 * for one of our names is a head and an OPT record.  Longer ones pass as they
 * come.
 */
#define DNS_STREAM_HELD_MAX 512

/* The asker's side: which bytes are a query to look at, which just pass. */
struct dns_stream {
	uint8_t held[DNS_STREAM_PREFIX + DNS_STREAM_HELD_MAX];
	size_t nheld;
	size_t left; /* of a message that passes */
};

enum dns_piece {
	DNS_PIECE_NONE,	 /* held, until there is more */
	DNS_PIECE_PASS,	 /* bytes of a message that is too long to hold */
	DNS_PIECE_QUERY, /* a whole message, with its prefix */
};

void dns_stream_init(struct dns_stream *s);

/*
 * Takes bytes of the stream, at least one if len > 0, and returns how many.
 * Says what they complete: *piece are *piece_len bytes, borrowed from s or
 * from bytes until the next call.
 */
size_t dns_stream_next(struct dns_stream *s, const uint8_t *bytes, size_t len,
    enum dns_piece *kind, const uint8_t **piece, size_t *piece_len);

/* The server's side: whether a message is under way. */
struct dns_boundary {
	size_t left;	 /* of the message */
	uint8_t prefix;	 /* its first byte, if that is all there is */
	uint8_t nprefix; /* bytes of a prefix that is not whole: 0 or 1 */
};

void dns_boundary_init(struct dns_boundary *b);
void dns_boundary_add(struct dns_boundary *b, const uint8_t *bytes, size_t len);

/* 1 if the next byte begins a message: one of ours may stand here. */
int dns_boundary_is_here(const struct dns_boundary *b);

#endif
