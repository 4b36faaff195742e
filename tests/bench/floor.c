/*
 * floor: what a byte costs at least on its way from a host's TCP socket to a
 * guest's frame socket, with no TCP towards the guest and no policy.
 *
 *	floor [-m MTU] [-t SECONDS] copy|splice
 *
 * A server of its own sends over loopback and a reader empties the other end
 * of the frame socket.  "copy" reads the bytes, sums them for the frame's
 * checksum and writes them behind a header: sallyport and passt both do.
 * "splice" looks at them (MSG_PEEK) for the sum alone, and the kernel hands
 * their pages on by splice(2).  Says on its last line how many Gbit/s went
 * through, and the processor time of a GB, in seconds.
 */
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include <arpa/inet.h>
#include <err.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ipc/clock.h"
#include "netproc/link/checksum.h"

#define MTU_MIN	   1280
#define MTU_MAX	   65520
#define HEADERS	   40	/* of a packet: IPv4, TCP */
#define HEADER	   58	/* and of a frame: a length prefix, Ethernet */
#define FRAMES	   106	/* of SEND_BYTES, the shortest */
#define MSS	   8192 /* what relayproc announces to the host */
#define QUEUE	   (1024 * 1024)
#define READ_BYTES (512 * 1024)
#define SEND_BYTES (128 * 1024) /* and as much is read at a time */

static uint8_t header[HEADER];
static uint8_t bytes[READ_BYTES];
static size_t payload = MTU_MAX - HEADERS; /* of a frame */
static uint16_t sum; /* of the last frame: nobody may leave it out */

static double
seconds_of(const struct timeval *tv)
{
	return ((double)tv->tv_sec + (double)tv->tv_usec / 1e6);
}

static double
cpu_s(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return (seconds_of(&usage.ru_utime) + seconds_of(&usage.ru_stime));
}

static double
now_s(void)
{
	return ((double)clock_now_ns() / 1e9);
}

static size_t
smaller(size_t a, size_t b)
{
	return (a < b ? a : b);
}

static void
write_all(int fd, struct iovec *iov, int iovcnt)
{
	ssize_t n;

	while (iovcnt > 0) {
		n = writev(fd, iov, iovcnt);
		if (n == -1)
			err(1, "writev");
		for (; iovcnt > 0 && (size_t)n >= iov->iov_len; iov++, iovcnt--)
			n -= (ssize_t)iov->iov_len;
		if (iovcnt > 0) {
			iov->iov_base = (uint8_t *)iov->iov_base + n;
			iov->iov_len -= (size_t)n;
		}
	}
}

/* Moves a read's worth; the bytes of payload, or 0 at the end. */
static size_t
copy_some(int host, int guest)
{
	struct iovec iov[2 * FRAMES];
	size_t at, len;
	ssize_t n;
	int iovcnt = 0;

	n = read(host, bytes, SEND_BYTES / payload * payload);
	if (n == -1)
		err(1, "read");
	for (at = 0; at < (size_t)n; at += len) {
		len = smaller((size_t)n - at, payload);
		sum = checksum_of(bytes + at, len);
		iov[iovcnt++] = (struct iovec){ header, sizeof(header) };
		iov[iovcnt++] = (struct iovec){ bytes + at, len };
	}
	write_all(guest, iov, iovcnt);
	return ((size_t)n);
}

static void
splice_all(int from, int to, int through[2], size_t len)
{
	ssize_t in, out;

	for (; len > 0; len -= (size_t)in) {
		in = splice(from, NULL, through[1], NULL, len, SPLICE_F_MOVE);
		if (in <= 0)
			err(1, "splice from the host's socket");
		for (ssize_t left = in; left > 0; left -= out) {
			out = splice(through[0], NULL, to, NULL, (size_t)left,
			    SPLICE_F_MOVE);
			if (out <= 0)
				err(1, "splice to the frame socket");
		}
	}
}

