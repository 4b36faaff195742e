/*
 * The configuration file.  Input: the file.  What is taken is written out in
 * canonical form, which must be taken again, and be its own canonical form.
 */

#include <sys/mman.h>

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "parent/options.h"
#include "tests/fuzz/fuzz.h"

#define TEXT_MAX (256 * 1024)

const char fuzz_name[] = "config";

static struct config config;

/* 0, or -1: refused, with a reason. */
static int
read_file(int fd)
{
	struct config_error error;
	char path[64];

	memset(&error, 0, sizeof(error));
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	config_init(&config);
	config.check_only = 1;
	if (config_file_read(&config, path, &error) == 0 &&
	    config_check(&config, &error) == 0)
		return (0);
	FUZZ_CHECK(error.status != 0 && error.text[0] != '\0');
	return (-1);
}

static int
make_file(const char *name)
{
	int fd = memfd_create(name, MFD_CLOEXEC);

	FUZZ_CHECK(fd != -1);
	return (fd);
}

/* The canonical form of config. */
static size_t
print_to(int fd, char *text)
{
	ssize_t n;

	FUZZ_CHECK(config_print(&config, fd) == 0);
	n = pread(fd, text, TEXT_MAX, 0);
	FUZZ_CHECK(n >= 0 && n < TEXT_MAX);
	return ((size_t)n);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char first[TEXT_MAX], second[TEXT_MAX];
	const int file = make_file("file"), once = make_file("once"),
		  twice = make_file("twice");
	size_t len, again;

	FUZZ_CHECK(write(file, data, size) == (ssize_t)size);
	if (read_file(file) == 0) {
		len = print_to(once, first);
		FUZZ_CHECK(read_file(once) == 0);
		again = print_to(twice, second);
		FUZZ_CHECK(len == again && memcmp(first, second, len) == 0);
	}
	close(file);
	close(once);
	close(twice);
	return (0);
}
