# netproc's framing, buffers and flow table.
netproc_tests = \
	tests/unit/test_ack \
	tests/unit/test_ahead \
	tests/unit/test_flow_assoc \
	tests/unit/test_blocks \
	tests/unit/test_client \
	tests/unit/test_coalesce \
	tests/unit/test_datagram \
	tests/unit/test_demux \
	tests/unit/test_dns_flow \
	tests/unit/test_evict \
	tests/unit/test_flow \
	tests/unit/test_frame \
	tests/unit/test_gateway_dns \
	tests/unit/test_intercept \
	tests/unit/test_intercept_room \
	tests/unit/test_journal \
	tests/unit/test_journal_kills \
	tests/unit/test_lwip_faults \
	tests/unit/test_moderate \
	tests/unit/test_offload \
	tests/unit/test_orphan \
	tests/unit/test_pump \
	tests/unit/test_recover \
	tests/unit/test_turn
check_PROGRAMS += $(netproc_tests)
TESTS += $(netproc_tests)

netproc_test_libs = netproc/libnetproc.a netproc/lwip/liblwip.a \
	netproc/libnetproc.a \
	sandbox/libsandbox.a ipc/libipc.a $(LIBEVENT_LIBS) $(SECCOMP_LIBS) \
	$(LIBBSD_LIBS) $(CMOCKA_LIBS)
tests_unit_test_flow_assoc_LDADD = $(netproc_test_libs)
tests_unit_test_ack_CPPFLAGS = $(AM_CPPFLAGS) $(LWIP_CPPFLAGS)
tests_unit_test_ack_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=netproc_wake
tests_unit_test_ack_LDADD = $(netproc_test_libs)
tests_unit_test_ahead_CPPFLAGS = $(AM_CPPFLAGS) $(LWIP_CPPFLAGS)
tests_unit_test_ahead_LDADD = $(netproc_test_libs)
tests_unit_test_blocks_LDADD = $(netproc_test_libs)
tests_unit_test_client_LDADD = $(netproc_test_libs)
tests_unit_test_coalesce_SOURCES = tests/unit/test_coalesce.c \
	netproc/flow/coalesce.c
tests_unit_test_coalesce_CPPFLAGS = $(AM_CPPFLAGS) $(LWIP_CPPFLAGS)
tests_unit_test_coalesce_LDADD = $(CMOCKA_LIBS)
tests_unit_test_demux_CPPFLAGS = $(AM_CPPFLAGS) $(LWIP_CPPFLAGS)
tests_unit_test_demux_LDADD = $(netproc_test_libs)
tests_unit_test_dns_flow_CPPFLAGS = $(AM_CPPFLAGS) $(LWIP_CPPFLAGS)
tests_unit_test_dns_flow_LDADD = $(netproc_test_libs)
tests_unit_test_evict_CPPFLAGS = $(AM_CPPFLAGS) $(LWIP_CPPFLAGS)
tests_unit_test_evict_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=ack_ask
tests_unit_test_evict_LDADD = $(netproc_test_libs)
tests_unit_test_datagram_CPPFLAGS = $(AM_CPPFLAGS) $(LWIP_CPPFLAGS)
tests_unit_test_datagram_LDADD = $(netproc_test_libs)
tests_unit_test_pump_CPPFLAGS = $(AM_CPPFLAGS) $(LWIP_CPPFLAGS)
tests_unit_test_pump_LDADD = $(netproc_test_libs)
tests_unit_test_recover_SOURCES = tests/unit/test_recover.c \
	netproc/flow/recover.c
