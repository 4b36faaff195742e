# Fuzz targets.  `make check` replays their corpora in every build; one that was
# configured with --enable-fuzzers has the targets themselves, and
# `make fuzz-short` makes such a build beside any other and runs each for a
# while.
FUZZ_SECONDS = 60
FUZZ_TARGETS = shield fragment dhcp dhcp6 dns frame lwip channel

# The replays link what the program links.
fuzz_replay = tests/fuzz/replay_main.c tests/fuzz/fuzz.h
fuzz_replays = \
	tests/fuzz/replay_shield \
	tests/fuzz/replay_fragment \
	tests/fuzz/replay_dhcp \
	tests/fuzz/replay_dhcp6 \
	tests/fuzz/replay_dns \
	tests/fuzz/replay_frame \
	tests/fuzz/replay_lwip \
	tests/fuzz/replay_channel
check_PROGRAMS += $(fuzz_replays)
TESTS += $(fuzz_replays)
EXTRA_DIST += tests/fuzz/corpus tests/fuzz/make_corpus.py tests/fuzz/run.sh

tests_fuzz_replay_shield_SOURCES = tests/fuzz/fuzz_shield.c $(fuzz_replay)
tests_fuzz_replay_shield_LDADD = netproc/libnetproc.a ipc/libipc.a \
	$(LIBBSD_LIBS)
tests_fuzz_replay_fragment_SOURCES = tests/fuzz/fuzz_fragment.c $(fuzz_replay)
tests_fuzz_replay_fragment_LDADD = netproc/libnetproc.a ipc/libipc.a \
	$(LIBBSD_LIBS)
tests_fuzz_replay_dhcp_SOURCES = tests/fuzz/fuzz_dhcp.c $(fuzz_replay)
tests_fuzz_replay_dhcp_LDADD = netproc/libnetproc.a
tests_fuzz_replay_dhcp6_SOURCES = tests/fuzz/fuzz_dhcp6.c $(fuzz_replay)
tests_fuzz_replay_dhcp6_LDADD = netproc/libnetproc.a
tests_fuzz_replay_dns_SOURCES = tests/fuzz/fuzz_dns.c $(fuzz_replay)
tests_fuzz_replay_dns_LDADD = netproc/libnetproc.a
tests_fuzz_replay_frame_SOURCES = tests/fuzz/fuzz_frame.c $(fuzz_replay)
tests_fuzz_replay_frame_CPPFLAGS = $(AM_CPPFLAGS) $(LWIP_CPPFLAGS)
tests_fuzz_replay_frame_LDADD = netproc/libnetproc.a
tests_fuzz_replay_lwip_SOURCES = tests/fuzz/fuzz_lwip.c $(fuzz_replay)
tests_fuzz_replay_lwip_CPPFLAGS = $(AM_CPPFLAGS) $(LWIP_CPPFLAGS)
tests_fuzz_replay_lwip_LDADD = netproc/lwip/liblwip.a netproc/libnetproc.a
tests_fuzz_replay_channel_SOURCES = tests/fuzz/fuzz_channel.c $(fuzz_replay)
tests_fuzz_replay_channel_LDADD = ipc/libipc.a

if FUZZERS
noinst_PROGRAMS += \
	tests/fuzz/fuzz_shield \
	tests/fuzz/fuzz_fragment \
	tests/fuzz/fuzz_dhcp \
	tests/fuzz/fuzz_dhcp6 \
	tests/fuzz/fuzz_dns \
	tests/fuzz/fuzz_frame \
	tests/fuzz/fuzz_lwip \
	tests/fuzz/fuzz_channel

tests_fuzz_fuzz_shield_SOURCES = tests/fuzz/fuzz_shield.c tests/fuzz/fuzz.h
tests_fuzz_fuzz_shield_LDADD = $(tests_fuzz_replay_shield_LDADD)
tests_fuzz_fuzz_shield_LDFLAGS = $(AM_LDFLAGS) $(FUZZER_LDFLAGS)
tests_fuzz_fuzz_dhcp_SOURCES = tests/fuzz/fuzz_dhcp.c tests/fuzz/fuzz.h
tests_fuzz_fuzz_dhcp_LDADD = $(tests_fuzz_replay_dhcp_LDADD)
tests_fuzz_fuzz_dhcp_LDFLAGS = $(AM_LDFLAGS) $(FUZZER_LDFLAGS)
tests_fuzz_fuzz_dns_SOURCES = tests/fuzz/fuzz_dns.c tests/fuzz/fuzz.h
tests_fuzz_fuzz_dns_LDADD = $(tests_fuzz_replay_dns_LDADD)
tests_fuzz_fuzz_dns_LDFLAGS = $(AM_LDFLAGS) $(FUZZER_LDFLAGS)
tests_fuzz_fuzz_frame_SOURCES = tests/fuzz/fuzz_frame.c tests/fuzz/fuzz.h
tests_fuzz_fuzz_frame_CPPFLAGS = $(AM_CPPFLAGS) $(LWIP_CPPFLAGS)
tests_fuzz_fuzz_frame_LDADD = $(tests_fuzz_replay_frame_LDADD)
tests_fuzz_fuzz_frame_LDFLAGS = $(AM_LDFLAGS) $(FUZZER_LDFLAGS)
tests_fuzz_fuzz_lwip_SOURCES = tests/fuzz/fuzz_lwip.c tests/fuzz/fuzz.h
tests_fuzz_fuzz_lwip_CPPFLAGS = $(AM_CPPFLAGS) $(LWIP_CPPFLAGS)
tests_fuzz_fuzz_lwip_LDADD = $(tests_fuzz_replay_lwip_LDADD)
tests_fuzz_fuzz_lwip_LDFLAGS = $(AM_LDFLAGS) $(FUZZER_LDFLAGS)
tests_fuzz_fuzz_channel_SOURCES = tests/fuzz/fuzz_channel.c tests/fuzz/fuzz.h
tests_fuzz_fuzz_channel_LDADD = $(tests_fuzz_replay_channel_LDADD)
tests_fuzz_fuzz_channel_LDFLAGS = $(AM_LDFLAGS) $(FUZZER_LDFLAGS)
tests_fuzz_fuzz_fragment_SOURCES = tests/fuzz/fuzz_fragment.c tests/fuzz/fuzz.h
tests_fuzz_fuzz_fragment_LDADD = $(tests_fuzz_replay_fragment_LDADD)
tests_fuzz_fuzz_fragment_LDFLAGS = $(AM_LDFLAGS) $(FUZZER_LDFLAGS)
tests_fuzz_fuzz_dhcp6_SOURCES = tests/fuzz/fuzz_dhcp6.c tests/fuzz/fuzz.h
tests_fuzz_fuzz_dhcp6_LDADD = $(tests_fuzz_replay_dhcp6_LDADD)
tests_fuzz_fuzz_dhcp6_LDFLAGS = $(AM_LDFLAGS) $(FUZZER_LDFLAGS)
endif

fuzz-short:
	srcdir='$(abs_srcdir)' LWIP_DIR='$(LWIP_DIR)' \
	    FUZZ_SECONDS='$(FUZZ_SECONDS)' FUZZ_TARGETS='$(FUZZ_TARGETS)' \
	    $(SHELL) $(srcdir)/tests/fuzz/run.sh

clean-local:
	rm -rf fuzz-build

.PHONY: fuzz-short
