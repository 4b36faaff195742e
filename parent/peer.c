/*
 * A child as the parent sees it.  Its life is judged by its pidfd alone: a
 * zero-length record looks like the end of a channel, so a child that closes
 * its channel is killed and its end is what the kernel then says.
 */

#include <sys/wait.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include <event2/event.h>

#include "ipc/clock.h"
#include "parent/parent.h"

/*
 * Records that wait for a child at run time: FRAME, STOP, and each address of
 * the host's, as a link with all of them may come or go at once.
 */
#define PEER_RING (256 + HOST_ADDRS_FULL)

/* Lines that a child may log; beyond, they are counted. */
#define PEER_LOG_LINES_PER_S 200

/*
 * How long a child may look dead to the other, by a channel that has ended,
 * before its pidfd says so.
 */
#define PEER_DOUBT_MS 200

/* Most messages read of a child that has ended already. */
#define PEER_LAST_WORDS 1024

void
peer_init(struct peer *peer, struct parent *parent, enum role role)
{
	memset(peer, 0, sizeof(*peer));
	peer->parent = parent;
	peer->channel.fd = -1;
	peer->log_limit.lines_per_s = PEER_LOG_LINES_PER_S;
	child_init(&peer->child, role);
}

/* It broke the protocol: who, what, how. */
static void
broke(struct peer *peer, enum ipc_error error, uint32_t type)
{
	char cause[128];

	snprintf(cause, sizeof(cause), "broke the protocol with %s: %s",
	    ipc_name(type), ipc_strerror(error));
	peer_lost(peer, cause);
}

static void
on_channel_lost(struct channel *ch, enum channel_result why, void *arg)
{
	struct peer *peer = arg;

	if (why == CHANNEL_VIOLATION)
		broke(peer, ch->error, ch->error_type);
	else
		peer_lost(peer, NULL);
}

static void
on_exit(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	peer_lost(arg, NULL);
}

int
peer_watch(struct peer *peer, channel_dispatch *dispatch)
{
	struct event_base *base = peer->parent->base;

	if (channel_init(&peer->channel, peer->child.channel_fd, ROLE_PARENT,
		peer->child.role, IPC_RECORD_MAX, PEER_RING) == -1)
		return (-1);
	peer->child.channel_fd = -1;
	peer->ev_exit = event_new(base, peer->child.pidfd, EV_READ, on_exit,
	    peer);
	if (peer->ev_exit == NULL || event_add(peer->ev_exit, NULL) == -1) {
		errno = ENOMEM;
		return (-1);
	}
	if (cpu_alarm_start(&peer->alarm, peer->child.pid) == -1)
		return (-1);
	return (channel_event_start(&peer->channel_event, base, &peer->channel,
	    dispatch, on_channel_lost, peer));
}

enum ipc_error
peer_hello_ack(struct peer *peer, const void *payload)
{
	const struct ipc_hello *hello = payload;

	if (peer->hello_acked)
		return (IPC_E_STATE);
	if (hello->proto_hash != ipc_proto_hash() ||
	    hello->role != (uint32_t)peer->child.role)
		return (IPC_E_FIELD);
	peer->hello_acked = 1;
	if (peer->parent->state != PARENT_STOPPING)
		configure_child(peer);
	return (IPC_OK);
}

enum ipc_error
peer_ready(struct peer *peer, const void *payload)
{
	const struct ipc_ready *ready = payload;
	struct parent *parent = peer->parent;

	if (!peer->hello_acked || ready->reserved != 0)
		return (IPC_E_STATE);
	peer->ready = 1;
	peer->missed = peer->child.missed | ready->missed;
	if (peer->channel.phase == IPC_SETUP)
		peer->channel.phase = IPC_RUN;
	if (!parent->netproc.ready || !parent->relayproc.ready ||
	    parent->state == PARENT_STOPPING)
		return (IPC_OK);
	if (parent->state == PARENT_SETUP)
		event_base_loopbreak(parent->base);
	else
		respawn_ready(parent);
	return (IPC_OK);
}

