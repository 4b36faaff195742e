#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <linux/capability.h>
#include <linux/sched.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "ipc/kernel.h"
#include "ipc/log.h"
#include "parent/launch.h"
#include "parent/spawn.h"
#include "sandbox/stages.h"

/*
 * Theory of operation.  A child is cloned into its namespaces and waits.  We
 * write its uid and gid maps from outside, for after a change of uid it could
 * not, and release it.  It becomes its uid, puts its descriptors in their
 * places and executes this program again with nothing inherited: no
 * environment, no memory layout, no stray descriptor.  It must be mapped
 * before it executes: an exec while unmapped loses all capabilities without
 * an error and goes on as the host's uid.
 *
 * One socketpair, closed by the exec, carries both directions of that: our
 * byte that releases the child, and its report {step, errno} if a step fails.
 * End of file instead of a report says that the exec succeeded.  Nothing in
 * LAUNCH_MS says that somebody has stopped the child.
 */

#define LAUNCH_MS 2000

/* Bytes of datagrams between the children: 16 records of the largest. */
#define DGRAM_SNDBUF (1024 * 1024)

/*
 * Started by root, a child's uid and gid are UID_BASE + 2 * our pid, + 1 for
 * relayproc: no two processes of any two sidecars share one, so the kernel's
 * per-uid quotas and signals are each VM's own.  Below 2^31, above what
 * systemd and containers give out.
 */
#define UID_BASE 0x70000000u

static const struct {
	const char *doing;
	const char *mend;
} steps[] = {
	[STEP_GROUPS] = { "leave the supplementary groups",
	    "leave --user out, or let us keep CAP_SETUID and CAP_SETGID" },
	[STEP_UID] = { "become its uid",
	    "give --user NAME, a user that this host knows" },
	[STEP_STDIO] = { "open /dev/null", "make /dev/null a device" },
	[STEP_DESCRIPTORS] = { "sort its descriptors",
	    "raise the limit of open files; Linux 5.11 or later" },
	[STEP_EXEC] = { "execute this program again",
	    "let everyone execute it: chmod a+rx" },
};
_Static_assert(sizeof(steps) / sizeof(steps[0]) == STEP_N, "one row each");

static const struct {
	uint64_t flag;
	enum isolation_stage stage;
} namespaces[] = {
	{ CLONE_NEWUSER, STAGE_USERNS }, /* first: it permits the others */
	{ CLONE_NEWNS, STAGE_MOUNTNS },
	{ CLONE_NEWNET, STAGE_NETNS },
	{ CLONE_NEWPID, STAGE_PIDNS },
	{ CLONE_NEWIPC, STAGE_IPCNS },
	{ CLONE_NEWUTS, STAGE_UTSNS },
	{ CLONE_NEWCGROUP, STAGE_CGROUPNS },
};
#define NNAMESPACES (sizeof(namespaces) / sizeof(namespaces[0]))

/* Both ends of each channel; [0] is the parent's or netproc's. */
struct pairs {
	int netproc[2];
	int relayproc[2];
	int flows[2];
	int dgrams[2];
};

void
child_init(struct child *child, enum role role)
{
	memset(child, 0, sizeof(*child));
	child->role = role;
	child->pid = child->pidfd = child->channel_fd = -1;
}

int
spawn_open_exe(void)
{
	return (open("/proc/self/exe", O_PATH | O_CLOEXEC));
}

static void
close_if_open(int *fd)
{
	if (*fd != -1)
		close(*fd);
	*fd = -1;
}

/*
 * clone(2) as fork(2).  Returns as fork; *pidfd is owned by the caller.  Not
 * clone3(2): a container's filter cannot look at its flags, so many refuse it
 * whatever they are.
 */
static pid_t
clone_process(uint64_t flags, int *pidfd)
{
	/* With CLONE_PARENT the signal is what our own parent gets of us. */
	if ((flags & CLONE_PARENT) == 0)
		flags |= SIGCHLD;
	return ((pid_t)syscall(SYS_clone, flags | CLONE_PIDFD, NULL, pidfd,
	    NULL, NULL));
}

