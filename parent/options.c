#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "parent/options.h"

/* Long options have no letter; getopt_long(3) returns this and the index. */
#define VAL_LONG 0x1000

/* "+:" and a letter with a colon for each option. */
#define OPTSTRING_MAX (2 + 2 * OPT_N + 1)

static const char synopsis[] =
    "usage: sallyport [options] --socket PATH\n"
    "       sallyport [options] --fd N\n"
    "       sallyport [options] -- COMMAND [ARG...]\n"
    "       sallyport -n [-v] [options]\n"
    "\n"
    "{fd} in an ARG becomes the number of COMMAND's frame descriptor.\n"
    "\n";

/* Columns of --help: where the text of an option starts. */
#define HELP_COLUMN 34

/*
 * What somebody wrote may be longer than a line.  Then the middle goes: the
 * place comes first, and the mend last.
 */
static void
fit_line(char *line, size_t size, const char *text)
{
	static const char gap[] = " ... ";
	const size_t len = strlen(text), tail = size / 2;

	if (strlcpy(line, text, size) < size)
		return;
	snprintf(line, size, "%.*s%s%s", (int)(size - tail - sizeof(gap)), text,
	    gap, text + len - tail);
}

int
config_error(struct config_error *error, int status, const char *fmt, ...)
{
	char *text;
	va_list ap;

	error->status = status;
	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) == -1) {
		strlcpy(error->text, strerror(ENOMEM), sizeof(error->text));
	} else {
		fit_line(error->text, sizeof(error->text), text);
		free(text);
	}
	va_end(ap);
	return (-1);
}

static int
set_from_argument(struct config *config, enum option_id id, const char *value,
    struct config_error *error)
{
	const struct option_def *def = option_def(id);
	const char *why;

	why = def->set(config, value != NULL ? value : "");
	if (why != NULL)
		return (config_error(error, EX_USAGE, "--%s %s: %s", def->name,
		    value != NULL ? value : "", why));
	option_said(config, id, ORIGIN_ARG, 0);
	return (0);
}

/* Builds what getopt_long(3) wants from the table. */
static void
tables_for_getopt(struct option longs[OPT_N + 1], char shorts[OPTSTRING_MAX])
{
	const struct option_def *def;
	size_t n = 0;
	int id;

	shorts[n++] = '+'; /* COMMAND's options are not ours */
	shorts[n++] = ':'; /* tell a missing argument from a bad option */
	memset(longs, 0, (OPT_N + 1) * sizeof(*longs));
	for (id = 0; id < OPT_N; id++) {
		def = option_def((enum option_id)id);
		longs[id].name = def->name;
		longs[id].has_arg = def->arg != NULL ? required_argument :
						       no_argument;
		longs[id].val = VAL_LONG + id;
		if (def->letter == 0)
			continue;
		shorts[n++] = (char)def->letter;
		if (def->arg != NULL)
			shorts[n++] = ':';
	}
	shorts[n] = '\0';
}

static int
id_of(int val)
{
	int id;

	if (val >= VAL_LONG && val < VAL_LONG + OPT_N)
		return (val - VAL_LONG);
	for (id = 0; id < OPT_N; id++) {
		if (option_def((enum option_id)id)->letter == val)
			return (id);
	}
	return (-1);
}

/*
 * "--max" and what it could be short for.  0 if that is nothing; getopt_long(3)
 * has taken what could be one option alone.
 */
static int
could_be(const char *name, char *buf, size_t size)
{
	const size_t len = strcspn(name, "=");
	unsigned int id;
	int n = 0;

	buf[0] = '\0';
	if (len <= 2 || strncmp(name, "--", 2) != 0)
		return (0);
	for (id = 0; id < OPT_N; id++) {
		const char *full = option_def((enum option_id)id)->name;

		if (strncmp(full, name + 2, len - 2) != 0)
			continue;
		strlcat(buf, n++ > 0 ? ", --" : "--", size);
		strlcat(buf, full, size);
	}
	return (n);
}

