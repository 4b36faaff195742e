#ifndef IPC_PROTO_H
#define IPC_PROTO_H

#include <stddef.h>
#include <stdint.h>

#include "ipc/addr.h"
#include "ipc/roles.h"

/*
 * Every word that one process of a sidecar can say to another.
 *
 * One SOCK_SEQPACKET record is one message: a struct ipc_hdr, the fixed-size
 * payload of its type, for four types a tail of opaque bytes, and at most
 * one descriptor.  IPC_MESSAGES is the only place where a message is
 * described; the enum, the names, the sizes and ipc_check() come from it.
 *
 *	name		the message is IPC_<name>
 *	from, to	who may say it, and to whom (sets of roles)
 *	payload		struct that follows the header, "struct ipc_" left out
 *	tail		most bytes that may follow the payload
 *	fds		exactly so many descriptors come with it
 *	phases		when it may be said, as the receiver sees it
 *
 * A flow is named by header.flow and header.generation.  Slots below
 * config.max_flows are given out by netproc (the guest connects), those with
 * FLOW_INBOUND_BIT by relayproc (a published port was connected to).
 * netproc ends every flow: FLOW_CLOSE, once, after it has closed its own
 * descriptor.  An outbound slot is free again when FLOW_CLOSED has answered;
 * an inbound slot when FLOW_CLOSE has arrived.
 *
 * Outbound:	FLOW_OPEN -> FLOW_OPENED + fd | FLOW_FAILED (slot is free)
 *		[FLOW_SHUT_WR] FLOW_CLOSE -> FLOW_CLOSED (slot is free)
 *		netproc may say FLOW_CLOSE before an answer came; an OPENED or
 *		FAILED that crossed it is ignored (its fd closed) and
 *		FLOW_CLOSED still comes.
 * Inbound:	FLOW_INBOUND + fd -> [FLOW_SHUT_WR] FLOW_CLOSE (slot is free)
 *
 * A flow is lent, or spliced: its descriptor is the host's socket, or one end
 * of a unix stream whose other end relayproc joins to the host's socket.  The
 * end of such a stream says nothing, since a lost process makes one as well;
 * the host's FIN or reset is FLOW_ENDED, after the last byte before it.  The
 * guest's FIN is the stream's end and FLOW_SHUT_WR, or FLOW_CLOSE.  Of a lent
 * flow FLOW_SHUT_WR may be left out: the socket itself has the FIN.
 */

#define R_P ROLE_BIT(ROLE_PARENT)
#define R_N ROLE_BIT(ROLE_NETPROC)
#define R_R ROLE_BIT(ROLE_RELAYPROC)

enum ipc_phase {
	IPC_SETUP = 1, /* from exec until READY was sent or received */
	IPC_RUN = 2,
	IPC_DRAIN = 4 /* after STOP was sent or received */
};

#define P_S  IPC_SETUP
#define P_R  IPC_RUN
#define P_RD (IPC_RUN | IPC_DRAIN)
#define P_SR (IPC_SETUP | IPC_RUN)
#define P_A  (IPC_SETUP | IPC_RUN | IPC_DRAIN)

#define IPC_DNS_TAIL_MAX   65507 /* largest UDP payload over IPv4 */
#define IPC_DGRAM_TAIL_MAX 65527 /* ... over IPv6 (RFC 8200 4.5, RFC 768) */

