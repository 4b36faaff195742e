#ifndef NETPROC_GATEWAY_GATEWAY_H
#define NETPROC_GATEWAY_GATEWAY_H

#include <stddef.h>
#include <stdint.h>

#include "ipc/proto.h"

struct netproc;
struct shield_frame;

/* What the gateway itself answers.  frame passed the shield; see input.c. */

/* Once, after the configuration came.  0, or -1 with errno ENOMEM. */
int gateway_init(struct netproc *np);

void gateway_dhcp(struct netproc *np, const uint8_t *frame,
    const struct shield_frame *sf);

/* A DNS query over UDP: on to relayproc, as it is. */
void gateway_dns_query(struct netproc *np, const uint8_t *frame,
    const struct shield_frame *sf);

/* What relayproc said of a query; answer NULL: every server failed. */
void gateway_dns_answer(struct netproc *np, uint32_t slot, uint32_t generation,
    const uint8_t *answer, size_t len);

/* Answers SERVFAIL to queries whose deadline has come. */
void gateway_dns_expire(struct netproc *np);

/* UDP that has nowhere to go: ICMP port unreachable or prohibited. */
void gateway_udp_refuse(struct netproc *np, const uint8_t *frame,
    const struct shield_frame *sf);

/* Tells the guest why its SYN failed; packet is its IP packet. */
void gateway_icmp_verdict(struct netproc *np, enum flow_verdict verdict,
    const uint8_t *packet, size_t len);

#endif
