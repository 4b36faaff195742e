#include <sys/socket.h>

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "relayproc/dispatch_parent.h"
#include "tests/unit/relay_life.h"

/*
 * What a netproc that was taken over could say: every case ends it, and none
 * ends relayproc.  Nor does a host of which there is too much to say.
 */

/* Says a message that channel_send() would not let out. */
static void
say(struct channel *ch, uint32_t type, uint32_t flow, uint32_t generation,
    uint32_t reserved, const void *payload, size_t len)
{
	const struct ipc_hdr hdr = { type, flow, generation, reserved };
	uint8_t record[sizeof(hdr) + 64];

	assert_true(len <= 64);
	memcpy(record, &hdr, sizeof(hdr));
	if (len > 0)
		memcpy(record + sizeof(hdr), payload, len);
	assert_int_equal(write(ch->fd, record, sizeof(hdr) + len),
	    sizeof(hdr) + len);
}

static struct ipc_flow_open
open_msg(void)
{
	struct ipc_flow_open msg = { .dst_port = 80, .mss = 1460 };

	msg.dst = addr_from_ip4(0x7f000001);
	return (msg);
}

static void
expect_open_violates(struct life *life, const struct ipc_flow_open *msg,
    uint32_t slot, enum ipc_error error)
{
	say(&life->peer, IPC_FLOW_OPEN, slot, 1, 0, msg, sizeof(*msg));
	life_expect_violation(life, error);
}

static void
an_unknown_message_is_a_violation(void **state)
{
	struct life *life = *state;

	life_start(life);
	say(&life->peer, 9999, 0, 0, 0, NULL, 0);
	life_expect_violation(life, IPC_E_TYPE);
}

static void
a_short_record_is_a_violation(void **state)
{
	struct life *life = *state;

	life_start(life);
	assert_int_equal(write(life->peer.fd, "abc", 3), 3);
	life_expect_violation(life, IPC_E_SHORT);
}

static void
a_payload_of_the_wrong_size_is_a_violation(void **state)
{
	struct life *life = *state;
	const struct ipc_flow_open msg = open_msg();

	life_start(life);
	say(&life->peer, IPC_FLOW_OPEN, 0, 1, 0, &msg, sizeof(msg) - 1);
	life_expect_violation(life, IPC_E_SIZE);
}

static void
a_word_of_the_parents_from_netproc_is_a_violation(void **state)
{
	struct life *life = *state;
	const struct ipc_host_addr msg = { .present = 0 };

	life_start(life);
	say(&life->peer, IPC_HOST_ADDR, 0, 0, 0, &msg, sizeof(msg));
	life_expect_violation(life, IPC_E_DIRECTION);
}

static void
a_nonzero_reserved_field_is_a_violation(void **state)
{
	struct life *life = *state;
	const struct ipc_flow_open msg = open_msg();

	life_start(life);
	say(&life->peer, IPC_FLOW_OPEN, 0, 1, 1, &msg, sizeof(msg));
	life_expect_violation(life, IPC_E_RESERVED);
}

static void
a_destination_without_a_family_is_a_violation(void **state)
{
	struct ipc_flow_open msg = open_msg();

	life_start(*state);
	memset(&msg.dst, 0, sizeof(msg.dst));
	expect_open_violates(*state, &msg, 0, IPC_E_FIELD);
}

static void
a_destination_of_an_unknown_family_is_a_violation(void **state)
{
	struct ipc_flow_open msg = open_msg();

	life_start(*state);
	msg.dst.family = 5;
	expect_open_violates(*state, &msg, 0, IPC_E_FIELD);
}

static void
bits_behind_an_ipv4_address_are_a_violation(void **state)
{
	struct ipc_flow_open msg = open_msg();

	life_start(*state);
	msg.dst.bytes[15] = 1;
	expect_open_violates(*state, &msg, 0, IPC_E_FIELD);
}

static void
a_slot_beyond_the_quota_is_a_violation(void **state)
{
	const struct ipc_flow_open msg = open_msg();

	life_start(*state);
	expect_open_violates(*state, &msg, 64, IPC_E_QUOTA);
}

static void
an_open_of_an_inbound_slot_is_a_violation(void **state)
{
	const struct ipc_flow_open msg = open_msg();

	life_start(*state);
	expect_open_violates(*state, &msg, FLOW_INBOUND_BIT, IPC_E_FIELD);
}

static void
an_open_of_a_slot_in_use_is_a_violation(void **state)
{
	struct life *life = *state;
	struct pair pair;

	start_with_loopback(life);
	pair = pair_open(life, 0);
	life_open(life, 0, "127.0.0.1", pair.port);
	life_expect_violation(life, IPC_E_STATE);
	/* And what netproc held is worth nothing any more. */
	assert_int_equal(server_reads(life, pair.server), -ECONNRESET);
	close(pair.lent);
	pair_free(&pair);
}

