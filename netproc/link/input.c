/*
 * One frame of the guest: the shield's verdict says which room it enters.
 */

#include <stdio.h>
#include <string.h>

#include "ipc/log.h"
#include "netproc/flow/intercept.h"
#include "netproc/flow/tcp.h"
#include "netproc/flow/turn.h"
#include "netproc/gateway/gateway.h"
#include "netproc/gateway/packet.h"
#include "netproc/link/link.h"
#include "netproc/netproc.h"

#define MAC_STRLEN sizeof("02:53:4d:00:00:02")

/* Of a frame: IP's version, and who sends, in IPv4 and in ARP (RFC 826). */
#define IP_VERSION_OFF	   14
#define IP4_SRC_OFF	   26
#define IP6_SRC_OFF	   22
#define ARP_SENDER_IP4_OFF 28

#define TCP_LEN	  20u
#define ETHER_MTU 1500u

static const char *
mac_format(const uint8_t mac[6], char buf[MAC_STRLEN])
{
	snprintf(buf, MAC_STRLEN, "%02x:%02x:%02x:%02x:%02x:%02x", mac[0],
	    mac[1], mac[2], mac[3], mac[4], mac[5]);
	return (buf);
}

/* The first valid frame of a VM's session says which MAC is the guest's. */
static void
pin_mac(struct netproc *np, const uint8_t mac[6])
{
	struct ipc_guest_mac msg = { .pad = { 0 } };
	char text[MAC_STRLEN];

	memcpy(np->shield.guest_mac, mac, 6);
	np->shield.guest_mac_known = 1;
	log_info("guest MAC is %s", mac_format(mac, text));
	memcpy(msg.mac, mac, 6);
	netproc_say_parent(np, IPC_GUEST_MAC, &msg, sizeof(msg));
	tcp_guest_known(np);
}

static void
input_icmp(struct netproc *np, const uint8_t *frame,
    const struct shield_frame *sf)
{
	intercept_unreach(np, frame, sf);
	if (sf->to_gateway)
		gateway_echo(np, frame, sf);
	else
		datagram_echo(np, frame, sf);
}

static void
input_udp(struct netproc *np, uint8_t *frame, const struct shield_frame *sf)
{
	if (sf->to_gateway && sf->dport == DNS_PORT)
		gateway_dns_query(np, frame, sf);
	else
		datagram_udp(np, frame, sf);
}

/*
 * IPv6 clients of published ports are sent to the address it uses, or looks
 * for duplicates of before it does (RFC 4862 5.4).  A segment that begins no
 * connection says nothing: a kernel sends those of a connection from before
 * its link went from an address that it has no more.
 */
static void
learn_address6(struct netproc *np, enum shield_verdict verdict,
    const struct shield_frame *sf)
{
	struct ipc_addr src = shield_src(sf);

	if (verdict == SHIELD_ND && !sf->nd_for_gateway &&
	    src.bytes[0] == 0) /* :: */
		memcpy(src.bytes, sf->nd_target, sizeof(sf->nd_target));
	if ((verdict == SHIELD_TCP || verdict == SHIELD_TCP_STRAY) &&
	    (sf->tcp_flags & SHIELD_TCP_SYN) == 0)
		return;
	if (!addr_in_prefix(&src, &np->cfg.address6, np->cfg.prefix_len6))
		return;
	if (np->guest6_seen && addr_equal(&np->guest6, &src))
		return;
	np->guest6 = src;
	np->guest6_seen = 1;
	np->journal->guest.has_addr6 = 0;
	np->journal->guest.addr6 = src;
	np->journal->guest.has_addr6 = 1;
}

/*
 * A card may take less than the link's MTU, and drop what is longer: QEMU's
 * e1000 has 16 KiB at most, and its driver takes 1500 until it is told better.
 * The MSS says so, and the largest counts: a path's or a container's may be
 * smaller.  Every card takes 1500 bytes.
 */
