#ifndef IPC_CHILD_BASE_H
#define IPC_CHILD_BASE_H

struct event_base;

/*
 * A libevent loop for a jailed child: it holds FD_EPOLL and nothing else (the
 * signal pipe that libevent makes is closed: children take no signals), and
 * asks the environment nothing.  Call it while FD_EPOLL and the two numbers
 * above it are free.  Returns owned; ends the process if it cannot.
 */
struct event_base *child_base_new(void);

#endif
