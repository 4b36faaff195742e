#ifndef TESTS_UNIT_OPTIONS_RIG_H
#define TESTS_UNIT_OPTIONS_RIG_H

/* Takes command lines as main() does. */

#include <string.h>

#include "parent/options.h"

static struct config config;
static struct config_error error;

#define WORDS_MAX 12

/* argv of the last take(): config.command borrows from it. */
static char words_copy[WORDS_MAX][128];
static char *words_argv[WORDS_MAX + 1];

/* As main() does: parse a command line, then check it as a whole. */
static inline int
take(const char *const *words)
{
	int argc = 0;

	strlcpy(words_copy[argc++], "sallyport", sizeof(words_copy[0]));
	for (; *words != NULL && argc < WORDS_MAX; words++)
		strlcpy(words_copy[argc++], *words, sizeof(words_copy[0]));
	words_argv[argc] = NULL;
	while (argc-- > 0)
		words_argv[argc] = words_copy[argc];
	for (argc = 0; words_argv[argc] != NULL;)
		argc++;
	config_init(&config);
	memset(&error, 0, sizeof(error));
	if (options_parse(&config, argc, words_argv, &error) == -1)
		return (-1);
	return (config_check(&config, &error));
}
#define TAKE(...) take((const char *const[]){ __VA_ARGS__, NULL })

#endif
