#ifndef NETPROC_SIPHASH_H
#define NETPROC_SIPHASH_H

#include <stddef.h>
#include <stdint.h>

#define SIPHASH_KEY_LEN 16

/*
 * SipHash-2-4 with 64 bits of output (Aumasson, Bernstein 2012): a keyed hash
 * whose output a guest cannot predict.
 */
uint64_t siphash24(const uint8_t key[SIPHASH_KEY_LEN], const void *bytes,
    size_t len);

#endif
