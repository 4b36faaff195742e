#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>

#include <netinet/in.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "sandbox/isolate.h"
#include "tests/unit/jail_child.h"

#define ANSWER_MS 10000

static int
errno_of(int result)
{
	return (result == -1 ? errno : 0);
}

static int
count_root(void)
{
	const struct dirent *entry;
	int n = 0;
	DIR *dir;

	if ((dir = opendir("/")) == NULL)
		return (-errno);
	while ((entry = readdir(dir)) != NULL)
		if (strcmp(entry->d_name, ".") != 0 &&
		    strcmp(entry->d_name, "..") != 0)
			n++;
	closedir(dir);
	return (n);
}

static int
try_tcp(int (*call)(int, const struct sockaddr *, socklen_t))
{
	struct sockaddr_in sin = {
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	socklen_t len = sizeof(sin);
	int sock, other, error;

	/* a port that is bound but not listening: nobody else can take it */
	sock = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	other = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bind(other, (struct sockaddr *)&sin, sizeof(sin));
	getsockname(other, (struct sockaddr *)&sin, &len);
	error = errno_of(call(sock, (const struct sockaddr *)&sin, len));
	close(sock);
	close(other);
	return (error);
}

static socklen_t
abstract_name(struct sockaddr_un *sun, const char *name)
{
	memset(sun, 0, sizeof(*sun));
	sun->sun_family = AF_UNIX;
	strlcpy(sun->sun_path + 1, name, sizeof(sun->sun_path) - 1);
	return ((socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 +
	    strlen(name)));
}

static int
try_abstract(const char *name)
{
	struct sockaddr_un sun;
	socklen_t len = abstract_name(&sun, name);
	int sock, error;

	sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	error = errno_of(connect(sock, (struct sockaddr *)&sun, len));
	close(sock);
	return (error);
}

static int
try_send_fd(void)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int))];
	char byte = 'f';
	struct iovec iov = { &byte, 1 };
	struct msghdr msg = { .msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control) };
	struct cmsghdr *cmsg;
	int fd = FD_PEER;

	memset(control, 0, sizeof(control));
	cmsg = CMSG_FIRSTHDR(&msg);
	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(sizeof(fd));
	memcpy(CMSG_DATA(cmsg), &fd, sizeof(fd));
	return (errno_of((int)sendmsg(FD_PARENT, &msg, MSG_NOSIGNAL)));
}

static int
try_fork(void)
{
	pid_t pid;

	if ((pid = fork()) == 0)
		_exit(0);
	return (errno_of(pid));
}

static void
look_at_self(struct jail_report *report)
{
	struct rlimit rl;
	int i;

	report->securebits = prctl(PR_GET_SECUREBITS, 0, 0, 0, 0);
	prctl(PR_GET_PDEATHSIG, &report->death_signal, 0, 0, 0);
	report->ignores_sigpipe = signal(SIGPIPE, SIG_IGN) == SIG_IGN;
	for (i = 0; i < RLIM_NLIMITS; i++) {
		getrlimit((__rlimit_resource_t)i, &rl);
		report->limit_cur[i] = rl.rlim_cur;
		report->limit_max[i] = rl.rlim_max;
	}
}

