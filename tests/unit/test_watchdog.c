#include <sys/syscall.h>
#include <sys/wait.h>

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <event2/event.h>

#include "ipc/kernel.h"
#include "parent/parent.h"

#define MS 1000000ULL /* ns */

/*
 * The watchdog alone: its timers, the processor's time and what becomes of a
 * child are ours.
 */
static struct parent parent;
static struct watchdog *const dog = &parent.watchdog;
static struct peer *const both[] = { &parent.netproc, &parent.relayproc };

static int frame_end;		/* the guest's */
static unsigned int nquestions; /* to either */
static unsigned int nkicks;
static uint64_t used_ns[2]; /* of a processor, that nobody was told of */
static uint64_t timer_ms;   /* what the timer was set to last */
static int is_refused;	    /* a question */
static struct peer *refused, *lost;
static char lost_cause[64];

void __wrap_run_timer_set(struct event *timer, uint64_t ms);
void __wrap_run_event_drop(struct event **ev);
uint64_t __wrap_cpu_alarm_took_ns(struct cpu_alarm *alarm);
int __wrap_channel_send(struct channel *ch, enum ipc_type type, uint32_t flow,
    uint32_t generation, const void *payload, size_t len);
void __wrap_channel_event_kick(struct channel_event *ce);
void __wrap_peer_refused(struct peer *peer, const char *what);
void __wrap_peer_lost(struct peer *peer, const char *cause);

/* Pending, but it is tick() that lets the time pass. */
void
__wrap_run_timer_set(struct event *timer, uint64_t ms)
{
	static const struct timeval never = { .tv_sec = 3600 };

	assert_ptr_equal(timer, dog->ev_timer);
	timer_ms = ms;
	assert_int_equal(event_add(timer, &never), 0);
}

void
__wrap_run_event_drop(struct event **ev)
{
	event_free(*ev);
	*ev = NULL;
}

uint64_t
__wrap_cpu_alarm_took_ns(struct cpu_alarm *alarm)
{
	const int i = alarm == &parent.relayproc.alarm;
	const uint64_t took_ns = used_ns[i];

	used_ns[i] = 0;
	return (took_ns);
}

int
__wrap_channel_send(struct channel *ch, enum ipc_type type, uint32_t flow,
    uint32_t generation, const void *payload, size_t len)
{
	const struct ipc_ping *ping = payload;

	(void)ch;
	assert_int_equal(type, IPC_PING);
	assert_int_equal(flow, 0);
	assert_int_equal(generation, 0);
	assert_int_equal(len, sizeof(*ping));
	/* each of both the same, and the next */
	assert_int_equal(ping->number, 1 + nquestions / 2);
	if (is_refused)
		return (-1);
	nquestions++;
	return (0);
}

void
__wrap_channel_event_kick(struct channel_event *ce)
{
	(void)ce;
	nkicks++;
}

void
__wrap_peer_refused(struct peer *peer, const char *what)
{
	(void)what;
	refused = peer;
	watchdog_rest(&parent);
}

/* As respawn_lost() does. */
void
__wrap_peer_lost(struct peer *peer, const char *cause)
{
	lost = peer;
	strlcpy(lost_cause, cause, sizeof(lost_cause));
	watchdog_rest(&parent);
}

static int
setup(void **state)
{
	int ends[2], i;

	(void)state;
	memset(&parent, 0, sizeof(parent));
	parent.base = event_base_new();
	parent.state = PARENT_RUN;
	for (i = 0; i < 2; i++) {
		both[i]->parent = &parent;
		both[i]->ready = 1;
		both[i]->channel.phase = IPC_RUN;
		both[i]->child.pidfd = -1;
		/* any will do */
		both[i]->ev_exit = event_new(parent.base, -1, 0, NULL, NULL);
		used_ns[i] = 0;
	}
	if (pipe(ends) == -1 || watchdog_init(&parent) == -1)
		return (-1);
	parent.frame.fd = ends[0];
	frame_end = ends[1];
	nquestions = nkicks = 0;
	is_refused = 0;
	refused = lost = NULL;
	return (0);
}

