/*
 * netproc's frame reader lends frames inside a large buffer, where ASan sees
 * no read past a frame's end.  Here each is lent as a copy of exactly its
 * size, for exactly as long as the reader promises: until it reads again.
 * The linker puts these functions around the reader's (--wrap).
 */

#include <stdlib.h>
#include <string.h>

#include "netproc/link/frame.h"
#include "tests/fuzz/whole.h"

#define LENT_MAX 4096

static uint8_t *lent[LENT_MAX];
static size_t nlent;

enum frame_next __real_frame_reader_next(struct frame_reader *r,
    uint8_t **frame, size_t *frame_len);
ssize_t __real_frame_reader_fill(struct frame_reader *r, int fd);
void __real_frame_reader_reset(struct frame_reader *r);
enum frame_next __wrap_frame_reader_next(struct frame_reader *r,
    uint8_t **frame, size_t *frame_len);
ssize_t __wrap_frame_reader_fill(struct frame_reader *r, int fd);
void __wrap_frame_reader_reset(struct frame_reader *r);

static void
give_back(void)
{
	while (nlent > 0)
		free(lent[--nlent]);
}

enum frame_next
__wrap_frame_reader_next(struct frame_reader *r, uint8_t **frame,
    size_t *frame_len)
{
	const enum frame_next next = __real_frame_reader_next(r, frame,
	    frame_len);
	uint8_t *exact;

	if (next != FRAME_NEXT_FRAME)
		return (next);
	FUZZ_CHECK(nlent < LENT_MAX);
	whole_starving = 0; /* the reader allocates nothing */
	exact = malloc(*frame_len);
	whole_starving = 1;
	FUZZ_CHECK(exact != NULL);
	memcpy(exact, *frame, *frame_len);
	lent[nlent++] = exact;
	*frame = exact;
	return (next);
}

ssize_t
__wrap_frame_reader_fill(struct frame_reader *r, int fd)
{
	give_back();
	return (__real_frame_reader_fill(r, fd));
}

void
__wrap_frame_reader_reset(struct frame_reader *r)
{
	give_back();
	__real_frame_reader_reset(r);
}
