# lwIP's own unit tests, compiled where lwIP is.
TESTS += tests/lwip/run.sh
EXTRA_DIST += tests/lwip/run.sh tests/lwip/main.c tests/lwip/lwipopts.h
