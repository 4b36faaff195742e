/*
 * Input: records of offset / 8 (u16, its top bit: the last fragment), length
 * (u8, times 8 less the next byte's low bits for a last one), a byte of
 * choices (datagram, version, seconds that pass, contents), and the result is
 * compared with a reassembly that keeps one flag a byte.
 */

#include <netinet/in.h>

#include <string.h>

#include "netproc/link/checksum.h"
#include "netproc/link/fragment.h"
#include "netproc/link/shield.h"
#include "tests/fuzz/fuzz.h"

const char fuzz_name[] = "fragment";

#define NDATAGRAMS 4 /* fewer than slots: none is evicted */
#define MAX	   65535

struct reference {
	int begun, dead;
	uint64_t begun_ms;
	size_t total, highest, nbytes;
	uint8_t have[MAX], bytes[MAX];
};

static struct reference refs[NDATAGRAMS];
static struct reference alone; /* of a fragment that is all: RFC 6946 */
static struct fragment_pool pool;

static enum fragment_event
refer(struct reference *ref, const struct shield_frame *sf,
    const uint8_t *payload, uint64_t now_ms)
{
	const size_t begin = sf->frag_off, end = begin + sf->l4_len;
	size_t i, nold = 0;
	int same = 1;

	if (ref->begun && now_ms >= ref->begun_ms + FRAGMENT_TIMEOUT_MS)
		ref->begun = 0;
	if (!ref->begun) {
		memset(ref, 0, sizeof(*ref));
		ref->begun = 1;
		ref->begun_ms = now_ms;
	}
	if (ref->dead)
		return (FRAGMENT_LATE);
	ref->dead = 1;
	if (ref->total != 0 && end > ref->total)
		return (FRAGMENT_INCONSISTENT);
	if (ref->total != 0 && sf->frag_more == (end == ref->total))
		return (FRAGMENT_INCONSISTENT);
	if (!sf->frag_more && ref->highest > end)
		return (FRAGMENT_INCONSISTENT);
	for (i = begin; i < end; i++) {
		nold += ref->have[i];
		same &= ref->have[i] && ref->bytes[i] == payload[i - begin];
	}
	if (nold > 0 && (!same || (!sf->frag_more && ref->total == 0)))
		return (FRAGMENT_OVERLAP);
	ref->dead = 0;
	if (nold > 0)
		return (FRAGMENT_DUPLICATE);
	memset(ref->have + begin, 1, sf->l4_len);
	memcpy(ref->bytes + begin, payload, sf->l4_len);
	ref->nbytes += sf->l4_len;
	if (end > ref->highest)
		ref->highest = end;
	if (!sf->frag_more)
		ref->total = end;
	if (ref->total == 0 || ref->nbytes != ref->total)
		return (FRAGMENT_KEPT);
	ref->begun = 0;
	return (FRAGMENT_WHOLE);
}

struct pieces {
	const uint8_t *whole;
	size_t len, header_len, extra, seen, mtu;
};

static void
check_piece(void *arg, const uint8_t *frame, size_t len)
{
	struct pieces *p = arg;
	const size_t at = 14 + p->header_len + p->extra;

	FUZZ_CHECK(len > at && len - 14 <= p->mtu);
	FUZZ_CHECK(memcmp(frame + at, p->whole + 14 + p->header_len + p->seen,
		       len - at) == 0);
	FUZZ_CHECK(p->header_len == 40 || checksum_of(frame + 14, 20) == 0);
	p->seen += len - at;
	FUZZ_CHECK((len - at) % 8 == 0 ||
	    p->seen == p->len - 14 - p->header_len);
}

/* What was put together can be cut, and the pieces are all of it. */
static void
check_split(const uint8_t *whole, size_t len, int version)
{
	struct pieces p = { whole, len, version == 6 ? 40 : 20, 0, 0, 1280 };
	uint8_t *out = malloc(14 + p.mtu);
	size_t n;

	if (out == NULL)
		abort();
	if (version == 6 && len > 14 + p.mtu)
		p.extra = 8;
	n = fragment_split(whole, len, p.mtu, 7, out, 14 + p.mtu, check_piece,
	    &p);
	FUZZ_CHECK(n >= 1 && p.seen == len - 14 - p.header_len);
	free(out);
}

