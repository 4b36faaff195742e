/*
 * Input: a byte that chooses the two ends and the phase, then records: a byte
 * whose low bits are the number of descriptors, a length (u16), the bytes.
 * Each record crosses a real socketpair; what channel_recv() makes of it must
 * agree with ipc_check() on an exact copy, and no descriptor may be lost.
 */

#include <sys/socket.h>

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "ipc/channel.h"
#include "tests/fuzz/fuzz.h"

#define NFDS_MAX 3

const char fuzz_name[] = "channel";

static int null_fd = -1;

/* The number that the next descriptor would get: the same if none leaked. */
static int
next_fd(void)
{
	int fd = dup(null_fd);

	if (fd == -1)
		abort();
	close(fd);
	return (fd);
}

/* 0, or -1 if the kernel does not take such a record. */
static int
send_record(int sock, const uint8_t *bytes, size_t len, size_t nfds)
{
	_Alignas(struct cmsghdr) char
	    control[CMSG_SPACE(NFDS_MAX * sizeof(int))];
	const int fds[NFDS_MAX] = { null_fd, null_fd, null_fd };
	struct iovec iov = { .iov_base = (void *)(uintptr_t)bytes,
		.iov_len = len };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct cmsghdr *cmsg;

	if (nfds > 0) {
		memset(control, 0, sizeof(control));
		msg.msg_control = control;
		msg.msg_controllen = CMSG_SPACE(nfds * sizeof(int));
		cmsg = CMSG_FIRSTHDR(&msg);
		cmsg->cmsg_level = SOL_SOCKET;
		cmsg->cmsg_type = SCM_RIGHTS;
		cmsg->cmsg_len = CMSG_LEN(nfds * sizeof(int));
		memcpy(CMSG_DATA(cmsg), fds, nfds * sizeof(int));
	}
	return (sendmsg(sock, &msg, MSG_DONTWAIT) == -1 ? -1 : 0);
}

/* A message that passed: every byte it points at is readable and its own. */
static void
check_message(const struct ipc_msg *msg, const uint8_t *rec, size_t len)
{
	const size_t fixed = sizeof(msg->hdr) + ipc_payload_size(msg->hdr.type);

	FUZZ_CHECK(fixed <= len);
	FUZZ_CHECK(memcmp(&msg->hdr, rec, sizeof(msg->hdr)) == 0);
	FUZZ_CHECK(msg->hdr.type > IPC_NONE && msg->hdr.type < IPC_NTYPES);
	FUZZ_CHECK(msg->hdr.reserved == 0);
	FUZZ_CHECK(msg->tail_len == len - fixed);
	FUZZ_CHECK(msg->tail_len <= ipc_tail_max(msg->hdr.type));
	FUZZ_CHECK((uintptr_t)msg->payload % 8 == 0);
	FUZZ_CHECK(memcmp(msg->payload, rec + sizeof(msg->hdr),
		       fixed - sizeof(msg->hdr)) == 0);
	FUZZ_CHECK(msg->tail_len == 0 ||
	    memcmp(msg->tail, rec + fixed, msg->tail_len) == 0);
	FUZZ_CHECK((msg->fd != -1) == (ipc_nfds(msg->hdr.type) == 1));
	FUZZ_CHECK(ipc_name(msg->hdr.type)[0] != '?');
}

static void
run_record(struct channel *ch, int sock, const uint8_t *bytes, size_t len,
    size_t nfds)
{
	uint8_t *exact = malloc(len > 0 ? len : 1);
	enum channel_result result;
	enum ipc_error error;
	struct ipc_msg msg;

	if (exact == NULL)
		abort();
	memcpy(exact, bytes, len);
	if (send_record(sock, exact, len, nfds) == 0) {
		error = ipc_check(exact, len, (unsigned int)nfds, ch->peer,
		    ch->self, ch->phase);
		FUZZ_CHECK(error < IPC_NERRORS);
		FUZZ_CHECK(ipc_strerror(error)[0] != '\0');
		result = channel_recv(ch, &msg);
		if (len == 0) {
			FUZZ_CHECK(result == CHANNEL_CLOSED);
		} else if (len > ch->rbuf_size) {
			FUZZ_CHECK(result == CHANNEL_VIOLATION);
			FUZZ_CHECK(ch->error == IPC_E_SIZE);
		} else if (error == IPC_OK) {
			FUZZ_CHECK(result == CHANNEL_MESSAGE);
			check_message(&msg, exact, len);
		} else {
			FUZZ_CHECK(result == CHANNEL_VIOLATION);
			FUZZ_CHECK(ch->error == error);
			FUZZ_CHECK(msg.fd == -1);
		}
		channel_msg_done(&msg);
	}
	FUZZ_CHECK(channel_recv(ch, &msg) == CHANNEL_EMPTY);
	free(exact);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint32_t phases[] = { IPC_SETUP, IPC_RUN, IPC_DRAIN,
		IPC_RUN };
	struct channel ch;
	enum role self, peer;
	size_t len, nfds, record_max;
	int fd[2], before;

	if (size < 1)
		return (0);
	if (null_fd == -1)
		null_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	before = next_fd();
	self = (enum role)((data[0] & 3) % ROLE_NROLES);
	peer = (enum role)((data[0] >> 2 & 3) % ROLE_NROLES);
	record_max = (data[0] & 0x40) != 0 ? IPC_DGRAM_MAX : IPC_RECORD_MAX;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, fd) == -1 ||
	    channel_init(&ch, fd[1], self, peer, record_max, 0) == -1)
		abort();
	ch.phase = phases[data[0] >> 4 & 3];
	for (data++, size--; size >= 3; data += len, size -= len) {
		nfds = data[0] & 3;
		len = (size_t)data[1] << 8 | data[2];
		data += 3;
		size -= 3;
		if (len > size)
			len = size;
		run_record(&ch, fd[0], data, len, nfds);
	}
	channel_close(&ch);
	close(fd[0]);
	FUZZ_CHECK(next_fd() == before);
	return (0);
}
