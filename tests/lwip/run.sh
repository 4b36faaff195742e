#!/bin/bash
# lwIP's own unit tests, against our options: what netproc compiles of lwIP,
# and the tests that came with it, under tests/lwip/lwipopts.h.
set -u
. "$(dirname "$0")/../lib/tap.sh"
cd "$(dirname "$0")/../.." || exit 1
top=$PWD

[ -n "${LWIP_DIR:-}" ] || skip_all "LWIP_DIR is not set: use make check"
[ -d "$LWIP_DIR/test/unit" ] || skip_all "$LWIP_DIR came without its tests"
echo '#include <check.h>' | ${CC:-cc} -E - >/dev/null 2>&1 ||
    skip_all "there is no check.h: tools/deps check"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
touch "$work/config.h" # which lwip_check.h includes

sources=$(sed -e 's/#.*//' netproc/lwip/sources.list)
cd "$LWIP_DIR" || exit 1
# shellcheck disable=SC2046,SC2086 # lists of words
${CC:-cc} -std=gnu11 -g -O1 -w -I"$top/tests/lwip" -I"$work" -I"$top" \
    -I"$top/netproc/lwip" -Isrc/include -Itest/unit -o "$work/tests" \
    "$top/tests/lwip/main.c" $sources src/core/stats.c test/unit/tcp/*.c \
    test/unit/core/test_pbuf.c test/unit/core/test_def.c \
    $(pkg-config --cflags --libs check 2>/dev/null || echo -lcheck) \
    >"$work/log" 2>&1 || {
	sed 's/^/# /' "$work/log"
	echo "Bail out! lwIP's tests do not compile against our options"
	exit 1
}
cd "$work" && ./tests
