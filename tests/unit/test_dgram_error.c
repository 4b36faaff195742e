#include <sys/ioctl.h>
#include <sys/socket.h>

#include <linux/icmp.h>
#include <linux/if.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>

#include <netinet/udp.h>

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "relayproc/dgram.h"
#include "tests/unit/relay_dgram.h"

/* What ICMP says of a datagram, every word of it written by the test. */

#define ROUTER "203.0.113.9"
#define MTU    1400

/* A socket that has sent to a server. */
struct sender {
	struct dgram_sock sock;
	struct server server;
	uint16_t port;
};

static struct sender
sender_open(int family, const char *addr)
{
	struct sender sender = { .server = server_open(addr, 0) };
	struct dgram_to to = { .port = sender.server.port };
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);
	struct ipc_addr local;
	size_t sent = 0;

	addr_parse(addr, &to.addr);
	assert_int_equal(dgram_open(&sender.sock, family, IPPROTO_UDP, 0), 0);
	assert_int_equal(dgram_send(&sender.sock, &to, (const uint8_t *)"x", 1,
			     0, 0, &sent),
	    0);
	/* Else the kernel would keep word of an MTU to itself. */
	sender.sock.df = -1;
	assert_int_equal(dgram_send(&sender.sock, &to, (const uint8_t *)"x", 1,
			     0, 1, &sent),
	    0);
	getsockname(sender.sock.fd, (struct sockaddr *)&ss, &len);
	addr_from_sockaddr((struct sockaddr *)&ss, &local, &sender.port);
	return (sender);
}

static void
sender_close(struct sender *sender)
{
	dgram_close(&sender->sock);
	close(sender->server.fd);
}

static uint16_t
checksum(const void *bytes, size_t len)
{
	const uint8_t *at = bytes;
	uint32_t sum = 0;
	size_t i;

	for (i = 0; i + 1 < len; i += 2)
		sum += (uint32_t)(at[i] << 8 | at[i + 1]);
	sum = (sum >> 16) + (sum & 0xffff);
	return (htons((uint16_t) ~(sum + (sum >> 16))));
}

/* Sends an ICMP message to 127.0.0.1. */
static void
icmp_send(const char *from, const void *message, size_t len)
{
	struct sockaddr_in sin = { .sin_family = AF_INET };
	struct ipc_addr addr;
	int fd = socket(AF_INET, SOCK_RAW, IPPROTO_ICMP);

	addr_parse(from, &addr);
	memcpy(&sin.sin_addr, addr.bytes, 4);
	assert_int_equal(bind(fd, (struct sockaddr *)&sin, sizeof(sin)), 0);
	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(sendto(fd, message, len, 0, (struct sockaddr *)&sin,
			     sizeof(sin)),
	    len);
	close(fd);
}

static void
icmp_says(const struct sender *sender, const char *from, uint8_t type,
    uint8_t code)
{
	struct {
		struct icmphdr icmp;
		struct iphdr ip;
		struct udphdr udp;
		uint8_t payload[8];
	} packet = {
		.icmp = { .type = type, .code = code },
		.ip = { .version = 4, .ihl = 5, .protocol = IPPROTO_UDP },
	};

	if (type == ICMP_DEST_UNREACH && code == ICMP_FRAG_NEEDED)
		packet.icmp.un.frag.mtu = htons(MTU);
	packet.ip.saddr = packet.ip.daddr = htonl(INADDR_LOOPBACK);
	packet.ip.tot_len = htons(sizeof(packet) - sizeof(packet.icmp));
	packet.udp.source = htons(sender->port);
	packet.udp.dest = htons(sender->server.port);
	packet.udp.len = htons(sizeof(packet.udp) + sizeof(packet.payload));
	packet.icmp.checksum = checksum(&packet, sizeof(packet));
	icmp_send(from, &packet, sizeof(packet));
}