static int
teardown(void **state)
{
	int i;

	(void)state;
	watchdog_end(&parent);
	for (i = 0; i < 2; i++)
		event_free(both[i]->ev_exit);
	event_base_free(parent.base);
	if (parent.frame.fd != -1)
		close(parent.frame.fd);
	close(frame_end);
	return (0);
}

static void
turn(void)
{
	event_base_loop(parent.base, EVLOOP_NONBLOCK);
}

static int
timer_runs(void)
{
	return (event_pending(dog->ev_timer, EV_TIMEOUT, NULL) != 0);
}

/* The timer's time is over, and each child has used so much of it. */
static void
tick(uint64_t each_ns)
{
	assert_true(timer_runs());
	used_ns[0] += each_ns;
	used_ns[1] += each_ns;
	event_del(dog->ev_timer);
	event_active(dog->ev_timer, EV_TIMEOUT, 1);
	turn();
}

static void
ticks(unsigned int n, uint64_t each_ns)
{
	while (n-- > 0) {
		assert_null(lost);
		assert_int_equal(timer_ms, WATCHDOG_TICK_MS);
		tick(each_ns);
	}
}

/* A frame that netproc has read afterwards. */
static void
guest_speaks(void)
{
	char byte;

	assert_int_equal(write(frame_end, "x", 1), 1);
	turn();
	assert_int_equal(read(parent.frame.fd, &byte, 1), 1);
}

static enum ipc_error
pong(struct peer *peer, uint32_t number)
{
	const struct ipc_ping answer = { .number = number };

	return (watchdog_pong(peer, &answer));
}

static void
both_answer(void)
{
	assert_int_equal(pong(both[0], dog->number), IPC_OK);
	assert_int_equal(pong(both[1], dog->number), IPC_OK);
}

/* It was, with this cause, and nobody is waited for. */
static void
was_lost(const struct peer *peer, const char *cause)
{
	assert_ptr_equal(lost, peer);
	assert_string_equal(lost_cause, cause);
	assert_false(timer_runs());
}

static void
nobody_is_asked_before_the_guest_speaks(void **state)
{
	(void)state;
	watchdog_arm(&parent);
	turn();
	assert_int_equal(nquestions, 0);
	assert_false(timer_runs());
	guest_speaks();
	assert_int_equal(nquestions, 2);
	assert_int_equal(nkicks, 2);
	assert_true(timer_runs());
	assert_int_equal(timer_ms, WATCHDOG_TICK_MS);
}

static void
after_a_rest_both_are_asked_once_more_and_then_no_more(void **state)
{
	int i;

	(void)state;
	watchdog_arm(&parent);
	for (i = 1; i < 4; i++) {
		guest_speaks();
		assert_int_equal(nquestions, 4 * i - 2);
		assert_int_equal(pong(both[1], dog->number), IPC_OK);
		assert_int_equal(timer_ms, WATCHDOG_TICK_MS);
		assert_int_equal(pong(both[0], dog->number), IPC_OK);
		assert_int_equal(timer_ms, WATCHDOG_REST_MS);
		guest_speaks();
		watchdog_busy(&parent);
		watchdog_arm(&parent);
		assert_int_equal(nquestions, 4 * i - 2);
		tick(0);
		assert_int_equal(nquestions, 4 * i);
		both_answer();
		assert_false(timer_runs());
	}
}

static void
who_does_nothing_is_lost_after_2_s(void **state)
{
	int i;

	(void)state;
	for (i = 0; i < 2; i++) {
		both[0]->asked = both[1]->asked = 0;
		lost = NULL;
		watchdog_arm(&parent);
		guest_speaks();
		assert_int_equal(pong(both[!i], dog->number), IPC_OK);
		ticks(4, 0);
		was_lost(both[i], "hangs: no answer in 2 s");
	}
}

