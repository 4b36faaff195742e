#ifndef NETPROC_COUNTERS_H
#define NETPROC_COUNTERS_H

#include <stdint.h>

#include "netproc/gateway/dhcp.h"
#include "netproc/gateway/dhcp6.h"
#include "netproc/link/fragment.h"
#include "netproc/link/shield.h"

/*
 * What netproc counts.  X(name, text): counters.n[COUNT_<name>], read as
 * "text" by operators.  The shield's verdicts and DHCP's refusals have
 * counters of their own.
 */
/* clang-format off */
#define COUNTERS(X) \
	X(FRAMES_IN,	"frames-in") \
	X(FRAMES_OUT,	"frames-out") \
	X(FRAMES_QUEUE_FULL, "frames-dropped-queue-full") \
	X(FLOWS_OUT,	"flows-out") \
	X(FLOWS_IN,	"flows-in") \
	X(FLOWS_ESTABLISHED, "flows-established") \
	X(FLOWS_FAILED,	"flows-failed") \
	X(FLOWS_DENIED,	"flows-denied") \
	X(FLOWS_RESET,	"flows-reset") \
	X(FLOWS_TIMEOUT, "flows-timed-out") \
	X(FLOWS_EVICTED, "flows-evicted") \
	X(FLOWS_FULL,	"syns-dropped-table-full") \
	X(FLOWS_NO_FD,	"flows-without-descriptor") \
	X(FLOWS_RESOURCES, "syns-dropped-resources") \
	X(SYN_DUPLICATE, "syns-duplicate") \
	X(GUEST_REBOOT,	"guest-reboots") \
	X(SEGMENT_UNKNOWN, "segments-unknown") \
	X(SEGMENT_BOGUS, "segments-bogus") \
	X(SEGMENT_NO_ROOM, "segments-dropped-no-room") \
	X(ORPHANS_ASKED, "orphans-asked") \
	X(ORPHANS_ENDED, "orphans-ended") \
	X(ARP_GATEWAY,	"arp-for-gateway") \
	X(ICMP_GATEWAY,	"icmp-to-gateway") \
	X(ICMP_OTHER,	"icmp-dropped") \
	X(TTL_SPENT,	"ttl-exceeded") \
	X(ASSOCS,	"associations") \
	X(ASSOCS_EVICTED, "associations-evicted") \
	X(ASSOCS_FULL,	"datagrams-dropped-table-full") \
	X(UDP_OUT,	"udp-out") \
	X(UDP_IN,	"udp-in") \
	X(ECHO_OUT,	"echo-out") \
	X(DATAGRAMS_NO_ROOM, "datagrams-dropped-no-room") \
	X(DATAGRAMS_FRAGMENTED, "datagrams-fragmented") \
	X(DATAGRAM_ERRORS, "datagram-errors") \
	X(RA_SENT,	"router-advertisements") \
	X(DHCP6_REPLIES, "dhcp6-replies") \
	X(DHCP_REPLIES,	"dhcp-replies") \
	X(DNS_QUERIES,	"dns-queries") \
	X(DNS_LOCAL,	"dns-answered-here") \
	X(DNS_ANSWERS,	"dns-answers") \
	X(DNS_MISMATCH,	"dns-answers-mismatched") \
	X(DNS_TRUNCATED, "dns-truncated") \
	X(DNS_SERVFAIL,	"dns-servfail") \
	X(DNS_REFUSED,	"dns-refused") \
	X(DNS_DROPPED,	"dns-dropped") \
	X(LOGS_LOST,	"log-lines-lost")
/* clang-format on */

enum counter {
#define X(name, text) COUNT_##name,
	COUNTERS(X)
#undef X
	COUNT_N
};

struct counters {
	uint64_t n[COUNT_N];
	uint64_t shield[SHIELD_NVERDICTS];
	uint64_t dhcp[DHCP_NERRORS];
	uint64_t dhcp6[DHCP6_NERRORS];
};

/*
 * Logs every counter that is not 0, several a line, at LOG_LEVEL_INFO, and
 * what became of the guest's fragments: the pool's own count.
 */
void counters_log(const struct counters *counters,
    const uint64_t fragments[FRAGMENT_NEVENTS]);

#endif
