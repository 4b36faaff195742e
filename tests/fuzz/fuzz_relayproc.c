/*
 * relayproc, with a netproc that was taken over.  Input: a byte of choices,
 * then records: which channel and how many descriptors, a length (u16), and a
 * record for that channel, which may be anything; a few are made right first,
 * so that slots are in use.  Others are what netproc or a remote host does with
 * its end of a flow.  The host's sockets are stand-ins (--wrap): no packet
 * leaves.
 *
 * Properties that no input may break: nothing is dialled or sent to that the
 * policy forbids, by whatever message; every descriptor is closed in the end;
 * what relayproc says to the parent and to netproc is right.
 */

#include <sys/socket.h>
#include <sys/stat.h>

#include <netinet/in.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include <event2/event.h>

#include "ipc/channel.h"
#include "relayproc/relayproc.h"
#include "tests/fuzz/fuzz.h"

#define RECORDS_MAX 128
#define FAR_FD	    200
#define ENDS_MAX    256

#define CHOICE_IN_PROGRESS 0x01 /* connects take a while */
#define CHOICE_REFUSED	   0x02
#define CHOICE_SEND_FAILS  0x04
#define CHOICE_SPLICE	   0x08

#define KIND_MADE  0x80 /* type and fields are put right */
#define KIND_DGRAM 0x40
#define KIND_FLOW  0x20 /* which, what: an act with an end of a flow */

#define LENT_MAX 8
#define ACT_HOST 0x80 /* the remote host's end, not netproc's */

const char fuzz_name[] = "relayproc";

static struct {
	uint8_t choices;
	int ends[ENDS_MAX]; /* the far ends of the stand-ins */
	size_t nends;
	int lent[LENT_MAX]; /* what netproc was given, -1: closed */
	size_t nlent;
	struct channel parent, peer, dgram; /* the others' ends */
} host;

int __wrap_socket(int family, int type, int proto);
int __wrap_connect(int fd, const struct sockaddr *sa, socklen_t len);
int __wrap_setsockopt(int fd, int level, int name, const void *value,
    socklen_t len);
int __wrap_getsockopt(int fd, int level, int name, void *value, socklen_t *len);
int __wrap_getsockname(int fd, struct sockaddr *sa, socklen_t *len);
int __wrap_sendmmsg(int fd, struct mmsghdr *msgs, unsigned int n, int flags);
int __wrap_recvmmsg(int fd, struct mmsghdr *msgs, unsigned int n, int flags,
    struct timespec *timeout);

/*
 * 203.0.113.0/24 and 2001:db8:1::/48 are allowed, the first behind NAT64 too
 * (RFC 6052); and what is ours.
 */
static int
is_allowed(const struct sockaddr *sa)
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
	static const uint8_t nat64[12] = { 0, 0x64, 0xff, 0x9b };
	const struct sockaddr_in *v4 = (const void *)sa;
	const struct sockaddr_in6 *v6 = (const void *)sa;
	const uint8_t *ip = (const void *)&v4->sin_addr;
	const uint16_t port = ntohs(v4->sin_port); /* of both */

	if (sa->sa_family == AF_INET6 &&
	    memcmp(&v6->sin6_addr, nat64, sizeof(nat64)) == 0)
		return (memcmp(v6->sin6_addr.s6_addr + 12, "\xcb\0\x71", 3) ==
		    0);
	if (sa->sa_family == AF_INET6 &&
	    memcmp(&v6->sin6_addr, mapped, sizeof(mapped)) != 0)
		return (memcmp(&v6->sin6_addr, "\x20\1\x0d\xb8\0\1", 6) == 0);
	if (sa->sa_family == AF_INET6)
		ip = v6->sin6_addr.s6_addr + 12;
	if (memcmp(ip, "\x7f\0\0\1", 4) == 0)
		return (port == 8081); /* the host service */
	if (memcmp(ip, "\x0a\0\0\x35", 4) == 0)
		return (port == 53); /* the resolver */
	return (memcmp(ip, "\xcb\0\x71", 3) == 0);
}

int
__wrap_socket(int family, int type, int proto)
{
	int fds[2];

	(void)family;
	(void)proto;
	if (host.nends == ENDS_MAX) {
		errno = EMFILE;
		return (-1);
	}
	FUZZ_CHECK(socketpair(AF_UNIX, type, 0, fds) == 0);
	host.ends[host.nends] = fcntl(fds[1], F_DUPFD_CLOEXEC, FAR_FD);
	FUZZ_CHECK(host.ends[host.nends++] != -1);
	close(fds[1]);
	return (fds[0]);
}

int
__wrap_connect(int fd, const struct sockaddr *sa, socklen_t len)
{
	(void)fd;
	(void)len;
	if (sa->sa_family == AF_UNSPEC)
		return (0);
	FUZZ_CHECK(is_allowed(sa));
	if ((host.choices & CHOICE_IN_PROGRESS) == 0)
		return (0);
	errno = EINPROGRESS;
	return (-1);
}

