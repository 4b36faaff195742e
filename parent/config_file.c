/*
 * The configuration file.  libconfuse knows the syntax; every value, quoted
 * or not, goes as text to the setter of the option table that the command
 * line uses, so both are checked alike.
 *
 * libconfuse's callbacks have no argument of their own: file-scope state is
 * the reading under way.
 */

#include <confuse.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "parent/options.h"

static struct reading {
	struct config *config;
	struct config_error *error;
	const char *path;
} reading;

/*
 * 1 if the command line has said it already.  The sources of frames exclude
 * each other, so any of them there stands for all.
 */
static int
is_beaten(const struct config *config, enum option_id id)
{
	const struct config_origin *origin = config->origin;

	if (id == OPT_SOCKET || id == OPT_FD)
		return (config->command != NULL ||
		    origin[OPT_SOCKET].where == ORIGIN_ARG ||
		    origin[OPT_FD].where == ORIGIN_ARG);
	return (origin[id].where == ORIGIN_ARG &&
	    (option_def(id)->flags & OPTION_REPEAT) == 0);
}

static int
on_value(cfg_t *cfg, cfg_opt_t *opt, const char *value, void *result)
{
	struct config *config = reading.config;
	enum option_id id = option_find(opt->name);
	const struct option_def *def = option_def(id);
	const char *why;

	*(const char **)result = value;
	if (is_beaten(config, id))
		return (0);
	why = def->set(config, value);
	/* "" is what a setter sees of an option that has no argument. */
	if (def->arg == NULL && value[0] == '\0')
		why = "must be yes or no";
	if (why != NULL)
		return (config_error(reading.error, EX_CONFIG,
		    "%s:%d: %s = \"%s\": %s", reading.path, cfg->line,
		    opt->name, value, why));
	option_said(config, id, ORIGIN_FILE, (unsigned int)cfg->line);
	return (0);
}

/* What libconfuse itself has to say; our own line comes first and stays. */
static void __attribute__((format(printf, 2, 0)))
on_error(cfg_t *cfg, const char *fmt, va_list ap)
{
	char text[256];

	if (reading.error->status != 0)
		return;
	vsnprintf(text, sizeof(text), fmt, ap);
	config_error(reading.error, EX_CONFIG,
	    "%s:%d: %s; a line is: name = \"value\"", reading.path, cfg->line,
	    text);
}

/* More is no configuration: each of its values is bounded by the options. */
#define FILE_MAX (1024 * 1024)

/* In a value without quotes a slash is a slash: /run//vm1 is a path. */
static int
is_in_word(const char *text, size_t i)
{
	return (i > 0 && strchr(" \t\n\r={}()+,\"'#*", text[i - 1]) == NULL);
}

/*
 * What begins at text[i]: '#' or '/' for a comment to the line's end, '*' for
 * one that has an end of its own, a quote, or 0.
 */
static char
begins(const char *text, size_t i, size_t len)
{
	const char next = i + 1 < len ? text[i + 1] : '\0';

	if (text[i] == '#' || text[i] == '"' || text[i] == '\'')
		return (text[i]);
	if (text[i] != '/' || is_in_word(text, i))
		return (0);
	return (next == '/' || next == '*' ? next : 0);
}

/*
 * Where what began at i ends: the place behind it.  What has no end goes to
 * the text's, but for a comment that needs one: 0.
 */
static size_t
end_of(const char *text, size_t i, size_t len, char what)
{
	const char *found;

	if (what == '"' || what == '\'') {
		for (i++; i < len && text[i] != what; i++)
			i += text[i] == '\\';
		return (i < len ? i + 1 : len);
	}
	if (what == '*') {
		found = memmem(text + i + 2, len - i - 2, "*/", 2);
		return (found != NULL ? (size_t)(found - text) + 2 : 0);
	}
	found = memchr(text + i, '\n', len - i);
	return (found != NULL ? (size_t)(found - text) : len);
}

/*
 * Debian's libconfuse counts a comment's line twice: what it reads has none.
 * Line ends stay, and all of what stands in quotes.  0, or the line where a
 * comment begins that has no end.
 */
