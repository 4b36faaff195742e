/* relayproc, which hears what netproc asks and says what the input will. */

#include <netinet/in.h>

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/fuzz/whole.h"

#define TAIL_MAX 65527

enum say {
	SAY_OPENED,
	SAY_FAILED,
	SAY_CLOSED,
	SAY_INBOUND,
	SAY_ANSWER,
	SAY_DNS_FAILED,
	SAY_RECV,
	SAY_RECV_INBOUND,
	SAY_ERROR,
	SAY_MODE,
	SAY_HOST_ROUTE,
	SAY_N
};

static struct whole_open *
open_find(struct whole_open *list, size_t n, uint32_t slot, uint32_t generation)
{
	size_t i;

	for (i = 0; i < n; i++) {
		if (list[i].slot == slot && list[i].generation == generation)
			return (&list[i]);
	}
	return (NULL);
}

static void
open_remove(struct whole_open *list, size_t *n, struct whole_open *one)
{
	if (one != NULL)
		*one = list[--*n];
}

void
whole_relay_tell(enum ipc_type type, uint32_t slot, uint32_t generation,
    const void *payload, size_t len)
{
	FUZZ_CHECK(channel_send(&whole.relay, type, slot, generation, payload,
		       len) == 0);
}

/* A descriptor is not queued: it is said when there is room, or later. */
static int
has_room(void)
{
	struct pollfd pfd = { .fd = whole.relay.fd, .events = POLLOUT };

	return (whole.relay.count == 0 && poll(&pfd, 1, 0) == 1);
}

static void
say_opened(struct whole_open *open, int small, int spliced)
{
	const struct whole_open one = *open;
	struct ipc_flow_opened opened = { 0 };
	const struct ipc_flow_failed failed = { .verdict = VERDICT_RESOURCES };
	int fd;

	if (!has_room())
		return;
	fd = whole_remote_new(one.conn, one.iss, 0, small);
	open_remove(whole.open, &whole.nopen, open);
	if (fd == -1) {
		whole_relay_tell(IPC_FLOW_FAILED, one.slot, one.generation,
		    &failed, sizeof(failed));
		return;
	}
	opened.spliced = whole_remote_splice(one.slot, one.generation, spliced);
	FUZZ_CHECK(channel_lend_fd(&whole.relay, IPC_FLOW_OPENED, one.slot,
		       one.generation, &opened, sizeof(opened), fd) == 0);
	close(fd);
}

static void
heard_open(const struct ipc_msg *msg, int late)
{
	const struct flow *flow = flow_by_wire_slot(&whole.np->flows,
	    msg->hdr.flow);
	struct ipc_flow_open open;
	struct whole_open *one = &whole.open[whole.nopen];
	int c;

	memcpy(&open, msg->payload, sizeof(open));
	FUZZ_CHECK(addr_is_valid(&open.dst) && open.dst.family != 0);
	FUZZ_CHECK(open.dst_port != 0);
	if (whole.nopen == WHOLE_PENDING)
		return;
	one->slot = msg->hdr.flow;
	one->generation = msg->hdr.generation;
	one->conn = -1;
	/* What goes to the resolver is changed on its way. */
	for (c = 0; c < WHOLE_OUT && !late && open.dst_port != 53; c++) {
		if (whole.conns[c].guest_port == flow->tuple.guest_port &&
		    whole.conns[c].peer_port == open.dst_port &&
		    addr_equal(&whole.conns[c].peer, &open.dst)) {
			one->conn = c;
			one->iss = whole.conns[c].iss;
		}
	}
	whole.nopen++;
	if (whole.open_at_once)
		say_opened(one, 0, 0);
}

static void
heard_close(const struct ipc_msg *msg)
{
	const struct ipc_empty empty = { 0 };
	const uint32_t slot = msg->hdr.flow, generation = msg->hdr.generation;

	open_remove(whole.open, &whole.nopen,
	    open_find(whole.open, whole.nopen, slot, generation));
	if ((slot & FLOW_INBOUND_BIT) != 0)
		return;
	if (whole.close_late && whole.nclosed < WHOLE_PENDING) {
		whole.closed[whole.nclosed].slot = slot;
		whole.closed[whole.nclosed++].generation = generation;
		return;
	}
	whole_relay_tell(IPC_FLOW_CLOSED, slot, generation, &empty,
	    sizeof(empty));
}

