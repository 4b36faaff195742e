/*
 * What the kernel refuses, and what a caller may not ask.  The linker puts the
 * three calls here: the next one fails as told, or is left alone.
 */
#include <sys/resource.h>
#include <sys/socket.h>
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

static struct {
	int error; /* of the next calls; 0: none */
	int times;
	int calls;
	int foreign; /* descriptor in a control message that is no SCM_RIGHTS */
} kernel;

ssize_t __real_writev(int fd, const struct iovec *iov, int iovcnt);
ssize_t __wrap_writev(int fd, const struct iovec *iov, int iovcnt);
ssize_t __real_sendmsg(int fd, const struct msghdr *msg, int flags);
ssize_t __wrap_sendmsg(int fd, const struct msghdr *msg, int flags);
ssize_t __real_recvmsg(int fd, struct msghdr *msg, int flags);
ssize_t __wrap_recvmsg(int fd, struct msghdr *msg, int flags);

static int
refuses(void)
{
	kernel.calls++;
	if (kernel.times == 0)
		return (0);
	kernel.times--;
	errno = kernel.error;
	return (1);
}

static void
refuse(int error, int times)
{
	kernel.error = error;
	kernel.times = times;
	kernel.calls = 0;
}

ssize_t
__wrap_writev(int fd, const struct iovec *iov, int iovcnt)
{
	return (refuses() ? -1 : __real_writev(fd, iov, iovcnt));
}

ssize_t
__wrap_sendmsg(int fd, const struct msghdr *msg, int flags)
{
	return (refuses() ? -1 : __real_sendmsg(fd, msg, flags));
}

ssize_t
__wrap_recvmsg(int fd, struct msghdr *msg, int flags)
{
	struct cmsghdr *cmsg;
	ssize_t n;

	if (refuses())
		return (-1);
	n = __real_recvmsg(fd, msg, flags);
	if (kernel.foreign != 0) {
		msg->msg_controllen = CMSG_SPACE(sizeof(int));
		cmsg = CMSG_FIRSTHDR(msg);
		cmsg->cmsg_level = SOL_SOCKET;
		cmsg->cmsg_type = SCM_CREDENTIALS;
		cmsg->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(cmsg), &kernel.foreign, sizeof(int));
	}
	return (n);
}

static const int full[] = { EAGAIN, ENOBUFS, ENOMEM };
#define NFULL (sizeof(full) / sizeof(full[0]))

static void
a_message_that_the_kernel_has_no_room_for_waits(void **state)
{
	struct pair *pair = *state;
	struct ipc_msg msg;
	size_t i;

	for (i = 0; i < NFULL; i++) {
		refuse(full[i], 2);
		assert_int_equal(say_close(&pair->net, (uint32_t)i), 0);
		assert_int_equal(pair->net.count, 1);
		assert_int_equal(channel_flush(&pair->net), 0);
		assert_int_equal(pair->net.count, 1);
		assert_int_equal(channel_recv(&pair->relay, &msg),
		    CHANNEL_EMPTY);
		assert_int_equal(channel_flush(&pair->net), 1);
		assert_int_equal(pair->net.count, 0);
		assert_int_equal(channel_recv(&pair->relay, &msg),
		    CHANNEL_MESSAGE);
		assert_int_equal(msg.hdr.flow, i);
		assert_memory_equal(msg.payload, &reset, sizeof(reset));
	}
	assert_int_equal(pair->net.nsent, NFULL);
	assert_int_equal(pair->relay.nreceived, NFULL);
}

static void
one_that_it_refuses_does_not(void **state)
{
	struct pair *pair = *state;

	refuse(EPIPE, 1);
	assert_int_equal(say_close(&pair->net, 1), -1);
	assert_int_equal(errno, EPIPE);
	assert_int_equal(pair->net.count, 0);
	refuse(EAGAIN, 1);
	assert_int_equal(say_close(&pair->net, 1), 0);
	refuse(EPIPE, 1);
	assert_int_equal(channel_flush(&pair->net), -1);
	assert_int_equal(errno, EPIPE);
	assert_int_equal(pair->net.count, 1);
	assert_int_equal(pair->net.nsent, 0);
}

static int
lend(struct channel *ch)
{
	const struct ipc_flow_opened opened = { 0 };

	return (channel_lend_fd(ch, IPC_FLOW_OPENED, 1, 1, &opened,
	    sizeof(opened), STDIN_FILENO));
}

