# What takes minutes by nature: `make check-slow`; `make check` leaves it out.
EXTRA_DIST += tests/slow/timers.py

check-slow: all tests/lib/tapshuttle
	$(MAKE) $(AM_MAKEFLAGS) check TESTS='tests/slow/timers.py'

.PHONY: check-slow
