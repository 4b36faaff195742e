#include <sys/socket.h>

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "parent/rtnetlink.h"

#define SNAPSHOT_MS 2000 /* the kernel answers at once, or is not well */

/* Netlink aligns messages and attributes to 4 bytes. */
static size_t
align4(size_t len)
{
	return ((len + 3) & ~(size_t)3);
}

void
rtnetlink_attrs(const uint8_t *at, size_t len, size_t skip,
    rtnetlink_attr_fn *fn, void *arg)
{
	struct rtattr rta;

	if (len < align4(skip))
		return;
	at += align4(skip);
	len -= align4(skip);
	while (len >= sizeof(rta)) {
		memcpy(&rta, at, sizeof(rta));
		if (rta.rta_len < sizeof(rta) || rta.rta_len > len)
			return;
		fn(rta.rta_type, at + sizeof(rta), rta.rta_len - sizeof(rta),
		    arg);
		if (align4(rta.rta_len) >= len)
			return;
		at += align4(rta.rta_len);
		len -= align4(rta.rta_len);
	}
}

/* 1 with errno if the message is an error; an acknowledgement is none. */
static int
is_error(const struct nlmsghdr *hdr, const uint8_t *at)
{
	int error = 0;

	if (hdr->nlmsg_type != NLMSG_ERROR)
		return (0);
	if (hdr->nlmsg_len >= sizeof(*hdr) + sizeof(error))
		memcpy(&error, at + sizeof(*hdr), sizeof(error));
	errno = -error;
	return (error != 0);
}

enum rtnetlink_result
rtnetlink_parse(const void *bytes, size_t len, rtnetlink_fn *fn, void *arg)
{
	const uint8_t *at = bytes;
	struct nlmsghdr hdr;

	while (len >= sizeof(hdr)) {
		memcpy(&hdr, at, sizeof(hdr));
		if (hdr.nlmsg_len < sizeof(hdr) || hdr.nlmsg_len > len)
			break;
		if (hdr.nlmsg_type == NLMSG_DONE)
			return (RTNETLINK_DONE);
		if (is_error(&hdr, at))
			return (RTNETLINK_ERROR);
		fn(&hdr, at + sizeof(hdr), hdr.nlmsg_len - sizeof(hdr), arg);
		if (align4(hdr.nlmsg_len) >= len)
			break;
		at += align4(hdr.nlmsg_len);
		len -= align4(hdr.nlmsg_len);
	}
	return (RTNETLINK_MORE);
}

int
rtnetlink_open(uint32_t groups)
{
	struct sockaddr_nl local = {
		.nl_family = AF_NETLINK,
		.nl_groups = groups,
	};
	int fd, error;

	fd = socket(AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC,
	    NETLINK_ROUTE);
	if (fd == -1)
		return (-1);
	if (bind(fd, (struct sockaddr *)&local, sizeof(local)) == 0)
		return (fd);
	error = errno;
	close(fd);
	errno = error;
	return (-1);
}

/* sendmsg(2) and recvmsg(2) with the flags that the parent's filter knows. */
int
rtnetlink_ask_dump(int fd, uint16_t type, int family)
{
	/* The kernel takes struct rtmsg, the longest, for every dump. */
	struct {
		struct nlmsghdr hdr;
		struct rtmsg msg;
	} request;
	struct iovec iov = { .iov_base = &request, .iov_len = sizeof(request) };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1 };

	memset(&request, 0, sizeof(request));
	request.hdr.nlmsg_len = sizeof(request);
	request.hdr.nlmsg_type = type;
	request.hdr.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	request.msg.rtm_family = (unsigned char)family;
	return (sendmsg(fd, &mh, MSG_DONTWAIT | MSG_NOSIGNAL) == -1 ? -1 : 0);
}

ssize_t
rtnetlink_receive(int fd, void *buf, size_t size)
{
	struct sockaddr_nl from;
	struct iovec iov = { .iov_base = buf, .iov_len = size };
	struct msghdr mh = {
		.msg_name = &from,
		.msg_namelen = sizeof(from),
		.msg_iov = &iov,
		.msg_iovlen = 1,
	};
	ssize_t n;

	do {
		memset(&from, 0, sizeof(from));
		mh.msg_namelen = sizeof(from);
		n = recvmsg(fd, &mh, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	} while ((n == -1 && errno == EINTR) || (n >= 0 && from.nl_pid != 0));
	return (n);
}

int
rtnetlink_snapshot(int fd, uint16_t type, int family, rtnetlink_fn *fn,
    void *arg)
{
	static _Alignas(8) uint8_t buf[RTNETLINK_BYTES];
	struct pollfd pfd = { .fd = fd, .events = POLLIN };
	enum rtnetlink_result result = RTNETLINK_MORE;
	ssize_t n;

	if (rtnetlink_ask_dump(fd, type, family) == -1)
		return (-1);
	while (result == RTNETLINK_MORE) {
		if (poll(&pfd, 1, SNAPSHOT_MS) <= 0) {
			errno = ETIMEDOUT;
			return (-1);
		}
		n = rtnetlink_receive(fd, buf, sizeof(buf));
		if (n == -1 && errno == EAGAIN)
			continue;
		if (n == -1)
			return (-1);
		result = rtnetlink_parse(buf, (size_t)n, fn, arg);
	}
	return (result == RTNETLINK_DONE ? 0 : -1);
}
