#include <sys/ioctl.h>

#include <linux/ipv6.h>
#include <netinet/in.h>
#include <netinet/udp.h>

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <event2/event.h>

#include <cmocka.h>

#include "ipc/clock.h"
#include "tests/unit/relay_dgram.h"

/* Published ports, in this process, so that no round of its loop is missed. */

/* One byte more than a packet of IPv4 takes. */
#define TOO_LONG (LINK_MTU - 27)

static struct server
publish(struct life *life, const char *addr)
{
	struct server listener = server_open(addr, 0);

	udp_listener_add(life, &listener, addr);
	start_with_loopback(life);
	return (listener);
}

/* A client that has been heard of; *hdr is what netproc calls it. */
static struct server
client_known(struct life *life, const char *addr, uint16_t port,
    struct ipc_hdr *hdr)
{
	struct server client = client_of(addr, port);
	struct ipc_assoc_data data;
	struct ipc_addr peer;
	struct ipc_msg msg;

	server_says(&client, "x", 1);
	life_expect(life, &life->dgram, IPC_ASSOC_RECV, &msg);
	memcpy(&data, msg.payload, sizeof(data));
	addr_parse(addr, &peer);
	assert_true(addr_equal(&data.peer, &peer));
	assert_int_equal(data.peer_port, client.port);
	assert_int_equal(data.guest_port, 5353);
	assert_int_equal(data.proto, IPPROTO_UDP);
	*hdr = msg.hdr;
	return (client);
}

static void
answer(struct life *life, const struct ipc_hdr *hdr, const struct target *to,
    size_t len)
{
	static const uint8_t bytes[2 * LINK_MTU];

	assoc_send(life, hdr->flow, hdr->generation, to, bytes, len);
}

/* ASSOC_ERROR about this client has to come. */
static void
expect_error_of(struct life *life, const struct ipc_hdr *hdr,
    const struct server *client, enum flow_verdict verdict,
    struct ipc_assoc_error *error)
{
	struct ipc_msg msg;

	life_expect(life, &life->dgram, IPC_ASSOC_ERROR, &msg);
	memcpy(error, msg.payload, sizeof(*error));
	assert_int_equal(msg.hdr.flow, hdr->flow);
	assert_int_equal(msg.hdr.generation, hdr->generation);
	assert_int_equal(error->verdict, verdict);
	assert_int_equal(error->peer_port, client->port);
	assert_int_equal(error->router.family, 0);
}

static void
gone_is_told(struct life *life, const char *addr)
{
	struct server listener = publish(life, addr), client;
	struct target to = { .addr = addr };
	struct ipc_assoc_error error;
	struct ipc_addr peer;
	struct ipc_hdr hdr;

	addr_parse(addr, &peer);
	client = client_known(life, addr, listener.port, &hdr);
	close(client.fd);
	answer(life, &hdr, &to, 4);
	expect_error_of(life, &hdr, &client, VERDICT_REFUSED, &error);
	assert_true(addr_equal(&error.peer, &peer));
	assert_int_equal(error.len, 4);
	assert_int_equal(error.mtu, 0);
	to.segment_len = 3;
	answer(life, &hdr, &to, 4);
	expect_error_of(life, &hdr, &client, VERDICT_REFUSED, &error);
	assert_int_equal(error.len, 3);
}

static void
an_answer_to_a_client_that_has_gone_is_told(void **state)
{
	need_namespace();
	gone_is_told(*state, "127.0.0.1");
}

static void
an_answer_to_a_client_that_has_gone_is_told_over_ipv6(void **state)
{
	need_namespace();
	gone_is_told(*state, "::1");
}

