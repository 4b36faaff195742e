/*
 * What netproc sends to the guest, frame by frame: well formed, with right
 * checksums, of bytes that somebody has sent.  The guest's TCP learns from it.
 */

#include <netinet/in.h>

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "netproc/link/checksum.h"
#include "tests/fuzz/whole.h"

/* IEEE 802.3's, without the check sequence. */
#define FRAME_SHORTEST 60

#define IN_MAX (256 * 1024)

#define FLAG_FIN 0x01
#define FLAG_SYN 0x02
#define FLAG_RST 0x04
#define FLAG_ACK 0x10

static uint16_t
get16(const uint8_t *at)
{
	return ((uint16_t)(at[0] << 8 | at[1]));
}

static uint32_t
get32(const uint8_t *at)
{
	return ((uint32_t)get16(at) << 16 | get16(at + 2));
}

static struct {
	unsigned long frames, records, bytes;
} scanned;

/* For tests/figures/stale_memory.py; a line of TAP says nothing by itself. */
static void __attribute__((destructor)) say_scanned(void)
{
	printf("# %lu frames to the guest, %lu records to relayproc, "
	       "%lu bytes scanned\n",
	    scanned.frames, scanned.records, scanned.bytes);
}

void
whole_scan_record(const struct ipc_msg *msg)
{
	scanned.records++;
	whole_scan(msg->payload, ipc_payload_size(msg->hdr.type));
	whole_scan(msg->tail, msg->tail_len);
}

/* Memory that nobody has written must not leave. */
void
whole_scan(const void *bytes, size_t len)
{
	const uint8_t *p = bytes;
	size_t i, run = 0;

	scanned.bytes += len;
	for (i = 0; i < len; i++) {
		run = p[i] == WHOLE_CANARY ? run + 1 : 0;
		FUZZ_CHECK(run < WHOLE_CANARY_RUN);
	}
}

/* The connection of a segment to the guest; an inbound one by its SYN. */
static int
conn_of(const struct ipc_addr *peer, const uint8_t *tcp)
{
	const uint16_t peer_port = get16(tcp), guest_port = get16(tcp + 2);
	struct whole_conn *conn;
	int c;

	for (c = 0; c < WHOLE_CONNS; c++) {
		conn = &whole.conns[c];
		if (conn->used && addr_equal(&conn->peer, peer) &&
		    conn->peer_port == peer_port &&
		    conn->guest_port == guest_port)
			return (c);
	}
	if ((tcp[13] & (FLAG_SYN | FLAG_ACK)) != FLAG_SYN)
		return (-1);
	c = WHOLE_OUT + guest_port % (WHOLE_CONNS - WHOLE_OUT);
	conn = &whole.conns[c];
	memset(conn, 0, sizeof(*conn));
	conn->used = 1;
	conn->peer = *peer;
	conn->peer_port = peer_port;
	conn->guest_port = guest_port;
	conn->iss = conn->snd_nxt = 0x2000;
	conn->remote = -1;
	return (c);
}

/* Whose stream begins with this SYN; -1 if it might be one of two. */
static int
remote_of(int c, const struct whole_conn *conn, const uint8_t *tcp)
{
	const struct whole_remote *remote;
	int i, found = -1;

	for (i = 0; i < (int)whole.nremotes; i++) {
		remote = &whole.remotes[i];
		if ((tcp[13] & FLAG_ACK) != 0 ?
			remote->conn != c || remote->iss + 1 != get32(tcp + 8) :
			remote->guest_port != conn->guest_port)
			continue;
		if (found != -1)
			return (-1);
		found = i;
	}
	return (found);
}

static void
learn_syn(int c, const uint8_t *tcp)
{
	struct whole_conn *conn = &whole.conns[c];

	if (conn->heard && conn->irs == get32(tcp + 4))
		return; /* once more */
	conn->irs = get32(tcp + 4);
	conn->rcv_nxt = conn->irs + 1;
	conn->heard = 1;
	conn->remote = remote_of(c, conn, tcp);
	if (conn->remote == -1 || (tcp[13] & FLAG_ACK) != 0)
		return;
	whole.remotes[conn->remote].conn = c;
	whole.remotes[conn->remote].iss = conn->iss;
}