/* clang-format off */
#define IPC_MESSAGES(X) \
	/* name		from		to		payload		tail	fds	phases */ \
	X(HELLO,	R_P,		R_N | R_R,	hello,		0,	0,	P_S) \
	X(HELLO_ACK,	R_N | R_R,	R_P,		hello,		0,	0,	P_S) \
	X(CONFIG_NETPROC, R_P,		R_N,		config_netproc,	0,	0,	P_S) \
	X(CONFIG_JOURNAL, R_P,		R_N,		empty,		0,	1,	P_S) \
	X(CONFIG_RELAYPROC, R_P,	R_R,		config_relayproc, 0,	0,	P_S) \
	X(CONFIG_RULE,	R_P,		R_R,		rule,		0,	0,	P_S) \
	X(CONFIG_RESOLVER, R_P,		R_R,		resolver,	0,	0,	P_SR) \
	X(CONFIG_HOST_SERVICE, R_P,	R_R,		host_service,	0,	0,	P_S) \
	X(CONFIG_LISTENER, R_P,		R_R,		listener,	0,	1,	P_S) \
	X(HOST_ADDR,	R_P,		R_R,		host_addr,	0,	0,	P_SR) \
	X(CONFIG_DONE,	R_P,		R_N | R_R,	config_done,	0,	0,	P_S) \
	X(READY,	R_N | R_R,	R_P,		ready,		0,	0,	P_S) \
	X(LOG,		R_N | R_R,	R_P,		log,		0,	0,	P_A) \
	X(VIOLATION,	R_N | R_R,	R_P,		violation,	0,	0,	P_RD) \
	X(FRAME,	R_P,		R_N,		frame,		0,	1,	P_R) \
	X(GUEST_MAC,	R_N,		R_P,		guest_mac,	0,	0,	P_RD) \
	X(FRAME_GONE,	R_N,		R_P,		frame_gone,	0,	0,	P_RD) \
	X(SERVE,	R_P,		R_R,		empty,		0,	0,	P_R) \
	X(PING,		R_P,		R_N | R_R,	ping,		0,	0,	P_R) \
	X(PONG,		R_N | R_R,	R_P,		ping,		0,	0,	P_RD) \
	X(STOP,		R_P,		R_N | R_R,	empty,		0,	0,	P_SR) \
	X(FLOW_OPEN,	R_N,		R_R,		flow_open,	0,	0,	P_RD) \
	X(FLOW_OPENED,	R_R,		R_N,		flow_opened,	0,	1,	P_RD) \
	X(FLOW_FAILED,	R_R,		R_N,		flow_failed,	0,	0,	P_RD) \
	X(FLOW_INBOUND,	R_R,		R_N,		flow_inbound,	0,	1,	P_RD) \
	X(FLOW_ENDED,	R_R,		R_N,		flow_ended,	0,	0,	P_RD) \
	X(FLOW_SHUT_WR,	R_N,		R_R,		empty,		0,	0,	P_RD) \
	X(FLOW_CLOSE,	R_N,		R_R,		flow_close,	0,	0,	P_RD) \
	X(FLOW_CLOSED,	R_R,		R_N,		empty,		0,	0,	P_RD) \
	X(DNS_QUERY,	R_N,		R_R,		dns,		IPC_DNS_TAIL_MAX, 0,	P_RD) \
	X(DNS_DONE,	R_N,		R_R,		dns,		0,	0,	P_RD) \
	X(DNS_ANSWER,	R_R,		R_N,		dns,		IPC_DNS_TAIL_MAX, 0,	P_RD) \
	X(DNS_FAILED,	R_R,		R_N,		dns,		0,	0,	P_RD) \
	X(ASSOC_SEND,	R_N,		R_R,		assoc_data,	IPC_DGRAM_TAIL_MAX, 0,	P_RD) \
	X(ASSOC_RECV,	R_R,		R_N,		assoc_data,	IPC_DGRAM_TAIL_MAX, 0,	P_RD) \
	X(ASSOC_ERROR,	R_R,		R_N,		assoc_error,	0,	0,	P_RD) \
	X(ASSOC_CLOSE,	R_N,		R_R,		empty,		0,	0,	P_RD) \
	X(HOST_ROUTE,	R_P,		R_N,		host_route,	0,	0,	P_SR)
/* clang-format on */

enum ipc_type {
	IPC_NONE,
#define X(name, from, to, payload, tail, fds, phases) IPC_##name,
	IPC_MESSAGES(X)
#undef X
	IPC_NTYPES
};

