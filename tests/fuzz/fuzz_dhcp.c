/*
 * Input: a byte of choices, then the payload of a datagram to port 67.
 */

#include <string.h>

#include "netproc/gateway/dhcp.h"
#include "tests/fuzz/fuzz.h"

#define FIX_HEADER  0x01
#define NO_SEARCH   0x02
#define BIG_MTU	    0x04
#define SHORT_REPLY 0x08
#define FOR_EVER    0x10

const char fuzz_name[] = "dhcp";

static const uint8_t mac[6] = { 2, 0x53, 0x4d, 0, 0, 2 };

static const struct dhcp_config config = {
	.guest_ip = 0x64600002,
	.gateway_ip = 0x64600001,
	.prefix_len = 30,
	.mtu = 1500,
	.lease_s = 86400,
	.nsearch = 6,
	.search = { "a.example", "b.example.", "..", "",
	    "a.label.that.is.just.as.long.as.it.has.to.be.for.this.one.option."
	    "to.overflow.the.255.bytes.that.one.option.can.hold.on.its.own.and."
	    "so.is.cut.in.two.by.rfc.3396.example",
	    "c.example" },
};

/* op, htype, hlen, giaddr, chaddr and the cookie are 25 guesses otherwise. */
static void
fix(uint8_t *payload, size_t len)
{
	if (len < 240)
		return;
	memcpy(payload, "\1\1\6", 3);
	memset(payload + 24, 0, 4);
	memcpy(payload + 28, mac, 6);
	memcpy(payload + 236, "\x63\x82\x53\x63", 4);
}

static void
check_reply(const uint8_t *reply, size_t len, const struct dhcp_info *info)
{
	size_t at = 240;
	int mtu = 0, type = 0;

	FUZZ_CHECK(len >= 300);
	FUZZ_CHECK(info->error == DHCP_E_OK);
	FUZZ_CHECK(reply[0] == 2 && memcmp(reply + 28, mac, 6) == 0);
	while (at < len && reply[at] != 255) {
		FUZZ_CHECK(reply[at] != 0 && at + 1 < len);
		mtu |= reply[at] == 26;
		if (reply[at] == 53)
			type = reply[at + 2];
		at += 2u + reply[at + 1];
	}
	FUZZ_CHECK(at < len); /* the end option */
	for (at++; at < len; at++)
		FUZZ_CHECK(reply[at] == 0);
	FUZZ_CHECK(type == info->reply_type);
	FUZZ_CHECK(mtu == (type != DHCP_NAK));
	FUZZ_CHECK(info->dst_ip == config.guest_ip ||
	    (info->dst_ip == 0xffffffff && info->dst_mac[0] == 0xff));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct dhcp_config cfg = config;
	struct dhcp_info info;
	size_t cap = DHCP_REPLY_MAX, len;
	uint8_t *payload, *reply;

	if (size < 1)
		return (0);
	if ((data[0] & NO_SEARCH) != 0)
		cfg.nsearch = 0;
	if ((data[0] & BIG_MTU) != 0)
		cfg.mtu = 65520;
	if ((data[0] & SHORT_REPLY) != 0)
		cap = DHCP_REPLY_MIN;
	if ((data[0] & FOR_EVER) != 0)
		cfg.lease_s = UINT32_MAX;
	size--;
	payload = malloc(size > 0 ? size : 1);
	reply = malloc(cap);
	if (payload == NULL || reply == NULL)
		abort();
	memcpy(payload, data + 1, size);
	if ((data[0] & FIX_HEADER) != 0)
		fix(payload, size);
	len = dhcp_answer(&cfg, payload, size, mac, reply, cap, &info);
	FUZZ_CHECK(len <= cap && info.error < DHCP_NERRORS);
	FUZZ_CHECK((len > 0) == (info.reply_type != 0));
	if (len > 0)
		check_reply(reply, len, &info);
	free(reply);
	free(payload);
	return (0);
}
