#include <sys/socket.h>

#include <netinet/in.h>

#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/event.h>

#include <cmocka.h>

#include "ipc/clock.h"
#include "tests/unit/relay_life.h"

/* Far above any time that a loaded machine needs. */
#define PATIENCE_MS 5000

static void
channel_pair(struct channel *ours, enum role self, size_t record_max,
    int *theirs)
{
	int sv[2];

	assert_int_equal(socketpair(AF_UNIX,
			     SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0,
			     sv),
	    0);
	assert_int_equal(channel_init(ours, sv[0], self, ROLE_RELAYPROC,
			     record_max, 0),
	    0);
	*theirs = sv[1];
}

void
life_init(struct life *life)
{
	const struct ipc_hello hello = {
		.proto_hash = ipc_proto_hash(),
		.role = ROLE_RELAYPROC,
		.log_level = LOG_LEVEL_DEBUG,
	};
	struct ipc_config_relayproc *config = &life->config;
	int parent_fd, peer_fd, dgram_fd;

	memset(life, 0, sizeof(*life));
	channel_pair(&life->parent, ROLE_PARENT, IPC_RECORD_MAX, &parent_fd);
	channel_pair(&life->peer, ROLE_NETPROC, IPC_RECORD_MAX, &peer_fd);
	channel_pair(&life->dgram, ROLE_NETPROC, IPC_DGRAM_MAX, &dgram_fd);
	life->peer.phase = IPC_RUN;
	life->dgram.phase = IPC_RUN;
	addr_parse("100.96.0.1", &config->gateway);
	addr_parse("100.96.0.2", &config->address);
	config->prefix_len = 30;
	config->default_allow = 1;
	config->max_flows = 64;
	config->max_inbound = 4;
	config->max_pending = 64;
	config->max_pending_per_dst = 16;
	config->connect_rate_per_s = 200;
	config->connect_burst = 400;
	config->connect_timeout_ms = 10000;
	config->dns_timeout_ms = 2000;
	config->dns_in_flight = 8;
	config->max_assocs = 8;
	config->max_assocs_in = 2;
	addr_parse("fd53:4d00::1", &config->gateway6);
	addr_parse("fd53:4d00::2", &config->address6);
	config->prefix_len6 = 64;
	life->rp = calloc(1, sizeof(*life->rp));
	assert_non_null(life->rp);
	relayproc_init(life->rp, parent_fd, peer_fd, dgram_fd);
	life->rp->base = event_base_new();
	assert_non_null(life->rp->base);
	assert_int_equal(channel_send(&life->parent, IPC_HELLO, 0, 0, &hello,
			     sizeof(hello)),
	    0);
}

void
life_config(struct life *life, enum ipc_type type, const void *payload,
    size_t len, int fd)
{
	life->records++;
	if (fd == -1)
		assert_int_equal(channel_send(&life->parent, type, 0, 0,
				     payload, len),
		    0);
	else
		assert_int_equal(channel_lend_fd(&life->parent, type, 0, 0,
				     payload, len, fd),
		    0);
	if (fd != -1)
		close(fd);
}

void
life_rule(struct life *life, enum rule_action action, const char *cidr)
{
	struct ipc_rule rule = { .action = action, .port_high = 65535 };
	unsigned int prefix_len;

	assert_int_equal(addr_parse_cidr(cidr, &rule.net, &prefix_len), 0);
	rule.prefix_len = prefix_len;
	life_config(life, IPC_CONFIG_RULE, &rule, sizeof(rule), -1);
}

void
life_resolver(struct life *life, const char *addr, uint16_t port)
{
	struct ipc_resolver resolver = { .port = port };

	assert_int_equal(addr_parse(addr, &resolver.addr), 0);
	life_config(life, IPC_CONFIG_RESOLVER, &resolver, sizeof(resolver), -1);
}

void
life_listener(struct life *life, int fd, uint16_t guest_port)
{
	struct ipc_listener listener = {
		.proto = IPPROTO_TCP,
		.guest_port = guest_port,
	};

	addr_parse("127.0.0.1", &listener.bind);
	life_config(life, IPC_CONFIG_LISTENER, &listener, sizeof(listener), fd);
}

void
life_configure(struct life *life)
{
	struct ipc_config_done done;

	life_config(life, IPC_CONFIG_RELAYPROC, &life->config,
	    sizeof(life->config), -1);
	done.records = life->records;
	assert_int_equal(channel_send(&life->parent, IPC_CONFIG_DONE, 0, 0,
			     &done, sizeof(done)),
	    0);
}

