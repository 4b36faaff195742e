#include <sys/socket.h>
#include <sys/uio.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <event2/event.h>

#include "config.h"
#include "ipc/clock.h"
#include "parent/parent.h"

#define REFUSED_PER_S 10 /* log lines */

/* sendmsg(2) and recvmsg(2) with the flags that the parent's filter knows. */
static void
answer(int fd, const char *text)
{
	struct iovec iov = { .iov_base = (void *)(uintptr_t)text,
		.iov_len = strlen(text) };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (sendmsg(fd, &mh, MSG_DONTWAIT | MSG_NOSIGNAL) == -1)
		log_debug("control: %s", strerror(errno));
}

/* Length of the record, or -1.  Descriptors are not taken. */
static ssize_t
receive(int fd, char *buf, size_t size)
{
	struct iovec iov = { .iov_base = buf, .iov_len = size };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1 };

	return (recvmsg(fd, &mh, MSG_DONTWAIT | MSG_CMSG_CLOEXEC));
}

static const char *
state_text(enum parent_state state)
{
	switch (state) {
	case PARENT_SETUP:
		return ("starting");
	case PARENT_RUN:
		return ("running");
	default:
		return ("stopping");
	}
}

/* "key: value" lines. */
static void
status(const struct parent *parent, char *buf, size_t size)
{
	const struct frame_source *frame = &parent->frame;
	const struct respawn *respawn = &parent->respawn;
	uint64_t now_ms = clock_now_ms();
	pid_t vmm = frame->command.pid != -1 ? frame->command.pid :
					       frame->vmm.pid;
	int n;

	n = snprintf(buf, size,
	    "version: %s\n"
	    "pid: %d\n"
	    "netproc_pid: %d\n"
	    "relayproc_pid: %d\n"
	    "state: %s\n"
	    "ready: %s\n"
	    "uptime_s: %llu\n"
	    "restarts: %llu\n"
	    "netproc_losses: %llu\n"
	    "relayproc_losses: %llu\n"
	    "last_restart_ms: %llu\n"
	    "vmm_connected: %s\n",
	    PACKAGE_VERSION, (int)parent->pid, (int)parent->netproc.child.pid,
	    (int)parent->relayproc.child.pid, state_text(parent->state),
	    parent->ready_ms != 0 ? "yes" : "no",
	    (unsigned long long)((now_ms - parent->started_ms) / 1000),
	    (unsigned long long)respawn->restarts,
	    (unsigned long long)respawn->netproc_losses,
	    (unsigned long long)respawn->relayproc_losses,
	    (unsigned long long)respawn->last_ms,
	    frame->fd != -1 ? "yes" : "no");
	if (frame->fd != -1 && n > 0 && (size_t)n < size)
		snprintf(buf + n, size - (size_t)n, "vmm_pid: %d\n", (int)vmm);
}

static void
client_drop(struct control_client *client)
{
	if (client->ev != NULL)
		event_free(client->ev);
	if (client->fd != -1)
		close(client->fd);
	client->ev = NULL;
	client->fd = -1;
}

static void
on_request(evutil_socket_t fd, short what, void *arg)
{
	struct control_client *client = arg;
	struct control *control = client->control;
	char verb[CONTROL_VERB_MAX + 1], text[CONTROL_RECORD_MAX];
	ssize_t n;

	n = (what & EV_READ) != 0 ? receive(fd, verb, CONTROL_VERB_MAX) : -1;
	if (n > 0) {
		verb[n] = '\0';
		if (strcmp(verb, "status") == 0) {
			status(control->parent, text, sizeof(text));
			answer(fd, text);
		} else {
			answer(fd, "error: no such verb; say status\n");
		}
	}
	client_drop(client);
	event_add(control->ev, NULL);
}

static struct control_client *
client_free_slot(struct control *control)
{
	size_t i;

	for (i = 0; i < CONTROL_CLIENTS_MAX; i++) {
		if (control->clients[i].fd == -1)
			return (&control->clients[i]);
	}
	return (NULL);
}

static void
on_accept_again(evutil_socket_t fd, short what, void *arg)
{
	struct control *control = arg;

	(void)fd;
	(void)what;
	if (control->ev != NULL)
		event_add(control->ev, NULL);
}

static void
log_refused(struct control *control, const struct ucred *peer)
{
	uint64_t suppressed;

	if (!log_limit_ok(&control->refused_limit, clock_now_ms(), &suppressed))
		return;
	if (suppressed > 0)
		log_warn("%llu before were refused on the control socket "
			 "without a line: too many",
		    (unsigned long long)suppressed);
	log_warn("refused pid %d uid %u on the control socket", (int)peer->pid,
	    (unsigned int)peer->uid);
}

static void
on_client(evutil_socket_t fd, short what, void *arg)
{
	static const struct timeval idle = { .tv_sec = CONTROL_IDLE_S };
	struct control *control = arg;
	struct control_client *client = client_free_slot(control);
	struct ucred peer;

	(void)fd;
	(void)what;
	if (client == NULL) {
		event_del(control->ev); /* until one is done */
		return;
	}
	client->fd = unix_listener_accept(&control->listener, &peer);
	if (client->fd == -1) {
		if (errno != EAGAIN && errno != ECONNABORTED)
			run_accept_later(event_get_base(control->ev),
			    control->ev, on_accept_again, control);
		return;
	}
	if (peer.uid != 0 && peer.uid != control->parent->uid) {
		log_refused(control, &peer);
		client_drop(client);
		return;
	}
	client->ev = event_new(event_get_base(control->ev), client->fd, EV_READ,
	    on_request, client);
	if (client->ev == NULL || event_add(client->ev, &idle) == -1)
		client_drop(client);
}

void
control_init(struct control *control, const struct parent *parent)
{
	size_t i;

	memset(control, 0, sizeof(*control));
	control->parent = parent;
	control->refused_limit.lines_per_s = REFUSED_PER_S;
	control->listener.fd = -1;
	control->listener.dir_fd = -1;
	for (i = 0; i < CONTROL_CLIENTS_MAX; i++) {
		control->clients[i].control = control;
		control->clients[i].fd = -1;
	}
}

int
control_open(struct control *control, const struct config *config,
    struct config_error *error)
{
	if (config->control_path[0] == '\0')
		return (0);
	return (unix_listener_open(&control->listener, config->control_path,
	    SOCK_SEQPACKET, "control", error));
}

int
control_watch(struct control *control, struct event_base *base)
{
	if (control->listener.fd == -1)
		return (0);
	control->ev = event_new(base, control->listener.fd,
	    EV_READ | EV_PERSIST, on_client, control);
	if (control->ev == NULL || event_add(control->ev, NULL) == -1) {
		errno = ENOMEM;
		return (-1);
	}
	return (0);
}

void
control_close(struct control *control)
{
	size_t i;

	for (i = 0; i < CONTROL_CLIENTS_MAX; i++)
		client_drop(&control->clients[i]);
	if (control->ev != NULL)
		event_free(control->ev);
	control->ev = NULL;
	unix_listener_close(&control->listener);
}
