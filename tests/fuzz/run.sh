#!/bin/sh
# Runs each of $FUZZ_TARGETS, or every target, for $FUZZ_SECONDS (0: its corpus
# once), in a build of its own under ./fuzz-build.  What a target learns stays
# there in work/NAME, its crashes as crash-* beside it; the corpus of the source
# tree, $srcdir, is only read.
#
# With FUZZ_SANITIZER=memory under MSan, in ./fuzz-memory, and without the
# targets of which a library has a part: MSan takes what that writes for
# unwritten.
set -eu
cc=${FUZZ_CC:-clang}
all=$(cd "$srcdir/tests/fuzz" && ls fuzz_*.c | sed 's/^fuzz_\(.*\)\.c$/\1/')
if [ "${FUZZ_SANITIZER:-}" = memory ]; then
	build=$PWD/fuzz-memory
	fuzzers=--enable-fuzzers=memory
	all=$(echo "$all" | grep -vxE 'relayproc|config')
else
	build=$PWD/fuzz-build
	fuzzers=--enable-fuzzers
fi
if [ "${FUZZ_SECONDS:-60}" -eq 0 ]; then
	limit=-runs=0
else
	limit=-max_total_time=${FUZZ_SECONDS:-60}
fi

if ! command -v "$cc" >/dev/null; then
	echo "fuzz: there is no $cc" >&2
	echo "Mend: tools/deps clang" >&2
	exit 1
fi
mkdir -p "$build"
cd "$build"
[ -f Makefile ] ||
    "$srcdir/configure" CC="$cc" "$fuzzers" --with-lwip="$LWIP_DIR"

targets=${FUZZ_TARGETS:-$all}
make -j"$(nproc)" $(printf 'tests/fuzz/fuzz_%s ' $targets)
for name in $targets; do
	mkdir -p "work/$name"
	set --
	[ ! -f "$srcdir/tests/fuzz/dict/$name.dict" ] ||
	    set -- -dict="$srcdir/tests/fuzz/dict/$name.dict"
	"tests/fuzz/fuzz_$name" "$@" "$limit" \
	    -print_final_stats=1 -artifact_prefix="work/$name/" \
	    "work/$name" "$srcdir/tests/fuzz/corpus/$name"
done
