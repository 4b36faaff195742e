#ifndef SANDBOX_STAGES_H
#define SANDBOX_STAGES_H

#include <stddef.h>
#include <stdint.h>

/*
 * The fences around each process, in the order in which they are put up.
 *
 *	name	the stage is STAGE_<name>, bit number of a `missed` mask
 *	need	ALWAYS: --isolation strict refuses to start without it;
 *		KERNEL: as well, unless the kernel is too old to know it, for
 *		then another fence (the filter) stands in the same place;
 *		ROOT: a start by root alone, for an unprivileged one has no
 *		uid to give and cannot leave its groups: that is reported
 *	fences	what it keeps the process from; printed when it is missed
 *	mend	what an operator can do where it is refused
 */
/* clang-format off */
#define ISOLATION_STAGES(X) \
	/* put up by the parent, before the child runs */ \
	X(PASSRIGHTS, KERNEL, "a channel takes no descriptors it should not", \
	    "needs Linux 6.16") \
	X(USERNS, ALWAYS, "no rights over the host, whatever its uid", \
	    "sysctl user.max_user_namespaces > 0 and, where they exist, " \
	    "kernel.unprivileged_userns_clone=1 and " \
	    "kernel.apparmor_restrict_unprivileged_userns=0; never given in " \
	    "a chroot: enter the root by pivot_root; in a container, a " \
	    "seccomp profile that lets clone(2) make them") \
	X(MOUNTNS, ALWAYS, "mounts of its own", \
	    "sysctl user.max_mnt_namespaces > 0") \
	X(NETNS, ALWAYS, "no network interface, no abstract socket", \
	    "sysctl user.max_net_namespaces > 0") \
	X(PIDNS, ALWAYS, "sees and signals no other process", \
	    "sysctl user.max_pid_namespaces > 0") \
	X(IPCNS, ALWAYS, "no System V IPC, no message queues", \
	    "sysctl user.max_ipc_namespaces > 0") \
	X(UTSNS, ALWAYS, "the host's name cannot be changed", \
	    "sysctl user.max_uts_namespaces > 0") \
	X(CGROUPNS, ALWAYS, "does not see the host's control groups", \
	    "sysctl user.max_cgroup_namespaces > 0") \
	X(GROUPS, ROOT, "no supplementary groups", \
	    "start as root, with CAP_SETUID and CAP_SETGID: an unprivileged " \
	    "start keeps its groups") \
	X(UID, ROOT, "a uid that owns nothing else", \
	    "start as root, with CAP_SETUID and CAP_SETGID") \
	/* put up by the process itself, after exec */ \
	X(MOUNTS, ALWAYS, "an empty read-only root: no file to open", \
	    "sysctl kernel.apparmor_restrict_unprivileged_userns=0, " \
	    "where it exists; in a container or a service, a system call " \
	    "filter that lets mount(2), umount2(2) and pivot_root(2) through") \
	X(CLOSE_FDS, ALWAYS, "no descriptor but its own", \
	    "needs Linux 5.9") \
	X(BOUNDING, ALWAYS, "an exec gains no capability", \
	    "the user namespace must grant CAP_SETPCAP") \
	X(CAPS, ALWAYS, "no capability in any set", \
	    "the user namespace must grant CAP_SETPCAP") \
	X(NO_NEW_PRIVS, ALWAYS, "a set-uid program gains nothing", \
	    "needs Linux 3.5") \
	X(MDWE, KERNEL, "no memory both written and executed", \
	    "needs Linux 6.3") \
	X(PDEATHSIG, ALWAYS, "does not outlive the parent", \
	    "start it by sallyport only") \
	X(RLIMITS, ALWAYS, "no core, file, process; few descriptors", \
	    "raise the hard limits of the shell that starts it") \
	X(LANDLOCK_FS, ALWAYS, "no file is opened, made or removed", \
	    "boot with landlock in lsm=, CONFIG_SECURITY_LANDLOCK=y; in a " \
	    "container or a service, a system call filter that lets " \
	    "landlock(7) through") \
	X(LANDLOCK_NET, KERNEL, "no TCP bind; netproc: no TCP connect", \
	    "needs Linux 6.7") \
	X(LANDLOCK_SCOPE, KERNEL, "no abstract socket or signal leaves", \
	    "needs Linux 6.12") \
	/* the lock */ \
	X(DUMPABLE, ALWAYS, "its memory is not for other processes", \
	    "needs Linux 2.4") \
	X(SECCOMP, ALWAYS, "no system call off its list", \
	    "needs CONFIG_SECCOMP_FILTER=y; in a container or a service, a " \
	    "system call filter that lets seccomp(2) through")
/* clang-format on */

enum isolation_stage {
#define X(name, need, fences, mend) STAGE_##name,
	ISOLATION_STAGES(X)
#undef X
	STAGE_N
};
_Static_assert(STAGE_N <= 32, "stages are bits of a uint32_t");

#define STAGE_BIT(stage) (1u << (stage))

enum stage_need {
	STAGE_NEED_ALWAYS,
	STAGE_NEED_KERNEL,
	STAGE_NEED_ROOT
};

/* Returns borrowed: "LANDLOCK_NET"; "?" for a number that is no stage. */
const char *stage_name(unsigned int stage);

/* Returns borrowed: what the stage fences, and what mends a refusal. */
const char *stage_fences(unsigned int stage);
const char *stage_mend(unsigned int stage);

enum stage_need stage_need(unsigned int stage);

/*
 * Settles a stage that did not hold, for the reason error (an errno value;
 * ENOSYS says that the kernel does not know it).  0: go on, its bit is set in
 * *missed; -1: strict refuses, and one line with the mend has been logged.  A
 * sanitizer build, which is never installed, goes on in any case.
 */
int stage_missed(unsigned int stage, int error, int strict, uint32_t *missed);

/*
 * Writes the names of the stages in missed, "MDWE,LANDLOCK_NET", or "none".
 * Returns buf.  512 bytes hold every name.
 */
const char *stages_format(uint32_t missed, char *buf, size_t size);

#endif
