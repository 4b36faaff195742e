/* resolv.conf(5), of any bytes: what comes of it can be used as it is. */

#include <string.h>

#include "parent/resolv_conf.h"
#include "parent/spec.h"
#include "tests/fuzz/fuzz.h"

const char fuzz_name[] = "resolv_conf";

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct resolv_conf conf;
	char name[NET_SEARCH_MAX + 1];
	uint32_t i;

	memset(&conf, 0xca, sizeof(conf));
	resolv_conf_parse((const char *)data, size, &conf);
	FUZZ_CHECK(conf.nservers >= 1 && conf.nservers <= RESOLV_CONF_SERVERS);
	FUZZ_CHECK(conf.nsearch <= NET_SEARCH_LIST);
	for (i = 0; i < conf.nservers; i++) {
		FUZZ_CHECK(addr_is_valid(&conf.servers[i].addr));
		FUZZ_CHECK(conf.servers[i].addr.family != 0);
		FUZZ_CHECK(conf.servers[i].port == 53);
	}
	for (i = 0; i < conf.nsearch; i++) {
		FUZZ_CHECK(memchr(conf.search[i], '\0',
			       sizeof(conf.search[i])) != NULL);
		FUZZ_CHECK(spec_domain(conf.search[i], name) == NULL);
	}
	return (0);
}
