#include <sys/mman.h>
#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "ipc/journal.h"

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U /* Linux 6.3 */
#endif

#define PREFIX_LEN    4
#define FRAME_LEN_MIN (JOURNAL_FRAME_MIN - PREFIX_LEN)
#define FRAME_LEN_MAX (JOURNAL_FRAME_MAX - PREFIX_LEN)

/* Longest frame of filler: every VMM takes what an MTU of 1500 allows. */
#define FILLER_FRAME_MAX 1518

/* Bytes of a journal for so many flows. */
static size_t
journal_size(uint32_t nslots)
{
	return (sizeof(struct journal) +
	    2 * (size_t)nslots * sizeof(struct journal_name));
}

int
journal_create(uint32_t nslots)
{
	const unsigned int flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
	int error, fd;

	fd = memfd_create("journal", flags | MFD_NOEXEC_SEAL);
	if (fd == -1 && errno == EINVAL)
		fd = memfd_create("journal", flags);
	if (fd == -1)
		return (-1);
	if (ftruncate(fd, (off_t)journal_size(nslots)) == 0 &&
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) ==
		0)
		return (fd);
	error = errno;
	close(fd);
	errno = error;
	return (-1);
}

struct journal *
journal_map(int fd, uint32_t nslots)
{
	const size_t size = journal_size(nslots);
	struct journal *journal;
	struct stat st;

	if (fd != -1 && fstat(fd, &st) == -1)
		return (NULL);
	if (fd != -1 && (st.st_size < 0 || (size_t)st.st_size < size)) {
		errno = EINVAL;
		return (NULL);
	}
	journal = mmap(NULL, size, PROT_READ | PROT_WRITE,
	    fd != -1 ? MAP_SHARED : MAP_PRIVATE | MAP_ANONYMOUS, fd, 0);
	if (journal == MAP_FAILED)
		return (NULL);
	journal->nslots = nslots;
	return (journal);
}

void
journal_unmap(struct journal *journal)
{
	munmap(journal, journal_size(journal->nslots));
}

void
journal_reset(struct journal *journal)
{
	const struct journal_at start = { 0 };
	uint32_t i;

	journal_read_begin(journal, &start);
	journal_write_at(journal, 0);
	journal->guest.leased = 0;
	journal->guest.has_addr6 = 0;
	for (i = 0; i < 2 * journal->nslots; i++) {
		/* Pages that were never used stay so. */
		if (journal->names[i].used)
			journal->names[i].used = 0;
	}
}

void
journal_read_begin(struct journal *journal, const struct journal_at *at)
{
	const uint32_t next = (journal->current & 1) ^ 1;
	struct journal_read *read = &journal->read[next];

	read->at = *at;
	read->niov = 0;
	read->msg.msg_len = 0;
	journal->current = next;
}

ssize_t
journal_recv(struct journal *journal, int fd, struct iovec *iov, int niov)
{
	struct journal_read *read = &journal->read[journal->current & 1];
	int i, n;

	for (i = 0; i < niov; i++) {
		read->iov[i].off = (uint64_t)((uint8_t *)iov[i].iov_base -
		    journal->buf);
		read->iov[i].len = iov[i].iov_len;
	}
	read->niov = (uint32_t)niov;
	memset(&read->msg.msg_hdr, 0, sizeof(read->msg.msg_hdr));
	read->msg.msg_hdr.msg_iov = iov;
	read->msg.msg_hdr.msg_iovlen = (size_t)niov;
	do {
		/* ECONNRESET is said once, before what was sent before it. */
		n = recvmmsg(fd, &read->msg, 1, MSG_DONTWAIT, NULL);
	} while (n == -1 && (errno == EINTR || errno == ECONNRESET));
	return (n == 1 ? (ssize_t)read->msg.msg_len : -1);
}

int
journal_walk(struct journal_at *at, const uint8_t *bytes, size_t len)
{
	size_t n;

	while (len > 0) {
		n = at->left < len ? at->left : len;
		at->left -= (uint32_t)n;
		bytes += n;
		len -= n;
		while (at->left == 0 && len > 0) {
			at->prefix[at->prefix_len++] = *bytes++;
			len--;
			if (at->prefix_len < PREFIX_LEN)
				continue;
			at->left = (uint32_t)at->prefix[0] << 24 |
			    (uint32_t)at->prefix[1] << 16 |
			    (uint32_t)at->prefix[2] << 8 | at->prefix[3];
			at->prefix_len = 0;
			if (at->left < FRAME_LEN_MIN ||
			    at->left > FRAME_LEN_MAX)
				return (-1);
		}
	}
	return (0);
}

int
journal_read_left(const struct journal *journal, struct journal_at *at)
{
	const struct journal_read *read = &journal->read[journal->current & 1];
	size_t left = read->msg.msg_len, len;
	uint32_t i;

	*at = read->at;
	if (at->left > FRAME_LEN_MAX || at->prefix_len >= PREFIX_LEN ||
	    (at->left > 0 && at->prefix_len > 0) || read->niov > 2)
		return (-1);
	for (i = 0; i < read->niov && left > 0; i++) {
		len = read->iov[i].len < left ? read->iov[i].len : left;
		if (read->iov[i].off > JOURNAL_BUF_BYTES ||
		    len > JOURNAL_BUF_BYTES - read->iov[i].off ||
		    journal_walk(at, journal->buf + read->iov[i].off, len) ==
			-1)
			return (-1);
		left -= len;
	}
	return (left == 0 ? 0 : -1);
}

