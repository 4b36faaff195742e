/*
 * The values of options, and the options themselves.  Input: a byte that
 * chooses a parser, then text; for a whole command line its words, each ended
 * by a newline.  What is taken must come back the same when it is written out
 * and read again.
 */

#include <stdlib.h>
#include <string.h>

#include "parent/options.h"
#include "parent/spec.h"
#include "tests/fuzz/fuzz.h"

#define WORDS_MAX 32

enum parser {
	PARSE_NUMBER,
	PARSE_MAC,
	PARSE_SERVER,
	PARSE_RULE,
	PARSE_PUBLISH,
	PARSE_SERVICE,
	PARSE_DOMAIN,
	PARSE_COMMAND_LINE,
	PARSE_N
};

const char fuzz_name[] = "spec";

/* What is refused says why, in words. */
static int
is_taken(const char *why)
{
	FUZZ_CHECK(why == NULL || why[0] != '\0');
	return (why == NULL);
}

static void
parse_rule(const char *text)
{
	struct ipc_rule rule, again;
	char buf[SPEC_STRLEN];

	memset(&rule, 0, sizeof(rule));
	memset(&again, 0, sizeof(again));
	if (!is_taken(spec_rule(text, RULE_ALLOW, &rule)))
		return;
	FUZZ_CHECK(addr_is_valid(&rule.net) && rule.net.family != 0);
	FUZZ_CHECK(rule.prefix_len <= (rule.net.family == 4 ? 32u : 128u));
	FUZZ_CHECK(rule.port_low <= rule.port_high);
	spec_format_rule(&rule, buf, sizeof(buf));
	FUZZ_CHECK(is_taken(spec_rule(buf, RULE_ALLOW, &again)));
	FUZZ_CHECK(memcmp(&rule, &again, sizeof(rule)) == 0);
}

static void
parse_publish(const char *text)
{
	struct config_publish publish, again;
	char buf[SPEC_STRLEN];

	memset(&publish, 0, sizeof(publish));
	memset(&again, 0, sizeof(again));
	if (!is_taken(spec_publish(text, &publish)))
		return;
	FUZZ_CHECK(publish.count >= 1 && publish.host_port != 0 &&
	    publish.guest_port != 0);
	FUZZ_CHECK(publish.host_port + publish.count - 1 <= 65535);
	FUZZ_CHECK(publish.guest_port + publish.count - 1 <= 65535);
	spec_format_publish(&publish, buf, sizeof(buf));
	FUZZ_CHECK(is_taken(spec_publish(buf, &again)));
	FUZZ_CHECK(memcmp(&publish, &again, sizeof(publish)) == 0);
}

static void
parse_mac(const char *text)
{
	uint8_t mac[6], again[6];
	char buf[SPEC_STRLEN];

	if (!is_taken(spec_mac(text, mac)))
		return;
	FUZZ_CHECK((mac[0] & 1) == 0);
	spec_format_mac(mac, buf, sizeof(buf));
	FUZZ_CHECK(is_taken(spec_mac(buf, again)));
	FUZZ_CHECK(memcmp(mac, again, 6) == 0);
}

static void
parse_domain(const char *text)
{
	char name[NET_SEARCH_MAX + 1], again[NET_SEARCH_MAX + 1];

	if (!is_taken(spec_domain(text, name)))
		return;
	FUZZ_CHECK(strlen(name) >= 1 && strlen(name) <= NET_SEARCH_MAX);
	FUZZ_CHECK(is_taken(spec_domain(name, again)));
	FUZZ_CHECK(strcmp(name, again) == 0);
}

static void
parse_command_line(char *text)
{
	static struct config config;
	static char program[] = "sallyport";
	struct config_error error;
	char *words[WORDS_MAX + 2] = { program }, *word;
	int n = 1;

	while (n < WORDS_MAX && (word = strsep(&text, "\n")) != NULL)
		words[n++] = word;
	memset(&error, 0, sizeof(error));
	config_init(&config);
	if (options_parse(&config, n, words, &error) == -1 ||
	    config_check(&config, &error) == -1) {
		FUZZ_CHECK(error.status != 0 && error.text[0] != '\0');
		FUZZ_CHECK(memchr(error.text, '\0', sizeof(error.text)) !=
		    NULL);
		return;
	}
	FUZZ_CHECK(config.mtu >= 1280 && config.mtu <= 65520);
	FUZZ_CHECK(config.max_flows > 0);
}

static void
parse_other(enum parser which, const char *text)
{
	struct ipc_host_service service;
	struct ipc_resolver server;
	uint32_t value;

	switch (which) {
	case PARSE_NUMBER:
		if (spec_number(text, 7, 70000, &value) == 0)
			FUZZ_CHECK(value >= 7 && value <= 70000);
		break;
	case PARSE_SERVER:
		memset(&server, 0, sizeof(server));
		if (is_taken(spec_server(text, &server)))
			FUZZ_CHECK(addr_is_valid(&server.addr) &&
			    server.addr.family != 0 && server.port != 0);
		break;
	default:
		if (is_taken(spec_host_service(text, &service)))
			FUZZ_CHECK(service.gateway_port != 0 &&
			    service.host_port != 0);
		break;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	enum parser which;
	char *text;

	if (size == 0)
		return (0);
	which = (enum parser)(data[0] % PARSE_N);
	text = malloc(size);
	FUZZ_CHECK(text != NULL);
	memcpy(text, data + 1, size - 1);
	text[size - 1] = '\0';
	switch (which) {
	case PARSE_MAC:
		parse_mac(text);
		break;
	case PARSE_RULE:
		parse_rule(text);
		break;
	case PARSE_PUBLISH:
		parse_publish(text);
		break;
	case PARSE_DOMAIN:
		parse_domain(text);
		break;
	case PARSE_COMMAND_LINE:
		parse_command_line(text);
		break;
	default:
		parse_other(which, text);
		break;
	}
	free(text);
	return (0);
}
