#include <sys/syscall.h>

#include <linux/landlock.h>

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "sandbox/landlock.h"
#include "sandbox/stages.h"

/*
 * The kernel's Landlock may be older or newer than the headers that we are
 * compiled with, so what came after the first version (Linux 5.13) is spelled
 * out here and asked for by ABI version: refer 2 (5.19), truncate 3 (6.2), TCP
 * 4 (6.7), device ioctl 5 (6.10), scopes 6 (6.12).
 */
#define FS_ABI_1     ((1ULL << 13) - 1) /* EXECUTE .. MAKE_SYM */
#define FS_REFER     (1ULL << 13)
#define FS_TRUNCATE  (1ULL << 14)
#define FS_IOCTL_DEV (1ULL << 15)

#define NET_BIND_TCP	(1ULL << 0)
#define NET_CONNECT_TCP (1ULL << 1)

#define SCOPE_ABSTRACT_UNIX (1ULL << 0)
#define SCOPE_SIGNAL	    (1ULL << 1)

struct ruleset_attr {
	uint64_t fs;
	uint64_t net;	/* ABI 4 */
	uint64_t scope; /* ABI 6 */
};

static int
landlock_abi(void)
{
	return ((int)syscall(SYS_landlock_create_ruleset, NULL, 0,
	    LANDLOCK_CREATE_RULESET_VERSION));
}

/* What this role gives up, of what this ABI can take. */
static struct ruleset_attr
landlock_attr(enum role role, int abi)
{
	struct ruleset_attr attr = { .fs = FS_ABI_1 };

	if (abi >= 2)
		attr.fs |= FS_REFER;
	if (abi >= 3)
		attr.fs |= FS_TRUNCATE;
	if (abi >= 5)
		attr.fs |= FS_IOCTL_DEV;
	if (abi >= 4) {
		attr.net = NET_BIND_TCP;
		if (role != ROLE_RELAYPROC)
			attr.net |= NET_CONNECT_TCP;
	}
	if (abi >= 6) {
		attr.scope = SCOPE_ABSTRACT_UNIX;
		if (role != ROLE_PARENT)
			attr.scope |= SCOPE_SIGNAL;
	}
	return (attr);
}

/* For path, and what is beneath it.  0, or -1 with errno. */
static int
landlock_allow(int ruleset, const char *path, uint64_t access)
{
	struct landlock_path_beneath_attr attr = { .allowed_access = access };
	int error = 0;

	attr.parent_fd = open(path, O_PATH | O_CLOEXEC);
	if (attr.parent_fd == -1)
		return (-1);
	if (syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH,
		&attr, 0) == -1)
		error = errno;
	close(attr.parent_fd);
	errno = error;
	return (error == 0 ? 0 : -1);
}

/* 0, or -1 with errno. */
static int
landlock_allow_files(int ruleset, const struct landlock_files *files)
{
	const char *const *path;

	for (path = files->unlink_dirs; path != NULL && *path != NULL; path++)
		if (landlock_allow(ruleset, *path,
			LANDLOCK_ACCESS_FS_REMOVE_FILE) == -1)
			return (-1);
	for (path = files->read_paths; path != NULL && *path != NULL; path++)
		if (landlock_allow(ruleset, *path,
			LANDLOCK_ACCESS_FS_READ_FILE) == -1 &&
		    errno != ENOENT)
			return (-1);
	return (0);
}

/* 0, or -1 with errno. */
static int
landlock_restrict(const struct ruleset_attr *attr, int abi,
    const struct landlock_files *files)
{
	size_t size;
	int ruleset, error = 0;

	/* an older kernel takes a larger struct only if the rest is zero */
	size = abi >= 6 ? sizeof(*attr) :
	    abi >= 4	? offsetof(struct ruleset_attr, scope) :
			  offsetof(struct ruleset_attr, net);
	ruleset = (int)syscall(SYS_landlock_create_ruleset, attr, size, 0);
	if (ruleset == -1)
		return (-1);
	if (files != NULL && landlock_allow_files(ruleset, files) == -1)
		error = errno;
	if (error == 0 && syscall(SYS_landlock_restrict_self, ruleset, 0) == -1)
		error = errno;
	close(ruleset);
	errno = error;
	return (error == 0 ? 0 : -1);
}

int
landlock_deny(enum role role, const struct landlock_files *files, int strict,
    uint32_t *missed)
{
	struct ruleset_attr attr;
	int abi, error = 0;

	if ((abi = landlock_abi()) < 1) {
		error = abi == -1 ? errno : EOPNOTSUPP;
	} else {
		attr = landlock_attr(role, abi);
		if (landlock_restrict(&attr, abi, files) == -1)
			error = errno;
	}
	if (error != 0 &&
	    stage_missed(STAGE_LANDLOCK_FS, error, strict, missed) == -1)
		return (-1);
	if ((error != 0 || abi < 4) &&
	    stage_missed(STAGE_LANDLOCK_NET, ENOSYS, strict, missed) == -1)
		return (-1);
	if ((error != 0 || abi < 6) &&
	    stage_missed(STAGE_LANDLOCK_SCOPE, ENOSYS, strict, missed) == -1)
		return (-1);
	return (0);
}
