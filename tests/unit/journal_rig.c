#include <sys/socket.h>

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "lwip/init.h"

#include "netproc/link/chunk.h"
#include "tests/unit/journal_rig.h"

const uint8_t mac[6] = { 2, 0x53, 0x4d, 0, 0, 1 };

const size_t sizes[NSIZES] = { 14, 15, 60, 1514, 64, 65550, 14, 9014, 33000,
	65535, 33000 };

size_t chunk;

uint8_t stream[300000];
size_t stream_len;

static size_t
frame_put(uint8_t *at, size_t i)
{
	const size_t len = sizes[i % NSIZES];

	at[0] = 0;
	at[1] = (uint8_t)(len >> 16);
	at[2] = (uint8_t)(len >> 8);
	at[3] = (uint8_t)len;
	memset(at + 4, (int)(i % NSIZES + 1), len);
	return (4 + len);
}

int
rig_setup(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < NSIZES; i++)
		stream_len += frame_put(stream + stream_len, i);
	lwip_init();
	chunk = chunk_probe();
	return (0);
}

void
make_pair(int fds[2])
{
	assert_return_code(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0,
			       fds),
	    errno);
}

struct journal *
make_journal(void)
{
	int fd = journal_create(SLOTS);
	struct journal *journal;

	assert_return_code(fd, errno);
	journal = journal_map(fd, SLOTS);
	assert_non_null(journal);
	close(fd);
	return (journal);
}

int
frame_is_whole(const uint8_t *frame, size_t len)
{
	size_t i;

	if (frame[0] == 0 || frame[0] > NSIZES || len != sizes[frame[0] - 1])
		return (0);
	for (i = 1; i < len; i++)
		if (frame[i] != frame[0])
			return (0);
	return (1);
}