static void
who_spins_is_lost_after_2_s_and_who_gets_little_time_is_not(void **state)
{
	(void)state;
	watchdog_arm(&parent);
	guest_speaks();
	ticks(4, 25 * MS);
	was_lost(both[0], "hangs: no answer in 2 s");
	lost = NULL;
	both[0]->asked = both[1]->asked = 0;
	watchdog_arm(&parent);
	guest_speaks();
	ticks(40, 1);
	was_lost(both[0], "hangs: no answer in 20 s");
}

static void
who_did_something_meanwhile_has_2_s_more(void **state)
{
	(void)state;
	watchdog_arm(&parent);
	guest_speaks();
	ticks(3, 0);
	ticks(1, 1);
	ticks(4, 0);
	was_lost(both[0], "hangs: no answer in 4 s");
}

static void
each_question_is_counted_anew(void **state)
{
	(void)state;
	watchdog_arm(&parent);
	guest_speaks();
	ticks(3, 0);
	both_answer();
	tick(0);
	ticks(3, 30 * MS);
	both_answer();
	guest_speaks();
	ticks(4, 10 * MS); /* which is little */
	both_answer();
	tick(900 * MS); /* before it is asked */
	ticks(4, 0);
	was_lost(both[0], "hangs: no answer in 2 s");
}

static void
an_answer_to_no_question_breaks_the_protocol(void **state)
{
	(void)state;
	assert_int_equal(pong(both[0], 0), IPC_E_STATE);
	watchdog_arm(&parent);
	guest_speaks();
	assert_int_equal(pong(both[0], dog->number + 1), IPC_E_STATE);
	assert_int_equal(pong(both[0], dog->number - 1), IPC_E_STATE);
	assert_int_equal(pong(both[0], dog->number), IPC_OK);
	assert_int_equal(pong(both[0], dog->number), IPC_E_STATE);
	assert_int_equal(timer_ms, WATCHDOG_TICK_MS);
}

static void
a_vmm_that_comes_back_leaves_a_question_that_may_be_answered(void **state)
{
	(void)state;
	watchdog_arm(&parent);
	watchdog_rest(&parent);
	assert_false(event_pending(dog->ev_frame, EV_READ, NULL));
	watchdog_arm(&parent);
	guest_speaks();
	watchdog_rest(&parent);
	assert_false(timer_runs());
	guest_speaks();
	assert_int_equal(nquestions, 2);
	assert_int_equal(pong(both[1], dog->number), IPC_OK);
	watchdog_arm(&parent);
	guest_speaks();
	assert_int_equal(nquestions, 4);
	assert_int_equal(pong(both[0], dog->number), IPC_E_STATE);
	assert_int_equal(pong(both[0], dog->number - 1), IPC_OK);
	assert_int_equal(pong(both[1], dog->number), IPC_OK);
	assert_int_equal(timer_ms, WATCHDOG_TICK_MS);
	assert_int_equal(pong(both[0], dog->number), IPC_OK);
	assert_int_equal(timer_ms, WATCHDOG_REST_MS);
}

static void
nothing_is_watched_without_a_guest_or_at_the_end(void **state)
{
	const int fd = parent.frame.fd;

	(void)state;
	parent.frame.fd = -1;
	watchdog_arm(&parent);
	assert_int_equal(dog->state, WATCHDOG_OFF);
	parent.frame.fd = fd;
	parent.state = PARENT_STOPPING;
	watchdog_arm(&parent);
	assert_int_equal(dog->state, WATCHDOG_OFF);
	guest_speaks();
	assert_int_equal(nquestions, 0);
}

static void
a_busy_child_is_asked_with_a_guest_or_without(void **state)
{
	(void)state;
	watchdog_busy(&parent);
	assert_int_equal(nquestions, 2);
	watchdog_busy(&parent);
	assert_int_equal(nquestions, 2);
	both_answer();
	assert_int_equal(timer_ms, WATCHDOG_REST_MS);
	tick(0);
	both_answer();
	assert_int_equal(nquestions, 4);
	/* The guest that came meanwhile is watched. */
	assert_int_equal(dog->state, WATCHDOG_ARMED);
	watchdog_busy(&parent);
	assert_int_equal(nquestions, 6);
	assert_false(event_pending(dog->ev_frame, EV_READ, NULL));
	guest_speaks();
	assert_int_equal(nquestions, 6);
	both_answer();
	assert_int_equal(timer_ms, WATCHDOG_REST_MS);
}

