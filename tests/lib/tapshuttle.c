/*
 * tapshuttle: stands where a VMM stands.  It gives the network namespace it
 * runs in an Ethernet card (a TAP) whose frames cross a unix stream socket
 * in the framing of QEMU and libkrun: a u32 big-endian length, the frame.
 *
 *	tapshuttle [-c BYTES] [-l N] [-m MTU] [-a MAC] [-q LEN]
 *	    -d DEVICE -s PATH
 *	tapshuttle [...] -d DEVICE -f FD
 *
 *	-c BYTES	read and write the stream in pieces of so many bytes
 *	-m MTU		of the TAP, 1500 by default
 *	-a MAC		of the TAP
 *	-l N		lose every Nth frame of each direction
 *	-q LEN		txqueuelen; a TUN ring of the usual 1000 drops frames
 *
 * SIGUSR1 stops it reading the stream, as a stalled VMM does; SIGUSR2 makes
 * it read again; it says "stalled" and "resumed" when it is so.  It ends with
 * 0 when the stream ends, and with 1, naming the length, when it is given a
 * frame that the card could not have taken.
 *
 * One thread a direction: "up" carries TAP to stream, "down" stream to TAP,
 * and the first thread waits for signals.
 */
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <netinet/ether.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FRAME_MIN   14	   /* an Ethernet header */
#define FRAME_MAX   65550  /* header and the largest MTU, 65536 */
#define PREFIX	    4	   /* the length in front of each frame */
#define BATCH_BYTES 524288 /* moved by one system call on the stream */

struct shuttle {
	int tap;
	int stream;
	size_t mtu;
	size_t piece;	    /* most bytes of one stream call */
	unsigned long lose; /* each frame of such a number; 0: none */
};

static pthread_mutex_t pause_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t pause_over = PTHREAD_COND_INITIALIZER;
static bool paused;

static long
number(const char *arg, long max, const char *what)
{
	char *end;
	long n;

	errno = 0;
	n = strtol(arg, &end, 10);
	if (errno != 0 || end == arg || *end != '\0' || n < 0 || n > max)
		errx(64, "%s: %s is not a number up to %ld", what, arg, max);
	return (n);
}

static void
if_set(int sock, unsigned long request, struct ifreq *ifr, const char *what)
{
	if (ioctl(sock, request, ifr) == -1)
		err(1, "%s: %s", ifr->ifr_name, what);
}

/* Returns owned: the non-blocking descriptor of a TAP that is up. */
static int
tap_open(const char *device, int mtu, const char *mac, int txqueuelen)
{
	struct ifreq ifr = { 0 };
	struct ether_addr *ether;
	int sock, tap;

	if (strlen(device) >= sizeof(ifr.ifr_name))
		errx(64, "%s: name too long", device);
	memcpy(ifr.ifr_name, device, strlen(device));
	tap = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (tap == -1)
		err(1, "/dev/net/tun");
	ifr.ifr_flags = IFF_TAP | IFF_NO_PI;
	if (ioctl(tap, TUNSETIFF, &ifr) == -1)
		err(1, "%s: TUNSETIFF", device);
	sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (sock == -1)
		err(1, "socket");
	if (mac != NULL) {
		ether = ether_aton(mac);
		if (ether == NULL)
			errx(64, "%s: not a MAC address", mac);
		ifr.ifr_hwaddr.sa_family = ARPHRD_ETHER;
		memcpy(ifr.ifr_hwaddr.sa_data, ether, sizeof(*ether));
		if_set(sock, SIOCSIFHWADDR, &ifr, "MAC");
	}
	ifr.ifr_mtu = mtu;
	if_set(sock, SIOCSIFMTU, &ifr, "MTU");
	ifr.ifr_qlen = txqueuelen;
	if_set(sock, SIOCSIFTXQLEN, &ifr, "txqueuelen");
	if_set(sock, SIOCGIFFLAGS, &ifr, "flags");
	ifr.ifr_flags |= IFF_UP;
	if_set(sock, SIOCSIFFLAGS, &ifr, "up");
	close(sock);
	return (tap);
}

static int
stream_connect(const char *path)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd;

	if (strlen(path) >= sizeof(sun.sun_path))
		errx(64, "%s: path too long", path);
	memcpy(sun.sun_path, path, strlen(path));
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd == -1)
		err(1, "socket");
	if (connect(fd, (struct sockaddr *)&sun, sizeof(sun)) == -1)
		err(1, "%s", path);
	return (fd);
}

static void
readable_wait(int fd)
{
	struct pollfd pfd = { .fd = fd, .events = POLLIN };

	while (poll(&pfd, 1, -1) == -1)
		if (errno != EINTR)
			err(1, "poll");
}

static size_t
smaller(size_t a, size_t b)
{
	return (a < b ? a : b);
}

static bool
is_lost(const struct shuttle *shuttle, unsigned long *count)
{
	return (shuttle->lose != 0 && ++*count % shuttle->lose == 0);
}

/* The stream's end is how a session ends, and no error. */
static void
stream_write(const struct shuttle *shuttle, const uint8_t *buf, size_t len)
{
	ssize_t n;

	for (; len > 0; buf += n, len -= (size_t)n) {
		n = write(shuttle->stream, buf, smaller(len, shuttle->piece));
		if (n == -1 && (errno == EPIPE || errno == ECONNRESET))
			exit(0);
		if (n == -1)
			err(1, "write to the stream");
	}
}

