# Fuzz targets.  `make check` replays their corpora in every build; one that was
# configured with --enable-fuzzers has the targets themselves, and
# `make fuzz-short` makes such a build beside any other and runs each for a
# while.
FUZZ_SECONDS = 60
FUZZ_TARGETS = shield fragment dhcp dhcp6 dns dns_stream frame lwip channel \
	netproc relayproc icmp policy spec config resolv_conf

# The replays link what the program links.
fuzz_replay = tests/fuzz/replay_main.c tests/fuzz/fuzz.h
fuzz_replays = \
	tests/fuzz/replay_shield \
	tests/fuzz/replay_fragment \
	tests/fuzz/replay_dhcp \
	tests/fuzz/replay_dhcp6 \
	tests/fuzz/replay_dns \
	tests/fuzz/replay_dns_stream \
	tests/fuzz/replay_frame \
	tests/fuzz/replay_lwip \
	tests/fuzz/replay_channel \
	tests/fuzz/replay_netproc \
	tests/fuzz/replay_relayproc \
	tests/fuzz/replay_icmp \
	tests/fuzz/replay_policy \
	tests/fuzz/replay_spec \
	tests/fuzz/replay_config \
	tests/fuzz/replay_resolv_conf \
	tests/fuzz/starve_netproc
check_PROGRAMS += $(fuzz_replays)
TESTS += $(fuzz_replays)
EXTRA_DIST += tests/fuzz/corpus tests/fuzz/dict tests/fuzz/make_corpus.py \
	tests/fuzz/corpus_netproc.py tests/fuzz/corpus_relayproc.py \
	tests/fuzz/corpus_text.py tests/fuzz/run.sh

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
tests_fuzz_replay_dns_stream_SOURCES = tests/fuzz/fuzz_dns_stream.c \
	$(fuzz_replay)
tests_fuzz_replay_dns_stream_LDADD = netproc/libnetproc.a
tests_fuzz_replay_frame_SOURCES = tests/fuzz/fuzz_frame.c $(fuzz_replay)
tests_fuzz_replay_frame_CPPFLAGS = $(AM_CPPFLAGS) $(LWIP_CPPFLAGS)
tests_fuzz_replay_frame_LDADD = netproc/libnetproc.a ipc/libipc.a \
	$(LIBBSD_LIBS)
tests_fuzz_replay_lwip_SOURCES = tests/fuzz/fuzz_lwip.c $(fuzz_replay)
tests_fuzz_replay_lwip_CPPFLAGS = $(AM_CPPFLAGS) $(LWIP_CPPFLAGS)
tests_fuzz_replay_lwip_LDADD = netproc/lwip/liblwip.a netproc/libnetproc.a
tests_fuzz_replay_channel_SOURCES = tests/fuzz/fuzz_channel.c $(fuzz_replay)
tests_fuzz_replay_channel_LDADD = ipc/libipc.a

# All of netproc, without libevent: whole_loop.c stands for it.
fuzz_whole = tests/fuzz/fuzz_netproc.c tests/fuzz/whole.h \
	tests/fuzz/whole_frame.c \
	tests/fuzz/whole_guest.c \
	tests/fuzz/whole_loop.c \
	tests/fuzz/whole_packet.c \
	tests/fuzz/whole_relay.c \
	tests/fuzz/whole_start.c \
	tests/fuzz/whole_wire.c
fuzz_whole_wrap = -Wl,--wrap=frame_reader_next \
	-Wl,--wrap=frame_reader_fill -Wl,--wrap=frame_reader_reset
tests_fuzz_replay_netproc_SOURCES = $(fuzz_whole) $(fuzz_replay)
tests_fuzz_replay_netproc_CPPFLAGS = $(AM_CPPFLAGS) $(LWIP_CPPFLAGS)
tests_fuzz_replay_netproc_LDFLAGS = $(AM_LDFLAGS) $(fuzz_whole_wrap)
tests_fuzz_starve_netproc_SOURCES = $(fuzz_whole) tests/fuzz/fuzz.h \
	tests/fuzz/starve_main.c
