/*
 * netproc is made once, by its own code, from a configuration with few slots,
 * so that short inputs run out of them.  Between two inputs the guest goes,
 * and everything must have been given back.
 *
 * File-scope state: netproc itself, the ends around it, a count of numbers
 * that pass for random.
 */

#include <sys/socket.h>
#include <sys/stat.h>

#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lwip/netif.h"
#include "lwip/priv/tcp_priv.h"

#include "ipc/journal.h"
#include "netproc/flow/turn.h"
#include "netproc/gateway/gateway.h"
#include "netproc/link/link.h"
#include "sandbox/isolate.h"
#include "tests/fuzz/whole.h"

#ifdef __has_feature
#if __has_feature(memory_sanitizer)
#include <sanitizer/msan_interface.h>
#define WITH_MSAN 1
#endif
#endif

#define CHOICE_BIG_MTU	  0x01
#define CHOICE_IP6	  0x02
#define CHOICE_OPEN	  0x04 /* relayproc connects at once */
#define CHOICE_SMALL_LINK 0x08

#define FAR_FD	      64 /* the others' ends are not among netproc's */
#define RING	      1024
#define TURNS_MAX     2000
#define CANARY_BLOCKS 16

struct whole whole;
volatile int whole_starving;
static struct netproc netproc;
static uint32_t random_count;
static channel_lost *relay_lost;
static int small_link;

#define STRING(x)  STRING2(x)
#define STRING2(x) #x

/* Fresh memory holds WHOLE_CANARY, 202, whoever allocates it. */
const char *__asan_default_options(void);
const char *
__asan_default_options(void)
{
	return ("max_malloc_fill_size=1000000000:malloc_fill_byte=202");
}

/* The jail's fences, which a test has not. */
int
isolate_self(enum role role, int strict, uint32_t *missed)
{
	(void)role;
	(void)strict;
	(void)missed;
	return (0);
}

int
isolate_set_nofile(rlim_t nofile)
{
	(void)nofile;
	return (0);
}

int
sandbox_lock(enum role role, int spliced, int strict, uint32_t *missed)
{
	(void)spliced;
	return (isolate_self(role, strict, missed));
}

/* The same in every run; never the canary. */
uint32_t
arc4random(void)
{
	return (++random_count * 0x9e3779b1u & 0x7f7f7f7fu);
}

void
arc4random_buf(void *bytes, size_t len)
{
	memset(bytes, 0x5a, len);
}

static void
sink(enum log_level level, const char *text, void *arg)
{
	(void)arg;
	whole_scan(text, strlen(text));
	/* fatal() and fatalx() say so before they end the process. */
	if (level == LOG_LEVEL_ERROR) {
		fprintf(stderr, "netproc: %s\n", text);
		abort();
	}
}

/* A channel's two ends, netproc's at the number that it expects. */
static void
make_channel(struct channel *far, int fd, enum role role, size_t record_max)
{
	int fds[2], end;

	FUZZ_CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0,
		       fds) == 0);
	end = fcntl(fds[1], F_DUPFD_CLOEXEC, FAR_FD);
	FUZZ_CHECK(end != -1);
	close(fds[1]);
	if (fds[0] != fd) {
		FUZZ_CHECK(dup2(fds[0], fd) == fd);
		if (fds[0] != FD_PARENT && fds[0] != FD_PEER)
			close(fds[0]);
	}
	FUZZ_CHECK(channel_init(far, end, role, ROLE_NETPROC, record_max,
		       RING) == 0);
}

static void
tell(enum ipc_type type, const void *payload)
{
	struct ipc_msg msg = { .payload = payload, .fd = -1 };

	msg.hdr.type = type;
	if (type == IPC_CONFIG_JOURNAL)
		msg.fd = journal_create(64);
	FUZZ_CHECK(netproc_from_parent(&whole.np->parent, &msg, whole.np) ==
	    IPC_OK);
	channel_msg_done(&msg);
}

static void
configure(void)
{
	const struct ipc_hello hello = { ipc_proto_hash(), ROLE_NETPROC,
		LOG_LEVEL_DEBUG };
	const struct ipc_empty empty = { 0 };
	const struct ipc_config_done done = { .records = 2 };
	struct ipc_config_netproc cfg = {
		.address = addr_from_ip4(0x64600002),
		.gateway = addr_from_ip4(0x64600001),
		.prefix_len = 30,
		.prefix_len6 = 64,
		.mtu = 1500,
		.gateway_mac = { 2, 0x53, 0x4d, 0, 0, 1 },
		.guest_mac_auto = 1,
		.lease_s = 86400,
		.max_flows = 6,
		.max_inbound = 3,
		.max_assocs = 3,
		.max_assocs_in = 3,
		.dns_in_flight = 3,
		.nsearch = 1,
		.search = { "example.org" },
	};

	FUZZ_CHECK(addr_parse("fd53:4d00::2", &cfg.address6) == 0);
	FUZZ_CHECK(addr_parse("fd53:4d00::1", &cfg.gateway6) == 0);
	tell(IPC_HELLO, &hello);
	log_set_sink(sink, NULL);
	tell(IPC_CONFIG_NETPROC, &cfg);
	tell(IPC_CONFIG_JOURNAL, &empty);
	tell(IPC_CONFIG_DONE, &done);
}