static int
query(struct channel *ch)
{
	const struct ipc_dns dns = { 0 };

	return (channel_send_tail(ch, IPC_DNS_QUERY, 1, 1, &dns, sizeof(dns),
	    "q", 1));
}

static int
query_v(struct channel *ch, const struct iovec *tail, int ntail)
{
	const struct ipc_dns dns = { .guest_port = 5 };

	return (channel_send_tailv(ch, IPC_DNS_QUERY, 1, 1, &dns, sizeof(dns),
	    tail, ntail));
}

static void
loans_and_tails_are_told_that_there_will_be_room(void **state)
{
	struct pair *pair = *state;
	size_t i;

	for (i = 0; i < NFULL; i++) {
		refuse(full[i], 1);
		assert_int_equal(lend(&pair->relay), -1);
		assert_int_equal(errno, ENOBUFS);
		refuse(full[i], 1);
		assert_int_equal(query(&pair->net), -1);
		assert_int_equal(errno, ENOBUFS);
	}
	/* No event tells of these. */
	refuse(ETOOMANYREFS, 1);
	assert_int_equal(lend(&pair->relay), -1);
	assert_int_equal(errno, ETOOMANYREFS);
	refuse(EPIPE, 1);
	assert_int_equal(lend(&pair->relay), -1);
	assert_int_equal(errno, EPIPE);
	refuse(EPIPE, 1);
	assert_int_equal(query(&pair->net), -1);
	assert_int_equal(errno, EPIPE);
	assert_int_equal(pair->relay.count + pair->net.count, 0);
	assert_int_equal(pair->relay.nsent + pair->net.nsent, 0);
}

static void
nothing_overtakes_what_waits(void **state)
{
	struct pair *pair = *state;
	const struct ipc_empty empty = { 0 };

	refuse(EAGAIN, 2);
	assert_int_equal(channel_send(&pair->relay, IPC_FLOW_CLOSED, 1, 1,
			     &empty, sizeof(empty)),
	    0);
	assert_int_equal(say_close(&pair->net, 1), 0);
	assert_int_equal(lend(&pair->relay), -1);
	assert_int_equal(errno, ENOBUFS);
	assert_int_equal(query(&pair->net), -1);
	assert_int_equal(errno, ENOBUFS);
	assert_int_equal(say_close(&pair->net, 2), 0);
	assert_int_equal(pair->net.count, 2);
	assert_int_equal(kernel.calls, 2);
}

static void
an_interrupted_call_is_made_again(void **state)
{
	struct pair *pair = *state;
	struct ipc_msg msg;

	refuse(EINTR, 2);
	assert_int_equal(say_close(&pair->net, 1), 0);
	assert_int_equal(kernel.calls, 3);
	assert_int_equal(pair->net.count, 0);
	refuse(EINTR, 2);
	assert_int_equal(lend(&pair->relay), 0);
	assert_int_equal(kernel.calls, 3);
	refuse(EINTR, 2);
	assert_int_equal(channel_recv(&pair->relay, &msg), CHANNEL_MESSAGE);
	assert_int_equal(kernel.calls, 3);
	assert_int_equal(msg.hdr.flow, 1);
	/* Once, each of them. */
	assert_int_equal(channel_recv(&pair->relay, &msg), CHANNEL_EMPTY);
	assert_int_equal(channel_recv(&pair->net, &msg), CHANNEL_MESSAGE);
	channel_msg_done(&msg);
	assert_int_equal(channel_recv(&pair->net, &msg), CHANNEL_EMPTY);
}

static void
a_receiver_short_of_memory_has_lost_nothing(void **state)
{
	struct pair *pair = *state;
	struct ipc_msg msg;
	size_t i;

	assert_int_equal(say_close(&pair->net, 1), 0);
	for (i = 0; i < NFULL; i++) {
		refuse(full[i], 1);
		assert_int_equal(channel_recv(&pair->relay, &msg),
		    CHANNEL_EMPTY);
	}
	refuse(ECONNRESET, 1);
	assert_int_equal(channel_recv(&pair->relay, &msg), CHANNEL_ERROR);
	assert_int_equal(errno, ECONNRESET);
	assert_int_equal(msg.fd, -1);
	assert_int_equal(channel_recv(&pair->relay, &msg), CHANNEL_MESSAGE);
}

