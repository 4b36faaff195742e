/*
 * Reassembly (RFC 791 3.2, RFC 8200 4.5) in a fixed number of slots.
 *
 * A slot holds the payload where it will lie in the whole frame, behind room
 * for the longest headers, and one bit for each 8 bytes of it that have come:
 * fragments begin at multiples of 8, and only the last ends elsewhere.  A
 * fragment whose bytes are all there and the same is a duplicate; one that
 * has some of them is an overlap, and then nobody can say which bytes are
 * meant: the datagram is dropped, and its slot keeps the name of it until the
 * time is over, so that what still comes of it begins no other.
 *
 * A fragment that is the whole datagram (IPv6 has such) has a slot to itself,
 * behind the others: it neither meets nor ends what shares its name (RFC 6946).
 *
 * The first slot that is free is taken; when none is, the one begun first
 * makes room: endless first fragments push out each other.
 */

#include "netproc/link/fragment.h"

#include <stdlib.h>
#include <string.h>

#include "ipc/cursor.h"
#include "netproc/gateway/packet.h"
#include "netproc/link/checksum.h"
#include "netproc/link/shield.h"

#define PAYLOAD_MAX  65535
#define UNIT_BYTES   8
#define NUNITS	     ((PAYLOAD_MAX + UNIT_BYTES) / UNIT_BYTES)
#define HEADROOM     (PACKET_ETHER_LEN + PACKET_IP6_LEN)
#define TAIL_BYTES   16 /* zeroes behind a frame, for lwIP */
#define IP4_TOTAL    2
#define IP4_FRAG     6
#define IP4_CHECKSUM 10
#define IP6_PLEN     4
#define IP6_NEXT     6

enum slot_state {
	SLOT_FREE,
	SLOT_OPEN, /* bytes are missing */
	SLOT_DEAD  /* was dropped; what comes of it is dropped too */
};

struct fragment_slot {
	enum slot_state state;
	struct ipc_addr src;
	struct ipc_addr dst;
	uint32_t id;
	uint8_t protocol; /* IPv4: part of the name; IPv6: of the first */
	uint64_t begun_ms;
	uint64_t serial; /* in the order of beginning */
	size_t have;	 /* bytes of payload that have come */
	size_t highest;	 /* where the furthest of them ends */
	size_t total;	 /* payload of the whole; 0: the last is missing */
	uint8_t units[(NUNITS + 7) / 8];
	uint8_t frame[HEADROOM + PAYLOAD_MAX + TAIL_BYTES];
};

int
fragment_pool_init(struct fragment_pool *pool)
{
	memset(pool, 0, sizeof(*pool));
	pool->slots = calloc(FRAGMENT_SLOTS + 1, sizeof(*pool->slots));
	return (pool->slots == NULL ? -1 : 0);
}

void
fragment_pool_free(struct fragment_pool *pool)
{
	free(pool->slots);
	pool->slots = NULL;
}

void
fragment_forget(struct fragment_pool *pool)
{
	size_t i;

	for (i = 0; i < FRAGMENT_SLOTS; i++)
		pool->slots[i].state = SLOT_FREE;
}

static int
slot_is_of(const struct fragment_slot *slot, const struct shield_frame *sf,
    const struct ipc_addr *src, const struct ipc_addr *dst)
{
	return (slot->state != SLOT_FREE && slot->id == sf->frag_id &&
	    memcmp(&slot->src, src, sizeof(*src)) == 0 &&
	    memcmp(&slot->dst, dst, sizeof(*dst)) == 0 &&
	    (sf->version == 6 || slot->protocol == sf->protocol));
}

static struct fragment_slot *
slot_find(struct fragment_pool *pool, const struct shield_frame *sf)
{
	const struct ipc_addr src = shield_src(sf), dst = shield_dst(sf);
	size_t i;

	for (i = 0; i < FRAGMENT_SLOTS; i++) {
		if (slot_is_of(&pool->slots[i], sf, &src, &dst))
			return (&pool->slots[i]);
	}
	return (NULL);
}