static void
check_payload(const struct whole_conn *conn, uint32_t seq, const uint8_t *bytes,
    size_t len)
{
	const struct whole_remote *remote;
	uint32_t at = seq - conn->irs - 1;
	size_t i;

	if (conn->remote == -1)
		return;
	remote = &whole.remotes[conn->remote];
	FUZZ_CHECK(at <= remote->written && len <= remote->written - at);
	for (i = 0; i < len; i++)
		FUZZ_CHECK(bytes[i] ==
		    whole_down_byte(conn->remote, at + (uint32_t)i));
}

/* Which of the guest's SYNs an inbound connection began with. */
static void
settle_iss(struct whole_conn *conn, uint32_t ack)
{
	if (conn->settled)
		return;
	conn->settled = 1;
	conn->iss = ack - 1;
	if (conn->remote != -1)
		whole.remotes[conn->remote].iss = conn->iss;
}

static void
check_tcp(const struct ipc_addr *peer, const uint8_t *tcp, size_t len)
{
	const size_t head = len >= 20 ? (size_t)(tcp[12] >> 4) * 4 : 0;
	struct whole_conn *conn;
	uint32_t seq, end;
	int c;

	FUZZ_CHECK(len >= 20 && head >= 20 && head <= len);
	c = conn_of(peer, tcp);
	if (c == -1)
		return;
	conn = &whole.conns[c];
	seq = get32(tcp + 4);
	if ((tcp[13] & FLAG_SYN) != 0)
		learn_syn(c, tcp);
	if (!conn->heard || (tcp[13] & FLAG_RST) != 0)
		return;
	if (c >= WHOLE_OUT && (tcp[13] & (FLAG_SYN | FLAG_ACK)) == FLAG_ACK)
		settle_iss(conn, get32(tcp + 8));
	if (head >= 32 && tcp[20] == 1 && tcp[22] == 8)
		conn->seen = get32(tcp + 24);
	if (len > head)
		check_payload(conn, seq, tcp + head, len - head);
	end = seq + (uint32_t)(len - head) +
	    (uint32_t)((tcp[13] & FLAG_FIN) != 0);
	if ((tcp[13] & FLAG_SYN) == 0 && seq == conn->rcv_nxt)
		conn->rcv_nxt = end;
}

static void
check_sum(const struct checksum *pseudo, const uint8_t *l4, size_t len)
{
	struct checksum sum = *pseudo;

	checksum_add(&sum, l4, len);
	FUZZ_CHECK(checksum_finish(&sum) == 0);
}

/* What stands behind an IP header, whole or of a first fragment. */
static void
check_l4(const struct ipc_addr *peer, uint8_t protocol,
    const struct checksum *pseudo, const uint8_t *l4, size_t len)
{
	switch (protocol) {
	case IPPROTO_TCP:
		check_sum(pseudo, l4, len);
		check_tcp(peer, l4, len);
		break;
	case IPPROTO_UDP:
		FUZZ_CHECK(len >= 8 && get16(l4 + 4) == len);
		if (get16(l4 + 6) != 0)
			check_sum(pseudo, l4, len);
		else
			FUZZ_CHECK(peer->family == 4);
		break;
	case IPPROTO_ICMP:
		FUZZ_CHECK(len >= 8 && checksum_of(l4, len) == 0);
		break;
	case IPPROTO_ICMPV6:
		FUZZ_CHECK(len >= 4);
		check_sum(pseudo, l4, len);
		break;
	default:
		FUZZ_CHECK(protocol == IPPROTO_FRAGMENT);
		break;
	}
}

static void
check_ip4(const uint8_t *ip, size_t len)
{
	const struct ipc_addr peer = addr_from_ip4(get32(ip + 12));
	struct checksum pseudo;

	FUZZ_CHECK(len >= 20 && ip[0] == 0x45 && get16(ip + 2) == len);
	FUZZ_CHECK(checksum_of(ip, 20) == 0 && ip[8] > 0);
	if ((get16(ip + 6) & 0x3fff) != 0)
		return; /* a fragment */
	checksum_init(&pseudo);
	checksum_pseudo4(&pseudo, get32(ip + 12), get32(ip + 16), ip[9],
	    (uint16_t)(len - 20));
	check_l4(&peer, ip[9], &pseudo, ip + 20, len - 20);
}

