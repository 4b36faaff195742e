/*
 * Neighbour discovery alone: a guest's message, which the input is about, is
 * judged by the shield and by a second reading of RFC 4861, and answered.
 *
 * Input: type, code, source, destination, target, hop limit, checksum, flags,
 * a byte each; then 16 bytes for each address that is the input's own; then
 * options.
 */

#include <netinet/in.h>

#include <stdlib.h>
#include <string.h>

#include "netproc/gateway/ra.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/shield_link.h"

#define ROUTER_SOLICIT	 133
#define ROUTER_ADVERT	 134
#define NEIGHBOR_SOLICIT 135
#define NEIGHBOR_ADVERT	 136

#define ETHER	    54 /* with IPv6 */
#define MESSAGE_MAX 1400

const char fuzz_name[] = "nd";

static const struct ra_config ra = {
	.gateway_mac = { 2, 0x53, 0x4d, 0, 0, 1 },
	.gateway_ll6 = { 0xfe, 0x80, [8] = 0, 0x53, 0x4d, 0xff,
	    0xfe, [15] = 1 },
	.gateway_ip6 = { 0xfd, 0x53, 0x4d, [15] = 1 },
	.prefix6 = { 0xfd, 0x53, 0x4d },
	.prefix_len6 = 64,
	.mtu = 1500,
	.router_lifetime_s = 1800,
	.valid_s = 86400,
	.nsearch = 2,
	.search = { "example.org", "corp.example" },
};

static const uint8_t any[16];
static const uint8_t guest_ip6[16] = { 0xfd, 0x53, 0x4d, [15] = 2 };
static const uint8_t guest_ll6[16] = { 0xfe, 0x80, [15] = 2 };
static const uint8_t nobody[16] = { 0x20, 0x01, 0x0d, 0xb8, [15] = 9 };
static const uint8_t all_nodes[16] = { 0xff, 2, [15] = 1 };
static const uint8_t all_routers[16] = { 0xff, 2, [15] = 2 };

/* What the message says, field by field. */
struct message {
	uint8_t type, code, hops, flags;
	int sum_is_wrong;
	uint8_t src[16], dst[16], target[16];
	const uint8_t *options;
	size_t options_len;
};

static uint8_t
take(const uint8_t **at, size_t *left)
{
	if (*left == 0)
		return (0);
	(*left)--;
	return (*(*at)++);
}

static void
address_of(uint8_t choice, uint8_t ip6[16], const uint8_t **at, size_t *left)
{
	static const uint8_t *const known[] = { any, guest_ip6, guest_ll6,
		fuzz_link.gateway_ip6, fuzz_link.gateway_ll6, all_nodes,
		all_routers, nobody };
	size_t i;

	if (choice % 16 < sizeof(known) / sizeof(known[0])) {
		memcpy(ip6, known[choice % 16], 16);
		return;
	}
	for (i = 0; i < 16; i++)
		ip6[i] = take(at, left);
}

static void
read_message(const uint8_t *at, size_t left, struct message *m)
{
	static const uint8_t types[] = { ROUTER_SOLICIT, NEIGHBOR_SOLICIT,
		NEIGHBOR_ADVERT, ROUTER_ADVERT };
	const uint8_t type = take(&at, &left);
	uint8_t src, dst, target;

	m->type = type < sizeof(types) ? types[type] : type;
	m->code = take(&at, &left);
	src = take(&at, &left);
	dst = take(&at, &left);
	target = take(&at, &left);
	m->hops = (uint8_t)(255 - take(&at, &left));
	m->sum_is_wrong = take(&at, &left) & 1;
	m->flags = take(&at, &left);
	address_of(src, m->src, &at, &left);
	address_of(dst, m->dst, &at, &left);
	address_of(target, m->target, &at, &left);
	if (dst == 0xff) {
		memcpy(m->dst, "\xff\2\0\0\0\0\0\0\0\0\0\1\xff", 13);
		memcpy(m->dst + 13, m->target + 13, 3);
	}
	m->options = at;
	m->options_len = left < MESSAGE_MAX ? left : MESSAGE_MAX;
}

