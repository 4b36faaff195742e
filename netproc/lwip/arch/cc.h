#ifndef NETPROC_LWIP_ARCH_CC_H
#define NETPROC_LWIP_ARCH_CC_H

#include <endian.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>

/*
 * lwIP's port to this process.  An assertion of lwIP's is the impossible: the
 * reason is logged and the process traps (SIGILL ends it even as PID 1 of its
 * namespace, where abort(3) would not).
 */
_Noreturn void lwip_assert_failed(const char *message, int line,
    const char *file);

#define LWIP_PLATFORM_DIAG(x) \
	do { \
	} while (0)
#define LWIP_PLATFORM_ASSERT(x) lwip_assert_failed((x), __LINE__, __FILE__)
#define LWIP_ERRNO_STDINCLUDE	1
#define LWIP_RAND()		lwip_port_random()
#define LWIP_NO_CTYPE_H		0
#define LWIP_NO_UNISTD_H	0

uint32_t lwip_port_random(void);

#endif