static void
too_big_is_told(struct life *life, const char *addr)
{
	const struct target to = { .addr = addr, .flags = ASSOC_DF };
	const struct target any = { .addr = addr };
	struct server listener = publish(life, addr), client;
	struct ipc_assoc_error error;
	uint8_t buf[2 * LINK_MTU];
	struct ipc_hdr hdr;

	client = client_known(life, addr, listener.port, &hdr);
	answer(life, &hdr, &to, TOO_LONG);
	expect_error_of(life, &hdr, &client, VERDICT_TOO_BIG, &error);
	assert_int_equal(error.mtu, LINK_MTU);
	assert_int_equal(error.len, TOO_LONG);
	assert_int_equal(life->rp->counters.dgrams_lost, 1);
	answer(life, &hdr, &any, TOO_LONG);
	assert_int_equal(server_gets(life, &client, buf, sizeof(buf)),
	    TOO_LONG);
	life_expect_silence(life, &life->dgram, 0);
	assert_int_equal(life->rp->counters.dgrams_out, 1);
	close(client.fd);
}

static void
an_answer_beyond_the_mtu_is_too_big_with_df_alone(void **state)
{
	need_namespace();
	too_big_is_told(*state, "127.0.0.1");
}

static void
an_answer_beyond_the_mtu_is_too_big_over_ipv6(void **state)
{
	need_namespace();
	too_big_is_told(*state, "::1");
}

/* One has gone; the answer to the other meets what is said of that. */
static void
an_error_is_told_of_the_client_that_it_is_about(void **state)
{
	struct life *life = *state;
	const struct target to = { .addr = "127.0.0.1" };
	const struct target df = { .addr = "127.0.0.1", .flags = ASSOC_DF };
	struct server listener, gone, client;
	struct ipc_hdr gone_hdr, hdr;
	struct ipc_assoc_error error;
	uint8_t buf[8];

	need_namespace();
	listener = publish(life, "127.0.0.1");
	gone = client_known(life, "127.0.0.1", listener.port, &gone_hdr);
	client = client_known(life, "127.0.0.1", listener.port, &hdr);
	close(gone.fd);
	answer(life, &gone_hdr, &to, 4);
	answer(life, &hdr, &to, 5);
	assert_int_equal(server_gets(life, &client, buf, sizeof(buf)), 5);
	expect_error_of(life, &gone_hdr, &gone, VERDICT_REFUSED, &error);
	assert_int_equal(error.len, 4);
	answer(life, &gone_hdr, &to, 4);
	answer(life, &hdr, &df, TOO_LONG);
	expect_error_of(life, &gone_hdr, &gone, VERDICT_REFUSED, &error);
	expect_error_of(life, &hdr, &client, VERDICT_TOO_BIG, &error);
	assert_int_equal(error.mtu, LINK_MTU);
	close(client.fd);
}

/* The same goes for one who was forgotten. */
static void
an_error_about_a_client_that_was_forgotten_is_dropped(void **state)
{
	struct life *life = *state;
	const struct target to = { .addr = "127.0.0.1" };
	struct server listener, gone;
	struct ipc_hdr hdr;

	need_namespace();
	listener = publish(life, "127.0.0.1");
	gone = client_known(life, "127.0.0.1", listener.port, &hdr);
	close(gone.fd);
	assert_int_equal(sendto(life->rp->udp_publish.list[0].source.sock.fd,
			     "x", 1, 0,
			     (struct sockaddr *)&(struct sockaddr_in){
				 .sin_family = AF_INET,
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
				 .sin_port = htons(gone.port) },
			     sizeof(struct sockaddr_in)),
	    1);
	assoc_client_forget(&life->rp->assocs, &life->rp->assocs.clients[0]);
	life_expect_silence(life, &life->dgram, 20);
	answer(life, &hdr, &to, 1);
	life_expect_silence(life, &life->dgram, 0);
	assert_int_equal(life->rp->counters.dgram_errors, 0);
	assert_int_equal(life->rp->counters.dgrams_lost, 1);
}

/* One datagram, and a batch, to a client that asked a second address. */
static void
answer_comes_from(struct life *life, const char *any, const char *from,
    const char *asked)
{
	struct server listener = publish(life, any), client;
	struct target to = { .addr = from };
	struct ipc_addr addr, local;
	struct ipc_msg msg;
	uint8_t buf[8];
	uint16_t port;
	int i;

	addr_parse(asked, &addr);
	client = server_open(from, 0);
	client.len = addr_to_sockaddr(&addr, listener.port, &client.from);
	server_says(&client, "x", 1);
	life_expect(life, &life->dgram, IPC_ASSOC_RECV, &msg);
	for (i = 0; i < 3; i++) {
		answer(life, &msg.hdr, &to, 4);
		server_gets(life, &client, buf, sizeof(buf));
		addr_from_sockaddr((struct sockaddr *)&client.from, &local,
		    &port);
		assert_true(addr_equal(&local, &addr));
		assert_int_equal(port, listener.port);
		/* The second makes two. */
		to.segment_len = i == 0 ? 3 : 0;
	}
	close(client.fd);
}

