# What takes minutes by nature: `make check-slow`; `make check` leaves it out.
EXTRA_DIST += tests/slow/timers.py tests/slow/soak.py

check-slow: all tests/lib/tapshuttle
	$(MAKE) $(AM_MAKEFLAGS) check \
	    TESTS='tests/slow/timers.py $(spliced_slow_tests)'

# Everything at once for so many seconds; then nothing may be left of it.
SOAK_S = 600
soak: all tests/lib/tapshuttle
	SOAK_S=$(SOAK_S) $(MAKE) $(AM_MAKEFLAGS) check TESTS='tests/slow/soak.py' \
	    TEST_LIMIT_S=`expr $(SOAK_S) + 600`
	@grep '^#' tests/slow/soak.log

.PHONY: check-slow soak

# Each row of the filters is taken out in turn, and a test must break: G9.
EXTRA_PROGRAMS += tests/slow/mutant
tests_slow_mutant_SOURCES = parent/main.c tests/slow/mutant.c
tests_slow_mutant_LDADD = $(sallyport_LDADD)
tests_slow_mutant_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=filter_load
EXTRA_DIST += tests/slow/minimal.py

EXTRA_PROGRAMS += tests/slow/mutant_malloc
tests_slow_mutant_malloc_SOURCES = tests/slow/mutant.c \
	$(tests_unit_test_filter_live_SOURCES)
tests_slow_mutant_malloc_LDADD = $(tests_unit_test_filter_live_LDADD)
tests_slow_mutant_malloc_LDFLAGS = $(tests_slow_mutant_LDFLAGS)

check-minimal: all tests/slow/mutant tests/slow/mutant_malloc \
    tests/lib/tapshuttle
	$(MAKE) $(AM_MAKEFLAGS) check TESTS='tests/slow/minimal.py' \
	    TEST_LIMIT_S=7200
	@grep '^#' tests/slow/minimal.log

.PHONY: check-minimal