/* Once, before anybody else opens descriptors 3 to 5. */
void
whole_start(void)
{
	struct netproc *np = &netproc;

	mallopt(M_PERTURB, (uint8_t)~WHOLE_CANARY);
	signal(SIGPIPE, SIG_IGN);
	whole.np = np;
	whole.now_ms = 1000000;
	whole.vmm = -1;
	np->frame_fd = -1;
	make_channel(&whole.parent, FD_PARENT, ROLE_PARENT, IPC_RECORD_MAX);
	make_channel(&whole.relay, FD_PEER, ROLE_RELAYPROC, IPC_RECORD_MAX);
	make_channel(&whole.dgram, FD_DGRAM, ROLE_RELAYPROC, IPC_DGRAM_MAX);
	FUZZ_CHECK(channel_init(&np->parent, FD_PARENT, ROLE_NETPROC,
		       ROLE_PARENT, IPC_RECORD_MAX, 256) == 0);
	configure();
	netproc_wake(np);
	netproc_prepare(np);
	whole_relay_listen();
	np->parent.phase = np->relay.phase = np->dgram.phase = IPC_RUN;
	whole.parent.phase = whole.relay.phase = whole.dgram.phase = IPC_RUN;
	relay_lost = np->ev_relay.lost;
}

/* The parent ends a relayproc that broke the protocol; here it goes on. */
static void
restart_relay(struct channel_event *ce, struct channel *ch)
{
	if (ce->ev_read != NULL)
		return;
	FUZZ_CHECK(whole.tainted); /* by whole_relay_raw() alone */
	FUZZ_CHECK(channel_event_start(ce, whole.np->base, ch,
		       netproc_from_relay, relay_lost, whole.np) == 0);
}

/* 1 if the others had something to hear or to read. */
static int
others_act(struct netproc *np)
{
	static uint64_t nsent;
	static size_t written;
	int acted;

	acted = whole_relay_listen();
	FUZZ_CHECK(channel_flush(&whole.relay) != -1);
	FUZZ_CHECK(channel_flush(&whole.dgram) != -1);
	restart_relay(&np->ev_relay, &np->relay);
	restart_relay(&np->ev_dgram, &np->dgram);
	if (whole.vmm_paused ||
	    (nsent == np->writer.nsent && written == np->writer.written &&
		np->frame_fd != -1))
		return (acted);
	nsent = np->writer.nsent;
	written = np->writer.written;
	return (acted | whole_vmm_read(0));
}

/* lwIP asks an idle guest, of which the flow knows nothing. */
static int
is_asked(const struct flow *flow)
{
	return (flow->pcb != NULL && flow->pcb->keep_cnt_sent > 0);
}

/* Whatever needs the tick, or room on the link, is awake. */
static void
check_asleep(struct netproc *np)
{
	const struct demux_bucket *bucket;
	const struct tcp_pcb *pcb;
	const struct flow *flow;
	uint32_t i;

	TAILQ_FOREACH(flow, &np->flows.active, entry)
		FUZZ_CHECK(flow->is_awake || turn_may_sleep(flow) ||
		    is_asked(flow));
	for (i = 0; i < np->demux.nbuckets; i++) {
		bucket = &np->demux.buckets[i];
		FUZZ_CHECK(bucket->is_awake || bucket->time_wait == NULL);
		for (pcb = bucket->active; pcb != NULL; pcb = pcb->next)
			FUZZ_CHECK(bucket->is_awake || demux_is_quiet(pcb));
	}
}

void
whole_settle(void)
{
	unsigned int before;
	int more = 0, n;

	for (n = 0; n < TURNS_MAX; n++) {
		before = whole_nevents;
		whole_starving = 1;
		more = netproc_turn(whole.np, more);
		whole_starving = 0;
		check_asleep(whole.np);
		if (!others_act(whole.np) && !more && whole_nevents == before)
			return;
	}
	FUZZ_CHECK(n < TURNS_MAX);
}

