/*
 * relayproc, with a netproc that was taken over.  Input: a byte of choices,
 * then records: which channel and how many descriptors, a length (u16), and a
 * record for that channel, which may be anything; a few are made right first,
 * so that slots are in use.  Others are what netproc or a remote host does with
 * its end of a flow, what a client or a peer sends, or a change of the host's
 * addresses (relay_host.h).
 *
 * Properties that no input may break: nothing is dialled or sent to that the
 * policy forbids, by whatever message; every descriptor is closed in the end;
 * what relayproc says to the parent and to netproc is right.
 */

#include <sys/socket.h>
#include <sys/stat.h>

#include <netinet/in.h>

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include <event2/event.h>

#include "ipc/channel.h"
#include "relayproc/relayproc.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/relay_host.h"

#define RECORDS_MAX 128
#define KIND_MADE   0x80 /* type and fields are put right */
#define KIND_DGRAM  0x40
#define KIND_FLOW   0x20 /* which, what, bytes: an act with a socket's end */
#define KIND_HOST   0x10 /* the parent: an address of the host comes or goes */
#define KIND_TIME   0x08 /* passes */

#define LENT_MAX 8
#define ACT_HOST 0x80 /* the remote host's end, not netproc's */

const char fuzz_name[] = "relayproc";

static struct {
	int lent[LENT_MAX]; /* what netproc was given, -1: closed */
	size_t nlent;
	struct channel parent, peer, dgram; /* the others' ends */
} host;

static int
make_channel(struct channel *far, enum role role, size_t record_max)
{
	int fds[2], end;

	FUZZ_CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0,
		       fds) == 0);
	end = fcntl(fds[1], F_DUPFD_CLOEXEC, HOST_FAR_FD);
	FUZZ_CHECK(end != -1);
	close(fds[1]);
	FUZZ_CHECK(channel_init(far, end, role, ROLE_RELAYPROC, record_max,
		       64) == 0);
	far->phase = IPC_RUN;
	return (fds[0]);
}

/* The first two of ends are those of a TCP and a UDP listener. */
static void
publish(struct relayproc *rp)
{
	const struct ipc_listener tcp = {
		.proto = IPPROTO_TCP,
		.guest_port = 80,
		.host_port = 8080,
		.bind = addr_from_ip4(0),
	};
	const struct ipc_listener udp = {
		.proto = IPPROTO_UDP,
		.guest_port = 53,
		.host_port = 5353,
		.bind = addr_from_ip4(0),
		.preserve = 1,
	};
	int tcp_fd;

	tcp_fd = relay_host_socket(SOCK_DGRAM | SOCK_NONBLOCK);
	relay_host.listener = relay_host_socket(SOCK_DGRAM | SOCK_NONBLOCK);
	FUZZ_CHECK(publish_add(rp, &tcp, tcp_fd) == 0);
	FUZZ_CHECK(udp_publish_add(rp, &udp, relay_host.listener) == 0);
	/* Of sockets that they were compared with nothing is left. */
	while (relay_host.nends > 2)
		close(relay_host.ends[--relay_host.nends]);
}

static void
configure(struct relayproc *rp)
{
	const struct ipc_config_relayproc config = {
		.gateway = addr_from_ip4(0x64600001),
		.address = addr_from_ip4(0x64600002),
		.prefix_len = 30,
		.max_assocs = 4,
		.max_assocs_in = 2,
		.max_flows = 4,
		.max_inbound = 2,
		.max_pending = 3,
		.max_pending_per_dst = 2,
		.connect_rate_per_s = 1000,
		.connect_burst = 1000,
		.connect_timeout_ms = 1000,
		.dns_timeout_ms = 1000,
		.dns_in_flight = 3,
		.splice = (relay_host.choices & HOST_SPLICE) != 0,
	};
	const struct ipc_host_service service = { 8080, 8081 };
	struct ipc_resolver resolver = { addr_from_ip4(0x0a000035), 53, 1 };
	struct ipc_rule rule = {
		.net = addr_from_ip4(0xcb007100),
		.prefix_len = 24,
		.action = RULE_ALLOW,
		.port_high = 65535,
	};

	rp->config = config;
	rp->hello = rp->configured = rp->config_done = 1;
	policy_configure(&rp->policy, &config);
	(void)policy_add_service(&rp->policy, &service);
	(void)policy_add_rule(&rp->policy, &rule);
	FUZZ_CHECK(addr_parse("2001:db8:1::", &rule.net) == 0);
	rule.prefix_len = 48;
	(void)policy_add_rule(&rp->policy, &rule);
	publish(rp);
	relayproc_setup(rp);
	FUZZ_CHECK(resolver_add(&rp->resolver, &resolver) == 0);
	resolver.addr = addr_from_ip4(0x0a000036);
	FUZZ_CHECK(resolver_add(&rp->resolver, &resolver) == 0);
}

