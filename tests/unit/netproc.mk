# netproc's framing, buffers and flow table.
netproc_tests = \
	tests/unit/test_flow_assoc \
	tests/unit/test_blocks \
	tests/unit/test_flow \
	tests/unit/test_frame
check_PROGRAMS += $(netproc_tests)
TESTS += $(netproc_tests)

netproc_test_libs = netproc/libnetproc.a netproc/lwip/liblwip.a \
	netproc/libnetproc.a \
	sandbox/libsandbox.a ipc/libipc.a $(LIBEVENT_LIBS) $(SECCOMP_LIBS) \
	$(LIBBSD_LIBS) $(CMOCKA_LIBS)
tests_unit_test_flow_assoc_LDADD = $(netproc_test_libs)
tests_unit_test_blocks_LDADD = $(netproc_test_libs)
tests_unit_test_flow_LDADD = $(netproc_test_libs)
tests_unit_test_frame_CPPFLAGS = $(AM_CPPFLAGS) $(LWIP_CPPFLAGS)
tests_unit_test_frame_LDADD = $(netproc_test_libs)