static void *
up(void *arg)
{
	const struct shuttle *shuttle = arg;
	unsigned long count = 0;
	uint8_t *batch;
	uint32_t prefix;
	size_t fill;
	ssize_t n;

	batch = malloc(BATCH_BYTES);
	if (batch == NULL)
		err(1, "malloc");
	for (;;) {
		readable_wait(shuttle->tap);
		fill = 0;
		while (fill + PREFIX + FRAME_MAX <= BATCH_BYTES) {
			n = read(shuttle->tap, batch + fill + PREFIX,
			    FRAME_MAX);
			if (n == -1 && errno == EAGAIN)
				break;
			if (n == -1)
				err(1, "read from the TAP");
			if (is_lost(shuttle, &count))
				continue;
			prefix = htonl((uint32_t)n);
			memcpy(batch + fill, &prefix, PREFIX);
			fill += PREFIX + (size_t)n;
		}
		stream_write(shuttle, batch, fill);
	}
}

/* Returns how many bytes of whole frames went to the TAP. */
static size_t
frames_deliver(const struct shuttle *shuttle, const uint8_t *buf, size_t len,
    unsigned long *count)
{
	uint32_t prefix;
	size_t done, frame;

	for (done = 0; len - done >= PREFIX; done += PREFIX + frame) {
		memcpy(&prefix, buf + done, PREFIX);
		frame = ntohl(prefix);
		if (frame < FRAME_MIN || frame > shuttle->mtu + FRAME_MIN)
			errx(1, "frame of %zu bytes at an MTU of %zu", frame,
			    shuttle->mtu);
		if (len - done - PREFIX < frame)
			break;
		if (is_lost(shuttle, count))
			continue;
		/* A full card drops, as real ones do. */
		if (write(shuttle->tap, buf + done + PREFIX, frame) == -1 &&
		    errno != EAGAIN && errno != ENOBUFS && errno != EIO)
			err(1, "write to the TAP");
	}
	return (done);
}

static void *
down(void *arg)
{
	const struct shuttle *shuttle = arg;
	unsigned long count = 0;
	uint8_t *batch;
	size_t done, fill = 0;
	ssize_t n;

	batch = malloc(BATCH_BYTES);
	if (batch == NULL)
		err(1, "malloc");
	for (;;) {
		readable_wait(shuttle->stream);
		pthread_mutex_lock(&pause_lock);
		while (paused)
			pthread_cond_wait(&pause_over, &pause_lock);
		pthread_mutex_unlock(&pause_lock);
		n = read(shuttle->stream, batch + fill,
		    smaller(BATCH_BYTES - fill, shuttle->piece));
		if (n == 0 || (n == -1 && errno == ECONNRESET))
			exit(0);
		if (n == -1)
			err(1, "read from the stream");
		fill += (size_t)n;
		done = frames_deliver(shuttle, batch, fill, &count);
		fill -= done;
		memmove(batch, batch + done, fill);
	}
}

static void
signals_serve(const sigset_t *set)
{
	int sig;

	for (;;) {
		sigwait(set, &sig);
		pthread_mutex_lock(&pause_lock);
		paused = sig == SIGUSR1;
		pthread_cond_signal(&pause_over);
		pthread_mutex_unlock(&pause_lock);
		puts(sig == SIGUSR1 ? "stalled" : "resumed");
		fflush(stdout);
	}
}

int
main(int argc, char *argv[])
{
	struct shuttle shuttle = { .stream = -1, .mtu = 1500 };
	const char *device = NULL, *mac = NULL, *path = NULL;
	pthread_t thread[2];
	sigset_t set;
	int ch, txqueuelen = 1000;

	shuttle.piece = BATCH_BYTES;
	while ((ch = getopt(argc, argv, "a:c:d:f:l:m:q:s:")) != -1) {
		if (ch == 'a')
			mac = optarg;
		else if (ch == 'c')
			shuttle.piece = (size_t)number(optarg, 65536, "-c");
		else if (ch == 'd')
			device = optarg;
		else if (ch == 'f')
			shuttle.stream = (int)number(optarg, 65536, "-f");
		else if (ch == 'l')
			shuttle.lose = (unsigned long)number(optarg, 65536,
			    "-l");
		else if (ch == 'm')
			shuttle.mtu = (size_t)number(optarg, 65535, "-m");
		else if (ch == 'q')
			txqueuelen = (int)number(optarg, 1000000, "-q");
		else if (ch == 's')
			path = optarg;
		else
			return (64);
	}
	if (device == NULL || (path == NULL) == (shuttle.stream == -1) ||
	    shuttle.piece == 0)
		errx(64, "need -d and one of -s and -f");

	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGUSR2);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	if (path != NULL)
		shuttle.stream = stream_connect(path);
	shuttle.tap = tap_open(device, (int)shuttle.mtu, mac, txqueuelen);
	puts("up"); /* the world may configure the card now */
	fflush(stdout);
	if (pthread_create(&thread[0], NULL, up, &shuttle) != 0 ||
	    pthread_create(&thread[1], NULL, down, &shuttle) != 0)
		errx(1, "pthread_create");
	signals_serve(&set);
	return (0);
}
