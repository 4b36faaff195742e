#include <sys/fsuid.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ipc/log.h"
#include "parent/attest.h"
#include "sandbox/stages.h"

/*
 * Theory of operation.  A table of checks, one per fence that can be seen
 * from outside; each looks at one file of /proc/PID and says whether the fence
 * stands.  The pid cannot be reused meanwhile: nobody but us reaps it.  What
 * cannot be read does not stand.  A process that ends loses its namespaces and
 * its descriptors before it is a zombie, of which only the fences in its
 * status and limits are seen.  So where no other is missing its pidfd is asked
 * as well: a child that has ended lacks no fence, but its life.  Of one that
 * the parent has reaped while the spawner looks nothing is seen.
 *
 * Landlock, MDWE, the parent-death signal and the dumpable flag cannot be
 * seen from outside; they rest on the child's own word in READY.
 */

/* /proc/PID/status and the like; longer text would be cut, and not stand. */
#define PROC_TEXT_MAX 4096

/* How long a child of which nothing is seen may take to have ended. */
#define ENDING_MS 500

static int
proc_read(const struct child *child, const char *file, char *text, size_t size)
{
	char path[64];
	ssize_t n;
	size_t len = 0;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)child->pid, file);
	if ((fd = open(path, O_RDONLY | O_CLOEXEC)) == -1)
		return (-1);
	while ((n = read(fd, text + len, size - 1 - len)) > 0)
		len += (size_t)n;
	close(fd);
	text[len] = '\0';
	return (n == -1 || len == size - 1 ? -1 : 0);
}

/*
 * Returns borrowed: what follows "\nname" in text up to the line's end, which
 * becomes its terminator, leading blanks skipped; NULL without such a line.
 */
static char *
line_of(char *text, const char *name)
{
	size_t len = strlen(name);
	char *line, *next;

	for (line = text; line != NULL && *line != '\0'; line = next) {
		if ((next = strchr(line, '\n')) != NULL)
			next++;
		if (strncmp(line, name, len) != 0)
			continue;
		if (next != NULL)
			next[-1] = '\0';
		line += len;
		return (line + strspn(line, " \t"));
	}
	return (NULL);
}

/* 1 if the line of /proc/PID/status that begins with name has this value. */
static int
status_is(const struct child *child, const char *name, const char *value)
{
	char text[PROC_TEXT_MAX];
	const char *line;

	if (proc_read(child, "status", text, sizeof(text)) == -1 ||
	    (line = line_of(text, name)) == NULL)
		return (0);
	return (strcmp(line, value) == 0);
}

static int
seccomp_stands(const struct child *child)
{
	return (status_is(child, "Seccomp:", "2"));
}

static int
no_new_privs_stands(const struct child *child)
{
	return (status_is(child, "NoNewPrivs:", "1"));
}

#define NO_CAPS "0000000000000000"

static int
caps_stands(const struct child *child)
{
	return (status_is(child, "CapInh:", NO_CAPS) &&
	    status_is(child, "CapPrm:", NO_CAPS) &&
	    status_is(child, "CapEff:", NO_CAPS) &&
	    status_is(child, "CapAmb:", NO_CAPS));
}

static int
bounding_stands(const struct child *child)
{
	return (status_is(child, "CapBnd:", NO_CAPS));
}

/* Real, effective, saved and file-system ids, as this namespace sees them. */
static int
ids_are(const struct child *child, const char *name, unsigned int id)
{
	char value[64];

	snprintf(value, sizeof(value), "%u\t%u\t%u\t%u", id, id, id, id);
	return (status_is(child, name, value));
}

static int
uid_stands(const struct child *child)
{
	return (child->uid != geteuid() && ids_are(child, "Uid:", child->uid) &&
	    ids_are(child, "Gid:", child->gid));
}

static int
groups_stands(const struct child *child)
{
	return (status_is(child, "Groups:", ""));
}

static int
ns_is_own(const struct child *child, const char *ns)
{
	char path[64], own[64], theirs[64];
	ssize_t n, m;

	snprintf(path, sizeof(path), "/proc/%d/ns/%s", (int)child->pid, ns);
	n = readlink(path, theirs, sizeof(theirs));
	snprintf(path, sizeof(path), "/proc/self/ns/%s", ns);
	m = readlink(path, own, sizeof(own));
	if (n <= 0 || m <= 0)
		return (0);
	return (n != m || memcmp(own, theirs, (size_t)n) != 0);
}

static int
userns_stands(const struct child *child)
{
	return (ns_is_own(child, "user"));
}

static int
mountns_stands(const struct child *child)
{
	return (ns_is_own(child, "mnt"));
}

static int
netns_stands(const struct child *child)
{
	return (child->role == ROLE_RELAYPROC || ns_is_own(child, "net"));
}

