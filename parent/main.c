#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <linux/close_range.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "config.h"
#include "ipc/clock.h"
#include "ipc/roles.h"
#include "parent/attest.h"
#include "parent/first.h"
#include "parent/options.h"
#include "parent/parent.h"
#include "relayproc/splice.h"
#include "sandbox/isolate.h"
#include "sandbox/rules.h"
#include "sandbox/stages.h"

/* Descriptors of a child beside its flows: channels, listeners, resolvers. */
#define NOFILE_BESIDE_FLOWS 1024

/* Descriptors 0 to 2 must not become a socket of ours. */
static void
open_stdio(void)
{
	int fd;

	do {
		fd = open("/dev/null", O_RDWR);
	} while (fd != -1 && fd <= STDERR_FILENO);
	if (fd > STDERR_FILENO)
		close(fd);
}

/* A child's whole life, if argv[1] is a role flag. */
static void
run_role(int argc, char **argv)
{
	int strict;

	if (argc != 3)
		return;
	strict = strcmp(argv[2], "best-effort") != 0;
	if (strcmp(argv[1], "--role-netproc") == 0)
		netproc_main(strict);
	if (strcmp(argv[1], "--role-relayproc") == 0)
		relayproc_main(strict);
}

/*
 * malloc(3) can be told to make calls that the parent's filter has no row for,
 * for huge pages say, and would with the first pair that is replaced.  It
 * hears of it when a program is executed, so this one is once more, without;
 * what it was told is kept for COMMAND.
 */
static void
shed_tunables(char **argv)
{
	static const char name[] = "GLIBC_TUNABLES";
	static const char aside[] = "SALLYPORT_GLIBC_TUNABLES";
	const char *kept = getenv(aside), *value = getenv(name);

	if (kept == NULL && value != NULL && setenv(aside, value, 1) == 0 &&
	    unsetenv(name) == 0)
		execv("/proc/self/exe", argv); /* fails without /proc alone */
	if ((kept = getenv(aside)) == NULL)
		return;
	(void)setenv(name, kept, 1);
	(void)unsetenv(aside);
	(void)prctl(PR_SET_NAME, program_invocation_short_name, 0, 0, 0);
}

static _Noreturn void
usage_end(const struct config_error *error)
{
	log_error("%s", error->text);
	exit(error->status);
}

static int
print_policies(int splice)
{
	unsigned int role;

	for (role = 0; role < ROLE_NROLES; role++) {
		if (filter_dump((enum role)role, splice, stdout) == -1)
			return (-1);
	}
	return (fflush(stdout) == 0 ? 0 : -1);
}

/* --help, --version, --print-policy and -n print and end. */
static void
print_and_end(const struct config *config)
{
	int result;

	if (config->help)
		result = options_help(STDOUT_FILENO);
	else if (config->version)
		result = printf("sallyport %s\n", PACKAGE_VERSION) < 0 ||
			fflush(stdout) != 0 ?
		    -1 :
		    0;
	else if (config->print_policy)
		result = print_policies(config->splice);
	else if (config->check_only)
		result = config->verbose ? config_print(config, STDOUT_FILENO) :
					   0;
	else
		return;
	if (result == -1)
		log_error("standard output: %s; direct it to where there is "
			  "room",
		    strerror(errno));
	exit(result == 0 ? EX_OK : EX_IOERR);
}

static void
read_options(struct config *config, int argc, char **argv)
{
	struct config_error error;

	config_init(config);
	if (options_parse(config, argc, argv, &error) == -1)
		usage_end(&error);
	if (config->help || config->version)
		print_and_end(config);
	if (config->file != NULL &&
	    config_file_read(config, config->file, &error) == -1)
		usage_end(&error);
	/* Of the file as well: it may say relay = splice. */
	if (config->print_policy)
		print_and_end(config);
	if (config_check(config, &error) == -1)
		usage_end(&error);
	log_init("sallyport", config->log_level);
	print_and_end(config);
}

/*
 * Before we open any of our own, which might have the number of one that was
 * to be passed and was not.
 */