void
life_start(struct life *life)
{
	const struct ipc_empty serve = { 0 };
	struct ipc_msg msg;

	life_configure(life);
	relayproc_setup(life->rp);
	assert_int_equal(channel_recv(&life->parent, &msg), CHANNEL_MESSAGE);
	assert_int_equal(msg.hdr.type, IPC_HELLO_ACK);
	relayproc_ready(life->rp, 0);
	assert_int_equal(channel_recv(&life->parent, &msg), CHANNEL_MESSAGE);
	assert_int_equal(msg.hdr.type, IPC_READY);
	life->parent.phase = IPC_RUN;
	assert_int_equal(channel_send(&life->parent, IPC_SERVE, 0, 0, &serve,
			     sizeof(serve)),
	    0);
	relayproc_turn(life->rp, EVLOOP_NONBLOCK);
}

void
life_end(struct life *life)
{
	relayproc_end(life->rp);
	relayproc_free(life->rp);
	free(life->rp);
	channel_close(&life->parent);
	channel_close(&life->peer);
	channel_close(&life->dgram);
}

void
life_drop_relayproc(struct life *life)
{
	struct relayproc *rp = life->rp;

	log_set_sink(NULL, NULL);
	channel_close(&rp->parent);
	close(rp->peer.fd);
	close(rp->dgram.fd);
	event_base_free(rp->base);
	free(rp);
	life->rp = NULL;
}

void
life_abandon(struct life *life)
{
	life_drop_relayproc(life);
	channel_close(&life->parent);
	channel_close(&life->peer);
	channel_close(&life->dgram);
}

static void
log_collect(struct life *life, const struct ipc_msg *msg)
{
	struct ipc_log line;

	memcpy(&line, msg->payload, sizeof(line));
	strlcat(life->log, line.text, sizeof(life->log));
	strlcat(life->log, "\n", sizeof(life->log));
}

void
life_turn(struct life *life)
{
	if (life->rp != NULL)
		relayproc_turn(life->rp, EVLOOP_NONBLOCK);
}

/* Takes a message that is not a log line, if there is one. */
static enum channel_result
take(struct life *life, struct channel *ch, struct ipc_msg *msg)
{
	enum channel_result result;

	for (;;) {
		result = channel_recv(ch, msg);
		if (result != CHANNEL_MESSAGE || msg->hdr.type != IPC_LOG)
			return (result);
		log_collect(life, msg);
	}
}

static void
wait_readable(int fd)
{
	struct pollfd pfd = { .fd = fd, .events = POLLIN };

	poll(&pfd, 1, 1);
}

void
life_receive(struct life *life, struct channel *ch, struct ipc_msg *msg)
{
	const uint64_t end_ms = clock_now_ms() + PATIENCE_MS;
	enum channel_result result;

	while (clock_now_ms() < end_ms) {
		life_turn(life);
		result = take(life, ch, msg);
		if (result == CHANNEL_MESSAGE)
			return;
		if (result != CHANNEL_EMPTY)
			fail_msg("channel: result %d", result);
		wait_readable(ch->fd);
	}
	fail_msg("nothing came");
}

void
life_expect(struct life *life, struct channel *ch, enum ipc_type type,
    struct ipc_msg *msg)
{
	life_receive(life, ch, msg);
	if (msg->hdr.type != type)
		fail_msg("%s came, not %s", ipc_name(msg->hdr.type),
		    ipc_name(type));
}

void
life_expect_silence(struct life *life, struct channel *ch, uint64_t ms)
{
	const uint64_t end_ms = clock_now_ms() + ms;
	struct ipc_msg msg;

	do {
		life_turn(life);
		if (take(life, ch, &msg) == CHANNEL_MESSAGE)
			fail_msg("%s came", ipc_name(msg.hdr.type));
		wait_readable(ch->fd);
	} while (clock_now_ms() < end_ms);
}

void
life_expect_violation(struct life *life, enum ipc_error error)
{
	struct ipc_violation violation;
	struct ipc_msg msg;

	life_expect(life, &life->parent, IPC_VIOLATION, &msg);
	memcpy(&violation, msg.payload, sizeof(violation));
	assert_int_equal(violation.role, ROLE_NETPROC);
	assert_string_equal(ipc_strerror((enum ipc_error)violation.error),
	    ipc_strerror(error));
}

uint32_t
life_open(struct life *life, uint32_t slot, const char *dst, uint16_t port)
{
	struct ipc_flow_open msg = {
		.dst_port = port,
		.mss = 1460,
	};

	assert_int_equal(addr_parse(dst, &msg.dst), 0);
	assert_int_equal(channel_send(&life->peer, IPC_FLOW_OPEN, slot,
			     ++life->generation, &msg, sizeof(msg)),
	    0);
	return (life->generation);
}

void
life_close(struct life *life, uint32_t slot, uint32_t generation,
    enum flow_close_reason reason)
{
	const struct ipc_flow_close msg = { .reason = reason };

	assert_int_equal(channel_send(&life->peer, IPC_FLOW_CLOSE, slot,
			     generation, &msg, sizeof(msg)),
	    0);
}