struct ipc_hdr {
	uint32_t type; /* enum ipc_type */
	uint32_t flow; /* slot, or 0 */
	uint32_t generation;
	uint32_t reserved; /* zero */
};
_Static_assert(sizeof(struct ipc_hdr) == 16, "wire size");

#define FLOW_INBOUND_BIT 0x80000000u
#define FLOW_SLOTS_MAX	 65536u /* most slots of one direction */

struct ipc_empty {
	uint32_t reserved; /* zero */
};
_Static_assert(sizeof(struct ipc_empty) == 4, "wire size");

struct ipc_hello {
	uint64_t proto_hash; /* ipc_proto_hash(): a child of another build is
				refused */
	uint32_t role;	     /* of the child */
	uint32_t log_level;  /* enum log_level */
};
_Static_assert(sizeof(struct ipc_hello) == 16, "wire size");

#define NET_SEARCH_MAX	255 /* one domain name, RFC 1035 2.3.4 */
#define NET_SEARCH_LIST 6   /* domains, as resolv.conf(5) has it */

struct ipc_config_netproc {
	struct ipc_addr address; /* the guest's, IPv4 */
	struct ipc_addr gateway;
	struct ipc_addr address6; /* family 0: no IPv6 for the guest */
	struct ipc_addr gateway6;
	uint32_t prefix_len;
	uint32_t prefix_len6; /* 64: SLAAC needs it */
	uint32_t mtu;	      /* of the link, 1280..65520 bytes */
	uint8_t guest_mac[6];
	uint8_t gateway_mac[6];
	uint8_t guest_mac_auto; /* 1: the first valid frame pins it */
	uint8_t pad[3];		/* zero */
	uint32_t lease_s;	/* DHCP lease, seconds */
	uint32_t max_flows;	/* outbound slots */
	uint32_t max_inbound;	/* inbound slots, 0 if nothing is published */
	uint32_t max_assocs;	/* UDP and ICMP, outbound slots */
	uint32_t max_assocs_in; /* inbound slots */
	uint32_t dns_in_flight; /* most queries waiting for an answer */
	uint32_t nsearch;
	char search[NET_SEARCH_LIST][NET_SEARCH_MAX + 1]; /* NUL padded */
};
_Static_assert(sizeof(struct ipc_config_netproc) == 1672, "wire size");

struct ipc_config_relayproc {
	struct ipc_addr gateway;  /* what --host-service listens on */
	struct ipc_addr address;  /* the guest's */
	struct ipc_addr gateway6; /* family 0: none */
	struct ipc_addr address6;
	uint32_t prefix_len; /* of the gateway's link */
	uint32_t prefix_len6;
	uint32_t max_assocs;
	uint32_t max_assocs_in;
	uint32_t udp_filter_open; /* 1: endpoint-independent filtering */
	uint32_t default_allow;	  /* 1: a destination that no rule names */
	uint32_t max_flows;
	uint32_t max_inbound;
	uint32_t max_pending;	      /* connects under way, in all */
	uint32_t max_pending_per_dst; /* ... and to one address */
	uint32_t connect_rate_per_s;  /* token bucket refill */
	uint32_t connect_burst;	      /* token bucket size */
	uint32_t connect_timeout_ms;
	uint32_t dns_timeout_ms; /* for each upstream server */
	uint32_t dns_in_flight;
	uint32_t splice; /* 1: flows are spliced; 0: lent */
};
_Static_assert(sizeof(struct ipc_config_relayproc) == 144, "wire size");

enum rule_action {
	RULE_ALLOW,
	RULE_DENY,
	RULE_UNSAFE_ALLOW /* beats the floor; said by --unsafe-allow alone */
};

struct ipc_rule {
	struct ipc_addr net;
	uint32_t prefix_len;
	uint32_t action;    /* enum rule_action */
	uint32_t proto;	    /* IPPROTO_TCP, IPPROTO_UDP, IPPROTO_ICMP; 0: any */
	uint16_t port_low;  /* 0..65535, low <= high */
	uint16_t port_high; /* 65535 with port_low 0: any port */
};
_Static_assert(sizeof(struct ipc_rule) == 36, "wire size");

