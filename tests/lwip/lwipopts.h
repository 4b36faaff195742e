#ifndef TESTS_LWIP_LWIPOPTS_H
#define TESTS_LWIP_LWIPOPTS_H

/*
 * lwIP as netproc has it, but for what its own tests need: to count, to tell
 * the time themselves, a list of interfaces, and the sizes that they reckon
 * with.  What is compiled, and what each option turns on or off, is ours.
 */
#include "netproc/lwip/lwipopts.h"

#undef LWIP_STATS
#define LWIP_STATS	 1
#define MEM_STATS	 1
#define MEMP_STATS	 1
#define LWIP_TESTMODE	 1
#define MEMP_SYS_TIMEOUT (MEMP_MAX + 1) /* they name it; we have none */
#undef LWIP_SINGLE_NETIF
#define LWIP_SINGLE_NETIF 0

#undef TCP_MSS
#define TCP_MSS 536
#undef TCP_WND
#define TCP_WND (10 * TCP_MSS)
#undef TCP_RCV_SCALE
#define TCP_RCV_SCALE 0
#undef TCP_SND_BUF
#define TCP_SND_BUF (12 * TCP_MSS)
#undef TCP_SND_QUEUELEN
#define TCP_SND_QUEUELEN 40
#undef LWIP_TCP_RTO_TIME /* they count its ticks */
#undef TCP_SNDLOWAT
#undef TCP_SNDQUEUELOWAT
#undef TCP_WND_UPDATE_THRESHOLD
#undef PBUF_POOL_BUFSIZE /* chains have more than one */

#define LWIP_MEM_ILLEGAL_FREE(msg)

/* Their sequence numbers are those of lwIP without a hook. */
#undef LWIP_HOOK_TCP_ISN

#endif
