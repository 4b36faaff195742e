# parent: its options, its parsers, and what it opens.
parent_tests = \
	tests/unit/test_options \
	tests/unit/test_options_spec \
	tests/unit/test_config_check \
	tests/unit/test_config_file \
	tests/unit/test_resolv_conf \
	tests/unit/test_resolv_watch \
	tests/unit/test_host_addrs \
	tests/unit/test_host_routes \
	tests/unit/test_publish \
	tests/unit/test_notify \
	tests/unit/test_unix_listen \
	tests/unit/test_command \
	tests/unit/test_watchdog
check_PROGRAMS += $(parent_tests)
TESTS += $(parent_tests)

parent_test_libs = parent/libparent.a ipc/libipc.a $(CONFUSE_LIBS) \
	$(LIBBSD_LIBS) $(LIBMD_LIBS) $(JANSSON_LIBS) $(CMOCKA_LIBS)

tests_unit_test_options_SOURCES = tests/unit/test_options.c \
	tests/unit/options_rig.h
tests_unit_test_options_LDADD = $(parent_test_libs)

tests_unit_test_options_spec_SOURCES = tests/unit/test_options_spec.c
tests_unit_test_options_spec_LDADD = $(parent_test_libs)

tests_unit_test_config_check_SOURCES = tests/unit/test_config_check.c \
	tests/unit/options_rig.h
tests_unit_test_config_check_LDADD = $(parent_test_libs)

tests_unit_test_config_file_SOURCES = tests/unit/test_config_file.c
tests_unit_test_config_file_LDADD = $(parent_test_libs)

tests_unit_test_resolv_conf_SOURCES = tests/unit/test_resolv_conf.c
tests_unit_test_resolv_conf_LDADD = $(parent_test_libs)

tests_unit_test_host_addrs_SOURCES = tests/unit/test_host_addrs.c
tests_unit_test_host_addrs_LDADD = $(parent_test_libs)

tests_unit_test_resolv_watch_SOURCES = tests/unit/test_resolv_watch.c
tests_unit_test_resolv_watch_LDADD = $(parent_test_libs)

tests_unit_test_host_routes_SOURCES = tests/unit/test_host_routes.c
tests_unit_test_host_routes_LDFLAGS = $(AM_LDFLAGS) \
	-Wl,--wrap=rtnetlink_receive
tests_unit_test_host_routes_LDADD = $(parent_test_libs)

tests_unit_test_publish_SOURCES = tests/unit/test_publish.c \
	tests/unit/forked.c tests/unit/forked.h
tests_unit_test_publish_LDADD = $(parent_test_libs)

tests_unit_test_notify_SOURCES = tests/unit/test_notify.c
tests_unit_test_notify_LDADD = $(parent_test_libs)

tests_unit_test_unix_listen_SOURCES = tests/unit/test_unix_listen.c
tests_unit_test_unix_listen_LDADD = $(parent_test_libs)

tests_unit_test_command_SOURCES = tests/unit/test_command.c
tests_unit_test_command_LDADD = $(parent_test_libs)

tests_unit_test_watchdog_LDFLAGS = $(AM_LDFLAGS) \
	-Wl,--wrap=run_timer_set -Wl,--wrap=run_event_drop \
	-Wl,--wrap=cpu_alarm_took_ns -Wl,--wrap=channel_send \
	-Wl,--wrap=channel_event_kick -Wl,--wrap=peer_refused \
	-Wl,--wrap=peer_lost
tests_unit_test_watchdog_LDADD = parent/libparent.a $(LIBEVENT_LIBS) \
	$(LIBBSD_LIBS) $(CMOCKA_LIBS)