struct ipc_resolver {
	struct ipc_addr addr;
	uint16_t port;
	uint16_t first; /* 1: the servers before it are no more */
};
_Static_assert(sizeof(struct ipc_resolver) == 24, "wire size");

struct ipc_host_service {
	uint16_t gateway_port;
	uint16_t host_port; /* on 127.0.0.1 */
};
_Static_assert(sizeof(struct ipc_host_service) == 4, "wire size");

struct ipc_listener {
	uint32_t proto; /* IPPROTO_TCP or IPPROTO_UDP */
	uint16_t guest_port;
	uint16_t host_port;
	struct ipc_addr bind;
	uint32_t preserve; /* 1: the guest sees the client's own address */
};
_Static_assert(sizeof(struct ipc_listener) == 32, "wire size");

struct ipc_host_addr {
	struct ipc_addr addr;
	uint32_t present; /* 1: the host has it; 0: no longer */
};
_Static_assert(sizeof(struct ipc_host_addr) == 24, "wire size");

struct ipc_config_done {
	uint32_t records; /* CONFIG_* and HOST_ADDR messages before this */
};
_Static_assert(sizeof(struct ipc_config_done) == 4, "wire size");

struct ipc_ready {
	uint32_t missed; /* bit per enum isolate_stage that did not hold */
	uint32_t reserved;
};
_Static_assert(sizeof(struct ipc_ready) == 8, "wire size");

struct ipc_log {
	uint32_t level; /* enum log_level */
	char text[460]; /* NUL padded */
};
_Static_assert(sizeof(struct ipc_log) == 464, "wire size");

struct ipc_violation {
	uint32_t role;	/* who broke the protocol */
	uint32_t error; /* enum ipc_error */
	uint32_t type;	/* what it sent */
	uint32_t reserved;
};
_Static_assert(sizeof(struct ipc_violation) == 16, "wire size");

enum frame_kind {
	FRAME_STREAM, /* u32 big-endian length before each frame */
	FRAME_NKINDS
};

/*
 * resumed: a netproc before this one has read and written it; the journal says
 * where it stands.  guest_mac is what that one had pinned, and told.
 */
struct ipc_frame {
	uint32_t kind; /* enum frame_kind */
	uint8_t resumed;
	uint8_t guest_mac_known;
	uint8_t guest_mac[6];
};
_Static_assert(sizeof(struct ipc_frame) == 12, "wire size");

/* The first valid frame of a VM's session has pinned it; said once in one. */
struct ipc_guest_mac {
	uint8_t mac[6];
	uint8_t pad[2]; /* zero */
};
_Static_assert(sizeof(struct ipc_guest_mac) == 8, "wire size");

/*
 * SERVE: the parent has seen relayproc's jail, and clients of published ports
 * may be accepted; it counts descriptors there, and one more would be foreign.
 */

/* A sign of life is asked for, and given: the same number comes back. */
struct ipc_ping {
	uint32_t number;
};
_Static_assert(sizeof(struct ipc_ping) == 4, "wire size");

enum frame_gone_reason {
	FRAME_GONE_EOF,
	FRAME_GONE_ERROR,      /* detail: errno */
	FRAME_GONE_BAD_LENGTH, /* detail: the length that was announced */
	FRAME_GONE_JOURNAL,    /* resumed, but the journal cannot be believed */
	FRAME_GONE_NREASONS
};

struct ipc_frame_gone {
	uint32_t reason; /* enum frame_gone_reason */
	uint32_t detail;
};
_Static_assert(sizeof(struct ipc_frame_gone) == 8, "wire size");

