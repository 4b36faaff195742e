#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include <linux/capability.h>
#include <linux/close_range.h>
#include <linux/securebits.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "ipc/log.h"
#include "sandbox/isolate.h"
#include "sandbox/landlock.h"
#include "sandbox/rules.h"
#include "sandbox/stages.h"

/*
 * Theory of operation.  Each function below puts up one fence and returns 0,
 * or an errno value; ENOSYS says that the kernel does not know it.  Tables
 * say which are put up by a child and in what order.
 *
 * Order: mounts need CAP_SYS_ADMIN, so they come before capabilities go; the
 * bounding set needs CAP_SETPCAP, so it comes before capabilities go too;
 * Landlock and seccomp need no_new_privs instead; PDEATHSIG is cleared by a
 * change of credentials, so it comes after the last one.
 *
 * Should: hold whatever it was started from; say which fence failed.
 * Mustn't: rely on a fence that another one could take down: all are one-way.
 */

#ifndef PR_SET_MDWE
#define PR_SET_MDWE		 65
#define PR_MDWE_REFUSE_EXEC_GAIN 1
#endif

/*
 * Most bytes of heap and anonymous memory of one child.  A process that wants
 * more gets ENOMEM from malloc, and ends: the pools are far smaller.
 */
#define DATA_BYTES_MAX (4ULL << 30)

/* Most bytes of stack: nothing recurses on input. */
#define STACK_BYTES_MAX (1ULL << 20)

struct fence {
	enum isolation_stage stage;
	int (*put_up)(void);
};

/*
 * The root becomes an empty, read-only tmpfs without room; the old one goes.
 * /proc serves as the mount point since it exists wherever we do.  The mount
 * namespace is ours already, but were it not, by a best-effort start or by
 * hand with the role's flag, it would be the host's root that goes.
 */
static int
fence_mounts(void)
{
	if (unshare(CLONE_NEWNS) == -1 ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == -1 ||
	    mount("empty", "/proc", "tmpfs",
		MS_RDONLY | MS_NODEV | MS_NOEXEC | MS_NOSUID,
		"nr_inodes=1,nr_blocks=1,mode=0555") == -1 ||
	    chdir("/proc") == -1 || syscall(SYS_pivot_root, ".", ".") == -1 ||
	    umount2(".", MNT_DETACH) == -1 || chdir("/") == -1)
		return (errno);
	return (0);
}

static int
fence_close_fds(void)
{
	return (close_range(FD_EPOLL, ~0U, 0) == -1 ? errno : 0);
}

static int
fence_bounding(void)
{
	int cap;

	for (cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++)
		if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) == -1)
			return (errno);
	/* locks in that uid 0 means nothing, also across an exec */
	if (prctl(PR_SET_SECUREBITS,
		SECBIT_NOROOT | SECBIT_NOROOT_LOCKED | SECBIT_NO_SETUID_FIXUP |
		    SECBIT_NO_SETUID_FIXUP_LOCKED | SECBIT_KEEP_CAPS_LOCKED |
		    SECBIT_NO_CAP_AMBIENT_RAISE |
		    SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED,
		0, 0, 0) == -1)
		return (errno);
	return (0);
}

/*
 * Leaves at most these capabilities (bits of the first word), and no other in
 * any set.  0, or an errno value.
 */
static int
caps_set(uint32_t permitted, uint32_t effective)
{
	struct __user_cap_header_struct header = {
		.version = _LINUX_CAPABILITY_VERSION_3
	};
	struct __user_cap_data_struct had[_LINUX_CAPABILITY_U32S_3];
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];

	if (syscall(SYS_capget, &header, had) == -1)
		return (errno);
	memset(data, 0, sizeof(data));
	data[0].permitted = had[0].permitted & permitted;
	data[0].effective = had[0].permitted & effective;
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) == -1 ||
	    syscall(SYS_capset, &header, data) == -1)
		return (errno);
	return (0);
}