int
journal_stops_add(struct journal_stops *stops, size_t owed)
{
	size_t gap;
	uint32_t i;

	/* A border may always be asked for too. */
	if (owed >= JOURNAL_FRAME_MAX || (owed > 0 && owed < JOURNAL_FRAME_MIN))
		return (-1);
	for (i = 0; i < stops->n; i++) {
		gap = owed > stops->owed[i] ? owed - stops->owed[i] :
					      stops->owed[i] - owed;
		if (gap == 0)
			return (0);
		if (gap < JOURNAL_FRAME_MIN)
			return (-1);
	}
	if (stops->n == JOURNAL_STOPS_MAX)
		return (-1);
	stops->owed[stops->n++] = (uint32_t)owed;
	return (0);
}

void
journal_write_set(struct journal *journal, const struct journal_stops *stops)
{
	const uint32_t next = (journal->write_current & 1) ^ 1;

	journal->write[next] = *stops;
	journal->write_current = next;
}

void
journal_write_at(struct journal *journal, size_t owed)
{
	const struct journal_stops stops = { 1, { (uint32_t)owed } };

	journal_write_set(journal, &stops);
}

int
journal_write_left(const struct journal *journal, struct journal_stops *stops)
{
	const struct journal_stops *left =
	    &journal->write[journal->write_current & 1];
	const uint32_t n = left->n;
	uint32_t i, owed;

	stops->n = 0;
	if (n > JOURNAL_STOPS_MAX)
		return (-1);
	/* Never written: who had it died before the first frame. */
	if (n == 0) {
		stops->n = 1;
		stops->owed[0] = 0;
		return (0);
	}
	/* One place alone has any filler, of one frame's rest. */
	owed = left->owed[0];
	if (n == 1 && owed < JOURNAL_FRAME_MAX) {
		stops->n = 1;
		stops->owed[0] = owed;
		return (0);
	}
	for (i = 0; i < n; i++) {
		if (journal_stops_add(stops, left->owed[i]) == -1)
			return (-1);
	}
	return (0);
}

/* Frames that fill len bytes, 0 or at least one frame's, to the last. */
static void
filler_frames(uint8_t *bytes, size_t len, const uint8_t mac[6])
{
	size_t frame;

	while (len > 0) {
		frame = len;
		if (frame > FILLER_FRAME_MAX)
			frame = FILLER_FRAME_MAX;
		/* What follows must be a frame too. */
		if (len > frame && len - frame < JOURNAL_FRAME_MIN)
			frame -= JOURNAL_FRAME_MIN;
		bytes[2] = (uint8_t)((frame - PREFIX_LEN) >> 8);
		bytes[3] = (uint8_t)(frame - PREFIX_LEN);
		memcpy(bytes + 4, mac, 6);
		memcpy(bytes + 10, mac, 6);
		bytes[16] = 0x88;
		bytes[17] = 0xb5;
		bytes += frame;
		len -= frame;
	}
}

/*
 * Who lacks more bytes takes the beginning for the rest of a frame, and comes
 * to a border where the frames of those who lack less have one as well.
 */
size_t
journal_filler(uint8_t *bytes, const struct journal_stops *stops,
    const uint8_t mac[6])
{
	struct journal_stops sorted = *stops;
	uint32_t i, j, owed;

	for (i = 1; i < sorted.n; i++) {
		owed = sorted.owed[i];
		for (j = i; j > 0 && sorted.owed[j - 1] > owed; j--)
			sorted.owed[j] = sorted.owed[j - 1];
		sorted.owed[j] = owed;
	}
	if (sorted.n == 0)
		return (0);
	memset(bytes, 0, sorted.owed[sorted.n - 1]);
	for (i = 1; i < sorted.n; i++)
		filler_frames(bytes + sorted.owed[i - 1],
		    sorted.owed[i] - sorted.owed[i - 1], mac);
	return (sorted.owed[sorted.n - 1]);
}

void
journal_name_set(struct journal *journal, uint32_t slot,
    const struct journal_name *name)
{
	struct journal_name *own = &journal->names[slot];

	own->peer = name->peer;
	own->guest = name->guest;
	own->peer_port = name->peer_port;
	own->guest_port = name->guest_port;
	own->used = 1;
}

void
journal_name_clear(struct journal *journal, uint32_t slot)
{
	if (journal->names[slot].used)
		journal->names[slot].used = 0;
}

struct journal_name *
journal_dead(struct journal *journal, uint32_t i)
{
	return (&journal->names[journal->nslots + i]);
}

/* Killed in between, a name is in both places, and is probed twice. */
void
journal_bury(struct journal *journal)
{
	struct journal_name *dead;
	uint32_t i, to = 0;

	for (i = 0; i < journal->nslots; i++) {
		if (!journal->names[i].used)
			continue;
		while (to < journal->nslots && journal_dead(journal, to)->used)
			to++;
		if (to < journal->nslots) {
			dead = journal_dead(journal, to);
			dead->peer = journal->names[i].peer;
			dead->guest = journal->names[i].guest;
			dead->peer_port = journal->names[i].peer_port;
			dead->guest_port = journal->names[i].guest_port;
			dead->used = 1;
		}
		journal->names[i].used = 0;
	}
}