/* Keeps the last of them. */
static void
heard_assoc(const struct ipc_msg *msg)
{
	struct whole_assoc *one = &whole.assoc[whole.nassoc++ % WHOLE_PENDING];

	one->slot = msg->hdr.flow;
	one->generation = msg->hdr.generation;
	memcpy(&one->data, msg->payload, sizeof(one->data));
	FUZZ_CHECK(addr_is_valid(&one->data.peer));
}

static void
heard_query(const struct ipc_msg *msg)
{
	struct whole_query *one = &whole.query[whole.nquery++ % WHOLE_PENDING];

	one->slot = msg->hdr.flow;
	one->generation = msg->hdr.generation;
	one->len = msg->tail_len < sizeof(one->message) ? msg->tail_len :
							  sizeof(one->message);
	memcpy(one->message, msg->tail, one->len);
}

static void
heard(const struct ipc_msg *msg, int late)
{
	whole_scan_record(msg);
	switch (msg->hdr.type) {
	case IPC_FLOW_OPEN:
		heard_open(msg, late);
		break;
	case IPC_FLOW_CLOSE:
		heard_close(msg);
		break;
	case IPC_ASSOC_SEND:
		heard_assoc(msg);
		break;
	case IPC_DNS_QUERY:
		heard_query(msg);
		break;
	default:
		break;
	}
}

/* Hears all that one channel has; 1 if there was anything. */
static int
listen_to(struct channel *ch, uint64_t nsent, int late)
{
	enum channel_result result;
	struct ipc_msg msg;
	int any = 0;

	if (ch->nreceived == nsent)
		return (0);
	while ((result = channel_recv(ch, &msg)) == CHANNEL_MESSAGE) {
		heard(&msg, late);
		channel_msg_done(&msg);
		any = 1;
	}
	FUZZ_CHECK(result == CHANNEL_EMPTY);
	return (any);
}

/* relayproc and the parent hear what is said; it must be right. */
int
whole_relay_listen(void)
{
	static int late;
	const struct netproc *np = whole.np;
	int any;

	if (whole.relay_paused) {
		late = 1;
		return (0);
	}
	any = listen_to(&whole.relay, np->relay.nsent, late) |
	    listen_to(&whole.dgram, np->dgram.nsent, late) |
	    listen_to(&whole.parent, np->parent.nsent, late);
	late = 0;
	return (any);
}

static struct ipc_addr
client_of(uint8_t choice)
{
	struct ipc_addr addr = { .family = 6 };

	if ((choice & 1) == 0)
		return (addr_from_ip4(0xc0000200u + (choice >> 4)));
	memcpy(addr.bytes, "\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0", 15);
	addr.bytes[15] = choice >> 4;
	return (addr);
}

static void
say_inbound(struct whole_bytes *in)
{
	const uint8_t choice = whole_u8(in), slot = whole_u8(in);
	struct ipc_flow_inbound inbound = {
		.client = client_of(choice),
		.client_port = (uint16_t)(3000 + (choice >> 2 & 3)),
		.preserve = choice >> 1 & 1,
	};
	const uint32_t wire = FLOW_INBOUND_BIT | slot % whole.np->flows.nin;
	const struct flow *flow = flow_by_wire_slot(&whole.np->flows, wire);
	int fd;

	/* relayproc knows which of its slots are free. */
	if (flow->state != FLOW_FREE || !has_room())
		return;
	/* Each a port of its own: so its SYN tells whose it is. */
	inbound.guest_port = (uint16_t)(1000 + whole.nremotes);
	fd = whole_remote_new(-1, 0, inbound.guest_port, 0);
	if (fd == -1)
		return;
	inbound.spliced = whole_remote_splice(wire, whole.inbound_generation,
	    slot >> 7);
	FUZZ_CHECK(channel_lend_fd(&whole.relay, IPC_FLOW_INBOUND, wire,
		       whole.inbound_generation++, &inbound, sizeof(inbound),
		       fd) == 0);
	close(fd);
}

static void
say_dgram(enum ipc_type type, uint32_t slot, uint32_t generation,
    const void *payload, size_t len, const struct whole_bytes *tail, size_t pad)
{
	static uint8_t bytes[TAIL_MAX];
	size_t n = tail->left < TAIL_MAX ? tail->left : TAIL_MAX;

	memset(bytes, 0, sizeof(bytes));
	if (n > 0)
		memcpy(bytes, tail->at, n);
	if (pad > n)
		n = pad < TAIL_MAX ? pad : TAIL_MAX;
	/* Datagrams may be lost, so a full socket is no fault. */
	(void)channel_send_tail(&whole.dgram, type, slot, generation, payload,
	    len, bytes, n);
}

