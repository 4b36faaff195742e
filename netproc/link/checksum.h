#ifndef NETPROC_LINK_CHECKSUM_H
#define NETPROC_LINK_CHECKSUM_H

#include <stddef.h>
#include <stdint.h>

/*
 * The internet checksum (RFC 1071) over any number of pieces of any length;
 * a piece of odd length is continued by the next as if they were one.
 *
 *	struct checksum sum;
 *
 *	checksum_init(&sum);
 *	checksum_pseudo4(&sum, src_ip, dst_ip, IPPROTO_UDP, udp_len);
 *	checksum_add(&sum, udp, udp_len);
 *	checksum = checksum_finish(&sum);
 */

struct checksum {
	uint64_t sum; /* of 16-bit words in memory order, not folded */
	int odd;      /* 1: an odd number of bytes so far */
};

void checksum_init(struct checksum *sum);
void checksum_add(struct checksum *sum, const void *bytes, size_t len);

/* The pseudo header of TCP and UDP over IPv4; addresses in host order. */
void checksum_pseudo4(struct checksum *sum, uint32_t src_ip, uint32_t dst_ip,
    uint8_t protocol, uint16_t len);

/* That of TCP, UDP and ICMPv6 (RFC 8200 8.1); addresses in network order. */
void checksum_pseudo6(struct checksum *sum, const uint8_t src_ip6[16],
    const uint8_t dst_ip6[16], uint8_t protocol, uint32_t len);

/*
 * The complement, in host order: write it big-endian.  Over data that holds a
 * right checksum it is 0.  UDP sends 0xffff for 0 (RFC 768): the caller does.
 */
uint16_t checksum_finish(const struct checksum *sum);

/* All in one: checksum_finish() of one piece. */
uint16_t checksum_of(const void *bytes, size_t len);

#endif