static void
look_around(const struct jail_order *order, struct jail_report *report)
{
	void *page;

	report->pid = getpid();
	report->ppid = getppid();
	report->root_entries = count_root();
	report->open_passwd = errno_of(open("/etc/passwd", O_RDONLY));
	report->open_proc = errno_of(open("/proc/self/maps", O_RDONLY));
	report->make_dir = errno_of(mkdir("/d", 0700));
	report->make_file = errno_of(open("/f", O_CREAT | O_WRONLY, 0600));
	page = mmap(NULL, 4096, PROT_WRITE | PROT_EXEC,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	report->map_exec = page == MAP_FAILED ? errno : 0;
	report->make_process = try_fork();
	report->tcp_bind = try_tcp(bind);
	report->tcp_connect = try_tcp(connect);
	report->abstract_connect = try_abstract(order->abstract);
	report->send_fd = try_send_fd();
	look_at_self(report);
	report->pipe_fd = dup(FD_PARENT);
	close(report->pipe_fd);
}

static void
report_send(const struct jail_report *report)
{
	/* as channel.c does: writev is what the filters let through */
	struct iovec iov = { (void *)(uintptr_t)report, sizeof(*report) };

	(void)!writev(FD_PARENT, &iov, 1);
}

static void
order_wait(void *buf, size_t size)
{
	struct iovec iov = { buf, size };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	ssize_t n;

	/* a busy wait: poll(2) is off every list, and epoll is under test */
	do {
		n = recvmsg(FD_PARENT, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	} while (n == -1 && errno == EAGAIN);
	if (n <= 0)
		_exit(0);
}

_Noreturn static void
child_run(enum role role, int strict, struct jail_report *report)
{
	struct pollfd pfd = { .fd = FD_PARENT, .events = POLLIN };
	struct jail_order order;
	struct epoll_event event;

	poll(&pfd, 1, -1);
	order_wait(&order, sizeof(order));
	if (!(order.behaviour & JAIL_NO_ISOLATION))
		report->result = isolate_self(role, strict, &report->missed);
	if (report->result == 0)
		look_around(&order, report);
	if (epoll_create1(EPOLL_CLOEXEC) != FD_EPOLL)
		report->result = -2;
	if (order.behaviour & JAIL_EXTRA_FD)
		(void)!dup(FD_EPOLL);
	if (order.behaviour & JAIL_STDIN_SOCKET)
		dup2(FD_PEER, STDIN_FILENO);
	if (order.behaviour & JAIL_EPOLL_SOCKET)
		dup2(FD_PEER, FD_EPOLL);
	if (order.behaviour & JAIL_CHANNEL_FILE)
		dup2(STDIN_FILENO, FD_DGRAM);
	event = (struct epoll_event){ .events = EPOLLIN };
	epoll_ctl(FD_EPOLL, EPOLL_CTL_ADD, FD_PARENT, &event);
	if (report->result == 0 && !(order.behaviour & JAIL_NO_LOCK))
		report->result = sandbox_lock(role, 0, strict, &report->missed);
	report_send(report);
	if (order.behaviour & JAIL_ABORT)
		abort();
	if (order.behaviour & JAIL_EPOLL_SOCKET)
		order_wait(&order, sizeof(order));
	while (epoll_wait(FD_EPOLL, &event, 1, -1) == -1 && errno == EINTR)
		;
	_exit(0);
}

void
jail_child_main(int argc, char **argv)
{
	struct jail_report report = { .argc = argc };
	enum role role;

	if (argc < 2 || strncmp(argv[1], "--role-", 7) != 0)
		return;
	while (environ != NULL && environ[report.nenv] != NULL)
		report.nenv++;
	role = strcmp(argv[1], "--role-netproc") == 0 ? ROLE_NETPROC :
							ROLE_RELAYPROC;
	child_run(role, argc == 3 && strcmp(argv[2], "strict") == 0, &report);
}

void
jail_child_run(const struct child *child, uint32_t behaviour,
    struct jail_report *report)
{
	struct pollfd pfd = { .fd = child->channel_fd, .events = POLLIN };
	struct jail_order order = { .behaviour = behaviour };
	struct sockaddr_un sun;
	socklen_t len;
	ssize_t n;
	int sock;

	snprintf(order.abstract, sizeof(order.abstract), "jail_child.%d",
	    (int)getpid());
	len = abstract_name(&sun, order.abstract);
	sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(sock, (struct sockaddr *)&sun, len), 0);
	assert_int_equal(listen(sock, 1), 0);
	n = send(child->channel_fd, &order, sizeof(order), MSG_NOSIGNAL);
	assert_int_equal(n, sizeof(order));
	do {
		/* the record of try_send_fd() is shorter */
		assert_int_equal(poll(&pfd, 1, ANSWER_MS), 1);
		n = recv(child->channel_fd, report, sizeof(*report), 0);
	} while (n == 1);
	assert_int_equal(n, sizeof(*report));
	close(sock);
}
