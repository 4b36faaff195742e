#ifndef TESTS_FUZZ_SHIELD_LINK_H
#define TESTS_FUZZ_SHIELD_LINK_H

#include <stddef.h>
#include <stdint.h>

#include "netproc/link/shield.h"

/* A link with both families, whose guest and gateway are known. */
extern const struct shield_config fuzz_link;

/* What an ICMPv6 message of len bytes sums up to; 0 if its own sum is right. */
uint16_t fuzz_icmp6_sum(const uint8_t *frame, size_t len);

#endif