static void
slot_open(struct fragment_pool *pool, struct fragment_slot *slot,
    const struct shield_frame *sf, uint64_t now_ms)
{
	slot->state = SLOT_OPEN;
	slot->src = shield_src(sf);
	slot->dst = shield_dst(sf);
	slot->id = sf->frag_id;
	slot->protocol = sf->protocol;
	slot->begun_ms = now_ms;
	slot->serial = ++pool->serial;
	slot->have = slot->highest = slot->total = 0;
	memset(slot->units, 0, sizeof(slot->units));
}

static struct fragment_slot *
slot_begin(struct fragment_pool *pool, const struct shield_frame *sf,
    uint64_t now_ms)
{
	struct fragment_slot *slot = &pool->slots[0];
	size_t i;

	for (i = 0; i < FRAGMENT_SLOTS && slot->state != SLOT_FREE; i++) {
		if (pool->slots[i].state == SLOT_FREE ||
		    pool->slots[i].serial < slot->serial)
			slot = &pool->slots[i];
	}
	if (slot->state == SLOT_OPEN)
		pool->count[FRAGMENT_EVICTED]++;
	slot_open(pool, slot, sf, now_ms);
	return (slot);
}

static int
unit_is_set(const struct fragment_slot *slot, size_t unit)
{
	return (slot->units[unit / 8] >> unit % 8 & 1);
}

/* How many of the units of [begin, end) have come. */
static size_t
units_set(const struct fragment_slot *slot, size_t begin, size_t end)
{
	size_t unit, n = 0;

	for (unit = begin / UNIT_BYTES; unit * UNIT_BYTES < end; unit++)
		n += (size_t)unit_is_set(slot, unit);
	return (n);
}

/* What a fragment means for a slot that is not dropped. */
static enum fragment_event
judge(const struct fragment_slot *slot, const uint8_t *payload,
    const struct shield_frame *sf)
{
	const size_t begin = sf->frag_off, end = begin + sf->l4_len;
	const size_t nunits = (end + UNIT_BYTES - 1) / UNIT_BYTES -
	    begin / UNIT_BYTES;
	size_t nset;

	if (sf->frag_more ? slot->total != 0 && end >= slot->total :
			    slot->highest > end)
		return (FRAGMENT_INCONSISTENT);
	if (!sf->frag_more && slot->total != 0 && slot->total != end)
		return (FRAGMENT_INCONSISTENT);
	nset = units_set(slot, begin, end);
	if (nset == 0)
		return (FRAGMENT_KEPT);
	/* The last one again; not one that makes a middle one the last. */
	if (nset == nunits && (sf->frag_more || slot->total != 0) &&
	    memcmp(slot->frame + HEADROOM + begin, payload, sf->l4_len) == 0)
		return (FRAGMENT_DUPLICATE);
	return (FRAGMENT_OVERLAP);
}

static size_t
header_len_of(const struct shield_frame *sf)
{
	return (sf->version == 6 ? PACKET_IP6_LEN : PACKET_IP4_LEN);
}

static void
keep(struct fragment_slot *slot, const uint8_t *frame,
    const struct shield_frame *sf)
{
	const size_t begin = sf->frag_off, end = begin + sf->l4_len;
	const size_t head_len = PACKET_ETHER_LEN + header_len_of(sf);
	size_t unit;

	memcpy(slot->frame + HEADROOM + begin, frame + sf->l4_off, sf->l4_len);
	for (unit = begin / UNIT_BYTES; unit * UNIT_BYTES < end; unit++)
		slot->units[unit / 8] |= (uint8_t)(1u << unit % 8);
	slot->have += sf->l4_len;
	if (end > slot->highest)
		slot->highest = end;
	if (!sf->frag_more)
		slot->total = end;
	if (begin == 0) {
		slot->protocol = sf->protocol;
		memcpy(slot->frame + HEADROOM - head_len, frame, head_len);
	}
}

