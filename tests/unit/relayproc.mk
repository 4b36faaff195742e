# relayproc: its parts, and a life of it without the jail.
relayproc_tests = \
	tests/unit/test_addr_class \
	tests/unit/test_policy \
	tests/unit/test_budget \
	tests/unit/test_tcp_connect \
	tests/unit/test_relay_flow \
	tests/unit/test_relay_flow_live \
	tests/unit/test_relay_flow_told \
	tests/unit/test_relay_flow_jailed \
	tests/unit/test_relay_lend \
	tests/unit/test_relay_splice \
	tests/unit/test_dgram \
	tests/unit/test_dgram_error \
	tests/unit/test_assoc \
	tests/unit/test_udp_assoc \
	tests/unit/test_udp_assoc_jailed \
	tests/unit/test_udp_publish \
	tests/unit/test_udp_publish_jailed \
	tests/unit/test_relay_dispatch \
	tests/unit/test_relay_dispatch_parent \
	tests/unit/test_resolver \
	tests/unit/test_resolver_order
check_PROGRAMS += $(relayproc_tests)
TESTS += $(relayproc_tests)

relayproc_test_libs = relayproc/librelayproc.a ipc/libipc.a \
	$(LIBEVENT_LIBS) $(LIBBSD_LIBS) $(CMOCKA_LIBS)
relayproc_jailed_libs = relayproc/librelayproc.a sandbox/libsandbox.a \
	ipc/libipc.a $(SECCOMP_LIBS) $(LIBEVENT_LIBS) $(LIBBSD_LIBS) \
	$(CMOCKA_LIBS)
relay_life = tests/unit/relay_life.c tests/unit/relay_life.h
relay_jail = tests/unit/relay_jail.c tests/unit/relay_jail.h
relay_dgram = tests/unit/relay_dgram.c tests/unit/relay_dgram.h

tests_unit_test_addr_class_SOURCES = tests/unit/test_addr_class.c
tests_unit_test_addr_class_LDADD = $(relayproc_test_libs)

tests_unit_test_policy_SOURCES = tests/unit/test_policy.c
tests_unit_test_policy_LDADD = $(relayproc_test_libs)

tests_unit_test_budget_SOURCES = tests/unit/test_budget.c
tests_unit_test_budget_LDADD = $(relayproc_test_libs)

tests_unit_test_tcp_connect_SOURCES = tests/unit/test_tcp_connect.c \
	$(relay_life)
tests_unit_test_tcp_connect_LDADD = $(relayproc_test_libs)

tests_unit_test_relay_flow_SOURCES = tests/unit/test_relay_flow.c
tests_unit_test_relay_flow_LDADD = $(relayproc_test_libs)

tests_unit_test_relay_lend_SOURCES = tests/unit/test_relay_lend.c \
	$(relay_life) tests/unit/forked.c tests/unit/forked.h
tests_unit_test_relay_lend_LDADD = $(relayproc_test_libs)
tests_unit_test_relay_splice_SOURCES = tests/unit/test_relay_splice.c \
	$(relay_life)
tests_unit_test_relay_splice_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=splice \
	-Wl,--wrap=pipe2
tests_unit_test_relay_splice_LDADD = $(relayproc_test_libs)

tests_unit_test_relay_flow_live_SOURCES = tests/unit/test_relay_flow_live.c \
	$(relay_life)
tests_unit_test_relay_flow_live_LDADD = $(relayproc_test_libs)

tests_unit_test_relay_flow_told_SOURCES = tests/unit/test_relay_flow_told.c \
	$(relay_life)
tests_unit_test_relay_flow_told_LDADD = $(relayproc_test_libs)

tests_unit_test_relay_flow_jailed_SOURCES = \
	tests/unit/test_relay_flow_jailed.c $(relay_life) $(relay_jail)
tests_unit_test_relay_flow_jailed_LDADD = $(relayproc_jailed_libs)

tests_unit_test_assoc_SOURCES = tests/unit/test_assoc.c
tests_unit_test_assoc_LDADD = $(relayproc_test_libs)

tests_unit_test_dgram_SOURCES = tests/unit/test_dgram.c \
	$(relay_life) $(relay_jail) $(relay_dgram)
tests_unit_test_dgram_LDADD = $(relayproc_jailed_libs)

tests_unit_test_dgram_error_SOURCES = tests/unit/test_dgram_error.c \
	$(relay_life) $(relay_jail) $(relay_dgram)
tests_unit_test_dgram_error_LDADD = $(relayproc_jailed_libs)

tests_unit_test_udp_assoc_SOURCES = tests/unit/test_udp_assoc.c \
	$(relay_life) $(relay_jail) $(relay_dgram)
tests_unit_test_udp_assoc_LDADD = $(relayproc_jailed_libs)

tests_unit_test_udp_assoc_jailed_SOURCES = \
	tests/unit/test_udp_assoc_jailed.c $(relay_life) $(relay_jail) \
	$(relay_dgram)
tests_unit_test_udp_assoc_jailed_LDADD = $(relayproc_jailed_libs)

tests_unit_test_udp_publish_SOURCES = tests/unit/test_udp_publish.c \
	$(relay_life) $(relay_jail) $(relay_dgram)
tests_unit_test_udp_publish_LDADD = $(relayproc_jailed_libs)

tests_unit_test_udp_publish_jailed_SOURCES = \
	tests/unit/test_udp_publish_jailed.c $(relay_life) $(relay_jail) \
	$(relay_dgram)
tests_unit_test_udp_publish_jailed_LDADD = $(relayproc_jailed_libs)

tests_unit_test_relay_dispatch_SOURCES = tests/unit/test_relay_dispatch.c \
	$(relay_life)
tests_unit_test_relay_dispatch_LDADD = $(relayproc_test_libs)

tests_unit_test_relay_dispatch_parent_SOURCES = \
	tests/unit/test_relay_dispatch_parent.c $(relay_life)
tests_unit_test_relay_dispatch_parent_LDADD = $(relayproc_test_libs)

tests_unit_test_resolver_SOURCES = tests/unit/test_resolver.c $(relay_life)
tests_unit_test_resolver_LDADD = $(relayproc_test_libs)

tests_unit_test_resolver_order_SOURCES = tests/unit/test_resolver_order.c \
	$(relay_life)
tests_unit_test_resolver_order_LDADD = $(relayproc_test_libs)
