#ifndef NETPROC_LWIPOPTS_H
#define NETPROC_LWIPOPTS_H

/*
 * lwIP as netproc uses it: NO_SYS, no threads, the raw TCP API only.  Every
 * value differs from lwIP's own default for the reason beside it.
 */

/* One process, one thread, our own event loop and our own 250 ms tick. */
#define NO_SYS		     1
#define SYS_LIGHTWEIGHT_PROT 0
#define LWIP_TIMERS	     0
#define LWIP_NETCONN	     0
#define LWIP_SOCKET	     0
#define LWIP_SINGLE_NETIF    1 /* the VM's link is the only one */
#define LWIP_NETIF_HOSTNAME  0
#define LWIP_NETIF_LOOPBACK  0
#define LWIP_HAVE_LOOPIF     0

/* What lwIP parses: ARP and TCP.  Nothing else is compiled. */
#define LWIP_IPV4	   1
#define LWIP_IPV6	   1
#define LWIP_ARP	   1
#define LWIP_ETHERNET	   1
#define LWIP_ICMP	   0 /* gateway/ answers echoes */
#define LWIP_TCP	   1
#define LWIP_UDP	   0 /* gateway/ answers DHCP, DNS */
#define LWIP_RAW	   0
#define LWIP_DHCP	   0
#define LWIP_AUTOIP	   0
#define LWIP_ACD	   0
#define LWIP_IGMP	   0
#define LWIP_DNS	   0
#define IP_FORWARD	   0
#define IP_REASSEMBLY	   0 /* fragment.c does */
#define IP_FRAG		   0 /* no packet exceeds the MTU */
#define IP_OPTIONS_ALLOWED 0 /* nor any IPv4 option */
#define IP_SOF_BROADCAST   0
#define ARP_QUEUEING	   0 /* the guest's MAC is pinned */

#define ETHARP_SUPPORT_STATIC_ENTRIES 0
#define ARP_TABLE_SIZE		      4 /* one guest */

/* Of IPv6, TCP alone: gateway/ answers neighbour discovery and echoes. */
#define LWIP_IPV6_NUM_ADDRESSES		2
#define LWIP_IPV6_FRAG			0
#define LWIP_IPV6_REASS			0
#define IPV6_FRAG_COPYHEADER		1 /* never 0 on 64 bit */
#define LWIP_IPV6_MLD			0
#define LWIP_IPV6_FORWARD		0
#define LWIP_IPV6_SEND_ROUTER_SOLICIT	0
#define LWIP_IPV6_AUTOCONFIG		0
#define LWIP_IPV6_ADDRESS_LIFETIMES	0
#define LWIP_IPV6_DUP_DETECT_ATTEMPTS	0
#define LWIP_IPV6_SCOPES		0
#define LWIP_ND6_QUEUEING		0
#define LWIP_ND6_ALLOW_RA_UPDATES	0 /* the router is us */
#define LWIP_ND6_TCP_REACHABILITY_HINTS 0
#define LWIP_ND6_NUM_NEIGHBORS		4
#define LWIP_ND6_NUM_DESTINATIONS	4
#define LWIP_ND6_NUM_PREFIXES		1
#define LWIP_ND6_NUM_ROUTERS		1

/*
 * Memory: malloc(3) behind caps of our own, which stand before every
 * allocation (flow table, block pool); RLIMIT_DATA is the last fence.
 */
#define MEM_LIBC_MALLOC		 1
#define MEMP_MEM_MALLOC		 1
#define MEM_ALIGNMENT		 8
#define PBUF_POOL_SIZE		 0
#define PBUF_POOL_BUFSIZE	 1600 /* unused; passes lwIP's checks */
#define LWIP_SUPPORT_CUSTOM_PBUF 1 /* frames are parsed where they were read */

/* netif->output computes each checksum once; the guest's is not verified,
 * since a guest with offloads sends partial ones. */
#define CHECKSUM_GEN_IP	      1
#define CHECKSUM_GEN_TCP      0
#define CHECKSUM_GEN_ICMP     1
#define CHECKSUM_CHECK_IP     0 /* the shield has */
#define CHECKSUM_CHECK_TCP    0
#define CHECKSUM_CHECK_ICMP   1
#define TCP_CHECKSUM_ON_COPY  0
#define LWIP_CHECKSUM_ON_COPY 0

/*
 * TCP.  The link to the guest is a socket: it loses nothing, so windows are
 * sized for throughput and timers for a round trip of microseconds.
 */
#define LWIP_WND_SCALE		   1
#define TCP_RCV_SCALE		   8
#define TCP_WND			   (4 * 1024 * 1024) /* see pump.c */
#define TCP_MSS			   65480	     /* netif->mtu lowers it */
#define TCP_CALCULATE_EFF_SEND_MSS 1
#define TCP_SND_BUF		   (4 * 1024 * 1024) /* see blocks.c */
#define TCP_SND_QUEUELEN	   8192 /* pbufs of one flow: 4 MiB / 536 */
#define TCP_SNDLOWAT		   (64 * 1024)
#define TCP_SNDQUEUELOWAT	   4096
/* Said unasked, by pump.c, which has the pcb.  Not all guests scale. */
#define TCP_WND_UPDATE_THRESHOLD       LWIP_MIN(131072, TCP_WND_MAX(pcb) / 2)
#define TCP_OVERSIZE		       0 /* tcp_write never copies here */
#define TCP_QUEUE_OOSEQ		       1
#define TCP_OOSEQ_MAX_BYTES	       (1024 * 1024) /* of a flow; then drop */
#define TCP_OOSEQ_MAX_PBUFS	       1024
#define LWIP_TCP_SACK_OUT	       1
#define LWIP_TCP_TIMESTAMPS	       1
#define LWIP_TCP_KEEPALIVE	       1
#define TCP_TTL			       64  /* as all other packets have */
#define TCP_MSL			       500 /* ms: each SYN searches TIME_WAIT */
#define LWIP_TCP_RTO_TIME	       1000 /* ms, RFC 6298 2.1 */
#define TCP_LISTEN_BACKLOG	       0    /* SYNs come admitted */
#define SO_REUSE		       0
#define LWIP_DISABLE_TCP_SANITY_CHECKS 1 /* they refuse windows this large */

/* RFC 6528: initial sequence numbers by SipHash over the connection. */
#include <stdint.h>
struct ip4_addr;
uint32_t tcp_isn(const void *local_ip, uint16_t local_port,
    const void *remote_ip, uint16_t remote_port);
#define LWIP_HOOK_TCP_ISN(lip, lport, rip, rport) \
	tcp_isn((lip), (lport), (rip), (rport))

#define LWIP_STATS 0
#define LWIP_DEBUG 0
#undef LWIP_NOASSERT /* assertions stay: they end in a trap */

#endif
