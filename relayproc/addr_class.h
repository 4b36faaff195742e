#ifndef RELAYPROC_ADDR_CLASS_H
#define RELAYPROC_ADDR_CLASS_H

#include <stddef.h>

#include "ipc/addr.h"

/*
 * What an address is, wherever it stands: the fixed part of the egress
 * policy.  Nothing here depends on the host or on the configuration.
 */

enum addr_class {
	ADDR_PUBLIC,
	ADDR_PRIVATE, /* denied until an --allow names it */
	ADDR_FLOOR,   /* denied unless an --unsafe-allow names it */
	ADDR_NCLASSES
};

struct addr_class_row {
	struct ipc_addr net;
	unsigned int prefix_len;
	enum addr_class class;
	const char *reason;
};

/*
 * The forms of one destination.  An address that carries an IPv4 address in
 * it is judged by that one too.
 */
struct addr_forms {
	struct ipc_addr dial;  /* what the socket would be connected to */
	struct ipc_addr inner; /* where the packets would end up */
};

/*
 * Unwraps v4-mapped (RFC 4291 2.5.5.2) and v4-compatible (2.5.5.1) addresses
 * to the IPv4 address that is then dialled, and the well-known NAT64 prefix
 * (RFC 6052 2.1) to an inner address, while the outer one is dialled.  Every
 * other address is both of its forms.  6to4, Teredo and local-use NAT64 are
 * not unwrapped: addr_class_lookup() has them on the floor.
 */
void addr_canonicalise(const struct ipc_addr *addr, struct addr_forms *forms);

/*
 * Finds the row of one form.  Returns borrowed: the first row whose prefix
 * holds addr, the floor before the private ranges; NULL for a public address.
 */
const struct addr_class_row *addr_class_lookup(const struct ipc_addr *addr);

/* Returns borrowed: the whole table, *n rows. */
const struct addr_class_row *addr_class_table(size_t *n);

#endif
