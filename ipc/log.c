/*
 * File-scope state: the process's name, level and sink, and what stderr did
 * not take.  One of each exists in a process, and fatal() must reach them from
 * anywhere.
 */

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#define LIBBSD_OPENBSD_VIS /* strvis(3) alone is used: the same in both */
#include <vis.h>

#include "ipc/fd_wait.h"
#include "ipc/log.h"

static const char *log_name = "sallyport";
static enum log_level log_level = LOG_LEVEL_INFO;
static log_sink *sink_fn;
static void *sink_arg;
static uint64_t lines_lost; /* since the last that stderr took */
static int line_cut;	    /* the last has no end: a disk is full, say */

static const char *const level_names[] = {
	[LOG_LEVEL_ERROR] = "error",
	[LOG_LEVEL_WARN] = "warn",
	[LOG_LEVEL_INFO] = "info",
	[LOG_LEVEL_DEBUG] = "debug",
};
_Static_assert(sizeof(level_names) / sizeof(level_names[0]) == LOG_LEVEL_N,
    "every level has its name");

void
log_init(const char *name, enum log_level max_level)
{
	log_name = name;
	log_level = max_level;
}

void
log_set_sink(log_sink *sink, void *arg)
{
	sink_fn = sink;
	sink_arg = arg;
}

int
log_level_parse(const char *text, enum log_level *level)
{
	unsigned int i;

	for (i = 0; i < LOG_LEVEL_N; i++) {
		if (strcmp(text, level_names[i]) == 0) {
			*level = (enum log_level)i;
			return (0);
		}
	}
	errno = EINVAL;
	return (-1);
}

/*
 * gmtime_r(3) reads /etc/localtime on its first call, which the parent's jail
 * refuses; civil time from days is 10 lines (H. Hinnant, chrono-compatible
 * low-level date algorithms, civil_from_days).
 */
static void
format_utc(time_t now, char *buf, size_t size)
{
	long long days = now / 86400, second = now % 86400;
	long long era, doe, yoe, doy, mp, year, month;

	days += 719468;
	era = days / 146097;
	doe = days - era * 146097;
	yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
	mp = (5 * doy + 2) / 153;
	month = mp < 10 ? mp + 3 : mp - 9;
	year = yoe + era * 400 + (month <= 2 ? 1 : 0);
	snprintf(buf, size, "%04lld-%02lld-%02lldT%02lld:%02lld:%02lldZ", year,
	    month, doy - (153 * mp + 2) / 5 + 1, second / 3600,
	    second / 60 % 60, second % 60);
}

/*
 * Nobody may read stderr, and who waits for that does nothing else: not even
 * SIGTERM.  What has room for anything takes a line (PIPE_BUF, pipe(7)).
 */
static int
stderr_has_room(void)
{
	return (fd_wait(STDERR_FILENO, POLLOUT, 0) != 0);
}

/* 0, or -1 if stderr did not take all of it. */
static int
line_write(enum log_level level, const char *name, const char *text)
{
	char stamp[64], line[4 * LOG_LINE_MAX + 160];
	char safe[4 * LOG_LINE_MAX + 1], cut[LOG_LINE_MAX];
	struct timespec ts;
	ssize_t done;
	size_t off, len;
	int n;

	clock_gettime(CLOCK_REALTIME, &ts);
	format_utc(ts.tv_sec, stamp, sizeof(stamp));
	strlcpy(cut, text, sizeof(cut));
	strvis(safe, cut, VIS_CSTYLE | VIS_NL | VIS_TAB | VIS_NOSLASH);
	n = snprintf(line, sizeof(line), "%s[%s]: %s: %s%s\n",
	    line_cut ? "\n" : "", stamp, name,
	    level == LOG_LEVEL_WARN ? "warning: " : "", safe);
	if (n < 0)
		return (-1);
	len = (size_t)n < sizeof(line) ? (size_t)n : sizeof(line) - 1;
	for (off = 0; off < len; off += (size_t)done) {
		done = write(STDERR_FILENO, line + off, len - off);
		if (done <= 0)
			break;
	}
	if (off > 0)
		line_cut = line[off - 1] != '\n';
	return (off == len ? 0 : -1);
}

void
log_line(enum log_level level, const char *name, const char *text)
{
	char notice[64];

	if (level > log_level)
		return;
	if (lines_lost > 0 && stderr_has_room()) {
		snprintf(notice, sizeof(notice),
		    "%" PRIu64 " lines lost: stderr had no room", lines_lost);
		if (line_write(LOG_LEVEL_WARN, log_name, notice) == 0)
			lines_lost = 0;
	}
	if (!stderr_has_room() || line_write(level, name, text) == -1)
		lines_lost++;
}

const char *
log_level_name(enum log_level level)
{
	return (level_names[level]);
}

static void log_args(enum log_level level, const char *suffix, const char *fmt,
    va_list ap) __attribute__((format(printf, 3, 0)));

static void
log_args(enum log_level level, const char *suffix, const char *fmt, va_list ap)
{
	char text[LOG_LINE_MAX];

	if (level > log_level)
		return;
	vsnprintf(text, sizeof(text), fmt, ap);
	if (suffix != NULL) {
		strlcat(text, ": ", sizeof(text));
		strlcat(text, suffix, sizeof(text));
	}
	if (sink_fn != NULL)
		sink_fn(level, text, sink_arg);
	else
		log_line(level, log_name, text);
}

#define LOG_BODY(level) \
	do { \
		va_list ap; \
		int saved = errno; \
\
		va_start(ap, fmt); \
		log_args((level), NULL, fmt, ap); \
		va_end(ap); \
		errno = saved; \
	} while (0)

void
log_error(const char *fmt, ...)
{
	LOG_BODY(LOG_LEVEL_ERROR);
}

void
log_warn(const char *fmt, ...)
{
	LOG_BODY(LOG_LEVEL_WARN);
}

void
log_info(const char *fmt, ...)
{
	LOG_BODY(LOG_LEVEL_INFO);
}

void
log_debug(const char *fmt, ...)
{
	LOG_BODY(LOG_LEVEL_DEBUG);
}

void
fatalx(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	log_args(LOG_LEVEL_ERROR, NULL, fmt, ap);
	va_end(ap);
	_exit(EX_SOFTWARE);
}

void
fatal(const char *fmt, ...)
{
	const char *why = strerror(errno);
	va_list ap;

	va_start(ap, fmt);
	log_args(LOG_LEVEL_ERROR, why, fmt, ap);
	va_end(ap);
	_exit(EX_SOFTWARE);
}

int
log_limit_ok(struct log_limit *limit, uint64_t now_ms, uint64_t *suppressed)
{
	if (limit->last_ms == 0 || now_ms - limit->last_ms >= 1000) {
		limit->tokens = limit->lines_per_s;
		limit->last_ms = now_ms != 0 ? now_ms : 1;
	}
	if (limit->tokens == 0) {
		limit->suppressed++;
		return (0);
	}
	limit->tokens--;
	*suppressed = limit->suppressed;
	limit->suppressed = 0;
	return (1);
}