static void
learn_mtu(struct netproc *np, enum shield_verdict verdict,
    const struct shield_frame *sf)
{
	uint32_t mtu;

	if (verdict != SHIELD_TCP || (sf->tcp_flags & SHIELD_TCP_SYN) == 0 ||
	    sf->tcp_mss == SHIELD_MSS_DEFAULT)
		return;
	/* It leaves out both headers (RFC 9293 3.7.1). */
	mtu = sf->tcp_mss + TCP_LEN +
	    (sf->version == 6 ? PACKET_IP6_LEN : PACKET_IP4_LEN);
	if (mtu < ETHER_MTU)
		mtu = ETHER_MTU;
	if (mtu > np->guest_mtu)
		np->guest_mtu = mtu;
}

size_t
link_mtu(const struct netproc *np)
{
	return (np->guest_mtu == 0 || np->guest_mtu > np->cfg.mtu ?
		np->cfg.mtu :
		np->guest_mtu);
}

static void input_checked(struct netproc *np, enum shield_verdict verdict,
    uint8_t *frame, size_t len, const struct shield_frame *sf);

/* Fragments are put together; the whole goes through the shield again. */
static void
input_fragment(struct netproc *np, const uint8_t *frame,
    const struct shield_frame *sf)
{
	struct shield_config whole_cfg = np->shield;
	struct shield_frame whole_sf;
	enum shield_verdict verdict;
	size_t whole_len;
	uint8_t *whole;

	netproc_need_tick(np);
	if (fragment_add(&np->fragments, frame, sf, np->now_ms, &whole,
		&whole_len) != FRAGMENT_WHOLE)
		return;
	whole_cfg.mtu = SHIELD_PACKET_MAX;
	verdict = shield_check(whole, whole_len, &whole_cfg, &whole_sf);
	np->counters.shield[verdict]++;
	if (!SHIELD_IS_PASS(verdict) || verdict == SHIELD_FRAGMENT ||
	    verdict == SHIELD_FRAGMENT6)
		return;
	/* What its sender has fragmented may be so again, in IPv6 too. */
	whole_sf.df = 0;
	input_checked(np, verdict, whole, whole_len, &whole_sf);
	/* The buffer is used again for the next. */
	coalesce_flush(np);
	turn_flush(np);
	datagram_flush(np);
}

static void
input_checked(struct netproc *np, enum shield_verdict verdict, uint8_t *frame,
    size_t len, const struct shield_frame *sf)
{
	if (verdict != SHIELD_TCP)
		coalesce_flush(np);
	switch (verdict) {
	case SHIELD_ARP:
		if (sf->dst_ip == np->gateway_ip)
			COUNT(np, ARP_GATEWAY);
		netif_input_copy(np, frame, len);
		break;
	case SHIELD_TCP:
		intercept_tcp(np, frame, sf);
		break;
	case SHIELD_TCP_STRAY:
		intercept_stray(np, sf);
		break;
	case SHIELD_DHCP:
		gateway_dhcp(np, frame, sf);
		break;
	case SHIELD_UDP:
		input_udp(np, frame, sf);
		break;
	case SHIELD_ICMP:
	case SHIELD_ICMP6:
		input_icmp(np, frame, sf);
		break;
	case SHIELD_ND:
		gateway_nd(np, sf);
		break;
	case SHIELD_DHCP6:
		gateway_dhcp6(np, frame, sf);
		break;
	case SHIELD_FRAGMENT:
	case SHIELD_FRAGMENT6:
		input_fragment(np, frame, sf);
		break;
	default:
		fatalx("the shield passed a frame as %s", shield_name(verdict));
	}
}

/* Whether a router on its way must not pass it on (RFC 1812 5.3.1). */
static int
is_spent(enum shield_verdict verdict, const struct shield_frame *sf)
{
	switch (verdict) {
	case SHIELD_TCP:
	case SHIELD_TCP_STRAY:
	case SHIELD_UDP:
	case SHIELD_ICMP:
	case SHIELD_ICMP6:
	case SHIELD_FRAGMENT:
	case SHIELD_FRAGMENT6:
		return (!sf->to_gateway && sf->ttl <= 1);
	default:
		return (0);
	}
}

