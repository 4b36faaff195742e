#ifndef IPC_LOG_H
#define IPC_LOG_H

#include <stdint.h>

/*
 * Log lines.  The parent writes them to stderr, "[2026-01-02T03:04:05Z]: "
 * first; a child hands them to the parent over its channel (log_set_sink).
 * Every line passes strvis(3), so bytes that a guest chose cannot forge a
 * second line or drive a terminal.
 *
 * log_warn: an operator should look.  log_info: life cycle.  log_debug: flows.
 */

enum log_level {
	LOG_LEVEL_ERROR,
	LOG_LEVEL_WARN,
	LOG_LEVEL_INFO,
	LOG_LEVEL_DEBUG,
	LOG_LEVEL_N
};

#define LOG_LINE_MAX 448 /* longer text is cut; a wire size, see ipc_log */

typedef void log_sink(enum log_level level, const char *text, void *arg);

/* name is borrowed and stands before each line: "netproc: ...".  */
void log_init(const char *name, enum log_level max_level);

/* Lines go to sink instead of stderr; NULL restores stderr. */
void log_set_sink(log_sink *sink, void *arg);

/* Maps "error", "warn", "info", "debug".  0, or -1 with errno EINVAL. */
int log_level_parse(const char *text, enum log_level *level);

/* Returns borrowed: the text that log_level_parse() takes. */
const char *log_level_name(enum log_level level);

/* Writes a finished line, as the parent does with a child's. */
void log_line(enum log_level level, const char *name, const char *text);

void log_error(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_warn(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_info(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_debug(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/*
 * A rate limit for lines that a guest or a remote can trigger: a token
 * bucket, refilled once a second.  1 if the line may be written; when lines
 * were suppressed since the last one that was, *suppressed says how many.
 */
struct log_limit {
	uint32_t lines_per_s; /* the bucket's size and refill */
	uint32_t tokens;
	uint64_t last_ms;
	uint64_t suppressed;
};

int log_limit_ok(struct log_limit *limit, uint64_t now_ms,
    uint64_t *suppressed);

/*
 * Logs the line at LOG_LEVEL_ERROR and ends the process with status 70
 * (EX_SOFTWARE).  For the impossible only, never for what a peer can cause.
 */
_Noreturn void fatalx(const char *fmt, ...)
    __attribute__((format(printf, 1, 2)));

/* The same, with strerror(errno) behind it. */
_Noreturn void fatal(const char *fmt, ...)
    __attribute__((format(printf, 1, 2)));

#endif