static void
take_bytes(struct whole_bytes *in, void *to, size_t size)
{
	const size_t n = in->left < size ? in->left : size;

	memset(to, 0, size);
	if (n > 0)
		memcpy(to, in->at, n);
	in->at += n;
	in->left -= n;
}

/*
 * The journal of a predecessor that may have been taken over: names of some of
 * the guest's connections, then what it says of the streams, as it stands.
 */
static void
inherit(struct netproc *np, struct whole_bytes *in)
{
	struct journal *journal = np->journal;
	const uint8_t names = whole_u8(in);
	const uint32_t current = whole_u8(in);
	struct journal_name name;
	uint32_t c;

	for (c = 0; c < WHOLE_OUT; c++) {
		if ((names >> c & 1) == 0)
			continue;
		memset(&name, 0, sizeof(name));
		name.used = 1;
		name.peer = whole.conns[c].peer;
		name.guest = name.peer.family == 6 ? np->cfg.address6 :
						     np->cfg.address;
		name.peer_port = whole.conns[c].peer_port;
		name.guest_port = whole.conns[c].guest_port;
		journal_name_set(journal, c, &name);
	}
	journal->current = current;
	journal->write_current = current;
	take_bytes(in, &journal->read[current & 1], sizeof(journal->read[0]));
	take_bytes(in, &journal->write[current & 1], sizeof(journal->write[0]));
	take_bytes(in, &journal->guest, sizeof(journal->guest));
	take_bytes(in, &journal->names[WHOLE_OUT], sizeof(name));
	take_bytes(in, journal->buf, 64);
	free(np->orphans.buckets);
	free(np->orphans.next);
	memset(&np->orphans, 0, sizeof(np->orphans));
	FUZZ_CHECK(orphans_find(np) == 0);
}

void
whole_attach(struct whole_bytes *journal)
{
	const struct ipc_frame frame = {
		.kind = FRAME_STREAM,
		.resumed = journal != NULL,
	};
	const int size = 4096;
	int fds[2];

	if (whole.np->frame_fd != -1)
		return;
	if (whole.vmm != -1)
		close(whole.vmm);
	FUZZ_CHECK(socketpair(AF_UNIX,
		       SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0,
		       fds) == 0);
	if (small_link)
		setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	whole.vmm = fcntl(fds[1], F_DUPFD_CLOEXEC, FAR_FD);
	close(fds[1]);
	whole.in_len = 0;
	whole.in_step = journal == NULL;
	if (journal != NULL)
		inherit(whole.np, journal);
	FUZZ_CHECK(channel_lend_fd(&whole.parent, IPC_FRAME, 0, 0, &frame,
		       sizeof(frame), fds[0]) == 0);
	close(fds[0]);
	whole_settle();
}

/* The connections that the guest may begin. */
static void
make_conns(void)
{
	static const char *const peers[][2] = {
		{ "192.0.2.7", "2001:db8::7" },
		{ "100.96.0.1", "fd53:4d00::1" },
		{ "192.0.2.8", "2001:db8::8" },
		{ "100.96.0.1", "fd53:4d00::1" },
	};
	static const uint16_t ports[] = { 80, 53, 443, 8080 };
	struct whole_conn *conn;
	int c;

	memset(whole.conns, 0, sizeof(whole.conns));
	for (c = 0; c < WHOLE_OUT; c++) {
		conn = &whole.conns[c];
		conn->used = 1;
		FUZZ_CHECK(addr_parse(peers[c >> 1][c & 1], &conn->peer) == 0);
		conn->peer_port = ports[c >> 1];
		conn->guest_port = (uint16_t)(WHOLE_SPORT + c);
		conn->iss = conn->snd_nxt = 0xfffff000u + (uint32_t)c;
		conn->remote = -1;
	}
}

static void
set_mtu(struct netproc *np, uint32_t mtu)
{
	np->cfg.mtu = mtu;
	np->shield.mtu = mtu;
	np->dhcp.mtu = mtu;
	np->ra.mtu = mtu;
	netif_default->mtu = (u16_t)mtu;
}

/* What is in it must not be seen: a pattern, or what MSan calls unwritten. */
static void
make_stale(void *bytes, size_t len)
{
#ifdef WITH_MSAN
	__msan_allocated_memory(bytes, len);
#else
	memset(bytes, WHOLE_CANARY, len);
#endif
}

/* Buffers that are used again hold what nobody may see. */
static void
fill_canary(struct netproc *np)
{
	const struct block *block;
	int n = 0;

	make_stale(np->scratch, GATEWAY_FRAME_MAX);
	make_stale(np->scratch_fragment, GATEWAY_FRAME_MAX);
	STAILQ_FOREACH(block, &np->blocks.free, entry) {
		make_stale(block->data, BLOCK_SIZE);
		if (++n == CANARY_BLOCKS)
			break;
	}
}

