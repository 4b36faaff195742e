#ifndef PARENT_OPTIONS_H
#define PARENT_OPTIONS_H

#include "parent/configuration.h"

/*
 * The option table: the command line, the configuration file, --help and the
 * defaults all come from it.
 */

#define OPTION_IN_FILE	 1u /* may stand in a configuration file */
#define OPTION_REPEAT	 2u /* each mention adds one */
#define OPTION_DEF_SHOWN 4u /* def is prose for --help, not a value */

/*
 * Takes a value into config.  NULL, or what is wrong and the mend: a constant
 * string that reads well after "--mtu 100: ".  value is "" for an option
 * without argument.
 */
typedef const char *option_set(struct config *config, const char *value);

struct option_def {
	const char *name;
	int letter;	  /* of the short form, or 0 */
	const char *arg;  /* its name in --help; NULL: takes none */
	const char *def;  /* the default, or NULL */
	const char *help; /* one line */
	unsigned int flags;
	option_set *set;
};

/* Returns borrowed: the row of an option. */
const struct option_def *option_def(enum option_id id);

/* Returns the index of the option of that name, or OPT_N. */
enum option_id option_find(const char *name);

/* Notes where what the option's setter has just taken came from. */
void option_said(struct config *config, enum option_id id, enum origin where,
    unsigned int line);

/*
 * Takes a whole command line (argv[0] included) into config, which
 * config_init() has filled.  0, or -1 with error filled.
 */
int options_parse(struct config *config, int argc, char **argv,
    struct config_error *error);

/* Writes --help, 80 columns wide, to fd.  0, or -1 with errno. */
int options_help(int fd);

#endif