struct ipc_flow_open {
	struct ipc_addr dst;
	uint16_t dst_port;
	uint16_t mss; /* the guest's MSS option, 536 without one */
};
_Static_assert(sizeof(struct ipc_flow_open) == 24, "wire size");

struct ipc_flow_opened {
	uint32_t spliced; /* 1: the descriptor is a unix stream's */
};
_Static_assert(sizeof(struct ipc_flow_opened) == 4, "wire size");

enum flow_verdict {
	VERDICT_REFUSED,      /* ECONNREFUSED: RST */
	VERDICT_RESET,	      /* ECONNRESET and the like: RST */
	VERDICT_NET_UNREACH,  /* RST and ICMP 3/0 */
	VERDICT_HOST_UNREACH, /* RST and ICMP 3/1 */
	VERDICT_TIMEOUT,      /* RST and ICMP 3/1 */
	VERDICT_DENIED,	      /* by policy: RST and ICMP 3/13 */
	VERDICT_RESOURCES,    /* ours are short: drop the SYN, it comes again */
	VERDICT_TOO_BIG,      /* datagrams: ICMP 3/4 or ICMPv6 2 with the MTU */
	VERDICT_TTL,	      /* datagrams: ICMP 11/0 or ICMPv6 3/0 */
	VERDICT_N
};

struct ipc_flow_failed {
	uint32_t verdict; /* enum flow_verdict */
};
_Static_assert(sizeof(struct ipc_flow_failed) == 4, "wire size");

struct ipc_flow_inbound {
	struct ipc_addr client;
	uint16_t client_port;
	uint16_t guest_port;
	uint32_t preserve; /* 1: the guest sees the client's own address */
	uint32_t spliced;  /* as in FLOW_OPENED */
};
_Static_assert(sizeof(struct ipc_flow_inbound) == 32, "wire size");

enum flow_end {
	FLOW_END_NONE,	/* not said */
	FLOW_END_FIN,	/* the host sends no more */
	FLOW_END_RESET, /* the host's connection is no more; may follow FIN */
	FLOW_END_N
};

struct ipc_flow_ended {
	uint32_t end; /* enum flow_end, but FLOW_END_NONE */
};
_Static_assert(sizeof(struct ipc_flow_ended) == 4, "wire size");

enum flow_close_reason {
	FLOW_CLOSE_DONE,    /* both halves ended: close */
	FLOW_CLOSE_RESET,   /* the guest reset, or gave up: RST to the host */
	FLOW_CLOSE_REFUSED, /* inbound: the guest refused: RST to the client */
	FLOW_CLOSE_NREASONS
};

struct ipc_flow_close {
	uint32_t reason; /* enum flow_close_reason */
};
_Static_assert(sizeof(struct ipc_flow_close) == 4, "wire size");

/*
 * header.flow is netproc's query slot, header.generation its use.  A server
 * may send several answers and netproc alone can tell which is one: relayproc
 * passes on all that come until DNS_DONE, or until it says DNS_FAILED.
 */
struct ipc_dns {
	uint16_t guest_port;
	uint16_t pad; /* zero */
};
_Static_assert(sizeof(struct ipc_dns) == 4, "wire size");

/*
 * An association is one UDP port or ICMP echo identifier of the guest's, and
 * one host socket (endpoint-independent mapping, RFC 4787 4.1).  Slots below
 * config.max_assocs are netproc's; those with FLOW_INBOUND_BIT are relayproc's
 * and stand for one client of a published UDP port.
 *
 * ASSOC_SEND makes the association that it names when there is none in that
 * generation, and replaces one of an older generation; ASSOC_CLOSE ends it.
 * Records may be lost when a channel is full, as datagrams may.
 *
 * The tail is one datagram, or several to or from one peer: each of
 * segment_len bytes, the last of at most that (as UDP_SEGMENT and UDP_GRO
 * have it, udp(7)); 0: one datagram, of any length, also none.
 * For ICMP it is the echo message from its type on.
 */
