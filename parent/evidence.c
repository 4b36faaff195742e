#include <sys/uio.h>
#include <sys/utsname.h>

#include <errno.h>
#include <fcntl.h>
#include <sha2.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "config.h"
#include "ipc/log.h"
#include "parent/attest.h"
#include "parent/evidence.h"
#include "parent/parent.h"
#include "sandbox/rules.h"
#include "sandbox/stages.h"

/* All fences of both children take 6,000 bytes. */
#define EVIDENCE_MAX 16384

/* "fd:N" names a descriptor that is open already. */
#define FD_PREFIX "fd:"

struct text {
	char bytes[EVIDENCE_MAX];
	size_t len;
	int cut;
};

__attribute__((format(printf, 2, 3))) static void
add(struct text *text, const char *format, ...)
{
	const size_t room = sizeof(text->bytes) - text->len;
	va_list ap;
	int n;

	va_start(ap, format);
	n = vsnprintf(text->bytes + text->len, room, format, ap);
	va_end(ap);
	if (n < 0 || (size_t)n >= room)
		text->cut = 1;
	else
		text->len += (size_t)n;
}

/*
 * As RFC 8259 7 wants it.  Our own tables' and the kernel's words are plain
 * ASCII; whatever else were in them would be left out.
 */
static void
add_string(struct text *text, const char *name, const char *value)
{
	add(text, "\"%s\":\"", name);
	for (; *value != '\0'; value++)
		if (*value >= ' ' && *value <= '~' && *value != '"' &&
		    *value != '\\')
			add(text, "%c", *value);
	add(text, "\"");
}

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
policy_digest(char hex[65])
{
	char *bytes = NULL;
	size_t len = 0;
	unsigned int role;
	FILE *file = open_memstream(&bytes, &len);
	int result = 0;

	if (file == NULL)
		return (-1);
	for (role = 0; role < ROLE_NROLES && result == 0; role++)
		result = filter_dump((enum role)role, file);
	if (fclose(file) != 0)
		result = -1;
	if (result == 0)
		digest_text(bytes, len, hex);
	free(bytes);
	return (result);
}

static int
file_open(const char *path)
{
	char *end;
	unsigned long fd;
	int flags;

	if (strncmp(path, FD_PREFIX, strlen(FD_PREFIX)) != 0)
		return (open(path,
		    O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC,
		    0644));
	fd = strtoul(path + strlen(FD_PREFIX), &end, 10);
	flags = *end != '\0' || fd > INT32_MAX ? -1 : fcntl((int)fd, F_GETFL);
	if (flags == -1 || fd <= STDERR_FILENO ||
	    (flags & O_ACCMODE) == O_RDONLY) {
		errno = EBADF;
		return (-1);
	}
	if (fcntl((int)fd, F_SETFD, FD_CLOEXEC) == -1)
		return (-1);
	return ((int)fd);
}

int
evidence_open(const struct config *config, struct evidence *evidence,
    struct config_error *error)
{
	struct utsname name;

	if (config->evidence_path[0] == '\0')
		return (0);
	if (uname(&name) == -1 || policy_digest(evidence->policy) == -1)
		return (config_error(error, EX_OSERR, "--evidence: %s",
		    strerror(errno)));
	strlcpy(evidence->kernel, name.release, sizeof(evidence->kernel));
	evidence->fd = file_open(config->evidence_path);
	if (evidence->fd == -1)
		return (config_error(error, EX_CANTCREAT,
		    "--evidence %s: %s; name a file that can be written, or "
		    "fd:N with an open descriptor",
		    config->evidence_path, strerror(errno)));
	return (0);
}

/* relayproc shares the host's network: that is no fence of its. */
static int
has_fence(enum role role, unsigned int stage)
{
	return (role != ROLE_RELAYPROC || stage != STAGE_NETNS);
}

static void
add_child(struct text *text, const struct peer *peer)
{
	const struct child *child = &peer->child;
	const char *comma = "";
	unsigned int stage;

	add(text, ",\"%s\":{\"pid\":%d,\"uid\":%u,\"fences\":[",
	    role_name(child->role), (int)child->pid, (unsigned int)child->uid);
	for (stage = 0; stage < STAGE_N; stage++) {
		if (!has_fence(child->role, stage))
			continue;
		add(text, "%s{", comma);
		comma = ",";
		add_string(text, "name", stage_name(stage));
		add(text, ",");
		add_string(text, "keeps", stage_fences(stage));
		add(text, ",");
		add_string(text, "known",
		    peer->missed & STAGE_BIT(stage) ? "missing" :
			attest_sees(stage)	    ? "seen" :
						      "said");
		add(text, "}");
	}
	add(text, "]}");
}

static void
add_parent(struct text *text, pid_t parent_pid, uint32_t missed)
{
	const char *comma = "";
	unsigned int stage;

	add(text, ",\"parent\":{\"pid\":%d,\"missing\":[", (int)parent_pid);
	for (stage = 0; stage < STAGE_N; stage++)
		if (missed & STAGE_BIT(stage)) {
			add(text, "%s\"%s\"", comma, stage_name(stage));
			comma = ",";
		}
	add(text, "]}");
}

void
evidence_write(const struct parent *parent, int refused)
{
	static struct text text;
	const uint32_t missed = parent->missed;
	const uint32_t all = missed | parent->netproc.missed |
	    parent->relayproc.missed;
	struct iovec iov;
	struct timespec now;
	char hex[65];

	if (parent->evidence.fd == -1)
		return;
	clock_gettime(CLOCK_REALTIME, &now);
	memset(&text, 0, sizeof(text));
	add(&text, "{\"sallyport\":\"%s\",\"time\":%lld,", PACKAGE_VERSION,
	    (long long)now.tv_sec);
	add_string(&text, "kernel", parent->evidence.kernel);
	add(&text, ",\"isolation\":\"%s\",\"policy_sha256\":\"%s\"",
	    parent->config.strict ? "strict" : "best-effort",
	    parent->evidence.policy);
	add(&text, ",\"restarts\":%llu,\"verdict\":\"%s\"",
	    (unsigned long long)parent->respawn.restarts,
	    refused	 ? "refused" :
		all != 0 ? "degraded" :
			   "stands");
	add_parent(&text, parent->pid, missed);
	add_child(&text, &parent->netproc);
	add_child(&text, &parent->relayproc);
	add(&text, "}");
	digest_text(text.bytes, text.len, hex);
	add(&text, "\n");
	iov.iov_base = text.bytes;
	iov.iov_len = text.len;
	/* The parent's filter knows write(2) to stderr, writev(2) to all. */
	if (text.cut ||
	    writev(parent->evidence.fd, &iov, 1) != (ssize_t)text.len)
		log_warn("--evidence: the object was not written whole");
	log_info("evidence: sha256 %s", hex);
}

void
evidence_close(struct evidence *evidence)
{
	if (evidence->fd != -1)
		close(evidence->fd);
	evidence->fd = -1;
}
