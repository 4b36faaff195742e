# Figures, not verdicts: `make bench` prints them, `make check` leaves them out.
EXTRA_DIST += tests/bench/bench.py

bench: all tests/lib/tapshuttle
	SALLYPORT='$(abs_builddir)/sallyport' python3 \
	    $(srcdir)/tests/bench/bench.py $(BENCH_FLAGS)

.PHONY: bench
