#ifndef NETPROC_GATEWAY_DNS_NAME_H
#define NETPROC_GATEWAY_DNS_NAME_H

#include <stddef.h>
#include <stdint.h>

struct cursor_out;

/* RFC 1035 2.3.4 */
#define DNS_LABEL_MAX 63
#define DNS_NAME_MAX  255 /* in wire form */

/*
 * Appends name, dotted text, in wire form (RFC 1035 3.1), uncompressed;
 * nothing if it is no name.  It needs up to two bytes more room while it works.
 */
void dns_name_put(struct cursor_out *out, const char *name);

/*
 * Appends the names of a search list, as many of the first ones as fit room
 * bytes.  out has DNS_NAME_MAX + 2 bytes of room for each.
 */
void dns_name_put_list(struct cursor_out *out, const char *const *names,
    size_t nnames, size_t room);

/* 1 if both are the same len bytes in wire form but for ASCII case. */
int dns_name_equal(const uint8_t *a, const uint8_t *b, size_t len);

#endif