/* 0 if a process can be made with these flags, else an errno value. */
static int
flags_refused(uint64_t flags)
{
	int pidfd = -1;
	pid_t pid;

	switch (pid = clone_process(flags, &pidfd)) {
	case -1:
		return (errno);
	case 0:
		_exit(0);
	default:
		close(pidfd);
		waitpid(pid, NULL, 0);
		return (0);
	}
}

/*
 * Finds which of the namespaces in *flags are refused.  0 with those taken
 * out of *flags, or -1 if strict cannot do without one.
 */
static int
namespaces_choose(uint64_t *flags, int strict, uint32_t *missed)
{
	uint64_t want = *flags, got = 0;
	size_t i;
	int error;

	for (i = 0; i < NNAMESPACES; i++) {
		if (!(want & namespaces[i].flag))
			continue;
		error = flags_refused(got | namespaces[i].flag);
		if (error == 0)
			got |= namespaces[i].flag;
		else if (stage_missed(namespaces[i].stage, error, strict,
			     missed) == -1)
			return (-1);
	}
	*flags = got;
	return (0);
}

static pid_t
launch_clone(struct launch *launch, struct child *child)
{
	pid_t pid;

	const uint64_t parent = launch->config->parent_fd > 0 ? CLONE_PARENT :
								0;

	pid = clone_process(launch->flags | parent, &child->pidfd);
	/* No process is to be had with EAGAIN: that is no namespace's fault. */
	if (pid == -1 && errno != EAGAIN) {
		if (namespaces_choose(&launch->flags, launch->config->strict,
			&child->missed) == -1)
			return (-1);
		pid = clone_process(launch->flags | parent, &child->pidfd);
	}
	if (pid == -1)
		log_error("cannot start %s: clone: %s; mend: allow more "
			  "processes (ulimit -u, pids.max)",
		    role_name(child->role), strerror(errno));
	return (pid);
}

static int
proc_write(pid_t pid, const char *file, const char *text)
{
	char path[64];
	ssize_t n;
	int fd, error;

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, file);
	if ((fd = open(path, O_WRONLY | O_CLOEXEC)) == -1)
		return (-1);
	n = write(fd, text, strlen(text));
	error = errno;
	close(fd);
	errno = error;
	return (n == -1 ? -1 : 0);
}

/* A root in a container may have been left without. */
static int
may_change_ids(void)
{
	const uint32_t need = 1u << CAP_SETUID | 1u << CAP_SETGID;
	struct __user_cap_header_struct header = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];

	return (geteuid() == 0 && syscall(SYS_capget, &header, data) == 0 &&
	    (data[0].effective & need) == need);
}

/* Inside its user namespace the child is uid 0, outside child->uid. */
static int
maps_write(const struct child *child)
{
	char map[32];

	if (!may_change_ids() &&
	    proc_write(child->pid, "setgroups", "deny") == -1)
		return (-1);
	snprintf(map, sizeof(map), "0 %u 1\n", child->gid);
	if (proc_write(child->pid, "gid_map", map) == -1)
		return (-1);
	snprintf(map, sizeof(map), "0 %u 1\n", child->uid);
	return (proc_write(child->pid, "uid_map", map));
}

/* 0 once there is something to read, else -1. */
static int
launch_wait(const struct spawn_config *config, const struct child *child,
    int sync)
{
	struct pollfd pfds[2] = {
		{ .fd = sync, .events = POLLIN },
		{ .fd = config->parent_fd > 0 ? config->parent_fd : -1 },
	};
	int n;

	do {
		n = poll(pfds, 2, LAUNCH_MS);
	} while (n == -1 && errno == EINTR);
	if (n > 0 && pfds[0].revents != 0)
		return (0);
	if (n <= 0)
		log_error("cannot start %s: in %d s it did not execute this "
			  "program; mend: see who stops it (SIGSTOP), and the "
			  "machine's load",
		    role_name(child->role), LAUNCH_MS / 1000);
	return (-1);
}

