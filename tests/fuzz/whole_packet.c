/* The guest's packets, as its kernel would make them. */

#include <netinet/in.h>

#include <string.h>

#include "netproc/link/checksum.h"
#include "tests/fuzz/whole.h"

#define ETHER_LEN 14
#define IP4_LEN	  20
#define IP6_LEN	  40

#define FIX_MACS      0x01
#define FIX_HEADER    0x02 /* version, lengths, header checksum */
#define FIX_SOURCE    0x04
#define FIX_DEST      0x08 /* the gateway's */
#define FIX_CHECKSUM  0x10 /* ICMP and ICMPv6 */
#define FIX_ETHERTYPE 0x20 /* IPv4; with FIX_IP6 IPv6 */
#define FIX_IP6	      0x40

static void
put16(uint8_t *at, size_t value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

static void
put32(uint8_t *at, uint32_t value)
{
	put16(at, value >> 16);
	put16(at + 2, value & 0xffff);
}

static void
put_ether(uint8_t *frame, uint16_t ethertype)
{
	memcpy(frame, whole.np->cfg.gateway_mac, 6);
	memcpy(frame + 6, "\2\x53\x4d\0\0\2", 6);
	put16(frame + 12, ethertype);
}

static void
put_sum4(uint8_t *ip)
{
	put16(ip + 10, 0);
	put16(ip + 10, checksum_of(ip, IP4_LEN));
}

/* Ethernet and IP headers for len bytes behind them; returns their length. */
static size_t
put_ip(uint8_t *frame, const struct ipc_addr *peer, uint8_t protocol,
    size_t len)
{
	uint8_t *ip = frame + ETHER_LEN;

	if (peer->family == 6) {
		put_ether(frame, 0x86dd);
		put32(ip, 0x60000000);
		put16(ip + 4, len);
		ip[6] = protocol;
		ip[7] = 64;
		memcpy(ip + 8, whole.np->cfg.address6.bytes, 16);
		memcpy(ip + 24, peer->bytes, 16);
		return (ETHER_LEN + IP6_LEN);
	}
	put_ether(frame, 0x0800);
	put16(ip, 0x4500);
	put16(ip + 2, IP4_LEN + len);
	put16(ip + 4, whole.ip_id++);
	put16(ip + 6, 0x4000);
	ip[8] = 64;
	ip[9] = protocol;
	memcpy(ip + 12, whole.np->cfg.address.bytes, 4);
	memcpy(ip + 16, peer->bytes, 4);
	put_sum4(ip);
	return (ETHER_LEN + IP4_LEN);
}

size_t
whole_packet_tcp(uint8_t *frame, const struct whole_conn *conn, uint8_t flags,
    uint32_t seq, const uint8_t *options, size_t options_len, uint16_t window,
    size_t len)
{
	const size_t head = 20 + options_len;
	const size_t at = put_ip(frame, &conn->peer, IPPROTO_TCP, head + len);
	uint8_t *tcp = frame + at;

	put16(tcp, conn->guest_port);
	put16(tcp + 2, conn->peer_port);
	put32(tcp + 4, seq);
	put32(tcp + 8, conn->rcv_nxt);
	tcp[12] = (uint8_t)(head / 4 << 4);
	tcp[13] = flags;
	put16(tcp + 14, window);
	put32(tcp + 16, 0);
	memcpy(tcp + 20, options, options_len);
	return (at + head + len);
}

size_t
whole_packet_udp(uint8_t *frame, const struct whole_conn_id *id,
    const uint8_t *payload, size_t len)
{
	const size_t at = put_ip(frame, &id->peer, IPPROTO_UDP, 8 + len);
	uint8_t *udp = frame + at;

	put16(udp, id->guest_port);
	put16(udp + 2, id->peer_port);
	put16(udp + 4, 8 + len);
	put16(udp + 6, 0);
	if (len > 0)
		memcpy(udp + 8, payload, len);
	return (at + 8 + len);
}

static void
fix_ip4(uint8_t *frame, size_t len, uint8_t choices)
{
	uint8_t *ip = frame + ETHER_LEN;

	if ((choices & FIX_HEADER) != 0) {
		ip[0] = 0x45;
		put16(ip + 2, len - ETHER_LEN);
	}
	if ((choices & FIX_SOURCE) != 0)
		memcpy(ip + 12, whole.np->cfg.address.bytes, 4);
	if ((choices & FIX_DEST) != 0)
		memcpy(ip + 16, whole.np->cfg.gateway.bytes, 4);
	if ((choices & FIX_CHECKSUM) != 0 && ip[9] == IPPROTO_ICMP &&
	    len >= ETHER_LEN + IP4_LEN + 8) {
		put16(ip + IP4_LEN + 2, 0);
		put16(ip + IP4_LEN + 2,
		    checksum_of(ip + IP4_LEN, len - ETHER_LEN - IP4_LEN));
	}
	if ((choices & FIX_HEADER) != 0)
		put_sum4(ip);
}

static void
fix_ip6(uint8_t *frame, size_t len, uint8_t choices)
{
	uint8_t *ip = frame + ETHER_LEN;
	const size_t rest = len - ETHER_LEN - IP6_LEN;
	struct checksum sum;

	if ((choices & FIX_HEADER) != 0) {
		ip[0] = (uint8_t)(0x60 | (ip[0] & 15));
		put16(ip + 4, rest);
	}
	if ((choices & FIX_SOURCE) != 0)
		memcpy(ip + 8, whole.np->cfg.address6.bytes, 16);
	if ((choices & FIX_DEST) != 0)
		memcpy(ip + 24, whole.np->cfg.gateway6.bytes, 16);
	if ((choices & FIX_CHECKSUM) == 0 || ip[6] != IPPROTO_ICMPV6 ||
	    rest < 4)
		return;
	put16(ip + IP6_LEN + 2, 0);
	checksum_init(&sum);
	checksum_pseudo6(&sum, ip + 8, ip + 24, IPPROTO_ICMPV6, (uint32_t)rest);
	checksum_add(&sum, ip + IP6_LEN, rest);
	put16(ip + IP6_LEN + 2, checksum_finish(&sum));
}

/* Makes right what choices name, so that the rest is looked at. */
void
whole_packet_fix(uint8_t *frame, size_t len, uint8_t choices)
{
	uint16_t ethertype;

	if (len < ETHER_LEN)
		return;
	ethertype = (uint16_t)(frame[12] << 8 | frame[13]);
	if ((choices & FIX_ETHERTYPE) != 0)
		ethertype = (choices & FIX_IP6) != 0 ? 0x86dd : 0x0800;
	if ((choices & FIX_MACS) != 0)
		put_ether(frame, ethertype);
	if (ethertype == 0x0800 && len >= ETHER_LEN + IP4_LEN)
		fix_ip4(frame, len, choices);
	if (ethertype == 0x86dd && len >= ETHER_LEN + IP6_LEN)
		fix_ip6(frame, len, choices);
}