static void
icmp6_says(const struct sender *sender, uint8_t type, uint8_t code)
{
	struct {
		struct icmp6_hdr icmp;
		struct ip6_hdr ip;
		struct udphdr udp;
	} packet = {
		.icmp = { .icmp6_type = type, .icmp6_code = code },
	};
	struct sockaddr_in6 sin6 = {
		.sin6_family = AF_INET6,
		.sin6_addr = IN6ADDR_LOOPBACK_INIT,
	};
	int fd = socket(AF_INET6, SOCK_RAW, IPPROTO_ICMPV6);

	if (type == ICMP6_PACKET_TOO_BIG)
		packet.icmp.icmp6_mtu = htonl(MTU);
	packet.ip.ip6_vfc = 6 << 4;
	packet.ip.ip6_nxt = IPPROTO_UDP;
	packet.ip.ip6_plen = htons(sizeof(packet.udp) + 1);
	packet.ip.ip6_src = packet.ip.ip6_dst = sin6.sin6_addr;
	packet.udp.source = htons(sender->port);
	packet.udp.dest = htons(sender->server.port);
	packet.udp.len = htons(sizeof(packet.udp) + 1);
	assert_int_equal(sendto(fd, &packet, sizeof(packet), 0,
			     (struct sockaddr *)&sin6, sizeof(sin6)),
	    sizeof(packet));
	close(fd);
}

static int
take(const struct sender *sender, struct dgram_error *error)
{
	struct pollfd pfd = { sender->sock.fd, 0, 0 };

	assert_int_equal(poll(&pfd, 1, 5000), 1);
	memset(error, 0xff, sizeof(*error));
	return (dgram_error_take(&sender->sock, error));
}

struct row {
	uint8_t type, code;
	enum flow_verdict verdict;
};

static void
expect_verdict(const struct sender *sender, const char *addr,
    const struct row *row)
{
	const int is_too_big = row->verdict == VERDICT_TOO_BIG;
	struct dgram_error error;
	struct ipc_addr peer;

	addr_parse(addr, &peer);
	assert_int_equal(take(sender, &error), row->verdict != VERDICT_N);
	assert_int_equal(error.verdict, row->verdict);
	assert_int_equal(error.mtu, is_too_big ? MTU : 0);
	assert_true(addr_equal(&error.peer, &peer));
	assert_int_equal(error.peer_port, sender->server.port);
	assert_false(error.is_local);
	assert_false(error.has_echo_seq);
	/* The host's own address says nothing. */
	assert_int_equal(error.router.family, 0);
	assert_int_equal(dgram_error_take(&sender->sock, &error), -1);
}

/* RFC 792, RFC 1122 3.2.2.1, RFC 1812 5.2.7.1. */
static void
each_word_of_icmp_has_its_verdict(void **state)
{
	static const struct row rows[] = {
		{ 3, 0, VERDICT_NET_UNREACH },
		{ 3, 1, VERDICT_HOST_UNREACH },
		{ 3, 2, VERDICT_REFUSED },
		{ 3, 3, VERDICT_REFUSED },
		{ 3, 4, VERDICT_TOO_BIG },
		{ 3, 5, VERDICT_HOST_UNREACH },
		{ 3, 6, VERDICT_NET_UNREACH },
		{ 3, 7, VERDICT_HOST_UNREACH },
		{ 3, 8, VERDICT_HOST_UNREACH },
		{ 3, 9, VERDICT_DENIED },
		{ 3, 10, VERDICT_DENIED },
		{ 3, 11, VERDICT_NET_UNREACH },
		{ 3, 12, VERDICT_HOST_UNREACH },
		{ 3, 13, VERDICT_DENIED },
		{ 11, 0, VERDICT_TTL },
		{ 12, 0, VERDICT_N },
	};
	struct sender sender;
	size_t i;

	(void)state;
	need_namespace();
	sender = sender_open(AF_INET, "127.0.0.1");
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		icmp_says(&sender, "127.0.0.1", rows[i].type, rows[i].code);
		expect_verdict(&sender, "127.0.0.1", &rows[i]);
	}
	sender_close(&sender);
}