static void
an_answer_comes_from_the_address_that_was_asked(void **state)
{
	need_namespace();
	answer_comes_from(*state, "0.0.0.0", "127.0.0.1", "127.0.0.7");
}

/* The kernel looks if another has it, and takes its time. */
static void
address6_add(const char *text)
{
	struct in6_ifreq ifr = { .ifr6_prefixlen = 128, .ifr6_ifindex = 1 };
	const uint64_t end_ms = clock_now_ms() + 5000;
	int fd = socket(AF_INET6, SOCK_DGRAM, 0);
	struct sockaddr_storage ss;
	struct ipc_addr addr;
	socklen_t len;

	addr_parse(text, &addr);
	len = addr_to_sockaddr(&addr, 0, &ss);
	memcpy(&ifr.ifr6_addr, addr.bytes, sizeof(addr.bytes));
	assert_int_equal(ioctl(fd, SIOCSIFADDR, &ifr), 0);
	while (bind(fd, (struct sockaddr *)&ss, len) == -1) {
		assert_int_equal(errno, EADDRNOTAVAIL);
		assert_true(clock_now_ms() < end_ms);
		sched_yield();
	}
	close(fd);
}

static void
an_answer_comes_from_the_address_that_was_asked_over_ipv6(void **state)
{
	need_namespace();
	address6_add("fd53::7");
	answer_comes_from(*state, "::", "::1", "fd53::7");
}

