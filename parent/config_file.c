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
	if (why != NULL)
		return (config_error(reading.error, EX_CONFIG,
		    "%s:%d: %s = \"%s\": %s", reading.path, cfg->line,
		    opt->name, value, why));
	if (config->origin[id].where != ORIGIN_ARG) {
		config->origin[id].where = ORIGIN_FILE;
		config->origin[id].line = (unsigned int)cfg->line;
	}
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
 * Debian's libconfuse counts a comment's line twice: what it reads has none.
 * Line ends stay, and all of what stands in quotes.
 */
static void
blank_comments(char *text, size_t len)
{
	enum {
		CODE,
		QUOTED,
		LINE,
		BLOCK
	} in = CODE;
	char quote = 0, c, next;
	size_t i;

	for (i = 0; i < len; i++) {
		c = text[i];
		next = i + 1 < len ? text[i + 1] : '\0';
		if (in == QUOTED) {
			if (c == '\\')
				i++;
			else if (c == quote)
				in = CODE;
			continue;
		}
		if (in == CODE && (c == '"' || c == '\'')) {
			in = QUOTED;
			quote = c;
		} else if (in == CODE &&
		    (c == '#' ||
			(c == '/' && next == '/' && !is_in_word(text, i)))) {
			in = LINE;
		} else if (in == CODE && c == '/' && next == '*' &&
		    !is_in_word(text, i)) {
			in = BLOCK;
			text[i++] = ' ';
		} else if (in == BLOCK && c == '*' && next == '/') {
			in = CODE;
			text[i++] = ' ';
			text[i] = ' ';
			continue;
		} else if (in == LINE && c == '\n') {
			in = CODE;
		}
		if (in >= LINE && text[i] != '\n')
			text[i] = ' ';
	}
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

/* What libconfuse makes of the text.  0, or -1 with the error said. */
static int
parse(char *text, size_t len)
{
	cfg_opt_t opts[OPT_N + 1];
	FILE *file;
	cfg_t *cfg;
	int result;

	blank_comments(text, len);
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
