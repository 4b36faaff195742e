# The jail: its filters as text, as BPF and as the kernel runs them; its other
# fences from inside and from outside.
sandbox_tests = \
	tests/unit/test_filter_tables \
	tests/unit/test_filter_sim \
	tests/unit/test_filter_live \
	tests/unit/test_isolate \
	tests/unit/test_landlock \
	tests/unit/test_lock_parent \
	tests/unit/test_spawn \
	tests/unit/test_attest
check_PROGRAMS += $(sandbox_tests)
TESTS += $(sandbox_tests) tests/unit/aarch64.sh
EXTRA_DIST += tests/unit/aarch64.sh tests/unit/aarch64_policy.c \
	tests/unit/golden/policy_netproc.txt \
	tests/unit/golden/policy_parent.txt \
	tests/unit/golden/policy_relayproc.txt \
	tests/unit/golden/policy_relayproc_splice.txt

sandbox_test_libs = sandbox/libsandbox.a ipc/libipc.a $(SECCOMP_LIBS) \
	$(LIBEVENT_LIBS) $(LIBBSD_LIBS) $(CMOCKA_LIBS)
filter_oracle = tests/unit/filter_oracle.c tests/unit/filter_oracle.h
forked = tests/unit/forked.c tests/unit/forked.h
jail_child = tests/unit/jail_child.c tests/unit/jail_child.h

tests_unit_test_filter_tables_SOURCES = tests/unit/test_filter_tables.c \
	$(filter_oracle)
tests_unit_test_filter_tables_LDADD = $(sandbox_test_libs)

tests_unit_test_filter_sim_SOURCES = tests/unit/test_filter_sim.c \
	$(filter_oracle)
tests_unit_test_filter_sim_LDADD = $(sandbox_test_libs)
tests_unit_test_filter_sim_LDFLAGS = $(AM_LDFLAGS) \
	-Wl,--wrap=seccomp_attr_set \
	-Wl,--wrap=seccomp_rule_add_exact_array -Wl,--wrap=seccomp_release

tests_unit_test_filter_live_SOURCES = tests/unit/test_filter_live.c \
	$(filter_oracle) $(forked)
tests_unit_test_filter_live_LDADD = $(sandbox_test_libs)

tests_unit_test_isolate_SOURCES = tests/unit/test_isolate.c \
	$(forked) $(jail_child)
tests_unit_test_isolate_LDADD = parent/libparent.a $(sandbox_test_libs)

tests_unit_test_landlock_SOURCES = tests/unit/test_landlock.c $(forked)
tests_unit_test_landlock_LDADD = $(sandbox_test_libs)
tests_unit_test_landlock_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=syscall

tests_unit_test_lock_parent_SOURCES = tests/unit/test_lock_parent.c \
	$(forked) $(jail_child)
tests_unit_test_lock_parent_LDADD = parent/libparent.a $(sandbox_test_libs)

tests_unit_test_spawn_SOURCES = tests/unit/test_spawn.c \
	$(forked) $(jail_child)
tests_unit_test_spawn_LDADD = parent/libparent.a $(sandbox_test_libs)

tests_unit_test_attest_SOURCES = tests/unit/test_attest.c $(jail_child)
tests_unit_test_attest_LDADD = parent/libparent.a $(sandbox_test_libs)
tests_unit_test_attest_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=fstatat
