/*
 * The guest.  Its TCP is a table of connections with the numbers that a real
 * one would keep; a record says what it sends in terms of these, and how far
 * off.  A byte of payload is named by its connection and its place in the
 * stream, so both ends can tell whether it is the right one.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/fuzz/whole.h"

#define FLAG_FIN 0x01
#define FLAG_SYN 0x02
#define FLAG_RST 0x04
#define FLAG_ACK 0x10

/* Of a TCP record's third byte. */
#define TCP_STAY      0x01 /* it does not count as sent */
#define TCP_MORE      0x02 /* the next frame is read together with it */
#define TCP_FAR	      0x04 /* the sequence's offset counts 64 times ... */
#define TCP_VERY_FAR  0x08 /* ... or 64 KiB times as much */
#define TCP_OWN_BYTES 0x10 /* the payload is the record's rest */
#define TCP_ACK_FAR   0x20

enum options {
	OPTIONS_NONE,
	OPTIONS_SYN, /* what Linux sends */
	OPTIONS_SYN_SMALL,
	OPTIONS_TIMESTAMP,
	OPTIONS_SACK,
	OPTIONS_OWN, /* a length and bytes of the record's */
	OPTIONS_N
};

uint8_t
whole_u8(struct whole_bytes *in)
{
	uint8_t value;

	if (in->left == 0)
		return (0);
	value = *in->at++;
	in->left--;
	return (value);
}

uint16_t
whole_u16(struct whole_bytes *in)
{
	const uint16_t high = whole_u8(in);

	return ((uint16_t)(high << 8 | whole_u8(in)));
}

static uint8_t
pattern(uint32_t who, uint32_t at)
{
	const uint32_t mixed = (at * 0x9e3779b1u) ^ (who * 0x85ebca6bu);
	const uint8_t byte = (uint8_t)(mixed >> 24);

	return (byte == WHOLE_CANARY ? 0 : byte);
}

/* The guest's byte at a place behind its SYN. */
uint8_t
whole_up_byte(int conn, uint32_t iss, uint32_t at)
{
	return (pattern(iss ^ (uint32_t)conn << 8, at));
}

/* A remote host's byte. */
uint8_t
whole_down_byte(int remote, uint32_t at)
{
	return (pattern(0x10000u + (uint32_t)remote, at));
}

/* Gives frames to netproc as the VMM would, in pieces if it splits them. */
void
whole_send(const uint8_t *frame, size_t len, int more)
{
	static uint8_t bytes[4 + WHOLE_FRAME_MAX];
	size_t at = 0, n;
	ssize_t done;
	int tries = 0;

	if (whole.vmm == -1 || len > WHOLE_FRAME_MAX)
		return;
	bytes[0] = 0;
	bytes[1] = (uint8_t)(len >> 16);
	bytes[2] = (uint8_t)(len >> 8);
	bytes[3] = (uint8_t)len;
	memcpy(bytes + 4, frame, len);
	while (at < len + 4) {
		n = len + 4 - at;
		if (whole.split > 0 && n > whole.split)
			n = whole.split;
		done = write(whole.vmm, bytes + at, n);
		if (done == -1) {
			FUZZ_CHECK(errno == EAGAIN || errno == EPIPE);
			if (errno == EPIPE || tries++ > 10)
				return;
			whole_settle();
			if (whole.vmm == -1)
				return;
			continue;
		}
		at += (size_t)done;
		if (whole.split > 0)
			whole_settle();
		if (whole.vmm == -1)
			return;
	}
	if (!more)
		whole_settle();
}

static void
put32(uint8_t *at, uint32_t value)
{
	at[0] = (uint8_t)(value >> 24);
	at[1] = (uint8_t)(value >> 16);
	at[2] = (uint8_t)(value >> 8);
	at[3] = (uint8_t)value;
}

static size_t
make_options(struct whole_bytes *in, const struct whole_conn *conn,
    uint8_t *options)
{
	size_t i, len;

	switch (whole_u8(in) % OPTIONS_N) {
	case OPTIONS_SYN:
		memcpy(options, "\2\4\5\xb4\4\2\x8\xa\0\0\0\1\0\0\0\0\1\3\3\7",
		    20);
		put32(options + 8, (uint32_t)whole.now_ms);
		return (20);
	case OPTIONS_SYN_SMALL:
		memcpy(options, "\2\4\0\x64", 4);
		return (4);
	case OPTIONS_TIMESTAMP:
		memcpy(options, "\1\1\x8\xa", 4);
		put32(options + 4, (uint32_t)whole.now_ms);
		put32(options + 8, conn->seen);
		return (12);
	case OPTIONS_SACK:
		memcpy(options, "\1\1\5\xa", 4);
		put32(options + 4, conn->rcv_nxt + 1000);
		put32(options + 8, conn->rcv_nxt + 2000);
		return (12);
	case OPTIONS_OWN:
		len = (size_t)(whole_u8(in) % 11) * 4;
		for (i = 0; i < len; i++)
			options[i] = whole_u8(in);
		return (len);
	default:
		return (0);
	}
}

