# End to end: a kernel TCP stack as the guest, real servers, three network
# namespaces a script.  They skip, saying why, where they cannot run.
check_PROGRAMS += tests/lib/tapshuttle tests/lib/failcall
tests_lib_failcall_SOURCES = tests/lib/failcall.c
tests_lib_tapshuttle_SOURCES = tests/lib/tapshuttle.c
tests_lib_tapshuttle_CFLAGS = $(AM_CFLAGS) -pthread
tests_lib_tapshuttle_LDFLAGS = $(AM_LDFLAGS) -pthread
tests_lib_tapshuttle_LDADD = $(LIBBSD_LIBS)

rig_modules = tests/lib/tap.py tests/lib/world.py tests/lib/sidecar.py \
	tests/lib/traffic.py tests/lib/visits.py tests/lib/frames.py tests/lib/datagrams.py \
	tests/lib/nd.py tests/lib/segments.py tests/lib/resolver.py \
	tests/lib/inject.py tests/lib/puppet.py tests/lib/words.py \
	tests/hostile/stage.py tests/hostile/fuzzed.py

e2e_tests = tests/e2e/rig.py tests/e2e/transfer.py tests/e2e/flows.py \
	tests/e2e/churn.py tests/e2e/fairness.py \
	tests/e2e/connect.py tests/e2e/close.py tests/e2e/backpressure.py \
	tests/e2e/publish.py tests/e2e/publish_edges.py \
	tests/e2e/dns.py tests/e2e/resolv_conf.py \
	tests/e2e/dhcp.py tests/e2e/floor.py tests/e2e/limits.py tests/e2e/link.py \
	tests/e2e/lifecycle.py tests/e2e/jail.py tests/e2e/evidence.py \
	tests/e2e/udp.py \
	tests/e2e/idle.py \
	tests/e2e/icmp.py tests/e2e/fragment.py tests/e2e/ipv6.py \
	tests/e2e/tcp_fidelity.py tests/e2e/acks.py tests/e2e/tcp_ends.py \
	tests/e2e/rexmit.py tests/e2e/reorder.py tests/e2e/refusal.py \
	tests/e2e/dns_tcp.py tests/e2e/publish_udp.py \
	tests/e2e/guest_life.py tests/e2e/peers_tools.py \
	tests/e2e/peers_files.py tests/e2e/respawn.py tests/e2e/clock.py

# The same rig, a guest that means harm.
hostile_tests = tests/hostile/guest.py tests/hostile/impossible.py \
	tests/hostile/faults.py tests/hostile/stops.py \
	tests/hostile/netproc_taken.py tests/hostile/relayproc_taken.py \
	tests/hostile/floods.py tests/hostile/tools.py

# The same once more with the other data plane, but for what has none.
spliced_tests = tests/spliced/e2e-transfer.sh tests/spliced/e2e-flows.sh \
	tests/spliced/e2e-churn.sh tests/spliced/e2e-fairness.sh \
	tests/spliced/e2e-connect.sh tests/spliced/e2e-close.sh \
	tests/spliced/e2e-backpressure.sh tests/spliced/e2e-publish.sh \
	tests/spliced/e2e-publish_edges.sh tests/spliced/e2e-limits.sh \
	tests/spliced/e2e-lifecycle.sh tests/spliced/e2e-jail.sh \
	tests/spliced/e2e-idle.sh tests/spliced/e2e-ipv6.sh \
	tests/spliced/e2e-tcp_fidelity.sh tests/spliced/e2e-tcp_ends.sh \
	tests/spliced/e2e-dns_tcp.sh \
	tests/spliced/e2e-guest_life.sh tests/spliced/e2e-peers_files.sh \
	tests/spliced/e2e-respawn.sh tests/spliced/hostile-faults.sh \
	tests/spliced/hostile-stops.sh \
	tests/spliced/hostile-netproc_taken.sh \
	tests/spliced/hostile-relayproc_taken.sh
spliced_slow_tests = tests/spliced/hostile-floods.sh

$(spliced_tests) $(spliced_slow_tests):
	$(AM_V_GEN)$(MKDIR_P) $(@D) && \
	    test=`echo $(@F) | sed 's|-|/|; s|sh$$|py|'` && \
	    echo "RELAY=splice exec python3 '$(abs_top_srcdir)/tests/$$test'" >$@

TESTS += $(e2e_tests) $(hostile_tests) $(spliced_tests)
CLEANFILES += $(spliced_tests) $(spliced_slow_tests)
EXTRA_DIST += $(rig_modules) $(e2e_tests) $(hostile_tests)

e2e:
	$(MAKE) $(AM_MAKEFLAGS) check \
	    TESTS='$(e2e_tests) $(hostile_tests) $(spliced_tests)'

.PHONY: e2e
