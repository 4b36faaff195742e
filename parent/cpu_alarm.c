#include <signal.h>

#include "parent/cpu_alarm.h"

/*
 * What clock_getcpuclockid(3) returns, without its clock_getres(2), which the
 * filter has no row for: MAKE_PROCESS_CPUCLOCK of the kernel's
 * include/linux/posix-timers_types.h, CPUCLOCK_SCHED.
 */
static clockid_t
clock_of(pid_t pid)
{
	return ((clockid_t)((~(unsigned int)pid << 3) | 2));
}

static const struct itimerspec each_second = {
	.it_interval = { .tv_sec = 1 },
	.it_value = { .tv_sec = 1 },
};

int
cpu_alarm_start(struct cpu_alarm *alarm, pid_t pid)
{
	struct sigevent event = {
		.sigev_notify = SIGEV_SIGNAL,
		.sigev_signo = SIGALRM,
	};

	if (timer_create(clock_of(pid), &event, &alarm->timer) == -1)
		return (-1);
	alarm->is_set = 1;
	return (timer_settime(alarm->timer, 0, &each_second, NULL));
}

uint64_t
cpu_alarm_took_ns(struct cpu_alarm *alarm)
{
	struct itimerspec left;

	if (!alarm->is_set ||
	    timer_settime(alarm->timer, 0, &each_second, &left) == -1 ||
	    left.it_value.tv_sec > 0)
		return (0);
	return (UINT64_C(1000000000) - (uint64_t)left.it_value.tv_nsec);
}

void
cpu_alarm_end(struct cpu_alarm *alarm)
{
	if (alarm->is_set)
		(void)timer_delete(alarm->timer);
	alarm->is_set = 0;
}
