#ifndef NETPROC_LINK_SHIELD_CHECK_H
#define NETPROC_LINK_SHIELD_CHECK_H

#include <stddef.h>
#include <stdint.h>

#include "netproc/link/shield.h"

/*
 * The shield's inside, for shield*.c alone.
 *
 * Each of these takes what is left of the frame, one header further in than
 * its caller, and returns a verdict, or SHIELD_UNDECIDED where the caller has
 * the last word.  Headers are copied out of the cursor before anything in
 * them is believed.
 */
#define SHIELD_UNDECIDED SHIELD_NVERDICTS

struct cursor;

/* shield_ip4.c, shield_ip6.c: a packet, and whether it is the guest's. */
enum shield_verdict shield_ip4(struct cursor c, const struct shield_config *cfg,
    struct shield_frame *out);
enum shield_verdict shield_ip6(struct cursor c, const struct shield_config *cfg,
    struct shield_frame *out);

/* shield_nd.c: an ICMPv6 message of types 133 to 137, with its checksum. */
enum shield_verdict shield_nd(struct cursor c, const struct shield_config *cfg,
    struct shield_frame *out);

/* shield_l4.c: what a packet of either version carries. */
enum shield_verdict shield_tcp(struct cursor c, struct shield_frame *out);
enum shield_verdict shield_udp(struct cursor c, struct shield_frame *out);

/* The header that ICMP and ICMPv6 share; SHIELD_UNDECIDED if it is good. */
enum shield_verdict shield_icmp(struct cursor c,
    const struct shield_config *cfg, uint8_t echo_request,
    struct shield_frame *out);

/*
 * Where a fragment lies; header_len bytes count to its datagram's 64 KiB too.
 * SHIELD_UNDECIDED if it is good.
 */
enum shield_verdict shield_fragment(size_t header_len,
    struct shield_frame *out);

/* shield_ip6.c: what kind of address it is on this link. */
int shield_is_gateway6(const uint8_t addr[16], const struct shield_config *cfg);
int shield_is_multicast6(const uint8_t addr[16]);
int shield_is_unspecified6(const uint8_t addr[16]);

/* 1 if it is link-local or in the prefix, and not the gateway's. */
int shield_is_guest6(const uint8_t addr[16], const struct shield_config *cfg);

#endif