enum ipc_error
peer_log(struct peer *peer, const void *payload)
{
	const struct ipc_log *log = payload;
	const char *name = role_name(peer->child.role);
	uint64_t suppressed = 0;
	char text[64];

	if (log->level >= LOG_LEVEL_N ||
	    memchr(log->text, '\0', sizeof(log->text)) == NULL)
		return (IPC_E_FIELD);
	if (!log_limit_ok(&peer->log_limit, clock_now_ms(), &suppressed))
		return (IPC_OK);
	if (suppressed > 0) {
		snprintf(text, sizeof(text), "%llu lines suppressed",
		    (unsigned long long)suppressed);
		log_line(LOG_LEVEL_WARN, name, text);
	}
	log_line((enum log_level)log->level, name, log->text);
	return (IPC_OK);
}

/* It was told to, alone or with all of us. */
static int
is_stopping(const struct peer *peer)
{
	return (peer->parent->state == PARENT_STOPPING ||
	    peer->channel.phase == IPC_DRAIN);
}

/*
 * netproc may lie, and relayproc alone knows what was carried: it goes as well,
 * but has its say.
 */
static void
accused_lost(struct peer *accused, const char *cause)
{
	struct parent *parent = accused->parent;

	if (accused != &parent->relayproc || parent->state != PARENT_RUN ||
	    parent->respawn.stage != RESPAWN_NONE) {
		peer_lost(accused, cause);
		return;
	}
	log_error("lost %s: %s", role_name(accused->child.role), cause);
	respawn_accused(parent);
}

static void
on_doubt(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	accused_lost(arg, "looks dead to the other, and is not");
}

/* The end of a channel is seen before the end of a process, or without it. */
static void
doubt(struct peer *peer)
{
	if (peer->ev_exit == NULL || is_stopping(peer))
		return;
	if (peer->ev_doubt == NULL)
		peer->ev_doubt = event_new(peer->parent->base, -1, 0, on_doubt,
		    peer);
	if (peer->ev_doubt == NULL)
		fatalx("no memory for a timer");
	run_timer_set(peer->ev_doubt, PEER_DOUBT_MS);
}

static void
doubt_end(struct peer *peer)
{
	if (peer->ev_doubt != NULL)
		event_free(peer->ev_doubt);
	peer->ev_doubt = NULL;
}

/* One child accuses the other. */
enum ipc_error
peer_violation(struct peer *peer, const void *payload)
{
	const struct ipc_violation *violation = payload;
	struct parent *parent = peer->parent;
	struct peer *accused;
	char cause[160];

	if (violation->error >= IPC_NERRORS || violation->reserved != 0)
		return (IPC_E_FIELD);
	if (violation->role == ROLE_NETPROC)
		accused = &parent->netproc;
	else if (violation->role == ROLE_RELAYPROC)
		accused = &parent->relayproc;
	else
		return (IPC_E_FIELD);
	if (accused == peer)
		return (IPC_E_FIELD);
	if (violation->error == IPC_E_CLOSED) {
		doubt(accused);
		return (IPC_OK);
	}
	snprintf(cause, sizeof(cause),
	    "broke the protocol with %s: %s (says %s)",
	    ipc_name(violation->type),
	    ipc_strerror((enum ipc_error)violation->error),
	    role_name(peer->child.role));
	accused_lost(accused, cause);
	return (IPC_OK);
}

/* What it said before it ended: often the reason. */
static void
last_words(struct peer *peer)
{
	enum channel_result result;
	struct ipc_msg msg;
	int i;

	for (i = 0; i < PEER_LAST_WORDS && peer->channel.fd != -1; i++) {
		result = channel_recv(&peer->channel, &msg);
		/* ECONNRESET, that it left something unread, comes first. */
		if (result == CHANNEL_ERROR)
			continue;
		if (result != CHANNEL_MESSAGE)
			return;
		if (msg.hdr.type == IPC_LOG)
			peer_log(peer, msg.payload);
		else if (msg.hdr.type == IPC_GUEST_MAC ||
		    msg.hdr.type == IPC_FRAME_GONE)
			parent_from_netproc(&peer->channel, &msg, peer);
		channel_msg_done(&msg);
	}
}

static void
describe(int status, char *buf, size_t size)
{
	const char *name;
	int signo;

	if (WIFEXITED(status)) {
		snprintf(buf, size, "exit status %d", WEXITSTATUS(status));
		return;
	}
	signo = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
	name = sigabbrev_np(signo);
	snprintf(buf, size, "killed by signal %d (SIG%s)%s", signo,
	    name != NULL ? name : "?",
	    signo == SIGSYS ? ": seccomp violation" : "");
}

