/*
 * udpload: as many datagrams as go, sent and counted many a call.
 *
 *	udpload -l -c ADDRESS [-s SIZE] [-t SECONDS] -w up|down
 *	udpload -c ADDRESS -p PORT [-s SIZE] [-t SECONDS] -w up|down
 *
 * The far end (-l) is at that address and says its port, waits for a first
 * datagram of the near end, and answers it.  Then one of them sends for so
 * many seconds and the other counts until half a second is silent: the near
 * end sends "up", the far end "down".  Each says on its last line how many it
 * sent or got.
 */
#include <sys/socket.h>

#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define BATCH	     64
#define DATAGRAM_MAX 9000
#define BUFFER	     (4 * 1024 * 1024)
#define SILENCE_MS   500
#define HELLO_MS     5000

static uint8_t data[BATCH][DATAGRAM_MAX];
static struct mmsghdr msgs[BATCH];
static struct iovec iovs[BATCH];

static double
now_s(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ((double)ts.tv_sec + (double)ts.tv_nsec / 1e9);
}

static int
readable(int sock, int ms)
{
	struct pollfd pfd = { .fd = sock, .events = POLLIN };

	return (poll(&pfd, 1, ms) == 1);
}

static void
batch_set(size_t size)
{
	size_t i;

	for (i = 0; i < BATCH; i++) {
		iovs[i].iov_base = data[i];
		iovs[i].iov_len = size;
		msgs[i].msg_hdr.msg_iov = &iovs[i];
		msgs[i].msg_hdr.msg_iovlen = 1;
	}
}

static unsigned long
pour(int sock, size_t size, double seconds)
{
	const double end = now_s() + seconds;
	unsigned long sent = 0;
	int n;

	batch_set(size);
	while (now_s() < end) {
		n = sendmmsg(sock, msgs, BATCH, 0);
		if (n == -1 && errno != ENOBUFS && errno != EAGAIN &&
		    errno != ECONNREFUSED)
			err(1, "sendmmsg");
		if (n > 0)
			sent += (unsigned long)n;
	}
	return (sent);
}

/* Datagrams of that size; the first may take its time. */
static unsigned long
count(int sock, size_t size)
{
	unsigned long got = 0;
	int i, n;

	batch_set(DATAGRAM_MAX);
	while (readable(sock, got == 0 ? HELLO_MS : SILENCE_MS)) {
		n = recvmmsg(sock, msgs, BATCH, MSG_DONTWAIT, NULL);
		for (i = 0; i < n; i++)
			got += msgs[i].msg_len == size;
	}
	return (got);
}

/* Both ends know each other, and the way is open in both directions. */
static void
meet(int sock, int far, const struct sockaddr_in *to)
{
	struct sockaddr_in from;
	socklen_t len = sizeof(from);
	char hello;
	int tries;

	if (far) {
		if (!readable(sock, 10 * HELLO_MS) ||
		    recvfrom(sock, &hello, 1, 0, (struct sockaddr *)&from,
			&len) == -1 ||
		    connect(sock, (struct sockaddr *)&from, len) == -1 ||
		    send(sock, &hello, 1, 0) == -1)
			err(1, "nobody says hello");
		return;
	}
	if (connect(sock, (const struct sockaddr *)to, sizeof(*to)) == -1)
		err(1, "connect");
	for (tries = 0; tries < 10; tries++) {
		(void)!send(sock, "?", 1, 0);
		if (readable(sock, HELLO_MS / 10)) {
			(void)!recv(sock, &hello, 1, 0);
			return;
		}
	}
	errx(1, "nobody answers");
}

int
main(int argc, char *argv[])
{
	struct sockaddr_in sin = { .sin_family = AF_INET };
	const int buffer = BUFFER;
	socklen_t len = sizeof(sin);
	double seconds = 2;
	size_t size = 64;
	int ch, far = 0, sock, up = 1;

	while ((ch = getopt(argc, argv, "c:lp:s:t:w:")) != -1) {
		if (ch == 'c' && inet_pton(AF_INET, optarg, &sin.sin_addr) != 1)
			errx(64, "%s is no IPv4 address", optarg);
		else if (ch == 'l')
			far = 1;
		else if (ch == 'p')
			sin.sin_port = htons((uint16_t)strtoul(optarg, NULL,
			    10));
		else if (ch == 's')
			size = strtoul(optarg, NULL, 10);
		else if (ch == 't')
			seconds = strtod(optarg, NULL);
		else if (ch == 'w')
			up = strcmp(optarg, "up") == 0;
		else if (ch == '?')
			return (64);
	}
	if (size < 2 || size > DATAGRAM_MAX)
		errx(64, "-s takes 2 to %d bytes", DATAGRAM_MAX);
	sock = socket(AF_INET, SOCK_DGRAM, 0);
	if (sock == -1)
		err(1, "socket");
	setsockopt(sock, SOL_SOCKET, SO_RCVBUFFORCE, &buffer, sizeof(buffer));
	if (far) {
		if (bind(sock, (struct sockaddr *)&sin, sizeof(sin)) == -1 ||
		    getsockname(sock, (struct sockaddr *)&sin, &len) == -1)
			err(1, "bind");
		printf("%u\n", ntohs(sin.sin_port));
		fflush(stdout);
	}
	meet(sock, far, &sin);
	printf("%lu\n",
	    far == up ? count(sock, size) : pour(sock, size, seconds));
	return (0);
}