static int
fence_caps(void)
{
	return (caps_set(0, 0));
}

static int
fence_no_new_privs(void)
{
	return (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == -1 ? errno : 0);
}

static int
fence_mdwe(void)
{
#ifdef SALLYPORT_SANITIZERS
	return (ENOSYS); /* the run-time maps its shadow as it likes */
#endif
	if (prctl(PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN, 0, 0, 0) == -1)
		return (errno == EINVAL ? ENOSYS : errno);
	return (0);
}

/*
 * The parent may have died before the signal was asked for.  In a pid
 * namespace getppid(2) is 0 either way, so ask its channel, whose other end
 * nobody else holds.
 */
static int
fence_pdeathsig(void)
{
	struct pollfd pfd = { .fd = FD_PARENT, .events = POLLIN };

	if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) == -1 ||
	    poll(&pfd, 1, 0) == -1)
		return (errno);
	return (pfd.revents & (POLLHUP | POLLERR | POLLNVAL) ? ESRCH : 0);
}

static int
limit_set(int resource, rlim_t limit)
{
	struct rlimit rl;

	if (getrlimit((__rlimit_resource_t)resource, &rl) == -1)
		return (errno);
	/* a limit that is lower already stays: it can only be lowered */
	if (rl.rlim_max > limit)
		rl.rlim_max = limit;
	rl.rlim_cur = rl.rlim_max;
	if (setrlimit((__rlimit_resource_t)resource, &rl) == -1)
		return (errno);
	return (0);
}

static int
fence_rlimits(void)
{
	static const struct {
		int resource;
		rlim_t limit;
	} limits[] = {
		{ RLIMIT_CORE, 0 }, /* a core file would hold guest data */
		{ RLIMIT_NPROC, 0 },
		{ RLIMIT_MEMLOCK, 0 },
		{ RLIMIT_MSGQUEUE, 0 },
		{ RLIMIT_STACK, STACK_BYTES_MAX },
#ifndef SALLYPORT_SANITIZERS
		/* shadow memory counts; reports may go to a regular file */
		{ RLIMIT_DATA, DATA_BYTES_MAX },
		{ RLIMIT_FSIZE, 0 },
#endif
	};
	size_t i;
	int error;

	for (i = 0; i < sizeof(limits) / sizeof(limits[0]); i++)
		if ((error = limit_set(limits[i].resource, limits[i].limit)))
			return (error);
	return (0);
}

static int
fence_dumpable(void)
{
	return (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == -1 ? errno : 0);
}

static int
fences_put_up(const struct fence *fences, size_t n, int strict,
    uint32_t *missed)
{
	size_t i;
	int error;

	for (i = 0; i < n; i++) {
		if ((error = fences[i].put_up()) == 0)
			continue;
		if (stage_missed(fences[i].stage, error, strict, missed) == -1)
			return (-1);
	}
	return (0);
}

int
isolate_self(enum role role, int strict, uint32_t *missed)
{
	static const struct fence fences[] = {
		{ STAGE_MOUNTS, fence_mounts },
		{ STAGE_CLOSE_FDS, fence_close_fds },
		{ STAGE_BOUNDING, fence_bounding },
		{ STAGE_CAPS, fence_caps },
		{ STAGE_NO_NEW_PRIVS, fence_no_new_privs },
		{ STAGE_MDWE, fence_mdwe },
		{ STAGE_PDEATHSIG, fence_pdeathsig },
		{ STAGE_RLIMITS, fence_rlimits },
	};

	/* write(2) to a peer that is gone is EPIPE, never death */
	if (signal(SIGPIPE, SIG_IGN) == SIG_ERR) {
		log_error("cannot ignore SIGPIPE: %s", strerror(errno));
		return (-1);
	}
	if (fences_put_up(fences, sizeof(fences) / sizeof(fences[0]), strict,
		missed) == -1)
		return (-1);
	return (landlock_deny(role, NULL, strict, missed));
}