/* RFC 4443 3. */
static void
each_word_of_icmpv6_has_its_verdict(void **state)
{
	static const struct row rows[] = {
		{ 1, 0, VERDICT_NET_UNREACH },
		{ 1, 1, VERDICT_DENIED },
		{ 1, 2, VERDICT_NET_UNREACH },
		{ 1, 3, VERDICT_HOST_UNREACH },
		{ 1, 4, VERDICT_REFUSED },
		{ 1, 5, VERDICT_DENIED },
		{ 1, 6, VERDICT_DENIED },
		{ 2, 0, VERDICT_TOO_BIG },
		{ 3, 0, VERDICT_TTL },
		{ 3, 1, VERDICT_N },
		{ 4, 0, VERDICT_N },
	};
	struct sender sender;
	size_t i;

	(void)state;
	need_namespace();
	sender = sender_open(AF_INET6, "::1");
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		icmp6_says(&sender, rows[i].type, rows[i].code);
		expect_verdict(&sender, "::1", &rows[i]);
	}
	sender_close(&sender);
}

/* Gives loopback an address more, such as a router may have. */
static void
router_up(const char *text)
{
	struct sockaddr_in sin = { .sin_family = AF_INET };
	struct ifreq ifr = { .ifr_name = "lo:1" };
	struct ipc_addr addr;
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	addr_parse(text, &addr);
	memcpy(&sin.sin_addr, addr.bytes, 4);
	memcpy(&ifr.ifr_addr, &sin, sizeof(sin));
	assert_int_equal(ioctl(fd, SIOCSIFADDR, &ifr), 0);
	close(fd);
}

/* One of a private network too: the guest may not reach it, no more. */
static void
a_router_is_named_and_the_host_is_not(void **state)
{
	static const char *const routers[] = { ROUTER, "10.9.9.9" };
	struct dgram_error error;
	struct ipc_addr router;
	struct sender sender;
	size_t i;

	(void)state;
	need_namespace();
	sender = sender_open(AF_INET, "127.0.0.1");
	for (i = 0; i < sizeof(routers) / sizeof(routers[0]); i++) {
		router_up(routers[i]);
		icmp_says(&sender, routers[i], 11, 0);
		assert_int_equal(take(&sender, &error), 1);
		addr_parse(routers[i], &router);
		assert_true(addr_equal(&error.router, &router));
	}
	icmp_says(&sender, "127.0.0.1", 11, 0);
	assert_int_equal(take(&sender, &error), 1);
	assert_int_equal(error.router.family, 0);
	sender_close(&sender);
}

/* Once, and by no number but that something is in the queue. */
static void
an_error_is_met_by_the_next_read_once(void **state)
{
	struct dgram_batch *batch = dgram_batch_new();
	struct pollfd pfd = { 0 };
	struct dgram_error error;
	struct sender sender;

	(void)state;
	need_namespace();
	sender = sender_open(AF_INET, "127.0.0.1");
	icmp_says(&sender, "127.0.0.1", 3, 3);
	pfd.fd = sender.sock.fd;
	assert_int_equal(poll(&pfd, 1, 5000), 1);
	assert_int_equal(dgram_recv(&sender.sock, batch), -1);
	assert_int_equal(dgram_recv(&sender.sock, batch), 0);
	assert_int_equal(dgram_error_take(&sender.sock, &error), 1);
	dgram_batch_free(batch);
	sender_close(&sender);
}

