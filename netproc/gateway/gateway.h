#ifndef NETPROC_GATEWAY_GATEWAY_H
#define NETPROC_GATEWAY_GATEWAY_H

#include <stddef.h>
#include <stdint.h>

#include "ipc/proto.h"

struct assoc_key;
struct netproc;
struct shield_frame;

/*
 * What the gateway itself answers, and how it speaks to the guest.  A frame
 * passed the shield; see link/input.c for who is called with which.
 */

/* Once, after the configuration came.  0, or -1 with errno ENOMEM. */
int gateway_init(struct netproc *np);

/* gateway.c */
void gateway_dhcp(struct netproc *np, const uint8_t *frame,
    const struct shield_frame *sf);

/* gateway6.c: neighbour discovery and DHCPv6. */
void gateway_nd(struct netproc *np, const struct shield_frame *sf);
void gateway_dhcp6(struct netproc *np, const uint8_t *frame,
    const struct shield_frame *sf);

/* gateway6.c: a VMM has attached, or the host's route came or went. */
void gateway_announce6(struct netproc *np);
int gateway_init6(struct netproc *np);

/* gateway_dns.c: a DNS query over UDP, on to relayproc.  EDNS is changed. */
void gateway_dns_query(struct netproc *np, uint8_t *frame,
    const struct shield_frame *sf);

/*
 * gateway_dns.c: the answer to a query for a name of the gateway's, over
 * whatever it came.  Returns its length in out, which has room for
 * DNS_LOCAL_MAX bytes; 0 if the query is for a server.
 */
size_t gateway_dns_local(struct netproc *np, const uint8_t *query, size_t len,
    uint8_t *out, size_t cap);

/* What relayproc said of a query; answer NULL: every server failed. */
void gateway_dns_answer(struct netproc *np, uint32_t slot, uint32_t generation,
    const uint8_t *answer, size_t len);

/* Answers SERVFAIL to queries whose deadline has come. */
void gateway_dns_expire(struct netproc *np);

/* A datagram to the guest, of either family, in fragments if need be. */
struct gateway_datagram {
	struct ipc_addr src, dst;
	uint16_t sport, dport;
};

void gateway_send_udp(struct netproc *np, const struct gateway_datagram *d,
    const uint8_t *payload, size_t len);

/* An echo reply that relayproc's socket got, under the guest's identifier. */
void gateway_send_echo(struct netproc *np, const struct ipc_addr *peer,
    const struct ipc_addr *guest, uint16_t id, const uint8_t *message,
    size_t len);

/* A port of the gateway's for a client of a published UDP port; 0: none. */
uint16_t gateway_udp_port(struct netproc *np, const struct assoc_key *key);

/* gateway_icmp.c: answers a ping of the gateway's address, of any size. */
void gateway_echo(struct netproc *np, const uint8_t *frame,
    const struct shield_frame *sf);

/* gateway_icmp.c: tells the guest why its packet goes nowhere. */
void gateway_icmp_verdict(struct netproc *np, enum flow_verdict verdict,
    const uint8_t *packet, size_t len);

/* ... which is one that its source address may not leave the link with. */
void gateway_icmp_scope(struct netproc *np, const uint8_t *packet, size_t len);

/* ... or its datagram. */
void gateway_datagram_error(struct netproc *np, const struct assoc_key *key,
    const struct ipc_assoc_error *error);

#endif
