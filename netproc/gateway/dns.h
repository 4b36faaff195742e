#ifndef NETPROC_GATEWAY_DNS_H
#define NETPROC_GATEWAY_DNS_H

#include <stddef.h>
#include <stdint.h>

#include "ipc/addr.h"

struct cursor_out;

/*
 * The little of DNS (RFC 1035) that a forwarder of opaque datagrams needs:
 * the header, and where the question ends.
 */

#define DNS_PORT	 53
#define DNS_HEADER_LEN	 12
#define DNS_QUESTION_MAX (255 + 4)
#define DNS_HEAD_MAX	 (DNS_HEADER_LEN + DNS_QUESTION_MAX)

/* 1 if it is to be answered: a whole header, and not a response. */
int dns_query_is_valid(const uint8_t *query, size_t len);

/*
 * 1 if answer is a response with the query's id and its question, ASCII case
 * ignored (RFC 5452 9.1); an error may come without any.  Of the query, which
 * has one question, the first DNS_HEAD_MAX bytes are enough.
 */
int dns_answer_matches(const uint8_t *query, size_t query_len,
    const uint8_t *answer, size_t answer_len);

/*
 * Length of header and question, 0 unless there is exactly one question and
 * it is whole and not compressed.
 */
size_t dns_head_len(const uint8_t *message, size_t len);

/* How a query speaks EDNS (RFC 6891), and so the answer to it. */
enum dns_edns {
	DNS_EDNS_NONE,
	DNS_EDNS_PLAIN,
	DNS_EDNS_DO, /* DNSSEC OK, RFC 3225 3: copied into the answer */
};

#define DNS_OPT_LEN 11 /* without options */

/* DNS_EDNS_NONE also where dns_opt_offset() finds no record. */
enum dns_edns dns_edns_of(const uint8_t *query, size_t len);

/* The version of EDNS that a query speaks; 0 where it speaks none. */
uint8_t dns_edns_version(const uint8_t *query, size_t len);

/* What the gateway itself says, RFC 1035 4.1.1 and RFC 6891 9. */
enum dns_rcode {
	DNS_NOERROR = 0,
	DNS_FORMERR = 1,
	DNS_SERVFAIL = 2,
	DNS_NOTIMP = 4,
	DNS_BADVERS = 16, /* its upper bits are the OPT record's */
};

/*
 * Appends an OPT record of the gateway's, with what of rcode the header has no
 * room for; nothing for DNS_EDNS_NONE.
 */
void dns_put_opt(struct cursor_out *out, enum dns_edns edns,
    enum dns_rcode rcode);

/* Longest of dns_error() and dns_truncate(). */
#define DNS_SHORT_MAX (DNS_HEAD_MAX + DNS_OPT_LEN)

/*
 * DNS_NOERROR if a valid query may go to a server, or what it is refused with:
 * DNS_NOTIMP for one that asks nothing but wants something done (UPDATE,
 * NOTIFY), DNS_FORMERR without one plain question (RFC 9619 4).
 */
enum dns_rcode dns_query_check(const uint8_t *query, size_t len);

/*
 * Writes the error response to query: its header, its question if that
 * parses, and an OPT record if edns says so (RFC 6891 6.1.1), as far as cap
 * allows.  Of the query its head is enough.  Returns the length, or 0 if
 * query has no header or cap is less than one.
 */
size_t dns_error(const uint8_t *query, size_t len, enum dns_rcode rcode,
    enum dns_edns edns, uint8_t *out, size_t cap);

/*
 * Writes what is left of an answer that does not fit: header with TC set
 * (RFC 2181 9) and, as far as max bytes allow, the question if it parses and
 * the OPT record that edns asks for (RFC 6891 7).  Returns the length, or 0
 * if answer has no header or max is less than one.
 */
size_t dns_truncate(const uint8_t *answer, size_t len, enum dns_edns edns,
    uint8_t *out, size_t max);

/*
 * Bytes of UDP payload that a query without EDNS (RFC 6891) asks for, and
 * the least that one with it may name.
 */
#define DNS_UDP_MIN 512

/*
 * Offset of the one OPT record of a query; 0 if there is none, or if the
 * query does not parse, is signed (a change would break the signature), is no
 * plain question or has anything compressed.
 */
size_t dns_opt_offset(const uint8_t *query, size_t len);

/*
 * Lowers the UDP payload size of a query's OPT record to max in place, and
 * returns the size that the asker takes: that of the record, at least
 * DNS_UDP_MIN; DNS_UDP_MIN where dns_opt_offset() finds none, and then nothing
 * is touched.  max: DNS_UDP_MIN..65535.
 */
size_t dns_clamp_edns(uint8_t *query, size_t len, size_t max);

/* A name that is answered here. */
struct dns_local {
	const char *name;    /* "host.internal", without a dot at its end */
	struct ipc_addr ip4; /* family 0: has none */
	struct ipc_addr ip6;
};

#define DNS_LOCAL_TTL_S 60

/* Longest dns_answer_local(): question, A, AAAA and OPT. */
#define DNS_LOCAL_MAX (DNS_HEAD_MAX + 16 + 28 + DNS_OPT_LEN)

/*
 * Answers a query for one of the names, whatever its letters' case: its
 * addresses for A, AAAA and ANY, no data for other types; with an OPT record
 * if the query has one, and DNS_BADVERS if that is of a version above 0 (RFC
 * 6891 6.1.3).  Returns the length of the response in out; 0 if the
 * question is not for these names, does not parse, or cap is less than
 * DNS_LOCAL_MAX.
 */
size_t dns_answer_local(const struct dns_local *names, size_t nnames,
    const uint8_t *query, size_t len, uint8_t *out, size_t cap);

#endif