static void
check_ip6(const uint8_t *ip, size_t len)
{
	struct ipc_addr peer = { .family = 6 };
	struct checksum pseudo;

	FUZZ_CHECK(len >= 40 && ip[0] >> 4 == 6);
	FUZZ_CHECK((size_t)get16(ip + 4) + 40 == len && ip[7] > 0);
	memcpy(peer.bytes, ip + 8, 16);
	checksum_init(&pseudo);
	checksum_pseudo6(&pseudo, ip + 8, ip + 24, ip[6], (uint32_t)len - 40);
	check_l4(&peer, ip[6], &pseudo, ip + 40, len - 40);
}

/* The length without the zeroes that fill up Ethernet's shortest frame. */
static size_t
unpadded(const uint8_t *frame, size_t len)
{
	size_t end = 14, i;

	if (len > FRAME_SHORTEST)
		return (len);
	switch (get16(frame + 12)) {
	case 0x0806:
		end += 28;
		break;
	case 0x0800:
		end += get16(frame + 16);
		break;
	default:
		end += 40 + (size_t)get16(frame + 18);
		break;
	}
	FUZZ_CHECK(end <= len);
	for (i = end; i < len; i++)
		FUZZ_CHECK(frame[i] == 0);
	return (end);
}

static void
check_frame(const uint8_t *frame, size_t len)
{
	FUZZ_CHECK(len >= FRAME_SHORTEST &&
	    len <= 14 + (size_t)whole.np->cfg.mtu);
	FUZZ_CHECK(memcmp(frame + 6, whole.np->cfg.gateway_mac, 6) == 0);
	scanned.frames++;
	whole_scan(frame, len);
	len = unpadded(frame, len);
	switch (get16(frame + 12)) {
	case 0x0806:
		FUZZ_CHECK(len == 42);
		break;
	case 0x0800:
		check_ip4(frame + 14, len - 14);
		break;
	case 0x86dd:
		check_ip6(frame + 14, len - 14);
		break;
	default:
		FUZZ_CHECK(0 && "an EtherType of ours");
	}
}

/* Takes the whole frames off what was read. */
static void
take_frames(void)
{
	size_t at = 0, len;

	/* It may be the rest of a predecessor's frame, and filler. */
	if (!whole.in_step) {
		whole_scan(whole.in, whole.in_len);
		whole.in_len = 0;
	}
	while (whole.in_len - at >= 4) {
		len = get32(whole.in + at);
		FUZZ_CHECK(len >= 14 && len <= WHOLE_FRAME_MAX);
		if (whole.in_len - at - 4 < len)
			break;
		check_frame(whole.in + at + 4, len);
		at += 4 + len;
	}
	whole.in_len -= at;
	memmove(whole.in, whole.in + at, whole.in_len);
}

/* The VMM reads at most max bytes, or all that there is (0); 1 if any. */
int
whole_vmm_read(size_t max)
{
	static uint8_t bytes[IN_MAX];
	size_t room, left = max;
	ssize_t n;
	int any = 0;

	whole.in = bytes;
	while (whole.vmm != -1 && (max == 0 || left > 0)) {
		room = IN_MAX - whole.in_len;
		if (max > 0 && left < room)
			room = left;
		n = read(whole.vmm, bytes + whole.in_len, room);
		if (n == -1 && errno == EAGAIN)
			break;
		any = 1;
		if (n <= 0) {
			/* netproc has ended the session. */
			FUZZ_CHECK(n == 0 || errno == ECONNRESET);
			close(whole.vmm);
			whole.vmm = -1;
			whole.in_len = 0;
			break;
		}
		whole.in_len += (size_t)n;
		left -= max > 0 ? (size_t)n : 0;
		take_frames();
	}
	return (any);
}
