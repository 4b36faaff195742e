#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/utsname.h>

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <limits.h>
#include <poll.h>
#include <sha2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "config.h"
#include "ipc/fd_wait.h"
#include "ipc/log.h"
#include "parent/attest.h"
#include "parent/evidence.h"
#include "parent/parent.h"
#include "sandbox/rules.h"
#include "sandbox/stages.h"

static void
digest_text(const void *bytes, size_t len, char hex[65])
{
	SHA2_CTX ctx;

	SHA256Init(&ctx);
	SHA256Update(&ctx, bytes, len);
	SHA256End(&ctx, hex);
}

void
evidence_init(struct evidence *evidence)
{
	memset(evidence, 0, sizeof(*evidence));
	evidence->fd = -1;
}

/* What --print-policy prints.  0, or -1. */
static int
policy_digest(int splice, char hex[65])
{
	char *bytes = NULL;
	size_t len = 0;
	unsigned int role;
	FILE *file = open_memstream(&bytes, &len);
	int result = 0;

	if (file == NULL)
		return (-1);
	for (role = 0; role < ROLE_NROLES && result == 0; role++)
		result = filter_dump((enum role)role, splice, file);
	if (fclose(file) != 0)
		result = -1;
	if (result == 0)
		digest_text(bytes, len, hex);
	free(bytes);
	return (result);
}

/* Fails with ENXIO for a pipe that nobody reads, and does not wait for it. */
static int
path_open(const char *path)
{
	int fd = open(path,
	    O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC,
	    0644);

	if (fd != -1 && fcntl(fd, F_SETFL, O_APPEND) == -1) {
		close(fd);
		return (-1);
	}
	return (fd);
}

static int
file_open(const struct config *config)
{
	const int fd = config->evidence_fd;
	int flags;

	if (fd == -1)
		return (path_open(config->evidence_path));
	flags = fcntl(fd, F_GETFL);
	if (flags == -1)
		return (-1);
	if ((flags & O_ACCMODE) == O_RDONLY) {
		errno = EBADF;
		return (-1);
	}
	return (fcntl(fd, F_SETFD, FD_CLOEXEC) == -1 ? -1 : fd);
}

int
evidence_open(const struct config *config, struct evidence *evidence,
    struct config_error *error)
{
	struct utsname name;

	if (config->evidence_path[0] == '\0')
		return (0);
	if (uname(&name) == -1 ||
	    policy_digest(config->splice, evidence->policy) == -1)
		return (config_error(error, EX_OSERR, "--evidence: %s",
		    strerror(errno)));
	strlcpy(evidence->kernel, name.release, sizeof(evidence->kernel));
	json_object_seed(0); /* from a file, which the lock would refuse */
	evidence->fd = file_open(config);
	if (evidence->fd == -1 && errno == ENXIO)
		return (config_error(error, EX_CANTCREAT,
		    "--evidence %s: is a pipe that nobody reads, or a socket; "
		    "start the reader first, or name a file",
		    config->evidence_path));
	if (evidence->fd == -1)
		return (config_error(error, EX_CANTCREAT,
		    "--evidence %s: %s; name a file that can be written, or "
		    "fd:N with an open descriptor",
		    config->evidence_path, strerror(errno)));
	return (0);
}

int
evidence_begin(const struct config *config, const struct evidence *evidence,
    struct config_error *error)
{
	struct stat st;

	if (evidence->fd == -1 || config->evidence_fd != -1 ||
	    fstat(evidence->fd, &st) == -1 || !S_ISREG(st.st_mode) ||
	    ftruncate(evidence->fd, 0) == 0)
		return (0);
	return (config_error(error, EX_CANTCREAT,
	    "--evidence %s: %s; name a file that can be emptied",
	    config->evidence_path, strerror(errno)));
}

/* relayproc shares the host's network: that is no fence of its. */
static int
has_fence(enum role role, unsigned int stage)
{
	return (role != ROLE_RELAYPROC || stage != STAGE_NETNS);
}

