#ifndef NETPROC_GATEWAY_ICMP_H
#define NETPROC_GATEWAY_ICMP_H

#include <stddef.h>
#include <stdint.h>

#include "ipc/addr.h"

/*
 * What an error says, in words of either family.
 *
 *	name		ICMP_ERR_<name>
 *	type, code	RFC 792, 1191, 1812
 *	type6, code6	RFC 4443 3
 */
/* clang-format off */
#define ICMP_ERRORS(X) \
	/* name		type	code	type6	code6 */ \
	X(NET,		3,	0,	1,	0) \
	X(HOST,		3,	1,	1,	3) \
	X(PORT,		3,	3,	1,	4) \
	X(PROHIBITED,	3,	13,	1,	1) \
	X(TOO_BIG,	3,	4,	2,	0) \
	X(TTL,		11,	0,	3,	0) \
	X(SCOPE,	3,	1,	1,	2)
/* clang-format on */

enum icmp_error {
#define X(name, type, code, type6, code6) ICMP_ERR_##name,
	ICMP_ERRORS(X)
#undef X
	ICMP_NERRORS
};

/* Types of echoes: RFC 792, RFC 4443 4. */
#define ICMP4_ECHO_REQUEST 8
#define ICMP4_ECHO_REPLY   0
#define ICMP6_ECHO_REQUEST 128
#define ICMP6_ECHO_REPLY   129

/* Longest error of either family: RFC 4443 2.4 (c). */
#define ICMP_ERROR_MAX 1280

/*
 * Builds an error about packet, an IP packet of the guest of len bytes, into
 * out: a whole IP packet of the same family from the address from to the
 * packet's source.  mtu counts for ICMP_ERR_TOO_BIG alone.  Returns its
 * length, or 0 if cap is less than ICMP_ERROR_MAX or no error may be sent
 * about the packet (RFC 1122 3.2.2, RFC 4443 2.4 (e)).
 */
size_t icmp_build_error(enum icmp_error error, uint32_t mtu,
    const struct ipc_addr *from, uint16_t ip_id, const uint8_t *packet,
    size_t len, uint8_t *out, size_t cap);

/* A datagram of the guest's of which only this is still known. */
struct icmp_datagram {
	struct ipc_addr guest;
	struct ipc_addr peer;
	uint16_t guest_port; /* or the echo identifier */
	uint16_t peer_port;  /* or the echo sequence number */
	uint16_t len;	     /* of its payload, bytes; 0 if not known */
	uint8_t proto;	     /* IPPROTO_UDP, IPPROTO_ICMP, IPPROTO_ICMPV6 */
};

/*
 * The same about a datagram: the header that is embedded is made from what is
 * known of it.  0 also if the families or the protocol do not go together.
 */
size_t icmp_build_for_datagram(enum icmp_error error, uint32_t mtu,
    const struct ipc_addr *from, uint16_t ip_id,
    const struct icmp_datagram *datagram, uint8_t *out, size_t cap);

/*
 * Builds an echo reply: message, an ICMP or ICMPv6 message from its type on,
 * as a whole IP packet from src to dst with that identifier and a checksum
 * that is right for it.  It may be longer than the link's MTU; DF is clear.
 * message is copied; it may stand at out + 20 (IPv6: 40) already.  Returns
 * the length, or 0 if message is no echo reply of the family or does not fit.
 */
size_t icmp_build_echo_reply(const struct ipc_addr *src,
    const struct ipc_addr *dst, uint16_t id, uint16_t ip_id,
    const uint8_t *message, size_t len, uint8_t *out, size_t cap);

/* A segment, by what an error about it quotes. */
struct icmp_unreach {
	struct ipc_addr src;
	struct ipc_addr dst;
	uint16_t sport;
	uint16_t dport;
	uint32_t seq;
};

/*
 * Reads message, an ICMP or, if ip6, ICMPv6 message of len bytes from its type
 * on, whose checksum is not looked at.  0, or -1 if it does not say of a TCP
 * segment that its destination is unreachable (RFC 792, RFC 4443 3.1).
 */
int icmp_parse_unreach(int ip6, const uint8_t *message, size_t len,
    struct icmp_unreach *about);

#endif