static uint32_t
offset(uint8_t how, uint8_t by, uint8_t far)
{
	int32_t n = (int8_t)by;

	if ((how & far) != 0)
		n *= 64;
	if ((how & TCP_VERY_FAR) != 0 && far == TCP_FAR)
		n *= 0x10000;
	return ((uint32_t)n);
}

/* Fills payload; the guest's bytes from seq on. */
static void
fill(uint8_t *payload, size_t len, int c, uint32_t seq, int syn,
    struct whole_bytes *own)
{
	const struct whole_conn *conn = &whole.conns[c];
	const uint32_t at = seq + (uint32_t)syn - conn->iss - 1;
	size_t i;

	if (own != NULL) {
		memcpy(payload, own->at, len);
		whole.tainted = 1;
		return;
	}
	for (i = 0; i < len; i++)
		payload[i] = whole_up_byte(c, conn->iss, at + (uint32_t)i);
}

/* conn flags how options seq ack window len: what the guest's TCP sends. */
void
whole_guest_tcp(struct whole_bytes *in)
{
	static uint8_t frame[WHOLE_FRAME_MAX];
	const int c = whole_u8(in) % WHOLE_CONNS;
	struct whole_conn *conn = &whole.conns[c], sent;
	struct shield_frame sf;
	const uint8_t flags = whole_u8(in), how = whole_u8(in);
	const int syn = (flags & FLAG_SYN) != 0;
	uint8_t options[40];
	const size_t options_len = make_options(in, conn, options);
	const uint8_t seq_by = whole_u8(in), ack_by = whole_u8(in);
	const uint16_t window = (uint16_t)(whole_u8(in) << 8 | 0xf0);
	size_t len = whole_u16(in), total;
	uint32_t seq;

	if (!conn->used)
		return;
	if ((how & TCP_OWN_BYTES) != 0 && len > in->left)
		len = in->left;
	if (len > WHOLE_FRAME_MAX - 14 - 40 - 60)
		len = WHOLE_FRAME_MAX - 14 - 40 - 60;
	seq = conn->snd_nxt + offset(how, seq_by, TCP_FAR);
	/* Bytes sent on the chance that it will be accepted have no name. */
	if (c >= WHOLE_OUT && !conn->settled && len > 0 && conn->remote != -1)
		whole.remotes[conn->remote].conn = -1;
	sent = *conn;
	sent.rcv_nxt += offset(how, ack_by, TCP_ACK_FAR);
	total = whole_packet_tcp(frame, &sent, flags, seq, options, options_len,
	    window == 0xf0 ? 0 : window, len);
	/*
	 * A SYN by itself is a new start, whatever there was, unless it is
	 * dropped as malformed.  Time passes, or netproc's numbers would be
	 * the same again.
	 */
	if (syn && (flags & (FLAG_ACK | FLAG_RST)) == 0 &&
	    shield_check(frame, total, &whole.np->shield, &sf) == SHIELD_TCP) {
		whole.now_ms++;
		conn->iss = seq;
		conn->snd_nxt = seq;
	}
	fill(frame + total - len, len, c, seq, syn,
	    (how & TCP_OWN_BYTES) != 0 ? in : NULL);
	if ((how & TCP_STAY) == 0 && seq == conn->snd_nxt)
		conn->snd_nxt = seq + (uint32_t)syn + (uint32_t)len +
		    (uint32_t)((flags & FLAG_FIN) != 0);
	whole_send(frame, total, (how & TCP_MORE) != 0);
}

/* port whom len: a datagram, of the record's rest and zeroes. */
void
whole_guest_udp(struct whole_bytes *in)
{
	static uint8_t frame[WHOLE_FRAME_MAX], payload[WHOLE_FRAME_MAX];
	const uint8_t port = whole_u8(in), whom = whole_u8(in);
	size_t len = whole_u16(in);
	struct whole_conn_id id = {
		.peer = whole.conns[whom % WHOLE_OUT].peer,
		.guest_port = (uint16_t)(50000 + (port & 7)),
		.peer_port = (whom & 0x80) != 0 ? 53 : 4000,
	};

	/* From where clients of published ports are answered. */
	if ((whom & 0x40) != 0 && whole.conns[WHOLE_OUT].used) {
		id.peer = whole.conns[WHOLE_OUT].peer;
		id.peer_port = (uint16_t)(49152 + (port >> 3));
	}
	if (len > WHOLE_FRAME_MAX - 14 - 40 - 8)
		len = WHOLE_FRAME_MAX - 14 - 40 - 8;
	memset(payload, 0, len);
	if (in->left > 0)
		memcpy(payload, in->at, in->left < len ? in->left : len);
	whole_send(frame, whole_packet_udp(frame, &id, payload, len),
	    (port & 0x80) != 0);
}

/* choices, then a frame that may be anything. */
void
whole_guest_frame(struct whole_bytes *in)
{
	const uint8_t choices = whole_u8(in);
	uint8_t *frame = malloc(in->left + 1);

	FUZZ_CHECK(frame != NULL);
	if (in->left > 0)
		memcpy(frame, in->at, in->left);
	whole_packet_fix(frame, in->left, choices);
	whole.tainted = 1;
	whole_send(frame, in->left, (choices & 0x80) != 0);
	free(frame);
}
