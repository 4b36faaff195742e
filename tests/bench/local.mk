# Figures, not verdicts: `make bench` prints them, `make check` leaves them out.
EXTRA_DIST += tests/bench/bench.py tests/bench/cases.py \
	tests/bench/contenders.py tests/bench/many.py tests/bench/plot.py \
	tests/bench/report.py \
	tests/bench/RESULTS.md
EXTRA_PROGRAMS += tests/bench/floor tests/bench/udpload
tests_bench_floor_SOURCES = tests/bench/floor.c
tests_bench_floor_LDADD = netproc/libnetproc.a ipc/libipc.a $(LIBBSD_LIBS)
tests_bench_udpload_SOURCES = tests/bench/udpload.c
tests_bench_udpload_LDADD = $(LIBBSD_LIBS)

bench: all tests/lib/tapshuttle tests/bench/floor tests/bench/udpload
	SALLYPORT='$(abs_builddir)/sallyport' python3 \
	    $(srcdir)/tests/bench/bench.py $(BENCH_FLAGS)

.PHONY: bench