static int
pidns_stands(const struct child *child)
{
	return (ns_is_own(child, "pid"));
}

static int
ipcns_stands(const struct child *child)
{
	return (ns_is_own(child, "ipc"));
}

static int
utsns_stands(const struct child *child)
{
	return (ns_is_own(child, "uts"));
}

static int
cgroupns_stands(const struct child *child)
{
	return (ns_is_own(child, "cgroup"));
}

/* One mount, a read-only tmpfs on "/": see proc_pid_mountinfo(5). */
static int
mounts_stands(const struct child *child)
{
	char text[PROC_TEXT_MAX];
	const char *end;

	if (proc_read(child, "mountinfo", text, sizeof(text)) == -1)
		return (0);
	end = strchr(text, '\n');
	return (end != NULL && end[1] == '\0' && strstr(text, " / / ro,") &&
	    strstr(text, " - tmpfs empty ro,") != NULL);
}

/* Soft and hard limit of one line of /proc/PID/limits are 0. */
static int
limit_is_zero(const struct child *child, const char *name)
{
	char text[PROC_TEXT_MAX];
	const char *line;
	char *end;

	if (proc_read(child, "limits", text, sizeof(text)) == -1 ||
	    (line = line_of(text, name)) == NULL)
		return (0);
	if (strtoul(line, &end, 10) != 0 || end == line)
		return (0);
	line = end;
	return (strtoul(line, &end, 10) == 0 && end != line);
}

static int
rlimits_stands(const struct child *child)
{
#ifndef SALLYPORT_SANITIZERS
	if (!limit_is_zero(child, "Max file size"))
		return (0);
#endif
	return (limit_is_zero(child, "Max core file size") &&
	    limit_is_zero(child, "Max processes"));
}

/*
 * By its numbers: what it is called says little, as a file may have the name,
 * and the device may lose it with the mounts that the child has left.
 */
static int
is_null_device(int dir_fd, const char *name)
{
	struct stat st;

	return (fstatat(dir_fd, name, &st, 0) == 0 && S_ISCHR(st.st_mode) &&
	    st.st_rdev == makedev(1, 3));
}

static int
fd_is_expected(unsigned long fd, int dir_fd, const char *name,
    const char *target)
{
	if (fd <= STDERR_FILENO) {
#ifdef SALLYPORT_SANITIZERS
		if (fd == STDERR_FILENO)
			return (1);
#endif
		return (is_null_device(dir_fd, name));
	}
	if (fd == FD_EPOLL)
		return (strcmp(target, "anon_inode:[eventpoll]") == 0);
	return (strncmp(target, "socket:[", 8) == 0);
}

/* 1 if this is a descriptor that the child should hold; counts it. */
static int
fd_stands(const struct child *child, int dir_fd, const char *name,
    unsigned int *nfds)
{
	char target[PATH_MAX], *end;
	unsigned long fd;
	ssize_t n;

	n = readlinkat(dir_fd, name, target, sizeof(target) - 1);
	if (n == -1)
		return (0);
	target[n] = '\0';
	fd = strtoul(name, &end, 10);
	if (*end == '\0' && fd_is_expected(fd, dir_fd, name, target)) {
		(*nfds)++;
		return (1);
	}
	/* Of one that is ending it may have gone while we looked. */
	if (readlinkat(dir_fd, name, target, sizeof(target) - 1) == -1)
		return (0);
	log_error("%s holds descriptor %s: %s", role_name(child->role), name,
	    target);
	return (0);
}

/*
 * They are for the child's user to list.  A root without CAP_DAC_READ_SEARCH,
 * as in a container or the spawner, does it as that user (setfsuid(2)).
 */
static DIR *
fds_open(const struct child *child)
{
	char path[64];
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/fd", (int)child->pid);
	dir = opendir(path);
	if (dir != NULL || errno != EACCES)
		return (dir);
	setfsuid(child->uid);
	return (opendir(path));
}

/* The fixed ones, the event loop's, and what it was handed. */
static int
close_fds_stands(const struct child *child)
{
	const struct dirent *entry;
	unsigned int nfds = 0;
	DIR *dir = fds_open(child);
	int stands = dir != NULL;

	while (dir != NULL && (entry = readdir(dir)) != NULL)
		if (entry->d_name[0] != '.' &&
		    !fd_stands(child, dirfd(dir), entry->d_name, &nfds))
			stands = 0;
	if (dir != NULL)
		closedir(dir);
	setfsuid(geteuid());
	return (stands && nfds == FD_FIRST_DYNAMIC + child->nlent);
}