/* Everybody hears what relayproc says; it must be right. */
static void
listen_to(struct channel *ch)
{
	enum channel_result result;
	struct ipc_msg msg;

	while ((result = channel_recv(ch, &msg)) == CHANNEL_MESSAGE) {
		if (msg.fd != -1 && host.nlent < LENT_MAX) {
			host.lent[host.nlent] = fcntl(msg.fd, F_DUPFD_CLOEXEC,
			    HOST_FAR_FD);
			FUZZ_CHECK(host.lent[host.nlent++] != -1);
		}
		channel_msg_done(&msg);
	}
	FUZZ_CHECK(result == CHANNEL_EMPTY || result == CHANNEL_CLOSED);
}

static void
turn(struct relayproc *rp)
{
	int i;

	for (i = 0; i < 3; i++) {
		relayproc_turn(rp, EVLOOP_NONBLOCK);
		listen_to(&host.parent);
		listen_to(&host.peer);
		listen_to(&host.dgram);
	}
}

/* Types and small numbers, so that the rest of the record is looked at. */
static void
make_right(uint8_t *bytes, size_t len, int dgram)
{
	static const uint32_t peer_types[] = { IPC_FLOW_OPEN, IPC_FLOW_CLOSE,
		IPC_FLOW_SHUT_WR };
	static const uint32_t dgram_types[] = { IPC_ASSOC_SEND, IPC_ASSOC_CLOSE,
		IPC_DNS_QUERY, IPC_DNS_DONE };
	struct ipc_hdr hdr = { 0 };

	if (len < sizeof(hdr))
		return;
	hdr.type = dgram ? dgram_types[bytes[0] % 4] : peer_types[bytes[0] % 3];
	hdr.flow = bytes[4] & 7;
	if ((bytes[4] & 0x80) != 0)
		hdr.flow |= FLOW_INBOUND_BIT;
	hdr.generation = bytes[8];
	memcpy(bytes, &hdr, sizeof(hdr));
}

/* What the two ends of a flow do to it between relayproc's turns. */
static void
act(const uint8_t *data, size_t len)
{
	static uint8_t bytes[65536];
	int *fd;

	if (len < 2)
		return;
	if ((data[1] & ACT_HOST) != 0 && relay_host.nends > 0)
		fd = &relay_host.ends[data[0] % relay_host.nends];
	else if ((data[1] & ACT_HOST) == 0 && host.nlent > 0)
		fd = &host.lent[data[0] % host.nlent];
	else
		return;
	switch (data[1] & 3) {
	case 0:
		if (len > 2)
			(void)send(*fd, data + 2, len - 2,
			    MSG_DONTWAIT | MSG_NOSIGNAL);
		else
			(void)send(*fd, bytes, (size_t)(data[1] & 0x7c) << 9,
			    MSG_DONTWAIT | MSG_NOSIGNAL);
		break;
	case 1:
		(void)recv(*fd, bytes, sizeof(bytes), MSG_DONTWAIT);
		break;
	case 2:
		(void)shutdown(*fd, SHUT_WR);
		break;
	default:
		if (*fd != -1)
			close(*fd);
		*fd = -1;
		break;
	}
}

/* The host gets 203.0.113.n, n below 8, or has it no more. */
static void
host_changes(uint8_t what)
{
	const uint32_t n = what & 7;
	const struct ipc_host_addr msg = {
		.addr = addr_from_ip4(0xcb007100 + n),
		.present = what >> 7,
	};

	if (msg.present)
		relay_host.own |= (uint8_t)(1 << n);
	else
		relay_host.own &= (uint8_t) ~(1 << n);
	FUZZ_CHECK(channel_send(&host.parent, IPC_HOST_ADDR, 0, 0, &msg,
		       sizeof(msg)) == 0);
}

/* Units and their number: a millisecond to half an hour at a time. */
static void
time_passes(uint8_t what)
{
	static const uint32_t unit_ms[] = { 1, 50, 1000, 30000 };

	relay_host.now_ms += (uint64_t)unit_ms[what >> 6] * (what & 63);
}