/* The first fragment's headers become those of the whole. */
static uint8_t *
complete(struct fragment_slot *slot, const struct shield_frame *sf,
    size_t *whole_len)
{
	const size_t header_len = header_len_of(sf);
	struct cursor_out ip;

	cursor_out_init(&ip, slot->frame + HEADROOM - header_len, header_len);
	(void)cursor_out_room(&ip, header_len);
	if (sf->version == 6) {
		cursor_out_patch16(&ip, IP6_PLEN, (uint16_t)slot->total);
		ip.base[IP6_NEXT] = slot->protocol;
	} else {
		cursor_out_patch16(&ip, IP4_TOTAL,
		    (uint16_t)(header_len + slot->total));
		cursor_out_patch16(&ip, IP4_FRAG, 0);
		cursor_out_patch16(&ip, IP4_CHECKSUM, 0);
		cursor_out_patch16(&ip, IP4_CHECKSUM,
		    checksum_of(ip.base, header_len));
	}
	memset(slot->frame + HEADROOM + slot->total, 0, TAIL_BYTES);
	*whole_len = PACKET_ETHER_LEN + header_len + slot->total;
	slot->state = SLOT_FREE;
	return (ip.base - PACKET_ETHER_LEN);
}

static enum fragment_event
take(struct fragment_pool *pool, const uint8_t *frame,
    const struct shield_frame *sf, uint64_t now_ms, uint8_t **whole,
    size_t *whole_len)
{
	struct fragment_slot *slot;
	enum fragment_event event;

	if (sf->frag_off == 0 && !sf->frag_more) {
		slot = &pool->slots[FRAGMENT_SLOTS];
		slot_open(pool, slot, sf, now_ms);
		keep(slot, frame, sf);
		*whole = complete(slot, sf, whole_len);
		return (FRAGMENT_WHOLE);
	}
	slot = slot_find(pool, sf);
	if (slot == NULL)
		slot = slot_begin(pool, sf, now_ms);
	if (slot->state == SLOT_DEAD)
		return (FRAGMENT_LATE);
	event = judge(slot, frame + sf->l4_off, sf);
	if (event == FRAGMENT_KEPT) {
		keep(slot, frame, sf);
		if (slot->total == 0 || slot->have != slot->total)
			return (FRAGMENT_KEPT);
		*whole = complete(slot, sf, whole_len);
		return (FRAGMENT_WHOLE);
	}
	if (event != FRAGMENT_DUPLICATE)
		slot->state = SLOT_DEAD;
	return (event);
}

enum fragment_event
fragment_add(struct fragment_pool *pool, const uint8_t *frame,
    const struct shield_frame *sf, uint64_t now_ms, uint8_t **whole,
    size_t *whole_len)
{
	enum fragment_event event;

	*whole = NULL;
	*whole_len = 0;
	fragment_expire(pool, now_ms);
	event = take(pool, frame, sf, now_ms, whole, whole_len);
	pool->count[event]++;
	return (event);
}

void
fragment_expire(struct fragment_pool *pool, uint64_t now_ms)
{
	struct fragment_slot *slot;
	size_t i;

	for (i = 0; i < FRAGMENT_SLOTS; i++) {
		slot = &pool->slots[i];
		if (slot->state == SLOT_FREE ||
		    now_ms < slot->begun_ms + FRAGMENT_TIMEOUT_MS)
			continue;
		if (slot->state == SLOT_OPEN)
			pool->count[FRAGMENT_EXPIRED]++;
		slot->state = SLOT_FREE;
	}
}

uint64_t
fragment_deadline(const struct fragment_pool *pool)
{
	uint64_t nearest_ms = UINT64_MAX, deadline_ms;
	size_t i;

	for (i = 0; i < FRAGMENT_SLOTS; i++) {
		deadline_ms = pool->slots[i].begun_ms + FRAGMENT_TIMEOUT_MS;
		if (pool->slots[i].state != SLOT_FREE &&
		    deadline_ms < nearest_ms)
			nearest_ms = deadline_ms;
	}
	return (nearest_ms);
}

const char *
fragment_event_name(enum fragment_event event)
{
	static const char *const names[] = {
#define X(name, counter) counter,
		FRAGMENT_EVENTS(X)
#undef X
	};
	_Static_assert(sizeof(names) / sizeof(names[0]) == FRAGMENT_NEVENTS,
	    "a name for every event");

	if ((unsigned int)event >= FRAGMENT_NEVENTS)
		return ("?");
	return (names[event]);
}
