#!/bin/sh
# Runs each of $FUZZ_TARGETS, or every target, for $FUZZ_SECONDS, in a build of
# its own under ./fuzz-build.  What a target learns stays there in work/NAME, its crashes as
# crash-* beside it; the corpus of the source tree, $srcdir, is only read.
set -eu
build=$PWD/fuzz-build
cc=${FUZZ_CC:-clang}

if ! command -v "$cc" >/dev/null; then
	echo "fuzz-short: there is no $cc" >&2
	echo "Mend: tools/deps clang" >&2
	exit 1
fi
mkdir -p "$build"
cd "$build"
[ -f Makefile ] ||
    "$srcdir/configure" CC="$cc" --enable-fuzzers --with-lwip="$LWIP_DIR"

all=$(cd "$srcdir/tests/fuzz" && ls fuzz_*.c | sed 's/^fuzz_\(.*\)\.c$/\1/')
for name in ${FUZZ_TARGETS:-$all}; do
	mkdir -p "work/$name"
	make "tests/fuzz/fuzz_$name"
	set --
	[ ! -f "$srcdir/tests/fuzz/dict/$name.dict" ] ||
	    set -- -dict="$srcdir/tests/fuzz/dict/$name.dict"
	"tests/fuzz/fuzz_$name" "$@" -max_total_time="${FUZZ_SECONDS:-60}" \
	    -print_final_stats=1 -artifact_prefix="work/$name/" \
	    "work/$name" "$srcdir/tests/fuzz/corpus/$name"
done