static void
warn_mac(struct netproc *np, const uint8_t mac[6])
{
	char text[MAC_STRLEN], guest[MAC_STRLEN];

	/* The gateway's is nobody else's, whatever the option. */
	if (memcmp(mac, np->shield.gateway_mac, 6) == 0 ||
	    !netproc_may_warn(np, WARNED_FOREIGN_MAC))
		return;
	mac_format(mac, text);
	log_warn("frames from MAC %s are dropped: the guest is %s; --mac %s "
		 "would take them",
	    text, mac_format(np->shield.guest_mac, guest), text);
}

/* src: where in the frame, whose headers are whole. */
static void
warn_address(struct netproc *np, const uint8_t *src)
{
	char text[ADDR_STRLEN], guest[ADDR_STRLEN];
	struct ipc_addr addr = { .family = 4 };
	uint32_t src_ip;

	memcpy(addr.bytes, src, 4);
	src_ip = addr_to_ip4(&addr);
	if (src_ip == 0 || src_ip == np->guest_ip || src_ip == np->gateway_ip ||
	    !netproc_may_warn(np, WARNED_FOREIGN_ADDRESS))
		return;
	addr_format(&addr, text, sizeof(text));
	log_warn("frames from %s are dropped: the guest is %s; --address says "
		 "which it is",
	    text, addr_format(&np->cfg.address, guest, sizeof(guest)));
}

static void
warn_address6(struct netproc *np, const uint8_t *src)
{
	static const uint8_t zero[16];
	char text[ADDR_STRLEN], guest[ADDR_STRLEN];
	struct ipc_addr addr = { .family = 6 };

	memcpy(addr.bytes, src, 16);
	/* Those of the link itself are no sign of another network. */
	if (memcmp(src, zero, 16) == 0 || (src[0] == 0xfe && src[1] == 0x80) ||
	    addr_equal(&addr, &np->cfg.gateway6) ||
	    !netproc_may_warn(np, WARNED_FOREIGN_ADDRESS6))
		return;
	addr_format(&addr, text, sizeof(text));
	log_warn("frames from %s are dropped: the guest is in the /%u of %s; "
		 "--address6 says in which it is",
	    text, (unsigned int)np->cfg.prefix_len6,
	    addr_format(&np->cfg.address6, guest, sizeof(guest)));
}

/*
 * A guest with another MAC or address than it should have hears nothing at
 * all: whoever runs it is told why.
 */
static void
warn_foreign(struct netproc *np, enum shield_verdict verdict,
    const uint8_t *frame, const struct shield_frame *sf)
{
	if (verdict == SHIELD_FOREIGN_MAC)
		warn_mac(np, sf->src_mac);
	else if (verdict == SHIELD_ARP_FOREIGN)
		warn_address(np, frame + ARP_SENDER_IP4_OFF);
	else if (verdict != SHIELD_FOREIGN_IP)
		return;
	else if (frame[IP_VERSION_OFF] >> 4 == 4)
		warn_address(np, frame + IP4_SRC_OFF);
	else
		warn_address6(np, frame + IP6_SRC_OFF);
}

void
link_input(struct netproc *np, uint8_t *frame, size_t len)
{
	struct shield_frame sf;
	enum shield_verdict verdict;

	verdict = shield_check(frame, len, &np->shield, &sf);
	np->counters.shield[verdict]++;
	if (!SHIELD_IS_PASS(verdict)) {
		warn_foreign(np, verdict, frame, &sf);
		/*
		 * A kernel has no other address for a second, while it looks
		 * for duplicates of it, and would wait for two minutes.
		 */
		if (verdict == SHIELD_LINK_LOCAL && np->shield.guest_mac_known)
			gateway_icmp_scope(np, frame + IP_VERSION_OFF,
			    len - IP_VERSION_OFF);
		return;
	}
	if (!np->shield.guest_mac_known)
		pin_mac(np, sf.src_mac);
	if (sf.version == 6)
		learn_address6(np, verdict, &sf);
	learn_mtu(np, verdict, &sf);
	if (is_spent(verdict, &sf)) {
		COUNT(np, TTL_SPENT);
		gateway_icmp_verdict(np, VERDICT_TTL, frame + sf.l3_off,
		    sf.l3_len);
		return;
	}
	input_checked(np, verdict, frame, len, &sf);
}