tests_fuzz_starve_netproc_CPPFLAGS = $(AM_CPPFLAGS) $(LWIP_CPPFLAGS)
tests_fuzz_starve_netproc_LDFLAGS = $(AM_LDFLAGS) $(fuzz_whole_wrap) \
	-Wl,--wrap=malloc -Wl,--wrap=calloc -Wl,--wrap=readv \
	-Wl,--wrap=writev -Wl,--wrap=recvmsg -Wl,--wrap=recvmmsg
tests_fuzz_starve_netproc_LDADD = $(tests_fuzz_replay_netproc_LDADD)
tests_fuzz_replay_netproc_LDADD = netproc/libnetproc.a \
	netproc/lwip/liblwip.a netproc/libnetproc.a ipc/libipc.a $(LIBBSD_LIBS)

# The host's sockets are stand-ins.
fuzz_relayproc_wrap = -Wl,--wrap=socket -Wl,--wrap=connect \
	-Wl,--wrap=setsockopt -Wl,--wrap=getsockopt -Wl,--wrap=getsockname \
	-Wl,--wrap=sendmmsg -Wl,--wrap=recvmmsg
tests_fuzz_replay_relayproc_SOURCES = tests/fuzz/fuzz_relayproc.c \
	$(fuzz_replay)
tests_fuzz_replay_relayproc_LDFLAGS = $(AM_LDFLAGS) $(fuzz_relayproc_wrap)
tests_fuzz_replay_relayproc_LDADD = relayproc/librelayproc.a ipc/libipc.a \
	$(LIBEVENT_LIBS) $(LIBBSD_LIBS)
fuzz_parent_libs = parent/libparent.a ipc/libipc.a $(CONFUSE_LIBS) \
	$(LIBBSD_LIBS)
tests_fuzz_replay_icmp_SOURCES = tests/fuzz/fuzz_icmp.c $(fuzz_replay)
tests_fuzz_replay_icmp_LDADD = netproc/libnetproc.a ipc/libipc.a $(LIBBSD_LIBS)
tests_fuzz_replay_policy_SOURCES = tests/fuzz/fuzz_policy.c $(fuzz_replay)
tests_fuzz_replay_policy_LDADD = relayproc/librelayproc.a ipc/libipc.a \
	$(LIBBSD_LIBS)
tests_fuzz_replay_spec_SOURCES = tests/fuzz/fuzz_spec.c $(fuzz_replay)
tests_fuzz_replay_spec_LDADD = $(fuzz_parent_libs)
tests_fuzz_replay_config_SOURCES = tests/fuzz/fuzz_config.c $(fuzz_replay)
tests_fuzz_replay_config_LDADD = $(fuzz_parent_libs)
tests_fuzz_replay_resolv_conf_SOURCES = tests/fuzz/fuzz_resolv_conf.c \
	$(fuzz_replay)
tests_fuzz_replay_resolv_conf_LDADD = $(fuzz_parent_libs)

if FUZZERS
noinst_PROGRAMS += \
	tests/fuzz/fuzz_shield \
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

tests_fuzz_fuzz_shield_SOURCES = tests/fuzz/fuzz_shield.c tests/fuzz/fuzz.h
tests_fuzz_fuzz_shield_LDADD = $(tests_fuzz_replay_shield_LDADD)
tests_fuzz_fuzz_shield_LDFLAGS = $(AM_LDFLAGS) $(FUZZER_LDFLAGS)
tests_fuzz_fuzz_dhcp_SOURCES = tests/fuzz/fuzz_dhcp.c tests/fuzz/fuzz.h
tests_fuzz_fuzz_dhcp_LDADD = $(tests_fuzz_replay_dhcp_LDADD)
tests_fuzz_fuzz_dhcp_LDFLAGS = $(AM_LDFLAGS) $(FUZZER_LDFLAGS)
tests_fuzz_fuzz_dns_SOURCES = tests/fuzz/fuzz_dns.c tests/fuzz/fuzz.h
tests_fuzz_fuzz_dns_LDADD = $(tests_fuzz_replay_dns_LDADD)
tests_fuzz_fuzz_dns_LDFLAGS = $(AM_LDFLAGS) $(FUZZER_LDFLAGS)
tests_fuzz_fuzz_dns_stream_SOURCES = tests/fuzz/fuzz_dns_stream.c \
	tests/fuzz/fuzz.h