static void
check_whole(const struct reference *ref, const struct shield_frame *sf,
    const uint8_t *whole, size_t len)
{
	const size_t header_len = sf->version == 6 ? 40 : 20;

	FUZZ_CHECK(len == 14 + header_len + ref->total);
	FUZZ_CHECK(memcmp(whole + 14 + header_len, ref->bytes, ref->total) ==
	    0);
	if (sf->version == 4) {
		FUZZ_CHECK(checksum_of(whole + 14, 20) == 0);
		FUZZ_CHECK((((size_t)whole[16] << 8) | whole[17]) == len - 14);
		FUZZ_CHECK(whole[20] == 0 && whole[21] == 0);
	} else {
		FUZZ_CHECK((((size_t)whole[18] << 8) | whole[19]) ==
		    ref->total);
		FUZZ_CHECK(whole[20] == IPPROTO_UDP);
	}
	check_split(whole, len, sf->version);
}

/* A fragment's frame, of exactly its length; sf as the shield fills it. */
static uint8_t *
make(const uint8_t *record, struct shield_frame *sf)
{
	const size_t which = record[3] & 3;
	const uint8_t fill = (record[3] & 0x40) != 0 ? record[0] : 0;
	size_t head_len, limit;
	uint8_t *frame;

	memset(sf, 0, sizeof(*sf));
	sf->version = which >= 2 ? 6 : 4;
	sf->src_ip = sf->version == 4 ? 1 : 0;
	sf->protocol = IPPROTO_UDP;
	sf->frag_id = (uint32_t)which;
	sf->frag_more = (record[0] & 0x80) == 0;
	sf->frag_off = (((size_t)record[0] << 8 | record[1]) & 0x1fff) * 8;
	sf->l4_len = (record[2] + 1u) * 8;
	limit = MAX - (sf->version == 4 ? 20u : 0u) - sf->frag_off;
	if (!sf->frag_more)
		sf->l4_len -= record[3] >> 2 & 7;
	if (sf->frag_off + sf->l4_len > MAX - (sf->version == 4 ? 20u : 0u)) {
		if (sf->frag_off >= MAX - 28)
			return (NULL);
		sf->l4_len = sf->frag_more ? limit & ~(size_t)7 : limit;
		if (sf->l4_len == 0)
			return (NULL);
	}
	head_len = sf->version == 4 ? 34 : 62;
	sf->l3_off = 14;
	sf->l4_off = head_len;
	frame = calloc(1, head_len + sf->l4_len);
	if (frame == NULL)
		abort();
	memcpy(frame + 12, sf->version == 4 ? "\x08\0\x45" : "\x86\xdd\x60", 3);
	memset(frame + head_len, (int)(fill + which), sf->l4_len);
	return (frame);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct shield_frame sf;
	struct reference *ref;
	enum fragment_event event;
	uint64_t now_ms = 1000;
	uint8_t *frame, *whole;
	size_t whole_len, i;

	if (pool.slots == NULL && fragment_pool_init(&pool) == -1)
		abort();
	fragment_forget(&pool);
	for (i = 0; i < NDATAGRAMS; i++)
		refs[i].begun = 0;
	for (; size >= 4; data += 4, size -= 4) {
		if ((data[3] & 0x80) != 0)
			now_ms += 2000;
		frame = make(data, &sf);
		if (frame == NULL)
			continue;
		ref = &refs[data[3] & 3];
		if (sf.frag_off == 0 && !sf.frag_more) {
			ref = &alone;
			ref->begun = 0;
		}
		event = fragment_add(&pool, frame, &sf, now_ms, &whole,
		    &whole_len);
		FUZZ_CHECK(event == refer(ref, &sf, frame + sf.l4_off, now_ms));
		FUZZ_CHECK((event == FRAGMENT_WHOLE) == (whole != NULL));
		if (whole != NULL)
			check_whole(ref, &sf, whole, whole_len);
		FUZZ_CHECK(fragment_deadline(&pool) > now_ms);
		free(frame);
	}
	FUZZ_CHECK(pool.count[FRAGMENT_EVICTED] == 0);
	return (0);
}
