/*
 * Replays a target's corpus without libFuzzer: each file, and each beginning
 * of it unless a fuzzer has made it (found-*), in a copy of exactly its size.
 * Speaks TAP.  The corpus lies in
 * $srcdir/tests/fuzz/corpus; arguments name other files.  With REPLAY_WHOLE in
 * the environment the beginnings are left out: valgrind is slow.
 */

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "tests/fuzz/fuzz.h"

#define INPUT_MAX      65536
#define BEGINNINGS_MAX 2048 /* longer inputs are not cut at every byte */

static unsigned int ntests;
static int whole_only;

static void
run_exact(const uint8_t *bytes, size_t len)
{
	uint8_t *exact = malloc(len > 0 ? len : 1);

	if (exact == NULL)
		abort();
	memcpy(exact, bytes, len);
	(void)LLVMFuzzerTestOneInput(exact, len);
	free(exact);
}

static void
replay_file(const char *path)
{
	static uint8_t bytes[INPUT_MAX];
	FILE *f = fopen(path, "rb");
	size_t len, cut;

	ntests++;
	if (f == NULL) {
		printf("not ok %u - %s: %s\n", ntests, path, strerror(errno));
		return;
	}
	len = fread(bytes, 1, sizeof(bytes), f);
	fclose(f);
	for (cut = 0; cut < len && len <= BEGINNINGS_MAX && !whole_only &&
	     strstr(path, "/found-") == NULL;
	     cut++)
		run_exact(bytes, cut);
	run_exact(bytes, len);
	printf("ok %u - %s\n", ntests, path);
	fflush(stdout); /* what comes next may abort */
}

static int
not_hidden(const struct dirent *entry)
{
	return (entry->d_name[0] != '.');
}

static int
replay_corpus(void)
{
	const char *srcdir = getenv("srcdir");
	char dir[PATH_MAX / 2], path[PATH_MAX];
	struct dirent **entries;
	int i, n;

	snprintf(dir, sizeof(dir), "%s/tests/fuzz/corpus/%s",
	    srcdir != NULL ? srcdir : ".", fuzz_name);
	n = scandir(dir, &entries, not_hidden, alphasort);
	if (n <= 0) {
		printf("Bail out! no corpus in %s\n", dir);
		return (-1);
	}
	for (i = 0; i < n; i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, entries[i]->d_name);
		replay_file(path);
		free(entries[i]);
	}
	free(entries);
	return (0);
}

int
main(int argc, char *argv[])
{
	int i;

	whole_only = getenv("REPLAY_WHOLE") != NULL;
	for (i = 1; i < argc; i++)
		replay_file(argv[i]);
	if (argc == 1 && replay_corpus() == -1)
		return (1);
	printf("1..%u\n", ntests);
	return (0);
}
