#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <time.h>

#include "ipc/kernel.h"
#include "sandbox/rules.h"

/*
 * relayproc owns the host's sockets, and nothing else: Internet sockets of
 * exactly the kinds below, connected, never bound or listening (listeners
 * come from the parent).  No read and no recvmsg: the only receives on a
 * dynamic descriptor are a DNS answer's and those of datagrams.  A filter does
 * not see what kind a socket is, and relayproc has the lent ones too: so these
 * bear MSG_TRUNC, with which TCP throws away what it would copy (tcp(7)), and
 * a datagram comes as it would without.  The only send bears MSG_FASTOPEN,
 * with which TCP takes nothing for a connection that stands: one byte with a
 * request for a time stamp would be enough to have the kernel show, in the
 * queue of errors, what netproc has written before and behind it.  No file, no
 * AF_UNIX, AF_NETLINK or AF_PACKET socket, no process.  Where flows are
 * spliced, the rows of policy_splice.c come on top.
 */

#define SOCK_FLAGS (SOCK_NONBLOCK | SOCK_CLOEXEC)

/* clang-format off */
static const struct filter_rule rules[] = {
	/* the event loop */
#ifdef __NR_epoll_wait
	{ CALL(epoll_wait), { INT(FD_EPOLL) },
	    "libevent waits for the next event" },
#else
	{ CALL(epoll_pwait), { INT(FD_EPOLL), ANY, ANY, ANY, LONG(0) },
	    "libevent waits for the next event; no signal mask" },
#endif
	{ CALL(epoll_ctl), { INT(FD_EPOLL) },
	    "libevent adds and removes descriptors" },

	/* sockets: the exact kinds */
	{ CALL(socket),
	    { INT(AF_INET), INT(SOCK_STREAM | SOCK_FLAGS), INT(IPPROTO_TCP) },
	    "a TCP flow over IPv4" },
	{ CALL(socket),
	    { INT(AF_INET6), INT(SOCK_STREAM | SOCK_FLAGS), INT(IPPROTO_TCP) },
	    "a TCP flow over IPv6" },
	{ CALL(socket),
	    { INT(AF_INET), INT(SOCK_DGRAM | SOCK_FLAGS), INT(IPPROTO_UDP) },
	    "a UDP port of the guest's, or a DNS query, over IPv4" },
	{ CALL(socket),
	    { INT(AF_INET6), INT(SOCK_DGRAM | SOCK_FLAGS), INT(IPPROTO_UDP) },
	    "a UDP port of the guest's, or a DNS query, over IPv6" },
	{ CALL(socket),
	    { INT(AF_INET), INT(SOCK_DGRAM | SOCK_FLAGS), INT(IPPROTO_ICMP) },
	    "the guest's pings" },
	{ CALL(socket),
	    { INT(AF_INET6), INT(SOCK_DGRAM | SOCK_FLAGS),
		INT(IPPROTO_ICMPV6) },
	    "the guest's pings over IPv6" },
	{ CALL(connect), { DYNAMIC },
	    "to a destination that the policy lets through; to AF_UNSPEC "
	    "to revoke a lent socket" },
	{ CALL(close), { DYNAMIC },
	    "the end of a flow, an association or a query" },

	/*
	 * These and the options below do not compare the descriptor: none has
	 * a meaning on a fixed one, and the comparison would make the filter
	 * four times as long.
	 */
	{ CALL(accept4), { ANY, ANY, ANY, INT(SOCK_FLAGS) },
	    "a client of a published port" },
	{ CALL(getsockopt), { ANY, INT(SOL_SOCKET), INT(SO_ERROR) },
	    "how a connect ended; no datagram meets the error of another" },
	{ CALL(getsockopt), { ANY, INT(IPPROTO_TCP), INT(TCP_INFO) },
	    "how a connect went, how many bytes a connection has carried, "
	    "and whether it stands" },
	{ CALL(getsockopt), { ANY, INT(IPPROTO_IPV6), INT(IPV6_MTU) },
	    "whether an IPv6 address is the host's own" },
	{ CALL(getsockname), { ANY },
	    "a connect that met itself is found and refused" },

	/* sockets: how they are set up */
	{ CALL(setsockopt), { ANY, INT(IPPROTO_TCP), INT(TCP_NODELAY) },
	    "the guest's own segmentation is kept" },
	{ CALL(setsockopt), { ANY, INT(IPPROTO_TCP), INT(TCP_MAXSEG) },
	    "small send buffers do not stall on one large segment" },
	{ CALL(setsockopt), { ANY, INT(SOL_SOCKET), INT(SO_KEEPALIVE) },
	    "a remote host that has vanished is missed after two hours" },
	{ CALL(setsockopt), { ANY, INT(SOL_SOCKET), INT(SO_OOBINLINE) },
	    "urgent bytes stay in the stream" },
	{ CALL(setsockopt), { ANY, INT(SOL_SOCKET), INT(SO_LINGER) },
	    "a flow whose relayproc died is reset, not ended" },
	{ CALL(setsockopt), { ANY, INT(SOL_SOCKET), INT(SO_RCVBUF) },
	    "a burst of datagrams is not lost while netproc is busy" },
	{ CALL(setsockopt), { ANY, INT(IPPROTO_UDP), INT(UDP_GRO) },
	    "many datagrams of one peer arrive as one message" },
	{ CALL(setsockopt), { ANY, INT(IPPROTO_IP), INT(IP_RECVERR) },
	    "ICMP errors reach the guest" },
	{ CALL(setsockopt), { ANY, INT(IPPROTO_IPV6), INT(IPV6_RECVERR) },
	    "ICMPv6 errors reach the guest" },
	{ CALL(setsockopt), { ANY, INT(IPPROTO_IP), INT(IP_MTU_DISCOVER) },
	    "the guest's own choice of DF" },
	{ CALL(setsockopt), { ANY, INT(IPPROTO_IPV6), INT(IPV6_MTU_DISCOVER) },
	    "the guest's own choice to fragment or not" },
	{ CALL(setsockopt), { ANY, INT(IPPROTO_IPV6), INT(IPV6_V6ONLY) },
	    "one port number for IPv4 and for IPv6, each its own socket" },
	{ CALL(setsockopt), { ANY, INT(IPPROTO_IP), INT(IP_LOCAL_PORT_RANGE) },
	    "the guest's own port is kept without bind" },

	/* datagrams, many a call */
	{ CALL(sendmmsg),
	    { DYNAMIC, ANY, ANY,
		INT(MSG_DONTWAIT | MSG_NOSIGNAL | MSG_FASTOPEN) },
	    "the guest's datagrams, and DNS queries; into a TCP connection "
	    "it would put no byte" },
	{ CALL(sendmmsg),
	    { DYNAMIC, ANY, ANY,
		INT(MSG_DONTWAIT | MSG_NOSIGNAL | MSG_FASTOPEN | MSG_CONFIRM |
		    MSG_PROXY) },
	    "whether an IPv4 address is the host's own: nothing is sent" },
	{ CALL(recvmmsg),
	    { DYNAMIC, ANY, ANY, INT(MSG_DONTWAIT | MSG_TRUNC), LONG(0) },
	    "their answers; of a TCP socket it would yield no byte" },
	{ CALL(recvmmsg),
	    { DYNAMIC, ANY, ANY, INT(MSG_DONTWAIT | MSG_ERRQUEUE), LONG(0) },
	    "ICMP errors about them" },

	/* channels */
	{ CALL(writev), { INT(FD_PARENT) },
	    "READY and log lines to the parent" },
	{ CALL(writev), { INT(FD_PEER) },
	    "verdicts and ends of flows to netproc" },
	{ CALL(writev), { INT(FD_DGRAM) },
	    "DNS answers and datagrams to netproc" },
	{ CALL(sendmsg),
	    { INT(FD_PEER), ANY, INT(MSG_DONTWAIT | MSG_NOSIGNAL) },
	    "lends a connected socket to netproc" },
	{ CALL(recvmsg),
	    { INT(FD_PARENT), ANY, INT(MSG_DONTWAIT | MSG_CMSG_CLOEXEC) },
	    "STOP, changes of host addresses and resolvers from the parent" },
	{ CALL(recvmsg),
	    { INT(FD_PEER), ANY, INT(MSG_DONTWAIT | MSG_CMSG_CLOEXEC) },
	    "flow requests from netproc" },
	{ CALL(recvmsg),
	    { INT(FD_DGRAM), ANY, INT(MSG_DONTWAIT | MSG_CMSG_CLOEXEC) },
	    "DNS queries and datagrams from netproc" },

	/* memory: malloc(3), never executable */
	{ CALL(brk), { ANY }, "malloc grows and trims the heap" },
	{ CALL(mmap),
	    { ANY, ANY, INT(PROT_READ | PROT_WRITE),
		INT(MAP_PRIVATE | MAP_ANONYMOUS), INT(-1), LONG(0) },
	    "malloc of a large block" },
	{ CALL(munmap), { ANY }, "free of a large block" },
	{ CALL(mremap), { ANY, ANY, ANY, INT(MREMAP_MAYMOVE) },
	    "libevent's tables grow with the descriptors" },

	/* time, the end */
	{ CALL(clock_gettime), { INT(CLOCK_MONOTONIC) },
	    "timers, where the clock source has no vDSO" },
	{ CALL(clock_gettime), { INT(CLOCK_MONOTONIC_COARSE) },
	    "libevent's timers, where the clock source has no vDSO" },
	{ CALL(gettimeofday), { ANY, LONG(0) },
	    "libevent's cached time, where the clock source has no vDSO" },
	{ CALL(exit_group), { ANY }, "STOP, and fatal()" },
};
/* clang-format on */

const struct filter filter_relayproc = { FILTER_ROWS(rules) };