static void
a_closed_channel_takes_nothing(void **state)
{
	struct pair *pair = *state;
	const int relay = pair->relay.fd;

	assert_int_equal(say_close(&pair->net, 1), 0);
	channel_close(&pair->relay);
	channel_close(&pair->net);
	assert_int_equal(fcntl(relay, F_GETFD), -1);
	assert_int_equal(pair->relay.fd, -1);
	refuse(EIO, 1);
	assert_int_equal(say_close(&pair->net, 1), -1);
	assert_int_equal(errno, EPIPE);
	assert_int_equal(lend(&pair->relay), -1);
	assert_int_equal(errno, EPIPE);
	assert_int_equal(query(&pair->net), -1);
	assert_int_equal(errno, EPIPE);
	assert_int_equal(kernel.calls, 0);
	assert_int_equal(channel_flush(&pair->net), 1);
}

static void
what_waits_goes_with_the_channel(void **state)
{
	struct pair *pair = *state;

	refuse(EAGAIN, 1);
	assert_int_equal(say_close(&pair->net, 1), 0);
	channel_close(&pair->net);
	assert_int_equal(pair->net.count, 0);
	assert_int_equal(channel_flush(&pair->net), 1);
}

static void
a_payload_of_another_size_is_not_sent(void **state)
{
	static const uint8_t bytes[64];
	struct pair *pair = *state;
	size_t len;

	refuse(EIO, 1);
	for (len = 3; len <= 5; len += 2) {
		assert_int_equal(channel_send(&pair->net, IPC_FLOW_CLOSE, 1, 1,
				     bytes, len),
		    -1);
		assert_int_equal(errno, EINVAL);
		assert_int_equal(channel_lend_fd(&pair->relay, IPC_FLOW_OPENED,
				     1, 1, bytes, len, STDIN_FILENO),
		    -1);
		assert_int_equal(errno, EINVAL);
		assert_int_equal(channel_send_tail(&pair->net, IPC_DNS_QUERY, 1,
				     1, bytes, len, "q", 1),
		    -1);
		assert_int_equal(errno, EINVAL);
	}
	assert_int_equal(kernel.calls, 0);
}

static void
a_tail_longer_than_the_rows_is_not_sent(void **state)
{
	static uint8_t bytes[IPC_DNS_TAIL_MAX];
	struct pair *pair = *state;
	const struct ipc_dns dns = { 0 };
	struct iovec tail[2] = {
		{ .iov_base = bytes, .iov_len = sizeof(bytes) },
		{ .iov_base = bytes, .iov_len = 1 },
	};

	refuse(EIO, 0);
	assert_int_equal(query_v(&pair->net, tail, 2), -1);
	assert_int_equal(errno, EINVAL);
	assert_int_equal(channel_send_tail(&pair->net, IPC_DNS_DONE, 1, 1, &dns,
			     sizeof(dns), bytes, 1),
	    -1);
	assert_int_equal(errno, EINVAL);
	assert_int_equal(kernel.calls, 0);
	tail[0].iov_len--;
	assert_int_equal(query_v(&pair->net, tail, 2), 0);
	assert_int_equal(pair->net.nsent, 1);
}

static void
a_tail_has_no_more_than_its_pieces(void **state)
{
	struct iovec tail[CHANNEL_TAIL_IOV + 1];
	uint8_t bytes[CHANNEL_TAIL_IOV + 1];
	struct pair *pair = *state;
	struct ipc_msg msg;
	size_t i;

	refuse(EIO, 0);
	for (i = 0; i < CHANNEL_TAIL_IOV + 1; i++) {
		bytes[i] = (uint8_t)(i + 1);
		tail[i].iov_base = &bytes[i];
		tail[i].iov_len = 1;
	}
	assert_int_equal(query_v(&pair->net, tail, CHANNEL_TAIL_IOV + 1), -1);
	assert_int_equal(errno, EINVAL);
	errno = 0;
	assert_int_equal(query_v(&pair->net, tail, -1), -1);
	assert_int_equal(errno, EINVAL);
	assert_int_equal(kernel.calls, 0);
	assert_int_equal(query_v(&pair->net, tail, CHANNEL_TAIL_IOV), 0);
	assert_int_equal(channel_recv(&pair->relay, &msg), CHANNEL_MESSAGE);
	assert_int_equal(msg.tail_len, CHANNEL_TAIL_IOV);
	assert_memory_equal(msg.tail, bytes, CHANNEL_TAIL_IOV);
	assert_int_equal(query_v(&pair->net, tail, 0), 0);
	assert_int_equal(channel_recv(&pair->relay, &msg), CHANNEL_MESSAGE);
	assert_int_equal(msg.tail_len, 0);
}