int
__wrap_setsockopt(int fd, int level, int name, const void *value, socklen_t len)
{
	(void)fd;
	(void)level;
	(void)name;
	(void)value;
	(void)len;
	return (0);
}

int
__wrap_getsockopt(int fd, int level, int name, void *value, socklen_t *len)
{
	(void)fd;
	memset(value, 0, *len);
	if (level == SOL_SOCKET && name == SO_ERROR &&
	    (host.choices & CHOICE_REFUSED) != 0)
		*(int *)value = ECONNREFUSED;
	return (0);
}

int
__wrap_getsockname(int fd, struct sockaddr *sa, socklen_t *len)
{
	struct sockaddr_in sin = { .sin_family = AF_INET, .sin_port = 1 };

	(void)fd;
	memcpy(sa, &sin, *len < sizeof(sin) ? *len : sizeof(sin));
	*len = sizeof(sin);
	return (0);
}

int
__wrap_sendmmsg(int fd, struct mmsghdr *msgs, unsigned int n, int flags)
{
	unsigned int i;

	(void)fd;
	(void)flags;
	for (i = 0; i < n; i++) {
		if (msgs[i].msg_hdr.msg_name != NULL)
			FUZZ_CHECK(is_allowed(msgs[i].msg_hdr.msg_name));
		msgs[i].msg_len = 1;
	}
	if ((host.choices & CHOICE_SEND_FAILS) == 0)
		return ((int)n);
	errno = ENETUNREACH;
	return (-1);
}

/* Nobody answers.  What an act has sent is taken, or its event stays. */
int
__wrap_recvmmsg(int fd, struct mmsghdr *msgs, unsigned int n, int flags,
    struct timespec *timeout)
{
	uint8_t byte;

	while (recv(fd, &byte, sizeof(byte), MSG_DONTWAIT) != -1)
		continue;
	(void)msgs;
	(void)n;
	(void)flags;
	(void)timeout;
	errno = EAGAIN;
	return (-1);
}

static int
make_channel(struct channel *far, enum role role, size_t record_max)
{
	int fds[2], end;

	FUZZ_CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0,
		       fds) == 0);
	end = fcntl(fds[1], F_DUPFD_CLOEXEC, FAR_FD);
	FUZZ_CHECK(end != -1);
	close(fds[1]);
	FUZZ_CHECK(channel_init(far, end, role, ROLE_RELAYPROC, record_max,
		       64) == 0);
	far->phase = IPC_RUN;
	return (fds[0]);
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
		.splice = (host.choices & CHOICE_SPLICE) != 0,
	};
	const struct ipc_host_service service = { 8080, 8081 };
	const struct ipc_resolver resolver = { addr_from_ip4(0x0a000035), 53,
		1 };
	struct ipc_rule rule = {
		.net = addr_from_ip4(0xcb007100),
		.prefix_len = 24,
		.action = RULE_ALLOW,
		.port_high = 65535,
	};

	rp->config = config;
	rp->configured = rp->config_done = 1;
	policy_configure(&rp->policy, &config);
	(void)policy_add_service(&rp->policy, &service);
	(void)policy_add_rule(&rp->policy, &rule);
	FUZZ_CHECK(addr_parse("2001:db8:1::", &rule.net) == 0);
	rule.prefix_len = 48;
	(void)policy_add_rule(&rp->policy, &rule);
	relayproc_setup(rp);
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
			    FAR_FD);
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
	if ((data[1] & ACT_HOST) != 0 && host.nends > 0)
		fd = &host.ends[data[0] % host.nends];
	else if ((data[1] & ACT_HOST) == 0 && host.nlent > 0)
		fd = &host.lent[data[0] % host.nlent];
	else
		return;
	switch (data[1] & 3) {
	case 0:
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

static void
say(struct relayproc *rp, uint8_t kind, const uint8_t *data, size_t len)
{
	uint8_t *bytes = malloc(len + 1);
	struct channel *ch = (kind & KIND_DGRAM) != 0 ? &host.dgram :
							&host.peer;

	FUZZ_CHECK(bytes != NULL);
	if (len > 0)
		memcpy(bytes, data, len);
	if (kind == KIND_FLOW) {
		act(bytes, len);
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

	for (fd = 3; fd < FAR_FD + ENDS_MAX; fd++)
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
	signal(SIGPIPE, SIG_IGN);
	host.nends = host.nlent = 0;
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
}

static void
close_if_open(int fd)
{
	if (fd != -1)
		close(fd);
}

static void
end(struct relayproc *rp)
{
	relayproc_end(rp);
	relayproc_free(rp);
	channel_close(&host.parent);
	channel_close(&host.peer);
	channel_close(&host.dgram);
	while (host.nlent > 0)
		close_if_open(host.lent[--host.nlent]);
	while (host.nends > 0)
		close_if_open(host.ends[--host.nends]);
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
	host.choices = data[0];
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
