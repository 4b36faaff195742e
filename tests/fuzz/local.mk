# Fuzz targets.  Each links what the program links, and a main: replay_main.c,
# by which `make check` replays its corpus, or libFuzzer's in a build that was
# configured with --enable-fuzzers; `make fuzz-short` makes such a build beside
# any other, and runs each for a while.
FUZZ_SECONDS = 60
FUZZ_TARGETS = # all

if FUZZERS
fuzz_main = tests/fuzz/fuzz.h
fuzz_mutate = tests/fuzz/whole_mutate.c
else
fuzz_main = tests/fuzz/fuzz.h tests/fuzz/replay_main.c
fuzz_mutate =
endif
fuzz_programs = \
	tests/fuzz/fuzz_shield \
	tests/fuzz/fuzz_nd \
	tests/fuzz/fuzz_fragment \
	tests/fuzz/fuzz_dhcp \
	tests/fuzz/fuzz_dhcp6 \
	tests/fuzz/fuzz_dns \
	tests/fuzz/fuzz_dns_stream \
	tests/fuzz/fuzz_frame \
	tests/fuzz/fuzz_lwip \
	tests/fuzz/fuzz_channel \
	tests/fuzz/fuzz_netproc \
	tests/fuzz/fuzz_relayproc \
	tests/fuzz/fuzz_icmp \
	tests/fuzz/fuzz_policy \
	tests/fuzz/fuzz_spec \
	tests/fuzz/fuzz_config \
	tests/fuzz/fuzz_resolv_conf
check_PROGRAMS += $(fuzz_programs) tests/fuzz/starve_netproc
if !FUZZERS
TESTS += $(fuzz_programs) tests/fuzz/starve_netproc
endif
EXTRA_DIST += tests/fuzz/corpus tests/fuzz/dict tests/fuzz/make_corpus.py \
	tests/fuzz/corpus_netproc.py tests/fuzz/corpus_relayproc.py \
	tests/fuzz/corpus_text.py tests/fuzz/run.sh

fuzz_link = tests/fuzz/shield_link.c tests/fuzz/shield_link.h
tests_fuzz_fuzz_shield_SOURCES = tests/fuzz/fuzz_shield.c $(fuzz_link) $(fuzz_main)
tests_fuzz_fuzz_shield_LDADD = $(FUZZER_LDFLAGS) netproc/libnetproc.a \
	ipc/libipc.a $(LIBBSD_LIBS)
tests_fuzz_fuzz_nd_SOURCES = tests/fuzz/fuzz_nd.c $(fuzz_link) $(fuzz_main)
tests_fuzz_fuzz_nd_LDADD = $(FUZZER_LDFLAGS) netproc/libnetproc.a \
	ipc/libipc.a $(LIBBSD_LIBS)
tests_fuzz_fuzz_fragment_SOURCES = tests/fuzz/fuzz_fragment.c $(fuzz_main)
tests_fuzz_fuzz_fragment_LDADD = $(FUZZER_LDFLAGS) netproc/libnetproc.a \
	ipc/libipc.a $(LIBBSD_LIBS)
tests_fuzz_fuzz_dhcp_SOURCES = tests/fuzz/fuzz_dhcp.c $(fuzz_main)
tests_fuzz_fuzz_dhcp_LDADD = $(FUZZER_LDFLAGS) netproc/libnetproc.a
tests_fuzz_fuzz_dhcp6_SOURCES = tests/fuzz/fuzz_dhcp6.c $(fuzz_main)
tests_fuzz_fuzz_dhcp6_LDADD = $(FUZZER_LDFLAGS) netproc/libnetproc.a
tests_fuzz_fuzz_dns_SOURCES = tests/fuzz/fuzz_dns.c $(fuzz_main)
tests_fuzz_fuzz_dns_LDADD = $(FUZZER_LDFLAGS) netproc/libnetproc.a
tests_fuzz_fuzz_dns_stream_SOURCES = tests/fuzz/fuzz_dns_stream.c \
	$(fuzz_main)
tests_fuzz_fuzz_dns_stream_LDADD = $(FUZZER_LDFLAGS) netproc/libnetproc.a
tests_fuzz_fuzz_frame_SOURCES = tests/fuzz/fuzz_frame.c $(fuzz_main)
tests_fuzz_fuzz_frame_CPPFLAGS = $(AM_CPPFLAGS) $(LWIP_CPPFLAGS)
tests_fuzz_fuzz_frame_LDADD = $(FUZZER_LDFLAGS) netproc/libnetproc.a \
	ipc/libipc.a $(LIBBSD_LIBS)
tests_fuzz_fuzz_lwip_SOURCES = tests/fuzz/fuzz_lwip.c $(fuzz_main)
tests_fuzz_fuzz_lwip_CPPFLAGS = $(AM_CPPFLAGS) $(LWIP_CPPFLAGS)
tests_fuzz_fuzz_lwip_LDADD = $(FUZZER_LDFLAGS) netproc/lwip/liblwip.a \
	netproc/libnetproc.a
tests_fuzz_fuzz_channel_SOURCES = tests/fuzz/fuzz_channel.c $(fuzz_main)
tests_fuzz_fuzz_channel_LDADD = $(FUZZER_LDFLAGS) ipc/libipc.a

