#ifndef NETPROC_LINK_CHUNK_H
#define NETPROC_LINK_CHUNK_H

#include <stddef.h>

/*
 * In what pieces a unix stream socket takes a long write (unix(7),
 * unix_stream_sendmsg of the kernel): bytes, each piece whole or not at all;
 * 36,544 where a page has 4 KiB.  It is measured, since it is a matter of the
 * kernel's alone.  0 if what is measured makes no sense: then nothing longer
 * than JOURNAL_PIECE may be written at once.
 *
 * Needs socketpair and setsockopt: before the lock.
 */
size_t chunk_probe(void);

#endif
