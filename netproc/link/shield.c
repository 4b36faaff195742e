#include "netproc/link/shield.h"

#include "ipc/cursor.h"
#include "netproc/link/shield_check.h"

#define ETHER_LEN 14

#define ETHERTYPE_IP4	0x0800
#define ETHERTYPE_ARP	0x0806
#define ETHERTYPE_VLAN	0x8100 /* IEEE 802.1Q */
#define ETHERTYPE_QINQ	0x88a8 /* IEEE 802.1ad */
#define ETHERTYPE_QINQ1 0x9100 /* what was used before 802.1ad */
#define ETHERTYPE_IP6	0x86dd

/* RFC 826 */
#define ARP_LEN	    28
#define ARP_ETHER   1
#define ARP_REQUEST 1
#define ARP_REPLY   2

static enum shield_verdict
check_macs(const uint8_t *dst_mac, const struct shield_config *cfg,
    struct shield_frame *out)
{
	static const uint8_t zero[6];
	const uint8_t *src_mac = out->src_mac;

	if ((src_mac[0] & 1) != 0 || memcmp(src_mac, zero, 6) == 0)
		return (SHIELD_GROUP_SRC_MAC);
	if (memcmp(src_mac, cfg->gateway_mac, 6) == 0)
		return (SHIELD_FOREIGN_MAC);
	if (cfg->guest_mac_known && memcmp(src_mac, cfg->guest_mac, 6) != 0)
		return (SHIELD_FOREIGN_MAC);
	out->group_dst = dst_mac[0] & 1;
	if (!out->group_dst && memcmp(dst_mac, cfg->gateway_mac, 6) != 0)
		return (SHIELD_FOREIGN_DST_MAC);
	return (SHIELD_UNDECIDED);
}

static enum shield_verdict
check_arp(struct cursor c, const struct shield_config *cfg,
    struct shield_frame *out)
{
	const uint8_t *sender_mac;
	uint16_t hardware, protocol, lengths, operation;

	if (c.left > cfg->mtu)
		return (SHIELD_LONG_FRAME);
	hardware = cursor_be16(&c);
	protocol = cursor_be16(&c);
	lengths = cursor_be16(&c);
	operation = cursor_be16(&c);
	sender_mac = cursor_bytes(&c, 6);
	out->src_ip = cursor_be32(&c);
	cursor_skip(&c, 6);
	out->dst_ip = cursor_be32(&c);
	if (c.error || hardware != ARP_ETHER || protocol != ETHERTYPE_IP4 ||
	    lengths != 0x0604 ||
	    (operation != ARP_REQUEST && operation != ARP_REPLY))
		return (SHIELD_ARP_MALFORMED);
	if (out->src_ip == cfg->gateway_ip)
		return (SHIELD_ARP_GATEWAY);
	if (memcmp(sender_mac, out->src_mac, 6) != 0)
		return (SHIELD_ARP_FOREIGN);
	/* A probe (RFC 5227) does not say who sends it. */
	if (out->src_ip != cfg->guest_ip &&
	    !(out->src_ip == 0 && operation == ARP_REQUEST))
		return (SHIELD_ARP_FOREIGN);
	out->version = 4;
	out->to_gateway = out->dst_ip == cfg->gateway_ip;
	out->l3_len = ARP_LEN;
	return (SHIELD_ARP);
}

static enum shield_verdict
check_frame(const uint8_t *frame, size_t len, const struct shield_config *cfg,
    struct shield_frame *out)
{
	enum shield_verdict verdict;
	const uint8_t *dst_mac;
	struct cursor c;
	uint16_t ethertype;

	if (len < ETHER_LEN)
		return (SHIELD_SHORT_FRAME);
	cursor_init(&c, frame, len);
	dst_mac = cursor_bytes(&c, 6);
	cursor_copy(&c, out->src_mac, 6);
	ethertype = cursor_be16(&c);
	out->l3_off = ETHER_LEN;
	if (len > SHIELD_FRAME_MAX)
		return (SHIELD_LONG_FRAME);
	verdict = check_macs(dst_mac, cfg, out);
	if (verdict != SHIELD_UNDECIDED)
		return (verdict);

	switch (ethertype) {
	case ETHERTYPE_IP4:
		return (shield_ip4(c, cfg, out));
	case ETHERTYPE_ARP:
		return (check_arp(c, cfg, out));
	case ETHERTYPE_IP6:
		return (cfg->ip6_enabled ? shield_ip6(c, cfg, out) :
					   SHIELD_IP6);
	case ETHERTYPE_VLAN:
	case ETHERTYPE_QINQ:
	case ETHERTYPE_QINQ1:
		return (SHIELD_VLAN);
	default:
		return (SHIELD_ETHERTYPE);
	}
}

enum shield_verdict
shield_check(const uint8_t *frame, size_t len, const struct shield_config *cfg,
    struct shield_frame *out)
{
	enum shield_verdict verdict;
	uint8_t src_mac[6];

	memset(out, 0, sizeof(*out));
	verdict = check_frame(frame, len, cfg, out);
	if (!SHIELD_IS_PASS(verdict)) {
		memcpy(src_mac, out->src_mac, sizeof(src_mac));
		memset(out, 0, sizeof(*out));
		memcpy(out->src_mac, src_mac, sizeof(src_mac));
	}
	return (verdict);
}

const char *
shield_name(enum shield_verdict verdict)
{
	static const char *const names[] = {
#define X(name, counter) counter,
		SHIELD_PASSES(X) SHIELD_DROPS(X)
#undef X
	};
	_Static_assert(sizeof(names) / sizeof(names[0]) == SHIELD_NVERDICTS,
	    "a name for every verdict");

	if ((unsigned int)verdict >= SHIELD_NVERDICTS)
		return ("?");
	return (names[verdict]);
}