int
isolate_set_nofile(rlim_t nofile)
{
	struct rlimit rl = { .rlim_cur = nofile, .rlim_max = nofile };

	if (nofile > FILTER_FD_END) {
		errno = EINVAL;
		return (-1);
	}
	return (setrlimit(RLIMIT_NOFILE, &rl));
}

static int
lock_seccomp(enum role role, int spliced, int strict, uint32_t *missed)
{
	if (filter_load(role, spliced) == 0)
		return (0);
	return (stage_missed(STAGE_SECCOMP, errno, strict, missed));
}

int
sandbox_lock(enum role role, int spliced, int strict, uint32_t *missed)
{
	static const struct fence fences[] = {
		{ STAGE_DUMPABLE, fence_dumpable },
	};

	if (fences_put_up(fences, 1, strict, missed) == -1)
		return (-1);
	return (lock_seccomp(role, spliced, strict, missed));
}

/*
 * Drops every capability, but for CAP_DAC_OVERRIDE where root could not unlink
 * in one of dirs as the plain user 0 (a directory in another user's home).
 */
static int
parent_caps(const char *const *dirs)
{
	const uint32_t override = 1u << CAP_DAC_OVERRIDE;
	int error;

	if ((error = caps_set(override, 0)) != 0)
		return (error);
	for (; dirs != NULL && *dirs != NULL; dirs++) {
		if (faccessat(AT_FDCWD, *dirs, W_OK | X_OK, AT_EACCESS) != 0)
			return (caps_set(override, override));
	}
	return (caps_set(0, 0));
}

/*
 * A parent that was not started by root may not drop its bounding set, and
 * need not: under no_new_privs an exec gains nothing from the set.
 */
static int
parent_bounding(int strict, uint32_t *missed)
{
	int error;

	error = fence_bounding();
	if (error == 0 ||
	    (error == EPERM && geteuid() != 0 &&
		!(*missed & STAGE_BIT(STAGE_NO_NEW_PRIVS))))
		return (0);
	return (stage_missed(STAGE_BOUNDING, error, strict, missed));
}

int
sandbox_lock_parent(int strict, const struct landlock_files *files,
    uint32_t *missed)
{
	static const struct fence fences[] = {
		{ STAGE_NO_NEW_PRIVS, fence_no_new_privs },
		{ STAGE_MDWE, fence_mdwe },
	};
	static const struct fence last[] = {
		{ STAGE_DUMPABLE, fence_dumpable },
	};
	int error;

	if (fences_put_up(fences, sizeof(fences) / sizeof(fences[0]), strict,
		missed) == -1 ||
	    parent_bounding(strict, missed) == -1)
		return (-1);
	if ((error = parent_caps(files != NULL ? files->unlink_dirs : NULL)) !=
		0 &&
	    stage_missed(STAGE_CAPS, error, strict, missed) == -1)
		return (-1);
	if (landlock_deny(ROLE_PARENT, files, strict, missed) == -1 ||
	    fences_put_up(last, 1, strict, missed) == -1)
		return (-1);
	return (lock_seccomp(ROLE_PARENT, 0, strict, missed));
}

/* Leaves these capabilities, no other, and nothing that an exec could gain. */
static int
trim(const char *name, uint32_t keep)
{
	if ((errno = fence_no_new_privs()) == 0 &&
	    (errno = caps_set(keep, keep)) == 0)
		return (0);
	log_error("%s: capabilities cannot be dropped: %s", name,
	    strerror(errno));
	return (-1);
}

int
sandbox_trim_spawner(int strict)
{
	/* maps of another uid and gid; to look at it as that uid */
	const uint32_t keep = 1u << CAP_SETUID | 1u << CAP_SETGID;

	/* Without a user namespace the fences take all of them. */
	return (strict ? trim("spawner", keep) : 0);
}

int
sandbox_trim_first(void)
{
	return (trim("first process", 0));
}