static void
a_stale_generation_is_a_violation(void **state)
{
	struct life *life = *state;
	struct pair pair;

	start_with_loopback(life);
	pair = pair_open(life, 0);
	life_close(life, 0, pair.generation - 1, FLOW_CLOSE_DONE);
	life_expect_violation(life, IPC_E_STATE);
	close(pair.lent);
	pair_free(&pair);
}

static void
a_close_of_a_free_slot_is_a_violation(void **state)
{
	life_start(*state);
	life_close(*state, 5, 0, FLOW_CLOSE_DONE);
	life_expect_violation(*state, IPC_E_STATE);
}

static void
a_close_for_an_unknown_reason_is_a_violation(void **state)
{
	struct life *life = *state;
	struct pair pair;

	start_with_loopback(life);
	pair = pair_open(life, 0);
	life_close(life, 0, pair.generation,
	    (enum flow_close_reason)FLOW_CLOSE_NREASONS);
	life_expect_violation(life, IPC_E_FIELD);
	close(pair.lent);
	pair_free(&pair);
}

static void
a_dns_query_on_the_flow_channel_is_a_violation(void **state)
{
	struct life *life = *state;
	const struct ipc_dns msg = { .guest_port = 1 };

	life_start(life);
	say(&life->peer, IPC_DNS_QUERY, 0, 1, 0, &msg, sizeof(msg));
	life_expect_violation(life, IPC_E_DIRECTION);
}

static void
a_flow_request_on_the_datagram_channel_is_a_violation(void **state)
{
	struct life *life = *state;
	const struct ipc_flow_open msg = open_msg();

	life_start(life);
	say(&life->dgram, IPC_FLOW_OPEN, 0, 1, 0, &msg, sizeof(msg));
	life_expect_violation(life, IPC_E_DIRECTION);
}

static void
a_netproc_that_sends_a_descriptor_is_a_violation(void **state)
{
	struct life *life = *state;
	const struct ipc_flow_open msg = open_msg();

	life_start(life);
	assert_int_equal(channel_lend_fd(&life->peer, IPC_FLOW_OPEN, 0, 1, &msg,
			     sizeof(msg), STDERR_FILENO),
	    0);
	life_expect_violation(life, IPC_E_FDS);
}

static void
an_outbound_flow_cannot_be_refused_by_the_guest(void **state)
{
	struct life *life = *state;
	struct pair pair;

	start_with_loopback(life);
	pair = pair_open(life, 0);
	life_close(life, 0, pair.generation, FLOW_CLOSE_REFUSED);
	life_expect_violation(life, IPC_E_FIELD);
	close(pair.lent);
	pair_free(&pair);
}

static void
a_nonzero_reserved_field_of_a_half_close_is_a_violation(void **state)
{
	const struct ipc_empty msg = { .reserved = 1 };
	struct life *life = *state;
	struct pair pair;

	start_with_loopback(life);
	pair = pair_open(life, 0);
	say(&life->peer, IPC_FLOW_SHUT_WR, 0, pair.generation, 0, &msg,
	    sizeof(msg));
	life_expect_violation(life, IPC_E_FIELD);
	close(pair.lent);
	pair_free(&pair);
}

static void
a_second_half_close_is_a_violation(void **state)
{
	const struct ipc_empty msg = { .reserved = 0 };
	struct life *life = *state;
	struct pair pair;

	start_with_loopback(life);
	pair = pair_open(life, 0);
	say(&life->peer, IPC_FLOW_SHUT_WR, 0, pair.generation, 0, &msg,
	    sizeof(msg));
	life_expect_silence(life, &life->parent, 20);
	assert_int_equal(life->rp->flows.count[FLOW_LENT], 1);
	say(&life->peer, IPC_FLOW_SHUT_WR, 0, pair.generation, 0, &msg,
	    sizeof(msg));
	life_expect_violation(life, IPC_E_STATE);
	close(pair.lent);
	pair_free(&pair);
}

static void
nonzero_padding_of_a_query_is_a_violation(void **state)
{
	const struct ipc_dns msg = { .guest_port = 1, .pad = 1 };
	struct life *life = *state;

	life_start(life);
	say(&life->dgram, IPC_DNS_QUERY, 0, 1, 0, &msg, sizeof(msg));
	life_expect_violation(life, IPC_E_FIELD);
}

static void
a_nonzero_reserved_field_of_an_associations_end_is_a_violation(void **state)
{
	const struct ipc_empty msg = { .reserved = 1 };
	struct life *life = *state;

	life_start(life);
	say(&life->dgram, IPC_ASSOC_CLOSE, 0, 1, 0, &msg, sizeof(msg));
	life_expect_violation(life, IPC_E_FIELD);
}

static void
after_a_violation_netproc_is_not_served_any_more(void **state)
{
	struct life *life = *state;
	uint16_t port, published;

	close(life_udp(&port));
	life_resolver(life, "127.0.0.1", port);
	life_listener(life, life_listen(&published, 4), 80);
	start_with_loopback(life);
	say(&life->peer, 9999, 0, 0, 0, NULL, 0);
	life_expect_violation(life, IPC_E_TYPE);
	life_open(life, 0, "10.0.0.1", 80);
	life_expect_silence(life, &life->peer, 10);
	life_ask(life, 0, 1, "q");
	life_expect_silence(life, &life->dgram, 10);
	assert_int_equal(life->rp->counters.denied, 0);
	assert_int_equal(life->rp->counters.dns_queries, 0);
	assert_int_equal(life->rp->publish.n, 0);
}