static int
check_passed(const struct config *config, struct config_error *error)
{
	const struct {
		int fd, status;
		const char *option;
	} passed[] = {
		{ config->frame_fd, EX_USAGE, "--fd " },
		{ config->ready_fd, EX_USAGE, "--ready-fd " },
		{ config->evidence_fd, EX_CANTCREAT, "--evidence fd:" },
	};
	size_t i;

	for (i = 0; i < sizeof(passed) / sizeof(passed[0]); i++) {
		if (passed[i].fd != -1 && fcntl(passed[i].fd, F_GETFD) == -1)
			return (config_error(error, passed[i].status,
			    "%s%d: is not open; pass that descriptor, not "
			    "opened close-on-exec",
			    passed[i].option, passed[i].fd));
	}
	return (0);
}

/* Everything that needs rights, while there are some. */
static int
open_all(struct parent *parent, struct config_error *error)
{
	const struct config *config = &parent->config;

	if (notify_open(config, &parent->notify, error) == -1 ||
	    evidence_open(config, &parent->evidence, error) == -1)
		return (-1);
	/* That may wait, for a FIFO's reader; what follows leaves names. */
	if (run_hold_signals(parent) == -1)
		return (config_error(error, EX_OSERR, "signals: %s",
		    strerror(errno)));
	if (frame_open(config, &parent->frame, error) == -1 ||
	    frame_open_journal(config, &parent->frame, error) == -1 ||
	    control_open(&parent->control, config, error) == -1 ||
	    publish_open(config, &parent->publish, error) == -1 ||
	    follow_open(parent, error) == -1)
		return (-1);
	return (evidence_begin(config, &parent->evidence, error));
}

/* The children inherit the limit, and can only lower it. */
static int
raise_nofile(struct parent *parent, struct config_error *error)
{
	const struct config *config = &parent->config;
	const rlim_t flows = (rlim_t)config->max_flows +
	    config_max_inbound(config);
	const rlim_t need = flows + config_max_assocs(config) +
	    NOFILE_BESIDE_FLOWS +
	    (config->splice ? splice_descriptors(flows) : 0);
	struct rlimit rl;

	if (getrlimit(RLIMIT_NOFILE, &rl) == -1)
		return (config_error(error, EX_OSERR, "getrlimit: %s",
		    strerror(errno)));
	parent->env.nofile = rl;
	rl.rlim_cur = rl.rlim_max;
	if (rl.rlim_max < need)
		rl.rlim_cur = rl.rlim_max = need;
	if (setrlimit(RLIMIT_NOFILE, &rl) == -1)
		return (config_error(error, EX_OSERR,
		    "--max-flows %u, --max-udp %u%s: need %llu descriptors; "
		    "raise the hard limit (ulimit -Hn), or lower them",
		    config->max_flows, config->max_udp,
		    config->splice ? ", --relay splice" : "",
		    (unsigned long long)need));
	return (0);
}

static int
find_user(const struct config *config, struct spawn_config *spawn,
    struct config_error *error)
{
	const struct passwd *pw;

	if (config->user[0] == '\0')
		return (0);
	if (geteuid() != 0)
		return (config_error(error, EX_NOPERM,
		    "--user %s: only root can; leave it out", config->user));
	pw = getpwnam(config->user);
	if (pw == NULL)
		return (config_error(error, EX_NOUSER,
		    "--user %s: no such user; add it (useradd -r)",
		    config->user));
	/* No fence that counts on another uid would stand. */
	if (pw->pw_uid == 0)
		return (config_error(error, EX_USAGE,
		    "--user %s: is root; name another user, or leave it out",
		    config->user));
	spawn->has_user = 1;
	spawn->uid = pw->pw_uid;
	spawn->gid = pw->pw_gid;
	return (0);
}

/* Whether the users that the children will be may read this program. */
static int
is_readable(const struct spawn_config *spawn)
{
	struct stat st;
	int fd;

	if (geteuid() != 0) {
		fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
		if (fd != -1)
			close(fd);
		return (fd != -1 || errno != EACCES);
	}
	/* A spawner that is not strict may look at anything. */
	return (!spawn->strict || fstat(spawn->exe_fd, &st) == -1 ||
	    (st.st_mode & S_IROTH) != 0 ||
	    (spawn->has_user && st.st_uid == spawn->uid &&
		(st.st_mode & S_IRUSR) != 0) ||
	    (spawn->has_user && st.st_gid == spawn->gid &&
		(st.st_mode & S_IRGRP) != 0));
}