/* Releases the child, and waits until it has executed or failed. */
static int
launch_finish(const struct spawn_config *config, const struct child *child,
    int sync)
{
	struct launch_report report;
	ssize_t n;

	if (send(sync, "", 1, MSG_NOSIGNAL) != 1) {
		log_error("cannot start %s: %s", role_name(child->role),
		    strerror(errno));
		return (-1);
	}
	if (launch_wait(config, child, sync) == -1)
		return (-1);
	do {
		n = read(sync, &report, sizeof(report));
	} while (n == -1 && errno == EINTR);
	if (n == 0)
		return (0);
	if (n != sizeof(report) || report.step >= STEP_N) {
		log_error("cannot start %s: it ended early",
		    role_name(child->role));
		return (-1);
	}
	log_error("cannot start %s: it could not %s: %s; mend: %s",
	    role_name(child->role), steps[report.step].doing,
	    strerror(report.error), steps[report.step].mend);
	return (-1);
}

static uid_t
own_uid(enum role role)
{
	return (UID_BASE + 2 * (uid_t)getpid() + (role == ROLE_RELAYPROC));
}

/* 1 if a map of /proc/self has the id, or cannot be read. */
static int
is_mapped(const char *path, uint32_t id)
{
	uint32_t first, outside, count;
	FILE *file = fopen(path, "re");
	int found = file == NULL;

	while (!found &&
	    fscanf(file, "%u %u %u", &first, &outside, &count) == 3)
		found = id >= first && id - first < count;
	if (file != NULL)
		fclose(file);
	return (found);
}

/* The root of a user namespace may have no id but its own. */
static int
has_own_ids(void)
{
	const uid_t last = own_uid(ROLE_RELAYPROC);

	return (is_mapped("/proc/self/uid_map", last) &&
	    is_mapped("/proc/self/gid_map", last));
}

/* Who was given a user and may not become it is to hear of that. */
static int
changes_ids(const struct spawn_config *config)
{
	return (config->has_user ||
	    (may_change_ids() && (config->strict || has_own_ids())));
}

/* Whom the child will be, as we see it. */
static int
child_choose_user(const struct spawn_config *config, struct child *child)
{
	int error;

	if (changes_ids(config)) {
		child->uid = own_uid(child->role);
		child->gid = child->uid;
		if (config->has_user) {
			child->uid = config->uid;
			child->gid = config->gid;
		}
		return (0);
	}
	child->uid = geteuid();
	child->gid = getegid();
	error = stage_missed(STAGE_UID, EPERM, config->strict, &child->missed);
	if (error == 0 && getgroups(0, NULL) > 0)
		error = stage_missed(STAGE_GROUPS, EPERM, config->strict,
		    &child->missed);
	return (error);
}

/* What lets us map a child's uid, where errno says why it cannot be. */
static const char *
map_mend(int error)
{
	if (error == EROFS)
		return ("mount /proc so that it can be written");
	if (geteuid() == 0)
		return ("give --user NAME, a user that this user namespace "
			"knows; where it knows root alone, --isolation "
			"best-effort");
	return (stage_mend(STAGE_USERNS));
}

static int
launch_start(struct launch *launch, struct child *child, int sync)
{
	if ((child->pid = launch_clone(launch, child)) == 0) {
		close(sync);
		if (!(launch->flags & CLONE_NEWUSER)) {
			launch->uid = child->uid;
			launch->gid = child->gid;
		}
		launch_run(launch);
	}
	close_if_open(&launch->sync);
	if (child->pid == -1)
		return (-1);
	if ((launch->flags & CLONE_NEWUSER) && maps_write(child) == -1) {
		log_error("cannot map uid %u of %s: %s; mend: %s", child->uid,
		    role_name(child->role), strerror(errno), map_mend(errno));
		return (-1);
	}
	return (launch_finish(launch->config, child, sync));
}

static int
child_start(const struct spawn_config *config, struct child *child,
    const int fds[3])
{
	struct launch launch = {
		.role = child->role,
		.config = config,
		.fds = { fds[0], fds[1], fds[2] },
		.drop_groups = changes_ids(config),
	};
	int sync[2], result;
	size_t i;

	for (i = 0; i < NNAMESPACES; i++)
		launch.flags |= namespaces[i].flag;
	if (child->role == ROLE_RELAYPROC)
		launch.flags &= ~(uint64_t)CLONE_NEWNET;
	if (child_choose_user(config, child) == -1)
		return (-1);
	/* Root's own uid cannot be mapped without CAP_SETFCAP. */
	if (child->uid == 0) {
		if (stage_missed(STAGE_USERNS, EPERM, config->strict,
			&child->missed) == -1)
			return (-1);
		launch.flags &= ~(uint64_t)CLONE_NEWUSER;
	}
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sync) == -1) {
		log_error("cannot start %s: socketpair: %s",
		    role_name(child->role), strerror(errno));
		return (-1);
	}
	launch.sync = sync[1];
	result = launch_start(&launch, child, sync[0]);
	close(sync[0]);
	return (result);
}

