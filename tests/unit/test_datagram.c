#include <sys/socket.h>

#include <netinet/in.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "ipc/journal.h"
#include "netproc/gateway/gateway.h"
#include "netproc/netproc.h"

#define GUEST	   0x64600002u
#define GATEWAY	   0x64600001u
#define PEER	   0x0a000009u
#define GUEST_PORT 53
#define FIRST_IN   FLOW_INBOUND_BIT /* the first slot of relayproc's */

/* A netproc of which only the datagrams live; relay is the other end. */
struct life {
	struct channel relay;
	int link; /* what would be the VMM's end */
};

static struct netproc netproc;

static void
dgram_channel(struct life *life, struct netproc *np)
{
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX,
			     SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0,
			     fds),
	    0);
	assert_int_equal(channel_init(&np->dgram, fds[0], ROLE_NETPROC,
			     ROLE_RELAYPROC, IPC_DGRAM_MAX, 0),
	    0);
	assert_int_equal(channel_init(&life->relay, fds[1], ROLE_RELAYPROC,
			     ROLE_NETPROC, IPC_DGRAM_MAX, 0),
	    0);
	np->dgram.phase = IPC_RUN;
	life->relay.phase = IPC_RUN;
}

static int
setup(void **state)
{
	static struct life life;
	struct netproc *np = &netproc;
	int fds[2];

	memset(np, 0, sizeof(*np));
	np->cfg.mtu = 1500;
	np->cfg.prefix_len = 30;
	np->cfg.address = addr_from_ip4(GUEST);
	np->cfg.gateway = addr_from_ip4(GATEWAY);
	np->cfg.dns_in_flight = 1;
	np->guest_ip = GUEST;
	np->gateway_ip = GATEWAY;
	np->tick_armed = 1; /* nobody turns an event loop */
	np->shield.guest_ip = GUEST;
	np->shield.gateway_ip = GATEWAY;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0,
			     fds),
	    0);
	np->frame_fd = fds[0];
	life.link = fds[1];
	np->journal = journal_map(-1, 4);
	assert_non_null(np->journal);
	assert_int_equal(frame_writer_init(&np->writer, np->journal, 0), 0);
	assert_int_equal(assocs_init(&np->assocs, 2, 1), 0);
	assert_int_equal(gateway_init(np), 0);
	dgram_channel(&life, np);
	*state = &life;
	return (0);
}

/* relayproc passes on "in" from a client of a published port. */
static void
client_says(uint32_t generation, uint32_t client_ip)
{
	struct ipc_assoc_data data = {
		.peer = addr_from_ip4(client_ip),
		.peer_port = 4000,
		.guest_port = GUEST_PORT,
		.proto = IPPROTO_UDP,
	};
	struct ipc_msg msg = {
		.hdr = { .type = IPC_ASSOC_RECV,
		    .flow = FIRST_IN,
		    .generation = generation },
		.fd = -1,
	};
	static uint8_t text[] = "in";

	msg.payload = &data;
	msg.tail = text;
	msg.tail_len = sizeof(text);
	assert_int_equal(datagram_received(&netproc, &msg), IPC_OK);
}

/* The guest answers whom its service has seen last, under that name. */
static void
guest_answers(const uint8_t *text, size_t len)
{
	const struct assoc *assoc = assocs_any(&netproc.assocs);
	struct shield_frame sf = {
		.version = 4,
		.src_ip = GUEST,
		.dst_ip = GATEWAY,
		.sport = GUEST_PORT,
		.payload_len = len,
	};

	assert_non_null(assoc);
	sf.dport = assoc->key.peer_port;
	datagram_udp(&netproc, text, &sf);
}

static void
an_answer_that_waits_goes_before_its_association_gives_way(void **state)
{
	struct life *life = *state;
	struct ipc_assoc_data data;
	struct ipc_msg msg;

	client_says(1, 0x0a000001);
	guest_answers((const uint8_t *)"for the first", 13);
	/* Not sent yet, for the turn may bring more of its kind. */
	assert_int_equal(channel_recv(&life->relay, &msg), CHANNEL_EMPTY);
	client_says(2, 0x0a000002);
	assert_int_equal(channel_recv(&life->relay, &msg), CHANNEL_MESSAGE);
	assert_int_equal(msg.hdr.type, IPC_ASSOC_SEND);
	assert_int_equal(msg.hdr.generation, 1);
	memcpy(&data, msg.payload, sizeof(data));
	assert_int_equal(addr_to_ip4(&data.peer), 0x0a000001);
	channel_msg_done(&msg);
	guest_answers((const uint8_t *)"for the second", 14);
	datagram_flush(&netproc);
	assert_int_equal(channel_recv(&life->relay, &msg), CHANNEL_MESSAGE);
	assert_int_equal(msg.hdr.generation, 2);
	memcpy(&data, msg.payload, sizeof(data));
	assert_int_equal(addr_to_ip4(&data.peer), 0x0a000002);
	channel_msg_done(&msg);
}

