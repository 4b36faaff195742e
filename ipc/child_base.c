#include <sys/epoll.h>

#include <errno.h>
#include <unistd.h>

#include <event2/event.h>

#include "ipc/child_base.h"
#include "ipc/log.h"
#include "ipc/roles.h"

/* The two ends of libevent's signal pipe. */
#define FD_PIPE_FIRST (FD_EPOLL + 1)
#define FD_PIPE_LAST  (FD_EPOLL + 2)

/* Its own way to say so, a write to stderr, is death behind a filter. */
static void
libevent_log(int severity, const char *text)
{
	(void)severity;
	log_warn("libevent: %s", text);
}

struct event_base *
child_base_new(void)
{
	struct event_config *config = event_config_new();
	struct event_base *base = NULL;

	event_set_log_callback(libevent_log);
	if (config != NULL) {
		event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);
		event_config_set_flag(config, EVENT_BASE_FLAG_IGNORE_ENV);
		event_config_require_features(config,
		    EV_FEATURE_ET | EV_FEATURE_EARLY_CLOSE);
		base = event_base_new_with_config(config);
		event_config_free(config);
	}
	if (base == NULL)
		fatalx("libevent has no event base with epoll");
	close(FD_PIPE_FIRST);
	close(FD_PIPE_LAST);
	/* ENOENT: an epoll descriptor that does not watch this one. */
	if (epoll_ctl(FD_EPOLL, EPOLL_CTL_DEL, FD_PARENT, NULL) != -1 ||
	    errno != ENOENT)
		fatalx("descriptor %d is not libevent's epoll", FD_EPOLL);
	return (base);
}