void
life_expect_failed(struct life *life, uint32_t slot, enum flow_verdict verdict)
{
	struct ipc_flow_failed failed;
	struct ipc_msg msg;

	life_expect(life, &life->peer, IPC_FLOW_FAILED, &msg);
	memcpy(&failed, msg.payload, sizeof(failed));
	assert_int_equal(msg.hdr.flow, slot);
	assert_int_equal(failed.verdict, verdict);
}

int
life_expect_opened(struct life *life, uint32_t slot)
{
	struct ipc_msg msg;

	life_expect(life, &life->peer, IPC_FLOW_OPENED, &msg);
	assert_int_equal(msg.hdr.flow, slot);
	assert_int_not_equal(msg.fd, -1);
	return (msg.fd);
}

void
life_expect_closed(struct life *life, uint32_t slot)
{
	struct ipc_msg msg;

	life_expect(life, &life->peer, IPC_FLOW_CLOSED, &msg);
	assert_int_equal(msg.hdr.flow, slot);
}

void
life_ask_bytes(struct life *life, uint32_t slot, uint32_t generation,
    const void *data, size_t len)
{
	const struct ipc_dns msg = { .guest_port = (uint16_t)(1000 + slot) };

	assert_int_equal(channel_send_tail(&life->dgram, IPC_DNS_QUERY, slot,
			     generation, &msg, sizeof(msg), data, len),
	    0);
}

void
life_ask(struct life *life, uint32_t slot, uint32_t generation,
    const char *text)
{
	life_ask_bytes(life, slot, generation, text, strlen(text));
}

static int
bound(int type, uint16_t *port)
{
	struct sockaddr_in sin = {
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	socklen_t len = sizeof(sin);
	int fd = socket(AF_INET, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	assert_int_not_equal(fd, -1);
	assert_int_equal(bind(fd, (struct sockaddr *)&sin, len), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&sin, &len), 0);
	*port = ntohs(sin.sin_port);
	return (fd);
}

int
life_listen(uint16_t *port, int backlog)
{
	int fd = bound(SOCK_STREAM, port);

	assert_int_equal(listen(fd, backlog), 0);
	return (fd);
}

int
life_udp(uint16_t *port)
{
	return (bound(SOCK_DGRAM, port));
}

int
life_blackhole(uint16_t *port, int *fill, size_t nfill)
{
	struct sockaddr_in sin = {
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	int fd = life_listen(port, 0);
	size_t i;

	sin.sin_port = htons(*port);
	for (i = 0; i < nfill; i++) {
		fill[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
		(void)connect(fill[i], (struct sockaddr *)&sin, sizeof(sin));
	}
	return (fd);
}

void
life_wait_readable(struct life *life, int fd)
{
	const uint64_t end_ms = clock_now_ms() + PATIENCE_MS;
	struct pollfd pfd = { .fd = fd, .events = POLLIN };

	while (clock_now_ms() < end_ms) {
		life_turn(life);
		if (poll(&pfd, 1, 1) == 1)
			return;
	}
	fail_msg("descriptor %d did not become readable", fd);
}

int
life_accept(struct life *life, int listener)
{
	int fd;

	life_wait_readable(life, listener);
	fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	assert_int_not_equal(fd, -1);
	return (fd);
}

int
life_setup(void **state)
{
	struct life *life = calloc(1, sizeof(*life));

	if (life == NULL)
		return (-1);
	life_init(life);
	*state = life;
	return (0);
}

int
life_teardown(void **state)
{
	struct life *life = *state;

	/* A test that skips does so before the start. */
	if (life->rp->timer != NULL)
		life_end(life);
	else
		life_abandon(life);
	free(life);
	return (0);
}

void
start_with_loopback(struct life *life)
{
	life_rule(life, RULE_UNSAFE_ALLOW, "127.0.0.0/8");
	life_start(life);
}

struct pair
pair_open(struct life *life, uint32_t slot)
{
	struct pair pair;

	pair.listener = life_listen(&pair.port, 8);
	pair.generation = life_open(life, slot, "127.0.0.1", pair.port);
	pair.lent = life_expect_opened(life, slot);
	pair.server = life_accept(life, pair.listener);
	return (pair);
}

void
pair_free(struct pair *pair)
{
	close(pair->server);
	close(pair->listener);
}

void
pair_end(struct life *life, struct pair *pair)
{
	assert_int_equal(shutdown(pair->lent, SHUT_WR), 0);
	assert_int_equal(server_reads(life, pair->server), 0);
	assert_int_equal(shutdown(pair->server, SHUT_WR), 0);
	assert_int_equal(server_reads(life, pair->lent), 0);
	close(pair->lent);
}

int
server_reads(struct life *life, int fd)
{
	char buf[64];
	ssize_t n;

	life_wait_readable(life, fd);
	n = read(fd, buf, sizeof(buf));
	return (n == -1 ? -errno : (int)n);
}