/* An option that getopt_long(3) refused: optopt is its letter or val. */
static int
refuse(char **argv, int why, struct config_error *error)
{
	const char *name = argv[optind - 1];
	int id = optopt != 0 ? id_of(optopt) : -1;
	char names[LOG_LINE_MAX / 2];

	if (why == ':' && id != -1)
		return (config_error(error, EX_USAGE,
		    "--%s: needs an argument, %s",
		    option_def((enum option_id)id)->name,
		    option_def((enum option_id)id)->arg));
	if (id != -1)
		return (config_error(error, EX_USAGE, "%s: takes no argument",
		    name));
	if (optopt != 0)
		return (config_error(error, EX_USAGE,
		    "-%c: no such option; see sallyport --help", optopt));
	if (could_be(name, names, sizeof(names)) > 0)
		return (config_error(error, EX_USAGE,
		    "%s: could be one of %s; say its whole name", name, names));
	return (config_error(error, EX_USAGE,
	    "%s: no such option; see sallyport --help", name));
}

/*
 * "--control $PATH -- COMMAND" with an empty PATH: getopt_long(3) takes the
 * "--" for the value, and what should have been an option would go unsaid.
 */
static int
value_missing(char **argv)
{
	return (optarg != NULL && optarg == argv[optind - 1] &&
	    strncmp(optarg, "--", 2) == 0);
}

int
options_parse(struct config *config, int argc, char **argv,
    struct config_error *error)
{
	struct option longs[OPT_N + 1];
	char shorts[OPTSTRING_MAX];
	int val, id;

	tables_for_getopt(longs, shorts);
	opterr = 0;
	optind = 0; /* glibc: start over, for more than one call a process */
	while ((val = getopt_long(argc, argv, shorts, longs, NULL)) != -1) {
		if (val == '?' || val == ':')
			return (refuse(argv, val, error));
		id = id_of(val);
		if (id == -1)
			fatalx("getopt_long: %d is not of our table", val);
		if (value_missing(argv))
			return (config_error(error, EX_USAGE,
			    "--%s: needs an argument, %s; one that begins "
			    "with -- goes after =, --%s=%s",
			    longs[id].name, option_def((enum option_id)id)->arg,
			    longs[id].name, optarg));
		if (set_from_argument(config, (enum option_id)id, optarg,
			error) == -1)
			return (-1);
	}
	if (optind >= argc) {
		if (argc > 1 && strcmp(argv[argc - 1], "--") == 0)
			return (config_error(error, EX_USAGE,
			    "--: a COMMAND must follow"));
		return (0);
	}
	if (strcmp(argv[optind - 1], "--") != 0)
		return (config_error(error, EX_USAGE,
		    "%s: not an option; a COMMAND goes after --",
		    argv[optind]));
	config->command = &argv[optind];
	return (0);
}

int
options_help(int fd)
{
	const struct option_def *def;
	char left[64];
	int id, n;

	if (dprintf(fd, "%s", synopsis) < 0)
		return (-1);
	for (id = 0; id < OPT_N; id++) {
		def = option_def((enum option_id)id);
		n = snprintf(left, sizeof(left), "  %c%c%s--%s%s%s",
		    def->letter != 0 ? '-' : ' ',
		    def->letter != 0 ? def->letter : ' ',
		    def->letter != 0 ? ", " : "  ", def->name,
		    def->arg != NULL ? " " : "",
		    def->arg != NULL ? def->arg : "");
		if (n >= HELP_COLUMN &&
		    dprintf(fd, "%s\n%*s", left, HELP_COLUMN, "") < 0)
			return (-1);
		if (n < HELP_COLUMN &&
		    dprintf(fd, "%-*s", HELP_COLUMN, left) < 0)
			return (-1);
		if (dprintf(fd, "%s\n", def->help) < 0)
			return (-1);
		if (def->def != NULL &&
		    dprintf(fd, "%*s(default: %s)\n", HELP_COLUMN, "",
			def->def) < 0)
			return (-1);
	}
	return (0);
}
