#ifndef TESTS_UNIT_JOURNAL_RIG_H
#define TESTS_UNIT_JOURNAL_RIG_H

#include <stddef.h>
#include <stdint.h>

#include "ipc/journal.h"

/* Streams of frames that can be told apart, and journals of them. */

#define SLOTS 8

/* Frames of many sizes, each filled with a byte of its own: 1, 2 ... */
#define NSIZES 11
extern const size_t sizes[NSIZES];
extern const uint8_t mac[6];

/* One of each, with their prefixes. */
extern uint8_t stream[300000];
extern size_t stream_len;

extern size_t chunk; /* chunk_probe() */

/* For cmocka: fills stream and chunk, starts lwIP. */
int rig_setup(void **state);

void make_pair(int fds[2]);

/* Returns owned. */
struct journal *make_journal(void);

/* 1 if it is one of ours, whole. */
int frame_is_whole(const uint8_t *frame, size_t len);

#endif