tests_unit_test_recover_CPPFLAGS = $(AM_CPPFLAGS) $(LWIP_CPPFLAGS)
tests_unit_test_recover_LDADD = netproc/lwip/liblwip.a $(CMOCKA_LIBS)
tests_unit_test_turn_CPPFLAGS = $(AM_CPPFLAGS) $(LWIP_CPPFLAGS)
tests_unit_test_turn_LDADD = $(netproc_test_libs)
tests_unit_test_flow_LDADD = $(netproc_test_libs)
tests_unit_test_frame_CPPFLAGS = $(AM_CPPFLAGS) $(LWIP_CPPFLAGS)
tests_unit_test_frame_LDADD = $(netproc_test_libs)
tests_unit_test_gateway_dns_CPPFLAGS = $(AM_CPPFLAGS) $(LWIP_CPPFLAGS)
tests_unit_test_gateway_dns_LDFLAGS = $(AM_LDFLAGS) \
	-Wl,--wrap=channel_send -Wl,--wrap=channel_send_tail \
	-Wl,--wrap=gateway_send_udp -Wl,--wrap=netproc_need_tick
tests_unit_test_gateway_dns_LDADD = $(netproc_test_libs)
intercept_rig = tests/unit/intercept_rig.c tests/unit/intercept_rig.h
intercept_wraps = -Wl,--wrap=coalesce_add -Wl,--wrap=pump_ask_room \
	-Wl,--wrap=netif_tcp_input -Wl,--wrap=tcp_after_input \
	-Wl,--wrap=ack_at_once -Wl,--wrap=ahead_spare -Wl,--wrap=end_forget
tests_unit_test_intercept_SOURCES = tests/unit/test_intercept.c \
	$(intercept_rig)
tests_unit_test_intercept_CPPFLAGS = $(AM_CPPFLAGS) $(LWIP_CPPFLAGS)
tests_unit_test_intercept_LDFLAGS = $(AM_LDFLAGS) $(intercept_wraps)
tests_unit_test_intercept_LDADD = $(netproc_test_libs)
tests_unit_test_intercept_room_SOURCES = tests/unit/test_intercept_room.c \
	$(intercept_rig)
tests_unit_test_intercept_room_CPPFLAGS = $(AM_CPPFLAGS) $(LWIP_CPPFLAGS)
tests_unit_test_intercept_room_LDFLAGS = $(AM_LDFLAGS) $(intercept_wraps)
tests_unit_test_intercept_room_LDADD = $(netproc_test_libs)
journal_rig = tests/unit/journal_rig.c tests/unit/journal_rig.h
tests_unit_test_journal_SOURCES = tests/unit/test_journal.c $(journal_rig)
tests_unit_test_journal_kills_SOURCES = tests/unit/test_journal_kills.c \
	$(journal_rig)
tests_unit_test_journal_kills_CPPFLAGS = $(AM_CPPFLAGS) $(LWIP_CPPFLAGS)
tests_unit_test_journal_kills_LDADD = $(netproc_test_libs)
tests_unit_test_journal_CPPFLAGS = $(AM_CPPFLAGS) $(LWIP_CPPFLAGS)
tests_unit_test_journal_LDADD = $(netproc_test_libs)
tests_unit_test_lwip_faults_SOURCES = tests/unit/test_lwip_faults.c \
	tests/unit/forked.c tests/unit/forked.h
tests_unit_test_lwip_faults_CPPFLAGS = $(AM_CPPFLAGS) $(LWIP_CPPFLAGS)
tests_unit_test_lwip_faults_LDADD = netproc/lwip/liblwip.a \
	netproc/libnetproc.a $(CMOCKA_LIBS)
tests_unit_test_moderate_CPPFLAGS = $(AM_CPPFLAGS) $(LWIP_CPPFLAGS)
tests_unit_test_moderate_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=netproc_wake
tests_unit_test_moderate_LDADD = $(netproc_test_libs)
tests_unit_test_offload_CPPFLAGS = $(AM_CPPFLAGS) $(LWIP_CPPFLAGS)
tests_unit_test_offload_LDADD = $(netproc_test_libs)
tests_unit_test_orphan_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=segment_send \
	-Wl,--wrap=link_has_room -Wl,--wrap=netproc_need_tick
tests_unit_test_orphan_CPPFLAGS = $(AM_CPPFLAGS) $(LWIP_CPPFLAGS)
tests_unit_test_orphan_LDADD = $(netproc_test_libs)
