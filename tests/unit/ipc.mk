# The message table, the channel that checks it, and the shared leaf code.
ipc_tests = \
	tests/unit/test_addr \
	tests/unit/test_channel \
	tests/unit/test_channel_event \
	tests/unit/test_channel_faults \
	tests/unit/test_child_base \
	tests/unit/test_clock \
	tests/unit/test_log \
	tests/unit/test_proto
check_PROGRAMS += $(ipc_tests)
TESTS += $(ipc_tests)

tests_unit_test_addr_LDADD = ipc/libipc.a $(LIBBSD_LIBS) $(CMOCKA_LIBS)
channel_pair = tests/unit/channel_pair.h
tests_unit_test_channel_SOURCES = tests/unit/test_channel.c $(channel_pair)
tests_unit_test_channel_LDADD = ipc/libipc.a $(CMOCKA_LIBS)
tests_unit_test_channel_event_SOURCES = tests/unit/test_channel_event.c \
	$(channel_pair)
tests_unit_test_channel_event_LDFLAGS = $(AM_LDFLAGS) \
	-Wl,--wrap=event_new -Wl,--wrap=event_add
tests_unit_test_channel_event_LDADD = ipc/libipc.a $(LIBEVENT_LIBS) \
	$(LIBBSD_LIBS) $(CMOCKA_LIBS)
tests_unit_test_channel_faults_SOURCES = tests/unit/test_channel_faults.c \
	$(channel_pair)
tests_unit_test_channel_faults_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=writev \
	-Wl,--wrap=sendmsg -Wl,--wrap=recvmsg
tests_unit_test_channel_faults_LDADD = ipc/libipc.a $(CMOCKA_LIBS)
tests_unit_test_child_base_SOURCES = tests/unit/test_child_base.c \
	tests/unit/forked.c tests/unit/forked.h
tests_unit_test_child_base_LDADD = ipc/libipc.a $(LIBEVENT_LIBS) \
	$(LIBBSD_LIBS) $(CMOCKA_LIBS)
tests_unit_test_clock_LDADD = ipc/libipc.a $(CMOCKA_LIBS)
tests_unit_test_log_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=clock_gettime \
	-Wl,--wrap=write
tests_unit_test_log_LDADD = ipc/libipc.a $(LIBBSD_LIBS) $(CMOCKA_LIBS)
tests_unit_test_proto_LDADD = ipc/libipc.a $(LIBBSD_LIBS) $(CMOCKA_LIBS)