# All of netproc, without libevent: whole_loop.c stands for it.
fuzz_whole = tests/fuzz/fuzz_netproc.c tests/fuzz/whole.h \
	tests/fuzz/whole_frame.c \
	tests/fuzz/whole_guest.c \
	tests/fuzz/whole_loop.c \
	tests/fuzz/whole_packet.c \
	tests/fuzz/whole_relay.c tests/fuzz/whole_remote.c \
	tests/fuzz/whole_start.c \
	tests/fuzz/whole_wire.c
fuzz_whole_wrap = -Wl,--wrap=frame_reader_next \
	-Wl,--wrap=frame_reader_fill -Wl,--wrap=frame_reader_reset
fuzz_whole_libs = netproc/libnetproc.a netproc/lwip/liblwip.a \
	netproc/libnetproc.a ipc/libipc.a $(LIBBSD_LIBS)
tests_fuzz_fuzz_netproc_SOURCES = $(fuzz_whole) $(fuzz_mutate) $(fuzz_main)
tests_fuzz_fuzz_netproc_CPPFLAGS = $(AM_CPPFLAGS) $(LWIP_CPPFLAGS)
tests_fuzz_fuzz_netproc_LDFLAGS = $(AM_LDFLAGS) $(fuzz_whole_wrap)
tests_fuzz_fuzz_netproc_LDADD = $(FUZZER_LDFLAGS) $(fuzz_whole_libs)
tests_fuzz_starve_netproc_SOURCES = $(fuzz_whole) tests/fuzz/fuzz.h \
	tests/fuzz/starve_main.c
tests_fuzz_starve_netproc_CPPFLAGS = $(AM_CPPFLAGS) $(LWIP_CPPFLAGS)
tests_fuzz_starve_netproc_LDFLAGS = $(AM_LDFLAGS) $(fuzz_whole_wrap) \
	-Wl,--wrap=malloc -Wl,--wrap=calloc -Wl,--wrap=readv \
	-Wl,--wrap=writev -Wl,--wrap=recvmsg -Wl,--wrap=recvmmsg
tests_fuzz_starve_netproc_LDADD = $(fuzz_whole_libs)

# The host's sockets are stand-ins.
fuzz_relayproc_wrap = -Wl,--wrap=socket -Wl,--wrap=connect \
	-Wl,--wrap=setsockopt -Wl,--wrap=getsockopt -Wl,--wrap=getsockname \
	-Wl,--wrap=sendmmsg -Wl,--wrap=recvmmsg -Wl,--wrap=accept4
tests_fuzz_fuzz_relayproc_SOURCES = tests/fuzz/fuzz_relayproc.c \
	tests/fuzz/relay_host.c tests/fuzz/relay_host.h $(fuzz_main)
tests_fuzz_fuzz_relayproc_LDFLAGS = $(AM_LDFLAGS) $(fuzz_relayproc_wrap)
tests_fuzz_fuzz_relayproc_LDADD = $(FUZZER_LDFLAGS) relayproc/librelayproc.a \
	ipc/libipc.a $(LIBEVENT_LIBS) $(LIBBSD_LIBS)
fuzz_parent_libs = parent/libparent.a ipc/libipc.a $(CONFUSE_LIBS) \
	$(LIBBSD_LIBS)
tests_fuzz_fuzz_icmp_SOURCES = tests/fuzz/fuzz_icmp.c $(fuzz_main)
tests_fuzz_fuzz_icmp_LDADD = $(FUZZER_LDFLAGS) netproc/libnetproc.a \
	ipc/libipc.a $(LIBBSD_LIBS)
tests_fuzz_fuzz_policy_SOURCES = tests/fuzz/fuzz_policy.c $(fuzz_main)
tests_fuzz_fuzz_policy_LDADD = $(FUZZER_LDFLAGS) relayproc/librelayproc.a \
	ipc/libipc.a $(LIBBSD_LIBS)
tests_fuzz_fuzz_spec_SOURCES = tests/fuzz/fuzz_spec.c $(fuzz_main)
tests_fuzz_fuzz_spec_LDADD = $(FUZZER_LDFLAGS) $(fuzz_parent_libs)
tests_fuzz_fuzz_config_SOURCES = tests/fuzz/fuzz_config.c $(fuzz_main)
tests_fuzz_fuzz_config_LDADD = $(FUZZER_LDFLAGS) $(fuzz_parent_libs)
tests_fuzz_fuzz_resolv_conf_SOURCES = tests/fuzz/fuzz_resolv_conf.c \
	$(fuzz_main)
tests_fuzz_fuzz_resolv_conf_LDADD = $(FUZZER_LDFLAGS) $(fuzz_parent_libs)

fuzz-short:
	srcdir='$(abs_srcdir)' LWIP_DIR='$(LWIP_DIR)' \
	    FUZZ_SECONDS='$(FUZZ_SECONDS)' FUZZ_TARGETS='$(FUZZ_TARGETS)' \
	    $(SHELL) $(srcdir)/tests/fuzz/run.sh

# Each corpus once, where MSan knows which bytes were written.
fuzz-memory:
	srcdir='$(abs_srcdir)' LWIP_DIR='$(LWIP_DIR)' FUZZ_SANITIZER=memory \
	    FUZZ_SECONDS=0 FUZZ_TARGETS='$(FUZZ_TARGETS)' \
	    $(SHELL) $(srcdir)/tests/fuzz/run.sh

clean-local:
	rm -rf fuzz-build fuzz-memory

.PHONY: fuzz-short fuzz-memory