/* Returns owned; NULL without memory, as all of these. */
static json_t *
fence_json(const struct peer *peer, unsigned int stage)
{
	const char *known = "said";

	if (peer->missed & STAGE_BIT(stage))
		known = "missing";
	else if (attest_sees(stage))
		known = "seen";
	return (json_pack("{s:s, s:s, s:s}", "name", stage_name(stage), "keeps",
	    stage_fences(stage), "known", known));
}

static json_t *
child_json(const struct peer *peer)
{
	const struct child *child = &peer->child;
	json_t *fences = json_array();
	unsigned int stage;

	for (stage = 0; stage < STAGE_N; stage++) {
		if (has_fence(child->role, stage))
			json_array_append_new(fences, fence_json(peer, stage));
	}
	return (json_pack("{s:i, s:I, s:o}", "pid", (int)child->pid, "uid",
	    (json_int_t)child->uid, "fences", fences));
}

static json_t *
parent_json(const struct parent *parent)
{
	json_t *missing = json_array();
	unsigned int stage;

	for (stage = 0; stage < STAGE_N; stage++) {
		if (parent->missed & STAGE_BIT(stage))
			json_array_append_new(missing,
			    json_string(stage_name(stage)));
	}
	return (json_pack("{s:i, s:o}", "pid", (int)parent->pid, "missing",
	    missing));
}

static const char *
verdict(const struct parent *parent, int refused)
{
	if (refused)
		return ("refused");
	return ((parent->missed | parent->netproc.missed |
		    parent->relayproc.missed) != 0 ?
		"degraded" :
		"stands");
}

/* The object as text without line ends.  Returns owned, or NULL. */
static char *
object_text(const struct parent *parent, int refused)
{
	struct timespec now;
	json_t *object;
	char *text;

	clock_gettime(CLOCK_REALTIME, &now);
	object = json_pack("{s:s, s:I, s:s, s:s, s:s, s:I, s:s, s:o, s:o, s:o}",
	    "sallyport", PACKAGE_VERSION, "time", (json_int_t)now.tv_sec,
	    "kernel", parent->evidence.kernel, "isolation",
	    parent->config.strict ? "strict" : "best-effort", "policy_sha256",
	    parent->evidence.policy, "restarts",
	    (json_int_t)parent->respawn.restarts, "verdict",
	    verdict(parent, refused), "parent", parent_json(parent), "netproc",
	    child_json(&parent->netproc), "relayproc",
	    child_json(&parent->relayproc));
	text = json_dumps(object, JSON_COMPACT);
	json_decref(object);
	return (text);
}

/*
 * Nobody may read a pipe, and who waits for that watches nothing: what has
 * room for anything takes PIPE_BUF bytes at once (pipe(7)).  0, or -1.
 */
static int
write_now(int fd, char *bytes, size_t len)
{
	struct iovec iov;
	ssize_t n;

	for (; len > 0; bytes += n, len -= (size_t)n) {
		if (fd_wait(fd, POLLOUT, 0) == 0)
			return (-1);
		/* The filter knows write(2) to stderr, writev(2) to all. */
		iov.iov_base = bytes;
		iov.iov_len = len < PIPE_BUF ? len : PIPE_BUF;
		n = writev(fd, &iov, 1);
		if (n <= 0)
			return (-1);
	}
	return (0);
}

void
evidence_write(struct parent *parent, int refused)
{
	static char newline[] = "\n";
	struct evidence *evidence = &parent->evidence;
	char hex[65], *text;
	size_t len;

	if (evidence->fd == -1)
		return;
	text = object_text(parent, refused);
	if (text == NULL) {
		log_warn("--evidence: no memory for the object");
		return;
	}
	len = strlen(text);
	digest_text(text, len, hex);
	if (!evidence->cut || write_now(evidence->fd, newline, 1) == 0) {
		evidence->cut = write_now(evidence->fd, text, len) == -1 ||
		    write_now(evidence->fd, newline, 1) == -1;
	}
	if (evidence->cut)
		log_warn("--evidence: the object was not written whole");
	log_info("evidence: sha256 %s", hex);
	free(text);
}

void
evidence_close(struct evidence *evidence)
{
	if (evidence->fd != -1)
		close(evidence->fd);
	evidence->fd = -1;
}
