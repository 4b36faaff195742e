# Fuzz targets.  `make check` replays their corpora in the ordinary build;
# `make fuzz-short` builds each target with libFuzzer and runs it for a while.
FUZZ_CC = clang
FUZZ_SECONDS = 60

# ipc/addr.c formats and parses too, with libbsd.
addr_sources = $(LIBBSD_CFLAGS) ipc/addr.c $(LIBBSD_LIBS)
shield_sources = netproc/link/checksum.c netproc/link/shield.c \
	netproc/link/shield_ip4.c netproc/link/shield_ip6.c \
	netproc/link/shield_l4.c netproc/link/shield_nd.c
fuzz_shield_sources = tests/fuzz/fuzz_shield.c netproc/gateway/icmp.c \
	netproc/gateway/packet.c $(shield_sources) $(addr_sources)
fuzz_fragment_sources = tests/fuzz/fuzz_fragment.c netproc/link/checksum.c \
	netproc/link/fragment.c netproc/link/fragment_split.c $(addr_sources)
fuzz_dhcp_sources = tests/fuzz/fuzz_dhcp.c netproc/gateway/dhcp.c \
	netproc/gateway/dhcp_message.c netproc/gateway/dns_name.c
fuzz_dhcp6_sources = tests/fuzz/fuzz_dhcp6.c netproc/gateway/dhcp6.c \
	netproc/gateway/dhcp6_message.c netproc/gateway/dns_name.c
fuzz_dns_sources = tests/fuzz/fuzz_dns.c netproc/gateway/dns.c \
	netproc/gateway/dns_edns.c netproc/gateway/dns_local.c \
	netproc/gateway/dns_name.c netproc/gateway/dns_table.c
fuzz_frame_sources = tests/fuzz/fuzz_frame.c netproc/link/frame.c
fuzz_lwip_sources = tests/fuzz/fuzz_lwip.c $(shield_sources)
fuzz_channel_sources = tests/fuzz/fuzz_channel.c ipc/channel.c ipc/proto.c

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

FUZZ_RUN = srcdir='$(abs_srcdir)' FUZZ_CC='$(FUZZ_CC)' \
	FUZZ_SECONDS='$(FUZZ_SECONDS)' \
	LWIP_DIR='$(LWIP_DIR)' \
	$(SHELL) $(srcdir)/tests/fuzz/run.sh

fuzz-short: fuzz-shield fuzz-fragment fuzz-dhcp fuzz-dhcp6 fuzz-dns \
	fuzz-frame fuzz-lwip fuzz-channel

fuzz-shield:
	$(FUZZ_RUN) shield $(fuzz_shield_sources)
fuzz-fragment:
	$(FUZZ_RUN) fragment $(fuzz_fragment_sources)
fuzz-dhcp6:
	$(FUZZ_RUN) dhcp6 $(fuzz_dhcp6_sources)
fuzz-dhcp:
	$(FUZZ_RUN) dhcp $(fuzz_dhcp_sources)
fuzz-dns:
	$(FUZZ_RUN) dns $(fuzz_dns_sources)
fuzz-frame:
	$(FUZZ_RUN) frame $(fuzz_frame_sources)
# lwIP builds a timestamp with shifts into the sign bit, which every compiler
# does as it means.
fuzz-lwip:
	$(FUZZ_RUN) lwip -fno-sanitize=shift-base $(fuzz_lwip_sources) \
	    `sed -n 's,^src/,$(LWIP_DIR)/&,p' $(srcdir)/netproc/lwip/sources.list`
fuzz-channel:
	$(FUZZ_RUN) channel $(fuzz_channel_sources)

clean-local:
	rm -rf fuzz-work

.PHONY: fuzz-short fuzz-shield fuzz-fragment fuzz-dhcp fuzz-dhcp6 \
	fuzz-dns fuzz-frame fuzz-lwip fuzz-channel