static void
guest_sends(size_t len, uint8_t df, uint32_t dst_ip, uint16_t port)
{
	static const uint8_t bytes[UINT16_MAX];
	const struct shield_frame sf = {
		.version = 4,
		.src_ip = GUEST,
		.dst_ip = dst_ip,
		.sport = 1000,
		.dport = port,
		.payload_len = len,
		.df = df,
	};

	datagram_udp(&netproc, bytes, &sf);
}

static void
expect_record(struct life *life, size_t segment_len, size_t len)
{
	struct ipc_assoc_data data;
	struct ipc_msg msg;

	assert_int_equal(channel_recv(&life->relay, &msg), CHANNEL_MESSAGE);
	assert_int_equal(msg.hdr.type, IPC_ASSOC_SEND);
	memcpy(&data, msg.payload, sizeof(data));
	assert_int_equal(data.segment_len, segment_len);
	assert_int_equal(msg.tail_len, len);
	channel_msg_done(&msg);
}

static void
a_record_holds_what_one_send_can(void **state)
{
	static const struct {
		size_t first, second;
		uint32_t dst_ip;
		uint16_t port;
		uint8_t df;
	} apart[] = {
		{ 100, 101, PEER, 9, 0 },
		{ 100, 100, PEER + 1, 9, 0 },
		{ 100, 100, PEER, 10, 0 },
		{ 100, 100, PEER, 9, 1 },
		{ 100, 0, PEER, 9, 0 },
		{ 40000, 40000, PEER, 9, 0 },
	};
	struct life *life = *state;
	struct ipc_msg msg;
	size_t i;

	datagram_forget_all(&netproc);
	while (channel_recv(&life->relay, &msg) == CHANNEL_MESSAGE)
		channel_msg_done(&msg);
	for (i = 0; i < sizeof(apart) / sizeof(apart[0]); i++) {
		guest_sends(apart[i].first, 0, PEER, 9);
		guest_sends(apart[i].second, apart[i].df, apart[i].dst_ip,
		    apart[i].port);
		datagram_flush(&netproc);
		expect_record(life, apart[i].first, apart[i].first);
		expect_record(life, apart[i].second, apart[i].second);
	}
	for (i = 0; i < ASSOC_SEGMENTS_MAX + 1; i++)
		guest_sends(1, 0, PEER, 9);
	expect_record(life, 1, ASSOC_SEGMENTS_MAX);
	datagram_flush(&netproc);
	expect_record(life, 1, 1);
	/* A shorter one is the last. */
	guest_sends(100, 0, PEER, 9);
	guest_sends(99, 0, PEER, 9);
	guest_sends(99, 0, PEER, 9);
	expect_record(life, 100, 199);
	datagram_flush(&netproc);
	expect_record(life, 99, 99);
	assert_int_equal(channel_recv(&life->relay, &msg), CHANNEL_EMPTY);
}

static void
expect_word(struct life *life, enum ipc_type type, const struct ipc_hdr *of)
{
	struct ipc_msg msg;

	assert_int_equal(channel_recv(&life->relay, &msg), CHANNEL_MESSAGE);
	assert_string_equal(ipc_name(msg.hdr.type), ipc_name(type));
	assert_int_equal(msg.hdr.flow, of->flow);
	assert_int_equal(msg.hdr.generation, of->generation);
	channel_msg_done(&msg);
}

/* setup() has made room for two. */
static void
a_third_association_takes_the_place_of_the_longest_idle(void **state)
{
	static const uint8_t byte[1];
	struct shield_frame sf = {
		.version = 4,
		.src_ip = GUEST,
		.dst_ip = PEER,
		.dport = 9,
		.payload_len = sizeof(byte),
	};
	struct life *life = *state;
	struct ipc_hdr of[2];
	struct ipc_msg msg;
	int i;

	datagram_forget_all(&netproc);
	while (channel_recv(&life->relay, &msg) == CHANNEL_MESSAGE)
		channel_msg_done(&msg);
	for (i = 0; i < 3; i++) {
		netproc.now_ms += 1000;
		sf.sport = (uint16_t)(1000 + i);
		datagram_udp(&netproc, byte, &sf);
		datagram_flush(&netproc);
		if (i == 2)
			break;
		assert_int_equal(channel_recv(&life->relay, &msg),
		    CHANNEL_MESSAGE);
		of[i] = msg.hdr;
		channel_msg_done(&msg);
	}
	expect_word(life, IPC_ASSOC_CLOSE, &of[0]);
	of[0].generation++;
	expect_word(life, IPC_ASSOC_SEND, &of[0]);
}