void
whole_begin(uint8_t choices)
{
	struct netproc *np = &netproc;

	if (whole.np == NULL)
		whole_start();
	whole.now_ms = 1000000;
	tcp_ticks = 0;
	random_count = 0;
	np->ip_id = 0;
	np->next_port = 0;
	np->fragment_id = 0;
	np->ip6_on = (choices & CHOICE_IP6) != 0;
	np->ip6_offered = 0;
	memset(&np->icmp_limit, 0, sizeof(np->icmp_limit));
	memset(&np->lease_limit, 0, sizeof(np->lease_limit));
	small_link = (choices & CHOICE_SMALL_LINK) != 0;
	whole.open_at_once = (choices & CHOICE_OPEN) != 0;
	whole.vmm_paused = 0;
	whole.split = 0;
	whole.tainted = 0;
	whole.ip_id = 0;
	set_mtu(np, (choices & CHOICE_BIG_MTU) != 0 ? 65520 : 1500);
	fill_canary(np);
	make_conns();
	whole_attach(NULL);
}

/* What a hostile relayproc has said may leave slots that wait for it. */
static void
release_slots(struct netproc *np)
{
	struct ipc_msg msg = { .fd = -1 };
	const struct ipc_empty empty = { 0 };
	struct flow *flow;

	while ((flow = TAILQ_FIRST(&np->flows.active)) != NULL) {
		FUZZ_CHECK(whole.tainted && flow->state == FLOW_CLOSING);
		msg.hdr.type = IPC_FLOW_CLOSED;
		msg.hdr.flow = flow_wire_slot(&np->flows, flow);
		msg.hdr.generation = flow->generation;
		msg.payload = &empty;
		FUZZ_CHECK(netproc_from_relay(&np->relay, &msg, np) == IPC_OK);
	}
}

static void
check_given_back(struct netproc *np)
{
	uint32_t i;

	FUZZ_CHECK(np->frame_fd == -1);
	release_slots(np);
	FUZZ_CHECK(np->flows.nactive == 0);
	FUZZ_CHECK(TAILQ_EMPTY(&np->touched) && TAILQ_EMPTY(&np->again));
	FUZZ_CHECK(TAILQ_EMPTY(&np->looks));
	FUZZ_CHECK(TAILQ_EMPTY(&np->acks) && np->ahead_bytes == 0);
	FUZZ_CHECK(np->assocs.nactive == 0 && np->assocs.nactive_in == 0);
	FUZZ_CHECK(np->batch.assoc == NULL);
	FUZZ_CHECK(np->dns.nused == 0);
	FUZZ_CHECK(np->blocks.nfree == np->blocks.nblocks);
	FUZZ_CHECK(np->writer.count == 0 && np->writer.bytes == 0);
	FUZZ_CHECK(np->writer.streams == 0 && !np->moderation.stopped);
	FUZZ_CHECK(np->parent.count == 0 && np->relay.count == 0);
	FUZZ_CHECK(fragment_deadline(&np->fragments) == UINT64_MAX);
	FUZZ_CHECK(tcp_active_pcbs == NULL && tcp_tw_pcbs == NULL);
	for (i = 0; i < np->demux.nbuckets; i++) {
		FUZZ_CHECK(np->demux.buckets[i].active == NULL);
		FUZZ_CHECK(np->demux.buckets[i].time_wait == NULL);
	}
	for (i = 0; i < 2 * np->journal->nslots; i++)
		FUZZ_CHECK(!np->journal->names[i].used);
	for (i = 0; i < DNS_FLOWS_MAX; i++)
		FUZZ_CHECK(!np->dns_flows.flow[i].used);
}

/* Whatever is still due comes, an advertisement last; then nothing does. */
static void
check_sleeps(void)
{
	uint64_t at;

	whole_pass_time(60 * 1000);
	whole_pass_time(300 * 1000);
	FUZZ_CHECK(!whole_due(&at));
}

/* Descriptors of netproc's, which are all sockets; a fuzzer has others. */
static int
count_sockets(void)
{
	struct stat st;
	int fd, n = 0;

	for (fd = FD_FIRST_DYNAMIC; fd < FAR_FD; fd++)
		n += fstat(fd, &st) == 0 && S_ISSOCK(st.st_mode);
	return (n);
}

void
whole_end(void)
{
	whole.vmm_paused = 1;
	if (whole.vmm != -1)
		close(whole.vmm);
	whole.vmm = -1;
	whole_relay_forget();
	whole_settle();
	check_sleeps();
	check_given_back(whole.np);
	FUZZ_CHECK(count_sockets() == 0);
}