/*
 * A filter that we were started under, a service's or a container's, is our
 * children's as well, and may kill them over a call of their fences.
 */
static const char *
mend_of(const struct parent *parent, int status)
{
	if (parent->state != PARENT_SETUP || !WIFSIGNALED(status) ||
	    WTERMSIG(status) != SIGSYS)
		return ("");
	return ("; mend: in a container or a service, a system call filter "
		"that lets mount(2), umount2(2), pivot_root(2), seccomp(2) "
		"and landlock(7) through");
}

/* The child's own sysexit, if it failed to start with one. */
static int
status_of(int status)
{
	if (WIFEXITED(status) && WEXITSTATUS(status) >= EX__BASE &&
	    WEXITSTATUS(status) <= EX__MAX)
		return (WEXITSTATUS(status));
	return (EX_SOFTWARE);
}

void
peer_lost(struct peer *peer, const char *cause)
{
	struct parent *parent = peer->parent;
	char how[96];
	int status = 0;

	if (peer->ev_exit == NULL)
		return;
	event_free(peer->ev_exit);
	peer->ev_exit = NULL;
	cpu_alarm_end(&peer->alarm);
	if (peer->channel_event.ev_read != NULL)
		channel_event_pause(&peer->channel_event);
	spawn_end(&peer->child, &status);
	last_words(peer);
	describe(status, how, sizeof(how));
	if (is_stopping(peer)) {
		if (!WIFEXITED(status) && parent->stop_stage < STOP_KILL)
			log_warn("%s did not stop in order: %s",
			    role_name(peer->child.role), how);
	} else {
		log_error("lost %s: %s%s", role_name(peer->child.role),
		    cause != NULL ? cause : how, mend_of(parent, status));
	}
	if (parent->state == PARENT_SETUP)
		run_stop(parent, status_of(status));
	else if (parent->state == PARENT_STOPPING)
		run_someone_ended(parent);
	else
		respawn_lost(peer);
}

void
peer_refused(struct peer *peer, const char *what)
{
	char cause[128];

	if (errno == EPIPE || errno == ECONNRESET) {
		peer_lost(peer, NULL);
		return;
	}
	snprintf(cause, sizeof(cause), "does not take %s: %s", what,
	    strerror(errno));
	peer_lost(peer, cause);
}

void
peer_say_stop(struct peer *peer)
{
	const struct ipc_empty empty = { 0 };

	if (peer->ev_exit == NULL)
		return;
	if (channel_send(&peer->channel, IPC_STOP, 0, 0, &empty,
		sizeof(empty)) == -1)
		log_debug("STOP to %s: %s", role_name(peer->child.role),
		    strerror(errno));
	/* Who is set up may have HELLO_ACK or READY under way. */
	if (peer->channel.phase == IPC_RUN)
		peer->channel.phase = IPC_DRAIN;
	channel_event_kick(&peer->channel_event);
}

/* It may still accuse a netproc that is no more. */
static enum ipc_error
from_leaving(struct channel *ch, struct ipc_msg *msg, void *arg)
{
	(void)ch;
	return (msg->hdr.type == IPC_LOG ? peer_log(arg, msg->payload) :
					   IPC_OK);
}

int
peer_put_aside(struct peer *to, struct peer *from)
{
	struct event_base *base = from->parent->base;

	event_free(from->ev_exit);
	doubt_end(from);
	cpu_alarm_end(&from->alarm);
	channel_event_stop(&from->channel_event);
	*to = *from;
	peer_init(from, to->parent, to->child.role);
	to->ev_exit = event_new(base, to->child.pidfd, EV_READ, on_exit, to);
	if (to->ev_exit != NULL && event_add(to->ev_exit, NULL) == 0 &&
	    channel_event_start(&to->channel_event, base, &to->channel,
		from_leaving, on_channel_lost, to) == 0) {
		channel_event_kick(&to->channel_event);
		return (0);
	}
	peer_end(to);
	errno = ENOMEM;
	return (-1);
}

void
peer_end(struct peer *peer)
{
	if (peer->ev_exit != NULL)
		event_free(peer->ev_exit);
	peer->ev_exit = NULL;
	doubt_end(peer);
	cpu_alarm_end(&peer->alarm);
	channel_event_stop(&peer->channel_event);
	if (peer->channel.fd != -1)
		channel_close(&peer->channel);
	spawn_end(&peer->child, NULL);
}
