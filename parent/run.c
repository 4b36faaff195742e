/*
 * The event loop, and the end.
 *
 * Everything that can happen is a descriptor: signals (signalfd), ends of
 * processes (pidfds), channels, listeners, netlink.  So the locked parent
 * needs no call of the rt_sig family.
 *
 * An orderly end (run_stop):
 *	NETPROC		STOP to netproc, which closes its flows
 *	RELAYPROC	STOP to relayproc, once netproc has ended or after
 *			STOP_NETPROC_MS
 *	KILL		after STOP_ALL_MS whoever lives is killed
 *	COMMAND		COMMAND was told SIGTERM at the start; after
 *			STOP_COMMAND_MS it is killed
 * The loop ends when nobody is left.
 */

#include <sys/signalfd.h>

#include <errno.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include <event2/event.h>

#include "ipc/clock.h"
#include "parent/parent.h"

/* Both children must be ready by then; a machine under load takes 100 ms. */
#define SETUP_S 5

/* Who waits to be accepted without a descriptor for it waits so long. */
#define ACCEPT_LATER_S 1

#define STOP_NETPROC_MS 250
#define STOP_ALL_MS	500
#define STOP_COMMAND_MS 2000

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct parent *parent = arg;
	const struct peer *late;

	(void)fd;
	(void)what;
	if (parent->state == PARENT_STOPPING) {
		run_someone_ended(parent);
		return;
	}
	late = parent->netproc.ready ? &parent->relayproc : &parent->netproc;
	log_error("%s is not ready after %d s; look at what it logged, and "
		  "at the machine's load",
	    role_name(late->child.role), SETUP_S);
	run_stop(parent, EX_UNAVAILABLE);
}

void
run_timer_set(struct event *timer, uint64_t ms)
{
	const struct timeval tv = {
		.tv_sec = (time_t)(ms / 1000),
		.tv_usec = (suseconds_t)(ms % 1000 * 1000),
	};

	event_add(timer, &tv);
}

/*
 * A signal from the terminal has reached COMMAND already: it is in our
 * process group.
 */
static void
on_one_signal(struct parent *parent, const struct signalfd_siginfo *info)
{
	const struct command *command = &parent->frame.command;
	int signo = (int)info->ssi_signo;

	/* Whose default is to kill, and which mean nothing here. */
	if (signo == SIGHUP || signo == SIGUSR1 || signo == SIGUSR2)
		return;
	if (signo == SIGALRM) {
		watchdog_busy(parent);
		return;
	}
	if (command->pid == -1 || parent->state == PARENT_STOPPING) {
		log_info("signal %d: stopping", signo);
		run_stop(parent, EX_OK);
		return;
	}
	log_info("signal %d: passed on to %s", signo,
	    parent->config.command[0]);
	if (info->ssi_code != SI_KERNEL)
		command_signal(command, signo);
}

static void
on_signal(evutil_socket_t fd, short what, void *arg)
{
	struct parent *parent = arg;
	struct signalfd_siginfo info;

	(void)what;
	while (read(fd, &info, sizeof(info)) == (ssize_t)sizeof(info))
		on_one_signal(parent, &info);
}

struct event *
run_event_watch(struct parent *parent, int fd, event_callback_fn fn)
{
	struct event *ev;

	ev = event_new(parent->base, fd, EV_READ | EV_PERSIST, fn, parent);
	if (ev != NULL && event_add(ev, NULL) == -1) {
		event_free(ev);
		ev = NULL;
	}
	return (ev);
}

/* libevent 2.1 opens a socketpair for signals, which we do not use. */
static struct event_base *
base_new(void)
{
	struct event_config *config;
	struct event_base *base;

	config = event_config_new();
	if (config == NULL)
		return (NULL);
	event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);
	event_config_set_flag(config, EVENT_BASE_FLAG_IGNORE_ENV);
	base = event_base_new_with_config(config);
	event_config_free(config);
	return (base);
}

/* Those that the signalfd tells of. */
static void
signals_taken(sigset_t *mask)
{
	sigemptyset(mask);
	sigaddset(mask, SIGTERM);
	sigaddset(mask, SIGINT);
	sigaddset(mask, SIGQUIT);
	sigaddset(mask, SIGHUP);
	sigaddset(mask, SIGUSR1);
	sigaddset(mask, SIGUSR2);
	sigaddset(mask, SIGALRM);
}

int
run_hold_signals(struct parent *parent)
{
	struct command_env *env = &parent->env;
	sigset_t mask;

	signals_taken(&mask);
	if (sigprocmask(SIG_BLOCK, &mask, &env->mask) == -1)
		return (-1);
	env->on_pipe = signal(SIGPIPE, SIG_IGN);
	/* Who starts us may ignore it; then nobody's status could be had. */
	env->on_child = signal(SIGCHLD, SIG_DFL);
	/* A log file that has grown to RLIMIT_FSIZE is no reason to end. */
	env->on_fsize = signal(SIGXFSZ, SIG_IGN);
	return (env->on_pipe == SIG_ERR || env->on_child == SIG_ERR ||
		    env->on_fsize == SIG_ERR ?
		-1 :
		0);
}

int
run_init(struct parent *parent)
{
	sigset_t mask;

	signals_taken(&mask);
	parent->signal_fd = signalfd(-1, &mask, SFD_NONBLOCK | SFD_CLOEXEC);
	if (parent->signal_fd == -1)
		return (-1);
	parent->base = base_new();
	if (parent->base == NULL)
		return (-1);
	parent->ev_signal = run_event_watch(parent, parent->signal_fd,
	    on_signal);
	parent->ev_timer = event_new(parent->base, -1, 0, on_timer, parent);
	if (parent->ev_signal == NULL || parent->ev_timer == NULL) {
		errno = ENOMEM;
		return (-1);
	}
	if (respawn_init(parent) == -1)
		return (-1);
	return (watchdog_init(parent));
}

