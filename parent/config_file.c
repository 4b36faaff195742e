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
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "parent/options.h"

static struct reading {
	struct config *config;
	struct config_error *error;
	const char *path;
} reading;

static int
on_value(cfg_t *cfg, cfg_opt_t *opt, const char *value, void *result)
{
	struct config *config = reading.config;
	enum option_id id = option_find(opt->name);
	const struct option_def *def = option_def(id);
	const char *why;

	*(const char **)result = value;
	if (config->origin[id].where == ORIGIN_ARG &&
	    (def->flags & OPTION_REPEAT) == 0)
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

int
config_file_read(struct config *config, const char *path,
    struct config_error *error)
{
	cfg_opt_t opts[OPT_N + 1];
	cfg_t *cfg;
	FILE *file;
	int result;

	reading.config = config;
	reading.error = error;
	reading.path = path;
	error->status = 0;
	file = fopen(path, "re");
	if (file == NULL)
		return (config_error(error, EX_CONFIG,
		    "-f %s: %s; name a file that can be read", path,
		    strerror(errno)));
	confuse_table(opts);
	cfg = cfg_init(opts, CFGF_NONE);
	if (cfg == NULL) {
		fclose(file);
		return (config_error(error, EX_OSERR, "-f %s: %s", path,
		    strerror(errno)));
	}
	cfg_set_error_function(cfg, on_error);
	result = cfg_parse_fp(cfg, file);
	cfg_free(cfg);
	fclose(file);
	if (result == CFG_SUCCESS)
		return (0);
	if (error->status == 0)
		config_error(error, EX_CONFIG, "%s: cannot be parsed", path);
	return (-1);
}