/* which, then what stands behind the question. */
static void
say_answer(struct whole_bytes *in)
{
	const struct whole_query *query =
	    &whole.query[whole_u8(in) % WHOLE_PENDING];
	struct ipc_dns dns = { 0 };
	uint8_t bytes[512];
	struct whole_bytes tail = { .at = bytes };
	const uint16_t pad = whole_u16(in);
	size_t n = in->left < 256 ? in->left : 256;

	if (query->len < 12)
		return;
	memcpy(bytes, query->message, query->len);
	bytes[2] |= 0x80;
	memcpy(bytes + query->len, in->at, n);
	tail.left = query->len + n;
	say_dgram(IPC_DNS_ANSWER, query->slot, query->generation, &dns,
	    sizeof(dns), &tail, pad);
}

static void
say_recv(struct whole_bytes *in)
{
	const struct whole_assoc *assoc =
	    &whole.assoc[whole_u8(in) % WHOLE_PENDING];
	struct ipc_assoc_data data = assoc->data;
	const uint16_t pad = whole_u16(in);
	size_t len;

	if (data.proto == 0)
		return;
	/* No more of them than relayproc may put in one record. */
	data.segment_len = whole_u16(in);
	len = pad > in->left ? pad : in->left;
	if (data.segment_len != 0 &&
	    data.segment_len < len / ASSOC_SEGMENTS_MAX + 1)
		data.segment_len = (uint16_t)(len / ASSOC_SEGMENTS_MAX + 1);
	data.flags = 0;
	say_dgram(IPC_ASSOC_RECV, assoc->slot, assoc->generation, &data,
	    sizeof(data), in, pad);
}

static void
say_recv_inbound(struct whole_bytes *in)
{
	const uint8_t choice = whole_u8(in), slot = whole_u8(in);
	struct ipc_assoc_data data = {
		.peer = client_of(choice),
		.peer_port = (uint16_t)(3000 + (choice >> 2 & 3)),
		.guest_port = 2000,
		.proto = IPPROTO_UDP,
		.flags = (choice & 2) != 0 ? ASSOC_PRESERVE : 0,
	};

	say_dgram(IPC_ASSOC_RECV,
	    FLOW_INBOUND_BIT | slot % whole.np->assocs.nin, slot >> 4, &data,
	    sizeof(data), in, 0);
}

static void
say_error(struct whole_bytes *in)
{
	const struct whole_assoc *assoc =
	    &whole.assoc[whole_u8(in) % WHOLE_PENDING];
	const uint8_t choice = whole_u8(in);
	const struct ipc_assoc_error error = {
		.peer = assoc->data.peer,
		.peer_port = assoc->data.peer_port,
		.verdict = choice % VERDICT_N,
		.mtu = whole_u16(in),
		.router = (choice & 0x80) != 0 ? client_of(choice) :
						 (struct ipc_addr){ 0 },
		.len = (uint16_t)(whole_u16(in) % (IPC_DGRAM_TAIL_MAX + 1)),
	};
	struct whole_bytes none = { 0 };

	if (assoc->data.proto != 0)
		say_dgram(IPC_ASSOC_ERROR, assoc->slot, assoc->generation,
		    &error, sizeof(error), &none, 0);
}

static void
say_failed(struct whole_open *open, uint8_t verdict)
{
	const struct ipc_flow_failed failed = {
		.verdict = verdict % VERDICT_N,
	};
	const struct whole_open one = *open;

	open_remove(whole.open, &whole.nopen, open);
	whole_relay_tell(IPC_FLOW_FAILED, one.slot, one.generation, &failed,
	    sizeof(failed));
}

static void
say_closed(void)
{
	const struct ipc_empty empty = { 0 };

	while (whole.nclosed > 0) {
		whole.nclosed--;
		whole_relay_tell(IPC_FLOW_CLOSED,
		    whole.closed[whole.nclosed].slot,
		    whole.closed[whole.nclosed].generation, &empty,
		    sizeof(empty));
	}
}

static void
say_dns_failed(uint8_t which)
{
	const struct whole_query *query = &whole.query[which % WHOLE_PENDING];
	const struct ipc_dns dns = { 0 };

	FUZZ_CHECK(channel_send(&whole.dgram, IPC_DNS_FAILED, query->slot,
		       query->generation, &dns, sizeof(dns)) == 0);
}

