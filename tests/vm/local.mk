# A real guest; skips with its reason where none can run.
TESTS += tests/vm/guest.sh tests/vm/kills.sh
EXTRA_DIST += tests/vm/guest.sh tests/vm/kills.sh tests/lib/vm.sh