static size_t
splice_some(int host, int guest, int through[2])
{
	struct iovec iov = { header, sizeof(header) };
	ssize_t n;

	n = recv(host, bytes, payload, MSG_PEEK);
	if (n == -1)
		err(1, "recv");
	if (n == 0)
		return (0);
	sum = checksum_of(bytes, (size_t)n);
	write_all(guest, &iov, 1);
	splice_all(host, guest, through, (size_t)n);
	return ((size_t)n);
}

static _Noreturn void
pour(const struct sockaddr_in *to, double seconds)
{
	const double end = now_s() + seconds;
	const int mss = MSS;
	int sock = socket(AF_INET, SOCK_STREAM, 0);

	if (sock == -1 ||
	    setsockopt(sock, IPPROTO_TCP, TCP_MAXSEG, &mss, sizeof(mss)) ==
		-1 ||
	    connect(sock, (const struct sockaddr *)to, sizeof(*to)) == -1)
		err(1, "the server");
	while (now_s() < end)
		if (write(sock, bytes, SEND_BYTES) == -1)
			err(1, "the server");
	exit(0);
}

static _Noreturn void
drain(int sock)
{
	while (read(sock, bytes, sizeof(bytes)) > 0)
		;
	exit(0);
}

/* Forks the server; returns owned: a connection from it. */
static int
host_socket(double seconds)
{
	struct sockaddr_in sin = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	const int mss = MSS;
	socklen_t len = sizeof(sin);
	int listener = socket(AF_INET, SOCK_STREAM, 0), sock;
	pid_t pid;

	if (listener == -1 ||
	    setsockopt(listener, IPPROTO_TCP, TCP_MAXSEG, &mss, sizeof(mss)) ==
		-1 ||
	    bind(listener, (struct sockaddr *)&sin, sizeof(sin)) == -1 ||
	    listen(listener, 1) == -1 ||
	    getsockname(listener, (struct sockaddr *)&sin, &len) == -1)
		err(1, "the host's socket");
	pid = fork();
	if (pid == -1)
		err(1, "fork");
	if (pid == 0)
		pour(&sin, seconds);
	sock = accept(listener, NULL, NULL);
	if (sock == -1)
		err(1, "accept");
	close(listener);
	return (sock);
}

/* Forks the reader; returns owned: the other end of its socket. */
static int
frame_socket(void)
{
	const int queue = QUEUE;
	int pair[2];
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == -1 ||
	    setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &queue, sizeof(queue)) ==
		-1)
		err(1, "the frame socket");
	pid = fork();
	if (pid == -1)
		err(1, "fork");
	if (pid == 0) {
		close(pair[0]);
		drain(pair[1]);
	}
	close(pair[1]);
	return (pair[0]);
}

int
main(int argc, char *argv[])
{
	double seconds = 2, start_s, used_s, gb = 0;
	int ch, guest, host, through[2];
	size_t n, mtu = MTU_MAX;

	while ((ch = getopt(argc, argv, "m:t:")) != -1) {
		if (ch == 'm')
			mtu = strtoul(optarg, NULL, 10);
		else if (ch == 't')
			seconds = strtod(optarg, NULL);
		else
			return (64);
	}
	if (mtu < MTU_MIN || mtu > MTU_MAX)
		errx(64, "-m takes %d to %d", MTU_MIN, MTU_MAX);
	payload = mtu - HEADERS;
	if (argc - optind != 1 ||
	    (strcmp(argv[optind], "copy") != 0 &&
		strcmp(argv[optind], "splice") != 0))
		errx(64, "usage: floor [-m MTU] [-t SECONDS] copy|splice");
	if (pipe(through) == -1 || fcntl(through[0], F_SETPIPE_SZ, QUEUE) == -1)
		err(1, "pipe");
	guest = frame_socket();
	host = host_socket(seconds);
	start_s = now_s();
	used_s = cpu_s();
	do {
		n = argv[optind][0] == 'c' ? copy_some(host, guest) :
					     splice_some(host, guest, through);
		gb += (double)n / 1e9;
	} while (n > 0);
	printf("%.3f %.4f\n", 8 * gb / (now_s() - start_s),
	    (cpu_s() - used_s) / gb);
	close(guest);
	while (wait(NULL) > 0)
		;
	return (0);
}
