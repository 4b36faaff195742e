#include <string.h>

#include "relayproc/addr_class.h"

/* clang-format off */
#define IP4(a, b, c, d)	{ .family = 4, .bytes = { a, b, c, d } }
#define IP6(...)	{ .family = 6, .bytes = { __VA_ARGS__ } }

/*
 * Floor first, so that an address of the floor inside a private range (cloud
 * metadata in 100.64/10 and fc00::/7) is found as what it is.
 */
static const struct addr_class_row table[] = {
	/* IPv4 */
	{ IP4(0, 0, 0, 0), 8, ADDR_FLOOR,
	    "this network, reaches the host itself, RFC 1122 3.2.1.3" },
	{ IP4(127, 0, 0, 0), 8, ADDR_FLOOR,
	    "loopback, RFC 1122 3.2.1.3" },
	{ IP4(169, 254, 0, 0), 16, ADDR_FLOOR,
	    "link-local and cloud metadata, RFC 3927" },
	{ IP4(168, 63, 129, 16), 32, ADDR_FLOOR,
	    "Azure's host agent" },
	{ IP4(100, 100, 100, 200), 32, ADDR_FLOOR,
	    "Alibaba Cloud metadata" },
	{ IP4(192, 0, 0, 0), 24, ADDR_FLOOR,
	    "IETF protocol assignments, RFC 6890" },
	{ IP4(198, 18, 0, 0), 15, ADDR_FLOOR,
	    "benchmarking, RFC 2544" },
	{ IP4(224, 0, 0, 0), 4, ADDR_FLOOR,
	    "multicast, RFC 5771" },
	{ IP4(240, 0, 0, 0), 4, ADDR_FLOOR,
	    "reserved and broadcast, RFC 1112 4, RFC 919" },
	{ IP4(10, 0, 0, 0), 8, ADDR_PRIVATE,
	    "private range, RFC 1918" },
	{ IP4(172, 16, 0, 0), 12, ADDR_PRIVATE,
	    "private range, RFC 1918" },
	{ IP4(192, 168, 0, 0), 16, ADDR_PRIVATE,
	    "private range, RFC 1918" },
	{ IP4(100, 64, 0, 0), 10, ADDR_PRIVATE,
	    "shared address space, RFC 6598" },

	/* IPv6 */
	{ IP6(0), 128, ADDR_FLOOR,
	    "unspecified, reaches the host itself, RFC 4291 2.5.2" },
	{ IP6([15] = 1), 128, ADDR_FLOOR,
	    "loopback, RFC 4291 2.5.3" },
	{ IP6(0xfe, 0x80), 10, ADDR_FLOOR,
	    "link-local, RFC 4291 2.5.6" },
	{ IP6(0xfe, 0xc0), 10, ADDR_FLOOR,
	    "site-local, RFC 3879" },
	{ IP6(0xff), 8, ADDR_FLOOR,
	    "multicast, RFC 4291 2.7" },
	{ IP6(0xfd, 0x00, 0x0e, 0xc2, [14] = 0x02, [15] = 0x54), 128,
	    ADDR_FLOOR, "AWS metadata" },
	{ IP6(0xfd, 0x20, 0x00, 0xce, [14] = 0x02, [15] = 0x54), 128,
	    ADDR_FLOOR, "Google Cloud metadata" },
	{ IP6(0xfd, 0x00, 0x0e, 0xc2, [15] = 0x23), 128, ADDR_FLOOR,
	    "AWS, credentials of a pod" },
	{ IP6(0xfd, 0x00, 0x00, 0xc1, [12] = 0xa9, 0xfe, 0xa9, 0xfe), 128,
	    ADDR_FLOOR, "Oracle Cloud metadata" },
	{ IP6(0xfd, 0x00, 0xa9, 0xfe, 0xa9, 0xfe, [15] = 0x01), 128,
	    ADDR_FLOOR, "Akamai (Linode) metadata" },
	{ IP6(0xfd, 0x00, 0x00, 0x42, [15] = 0x42), 128, ADDR_FLOOR,
	    "Scaleway metadata" },
	{ IP6(0xfd, 0x00, 0x01, 0x00, [12] = 0x01, 0x00, 0x02, 0x00), 128,
	    ADDR_FLOOR, "Alibaba Cloud metadata" },
	{ IP6(0x20, 0x02), 16, ADDR_FLOOR,
	    "6to4, carries IPv4 to any address, RFC 7526" },
	{ IP6(0x20, 0x01, 0x00, 0x00), 32, ADDR_FLOOR,
	    "Teredo, carries IPv4 to any address, RFC 4380" },
	{ IP6(0x00, 0x64, 0xff, 0x9b, 0x00, 0x01), 48, ADDR_FLOOR,
	    "local-use NAT64, carries IPv4 to any address, RFC 8215" },
	{ IP6([8] = 0xff, [9] = 0xff), 96, ADDR_FLOOR,
	    "IPv4-translated, carries IPv4 to any address, RFC 2765 2.1" },
	{ IP6(0xfc), 7, ADDR_PRIVATE,
	    "unique local, RFC 4193" },
};

/* Prefixes of 96 bits that an IPv4 address follows. */
static const struct {
	struct ipc_addr net;
	int dial_outer;
} wrappers[] = {
	{ IP6([10] = 0xff, [11] = 0xff), 0 },		/* v4-mapped */
	{ IP6(0), 0 },					/* v4-compatible */
	{ IP6(0x00, 0x64, 0xff, 0x9b), 1 },		/* NAT64 */
};
/* clang-format on */

#define WRAPPER_LEN 96

/* :: and ::1 lie in the prefix of v4-compatible addresses but are not such. */
static int
is_unspecified_or_loopback(const struct ipc_addr *addr)
{
	const struct ipc_addr unspecified = { .family = 6 };

	return (addr_in_prefix(addr, &unspecified, 127));
}

void
addr_canonicalise(const struct ipc_addr *addr, struct addr_forms *forms)
{
	struct ipc_addr inner = { .family = 4 };
	size_t i;

	forms->dial = *addr;
	forms->inner = *addr;
	if (addr->family != 6 || is_unspecified_or_loopback(addr))
		return;
	for (i = 0; i < sizeof(wrappers) / sizeof(wrappers[0]); i++) {
		if (!addr_in_prefix(addr, &wrappers[i].net, WRAPPER_LEN))
			continue;
		memcpy(inner.bytes, addr->bytes + WRAPPER_LEN / 8, 4);
		forms->inner = inner;
		if (!wrappers[i].dial_outer)
			forms->dial = inner;
		return;
	}
}

const struct addr_class_row *
addr_class_lookup(const struct ipc_addr *addr)
{
	size_t i;

	for (i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		if (addr_in_prefix(addr, &table[i].net, table[i].prefix_len))
			return (&table[i]);
	}
	return (NULL);
}

const struct addr_class_row *
addr_class_table(size_t *n)
{
	*n = sizeof(table) / sizeof(table[0]);
	return (table);
}
