#ifndef NETPROC_GATEWAY_RA_H
#define NETPROC_GATEWAY_RA_H

#include <stddef.h>
#include <stdint.h>

/*
 * What the gateway says in IPv6 neighbour discovery (RFC 4861): router and
 * neighbour advertisements, and solicitations.  All builders write a whole
 * Ethernet frame from the gateway's link-local address, or from the one that
 * is advertised, and return its length, or 0 if it does not fit.  Addresses
 * are in network order.
 */

#define RA_SEARCH_LIST 6

/*
 * Longest frame: Ethernet, IPv6, RA, link-layer address, MTU, prefix, RDNSS,
 * and a DNSSL of six names of 255 bytes; domains that do not fit 1280 bytes
 * of IP are left out, so that it fits any link.
 */
#define RA_FRAME_MAX (14 + 1280)

/* Longest neighbour advertisement or solicitation. */
#define RA_ND_MAX (14 + 40 + 24 + 8)

struct ra_config {
	uint8_t gateway_mac[6];
	uint8_t gateway_ll6[16];    /* ra_link_local() of the MAC */
	uint8_t gateway_ip6[16];    /* the DNS server */
	uint8_t prefix6[16];	    /* bits beyond prefix_len6 do not count */
	uint32_t prefix_len6;	    /* autonomous if 64 (RFC 4862 5.5.3) */
	uint32_t mtu;		    /* bytes */
	uint32_t router_lifetime_s; /* 0..65535; RFC 4861 4.2 */
	uint32_t valid_s;	    /* of the prefix; preferred as long */
	uint32_t nsearch;
	const char *search[RA_SEARCH_LIST]; /* borrows */
};

/* fe80::/64 and the modified EUI-64 of mac (RFC 4291 2.5.1, RFC 2464 4). */
void ra_link_local(const uint8_t mac[6], uint8_t ll6[16]);

/*
 * A router advertisement (RFC 4861 4.2, RFC 8106) with M and O set, to
 * dst_ip6 at dst_mac, or to all nodes if they are NULL.  withdraw: there is
 * no way out any more: no default router, the prefix is deprecated and the
 * DNS server not to be used; all lifetimes but the prefix's valid one are 0.
 */
size_t ra_build(const struct ra_config *cfg, const uint8_t *dst_mac,
    const uint8_t *dst_ip6, int withdraw, uint8_t *frame, size_t cap);

/*
 * A neighbour advertisement for target, an address of the gateway's: the
 * answer to a solicitation from dst_ip6 at dst_mac; or unsolicited, to all
 * nodes, if they are NULL or dst_ip6 is :: (RFC 4861 7.2.4).
 */
size_t ra_build_na(const struct ra_config *cfg, const uint8_t target[16],
    const uint8_t *dst_mac, const uint8_t *dst_ip6, uint8_t *frame, size_t cap);

#endif
