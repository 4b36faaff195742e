#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/channel_pair.h"

static int
fd_is_open(int fd)
{
	return (fcntl(fd, F_GETFD) != -1);
}

static void
a_message_arrives_as_it_was_said(void **state)
{
	struct pair *pair = *state;
	struct ipc_msg msg;

	assert_int_equal(channel_send(&pair->net, IPC_FLOW_CLOSE, 5, 9, &reset,
			     sizeof(reset)),
	    0);
	assert_int_equal(channel_recv(&pair->relay, &msg), CHANNEL_MESSAGE);
	assert_int_equal(msg.hdr.type, IPC_FLOW_CLOSE);
	assert_int_equal(msg.hdr.flow, 5);
	assert_int_equal(msg.hdr.generation, 9);
	assert_memory_equal(msg.payload, &reset, sizeof(reset));
	assert_int_equal(msg.fd, -1);
	assert_int_equal(msg.tail_len, 0);
	assert_int_equal(channel_recv(&pair->relay, &msg), CHANNEL_EMPTY);
}

static void
a_tail_arrives_whole(void **state)
{
	static uint8_t tail[IPC_DNS_TAIL_MAX];
	struct pair *pair = *state;
	struct ipc_dns dns = { .guest_port = 4321 };
	struct ipc_msg msg;

	memset(tail, 0x5a, sizeof(tail));
	assert_int_equal(channel_send_tail(&pair->net, IPC_DNS_QUERY, 1, 1,
			     &dns, sizeof(dns), tail, sizeof(tail)),
	    0);
	assert_int_equal(channel_recv(&pair->relay, &msg), CHANNEL_MESSAGE);
	assert_int_equal(msg.tail_len, sizeof(tail));
	assert_memory_equal(msg.tail, tail, sizeof(tail));
}

static void
a_lent_descriptor_arrives_and_stays_ours(void **state)
{
	struct pair *pair = *state;
	struct ipc_flow_opened opened = { .spliced = 1 };
	int lent = open("/dev/null", O_RDONLY);
	struct stat ours, theirs;
	struct ipc_msg msg;
	int got;

	assert_int_equal(channel_lend_fd(&pair->relay, IPC_FLOW_OPENED, 2, 1,
			     &opened, sizeof(opened), lent),
	    0);
	assert_true(fd_is_open(lent));
	assert_int_equal(channel_recv(&pair->net, &msg), CHANNEL_MESSAGE);
	assert_int_equal(msg.hdr.flow, 2);
	assert_int_equal(msg.hdr.generation, 1);
	assert_memory_equal(msg.payload, &opened, sizeof(opened));
	got = msg.fd;
	assert_int_not_equal(got, -1);
	assert_int_equal(msg.fd_lost, 0);
	assert_true(fcntl(got, F_GETFD) & FD_CLOEXEC);
	assert_return_code(fstat(lent, &ours), errno);
	assert_return_code(fstat(got, &theirs), errno);
	assert_int_equal(theirs.st_rdev, ours.st_rdev);
	channel_msg_done(&msg);
	assert_int_equal(msg.fd, -1);
	assert_false(fd_is_open(got));
	close(lent);
}

static void
what_the_socket_refuses_waits_in_order_and_the_ring_is_bounded(void **state)
{
	struct pair *pair = *state;
	struct ipc_msg msg;
	uint32_t n = 0, i;

	while (say_close(&pair->net, n) == 0)
		n++;
	assert_int_equal(errno, ENOBUFS);
	assert_int_equal(pair->net.count, RING);
	for (i = 0; i < n; i++) {
		if (channel_recv(&pair->relay, &msg) == CHANNEL_EMPTY) {
			assert_int_not_equal(channel_flush(&pair->net), -1);
			assert_int_equal(channel_recv(&pair->relay, &msg),
			    CHANNEL_MESSAGE);
		}
		assert_int_equal(msg.hdr.flow, i);
	}
	assert_int_equal(channel_flush(&pair->net), 1);
}

static void
a_loan_is_never_queued(void **state)
{
	struct pair *pair = *state;
	struct ipc_flow_opened opened = { 0 };
	struct ipc_empty empty = { 0 };

	while (channel_send(&pair->relay, IPC_FLOW_CLOSED, 1, 1, &empty,
		   sizeof(empty)) == 0)
		continue;
	assert_int_equal(channel_lend_fd(&pair->relay, IPC_FLOW_OPENED, 1, 1,
			     &opened, sizeof(opened), STDIN_FILENO),
	    -1);
	assert_int_equal(errno, ENOBUFS);
}

static void
a_wrong_direction_is_a_violation(void **state)
{
	struct pair *pair = *state;
	struct ipc_msg msg;

	assert_int_equal(say_close(&pair->relay, 1), 0);
	assert_int_equal(channel_recv(&pair->net, &msg), CHANNEL_VIOLATION);
	assert_int_equal(pair->net.error, IPC_E_DIRECTION);
	assert_int_equal(pair->net.error_type, IPC_FLOW_CLOSE);
}