static void
a_record_of_no_bytes_is_not_taken_for_death(void **state)
{
	struct life *life = *state;
	struct pair pair;

	start_with_loopback(life);
	pair = pair_open(life, 0);
	assert_int_equal(send(life->peer.fd, "", 0, 0), 0);
	life_expect_silence(life, &life->parent, 20);
	assert_int_equal(life->rp->stop, 0);
	assert_int_equal(life->rp->flows.count[FLOW_LENT], 1);
	assert_int_equal(write(pair.lent, "x", 1), 1);
	assert_int_equal(server_reads(life, pair.server), 1);
	close(pair.lent);
	pair_free(&pair);
}

static void
a_netproc_that_does_not_read_is_not_read_from(void **state)
{
	struct life *life = *state;
	struct ipc_flow_open msg = open_msg();
	uint32_t generation = 0, answered = 0;
	struct ipc_msg in;
	int i;

	life_start(life);
	/* Each is denied and answered; the answers stay where they are. */
	for (i = 0; i < 3000; i++) {
		if (channel_send(&life->peer, IPC_FLOW_OPEN, generation % 64,
			generation / 64, &msg, sizeof(msg)) == 0)
			generation++;
		life_turn(life);
	}
	assert_true(generation < 3000);
	assert_int_equal(life->rp->peer_paused, 1);
	assert_int_equal(life->rp->peer_lost, 0);
	while (answered < generation) {
		life_expect(life, &life->peer, IPC_FLOW_FAILED, &in);
		answered++;
	}
	assert_int_equal(life->rp->peer_paused, 0);
}

/* The parent may say of the host more than can be remembered. */
static void
one_address_of_the_host_too_many_is_said_with_what_mends_it(void **state)
{
	static const char mend[] = "restart sallyport where there are fewer";
	struct ipc_host_addr more = { .present = 1 };
	struct ipc_msg msg = { .hdr.type = IPC_HOST_ADDR, .fd = -1 };
	struct ipc_msg said;
	struct life life;
	uint32_t i;

	(void)state;
	msg.payload = &more;
	life_init(&life);
	life.rp->hello = 1;
	for (i = 0; i <= POLICY_HOST_ADDRS_MAX; i++) {
		assert_int_equal(channel_recv(&life.parent, &said),
		    CHANNEL_EMPTY);
		more.addr = addr_from_ip4(0x0a000000 + i);
		assert_int_equal(dispatch_parent(&life.rp->parent, &msg,
				     life.rp),
		    IPC_OK);
	}
	assert_int_equal(channel_recv(&life.parent, &said), CHANNEL_MESSAGE);
	assert_int_equal(said.hdr.type, IPC_LOG);
	assert_non_null(strstr((const char *)said.payload + sizeof(uint32_t),
	    mend));
	life_abandon(&life);
}

#define TEST(name) \
	cmocka_unit_test_setup_teardown(name, life_setup, life_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(an_unknown_message_is_a_violation),
		TEST(a_short_record_is_a_violation),
		TEST(a_payload_of_the_wrong_size_is_a_violation),
		TEST(a_word_of_the_parents_from_netproc_is_a_violation),
		TEST(a_nonzero_reserved_field_is_a_violation),
		TEST(a_destination_without_a_family_is_a_violation),
		TEST(a_destination_of_an_unknown_family_is_a_violation),
		TEST(bits_behind_an_ipv4_address_are_a_violation),
		TEST(a_slot_beyond_the_quota_is_a_violation),
		TEST(an_open_of_an_inbound_slot_is_a_violation),
		TEST(an_open_of_a_slot_in_use_is_a_violation),
		TEST(a_stale_generation_is_a_violation),
		TEST(a_close_of_a_free_slot_is_a_violation),
		TEST(a_close_for_an_unknown_reason_is_a_violation),
		TEST(a_dns_query_on_the_flow_channel_is_a_violation),
		TEST(a_flow_request_on_the_datagram_channel_is_a_violation),
		TEST(a_netproc_that_sends_a_descriptor_is_a_violation),
		TEST(an_outbound_flow_cannot_be_refused_by_the_guest),
		TEST(a_nonzero_reserved_field_of_a_half_close_is_a_violation),
		TEST(a_second_half_close_is_a_violation),
		TEST(nonzero_padding_of_a_query_is_a_violation),
		TEST(
		    a_nonzero_reserved_field_of_an_associations_end_is_a_violation),
		TEST(after_a_violation_netproc_is_not_served_any_more),
		TEST(a_record_of_no_bytes_is_not_taken_for_death),
		TEST(a_netproc_that_does_not_read_is_not_read_from),
		cmocka_unit_test(
		    one_address_of_the_host_too_many_is_said_with_what_mends_it),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
