/*
 * How inputs of fuzz_netproc.c change: by whole records, so that what comes
 * out is a conversation again.  Sequence numbers, checksums and lengths are
 * made right when a record is played (whole_guest.c), not here.
 */

#include <string.h>

#include "tests/fuzz/whole.h"

#define HEAD	    3
#define RECORDS_MAX 256
#define BODY_MAX    64 /* of a record that is made here */

int LLVMFuzzerInitialize(int *argc, char ***argv);
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max,
    unsigned int seed);
size_t LLVMFuzzerCustomCrossOver(const uint8_t *a, size_t a_size,
    const uint8_t *b, size_t b_size, uint8_t *out, size_t max,
    unsigned int seed);

/* What a mutation begins with; each is a whole record or several. */
static const struct {
	const char *bytes;
	size_t len;
} pieces[] = {
#define PIECE(s) \
	{ \
		(s), sizeof(s) - 1 \
	}
	/* SYN, and SYN with ACK: conn flags how options seq ack window len */
	PIECE("\0\0\x9\0\2\0\1\0\0\xff\0\0\0\0\x9\0\x10\0\0\0\0\xff\0\0"),
	PIECE("\0\0\x9\1\2\0\1\0\0\xff\0\0\0\0\x9\1\x10\0\0\0\0\xff\0\0"),
	PIECE("\0\0\x9\2\2\0\1\0\0\xff\0\0\0\0\x9\2\x10\0\0\0\0\xff\0\0"),
	PIECE("\0\0\x9\4\2\0\0\0\0\xff\0\0"),
	PIECE("\0\0\x9\x8\x12\0\1\0\0\xff\0\0"),
	/* data, ACK, FIN, RST; out of order, in one read */
	PIECE("\0\0\x9\0\x18\0\0\0\0\xff\5\xa8"),
	PIECE("\0\0\x9\0\x10\0\0\0\0\xff\0\0"),
	PIECE("\0\0\x9\0\x11\0\0\0\0\xff\0\0"),
	PIECE("\0\0\x9\0\x14\0\0\0\0\xff\0\0"),
	PIECE("\0\0\x9\0\x10\1\0\x40\0\xff\0\x40"),
	PIECE("\0\0\x9\0\x18\2\2\0\0\xff\5\xa8"),
	PIECE("\0\0\x9\0\x10\0\0\0\x80\0\0\0"),
	/* a remote host writes, reads, shuts down, closes */
	PIECE("\3\0\4\0\0\x20\0"),
	PIECE("\3\0\4\0\1\xff\xff"),
	PIECE("\3\0\4\0\2\0\0"),
	PIECE("\3\0\4\0\3\0\0"),
	/* relayproc opens, fails, calls, answers */
	PIECE("\4\0\2\0\0"),
	PIECE("\4\0\2\1\0"),
	PIECE("\4\0\3\3\0\0"),
	PIECE("\4\0\3\3\x12\1"),
	PIECE("\4\0\x8\6\0\0\0\0\0data"),
	PIECE("\4\0\x7\7\0\0data"),
	PIECE("\4\0\5\x8\0\7\5\x78"),
	PIECE("\4\0\2\x9\1"),
	/* datagrams, time, the VMM */
	PIECE("\1\0\x8\0\0\0\4data"),
	PIECE("\1\0\x8\x80\0\0\4data"),
	PIECE("\6\0\1\x81"),
	PIECE("\6\0\1\xc3"),
	PIECE("\6\0\1\xff"),
	PIECE("\7\0\1\0"),
	PIECE("\7\0\1\1"),
	PIECE("\7\0\3\2\4\0"),
	PIECE("\7\0\2\3\5"),
	PIECE("\7\0\1\4\7\0\1\5"),
#undef PIECE
};

struct records {
	const uint8_t *at[RECORDS_MAX];
	size_t len[RECORDS_MAX]; /* with its head */
	size_t n;
};

static uint32_t chance;

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	whole_start();
	return (0);
}

static size_t
pick(size_t n)
{
	chance = chance * 1664525u + 1013904223u;
	return ((chance >> 8) % n);
}

static void
split(struct records *r, const uint8_t *data, size_t size)
{
	size_t len;

	r->n = 0;
	while (size >= HEAD && r->n < RECORDS_MAX) {
		len = HEAD + ((size_t)data[1] << 8 | data[2]);
		if (len > size)
			len = size;
		r->at[r->n] = data;
		r->len[r->n++] = len;
		data += len;
		size -= len;
	}
}

