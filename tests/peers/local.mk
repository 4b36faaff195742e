# A table with a verdict: `make peers` prints what sallyport, passt and
# slirp4netns do with the same wire; `make check` only sees that it works.
peers_tests = tests/peers/check.py

TESTS += $(peers_tests)
EXTRA_DIST += $(peers_tests) tests/peers/RESULTS.md \
	tests/peers/peers.py tests/peers/contenders.py \
	tests/peers/probe.py tests/peers/raw.py tests/peers/resolver.py \
	tests/peers/probes_tcp.py tests/peers/probes_segments.py \
	tests/peers/probes_datagrams.py tests/peers/probes_link.py \
	tests/peers/probes_names.py tests/peers/probes_ipv6.py \
	tests/peers/probes_publish.py tests/peers/probes_safety.py

peers: all tests/lib/tapshuttle
	SALLYPORT='$(abs_builddir)/sallyport' python3 \
	    $(srcdir)/tests/peers/peers.py $(PEERS_FLAGS)

.PHONY: peers