/* The server at PEER says a byte to an association of the guest's. */
static void
server_says(const struct ipc_hdr *of)
{
	struct ipc_assoc_data data = {
		.peer = addr_from_ip4(PEER),
		.peer_port = 9,
		.proto = IPPROTO_UDP,
	};
	struct ipc_msg msg = { .hdr = *of, .fd = -1 };
	static uint8_t byte[1];

	msg.payload = &data;
	msg.tail = byte;
	msg.tail_len = sizeof(byte);
	assert_int_equal(datagram_received(&netproc, &msg), IPC_OK);
}

/* Or one port of the guest's would get what was said to another. */
static void
what_crossed_a_close_goes_nowhere(void **state)
{
	const uint64_t *in = &netproc.counters.n[COUNT_UDP_IN];
	const uint64_t before = *in;
	const struct assoc *assoc;
	struct ipc_hdr of = { .type = IPC_ASSOC_RECV };

	(void)state;
	datagram_forget_all(&netproc);
	guest_sends(1, 0, PEER, 9);
	assoc = assocs_any(&netproc.assocs);
	of.flow = assocs_wire_slot(&netproc.assocs, assoc);
	of.generation = assoc->generation;
	server_says(&of);
	assert_int_equal(*in, before + 1);
	datagram_forget_all(&netproc);
	server_says(&of);
	guest_sends(1, 0, PEER, 9);
	assert_ptr_equal(assocs_any(&netproc.assocs), assoc);
	server_says(&of);
	assert_int_equal(*in, before + 1);
	of.generation++;
	server_says(&of);
	assert_int_equal(*in, before + 2);
}

/* relayproc says what became of the guest's echo to 10.0.0.9. */
static enum ipc_error
echo_failed(uint16_t seq, uint16_t len)
{
	const struct assoc *assoc = assocs_any(&netproc.assocs);
	const struct ipc_assoc_error error = {
		.peer = addr_from_ip4(0x0a000009),
		.peer_port = seq,
		.verdict = VERDICT_DENIED,
		.len = len,
	};
	struct ipc_msg msg = {
		.hdr = { .type = IPC_ASSOC_ERROR,
		    .flow = assocs_wire_slot(&netproc.assocs, assoc),
		    .generation = assoc->generation },
		.fd = -1,
	};

	msg.payload = &error;
	return (datagram_failed(&netproc, &msg));
}

static void
an_error_about_an_echo_names_its_sequence_number_and_its_length(void **state)
{
	static const uint8_t echo[12] = { 8, 0, 0, 0, 0xab, 0xcd };
	const struct shield_frame sf = {
		.version = 4,
		.src_ip = GUEST,
		.dst_ip = 0x0a000009,
		.l4_len = sizeof(echo),
	};
	struct life *life = *state;
	uint8_t frame[4 + 14 + 56 + 1];

	datagram_forget_all(&netproc);
	frame_writer_reset(&netproc.writer);
	datagram_echo(&netproc, echo, &sf);
	assert_int_equal(echo_failed(7, IPC_DGRAM_TAIL_MAX + 1), IPC_E_FIELD);
	assert_int_equal(echo_failed(0xff01, 1000), IPC_OK);
	assert_int_equal(frame_writer_flush(&netproc.writer, netproc.frame_fd),
	    1);
	assert_int_equal(read(life->link, frame, sizeof(frame)),
	    sizeof(frame) - 1);
	assert_memory_equal(frame + 18 + 20, "\3\15", 2);
	assert_int_equal(frame[18 + 28 + 2] << 8 | frame[18 + 28 + 3], 1028);
	assert_memory_equal(frame + 18 + 48, "\10\0\0\0\xab\xcd\xff\1", 8);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    an_answer_that_waits_goes_before_its_association_gives_way),
		cmocka_unit_test(a_record_holds_what_one_send_can),
		cmocka_unit_test(
		    a_third_association_takes_the_place_of_the_longest_idle),
		cmocka_unit_test(what_crossed_a_close_goes_nowhere),
		cmocka_unit_test(
		    an_error_about_an_echo_names_its_sequence_number_and_its_length),
	};

	return (cmocka_run_group_tests_name("datagram", tests, setup, NULL));
}