static int
all_ended(const struct parent *parent)
{
	return (parent->netproc.ev_exit == NULL &&
	    parent->relayproc.ev_exit == NULL &&
	    parent->leaving.ev_exit == NULL && parent->frame.command.pid == -1);
}

/* A loop cannot be broken before it has begun. */
static void
loop(struct parent *parent)
{
	if (parent->state != PARENT_STOPPING || !all_ended(parent))
		event_base_dispatch(parent->base);
}

void
run_cannot_watch(void)
{
	log_error("cannot watch the children: %s%s", strerror(errno),
	    errno == EAGAIN ? "; raise the user's limit of pending signals "
			      "(ulimit -i)" :
			      "");
}

int
run_setup(struct parent *parent)
{
	if (respawn_watch(parent) == -1 ||
	    peer_watch(&parent->netproc, parent_from_netproc) == -1 ||
	    peer_watch(&parent->relayproc, parent_from_relayproc) == -1) {
		run_cannot_watch();
		parent->status = EX_OSERR;
		return (-1);
	}
	run_timer_set(parent->ev_timer, SETUP_S * 1000);
	if (configure_hello(&parent->netproc) == -1 ||
	    configure_hello(&parent->relayproc) == -1)
		run_stop(parent, EX_SOFTWARE);
	loop(parent);
	if (parent->state != PARENT_SETUP)
		return (-1);
	event_del(parent->ev_timer);
	return (0);
}

void
run_watch(struct parent *parent)
{
	loop(parent);
}

/* Enters the next stage whose time has come; sets the timer for the one
 * after. */
static void
stop_advance(struct parent *parent)
{
	const uint64_t spent_ms = clock_now_ms() - parent->stop_ms;
	const int netproc_lives = parent->netproc.ev_exit != NULL;

	if (parent->stop_stage == STOP_NETPROC &&
	    (!netproc_lives || spent_ms >= STOP_NETPROC_MS)) {
		parent->stop_stage = STOP_RELAYPROC;
		peer_say_stop(&parent->relayproc);
	}
	if (parent->stop_stage == STOP_RELAYPROC && spent_ms >= STOP_ALL_MS) {
		parent->stop_stage = STOP_KILL;
		peer_lost(&parent->netproc, NULL);
		peer_lost(&parent->relayproc, NULL);
		peer_lost(&parent->leaving, NULL);
	}
	if (parent->stop_stage == STOP_KILL && spent_ms >= STOP_COMMAND_MS) {
		parent->stop_stage = STOP_COMMAND;
		command_signal(&parent->frame.command, SIGKILL);
	}
	switch (parent->stop_stage) {
	case STOP_NETPROC:
		run_timer_set(parent->ev_timer, STOP_NETPROC_MS - spent_ms);
		break;
	case STOP_RELAYPROC:
		run_timer_set(parent->ev_timer, STOP_ALL_MS - spent_ms);
		break;
	case STOP_KILL:
		run_timer_set(parent->ev_timer, STOP_COMMAND_MS - spent_ms);
		break;
	default:
		break;
	}
}

void
run_someone_ended(struct parent *parent)
{
	if (all_ended(parent)) {
		event_base_loopbreak(parent->base);
		return;
	}
	stop_advance(parent);
}

void
run_stop(struct parent *parent, int status)
{
	if (parent->state == PARENT_STOPPING)
		return;
	parent->state = PARENT_STOPPING;
	parent->status = status;
	parent->stop_ms = clock_now_ms();
	parent->stop_stage = STOP_NETPROC;
	/* Nobody comes in any more, and the names go at once. */
	if (parent->ev_vmm != NULL)
		event_del(parent->ev_vmm);
	watchdog_rest(parent);
	unix_listener_close(&parent->frame.listener);
	control_close(&parent->control);
	command_signal(&parent->frame.command, SIGTERM);
	peer_say_stop(&parent->netproc);
	run_someone_ended(parent);
}

void
run_accept_later(struct event_base *base, struct event *ev,
    event_callback_fn fn, void *arg)
{
	static const struct timeval later = { .tv_sec = ACCEPT_LATER_S };

	if (event_base_once(base, -1, EV_TIMEOUT, fn, arg, &later) == 0)
		event_del(ev);
}

void
run_event_drop(struct event **ev)
{
	if (*ev != NULL)
		event_free(*ev);
	*ev = NULL;
}

void
run_end(struct parent *parent)
{
	parent->state = PARENT_STOPPING;
	peer_end(&parent->netproc);
	peer_end(&parent->relayproc);
	peer_end(&parent->leaving);
	respawn_end(parent);
	watchdog_end(parent);
	control_close(&parent->control);
	run_event_drop(&parent->ev_signal);
	run_event_drop(&parent->ev_timer);
	run_event_drop(&parent->ev_vmm);
	run_event_drop(&parent->ev_command);
	follow_close(parent);
	if (parent->base != NULL)
		event_base_free(parent->base);
	parent->base = NULL;
	frame_close(&parent->frame);
	/* Published ports are for our exit to close: publish.h. */
	notify_close(&parent->notify);
	evidence_close(&parent->evidence);
	spawner_end(&parent->spawner);
	if (parent->signal_fd != -1)
		close(parent->signal_fd);
	parent->signal_fd = -1;
}
