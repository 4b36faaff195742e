/*
 * The VMM's comings and goings.  netproc gets a reference to the frame
 * socket; ours stays open as long, so that the VMM need not notice when
 * netproc is replaced.
 */

#include <sys/socket.h>

#include <errno.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include <event2/event.h>

#include "ipc/clock.h"
#include "parent/parent.h"

#define REFUSED_PER_S 10 /* log lines */

/* VMMs whose coming and going is logged; of the others there is a count. */
#define ATTACHED_PER_S 200

static void
log_attached(struct parent *parent)
{
	const struct ucred *vmm = &parent->frame.vmm;
	uint64_t suppressed;

	parent->vmm_unlogged = !log_limit_ok(&parent->attach_limit,
	    clock_now_ms(), &suppressed);
	if (parent->vmm_unlogged)
		return;
	if (suppressed > 0)
		log_warn("%llu vmms before came without a line: too many",
		    (unsigned long long)suppressed);
	if (parent->frame.command.pid != -1)
		log_info("vmm attached: pid %d",
		    (int)parent->frame.command.pid);
	else
		log_info("vmm attached: pid %d uid %u", (int)vmm->pid,
		    (unsigned int)vmm->uid);
}

static void
hand_over(struct parent *parent)
{
	struct ipc_frame *frame = &parent->frame.frame;
	struct peer *netproc = &parent->netproc;

	if (parent->respawn.stage != RESPAWN_NONE)
		return; /* vmm_resume() */
	frame->kind = FRAME_STREAM;
	if (channel_lend_fd(&netproc->channel, IPC_FRAME, 0, 0, frame,
		sizeof(*frame), parent->frame.fd) == -1) {
		peer_refused(netproc, "the frame socket");
		return;
	}
	if (!frame->resumed)
		log_attached(parent);
	frame->resumed = 1; /* by the next netproc, if there is one */
	watchdog_arm(parent);
}

void
vmm_resume(struct parent *parent)
{
	if (parent->frame.fd != -1)
		hand_over(parent);
}

/*
 * netproc reads a VMM's last frames before it says that the VMM has gone; the
 * next one may connect meanwhile, and is not a second.  No event can tell, as
 * the listener's may come before it: ask.  Nothing is sent, but on a stream
 * whose other end is closed even that fails.
 */
static int
hung_up(const struct frame_source *source)
{
	struct msghdr nothing = { .msg_iovlen = 0 };

	return (source->fd != -1 &&
	    sendmsg(source->fd, &nothing, MSG_DONTWAIT | MSG_NOSIGNAL) == -1 &&
	    errno == EPIPE);
}

static void
on_accept_again(evutil_socket_t fd, short what, void *arg)
{
	struct parent *parent = arg;

	(void)fd;
	(void)what;
	if (parent->state == PARENT_RUN)
		event_add(parent->ev_vmm, NULL);
}

static void
on_connect(evutil_socket_t fd, short what, void *arg)
{
	struct parent *parent = arg;
	struct frame_source *source = &parent->frame;
	struct ucred peer;
	uint64_t suppressed;
	int conn;

	(void)fd;
	(void)what;
	if (hung_up(source)) {
		/* It waits in the listener's queue for vmm_gone(). */
		event_del(parent->ev_vmm);
		return;
	}
	conn = unix_listener_accept(&source->listener, &peer);
	if (conn == -1) {
		if (errno == EAGAIN || errno == ECONNABORTED)
			return;
		log_warn("accepting a vmm: %s", strerror(errno));
		run_accept_later(parent->base, parent->ev_vmm, on_accept_again,
		    parent);
		return;
	}
	if (source->fd != -1) {
		close(conn);
		if (log_limit_ok(&parent->vmm_limit, clock_now_ms(),
			&suppressed))
			log_warn("refused a second vmm, pid %d uid %u: pid %d "
				 "is connected",
			    (int)peer.pid, (unsigned int)peer.uid,
			    (int)source->vmm.pid);
		return;
	}
	frame_prepare(conn);
	source->fd = conn;
	source->vmm = peer;
	hand_over(parent);
}