tests_fuzz_fuzz_dns_stream_LDADD = $(tests_fuzz_replay_dns_stream_LDADD)
tests_fuzz_fuzz_dns_stream_LDFLAGS = $(AM_LDFLAGS) $(FUZZER_LDFLAGS)
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
tests_fuzz_fuzz_netproc_SOURCES = $(fuzz_whole) tests/fuzz/whole_mutate.c \
	tests/fuzz/fuzz.h
tests_fuzz_fuzz_netproc_CPPFLAGS = $(AM_CPPFLAGS) $(LWIP_CPPFLAGS)
tests_fuzz_fuzz_netproc_LDFLAGS = $(AM_LDFLAGS) $(FUZZER_LDFLAGS) \
	$(fuzz_whole_wrap)
tests_fuzz_fuzz_netproc_LDADD = $(tests_fuzz_replay_netproc_LDADD)
tests_fuzz_fuzz_relayproc_SOURCES = tests/fuzz/fuzz_relayproc.c \
	tests/fuzz/fuzz.h
tests_fuzz_fuzz_relayproc_LDADD = $(tests_fuzz_replay_relayproc_LDADD)
tests_fuzz_fuzz_relayproc_LDFLAGS = $(AM_LDFLAGS) $(FUZZER_LDFLAGS) \
	$(fuzz_relayproc_wrap)
tests_fuzz_fuzz_icmp_SOURCES = tests/fuzz/fuzz_icmp.c tests/fuzz/fuzz.h
tests_fuzz_fuzz_icmp_LDADD = $(tests_fuzz_replay_icmp_LDADD)
tests_fuzz_fuzz_icmp_LDFLAGS = $(AM_LDFLAGS) $(FUZZER_LDFLAGS)
tests_fuzz_fuzz_policy_SOURCES = tests/fuzz/fuzz_policy.c tests/fuzz/fuzz.h
tests_fuzz_fuzz_policy_LDADD = $(tests_fuzz_replay_policy_LDADD)
tests_fuzz_fuzz_policy_LDFLAGS = $(AM_LDFLAGS) $(FUZZER_LDFLAGS)
tests_fuzz_fuzz_spec_SOURCES = tests/fuzz/fuzz_spec.c tests/fuzz/fuzz.h
tests_fuzz_fuzz_spec_LDADD = $(tests_fuzz_replay_spec_LDADD)
tests_fuzz_fuzz_spec_LDFLAGS = $(AM_LDFLAGS) $(FUZZER_LDFLAGS)
tests_fuzz_fuzz_config_SOURCES = tests/fuzz/fuzz_config.c tests/fuzz/fuzz.h
tests_fuzz_fuzz_config_LDADD = $(tests_fuzz_replay_config_LDADD)
tests_fuzz_fuzz_config_LDFLAGS = $(AM_LDFLAGS) $(FUZZER_LDFLAGS)
tests_fuzz_fuzz_resolv_conf_SOURCES = tests/fuzz/fuzz_resolv_conf.c \
	tests/fuzz/fuzz.h
tests_fuzz_fuzz_resolv_conf_LDADD = $(tests_fuzz_replay_resolv_conf_LDADD)
tests_fuzz_fuzz_resolv_conf_LDFLAGS = $(AM_LDFLAGS) $(FUZZER_LDFLAGS)
endif

fuzz-short:
	srcdir='$(abs_srcdir)' LWIP_DIR='$(LWIP_DIR)' \
	    FUZZ_SECONDS='$(FUZZ_SECONDS)' FUZZ_TARGETS='$(FUZZ_TARGETS)' \
	    $(SHELL) $(srcdir)/tests/fuzz/run.sh

clean-local:
	rm -rf fuzz-build

.PHONY: fuzz-short
