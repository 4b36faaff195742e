# Figures, not verdicts: `make bench` prints them, `make check` leaves them out.
EXTRA_DIST += tests/bench/bench.py tests/bench/cases.py \
	tests/bench/contenders.py tests/bench/many.py tests/bench/plot.py \
	tests/bench/report.py \
	tests/bench/RESULTS.md
EXTRA_PROGRAMS += tests/bench/udpload
tests_bench_udpload_SOURCES = tests/bench/udpload.c
tests_bench_udpload_LDADD = $(LIBBSD_LIBS)

bench: all tests/lib/tapshuttle tests/bench/udpload
	SALLYPORT='$(abs_builddir)/sallyport' python3 \
	    $(srcdir)/tests/bench/bench.py $(BENCH_FLAGS)

.PHONY: bench
