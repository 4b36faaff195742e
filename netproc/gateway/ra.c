#include "netproc/gateway/ra.h"

#include <netinet/in.h>

#include <string.h>

#include "ipc/cursor.h"
#include "netproc/gateway/dns_name.h"
#include "netproc/gateway/packet.h"
#include "netproc/link/checksum.h"

/* RFC 4861 4.2 to 4.4 */
#define ROUTER_ADVERT	 134
#define NEIGHBOUR_ADVERT 136
#define RA_MANAGED	 0x80 /* addresses by DHCPv6 */
#define RA_OTHER	 0x40 /* and all else */
#define NA_ROUTER	 0x80000000u
#define NA_SOLICITED	 0x40000000u
#define NA_OVERRIDE	 0x20000000u

/* RFC 4861 4.6, RFC 8106 5 */
#define OPT_SOURCE_LINK 1
#define OPT_TARGET_LINK 2
#define OPT_PREFIX	3
#define OPT_MTU		5
#define OPT_RDNSS	25
#define OPT_DNSSL	31
#define PREFIX_ON_LINK	0x80
#define PREFIX_AUTO	0x40
#define DNSSL_HEAD_LEN	8
#define OPT_LEN_MAX	(255 * 8)

#define ICMP_OFF     (PACKET_ETHER_LEN + PACKET_IP6_LEN)
#define IP6_PLEN_OFF (PACKET_ETHER_LEN + 4)
#define IP6_SRC_OFF  (PACKET_ETHER_LEN + 8)
#define CHECKSUM_OFF (ICMP_OFF + 2)

static const uint8_t all_nodes[16] = { 0xff, 0x02, [15] = 1 };
static const uint8_t all_nodes_mac[6] = { 0x33, 0x33, 0, 0, 0, 1 };

void
ra_link_local(const uint8_t mac[6], uint8_t ll6[16])
{
	memset(ll6, 0, 16);
	ll6[0] = 0xfe;
	ll6[1] = 0x80;
	memcpy(ll6 + 8, mac, 3);
	ll6[8] ^= 0x02;
	ll6[11] = 0xff;
	ll6[12] = 0xfe;
	memcpy(ll6 + 13, mac + 3, 3);
}

/* Ethernet, IPv6 and the beginning of ICMPv6. */
static void
begin(struct cursor_out *out, const struct ra_config *cfg,
    const uint8_t src_ip6[16], const uint8_t dst_mac[6],
    const uint8_t dst_ip6[16], uint8_t type)
{
	packet_put_ether(out, dst_mac, cfg->gateway_mac, PACKET_ETHERTYPE_IP6);
	packet_put_ip6(out, src_ip6, dst_ip6, IPPROTO_ICMPV6,
	    PACKET_HOP_LIMIT_ND, 0);
	cursor_out_u8(out, type);
	cursor_out_u8(out, 0);	 /* code */
	cursor_out_be16(out, 0); /* checksum */
}

/* Fills in length and checksum.  Returns the frame's length. */
static size_t
finish(struct cursor_out *out, const uint8_t dst_ip6[16])
{
	struct checksum sum;
	size_t len;

	if (out->error)
		return (0);
	len = out->len - ICMP_OFF;
	cursor_out_patch16(out, IP6_PLEN_OFF, (uint16_t)len);
	checksum_init(&sum);
	checksum_pseudo6(&sum, out->base + IP6_SRC_OFF, dst_ip6, IPPROTO_ICMPV6,
	    (uint32_t)len);
	checksum_add(&sum, out->base + ICMP_OFF, len);
	cursor_out_patch16(out, CHECKSUM_OFF, checksum_finish(&sum));
	return (out->len);
}

static void
put_link_option(struct cursor_out *out, uint8_t type, const uint8_t mac[6])
{
	cursor_out_u8(out, type);
	cursor_out_u8(out, 1);
	cursor_out_bytes(out, mac, 6);
}

static void
put_prefix(struct cursor_out *out, const struct ra_config *cfg, int withdraw)
{
	const size_t bits = cfg->prefix_len6 > 128 ? 128 : cfg->prefix_len6,
		     whole = bits / 8;
	uint8_t prefix[16] = { 0 };

	memcpy(prefix, cfg->prefix6, whole);
	if (bits % 8 != 0)
		prefix[whole] = (uint8_t)(cfg->prefix6[whole] &
		    (0xff00u >> bits % 8));
	cursor_out_u8(out, OPT_PREFIX);
	cursor_out_u8(out, 4);
	cursor_out_u8(out, (uint8_t)bits);
	cursor_out_u8(out,
	    bits == 64 ? PREFIX_ON_LINK | PREFIX_AUTO : PREFIX_ON_LINK);
	cursor_out_be32(out, cfg->valid_s);
	cursor_out_be32(out, withdraw ? 0 : cfg->valid_s); /* preferred */
	cursor_out_be32(out, 0);
	cursor_out_bytes(out, prefix, sizeof(prefix));
}