static void
who_cannot_answer_yet_is_not_asked(void **state)
{
	struct event *ev_exit;
	int i;

	(void)state;
	for (i = 0; i < 2; i++) {
		ev_exit = both[i]->ev_exit;
		both[i]->ev_exit = NULL;
		watchdog_busy(&parent);
		both[i]->ev_exit = ev_exit;
		both[i]->ready = 0;
		watchdog_busy(&parent);
		both[i]->ready = 1;
		both[i]->channel.phase = IPC_DRAIN;
		watchdog_busy(&parent);
		both[i]->channel.phase = IPC_RUN;
	}
	parent.state = PARENT_SETUP;
	watchdog_busy(&parent);
	parent.state = PARENT_STOPPING;
	watchdog_busy(&parent);
	assert_int_equal(nquestions, 0);
	parent.state = PARENT_RUN;
	watchdog_busy(&parent);
	assert_int_equal(nquestions, 2);
}

static void
who_takes_no_question_is_told_of_and_the_other_not_asked(void **state)
{
	(void)state;
	watchdog_arm(&parent);
	is_refused = 1;
	guest_speaks();
	assert_ptr_equal(refused, both[0]);
	assert_int_equal(both[0]->asked, 0);
	assert_false(timer_runs());
	assert_int_equal(dog->state, WATCHDOG_OFF);
}

/* Until the kernel says so, which it will say once more. */
static void
signal_seen(pid_t pid, int signo, int how)
{
	siginfo_t info;

	assert_int_equal(kill(pid, signo), 0);
	assert_int_equal(waitid(P_PID, (id_t)pid, &info, how | WNOWAIT), 0);
}

static void
time_in_which_a_child_is_stopped_does_not_count(void **state)
{
	pid_t pid = fork();

	(void)state;
	assert_int_not_equal(pid, -1);
	if (pid == 0) {
		pause();
		_exit(1);
	}
	both[1]->child.pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	watchdog_arm(&parent);
	guest_speaks();
	assert_int_equal(pong(both[0], dog->number), IPC_OK);
	ticks(3, 0);
	signal_seen(pid, SIGSTOP, WSTOPPED);
	ticks(50, 0);
	signal_seen(pid, SIGCONT, WCONTINUED);
	ticks(1, 0);
	ticks(3, 0);
	/* Both since it was looked at last. */
	signal_seen(pid, SIGSTOP, WSTOPPED);
	signal_seen(pid, SIGCONT, WCONTINUED);
	ticks(1, 0);
	ticks(4, 0);
	was_lost(both[1], "hangs: no answer in 2 s");
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	close(both[1]->child.pidfd);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(nobody_is_asked_before_the_guest_speaks),
		TEST(after_a_rest_both_are_asked_once_more_and_then_no_more),
		TEST(who_does_nothing_is_lost_after_2_s),
		TEST(
		    who_spins_is_lost_after_2_s_and_who_gets_little_time_is_not),
		TEST(who_did_something_meanwhile_has_2_s_more),
		TEST(each_question_is_counted_anew),
		TEST(an_answer_to_no_question_breaks_the_protocol),
		TEST(
		    a_vmm_that_comes_back_leaves_a_question_that_may_be_answered),
		TEST(nothing_is_watched_without_a_guest_or_at_the_end),
		TEST(a_busy_child_is_asked_with_a_guest_or_without),
		TEST(who_cannot_answer_yet_is_not_asked),
		TEST(who_takes_no_question_is_told_of_and_the_other_not_asked),
		TEST(time_in_which_a_child_is_stopped_does_not_count),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