/* Returns owned: the frame, in memory of exactly its size. */
static uint8_t *
build(const struct message *m, size_t *len)
{
	const size_t head = m->type == ROUTER_SOLICIT ? 8 : 24;
	const size_t message_len = head + m->options_len;
	uint8_t *frame = calloc(1, ETHER + message_len);
	uint16_t sum;

	FUZZ_CHECK(frame != NULL);
	memcpy(frame, fuzz_link.gateway_mac, 6);
	if (m->dst[0] == 0xff) {
		memcpy(frame, "\x33\x33", 2);
		memcpy(frame + 2, m->dst + 12, 4);
	}
	memcpy(frame + 6, fuzz_link.guest_mac, 6);
	memcpy(frame + 12, "\x86\xdd\x60", 3);
	frame[18] = (uint8_t)(message_len >> 8);
	frame[19] = (uint8_t)message_len;
	frame[20] = IPPROTO_ICMPV6;
	frame[21] = m->hops;
	memcpy(frame + 22, m->src, 16);
	memcpy(frame + 38, m->dst, 16);
	frame[ETHER] = m->type;
	frame[ETHER + 1] = m->code;
	frame[ETHER + 4] = m->flags;
	if (head == 24)
		memcpy(frame + ETHER + 8, m->target, 16);
	if (m->options_len > 0)
		memcpy(frame + ETHER + head, m->options, m->options_len);
	sum = fuzz_icmp6_sum(frame, message_len) ^ (m->sum_is_wrong ? 1 : 0);
	frame[ETHER + 2] = (uint8_t)(sum >> 8);
	frame[ETHER + 3] = (uint8_t)sum;
	*len = ETHER + message_len;
	return (frame);
}

static int
is(const uint8_t a[16], const uint8_t b[16])
{
	return (memcmp(a, b, 16) == 0);
}

static int
is_gateways(const uint8_t a[16])
{
	return (is(a, fuzz_link.gateway_ip6) || is(a, fuzz_link.gateway_ll6));
}

static int
may_be_guests(const uint8_t a[16])
{
	return (!is_gateways(a) &&
	    ((a[0] == 0xfe && a[1] >= 0x80 && a[1] < 0xc0) ||
		memcmp(a, fuzz_link.prefix6, 8) == 0));
}

/*
 * RFC 4861 4.6: 0 if they are malformed or name another's MAC; else 1, with 2
 * added where the sender names its own.
 */
static int
judge_options(const uint8_t *at, size_t left)
{
	int result = 1;
	size_t len;

	for (; left > 0; at += len, left -= len) {
		if (left < 2 || at[1] == 0 || (len = at[1] * (size_t)8) > left)
			return (0);
		if (at[0] != 1 && at[0] != 2)
			continue;
		if (len != 8 || memcmp(at + 2, fuzz_link.guest_mac, 6) != 0)
			return (0);
		if (at[0] == 1)
			result |= 2;
	}
	return (result);
}

/* Whether a guest may say it: RFC 4861 6.1.1, 7.1.1, 7.1.2, 11. */
static int
judge(const struct message *m)
{
	const int options = judge_options(m->options, m->options_len);
	const int to_all = m->dst[0] == 0xff, from_any = is(m->src, any);

	if (m->type != ROUTER_SOLICIT && m->type != NEIGHBOR_SOLICIT &&
	    m->type != NEIGHBOR_ADVERT)
		return (0);
	if (m->hops != 255 || m->code != 0 || m->sum_is_wrong || options == 0)
		return (0);
	if (!from_any && !may_be_guests(m->src))
		return (0);
	if (to_all ? (m->dst[1] & 15) != 2 : !is_gateways(m->dst))
		return (0);
	if (from_any && ((options & 2) != 0 || m->type == NEIGHBOR_ADVERT))
		return (0);
	if (m->type == ROUTER_SOLICIT)
		return (1);
	if (m->type == NEIGHBOR_ADVERT)
		return (may_be_guests(m->target) &&
		    !(to_all && (m->flags & 0x40) != 0));
	if (m->target[0] == 0xff || is(m->target, any))
		return (0);
	return (!from_any ||
	    (memcmp(m->dst, "\xff\2\0\0\0\0\0\0\0\0\0\1\xff", 13) == 0 &&
		memcmp(m->dst + 13, m->target + 13, 3) == 0));
}