static void
say(struct relayproc *rp, uint8_t kind, const uint8_t *data, size_t len)
{
	uint8_t *bytes = malloc(len + 1);
	struct channel *ch = (kind & KIND_DGRAM) != 0 ? &host.dgram :
							&host.peer;

	FUZZ_CHECK(bytes != NULL);
	if (len > 0)
		memcpy(bytes, data, len);
	if (kind == KIND_FLOW || kind == KIND_HOST || kind == KIND_TIME) {
		if (kind == KIND_FLOW)
			act(bytes, len);
		else if (kind == KIND_HOST && len > 0)
			host_changes(bytes[0]);
		else if (len > 0)
			time_passes(bytes[0]);
		free(bytes);
		turn(rp);
		return;
	}
	if ((kind & KIND_MADE) != 0)
		make_right(bytes, len, (kind & KIND_DGRAM) != 0);
	if (ch->fd != -1)
		(void)send(ch->fd, bytes, len, MSG_DONTWAIT | MSG_NOSIGNAL);
	free(bytes);
	turn(rp);
}

static int
count_descriptors(void)
{
	struct stat st;
	int fd, n = 0;

	for (fd = 3; fd < HOST_FAR_FD + HOST_ENDS_MAX; fd++)
		n += fstat(fd, &st) == 0 &&
		    (S_ISSOCK(st.st_mode) || S_ISFIFO(st.st_mode));
	return (n);
}

static void
sink(enum log_level level, const char *text, void *arg)
{
	(void)level;
	(void)text;
	(void)arg;
}

static void
begin(struct relayproc *rp)
{
	const struct ipc_empty serve = { 0 };

	signal(SIGPIPE, SIG_IGN);
	relay_host.nends = host.nlent = 0;
	relay_host.own = 0;
	relay_host.now_ms = 1000000;
	relayproc_init(rp,
	    make_channel(&host.parent, ROLE_PARENT, IPC_RECORD_MAX),
	    make_channel(&host.peer, ROLE_NETPROC, IPC_RECORD_MAX),
	    make_channel(&host.dgram, ROLE_NETPROC, IPC_DGRAM_MAX));
	log_set_sink(sink, NULL);
	rp->base = event_base_new();
	FUZZ_CHECK(rp->base != NULL);
	configure(rp);
	host.parent.phase = IPC_SETUP;
	relayproc_ready(rp, 0);
	listen_to(&host.parent);
	host.parent.phase = IPC_RUN;
	FUZZ_CHECK(channel_send(&host.parent, IPC_SERVE, 0, 0, &serve,
		       sizeof(serve)) == 0);
	turn(rp);
}

static void
close_if_open(int fd)
{
	if (fd != -1)
		close(fd);
}

static void
check_given_back(struct relayproc *rp)
{
	int state;

	for (state = FLOW_WAITING; state < FLOW_FAILED; state++)
		FUZZ_CHECK(rp->flows.count[state] == 0);
	FUZZ_CHECK(rp->budget.pending == 0 && rp->budget.ndsts == 0);
	FUZZ_CHECK(rp->splices.pipes.nused == 0);
	FUZZ_CHECK(TAILQ_EMPTY(&rp->splices.again));
	FUZZ_CHECK(TAILQ_EMPTY(&rp->splices.hungry));
	FUZZ_CHECK(TAILQ_EMPTY(&rp->resolver.in_flight));
	FUZZ_CHECK(rp->resolver.held == NULL);
	FUZZ_CHECK(TAILQ_EMPTY(&rp->assocs.used));
	FUZZ_CHECK(TAILQ_EMPTY(&rp->assocs.peers.used));
	FUZZ_CHECK(TAILQ_EMPTY(&rp->records.waiting));
}

static void
end(struct relayproc *rp)
{
	relayproc_end(rp);
	check_given_back(rp);
	relayproc_free(rp);
	channel_close(&host.parent);
	channel_close(&host.peer);
	channel_close(&host.dgram);
	while (host.nlent > 0)
		close_if_open(host.lent[--host.nlent]);
	while (relay_host.nends > 0)
		close_if_open(relay_host.ends[--relay_host.nends]);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct relayproc relayproc;
	const int before = count_descriptors();
	size_t len;
	int n;

	if (size == 0)
		return (0);
	relay_host.choices = data[0];
	begin(&relayproc);
	data++;
	size--;
	for (n = 0; n < RECORDS_MAX && size >= 3; n++) {
		len = (size_t)data[1] << 8 | data[2];
		if (len > size - 3)
			len = size - 3;
		say(&relayproc, data[0], data + 3, len);
		data += 3 + len;
		size -= 3 + len;
	}
	end(&relayproc);
	FUZZ_CHECK(count_descriptors() == before);
	return (0);
}