/* Raw bytes with descriptors, as a peer that has been taken over sends. */
static void
send_raw(int sock, const void *bytes, size_t len, const int *fds, size_t nfds)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(4 * sizeof(int))];
	struct iovec iov = { .iov_base = (void *)(uintptr_t)bytes,
		.iov_len = len };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct cmsghdr *cmsg;

	memset(control, 0, sizeof(control));
	if (nfds > 0) {
		msg.msg_control = control;
		msg.msg_controllen = CMSG_SPACE(nfds * sizeof(int));
		cmsg = CMSG_FIRSTHDR(&msg);
		cmsg->cmsg_level = SOL_SOCKET;
		cmsg->cmsg_type = SCM_RIGHTS;
		cmsg->cmsg_len = CMSG_LEN(nfds * sizeof(int));
		memcpy(CMSG_DATA(cmsg), fds, nfds * sizeof(int));
	}
	assert_int_equal(sendmsg(sock, &msg, MSG_NOSIGNAL), len);
}

static int
lowest_free_fd(void)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	close(fd);
	return (fd);
}

static void
descriptors_that_are_not_due_are_closed(void **state)
{
	struct pair *pair = *state;
	struct {
		struct ipc_hdr hdr;
		struct ipc_empty empty;
	} rec = { .hdr = { .type = IPC_FLOW_SHUT_WR } };
	const int fds[3] = { STDIN_FILENO, STDIN_FILENO, STDIN_FILENO };
	const int before = lowest_free_fd();
	struct ipc_msg msg;
	size_t n;

	for (n = 1; n <= 3; n++) {
		send_raw(pair->net.fd, &rec, sizeof(rec), fds, n);
		assert_int_equal(channel_recv(&pair->relay, &msg),
		    CHANNEL_VIOLATION);
		assert_int_equal(pair->relay.error, IPC_E_FDS);
		assert_int_equal(lowest_free_fd(), before);
	}
}

static void
two_descriptors_where_one_is_due_are_both_closed(void **state)
{
	struct pair *pair = *state;
	struct {
		struct ipc_hdr hdr;
		struct ipc_flow_opened opened;
	} rec = { .hdr = { .type = IPC_FLOW_OPENED } };
	const int fds[2] = { STDIN_FILENO, STDIN_FILENO };
	const int before = lowest_free_fd();
	struct ipc_msg msg;

	send_raw(pair->relay.fd, &rec, sizeof(rec), fds, 2);
	assert_int_equal(channel_recv(&pair->net, &msg), CHANNEL_VIOLATION);
	assert_int_equal(pair->net.error, IPC_E_FDS);
	assert_int_equal(lowest_free_fd(), before);
}

static void
an_oversized_record_is_a_violation(void **state)
{
	static uint8_t bytes[IPC_DGRAM_MAX + 1];
	struct pair *pair = *state;
	struct ipc_hdr hdr = { .type = IPC_DNS_QUERY };
	struct ipc_msg msg;

	memcpy(bytes, &hdr, sizeof(hdr));
	send_raw(pair->net.fd, bytes, sizeof(bytes), NULL, 0);
	assert_int_equal(channel_recv(&pair->relay, &msg), CHANNEL_VIOLATION);
	assert_int_equal(pair->relay.error, IPC_E_SIZE);
}

static void
an_empty_record_looks_like_the_end(void **state)
{
	struct pair *pair = *state;
	struct ipc_msg msg;

	send_raw(pair->net.fd, "", 0, NULL, 0);
	assert_int_equal(channel_recv(&pair->relay, &msg), CHANNEL_CLOSED);
}

static void
any_bytes_are_a_message_or_a_violation(void **state)
{
	struct pair *pair = *state;
	enum channel_result result;
	struct ipc_msg msg;
	uint32_t bytes[64];
	uint32_t seed = 1;
	size_t i, j;

	for (i = 0; i < 20000; i++) {
		for (j = 0; j < 64; j++) {
			seed = seed * 1664525u + 1013904223u;
			bytes[j] = seed >> 8;
		}
		bytes[0] %= IPC_NTYPES + 2;
		bytes[3] %= 2;
		send_raw(pair->net.fd, bytes, 1 + seed % sizeof(bytes), NULL,
		    0);
		result = channel_recv(&pair->relay, &msg);
		assert_true(result == CHANNEL_MESSAGE ||
		    result == CHANNEL_VIOLATION);
		channel_msg_done(&msg);
	}
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(a_message_arrives_as_it_was_said),
		T(a_tail_arrives_whole),
		T(a_lent_descriptor_arrives_and_stays_ours),
		T(what_the_socket_refuses_waits_in_order_and_the_ring_is_bounded),
		T(a_loan_is_never_queued),
		T(a_wrong_direction_is_a_violation),
		T(descriptors_that_are_not_due_are_closed),
		T(two_descriptors_where_one_is_due_are_both_closed),
		T(an_oversized_record_is_a_violation),
		T(an_empty_record_looks_like_the_end),
		T(any_bytes_are_a_message_or_a_violation),
	};

	return (cmocka_run_group_tests_name("channel", tests, NULL, NULL));
}
