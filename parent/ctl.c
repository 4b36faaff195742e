/* sallyportctl: asks a running sallyport over its control socket. */

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "config.h"
#include "parent/control.h"

/* A sidecar that does not answer for so long is not well. */
#define ANSWER_S 5

static const char usage_text[] =
    "usage: sallyportctl -s PATH VERB\n"
    "\n"
    "  -s, --socket PATH  the control socket (sallyport --control PATH)\n"
    "  -h, --help         print this\n"
    "      --version      print the version\n"
    "\n"
    "verbs:\n"
    "  status             processes, state, the VMM that is connected\n";

static const struct option options[] = {
	{ "socket", required_argument, NULL, 's' },
	{ "help", no_argument, NULL, 'h' },
	{ "version", no_argument, NULL, 'V' },
	{ NULL, 0, NULL, 0 },
};

/* what is the path or the verb. */
static _Noreturn void
no_answer(const char *what)
{
	errx(EX_UNAVAILABLE,
	    "%s: no answer in %d s; see who stops sallyport (SIGSTOP), and the "
	    "machine's load",
	    what, ANSWER_S);
}

/* Who is not heard may be told so by the file's mode alone. */
static _Noreturn void
cannot_connect(const char *path)
{
	if (errno == EACCES || errno == EPERM)
		err(EX_NOPERM,
		    "-s %s: be root or the user who started sallyport", path);
	if (errno == EAGAIN)
		no_answer(path);
	if (errno == EPROTOTYPE)
		errx(EX_UNAVAILABLE,
		    "-s %s: is another socket, such as the VMM's; say the path "
		    "of --control",
		    path);
	err(EX_UNAVAILABLE, "-s %s: start sallyport with --control %s", path,
	    path);
}

static int
open_control(const char *path)
{
	const struct timeval tv = { .tv_sec = ANSWER_S };
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd;

	if (path[0] == '\0')
		errx(EX_USAGE, "-s: say the path of the control socket");
	if (strlcpy(sun.sun_path, path, sizeof(sun.sun_path)) >=
	    sizeof(sun.sun_path))
		errx(EX_USAGE,
		    "-s %s: longer than %d bytes; use a relative "
		    "path",
		    path, CONFIG_SUN_PATH_MAX);
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	/* connect(2) waits for room in the listener's queue as a send does. */
	if (fd == -1 ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)) == -1 ||
	    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv)) == -1)
		err(EX_OSERR, "socket");
	if (connect(fd, (struct sockaddr *)&sun, sizeof(sun)) == -1)
		cannot_connect(path);
	return (fd);
}

/* Returns the status to exit with. */
static int
print(const char *text)
{
	if (fputs(text, stdout) == EOF || fflush(stdout) == EOF)
		err(EX_IOERR, "standard output");
	return (EX_OK);
}

/* 1 if we are heard: the socket is of the user who started sallyport. */
static int
is_heard(const char *path)
{
	struct stat st;

	return (geteuid() == 0 ||
	    (lstat(path, &st) == 0 && st.st_uid == geteuid()));
}

/* Prints the answer.  Returns the status to exit with. */
static int
ask(int fd, const char *verb, int heard)
{
	static const char failed[] = "error: ";
	char text[CONTROL_RECORD_MAX + 1];
	ssize_t n = send(fd, verb, strlen(verb), MSG_NOSIGNAL);

	if (n != -1)
		n = recv(fd, text, CONTROL_RECORD_MAX, 0);
	if (n == -1 && errno == EAGAIN)
		no_answer(verb);
	/* Who is refused may be so before, or with, what he has to say. */
	if (n == -1 && errno != EPIPE && errno != ECONNRESET)
		err(EX_UNAVAILABLE, "%s: no answer", verb);
	if (n <= 0 && heard)
		errx(EX_UNAVAILABLE, "%s: no answer; sallyport has ended",
		    verb);
	if (n <= 0)
		errx(EX_NOPERM,
		    "%s: no answer; be root or the user who "
		    "started sallyport",
		    verb);
	text[n] = '\0';
	if (strncmp(text, failed, sizeof(failed) - 1) == 0) {
		fputs(text, stderr);
		return (EX_USAGE);
	}
	return (print(text));
}

int
main(int argc, char **argv)
{
	const char *path = NULL;
	int c, heard;

	/* The control socket would be in its place, and hear its own answer. */
	if (fcntl(STDOUT_FILENO, F_GETFD) == -1)
		err(EX_IOERR, "standard output");
	while ((c = getopt_long(argc, argv, "s:h", options, NULL)) != -1) {
		switch (c) {
		case 's':
			path = optarg;
			break;
		case 'h':
			return (print(usage_text));
		case 'V':
			return (print("sallyportctl " PACKAGE_VERSION "\n"));
		default:
			fputs(usage_text, stderr);
			return (EX_USAGE);
		}
	}
	if (path == NULL || argc - optind != 1) {
		fputs(usage_text, stderr);
		return (EX_USAGE);
	}
	if (argv[optind][0] == '\0' || strlen(argv[optind]) > CONTROL_VERB_MAX)
		errx(EX_USAGE, "%s: no such verb; say status", argv[optind]);
	/* Before sallyport may remove it. */
	heard = is_heard(path);
	return (ask(open_control(path), argv[optind], heard));
}
