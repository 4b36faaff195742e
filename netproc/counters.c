#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "ipc/log.h"
#include "netproc/counters.h"

static const char *const names[] = {
#define X(name, text) [COUNT_##name] = (text),
	COUNTERS(X)
#undef X
};
_Static_assert(sizeof(names) / sizeof(names[0]) == COUNT_N,
    "every counter has its name");

/* Adds " name=value" to the line; a full line is written first. */
static void
add(char *line, size_t size, const char *prefix, const char *name,
    uint64_t value)
{
	char item[80];

	if (value == 0)
		return;
	snprintf(item, sizeof(item), " %s%s=%" PRIu64, prefix, name, value);
	if (strlen(line) + strlen(item) >= size) {
		log_info("counters:%s", line);
		line[0] = '\0';
	}
	strlcat(line, item, size);
}

void
counters_log(const struct counters *counters,
    const uint64_t fragments[FRAGMENT_NEVENTS])
{
	char line[LOG_LINE_MAX - 80] = "";
	unsigned int i;

	for (i = 0; i < COUNT_N; i++)
		add(line, sizeof(line), "", names[i], counters->n[i]);
	for (i = SHIELD_SHORT_FRAME; i < SHIELD_NVERDICTS; i++)
		add(line, sizeof(line), "drop-",
		    shield_name((enum shield_verdict)i), counters->shield[i]);
	for (i = FRAGMENT_KEPT + 1; i < FRAGMENT_NEVENTS; i++)
		add(line, sizeof(line), "fragments-",
		    fragment_event_name((enum fragment_event)i), fragments[i]);
	for (i = DHCP_E_OK + 1; i < DHCP_NERRORS; i++)
		add(line, sizeof(line), "dhcp-",
		    dhcp_error_name((enum dhcp_error)i), counters->dhcp[i]);
	for (i = DHCP6_E_OK + 1; i < DHCP6_NERRORS; i++)
		add(line, sizeof(line), "dhcp6-",
		    dhcp6_error_name((enum dhcp6_error)i), counters->dhcp6[i]);
	if (line[0] != '\0')
		log_info("counters:%s", line);
}
