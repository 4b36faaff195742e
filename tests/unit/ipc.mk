# The message table, the channel that checks it, and the shared leaf code.
ipc_tests = \
	tests/unit/test_addr \
	tests/unit/test_channel \
	tests/unit/test_clock \
	tests/unit/test_log \
	tests/unit/test_proto
check_PROGRAMS += $(ipc_tests)
TESTS += $(ipc_tests)

tests_unit_test_addr_LDADD = ipc/libipc.a $(LIBBSD_LIBS) $(CMOCKA_LIBS)
tests_unit_test_channel_LDADD = ipc/libipc.a $(LIBEVENT_LIBS) \
	$(LIBBSD_LIBS) $(CMOCKA_LIBS)
tests_unit_test_clock_LDADD = ipc/libipc.a $(CMOCKA_LIBS)
tests_unit_test_log_LDADD = ipc/libipc.a $(LIBBSD_LIBS) $(CMOCKA_LIBS)
tests_unit_test_proto_LDADD = ipc/libipc.a $(LIBBSD_LIBS) $(CMOCKA_LIBS)