void
vmm_start(struct parent *parent)
{
	struct frame_source *source = &parent->frame;

	parent->vmm_limit.lines_per_s = REFUSED_PER_S;
	parent->attach_limit.lines_per_s = ATTACHED_PER_S;
	if (source->listener.fd == -1) {
		hand_over(parent);
		return;
	}
	parent->ev_vmm = event_new(parent->base, source->listener.fd,
	    EV_READ | EV_PERSIST, on_connect, parent);
	if (parent->ev_vmm == NULL || event_add(parent->ev_vmm, NULL) == -1)
		fatalx("no memory for the frame socket's event");
}

/* Once in a session: no netproc that was taken over pins another. */
enum ipc_error
vmm_guest_mac(struct parent *parent, const struct ipc_guest_mac *guest)
{
	struct frame_source *source = &parent->frame;

	if (guest->pad[0] != 0 || guest->pad[1] != 0 ||
	    !parent->config.mac_auto)
		return (IPC_E_FIELD);
	if (source->fd == -1 || source->frame.guest_mac_known)
		return (IPC_E_STATE);
	memcpy(source->frame.guest_mac, guest->mac, sizeof(guest->mac));
	source->frame.guest_mac_known = 1;
	return (IPC_OK);
}

/* What --fd ends with: the VMM's own end is a good one. */
static int
status_of(uint32_t reason)
{
	switch (reason) {
	case FRAME_GONE_BAD_LENGTH:
		return (EX_PROTOCOL);
	case FRAME_GONE_JOURNAL:
		return (EX_SOFTWARE);
	default:
		return (EX_OK);
	}
}

static void
log_gone(const struct ipc_frame_gone *gone)
{
	switch (gone->reason) {
	case FRAME_GONE_BAD_LENGTH:
		log_warn("vmm gone: it announced a frame of %u bytes",
		    gone->detail);
		break;
	case FRAME_GONE_JOURNAL:
		log_warn("vmm gone: netproc died and left no sound journal, "
			 "so its stream cannot be gone on with");
		break;
	case FRAME_GONE_ERROR:
		log_info("vmm gone: %s", strerror((int)gone->detail));
		break;
	default:
		log_info("vmm gone");
		break;
	}
}

void
vmm_gone(struct parent *parent, const struct ipc_frame_gone *gone)
{
	struct frame_source *source = &parent->frame;

	if (!parent->vmm_unlogged)
		log_gone(gone);
	watchdog_rest(parent);
	frame_drop(source);
	if (parent->ev_vmm != NULL && parent->state == PARENT_RUN)
		event_add(parent->ev_vmm, NULL);
	if (parent->config.frame_fd != -1)
		run_stop(parent, status_of(gone->reason));
}

static void
on_command(evutil_socket_t fd, short what, void *arg)
{
	struct parent *parent = arg;
	struct command *command = &parent->frame.command;

	(void)fd;
	(void)what;
	/* The pidfd goes with the process. */
	event_del(parent->ev_command);
	if (!command_reap(command)) {
		event_add(parent->ev_command, NULL);
		return;
	}
	log_info("%s ended: status %d", parent->config.command[0],
	    command->status);
	if (parent->state != PARENT_STOPPING)
		run_stop(parent, command->status);
	else
		run_someone_ended(parent);
}

int
vmm_start_command(struct parent *parent, struct config_error *error)
{
	struct frame_source *source = &parent->frame;

	if (command_start(&source->command, parent->config.command,
		source->vmm_fd, &parent->env, error) == -1)
		return (-1);
	close(source->vmm_fd);
	source->vmm_fd = -1;
	parent->ev_command = event_new(parent->base, source->command.pidfd,
	    EV_READ | EV_PERSIST, on_command, parent);
	if (parent->ev_command == NULL ||
	    event_add(parent->ev_command, NULL) == -1)
		return (config_error(error, EX_OSERR, "out of memory"));
	return (0);
}
