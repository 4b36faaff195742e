/*
 * Memory runs out: every conversation of the corpus of fuzz_netproc.c, with
 * the first allocation of netproc's and lwIP's refused, the second, and so on;
 * once more with all refused from there on; and with the first system call
 * that moves bytes failing, the second, and so on.  What whole.h says must hold
 * all the same: one connection may be lost, what is held is given back.
 *
 * The linker puts these functions around libc's (--wrap).  Speaks TAP.
 */

#include <sys/socket.h>
#include <sys/uio.h>

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "tests/fuzz/whole.h"

#define INPUT_MAX 65536
#define FAILS_MAX 400 /* of one conversation */

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);

ssize_t __real_readv(int fd, const struct iovec *iov, int n);
ssize_t __real_writev(int fd, const struct iovec *iov, int n);
ssize_t __real_recvmsg(int fd, struct msghdr *msg, int flags);
int __real_recvmmsg(int fd, struct mmsghdr *msgs, unsigned int n, int flags,
    struct timespec *timeout);
ssize_t __wrap_readv(int fd, const struct iovec *iov, int n);
ssize_t __wrap_writev(int fd, const struct iovec *iov, int n);
ssize_t __wrap_recvmsg(int fd, struct msghdr *msg, int flags);
int __wrap_recvmmsg(int fd, struct mmsghdr *msgs, unsigned int n, int flags,
    struct timespec *timeout);

/* What fails in this run, and when. */
struct fault {
	unsigned int n;	 /* so many were there */
	unsigned int at; /* 0: never */
	int on;		 /* and all after it */
	int error;
};

static struct fault memory, calls;
static unsigned int nfailed;

static int
fails(struct fault *fault)
{
	if (!whole_starving)
		return (0);
	fault->n++;
	if (fault->at == 0 || fault->n < fault->at ||
	    (fault->n > fault->at && !fault->on))
		return (0);
	nfailed++;
	errno = fault->error;
	return (1);
}

void *
__wrap_malloc(size_t size)
{
	return (fails(&memory) ? NULL : __real_malloc(size));
}

void *
__wrap_calloc(size_t n, size_t size)
{
	return (fails(&memory) ? NULL : __real_calloc(n, size));
}

ssize_t
__wrap_readv(int fd, const struct iovec *iov, int n)
{
	return (fails(&calls) ? -1 : __real_readv(fd, iov, n));
}

ssize_t
__wrap_writev(int fd, const struct iovec *iov, int n)
{
	return (fails(&calls) ? -1 : __real_writev(fd, iov, n));
}

ssize_t
__wrap_recvmsg(int fd, struct msghdr *msg, int flags)
{
	return (fails(&calls) ? -1 : __real_recvmsg(fd, msg, flags));
}

int
__wrap_recvmmsg(int fd, struct mmsghdr *msgs, unsigned int n, int flags,
    struct timespec *timeout)
{
	return (fails(&calls) ? -1 :
				__real_recvmmsg(fd, msgs, n, flags, timeout));
}

static void
run(const uint8_t *bytes, size_t len, struct fault *fault, unsigned int at,
    int on, int error)
{
	memory.at = calls.at = 0;
	memory.n = calls.n = 0;
	fault->at = at;
	fault->on = on;
	fault->error = error;
	(void)LLVMFuzzerTestOneInput(bytes, len);
}

static unsigned int
at_most(unsigned int n)
{
	return (n < FAILS_MAX ? n : FAILS_MAX);
}

static void
starve_file(const char *path, const char *name, unsigned int number)
{
	static const int errors[] = { EINTR, ENOBUFS, ENOMEM };
	static uint8_t bytes[INPUT_MAX];
	FILE *f = fopen(path, "rb");
	unsigned int n, nallocs, ncalls, e;
	size_t len;

	FUZZ_CHECK(f != NULL);
	len = fread(bytes, 1, sizeof(bytes), f);
	fclose(f);
	run(bytes, len, &memory, 0, 0, 0);
	nallocs = at_most(memory.n);
	ncalls = at_most(calls.n);
	for (n = 1; n <= nallocs; n++) {
		run(bytes, len, &memory, n, 0, ENOMEM);
		run(bytes, len, &memory, n, 1, ENOMEM);
	}
	for (n = 1; n <= ncalls; n++) {
		for (e = 0; e < 3; e++)
			run(bytes, len, &calls, n, 0, errors[e]);
	}
	printf("ok %u - %s, whichever of %u allocations, of %u calls fails\n",
	    number, name, nallocs, ncalls);
	fflush(stdout); /* what comes next may abort */
}

/* What a fuzzer has found is mostly noise, and much. */
static int
is_conversation(const struct dirent *entry)
{
	return (entry->d_name[0] != '.' &&
	    strncmp(entry->d_name, "found-", 6) != 0);
}

int
main(int argc, char *argv[])
{
	const char *srcdir = getenv("srcdir");
	char dir[PATH_MAX / 2], path[PATH_MAX];
	struct dirent **entries;
	int i, n;

	if (argc == 2) {
		starve_file(argv[1], argv[1], 1);
		return (0);
	}
	snprintf(dir, sizeof(dir), "%s/tests/fuzz/corpus/netproc",
	    srcdir != NULL ? srcdir : ".");
	n = scandir(dir, &entries, is_conversation, alphasort);
	FUZZ_CHECK(n > 0);
	for (i = 0; i < n; i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, entries[i]->d_name);
		starve_file(path, entries[i]->d_name, (unsigned int)i + 1);
		free(entries[i]);
	}
	free(entries);
	printf("# %u allocations and calls failed\n1..%d\n", nfailed, n);
	return (0);
}
