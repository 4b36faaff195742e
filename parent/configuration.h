#ifndef PARENT_CONFIGURATION_H
#define PARENT_CONFIGURATION_H

#include <stdint.h>

#include "ipc/log.h"
#include "ipc/proto.h"
#include "parent/option_ids.h"

/*
 * What the operator asked for: options_parse() and config_file_read() fill
 * it, config_check() looks at it as a whole, and nothing changes it after.
 */

/* More entries than these are refused with a line that names the option. */
#define CONFIG_RULES_MAX	 256
#define CONFIG_RESOLVERS_MAX	 8
#define CONFIG_PUBLISH_MAX	 256
#define CONFIG_HOST_SERVICES_MAX 64
#define CONFIG_LISTENERS_MAX	 256 /* of all --publish ranges together */

#define CONFIG_SUN_PATH_MAX 107 /* unix(7), without the NUL */
#define CONFIG_PATH_MAX	    4095
#define CONFIG_USER_MAX	    32 /* useradd(8) */

#define CONFIG_MTU_MIN	  1280
#define CONFIG_MTU_MAX	  65520
#define CONFIG_MTU_VM_MAX 65520 /* QEMU takes it */

/* Not options yet. */
#define CONFIG_LEASE_S		   86400
#define CONFIG_DNS_IN_FLIGHT	   256
#define CONFIG_DNS_TIMEOUT_MS	   2000
#define CONFIG_CONNECT_TIMEOUT_MS  10000
#define CONFIG_PENDING_PER_DST_MAX 16
#define CONFIG_MAX_ICMP		   64 /* echo identifiers at once */

enum origin {
	ORIGIN_DEFAULT,
	ORIGIN_FILE,
	ORIGIN_ARG /* beats ORIGIN_FILE */
};

struct config_origin {
	enum origin where;
	unsigned int line; /* in the file */
};

struct config_publish {
	uint32_t proto;	      /* IPPROTO_TCP or IPPROTO_UDP */
	struct ipc_addr bind; /* family 0: 127.0.0.1, and ::1 if it exists */
	uint16_t host_port;   /* the first of the range */
	uint16_t guest_port;
	uint32_t count; /* ports in the range, 1..65535 */
};

struct config {
	struct config_origin origin[OPT_N];
	/* Of each entry, where a check of all of them may refuse one. */
	struct config_origin resolver_origin[CONFIG_RESOLVERS_MAX];
	struct config_origin publish_origin[CONFIG_PUBLISH_MAX];
	struct config_origin service_origin[CONFIG_HOST_SERVICES_MAX];
	const char *file; /* -f, borrowed from argv */
	int help, version, print_policy, check_only, verbose; /* 0 or 1 */

	/* One of these three says where frames come from. */
	char socket_path[CONFIG_SUN_PATH_MAX + 1]; /* "" unless --socket */
	int frame_fd;				   /* -1 unless --fd */
	char **command; /* NULL unless --, borrowed from argv */

	struct ipc_addr address;
	uint32_t prefix_len;
	struct ipc_addr gateway;
	struct ipc_addr address6;
	uint32_t prefix_len6;
	struct ipc_addr gateway6;
	int no_ipv6;
	uint8_t mac[6];
	int mac_auto;
	uint8_t gateway_mac[6];
	uint32_t mtu;

	uint32_t nresolvers;
	struct ipc_resolver resolvers[CONFIG_RESOLVERS_MAX];
	uint32_t nsearch;
	char search[NET_SEARCH_LIST][NET_SEARCH_MAX + 1];

	uint32_t npublish;
	struct config_publish publish[CONFIG_PUBLISH_MAX];
	int publish_preserve; /* the guest sees the client's address */
	uint32_t nrules;
	struct ipc_rule rules[CONFIG_RULES_MAX];
	int default_allow;
	uint32_t nhost_services;
	struct ipc_host_service host_services[CONFIG_HOST_SERVICES_MAX];

	int udp_filter_open; /* endpoint-independent (RFC 4787 5) */
	int splice;	     /* flows are spliced, not lent */
	uint32_t max_flows;
	uint32_t max_udp;
	uint32_t max_pending;
	uint32_t connect_rate_per_s;
	uint32_t max_restarts; /* of the children, within 60 s */

	int strict;
	char user[CONFIG_USER_MAX + 1]; /* "" unless --user */
	enum log_level log_level;
	int ready_fd; /* -1 unless --ready-fd */
	char control_path[CONFIG_SUN_PATH_MAX + 1];
	char evidence_path[CONFIG_PATH_MAX + 1];
	int evidence_fd; /* which a path of fd:N names, or -1 */
};

/* One line for the operator, and the status to exit with (sysexits). */
struct config_error {
	char text[LOG_LINE_MAX];
	int status;
};

/* Every default of the option table. */
void config_init(struct config *config);

/*
 * Sets error->text, without its middle where it is too long; returns -1, so
 * that a caller may return it.  status is one of sysexits(3), or COMMAND's.
 */
int config_error(struct config_error *error, int status, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/*
 * The checks that need more than one option: is the gateway in the guest's
 * network, is there a frame source, ...  Also picks the MTU for QEMU.
 * 0, or -1 with error filled.
 */
int config_check(struct config *config, struct config_error *error);

/* Inbound slots: as many as outbound, if a TCP port is published. */
uint32_t config_max_inbound(const struct config *config);

/* Associations: those of UDP and ICMP together; inbound as with flows. */
uint32_t config_max_assocs(const struct config *config);
uint32_t config_max_assocs_in(const struct config *config);

/*
 * Reads a libconfuse file of the same option names into config; what the
 * command line has set stays, lists grow.  0, or -1 with error filled.
 */
int config_file_read(struct config *config, const char *path,
    struct config_error *error);

/*
 * Writes the canonical form, which config_file_read() takes back, to fd.
 * 0, or -1 with errno.
 */
int config_print(const struct config *config, int fd);

#endif
