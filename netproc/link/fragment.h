#ifndef NETPROC_LINK_FRAGMENT_H
#define NETPROC_LINK_FRAGMENT_H

#include <stddef.h>
#include <stdint.h>

/*
 * IP fragments in both directions: those of the guest are put together, and
 * packets for the guest that are longer than its MTU are cut.
 */

struct shield_frame;
struct fragment_slot;

/*
 * Most datagrams at a time; one more and the one begun first is dropped
 * (EVICTED; test_fragment fills it).
 */
#define FRAGMENT_SLOTS 16

/* A datagram that is not whole by then is dropped (EXPIRED). */
#define FRAGMENT_TIMEOUT_MS 15000

/* What happened.  X(name, counter): FRAGMENT_<name>. */
/* clang-format off */
#define FRAGMENT_EVENTS(X) \
	X(KEPT,		"kept") \
	X(WHOLE,	"reassembled") \
	X(DUPLICATE,	"duplicate") \
	X(OVERLAP,	"overlap") \
	X(INCONSISTENT,	"inconsistent") \
	X(LATE,		"of-a-dropped-datagram") \
	X(EVICTED,	"evicted") \
	X(EXPIRED,	"expired")
/* clang-format on */

enum fragment_event {
#define X(name, counter) FRAGMENT_##name,
	FRAGMENT_EVENTS(X)
#undef X
	FRAGMENT_NEVENTS
};

struct fragment_pool {
	struct fragment_slot *slots; /* one allocation of about 1 MiB */
	uint64_t serial;
	uint64_t count[FRAGMENT_NEVENTS];
};

/* 0, or -1 with errno ENOMEM. */
int fragment_pool_init(struct fragment_pool *pool);
void fragment_pool_free(struct fragment_pool *pool);

/* The guest has gone: forgets what was begun. */
void fragment_forget(struct fragment_pool *pool);

/*
 * Takes a fragment: a frame that passed as SHIELD_FRAGMENT or
 * SHIELD_FRAGMENT6, and what the shield says of it.  Copies.
 *
 *	FRAGMENT_KEPT		more must come
 *	FRAGMENT_WHOLE		*whole, *whole_len is the packet as one
 *				Ethernet frame, to be shield_check()ed with an
 *				mtu of SHIELD_PACKET_MAX; borrowed until the
 *				next call.
 *				IPv4 has its checksum, DF is clear
 *	FRAGMENT_DUPLICATE	its bytes are there already; nothing changes
 *	FRAGMENT_OVERLAP	the whole datagram is dropped (RFC 5722 3), as
 *	FRAGMENT_INCONSISTENT	it is when two fragments disagree on its end
 *	FRAGMENT_LATE		another one of a datagram that was so dropped
 *
 * Each is counted, and so is a datagram that must make room.
 */
enum fragment_event fragment_add(struct fragment_pool *pool,
    const uint8_t *frame, const struct shield_frame *sf, uint64_t now_ms,
    uint8_t **whole, size_t *whole_len);

/* Drops what is too old.  Call it at fragment_deadline(). */
void fragment_expire(struct fragment_pool *pool, uint64_t now_ms);

/* When the next datagram is too old, ms; UINT64_MAX when there is none. */
uint64_t fragment_deadline(const struct fragment_pool *pool);

/* Returns borrowed: "overlap"; "?" for a number that is no event. */
const char *fragment_event_name(enum fragment_event event);

/*
 * Calls emit for each frame of at most mtu bytes of IP that frame, an Ethernet
 * frame with an IPv4 or IPv6 packet of the gateway's own making, must become;
 * for frame itself if it fits.  id: the identification of IPv6 fragments;
 * IPv4 has its own.  out, cap: where frames are made, 14 + mtu bytes; emit
 * borrows.  Returns their number; 0 with none emitted if the packet may not be
 * fragmented (DF), is no IP or not as long as it says, if mtu is less than 68
 * (IPv6: 1280) or cap is short.
 */
size_t fragment_split(const uint8_t *frame, size_t len, size_t mtu, uint32_t id,
    uint8_t *out, size_t cap,
    void (*emit)(void *arg, const uint8_t *frame, size_t len), void *arg);

#endif
