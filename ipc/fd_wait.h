#ifndef IPC_FD_WAIT_H
#define IPC_FD_WAIT_H

/*
 * Waits for one of events (as poll(2) has them) on fd (borrowed), at most
 * timeout_ms.  1: something is there, an error or the end included; 0: the
 * time is over; -1 with errno.
 *
 * Behind the parent's filter, in place of poll(2): a process that was stopped
 * or frozen meanwhile goes on with poll by restart_syscall(2), with ppoll(2)
 * by the same call for the time that is left (signal(7)).
 */
int fd_wait(int fd, short events, int timeout_ms);

#endif
