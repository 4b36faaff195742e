# Guarantees as figures.  A small number of kills is in `make check`; `make
# figures` and `make kills` take 1000, and 100 on a real guest, or as KILLS and
# VM_KILLS say.
figures_scripts = tests/figures/kills.py tests/figures/payload.py \
	tests/figures/stale_memory.py
figures_slow = tests/figures/neighbour.py
TESTS += $(figures_scripts)
EXTRA_DIST += $(figures_scripts) $(figures_slow) tests/figures/table.sh

KILLS = 1000
VM_KILLS = 100

# What says "figure:" in its log.
figures_tests = $(figures_scripts) tests/e2e/evidence.py tests/e2e/idle.py \
	tests/hostile/netproc_taken.py tests/hostile/floods.py \
	$(figures_slow) tests/slow/minimal.py \
	tests/e2e/respawn.py

# Every guarantee's figure, as one table.
figures: all tests/lib/tapshuttle tests/fuzz/fuzz_netproc \
    tests/slow/mutant tests/slow/mutant_malloc
	KILLS=$(KILLS) $(MAKE) $(AM_MAKEFLAGS) check TESTS='$(figures_tests)' \
	    TEST_LIMIT_S=7200
	@sh $(srcdir)/tests/figures/table.sh $(figures_tests)

kills: all tests/lib/tapshuttle
	KILLS=$(KILLS) $(MAKE) $(AM_MAKEFLAGS) check TESTS=tests/figures/kills.py \
	    TEST_LIMIT_S=7200
	@grep '^#' tests/figures/kills.log
	KILLS=$(VM_KILLS) $(MAKE) $(AM_MAKEFLAGS) check TESTS=tests/vm/kills.sh \
	    TEST_LIMIT_S=7200
	@grep '^#' tests/vm/kills.log

# Whether memory that nobody has written leaves netproc.
check-valgrind: all tests/fuzz/fuzz_netproc
	$(MAKE) $(AM_MAKEFLAGS) check TESTS=tests/figures/stale_memory.py
	@grep '^#' tests/figures/stale_memory.log

.PHONY: figures kills check-valgrind
