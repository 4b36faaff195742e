#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "parent/resolv_conf.h"
#include "parent/spec.h"

#define DNS_PORT 53

/* What is asked where the host names no server. */
static const uint32_t fallback_server = 0x01010101; /* 1.1.1.1 */

static int
is_blank(char c)
{
	return (c == ' ' || c == '\t' || c == '\r' || c == '\0');
}

/*
 * Copies the next word of [*at, end) into word and moves *at behind it.
 * Length of the word, 0 at the end; a word that does not fit is cut, and
 * no name or address is that long.
 */
static size_t
next_word(const char **at, const char *end, char *word, size_t size)
{
	const char *start;
	size_t len;

	while (*at < end && is_blank(**at))
		(*at)++;
	start = *at;
	while (*at < end && !is_blank(**at))
		(*at)++;
	len = (size_t)(*at - start);
	if (len >= size)
		len = size - 1;
	memcpy(word, start, len);
	word[len] = '\0';
	return (len);
}

/* The one port of resolv.conf is 53, so the word is an address alone. */
static void
add_server(struct resolv_conf *conf, const char *word)
{
	struct ipc_resolver server = { .port = DNS_PORT };

	if (conf->nservers == RESOLV_CONF_SERVERS)
		return;
	if (addr_parse(word, &server.addr) == -1 ||
	    spec_server_addr(&server.addr) != NULL)
		return;
	conf->servers[conf->nservers++] = server;
}

static void
parse_search(struct resolv_conf *conf, const char *at, const char *end,
    uint32_t max)
{
	char word[NET_SEARCH_MAX + 1];

	conf->nsearch = 0;
	memset(conf->search, 0, sizeof(conf->search));
	while (conf->nsearch < max &&
	    next_word(&at, end, word, sizeof(word)) > 0) {
		if (spec_domain(word, conf->search[conf->nsearch]) == NULL)
			conf->nsearch++;
	}
}

static void
parse_line(struct resolv_conf *conf, const char *at, const char *end)
{
	char word[NET_SEARCH_MAX + 1];

	if (at < end && (*at == '#' || *at == ';'))
		return;
	if (next_word(&at, end, word, sizeof(word)) == 0)
		return;
	if (strcmp(word, "nameserver") == 0) {
		if (next_word(&at, end, word, sizeof(word)) > 0)
			add_server(conf, word);
	} else if (strcmp(word, "search") == 0) {
		parse_search(conf, at, end, NET_SEARCH_LIST);
	} else if (strcmp(word, "domain") == 0) {
		parse_search(conf, at, end, 1);
	}
}

void
resolv_conf_parse(const char *bytes, size_t len, struct resolv_conf *conf)
{
	const char *at = bytes, *eol, *end = bytes + len;

	memset(conf, 0, sizeof(*conf));
	while (at < end) {
		eol = memchr(at, '\n', (size_t)(end - at));
		if (eol == NULL)
			eol = end;
		parse_line(conf, at, eol);
		at = eol < end ? eol + 1 : end;
	}
	conf->names_none = conf->nservers == 0;
	if (conf->names_none) {
		conf->servers[0].addr = addr_from_ip4(fallback_server);
		conf->servers[0].port = DNS_PORT;
		conf->nservers = 1;
	}
}

int
resolv_conf_load(const char *path, struct resolv_conf *conf)
{
	static char bytes[RESOLV_CONF_BYTES];
	size_t len = 0;
	ssize_t n = 0;
	int fd, error;

	/* These flags, and no others, pass the parent's filter. */
	fd = openat(AT_FDCWD, path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (fd == -1)
		return (-1);
	while (len < sizeof(bytes)) {
		n = read(fd, bytes + len, sizeof(bytes) - len);
		if (n <= 0)
			break;
		len += (size_t)n;
	}
	error = errno;
	close(fd);
	errno = error;
	if (n == -1)
		return (-1);
	resolv_conf_parse(bytes, len, conf);
	return (0);
}

void
resolv_conf_read(const char *path, struct resolv_conf *conf)
{
	if (resolv_conf_load(path, conf) == 0)
		return;
	if (errno != ENOENT)
		log_warn("%s: %s; name servers with --dns", path,
		    strerror(errno));
	resolv_conf_parse("", 0, conf);
}