/* The largest that has room in the queue, and what has none. */
static void
a_message_larger_than_the_queues_places_does_not_wait(void **state)
{
	static const struct ipc_config_netproc config;
	static const struct ipc_log log = { .text = "text" };
	struct pair *pair = *state;

	refuse(EAGAIN, 2);
	assert_int_equal(channel_send(&pair->net, IPC_CONFIG_NETPROC, 0, 0,
			     &config, sizeof(config)),
	    -1);
	assert_int_equal(errno, ENOBUFS);
	assert_int_equal(pair->net.count, 0);
	assert_int_equal(channel_send(&pair->net, IPC_LOG, 0, 0, &log,
			     sizeof(log)),
	    0);
	assert_int_equal(pair->net.count, 1);
}

static void
a_channel_without_a_queue_says_so(void **state)
{
	struct pair *pair = *state;
	struct channel ch;

	assert_int_equal(channel_init(&ch, pair->net.fd, ROLE_NETPROC,
			     ROLE_RELAYPROC, IPC_RECORD_MAX, 0),
	    0);
	assert_null(ch.ring);
	refuse(EAGAIN, 1);
	assert_int_equal(say_close(&ch, 1), -1);
	assert_int_equal(errno, ENOBUFS);
	ch.fd = -1;
	channel_close(&ch);
}

static void
a_channel_that_has_no_memory_is_none(void **state)
{
	static const size_t sizes[][2] = {
		{ SIZE_MAX, 1 },
		{ SIZE_MAX, 0 },
		{ IPC_RECORD_MAX, SIZE_MAX },
	};
	struct channel ch;
	size_t i;

	(void)state;
#ifdef SALLYPORT_SANITIZERS
	print_message("# SKIP: a sanitizer ends who asks for so much\n");
	skip();
#endif
	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		errno = 0;
		assert_int_equal(channel_init(&ch, -1, ROLE_NETPROC,
				     ROLE_RELAYPROC, sizes[i][0], sizes[i][1]),
		    -1);
		assert_int_equal(errno, ENOMEM);
		assert_null(ch.rbuf);
		assert_null(ch.ring);
	}
}

/* RLIMIT_NOFILE is reached: the record arrives without its descriptor. */
static void
a_descriptor_for_which_there_is_no_place_is_said_to_be_lost(void **state)
{
	struct pair *pair = *state;
	struct rlimit old, none;
	struct ipc_msg msg;

	refuse(0, 0);
	assert_int_equal(lend(&pair->relay), 0);
	assert_return_code(getrlimit(RLIMIT_NOFILE, &old), errno);
	none = old;
	none.rlim_cur = 0;
	assert_return_code(setrlimit(RLIMIT_NOFILE, &none), errno);
	assert_int_equal(channel_recv(&pair->net, &msg), CHANNEL_MESSAGE);
	assert_return_code(setrlimit(RLIMIT_NOFILE, &old), errno);
	assert_int_equal(msg.hdr.type, IPC_FLOW_OPENED);
	assert_int_equal(msg.fd, -1);
	assert_int_equal(msg.fd_lost, 1);
}

static void
only_rights_are_taken_for_descriptors(void **state)
{
	struct pair *pair = *state;
	const int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	struct ipc_msg msg;

	refuse(0, 0);
	assert_int_equal(say_close(&pair->net, 1), 0);
	kernel.foreign = fd;
	assert_int_equal(channel_recv(&pair->relay, &msg), CHANNEL_MESSAGE);
	kernel.foreign = 0;
	assert_int_equal(msg.fd, -1);
	assert_int_not_equal(fcntl(fd, F_GETFD), -1);
	close(fd);
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(a_message_that_the_kernel_has_no_room_for_waits),
		T(one_that_it_refuses_does_not),
		T(loans_and_tails_are_told_that_there_will_be_room),
		T(nothing_overtakes_what_waits),
		T(an_interrupted_call_is_made_again),
		T(a_receiver_short_of_memory_has_lost_nothing),
		T(a_closed_channel_takes_nothing),
		T(what_waits_goes_with_the_channel),
		T(a_payload_of_another_size_is_not_sent),
		T(a_tail_longer_than_the_rows_is_not_sent),
		T(a_tail_has_no_more_than_its_pieces),
		T(a_message_larger_than_the_queues_places_does_not_wait),
		T(a_channel_without_a_queue_says_so),
		T(a_channel_that_has_no_memory_is_none),
		T(a_descriptor_for_which_there_is_no_place_is_said_to_be_lost),
		T(only_rights_are_taken_for_descriptors),
	};

	return (cmocka_run_group_tests_name("channel_faults", tests, NULL,
	    NULL));
}
