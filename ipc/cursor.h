#ifndef IPC_CURSOR_H
#define IPC_CURSOR_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/*
 * Reading and writing bytes of which only the number is trusted.
 *
 * Both cursors have a sticky error: a step that does not fit changes nothing
 * but the flag, reads as zero or NULL, and fails every step after it.  So a
 * parser may take a whole header and ask once whether it was all there.
 * Integers are in network byte order.
 */

struct cursor {
	const uint8_t *at; /* borrows */
	size_t left;
	int error;
};

static inline void
cursor_init(struct cursor *c, const void *bytes, size_t len)
{
	c->at = bytes;
	c->left = len;
	c->error = 0;
}

/* The next n bytes, borrowed, and steps over them; NULL if fewer are left. */
static inline const uint8_t *
cursor_bytes(struct cursor *c, size_t n)
{
	const uint8_t *at = c->at;

	if (c->error || n > c->left) {
		c->error = 1;
		return (NULL);
	}
	if (n > 0) /* bytes may be NULL when there are none */
		c->at += n;
	c->left -= n;
	return (at);
}

static inline void
cursor_skip(struct cursor *c, size_t n)
{
	(void)cursor_bytes(c, n);
}

/* Copies n bytes to dst; zeroes if fewer are left. */
static inline void
cursor_copy(struct cursor *c, void *dst, size_t n)
{
	const uint8_t *at = cursor_bytes(c, n);

	if (n == 0)
		return;
	if (at != NULL)
		memcpy(dst, at, n);
	else
		memset(dst, 0, n);
}

/* A cursor over the next n bytes alone, which c steps over. */
static inline struct cursor
cursor_sub(struct cursor *c, size_t n)
{
	struct cursor sub = { NULL, 0, 0 };

	sub.at = cursor_bytes(c, n);
	if (c->error)
		sub.error = 1;
	else
		sub.left = n;
	return (sub);
}

static inline uint8_t
cursor_u8(struct cursor *c)
{
	const uint8_t *at = cursor_bytes(c, 1);

	return (at == NULL ? 0 : at[0]);
}

static inline uint16_t
cursor_be16(struct cursor *c)
{
	const uint8_t *at = cursor_bytes(c, 2);

	return (at == NULL ? 0 : (uint16_t)((unsigned int)at[0] << 8 | at[1]));
}

static inline uint32_t
cursor_be32(struct cursor *c)
{
	const uint8_t *at = cursor_bytes(c, 4);

	if (at == NULL)
		return (0);
	return ((uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 |
	    (uint32_t)at[2] << 8 | at[3]);
}

struct cursor_out {
	uint8_t *base; /* borrows */
	size_t cap;
	size_t len; /* written so far */
	int error;
};

static inline void
cursor_out_init(struct cursor_out *c, void *base, size_t cap)
{
	c->base = base;
	c->cap = cap;
	c->len = 0;
	c->error = 0;
}

/* Room for n bytes, which count as written; NULL if they do not fit. */
static inline uint8_t *
cursor_out_room(struct cursor_out *c, size_t n)
{
	uint8_t *at;

	if (c->error || n > c->cap - c->len) {
		c->error = 1;
		return (NULL);
	}
	at = c->base + c->len;
	c->len += n;
	return (at);
}

static inline void
cursor_out_bytes(struct cursor_out *c, const void *src, size_t n)
{
	uint8_t *at = cursor_out_room(c, n);

	if (at != NULL && n > 0)
		memcpy(at, src, n);
}

static inline void
cursor_out_zero(struct cursor_out *c, size_t n)
{
	uint8_t *at = cursor_out_room(c, n);

	if (at != NULL && n > 0)
		memset(at, 0, n);
}

static inline void
cursor_out_u8(struct cursor_out *c, uint8_t v)
{
	cursor_out_bytes(c, &v, 1);
}

static inline void
cursor_out_be16(struct cursor_out *c, uint16_t v)
{
	const uint8_t b[2] = { (uint8_t)(v >> 8), (uint8_t)v };

	cursor_out_bytes(c, b, sizeof(b));
}

static inline void
cursor_out_be32(struct cursor_out *c, uint32_t v)
{
	const uint8_t b[4] = { (uint8_t)(v >> 24), (uint8_t)(v >> 16),
		(uint8_t)(v >> 8), (uint8_t)v };

	cursor_out_bytes(c, b, sizeof(b));
}

/*
 * Writes over two bytes that are written already: a length or a checksum that
 * is known only when all behind it is there.
 */
static inline void
cursor_out_patch16(struct cursor_out *c, size_t at, uint16_t v)
{
	if (c->error || c->len < 2 || at > c->len - 2) {
		c->error = 1;
		return;
	}
	c->base[at] = (uint8_t)(v >> 8);
	c->base[at + 1] = (uint8_t)v;
}

#endif