/* To which there is no answer. */
static void
what_comes_from_port_0_is_lost_and_counted(void **state)
{
	struct life *life = *state;
	struct {
		struct udphdr udp;
		uint8_t byte;
	} packet = { .udp.len = htons(sizeof(struct udphdr) + 1) };
	struct sockaddr_in sin = {
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	struct server listener;
	int fd;

	need_namespace();
	listener = publish(life, "127.0.0.1");
	packet.udp.dest = htons(listener.port);
	fd = socket(AF_INET, SOCK_RAW, IPPROTO_UDP);
	assert_int_equal(sendto(fd, &packet, sizeof(packet.udp) + 1, 0,
			     (struct sockaddr *)&sin, sizeof(sin)),
	    sizeof(packet.udp) + 1);
	close(fd);
	life_expect_silence(life, &life->dgram, 20);
	assert_int_equal(life->rp->counters.dgrams_lost, 1);
}

static void
a_client_that_was_answered_is_not_the_oldest(void **state)
{
	struct life *life = *state;
	const struct target to = { .addr = "127.0.0.1" };
	struct server listener = publish(life, "127.0.0.1"), client[3];
	struct ipc_hdr hdr[3];
	uint8_t buf[8];
	int i;

	for (i = 0; i < 2; i++)
		client[i] = client_known(life, "127.0.0.1", listener.port,
		    &hdr[i]);
	answer(life, &hdr[0], &to, 1);
	server_gets(life, &client[0], buf, sizeof(buf));
	client[2] = client_known(life, "127.0.0.1", listener.port, &hdr[2]);
	assert_int_equal(hdr[2].flow, hdr[1].flow);
	for (i = 0; i < 3; i++)
		close(client[i].fd);
}

static void
what_has_no_slot_is_lost_and_counted(void **state)
{
	struct life *life = *state;
	struct server listener, client;

	life->config.max_assocs_in = 0;
	listener = publish(life, "127.0.0.1");
	client = client_of("127.0.0.1", listener.port);
	server_says(&client, "x", 1);
	life_expect_silence(life, &life->dgram, 20);
	assert_int_equal(life->rp->counters.dgrams_lost, 1);
	close(client.fd);
}

static void
a_netproc_that_broke_the_protocol_leaves_no_port_open(void **state)
{
	struct life *life = *state;
	struct udp_listener *listener = &life->rp->udp_publish.list[0];
	int fd;

	publish(life, "127.0.0.1");
	fd = listener->source.sock.fd;
	assert_true(event_pending(&listener->source.ev, EV_READ, NULL));
	life_close(life, 0, 1, FLOW_CLOSE_DONE);
	life_expect_violation(life, IPC_E_STATE);
	assert_int_equal(fcntl(fd, F_GETFD), -1);
	assert_int_equal(listener->source.sock.fd, -1);
	assert_false(event_pending(&listener->source.ev, EV_READ, NULL));
	assert_int_equal(life->rp->udp_publish.n, 0);
}

static void
a_port_says_if_its_clients_keep_their_address(void **state)
{
	struct life *life = *state;
	struct ipc_listener msg = {
		.proto = IPPROTO_UDP,
		.guest_port = 5353,
	};
	struct server listener[2], client;
	struct ipc_assoc_data data;
	uint8_t buf[8];
	uint32_t i;

	addr_parse("127.0.0.1", &msg.bind);
	for (i = 0; i < 2; i++) {
		listener[i] = server_open("127.0.0.1", 0);
		msg.preserve = i != 0;
		life_config(life, IPC_CONFIG_LISTENER, &msg, sizeof(msg),
		    listener[i].fd);
	}
	start_with_loopback(life);
	for (i = 0; i < 2; i++) {
		client = client_of("127.0.0.1", listener[i].port);
		server_says(&client, "x", 1);
		expect_recv(life, &data, buf, sizeof(buf));
		assert_int_equal(data.flags, i != 0 ? ASSOC_PRESERVE : 0);
		close(client.fd);
	}
}

/* Nothing of it is kept, its descriptor least. */
static void
a_port_that_cannot_be_published_is_closed(void **state)
{
	struct life *life = *state;
	struct udp_publish *publish = &life->rp->udp_publish;
	struct ipc_listener msg = { .proto = IPPROTO_UDP, .guest_port = 1 };
	int fd = socket(AF_UNIX, SOCK_DGRAM, 0);

	addr_parse("127.0.0.1", &msg.bind);
	assert_int_equal(udp_publish_add(life->rp, &msg, fd), -1);
	assert_int_equal(errno, EOPNOTSUPP);
	assert_int_equal(fcntl(fd, F_GETFD), -1);
	assert_int_equal(publish->n, 0);
	publish->n = LISTENERS_MAX;
	fd = server_open("127.0.0.1", 0).fd;
	assert_int_equal(udp_publish_add(life->rp, &msg, fd), -1);
	assert_int_equal(errno, ENOSPC);
	assert_int_equal(fcntl(fd, F_GETFD), -1);
	publish->n = 0;
	start_with_loopback(life);
}

#define TEST(name) \
	cmocka_unit_test_setup_teardown(name, life_setup, life_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(an_answer_to_a_client_that_has_gone_is_told),
		TEST(an_answer_to_a_client_that_has_gone_is_told_over_ipv6),
		TEST(an_answer_beyond_the_mtu_is_too_big_with_df_alone),
		TEST(an_answer_beyond_the_mtu_is_too_big_over_ipv6),
		TEST(an_error_is_told_of_the_client_that_it_is_about),
		TEST(an_error_about_a_client_that_was_forgotten_is_dropped),
		TEST(an_answer_comes_from_the_address_that_was_asked),
		TEST(an_answer_comes_from_the_address_that_was_asked_over_ipv6),
		TEST(what_comes_from_port_0_is_lost_and_counted),
		TEST(a_client_that_was_answered_is_not_the_oldest),
		TEST(what_has_no_slot_is_lost_and_counted),
		TEST(a_netproc_that_broke_the_protocol_leaves_no_port_open),
		TEST(a_port_says_if_its_clients_keep_their_address),
		TEST(a_port_that_cannot_be_published_is_closed),
	};

	namespace_enter();
	return (cmocka_run_group_tests(tests, NULL, NULL));
}