/* Every answer is whole, and true about the gateway. */
static void
check_answer(const uint8_t *frame, size_t len, uint8_t type, size_t head)
{
	const size_t message_len = len - ETHER;
	const uint8_t *at = frame + ETHER + head;
	size_t left = message_len - head;

	FUZZ_CHECK(len >= ETHER + head);
	FUZZ_CHECK(memcmp(frame + 6, fuzz_link.gateway_mac, 6) == 0);
	FUZZ_CHECK(((size_t)frame[18] << 8 | frame[19]) == message_len);
	FUZZ_CHECK(frame[20] == IPPROTO_ICMPV6 && frame[21] == 255);
	FUZZ_CHECK(is_gateways(frame + 22) && frame[ETHER] == type);
	FUZZ_CHECK(fuzz_icmp6_sum(frame, message_len) == 0);
	for (; left > 0; left -= at[1] * (size_t)8, at += at[1] * (size_t)8) {
		FUZZ_CHECK(left >= 8 && at[1] != 0 &&
		    at[1] * (size_t)8 <= left);
		FUZZ_CHECK(at[0] != 1 ||
		    memcmp(at + 2, fuzz_link.gateway_mac, 6) == 0);
	}
}

static void
answer(const struct message *m, const struct shield_frame *sf)
{
	uint8_t *out = malloc(RA_FRAME_MAX);
	size_t len;

	FUZZ_CHECK(out != NULL);
	if (m->type == ROUTER_SOLICIT) {
		len = ra_build(&ra, NULL, NULL, m->flags & 1, out,
		    RA_FRAME_MAX);
		check_answer(out, len, ROUTER_ADVERT, 16);
	} else if (m->type == NEIGHBOR_SOLICIT && sf->nd_for_gateway) {
		len = ra_build_na(&ra, sf->nd_target, sf->src_mac, sf->src6,
		    out, RA_ND_MAX);
		check_answer(out, len, NEIGHBOR_ADVERT, 24);
		FUZZ_CHECK(is(out + ETHER + 8, m->target));
		/* From ::, all hear that the address is taken. */
		FUZZ_CHECK(is(out + 38, is(m->src, any) ? all_nodes : m->src));
		FUZZ_CHECK(ra_build_na(&ra, sf->nd_target, sf->src_mac,
			       sf->src6, out, len - 1) == 0);
	}
	free(out);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	enum shield_verdict verdict;
	struct shield_frame sf;
	struct message m;
	uint8_t *frame;
	size_t len;

	read_message(data, size, &m);
	frame = build(&m, &len);
	verdict = shield_check(frame, len, &fuzz_link, &sf);
	/* Echo is no neighbour discovery, and has a judge of its own. */
	if (m.type == 128 || m.type == 129)
		FUZZ_CHECK(verdict != SHIELD_ND);
	else
		FUZZ_CHECK((verdict == SHIELD_ND) == judge(&m));
	if (verdict == SHIELD_ND) {
		FUZZ_CHECK(is(sf.src6, m.src) && sf.icmp_type == m.type);
		FUZZ_CHECK(sf.nd_for_gateway ==
		    (m.type == NEIGHBOR_SOLICIT && is_gateways(m.target)));
		answer(&m, &sf);
	}
	free(frame);
	return (0);
}