static void
put_dns(struct cursor_out *out, const struct ra_config *cfg,
    uint32_t lifetime_s)
{
	uint8_t wire[RA_SEARCH_LIST * (DNS_NAME_MAX + 2)];
	struct cursor_out list;
	size_t room, units, n;

	cursor_out_u8(out, OPT_RDNSS);
	cursor_out_u8(out, 3);
	cursor_out_be16(out, 0);
	cursor_out_be32(out, lifetime_s);
	cursor_out_bytes(out, cfg->gateway_ip6, 16);

	if (out->error || out->cap - out->len < DNSSL_HEAD_LEN)
		return;
	room = (out->cap - out->len) / 8 * 8;
	if (room > OPT_LEN_MAX)
		room = OPT_LEN_MAX;
	n = cfg->nsearch < RA_SEARCH_LIST ? cfg->nsearch : RA_SEARCH_LIST;
	cursor_out_init(&list, wire, sizeof(wire));
	dns_name_put_list(&list, cfg->search, n, room - DNSSL_HEAD_LEN);
	if (list.len == 0)
		return;
	units = (DNSSL_HEAD_LEN + list.len + 7) / 8;
	cursor_out_u8(out, OPT_DNSSL);
	cursor_out_u8(out, (uint8_t)units);
	cursor_out_be16(out, 0);
	cursor_out_be32(out, lifetime_s);
	cursor_out_bytes(out, wire, list.len);
	cursor_out_zero(out, units * 8 - DNSSL_HEAD_LEN - list.len);
}

size_t
ra_build(const struct ra_config *cfg, const uint8_t *dst_mac,
    const uint8_t *dst_ip6, int withdraw, uint8_t *frame, size_t cap)
{
	const uint32_t lifetime_s = withdraw ? 0 : cfg->router_lifetime_s;
	struct cursor_out out;

	if (dst_mac == NULL || dst_ip6 == NULL) {
		dst_mac = all_nodes_mac;
		dst_ip6 = all_nodes;
	}
	cursor_out_init(&out, frame, cap < RA_FRAME_MAX ? cap : RA_FRAME_MAX);
	begin(&out, cfg, cfg->gateway_ll6, dst_mac, dst_ip6, ROUTER_ADVERT);
	cursor_out_u8(&out, PACKET_HOP_LIMIT);
	cursor_out_u8(&out, RA_MANAGED | RA_OTHER);
	cursor_out_be16(&out,
	    (uint16_t)(lifetime_s > UINT16_MAX ? UINT16_MAX : lifetime_s));
	cursor_out_zero(&out, 4 + 4); /* reachable time, retrans timer */
	put_link_option(&out, OPT_SOURCE_LINK, cfg->gateway_mac);
	cursor_out_u8(&out, OPT_MTU);
	cursor_out_u8(&out, 1);
	cursor_out_be16(&out, 0);
	cursor_out_be32(&out, cfg->mtu);
	put_prefix(&out, cfg, withdraw);
	put_dns(&out, cfg, lifetime_s);
	return (finish(&out, dst_ip6));
}

size_t
ra_build_na(const struct ra_config *cfg, const uint8_t target[16],
    const uint8_t *dst_mac, const uint8_t *dst_ip6, uint8_t *frame, size_t cap)
{
	static const uint8_t unspecified[16];
	uint32_t flags = NA_ROUTER | NA_OVERRIDE | NA_SOLICITED;
	struct cursor_out out;

	if (dst_mac == NULL || dst_ip6 == NULL ||
	    memcmp(dst_ip6, unspecified, sizeof(unspecified)) == 0) {
		dst_mac = all_nodes_mac;
		dst_ip6 = all_nodes;
		flags &= ~NA_SOLICITED;
	}
	cursor_out_init(&out, frame, cap);
	/* From target itself, as a kernel's is: ndisc6(8) takes no other. */
	begin(&out, cfg, target, dst_mac, dst_ip6, NEIGHBOUR_ADVERT);
	cursor_out_be32(&out, flags);
	cursor_out_bytes(&out, target, 16);
	put_link_option(&out, OPT_TARGET_LINK, cfg->gateway_mac);
	return (finish(&out, dst_ip6));
}