/* Adds a record or several, or a part that fits; their length is corrected. */
static void
put(uint8_t *out, size_t *len, size_t max, const uint8_t *bytes, size_t n)
{
	if (n > max - *len)
		return;
	memcpy(out + *len, bytes, n);
	*len += n;
}

/* A record with a body that libFuzzer has changed. */
static void
put_mutated(uint8_t *out, size_t *len, size_t max, const uint8_t *bytes,
    size_t n)
{
	uint8_t record[HEAD + 4096];
	size_t body = n - HEAD, room;

	if (n < HEAD || body > 2048)
		return;
	memcpy(record, bytes, n);
	/* Mostly as long as it was: a field is changed, not the layout. */
	room = pick(4) == 0 ? body + BODY_MAX : body;
	if (room > 0)
		body = LLVMFuzzerMutate(record + HEAD, body, room);
	record[1] = (uint8_t)(body >> 8);
	record[2] = (uint8_t)body;
	put(out, len, max, record, HEAD + body);
}

/* One byte of the record's body becomes another, or a little more or less. */
static void
put_nudged(uint8_t *out, size_t *len, size_t max, const uint8_t *bytes,
    size_t n)
{
	const size_t at = *len;
	uint8_t *byte;

	put(out, len, max, bytes, n);
	if (*len == at || n <= HEAD)
		return;
	byte = out + at + HEAD + pick(n - HEAD);
	if (pick(2) == 0)
		*byte = (uint8_t)pick(256);
	else
		*byte = (uint8_t)(*byte + pick(5) - 2);
}

static size_t
mutate_records(const struct records *r, uint8_t *out, size_t len, size_t max)
{
	const size_t how = pick(7), which = r->n > 0 ? pick(r->n) : 0,
		     other = r->n > 0 ? pick(r->n) : 0;
	size_t i, piece;

	for (i = 0; i <= r->n; i++) {
		if (i == which && how <= 1) {
			piece = pick(sizeof(pieces) / sizeof(pieces[0]));
			put(out, &len, max,
			    (const uint8_t *)pieces[piece].bytes,
			    pieces[piece].len);
		}
		if (i == r->n)
			break;
		if (i == which && how == 2)
			continue;
		if (i == which && how == 3)
			put(out, &len, max, r->at[other], r->len[other]);
		if (i == which && how == 4)
			put_mutated(out, &len, max, r->at[i], r->len[i]);
		else if (i == which && how >= 5)
			put_nudged(out, &len, max, r->at[i], r->len[i]);
		else
			put(out, &len, max, r->at[i], r->len[i]);
	}
	return (len);
}

size_t
LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max,
    unsigned int seed)
{
	static uint8_t copy[1 << 20], out[1 << 20];
	struct records r;
	size_t len = 1, n;

	chance = seed;
	if (size == 0 || max < 64 || max > sizeof(out) || pick(50) == 0)
		return (LLVMFuzzerMutate(data, size, max));
	for (n = pick(4) + 1; n > 0; n--) {
		memcpy(copy, data, size);
		split(&r, copy + 1, size - 1);
		out[0] = copy[0];
		if (pick(20) == 0)
			out[0] ^= (uint8_t)(1u << pick(4));
		len = mutate_records(&r, out, 1, max);
		memcpy(data, out, len);
		size = len;
	}
	return (len);
}

size_t
LLVMFuzzerCustomCrossOver(const uint8_t *a, size_t a_size, const uint8_t *b,
    size_t b_size, uint8_t *out, size_t max, unsigned int seed)
{
	struct records ra, rb;
	size_t len = 1, i, from, to;

	chance = seed;
	if (a_size == 0 || b_size == 0 || max == 0)
		return (0);
	split(&ra, a + 1, a_size - 1);
	split(&rb, b + 1, b_size - 1);
	out[0] = a[0];
	to = pick(ra.n + 1);
	from = pick(rb.n + 1);
	for (i = 0; i < to; i++)
		put(out, &len, max, ra.at[i], ra.len[i]);
	for (i = from; i < rb.n; i++)
		put(out, &len, max, rb.at[i], rb.len[i]);
	return (len);
}
