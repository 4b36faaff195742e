/* Prints the filters of the machine that it is compiled for, as --print-policy
 * does, and what their calls' numbers are. */

#include <stdio.h>

#include "sandbox/rules.h"

const char *
role_name(enum role role)
{
	static const char *const names[] = { "parent", "netproc", "relayproc" };

	return (names[role]);
}

const struct filter *
filter_of(enum role role)
{
	static const struct filter *const filters[] = { &filter_parent,
		&filter_netproc, &filter_relayproc };

	return (filters[role]);
}

int
main(void)
{
	unsigned int role;

	for (role = 0; role < ROLE_NROLES; role++) {
		if (filter_dump((enum role)role, 1, stdout) == -1)
			return (1);
	}
	return (0);
}
