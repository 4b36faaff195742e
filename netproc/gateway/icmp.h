#ifndef NETPROC_GATEWAY_ICMP_H
#define NETPROC_GATEWAY_ICMP_H

#include <stddef.h>
#include <stdint.h>

#define ICMP_UNREACH_NET	0
#define ICMP_UNREACH_HOST	1
#define ICMP_UNREACH_PROTOCOL	2
#define ICMP_UNREACH_PORT	3
#define ICMP_UNREACH_PROHIBITED 13 /* RFC 1812 5.2.7.1 */

/* Longest result: IP header, ICMP header, embedded IP header + 8 bytes. */
#define ICMP_UNREACH_MAX (20 + 8 + 60 + 8)

/*
 * Builds a destination unreachable (RFC 792) about packet, an IPv4 packet of
 * the guest of len bytes, into out: a whole IP packet from gateway_ip (host
 * order) to the packet's source.  Returns its length, or 0 if cap is short or
 * no error may be sent about the packet (RFC 1122 3.2.2: a malformed one, a
 * later fragment, an ICMP error, a group or zero address).
 */
size_t icmp_build_unreachable(uint32_t gateway_ip, uint8_t code, uint16_t ip_id,
    const uint8_t *packet, size_t len, uint8_t *out, size_t cap);

#endif