static unsigned int
blank_comments(char *text, size_t len)
{
	unsigned int line = 1;
	size_t i = 0, end;
	char what;

	while (i < len) {
		what = begins(text, i, len);
		end = what != 0 ? end_of(text, i, len, what) : i + 1;
		if (end == 0)
			return (line);
		for (; i < end; i++) {
			if (text[i] == '\n')
				line++;
			else if (what == '#' || what == '/' || what == '*')
				text[i] = ' ';
		}
	}
	return (0);
}

/* All of the file, which may be a FIFO.  Its length, or -1 with errno. */
static ssize_t
file_load(const char *path, char *text, size_t size)
{
	size_t len = 0;
	ssize_t n;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd == -1)
		return (-1);
	while ((n = read(fd, text + len, size - len)) > 0 ||
	    (n == -1 && errno == EINTR))
		len += n > 0 ? (size_t)n : 0;
	if (n == 0 && len == size) {
		errno = EFBIG;
		n = -1;
	}
	close(fd);
	return (n == -1 ? -1 : (ssize_t)len);
}

/* Fills opts, which has room for every option and the end. */
static void
confuse_table(cfg_opt_t *opts)
{
	const cfg_opt_t end = CFG_END();
	const struct option_def *def;
	unsigned int id, n = 0;

	for (id = 0; id < OPT_N; id++) {
		def = option_def((enum option_id)id);
		if ((def->flags & OPTION_IN_FILE) == 0)
			continue;
		if ((def->flags & OPTION_REPEAT) != 0) {
			const cfg_opt_t list = CFG_STR_LIST_CB(def->name, NULL,
			    CFGF_NODEFAULT, on_value);
			opts[n++] = list;
		} else {
			const cfg_opt_t one = CFG_STR_CB(def->name, NULL,
			    CFGF_NODEFAULT, on_value);
			opts[n++] = one;
		}
	}
	opts[n] = end;
}

/* The line of the first NUL, at which libconfuse cuts a value; 0: none. */
static unsigned int
line_of_nul(const char *text, size_t len)
{
	const char *nul = memchr(text, '\0', len);
	unsigned int line = 1;

	if (nul == NULL)
		return (0);
	for (; text < nul; text++)
		line += *text == '\n';
	return (line);
}

/* What libconfuse makes of the text.  0, or -1 with the error said. */
static int
parse(char *text, size_t len)
{
	cfg_opt_t opts[OPT_N + 1];
	unsigned int line;
	FILE *file;
	cfg_t *cfg;
	int result;

	/* "10.0.0.0/8" and a NUL for its last bytes would be a wider rule. */
	line = line_of_nul(text, len);
	if (line != 0)
		return (config_error(reading.error, EX_CONFIG,
		    "%s:%u: a NUL byte; write the line as plain text (ASCII "
		    "or UTF-8)",
		    reading.path, line));
	/* All that follows would go unsaid, a --deny too. */
	line = blank_comments(text, len);
	if (line != 0)
		return (config_error(reading.error, EX_CONFIG,
		    "%s:%u: a comment begins that has no end; close it with "
		    "*/",
		    reading.path, line));
	confuse_table(opts);
	file = fmemopen(text, len, "r");
	cfg = file != NULL ? cfg_init(opts, CFGF_NONE) : NULL;
	if (cfg == NULL) {
		if (file != NULL)
			fclose(file);
		return (config_error(reading.error, EX_OSERR, "-f %s: %s",
		    reading.path, strerror(errno)));
	}
	cfg_set_error_function(cfg, on_error);
	result = cfg_parse_fp(cfg, file);
	cfg_free(cfg);
	fclose(file);
	if (result == CFG_SUCCESS)
		return (0);
	if (reading.error->status == 0)
		config_error(reading.error, EX_CONFIG, "%s: cannot be parsed",
		    reading.path);
	return (-1);
}

int
config_file_read(struct config *config, const char *path,
    struct config_error *error)
{
	char *text = malloc(FILE_MAX);
	ssize_t len;
	int result = 0;

	reading.config = config;
	reading.error = error;
	reading.path = path;
	error->status = 0;
	if (text == NULL)
		return (config_error(error, EX_OSERR, "-f %s: %s", path,
		    strerror(errno)));
	len = file_load(path, text, FILE_MAX);
	if (len == -1)
		result = config_error(error, EX_CONFIG,
		    "-f %s: %s; name a file that can be read", path,
		    strerror(errno));
	else if (len > 0)
		result = parse(text, (size_t)len);
	free(text);
	return (result);
}
