#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "parent/options.h"

static struct config config;
static struct config_error error;
static char path[] = "/tmp/sallyport-test-XXXXXX";

static void
set_argument(enum option_id id, const char *value)
{
	assert_null(option_def(id)->set(&config, value));
	option_said(&config, id, ORIGIN_ARG, 0);
}

static void
forget_origins(struct config *one)
{
	memset(one->origin, 0, sizeof(one->origin));
	memset(one->resolver_origin, 0, sizeof(one->resolver_origin));
	memset(one->publish_origin, 0, sizeof(one->publish_origin));
	memset(one->service_origin, 0, sizeof(one->service_origin));
}

/* Writes text to a fresh file, its name in path. */
static void
write_file(const char *text)
{
	int fd;

	strlcpy(path + sizeof(path) - 7, "XXXXXX", 7);
	fd = mkstemp(path);
	assert_true(fd != -1);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

/* Reads text as a file over what config has already, and checks. */
static int
read_more(const char *text)
{
	int result;

	write_file(text);
	memset(&error, 0, sizeof(error));
	config.check_only = 1;
	config.file = path;
	result = config_file_read(&config, path, &error);
	if (result == 0)
		result = config_check(&config, &error);
	unlink(path);
	return (result);
}

static int
read_text(const char *text)
{
	config_init(&config);
	return (read_more(text));
}

/* The error line starts with the file and this line number. */
static void
assert_line(unsigned int line)
{
	char start[64];

	assert_int_equal(error.status, EX_CONFIG);
	snprintf(start, sizeof(start), "%s:%u: ", path, line);
	if (strncmp(error.text, start, strlen(start)) != 0)
		print_message("# %s\n", error.text);
	assert_int_equal(strncmp(error.text, start, strlen(start)), 0);
}

static void
a_file_sets_what_the_command_line_would(void **state)
{
	(void)state;
	assert_int_equal(read_text("# a comment\n"
				   "address = \"10.0.2.15/24\"\n"
				   "gateway = 10.0.2.2\n"
				   "mtu = 9000\n"
				   "allow = {\"10.1.0.0/16:443/tcp\",\n"
				   "    \"10.2.0.0/16\"}\n"
				   "deny = \"8.8.8.8\"\n"
				   "allow = \"8.8.0.0/16\"\n"
				   "log-level = debug\n"),
	    0);
	assert_int_equal(addr_to_ip4(&config.address), 0x0a00020f);
	assert_int_equal(config.mtu, 9000);
	assert_int_equal(config.nrules, 4);
	assert_int_equal(config.rules[0].port_low, 443);
	assert_int_equal(config.rules[2].action, RULE_DENY);
	assert_int_equal(config.rules[3].action, RULE_ALLOW);
	assert_int_equal(config.log_level, LOG_LEVEL_DEBUG);
}

static void
comments_of_every_kind_do_not_move_the_lines(void **state)
{
	(void)state;
	assert_int_equal(read_text("# one\n"
				   "// two\n"
				   "/* three\n"
				   "   mtu = 2 */ mtu = 1\n"),
	    -1);
	assert_line(4);
	assert_int_equal(read_text("socket = \"/run/#a//b/*c*/\" # \"\n"
				   "mtu = 9000 // mtu = 1\n"
				   "log-level = 'debug'"),
	    0);
	assert_string_equal(config.socket_path, "/run/#a//b/*c*/");
	assert_int_equal(config.mtu, 9000);
	assert_int_equal(read_text("socket = \"a\\\"#\"\nmtu = 1 # \\\n"), -1);
	assert_line(2);
	assert_int_equal(read_text("mtu = 9000\n/* no end\nmtu = 1\n"), -1);
	assert_line(2);
	assert_int_equal(read_text("mtu = 9000\n/*/"), -1);
	assert_line(2);
	assert_int_equal(read_text("mtu = 9000 /**/ # /*"), 0);
}

static void
two_slashes_within_a_bare_value_are_no_comment(void **state)
{
	(void)state;
	assert_int_equal(read_text("socket = /run//vm1\nmtu = 9000\n"), 0);
	assert_string_equal(config.socket_path, "/run//vm1");
	assert_int_equal(config.mtu, 9000);
	/* Nor one that takes the lines behind it along. */
	assert_int_equal(read_text("socket = /run/*vm1\n"
				   "deny = \"8.8.8.8\"\n"),
	    -1);
	assert_line(1);
	assert_int_equal(read_text("allow = {8.8.8.8,//one\n1.1.1.1}\n"), 0);
	assert_int_equal(config.nrules, 2);
}

static void
a_directory_is_no_file(void **state)
{
	(void)state;
	assert_int_equal(config_file_read(&config, "/", &error), -1);
	assert_int_equal(error.status, EX_CONFIG);
	assert_non_null(strstr(error.text, "-f /: Is a directory"));
}

static void
a_pipe_is_read_as_a_file_is(void **state)
{
	static const char text[] = "# a comment\nmtu = 1\n";
	char name[64];
	int fds[2];

	(void)state;
	assert_int_equal(pipe(fds), 0);
	assert_int_equal(write(fds[1], text, strlen(text)), strlen(text));
	close(fds[1]);
	snprintf(name, sizeof(name), "/dev/fd/%d", fds[0]);
	config_init(&config);
	assert_int_equal(config_file_read(&config, name, &error), -1);
	assert_int_equal(error.status, EX_CONFIG);
	assert_int_equal(strncmp(error.text, name, strlen(name)), 0);
	assert_int_equal(strncmp(error.text + strlen(name), ":2: ", 4), 0);
	close(fds[0]);
}

static void
a_nul_byte_which_would_cut_a_value_is_told_with_its_line(void **state)
{
	static const char text[] = "mtu = 1400\nallow = \"10.0.0.0/8\0:443\"\n";
	char name[64];
	int fds[2];

	(void)state;
	assert_int_equal(pipe(fds), 0);
	assert_int_equal(write(fds[1], text, sizeof(text) - 1),
	    sizeof(text) - 1);
	close(fds[1]);
	snprintf(name, sizeof(name), "/dev/fd/%d", fds[0]);
	config_init(&config);
	assert_int_equal(config_file_read(&config, name, &error), -1);
	assert_int_equal(error.status, EX_CONFIG);
	assert_non_null(strstr(error.text, ":2: a NUL byte"));
	assert_int_equal(config.nrules, 0);
	close(fds[0]);
}

static void
a_file_without_end_is_told_with_its_name(void **state)
{
	(void)state;
	config_init(&config);
	assert_int_equal(config_file_read(&config, "/dev/zero", &error), -1);
	assert_int_equal(error.status, EX_CONFIG);
	assert_non_null(strstr(error.text, "-f /dev/zero: File too large"));
}

static void
ipv6_is_left_out_by_yes_and_kept_by_no(void **state)
{
	(void)state;
	assert_int_equal(read_text("no-ipv6 = yes\n"), 0);
	assert_true(config.no_ipv6);
	assert_int_equal(read_text("no-ipv6 = no\n"), 0);
	assert_false(config.no_ipv6);
	assert_int_equal(read_text("\nno-ipv6 = 6\n"), -1);
	assert_line(2);
	assert_non_null(strstr(error.text, "yes or no"));
	/* A variable that is not set says neither. */
	assert_int_equal(read_text("no-ipv6 = \"${NO_SUCH_VARIABLE}\"\n"), -1);
	assert_line(1);
	assert_non_null(strstr(error.text, "yes or no"));
}

static void
an_empty_file_changes_nothing(void **state)
{
	(void)state;
	assert_int_equal(read_text(""), 0);
	assert_int_equal(config.mtu, 1500);
}

static void
a_wrong_value_is_told_with_file_line_and_mend(void **state)
{
	(void)state;
	assert_int_equal(read_text("mtu = 1500\n\nmtu = \"100\"\n"), -1);
	assert_line(3);
	assert_non_null(strstr(error.text, "mtu = \"100\""));
	assert_non_null(strstr(error.text, "1280 to 65520"));
}

static void
a_server_that_is_the_gateway_is_told_with_its_line(void **state)
{
	(void)state;
	assert_int_equal(read_text("gateway6 = \"fd53:4d00::9\"\n"
				   "dns = \"fd53:4d00::9\"\n"),
	    -1);
	assert_line(2);
	assert_non_null(strstr(error.text, ": dns fd53:4d00::9: "));
}

static void
a_wrong_entry_of_a_list_is_told_with_its_own_line(void **state)
{
	(void)state;
	assert_int_equal(read_text("allow = {\n \"10.0.0.0/8\",\n \"x\",\n"
				   " \"10.0.0.0/8\"\n}\n"),
	    -1);
	assert_line(3);
}

static void
an_entry_at_odds_with_another_is_told_with_its_own_line(void **state)
{
	static const char *const texts[] = {
		"publish = \"8080:80\"\npublish = \"8080:81\"\n\n"
		"publish = \"8082:80\"\n",
		"host-service = \"1:1\"\nhost-service = \"1:2\"\n\n"
		"host-service = \"2:2\"\n",
		"mtu = 1500\ndns = \"100.96.0.1\"\n\ndns = \"1.1.1.1\"\n",
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		assert_int_equal(read_text(texts[i]), -1);
		assert_line(2);
	}
}

static void
the_files_entry_that_the_command_line_has_too_is_told_as_the_files(void **state)
{
	(void)state;
	config_init(&config);
	set_argument(OPT_PUBLISH, "8080:80");
	assert_int_equal(read_more("mtu = 1500\npublish = \"8080:80\"\n"), -1);
	assert_line(2);
	assert_int_equal(config.origin[OPT_PUBLISH].where, ORIGIN_ARG);
}

static void
an_unknown_name_is_told_with_its_line(void **state)
{
	(void)state;
	assert_int_equal(read_text("mtu = 1500\naddress6 = \"fd00::2\"\n"), -1);
	assert_line(2);
	assert_non_null(strstr(error.text, "address6"));
}

static void
options_that_are_not_for_files_are_unknown_there(void **state)
{
	(void)state;
	assert_int_equal(read_text("file = \"x\"\n"), -1);
	assert_line(1);
	assert_int_equal(read_text("help = \"x\"\n"), -1);
	assert_line(1);
}

static void
a_syntax_error_is_told_with_its_line(void **state)
{
	(void)state;
	assert_int_equal(read_text("mtu 1500\n"), -1);
	assert_line(1);
	assert_int_equal(read_text("\nmtu = {1500\n"), -1);
	assert_int_equal(error.status, EX_CONFIG);
	assert_int_equal(read_text("mtu = \"1500\n"), -1);
	assert_int_equal(error.status, EX_CONFIG);
}

static void
options_at_odds_are_told_with_the_line_of_the_one_to_mend(void **state)
{
	(void)state;
	assert_int_equal(read_text("\ngateway = 10.0.2.2\n"), -1);
	assert_line(2);
	assert_non_null(strstr(error.text, "say --gateway 100.96.0.1"));
}

static void
an_address_beside_the_default_gateway_is_the_one_to_blame(void **state)
{
	(void)state;
	assert_int_equal(read_text("\naddress = \"10.0.0.2/24\"\n"), -1);
	assert_line(2);
	assert_non_null(strstr(error.text, ": address 10.0.0.2/24: "));
	assert_non_null(strstr(error.text, "say --gateway 10.0.0.1, too"));
	assert_int_equal(read_text("address6 = \"2001:db8::2/64\"\n"), -1);
	assert_line(1);
	assert_non_null(strstr(error.text, ": address6 2001:db8::2/64: "));
	assert_non_null(strstr(error.text, "say --gateway6 2001:db8::1, too"));
	/* Who gave the gateway is told of that. */
	config_init(&config);
	set_argument(OPT_GATEWAY, "10.0.1.1");
	assert_int_equal(read_more("address = \"10.0.0.2/24\"\n"), -1);
	assert_int_equal(error.status, EX_USAGE);
	assert_non_null(strstr(error.text, "--gateway 10.0.1.1: "));
}

static void
a_missing_file_is_told_with_its_name(void **state)
{
	(void)state;
	config_init(&config);
	assert_int_equal(config_file_read(&config, "/nonexistent/file", &error),
	    -1);
	assert_int_equal(error.status, EX_CONFIG);
	assert_non_null(strstr(error.text, "-f /nonexistent/file: "));
}

static void
the_command_line_wins_over_the_file(void **state)
{
	(void)state;
	config_init(&config);
	set_argument(OPT_MTU, "9000");
	set_argument(OPT_ALLOW, "10.1.0.0/16");
	assert_int_equal(read_more("mtu = 1400\ndeny = \"10.0.0.0/8\"\n"), 0);
	assert_int_equal(config.mtu, 9000);
	assert_int_equal(config.nrules, 2);
	assert_int_equal(config.rules[0].action, RULE_ALLOW);
	assert_int_equal(config.rules[1].action, RULE_DENY);
}

static void
a_frame_source_of_the_command_line_replaces_the_one_of_the_file(void **state)
{
	static char vmm[] = "vmm";
	static char *command[] = { vmm, NULL };

	(void)state;
	config_init(&config);
	set_argument(OPT_FD, "7");
	assert_int_equal(read_more("socket = s\nmtu = 9000\n"), 0);
	assert_string_equal(config.socket_path, "");
	assert_int_equal(config.frame_fd, 7);
	assert_int_equal(config.mtu, 9000);
	config_init(&config);
	set_argument(OPT_SOCKET, "t");
	assert_int_equal(read_more("fd = 7\nsocket = s\n"), 0);
	assert_string_equal(config.socket_path, "t");
	assert_int_equal(config.frame_fd, -1);
	config_init(&config);
	config.command = command;
	assert_int_equal(read_more("socket = s\nfd = 7\n"), 0);
	assert_string_equal(config.socket_path, "");
	assert_int_equal(config.frame_fd, -1);
}

static void
two_frame_sources_of_a_file_are_told_with_its_line(void **state)
{
	(void)state;
	assert_int_equal(read_text("socket = s\n\nfd = 7\n"), -1);
	assert_line(3);
	assert_non_null(strstr(error.text, ": fd 7: "));
}

/* Prints config into text. */
static void
print_text(char *text, size_t size)
{
	FILE *file = tmpfile();
	size_t n;

	assert_non_null(file);
	assert_int_equal(config_print(&config, fileno(file)), 0);
	rewind(file);
	n = fread(text, 1, size - 1, file);
	text[n] = '\0';
	fclose(file);
}

static void
the_canonical_form_read_back_is_the_same_configuration(void **state)
{
	static char first[16384], second[16384];
	static struct config before;

	(void)state;
	config_init(&config);
	set_argument(OPT_SOCKET, "dir with \"quotes\" \\ and ${HOME}/s");
	set_argument(OPT_ADDRESS, "10.0.2.15/24");
	set_argument(OPT_GATEWAY, "10.0.2.2");
	set_argument(OPT_ADDRESS6, "2001:db8::15/64");
	set_argument(OPT_GATEWAY6, "2001:db8::1");
	set_argument(OPT_NO_IPV6, "");
	set_argument(OPT_MAC, "02:00:00:00:00:07");
	set_argument(OPT_GATEWAY_MAC, "02:00:00:00:00:08");
	set_argument(OPT_MTU, "65520");
	set_argument(OPT_DNS, "127.0.0.53");
	set_argument(OPT_DNS, "[2001:db8::1]:5353");
	set_argument(OPT_SEARCH, "example.org");
	set_argument(OPT_PUBLISH, "8080-8089:80-89");
	set_argument(OPT_PUBLISH, "[::]:443:443");
	set_argument(OPT_PUBLISH, "5300-5309:53-62/udp");
	set_argument(OPT_PUBLISH_SOURCE, "preserve");
	set_argument(OPT_UDP_FILTERING, "endpoint-independent");
	set_argument(OPT_MAX_UDP, "2000");
	set_argument(OPT_DENY, "10.1.0.0/16");
	set_argument(OPT_ALLOW, "10.0.0.0/8:1-1024/tcp");
	set_argument(OPT_UNSAFE_ALLOW, "[fd00::/8]:80/udp");
	set_argument(OPT_DEFAULT_EGRESS, "deny");
	set_argument(OPT_HOST_SERVICE, "5432:15432");
	set_argument(OPT_RELAY, "splice");
	set_argument(OPT_MAX_FLOWS, "10000");
	set_argument(OPT_MAX_PENDING, "128");
	set_argument(OPT_CONNECT_RATE, "1000");
	set_argument(OPT_ISOLATION, "best-effort");
	set_argument(OPT_USER, "nobody");
	set_argument(OPT_LOG_LEVEL, "warn");
	set_argument(OPT_READY_FD, "9");
	set_argument(OPT_CONTROL, "control");
	set_argument(OPT_EVIDENCE, "fd:8");
	before = config;
	print_text(first, sizeof(first));
	assert_int_equal(read_text(first), 0);
	print_text(second, sizeof(second));
	assert_string_equal(first, second);
	forget_origins(&before);
	forget_origins(&config);
	before.file = config.file;
	before.check_only = config.check_only;
	assert_memory_equal(&before, &config, sizeof(config));
}

static void
the_canonical_form_has_the_longest_path_whole(void **state)
{
	static char text[16384], longest[CONFIG_PATH_MAX + 1];

	(void)state;
	memset(longest, '"', sizeof(longest) - 1);
	longest[sizeof(longest) - 2] = 'x';
	config_init(&config);
	set_argument(OPT_EVIDENCE, longest);
	print_text(text, sizeof(text));
	assert_int_equal(read_text(text), 0);
	assert_string_equal(config.evidence_path, longest);
}

static void
the_canonical_form_names_every_option_of_a_file(void **state)
{
	static char text[16384];
	char line[64];
	unsigned int id;

	(void)state;
	config_init(&config);
	set_argument(OPT_SOCKET, "s");
	set_argument(OPT_FD, "7");
	set_argument(OPT_DNS, "1.1.1.1");
	set_argument(OPT_SEARCH, "example.org");
	set_argument(OPT_PUBLISH, "80:80");
	set_argument(OPT_ALLOW, "10.0.0.0/8");
	set_argument(OPT_DENY, "10.0.0.0/8");
	set_argument(OPT_UNSAFE_ALLOW, "10.0.0.0/8");
	set_argument(OPT_HOST_SERVICE, "80:80");
	set_argument(OPT_USER, "nobody");
	set_argument(OPT_READY_FD, "9");
	set_argument(OPT_CONTROL, "c");
	set_argument(OPT_EVIDENCE, "e");
	print_text(text, sizeof(text));
	for (id = 0; id < OPT_N; id++) {
		if ((option_def((enum option_id)id)->flags & OPTION_IN_FILE) ==
		    0)
			continue;
		snprintf(line, sizeof(line),
		    "%s = ", option_def((enum option_id)id)->name);
		assert_non_null(strstr(text, line));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_file_sets_what_the_command_line_would),
		cmocka_unit_test(comments_of_every_kind_do_not_move_the_lines),
		cmocka_unit_test(
		    two_slashes_within_a_bare_value_are_no_comment),
		cmocka_unit_test(a_directory_is_no_file),
		cmocka_unit_test(a_pipe_is_read_as_a_file_is),
		cmocka_unit_test(
		    a_nul_byte_which_would_cut_a_value_is_told_with_its_line),
		cmocka_unit_test(a_file_without_end_is_told_with_its_name),
		cmocka_unit_test(ipv6_is_left_out_by_yes_and_kept_by_no),
		cmocka_unit_test(an_empty_file_changes_nothing),
		cmocka_unit_test(a_wrong_value_is_told_with_file_line_and_mend),
		cmocka_unit_test(
		    a_server_that_is_the_gateway_is_told_with_its_line),
		cmocka_unit_test(
		    a_wrong_entry_of_a_list_is_told_with_its_own_line),
		cmocka_unit_test(
		    an_entry_at_odds_with_another_is_told_with_its_own_line),
		cmocka_unit_test(
		    the_files_entry_that_the_command_line_has_too_is_told_as_the_files),
		cmocka_unit_test(an_unknown_name_is_told_with_its_line),
		cmocka_unit_test(
		    options_that_are_not_for_files_are_unknown_there),
		cmocka_unit_test(a_syntax_error_is_told_with_its_line),
		cmocka_unit_test(
		    options_at_odds_are_told_with_the_line_of_the_one_to_mend),
		cmocka_unit_test(
		    an_address_beside_the_default_gateway_is_the_one_to_blame),
		cmocka_unit_test(a_missing_file_is_told_with_its_name),
		cmocka_unit_test(the_command_line_wins_over_the_file),
		cmocka_unit_test(
		    a_frame_source_of_the_command_line_replaces_the_one_of_the_file),
		cmocka_unit_test(
		    two_frame_sources_of_a_file_are_told_with_its_line),
		cmocka_unit_test(
		    the_canonical_form_read_back_is_the_same_configuration),
		cmocka_unit_test(the_canonical_form_has_the_longest_path_whole),
		cmocka_unit_test(
		    the_canonical_form_names_every_option_of_a_file),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