/*
 * Of what a user may execute and not read /proc shows nothing to others
 * (ptrace(2)): each fence would seem to be missing, to us at the start, or to
 * the spawner, which is not as privileged as root, at the first restart.
 */
static int
check_readable(const struct spawn_config *spawn, struct config_error *error)
{
	if (is_readable(spawn))
		return (0);
	return (config_error(error, EX_NOPERM,
	    "the children could not be looked at, as their users may not read "
	    "this program; mend: let everyone read it (chmod a+r)"));
}

/* Spawner and children have it for the descriptors that they have not. */
static int
check_null(struct config_error *error)
{
	const int fd = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (fd == -1)
		return (config_error(error, EX_OSERR,
		    "/dev/null: %s; make it a device that everyone may open",
		    strerror(errno)));
	close(fd);
	return (0);
}

/* The children's maker, while there is nothing that it must not have. */
static int
start_spawner(struct parent *parent, struct config_error *error)
{
	struct spawn_config spawn = { .strict = parent->config.strict };
	int result;

	if (check_null(error) == -1 || raise_nofile(parent, error) == -1 ||
	    find_user(&parent->config, &spawn, error) == -1)
		return (-1);
	spawn.exe_fd = spawn_open_exe();
	if (spawn.exe_fd == -1)
		return (config_error(error, EX_OSERR,
		    "/proc/self/exe: %s; mount /proc", strerror(errno)));
	if (check_readable(&spawn, error) == -1) {
		close(spawn.exe_fd);
		return (-1);
	}
	result = spawner_start(&parent->spawner, &spawn);
	close(spawn.exe_fd);
	if (result == -1)
		return (config_error(error, EX_OSERR, "spawner: %s%s",
		    strerror(errno),
		    errno == EAGAIN ? "; allow more processes (ulimit -u, "
				      "pids.max)" :
				      ""));
	return (0);
}

static int
spawn_both(struct parent *parent, struct config_error *error)
{
	struct pollfd pfd = { .fd = parent->spawner.fd, .events = POLLIN };
	struct spawner_message answer;

	if (run_init(parent) == -1)
		return (config_error(error, EX_OSERR, "event loop: %s",
		    strerror(errno)));
	if (spawner_ask(&parent->spawner, SPAWNER_SPAWN, NULL) == 0 &&
	    poll(&pfd, 1, SPAWNER_ANSWER_S * 1000) == 0)
		return (config_error(error, EX_UNAVAILABLE,
		    "the spawner has not answered in %d s; see who stops it "
		    "(SIGSTOP), and the machine's load",
		    SPAWNER_ANSWER_S));
	if (spawner_take(&parent->spawner, &answer) != 1)
		return (config_error(error, EX_OSERR,
		    "the spawner has ended; see the machine's log"));
	if (answer.result == -1) {
		parent->status = EX_NOPERM;
		return (-1);
	}
	parent->netproc.child = answer.pair.netproc;
	parent->relayproc.child = answer.pair.relayproc;
	return (0);
}

/* Both are looked at, whatever the first lacks: the evidence tells of both. */
static int
attest_both(struct parent *parent)
{
	struct peer *const peers[] = { &parent->netproc, &parent->relayproc };
	int refused = 0, result;
	size_t i;

	for (i = 0; i < sizeof(peers) / sizeof(peers[0]); i++) {
		result = attest_child(&peers[i]->child, parent->config.strict,
		    &peers[i]->missed);
		if (result == -1)
			refused = 1;
		if (result != 1 || refused)
			continue;
		/* Lost as any, and the other ends in order. */
		peer_lost(peers[i], NULL);
		run_watch(parent);
		return (-1);
	}
	if (!refused)
		return (0);
	parent->status = EX_NOPERM;
	evidence_write(parent, 1);
	return (-1);
}

static int
lock_self(struct parent *parent)
{
	const char *dirs[3] = { NULL, NULL, NULL };
	const struct landlock_files files = {
		.unlink_dirs = dirs,
		.read_paths = parent->resolv_watch.readable,
	};
	size_t n = 0;

	if (parent->frame.listener.fd != -1)
		dirs[n++] = parent->frame.listener.dir;
	if (parent->control.listener.fd != -1)
		dirs[n++] = parent->control.listener.dir;
	if (sandbox_lock_parent(parent->config.strict, &files,
		&parent->missed) == 0)
		return (0);
	parent->status = EX_NOPERM;
	return (-1);
}

