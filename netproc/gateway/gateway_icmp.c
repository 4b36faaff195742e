/* ICMP and ICMPv6 of the gateway's own: errors, and ping of its address. */

#include <string.h>

#include "netproc/gateway/gateway.h"
#include "netproc/gateway/icmp.h"
#include "netproc/link/link.h"
#include "netproc/netproc.h"

/* A guest may send packets worth an error at any rate (RFC 1812 4.3.2.8). */
#define ICMP_PER_S 1000

/* What a verdict becomes; ICMP_NERRORS: nothing. */
static enum icmp_error
error_of(enum flow_verdict verdict)
{
	switch (verdict) {
	case VERDICT_REFUSED:
		return (ICMP_ERR_PORT);
	case VERDICT_NET_UNREACH:
		return (ICMP_ERR_NET);
	case VERDICT_HOST_UNREACH:
	case VERDICT_TIMEOUT:
		return (ICMP_ERR_HOST);
	case VERDICT_DENIED:
		return (ICMP_ERR_PROHIBITED);
	case VERDICT_TOO_BIG:
		return (ICMP_ERR_TOO_BIG);
	case VERDICT_TTL:
		return (ICMP_ERR_TTL);
	default:
		return (ICMP_NERRORS);
	}
}

static int
may_say(struct netproc *np)
{
	uint64_t suppressed;

	np->icmp_limit.lines_per_s = ICMP_PER_S;
	return (log_limit_ok(&np->icmp_limit, np->now_ms, &suppressed));
}

static void
say_error(struct netproc *np, enum icmp_error error, const uint8_t *packet,
    size_t len)
{
	const struct ipc_addr *from;
	uint8_t out[ICMP_ERROR_MAX];
	size_t n;

	if (!may_say(np))
		return;
	from = packet[0] >> 4 == 6 ? &np->cfg.gateway6 : &np->cfg.gateway;
	n = icmp_build_error(error, 0, from, np->ip_id++, packet, len, out,
	    sizeof(out));
	if (n > 0)
		link_send_ip(np, out, n);
}

void
gateway_icmp_verdict(struct netproc *np, enum flow_verdict verdict,
    const uint8_t *packet, size_t len)
{
	const enum icmp_error error = error_of(verdict);

	/* A TCP that is refused gets RST, which says it all. */
	if (error != ICMP_NERRORS && error != ICMP_ERR_PORT)
		say_error(np, error, packet, len);
}

void
gateway_icmp_scope(struct netproc *np, const uint8_t *packet, size_t len)
{
	say_error(np, ICMP_ERR_SCOPE, packet, len);
}

void
gateway_datagram_error(struct netproc *np, const struct assoc_key *key,
    const struct ipc_assoc_error *error)
{
	const enum icmp_error what =
	    error_of((enum flow_verdict)error->verdict);
	const struct icmp_datagram datagram = {
		.guest = key->guest,
		.peer = error->peer,
		.guest_port = key->guest_port,
		.peer_port = error->peer_port,
		.len = error->len,
		.proto = (uint8_t)key->proto,
	};
	const struct ipc_addr *from = &error->router;
	uint8_t out[ICMP_ERROR_MAX];
	size_t n;

	COUNT(np, DATAGRAM_ERRORS);
	if (what == ICMP_NERRORS || !may_say(np))
		return;
	/* A port is closed on the peer's own word (RFC 1122 3.2.2.1). */
	if (what == ICMP_ERR_PORT)
		from = &error->peer;
	else if (from->family != key->guest.family)
		from = key->guest.family == 6 ? &np->cfg.gateway6 :
						&np->cfg.gateway;
	n = icmp_build_for_datagram(what, error->mtu, from, np->ip_id++,
	    &datagram, out, sizeof(out));
	if (n > 0)
		link_send_ip(np, out, n);
}

void
gateway_echo(struct netproc *np, const uint8_t *frame,
    const struct shield_frame *sf)
{
	const struct ipc_addr guest = shield_src(sf), gateway = shield_dst(sf);
	const int ip6 = sf->version == 6;
	uint8_t *message = np->scratch_fragment;

	if (sf->icmp_type != (ip6 ? ICMP6_ECHO_REQUEST : ICMP4_ECHO_REQUEST) ||
	    sf->l4_len > GATEWAY_FRAME_MAX)
		return;
	COUNT(np, ICMP_GATEWAY);
	memcpy(message, frame + sf->l4_off, sf->l4_len);
	message[0] = ip6 ? ICMP6_ECHO_REPLY : ICMP4_ECHO_REPLY;
	gateway_send_echo(np, &gateway, &guest, sf->sport, message, sf->l4_len);
}