static const struct {
	enum isolation_stage stage;
	int (*stands)(const struct child *child);
	int outlives; /* seen of a zombie as well */
} checks[] = {
	{ STAGE_USERNS, userns_stands, 0 },
	{ STAGE_MOUNTNS, mountns_stands, 0 },
	{ STAGE_NETNS, netns_stands, 0 },
	{ STAGE_PIDNS, pidns_stands, 0 },
	{ STAGE_IPCNS, ipcns_stands, 0 },
	{ STAGE_UTSNS, utsns_stands, 0 },
	{ STAGE_CGROUPNS, cgroupns_stands, 0 },
	{ STAGE_GROUPS, groups_stands, 1 },
	{ STAGE_UID, uid_stands, 1 },
	{ STAGE_MOUNTS, mounts_stands, 0 },
	{ STAGE_CLOSE_FDS, close_fds_stands, 0 },
	{ STAGE_BOUNDING, bounding_stands, 1 },
	{ STAGE_CAPS, caps_stands, 1 },
	{ STAGE_NO_NEW_PRIVS, no_new_privs_stands, 1 },
	{ STAGE_RLIMITS, rlimits_stands, 1 },
	{ STAGE_SECCOMP, seccomp_stands, 1 },
};

int
attest_sees(unsigned int stage)
{
	size_t i;

	for (i = 0; i < sizeof(checks) / sizeof(checks[0]); i++)
		if (checks[i].stage == stage)
			return (1);
	return (0);
}

/* In strict a child would not have come so far without such a stage. */
static int
miss_is_admissible(const struct child *child, unsigned int stage, int strict)
{
#ifdef SALLYPORT_SANITIZERS
	strict = 0;
#endif
	if (!strict || stage_need(stage) == STAGE_NEED_KERNEL ||
	    (stage_need(stage) == STAGE_NEED_ROOT && geteuid() != 0))
		return (1);
	log_error("%s: isolation stage %s (%s) does not hold; mend: %s; or "
		  "--isolation best-effort",
	    role_name(child->role), stage_name(stage), stage_fences(stage),
	    stage_mend(stage));
	return (0);
}

/*
 * Whose memory is not for others (DUMPABLE) and who has no user namespace of
 * ours is hidden from an unprivileged parent: what it holds cannot be seen.
 */
static int
fds_are_hidden(const struct child *child)
{
	char path[64], target[PATH_MAX];

	snprintf(path, sizeof(path), "/proc/%d/fd/0", (int)child->pid);
	return (readlink(path, target, sizeof(target)) == -1 &&
	    errno == EACCES);
}

/* The stages that are not seen, but for those known to be missed. */
static uint32_t
look(const struct child *child, uint32_t missed)
{
	uint32_t unseen = 0;
	size_t i;

	for (i = 0; i < sizeof(checks) / sizeof(checks[0]); i++)
		if (!(missed & STAGE_BIT(checks[i].stage)) &&
		    !checks[i].stands(child))
			unseen |= STAGE_BIT(checks[i].stage);
	return (unseen);
}

/* 1 if these are unseen because it has ended, or does within ENDING_MS. */
static int
is_ending(const struct child *child, uint32_t unseen)
{
	struct pollfd pfd = { .fd = child->pidfd, .events = POLLIN };
	size_t i;

	if (unseen == 0 || child->pidfd == -1)
		return (0);
	if (syscall(SYS_pidfd_send_signal, child->pidfd, 0, NULL, 0) == -1 &&
	    errno == ESRCH)
		return (1);
	for (i = 0; i < sizeof(checks) / sizeof(checks[0]); i++)
		if (checks[i].outlives && (unseen & STAGE_BIT(checks[i].stage)))
			return (0);
	return (poll(&pfd, 1, ENDING_MS) == 1);
}

int
attest_child(const struct child *child, int strict, uint32_t *missed)
{
	unsigned int stage;
	uint32_t unseen;
	int result = 0;

	*missed |= child->missed;
	for (stage = 0; stage < STAGE_N; stage++)
		if ((*missed & STAGE_BIT(stage)) &&
		    !miss_is_admissible(child, stage, strict))
			result = -1;
	unseen = look(child, *missed);
	if (!strict && (unseen & STAGE_BIT(STAGE_CLOSE_FDS)) &&
	    (*missed & STAGE_BIT(STAGE_USERNS)) && fds_are_hidden(child)) {
		*missed |= STAGE_BIT(STAGE_CLOSE_FDS);
		unseen &= ~STAGE_BIT(STAGE_CLOSE_FDS);
	}
	if (result == 0 && is_ending(child, unseen))
		return (1);
	for (stage = 0; stage < STAGE_N; stage++)
		if (unseen & STAGE_BIT(stage))
			log_error("%s: isolation stage %s (%s) does not hold, "
				  "seen from outside",
			    role_name(child->role), stage_name(stage),
			    stage_fences(stage));
	*missed |= unseen;
	return (unseen == 0 ? result : -1);
}