/* A router says of an echo request that it has lived too long. */
static void
echo_dies(uint16_t id, uint16_t seq)
{
	struct {
		struct icmphdr icmp;
		struct iphdr ip;
		struct icmphdr echo;
	} packet = {
		.icmp = { .type = ICMP_TIME_EXCEEDED },
		.ip = { .version = 4, .ihl = 5, .protocol = IPPROTO_ICMP },
		.echo = { .type = ICMP_ECHO },
	};

	packet.ip.saddr = packet.ip.daddr = htonl(INADDR_LOOPBACK);
	packet.ip.tot_len = htons(sizeof(packet) - sizeof(packet.icmp));
	packet.echo.un.echo.id = htons(id);
	packet.echo.un.echo.sequence = htons(seq);
	packet.icmp.checksum = checksum(&packet, sizeof(packet));
	icmp_send("127.0.0.1", &packet, sizeof(packet));
}

static void
an_error_about_an_echo_says_its_number(void **state)
{
	const uint8_t echo[8] = { ICMP_ECHO, 0, 0, 0, 0, 0, 0x12, 0x34 };
	struct dgram_to to = { .port = 0 };
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);
	struct sender sender = { 0 };
	struct dgram_error error;
	struct ipc_addr local;
	size_t sent = 0;

	(void)state;
	need_namespace();
	pings_allow("0 2147483647");
	addr_parse("127.0.0.1", &to.addr);
	assert_int_equal(dgram_open(&sender.sock, AF_INET, IPPROTO_ICMP, 0), 0);
	assert_int_equal(dgram_send(&sender.sock, &to, echo, sizeof(echo), 0, 0,
			     &sent),
	    0);
	getsockname(sender.sock.fd, (struct sockaddr *)&ss, &len);
	addr_from_sockaddr((struct sockaddr *)&ss, &local, &sender.port);
	echo_dies(sender.port, 0x1234);
	assert_int_equal(take(&sender, &error), 1);
	assert_int_equal(error.verdict, VERDICT_TTL);
	assert_int_equal(error.has_echo_seq, 1);
	assert_int_equal(error.echo_seq, 0x1234);
	assert_true(addr_equal(&error.peer, &to.addr));
	dgram_close(&sender.sock);
}

/* Such as a header that somebody did not understand: nothing to tell. */
static void
an_error_of_no_interest_is_not_told_of_a_client(void **state)
{
	struct life *life = *state;
	struct server listener, client;
	struct sender sender = { 0 };
	struct ipc_assoc_error error;
	struct ipc_addr router;
	struct ipc_msg msg;

	need_namespace();
	router_up(ROUTER);
	listener = server_open("127.0.0.1", 0);
	udp_listener_add(life, &listener, "127.0.0.1");
	start_with_loopback(life);
	client = client_of("127.0.0.1", listener.port);
	server_says(&client, "x", 1);
	life_expect(life, &life->dgram, IPC_ASSOC_RECV, &msg);
	sender.port = listener.port;
	sender.server = client;
	icmp_says(&sender, "127.0.0.1", 12, 0);
	icmp_says(&sender, ROUTER, 3, 1);
	life_expect(life, &life->dgram, IPC_ASSOC_ERROR, &msg);
	memcpy(&error, msg.payload, sizeof(error));
	assert_int_equal(error.verdict, VERDICT_HOST_UNREACH);
	addr_parse(ROUTER, &router);
	assert_true(addr_equal(&error.router, &router));
	assert_int_equal(life->rp->counters.dgram_errors, 1);
	close(client.fd);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_word_of_icmp_has_its_verdict),
		cmocka_unit_test(each_word_of_icmpv6_has_its_verdict),
		cmocka_unit_test(a_router_is_named_and_the_host_is_not),
		cmocka_unit_test(an_error_about_an_echo_says_its_number),
		cmocka_unit_test(an_error_is_met_by_the_next_read_once),
		cmocka_unit_test_setup_teardown(
		    an_error_of_no_interest_is_not_told_of_a_client, life_setup,
		    life_teardown),
	};

	namespace_enter();
	return (cmocka_run_group_tests(tests, NULL, NULL));
}
