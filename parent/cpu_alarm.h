#ifndef PARENT_CPU_ALARM_H
#define PARENT_CPU_ALARM_H

#include <sys/types.h>

#include <stdint.h>
#include <time.h>

/*
 * Tells, by SIGALRM, of each second that a process has used of a processor
 * (timer_create(2) on its clock).  One that does nothing costs no wake-up.  The
 * signal is one of those in the signalfd.
 */

struct cpu_alarm {
	timer_t timer;
	int is_set;
};

/* 0, or -1 with errno of timer_create(2); pid is a child's, alive. */
int cpu_alarm_start(struct cpu_alarm *alarm, pid_t pid);

/*
 * How much of a processor it has used since it was asked last or started, less
 * than a second; the next second begins here.
 */
uint64_t cpu_alarm_took_ns(struct cpu_alarm *alarm);

/* Nothing if there is none. */
void cpu_alarm_end(struct cpu_alarm *alarm);

#endif