static void
announce(struct parent *parent)
{
	const uint32_t missed = parent->missed | parent->netproc.missed |
	    parent->relayproc.missed;
	char text[512];

	parent->ready_ms = clock_now_ms();
	if (missed != 0)
		log_warn("fences that do not stand: %s",
		    stages_format(missed, text, sizeof(text)));
	log_info("ready: netproc %d, relayproc %d, mtu %u, in %llu ms",
	    (int)parent->netproc.child.pid, (int)parent->relayproc.child.pid,
	    parent->config.mtu,
	    (unsigned long long)(parent->ready_ms - parent->started_ms));
	evidence_write(parent, 0);
	notify_ready(&parent->notify);
}

static void
parent_init(struct parent *parent)
{
	memset(parent, 0, sizeof(*parent));
	parent->started_ms = clock_now_ms();
	parent->pid = getpid();
	parent->uid = geteuid();
	parent->status = EX_SOFTWARE;
	spawner_init(&parent->spawner);
	parent->signal_fd = -1;
	parent->host_addrs.fd = -1;
	parent->host_routes.fd = -1;
	resolv_watch_init(&parent->resolv_watch);
	parent->notify.socket_fd = -1;
	parent->notify.ready_fd = -1;
	evidence_init(&parent->evidence);
	frame_init(&parent->frame);
	control_init(&parent->control, parent);
	peer_init(&parent->netproc, parent, ROLE_NETPROC);
	peer_init(&parent->relayproc, parent, ROLE_RELAYPROC);
	peer_init(&parent->leaving, parent, ROLE_RELAYPROC);
}

/*
 * Nothing is left behind.  error has a line of its own, unless it was logged
 * already; then its status is 0 and parent->status counts.
 */
static int
end(struct parent *parent, const struct config_error *error)
{
	if (error->status != 0) {
		log_error("%s", error->text);
		parent->status = error->status;
	}
	command_end(&parent->frame.command, 2000);
	run_end(parent);
	return (parent->status);
}

int
main(int argc, char **argv)
{
	static struct parent parent;
	struct config_error error = { .status = 0 };

	/* 1. One program, three roles: a child never comes back. */
	open_stdio();
	run_role(argc, argv);
	shed_tunables(argv);
	first_process_step_back();

	/* 2. What the operator wants; what is wrong ends here. */
	parent_init(&parent);
	log_init("sallyport", LOG_LEVEL_INFO);
	read_options(&parent.config, argc, argv);

	/* 3. Fork the process that makes the children, now and later. */
	close_range(STDERR_FILENO + 1, ~0U, CLOSE_RANGE_CLOEXEC);
	if (check_passed(&parent.config, &error) == -1 ||
	    start_spawner(&parent, &error) == -1)
		return (end(&parent, &error));

	/* 4. Open what needs rights; COMMAND and children get none of it. */
	if (open_all(&parent, &error) == -1)
		return (end(&parent, &error));

	/* 5. Start the children in their namespaces. */
	if (spawn_both(&parent, &error) == -1)
		return (end(&parent, &error));

	/* 6. Configure them; each locks itself down and says READY. */
	if (run_setup(&parent) == -1)
		return (end(&parent, &error));

	/* 7. Look at their jails from outside before they get anything. */
	if (attest_both(&parent) == -1)
		return (end(&parent, &error));

	/* 8. Start the VMM, if it is ours to start. */
	if (parent.config.command != NULL &&
	    vmm_start_command(&parent, &error) == -1)
		return (end(&parent, &error));
	if (control_watch(&parent.control, parent.base) == -1)
		fatal("control socket");
	if (follow_watch(&parent) == -1)
		fatal("event loop");

	/* 9. Lock ourselves down, then say so: who is lost now is replaced. */
	if (lock_self(&parent) == -1)
		return (end(&parent, &error));
	parent.state = PARENT_RUN;
	announce(&parent);

	/* 10. Hand over the frame socket, and watch until the end. */
	configure_serve(&parent);
	vmm_start(&parent);
	run_watch(&parent);
	run_end(&parent);
	return (parent.status);
}