struct ipc_assoc_data {
	struct ipc_addr peer;
	uint16_t peer_port;   /* 0 for ICMP */
	uint16_t guest_port;  /* or echo identifier */
	uint16_t segment_len; /* bytes */
	uint8_t proto;	      /* IPPROTO_UDP, IPPROTO_ICMP, IPPROTO_ICMPV6 */
	uint8_t flags;	      /* ASSOC_DF, ASSOC_PRESERVE */
};
_Static_assert(sizeof(struct ipc_assoc_data) == 28, "wire size");

#define ASSOC_DF       1 /* the guest forbade fragments */
#define ASSOC_PRESERVE 2 /* inbound: the guest sees the client's address */

#define ASSOC_SEGMENTS_MAX 64 /* datagrams of one record */

/*
 * What became of a datagram to peer, as the host's kernel or policy says.  The
 * length is that of the last one to this peer: a router that says an error
 * need not repeat it.
 */
struct ipc_assoc_error {
	struct ipc_addr peer;
	uint16_t peer_port;	/* or echo sequence number */
	uint16_t len;		/* of its payload, bytes; 0: not known */
	uint32_t verdict;	/* enum flow_verdict */
	uint32_t mtu;		/* VERDICT_TOO_BIG: of the path, bytes */
	struct ipc_addr router; /* who says so; family 0: the gateway */
};
_Static_assert(sizeof(struct ipc_assoc_error) == 52, "wire size");

/* Whether the host has a way to the IPv6 internet. */
struct ipc_host_route {
	uint32_t ip6; /* 1: a default route or a global one */
};
_Static_assert(sizeof(struct ipc_host_route) == 4, "wire size");

#define IPC_PAYLOAD_MAX sizeof(struct ipc_config_netproc)
#define IPC_RECORD_MAX	(sizeof(struct ipc_hdr) + IPC_PAYLOAD_MAX)
#define IPC_DGRAM_MAX \
	(sizeof(struct ipc_hdr) + sizeof(struct ipc_assoc_data) + \
	    IPC_DGRAM_TAIL_MAX)

enum ipc_error {
	IPC_OK,
	IPC_E_SHORT,	 /* no room for a header */
	IPC_E_TYPE,	 /* no such message */
	IPC_E_RESERVED,	 /* reserved header field is not zero */
	IPC_E_DIRECTION, /* the peer may not say it, or not to us */
	IPC_E_PHASE,	 /* not now */
	IPC_E_SIZE,	 /* payload or tail of the wrong size */
	IPC_E_FDS,	 /* wrong number of descriptors */
	IPC_E_FIELD,	 /* a field out of its range; found by the dispatcher */
	IPC_E_STATE,	 /* no such flow, or not in a state to be told this */
	IPC_E_QUOTA,	 /* more than was granted */
	IPC_E_CLOSED,	 /* its channel has ended, or it sent an empty record
			    to make it look so; said in VIOLATION alone */
	IPC_NERRORS
};

/*
 * Checks one received record against the table: len bytes at rec, nfds
 * descriptors with it, said by from to to, which is in phase.
 */
enum ipc_error ipc_check(const void *rec, size_t len, unsigned int nfds,
    enum role from, enum role to, uint32_t phase);

/* Returns borrowed: "FLOW_OPEN"; "?" for a number that is no message. */
const char *ipc_name(uint32_t type);

/* Returns borrowed: "wrong direction". */
const char *ipc_strerror(enum ipc_error error);

/* Size of the payload in bytes, most bytes of tail, number of descriptors. */
size_t ipc_payload_size(uint32_t type);
size_t ipc_tail_max(uint32_t type);
unsigned int ipc_nfds(uint32_t type);

/*
 * 1 if the message goes by FD_DGRAM, the second of the two channels between
 * netproc and relayproc; its receiver refuses it by the other.
 */
int ipc_is_dgram(uint32_t type);

/* FNV-1a over the names, sizes, directions and phases of the whole table. */
uint64_t ipc_proto_hash(void);

#endif