static int
pairs_open(struct pairs *pairs)
{
	int *const all[] = { pairs->netproc, pairs->relayproc, pairs->flows,
		pairs->dgrams };
	const int bytes = DGRAM_SNDBUF;
	size_t i;

	memset(pairs, 0xff, sizeof(*pairs)); /* each -1 */
	for (i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (socketpair(AF_UNIX,
			SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0,
			all[i]) == -1) {
			log_error("cannot make a channel: %s; mend: raise the "
				  "limit of open files",
			    strerror(errno));
			return (-1);
		}
	/* Less than asked for, or the default, loses more and is no error. */
	for (i = 0; i < 2; i++)
		(void)setsockopt(pairs->dgrams[i], SOL_SOCKET, SO_SNDBUF,
		    &bytes, sizeof(bytes));
	return (0);
}

/*
 * An end that never receives a descriptor is told to take none, so that a
 * sender who was taken over gets EPERM instead.
 */
static int
pairs_deafen(const struct pairs *pairs, int strict, uint32_t *missed)
{
	const int deaf[] = { pairs->netproc[0], pairs->relayproc[0],
		pairs->flows[1], pairs->dgrams[0], pairs->dgrams[1] };
	const int off = 0;
	size_t i;

	for (i = 0; i < sizeof(deaf) / sizeof(deaf[0]); i++)
		if (setsockopt(deaf[i], SOL_SOCKET, SO_PASSRIGHTS, &off,
			sizeof(off)) == -1)
			return (stage_missed(STAGE_PASSRIGHTS,
			    errno == ENOPROTOOPT ? ENOSYS : errno, strict,
			    missed));
	return (0);
}

static void
pairs_close(struct pairs *pairs)
{
	close_if_open(&pairs->netproc[0]);
	close_if_open(&pairs->netproc[1]);
	close_if_open(&pairs->relayproc[0]);
	close_if_open(&pairs->relayproc[1]);
	close_if_open(&pairs->flows[0]);
	close_if_open(&pairs->flows[1]);
	close_if_open(&pairs->dgrams[0]);
	close_if_open(&pairs->dgrams[1]);
}

int
spawn_children(const struct spawn_config *config, struct child *netproc,
    struct child *relayproc)
{
	struct pairs pairs;
	uint32_t missed = 0;

	child_init(netproc, ROLE_NETPROC);
	child_init(relayproc, ROLE_RELAYPROC);
	if (pairs_open(&pairs) == -1 ||
	    pairs_deafen(&pairs, config->strict, &missed) == -1)
		goto fail;
	netproc->missed = relayproc->missed = missed;
	if (child_start(config, netproc,
		(const int[]){ pairs.netproc[1], pairs.flows[0],
		    pairs.dgrams[0] }) == -1 ||
	    child_start(config, relayproc,
		(const int[]){ pairs.relayproc[1], pairs.flows[1],
		    pairs.dgrams[1] }) == -1)
		goto fail;
	netproc->channel_fd = pairs.netproc[0];
	relayproc->channel_fd = pairs.relayproc[0];
	pairs.netproc[0] = pairs.relayproc[0] = -1;
	pairs_close(&pairs);
	return (0);
fail:
	pairs_close(&pairs);
	spawn_end(netproc, NULL);
	spawn_end(relayproc, NULL);
	return (-1);
}

void
spawn_end(struct child *child, int *status)
{
	if (child->pid > 0) {
		if (child->pidfd != -1)
			syscall(SYS_pidfd_send_signal, child->pidfd, SIGKILL,
			    NULL, 0);
		while (waitpid(child->pid, status, 0) == -1 && errno == EINTR)
			;
	}
	child->pid = -1;
	close_if_open(&child->pidfd);
	close_if_open(&child->channel_fd);
}
