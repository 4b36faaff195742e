# The pure functions of netproc: bytes in, a struct or bytes out.
parser_tests = \
	tests/unit/test_checksum \
	tests/unit/test_cursor \
	tests/unit/test_dhcp \
	tests/unit/test_dhcp6 \
	tests/unit/test_dhcp_malformed \
	tests/unit/test_dns \
	tests/unit/test_dns_local \
	tests/unit/test_dns_stream \
	tests/unit/test_dns_table \
	tests/unit/test_fragment \
	tests/unit/test_icmp \
	tests/unit/test_icmp_error \
	tests/unit/test_packet \
	tests/unit/test_ra \
	tests/unit/test_shield \
	tests/unit/test_shield6 \
	tests/unit/test_siphash
check_PROGRAMS += $(parser_tests)
TESTS += $(parser_tests)

# Those that know a struct ipc_addr.
addr_parser_libs = netproc/libnetproc.a ipc/libipc.a $(LIBBSD_LIBS) \
	$(CMOCKA_LIBS)

tests_unit_test_checksum_LDADD = netproc/libnetproc.a $(CMOCKA_LIBS)
tests_unit_test_cursor_LDADD = $(CMOCKA_LIBS)
tests_unit_test_dhcp_LDADD = netproc/libnetproc.a $(CMOCKA_LIBS)
tests_unit_test_dhcp_malformed_LDADD = netproc/libnetproc.a $(CMOCKA_LIBS)
tests_unit_test_dhcp6_LDADD = netproc/libnetproc.a $(CMOCKA_LIBS)
tests_unit_test_dns_LDADD = netproc/libnetproc.a $(CMOCKA_LIBS)
tests_unit_test_dns_local_LDADD = netproc/libnetproc.a $(CMOCKA_LIBS)
tests_unit_test_dns_stream_LDADD = netproc/libnetproc.a $(CMOCKA_LIBS)
tests_unit_test_dns_table_LDADD = netproc/libnetproc.a $(CMOCKA_LIBS)
tests_unit_test_packet_LDADD = netproc/libnetproc.a $(CMOCKA_LIBS)
tests_unit_test_ra_LDADD = netproc/libnetproc.a $(CMOCKA_LIBS)
tests_unit_test_shield_LDADD = $(addr_parser_libs)
tests_unit_test_shield6_LDADD = $(addr_parser_libs)
tests_unit_test_fragment_LDADD = $(addr_parser_libs)
tests_unit_test_icmp_LDADD = $(addr_parser_libs)
tests_unit_test_icmp_error_LDADD = $(addr_parser_libs)
tests_unit_test_siphash_LDADD = netproc/libnetproc.a $(CMOCKA_LIBS)

tests_unit_test_dhcp_SOURCES = tests/unit/test_dhcp.c tests/unit/dhcp_client.h
tests_unit_test_dhcp_malformed_SOURCES = tests/unit/test_dhcp_malformed.c \
	tests/unit/dhcp_client.h
tests_unit_test_shield_SOURCES = tests/unit/test_shield.c \
	tests/unit/shield_cases.h
tests_unit_test_shield6_SOURCES = tests/unit/test_shield6.c \
	tests/unit/shield6_cases.h tests/unit/shield_cases.h