/* What relayproc may say, and when. */
void
whole_relay_say(struct whole_bytes *in)
{
	const enum say what = (enum say)(whole_u8(in) % SAY_N);
	struct ipc_host_route route;
	uint8_t mode;

	switch (what) {
	case SAY_OPENED:
	case SAY_FAILED:
		mode = whole_u8(in);
		if (whole.nopen == 0)
			break;
		if (what == SAY_OPENED)
			say_opened(&whole.open[mode % whole.nopen], mode >> 7,
			    mode >> 6 & 1);
		else
			say_failed(&whole.open[mode % whole.nopen], mode >> 4);
		break;
	case SAY_CLOSED:
		say_closed();
		break;
	case SAY_INBOUND:
		say_inbound(in);
		break;
	case SAY_ANSWER:
		say_answer(in);
		break;
	case SAY_DNS_FAILED:
		say_dns_failed(whole_u8(in));
		break;
	case SAY_RECV:
		say_recv(in);
		break;
	case SAY_RECV_INBOUND:
		say_recv_inbound(in);
		break;
	case SAY_ERROR:
		say_error(in);
		break;
	case SAY_MODE:
		mode = whole_u8(in);
		whole.open_at_once = mode & 1;
		whole.close_late = mode >> 1 & 1;
		whole.relay_paused = mode >> 2 & 1;
		break;
	default:
		route.ip6 = whole_u8(in) & 1;
		FUZZ_CHECK(channel_send(&whole.parent, IPC_HOST_ROUTE, 0, 0,
			       &route, sizeof(route)) == 0);
		break;
	}
}

/* Numbers that mean a message which the others' have no place for. */
#define RAW_ENDED 0xf8

/*
 * A relayproc that was taken over: any message that is its to say, of the
 * right size, in memory of exactly that size.
 */
void
whole_relay_raw(struct whole_bytes *in)
{
	static const enum ipc_type types[] = { IPC_FLOW_OPENED, IPC_FLOW_FAILED,
		IPC_FLOW_INBOUND, IPC_FLOW_CLOSED, IPC_DNS_ANSWER,
		IPC_DNS_FAILED, IPC_ASSOC_RECV, IPC_ASSOC_ERROR };
	struct ipc_msg msg = { .fd = -1 };
	uint8_t *payload, *tail, type;
	size_t size, n;

	type = whole_u8(in);
	msg.hdr.type = type >= RAW_ENDED ?
	    IPC_FLOW_ENDED :
	    types[type % (sizeof(types) / sizeof(*types))];
	msg.hdr.flow = whole_u8(in);
	if ((msg.hdr.flow & 0x80) != 0)
		msg.hdr.flow ^= 0x80 | FLOW_INBOUND_BIT;
	msg.hdr.generation = whole_u8(in);
	size = ipc_payload_size(msg.hdr.type);
	payload = calloc(1, size);
	n = in->left < size ? in->left : size;
	FUZZ_CHECK(payload != NULL);
	memcpy(payload, in->at, n);
	in->at += n;
	in->left -= n;
	msg.tail_len = ipc_tail_max(msg.hdr.type) > 0 ? in->left : 0;
	tail = malloc(msg.tail_len + 1);
	FUZZ_CHECK(tail != NULL);
	memcpy(tail, in->at, msg.tail_len);
	msg.payload = payload;
	msg.tail = tail;
	if (ipc_nfds(msg.hdr.type) == 1)
		msg.fd = whole_remote_new(-1, 0, 0, 0);
	(void)netproc_from_relay(ipc_is_dgram(msg.hdr.type) ? &whole.np->dgram :
							      &whole.np->relay,
	    &msg, whole.np);
	channel_msg_done(&msg);
	free(payload);
	free(tail);
}

/* The input has ended: everybody hangs up. */
void
whole_relay_forget(void)
{
	size_t i;

	whole.relay_paused = 0;
	whole.close_late = 0;
	whole.open_at_once = 0;
	for (i = 0; i < whole.nremotes; i++) {
		if (whole.remotes[i].fd != -1)
			close(whole.remotes[i].fd);
	}
	whole.nremotes = 0;
	say_closed();
	whole_settle();
	whole.nopen = 0;
	whole.nassoc = whole.nquery = 0;
	memset(whole.assoc, 0, sizeof(whole.assoc));
	memset(whole.query, 0, sizeof(whole.query));
}
