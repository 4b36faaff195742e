#!/bin/sh
# run.sh NAME [FLAG...] SOURCE...: builds a target with libFuzzer and runs it for
# $FUZZ_SECONDS.  What it learns stays in ./fuzz-work/NAME, a crash as crash-*
# there; the corpus of the source tree, $srcdir, is only read.
set -eu
name=$1
shift
work=$PWD/fuzz-work/$name
cc=${FUZZ_CC:-clang}

if ! command -v "$cc" >/dev/null; then
	echo "fuzz-short: no $cc.  Mend: apt-get install clang" >&2
	exit 1
fi
mkdir -p "$work"
(
	cd "$srcdir"
	"$cc" -std=gnu11 -g -O1 -fno-omit-frame-pointer -fno-strict-aliasing \
	    -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all \
	    -D_GNU_SOURCE -I. -Inetproc/lwip -isystem "$LWIP_DIR/src/include" \
	    -o "$work.fuzz" "$@"
)
exec "$work.fuzz" -max_total_time="${FUZZ_SECONDS:-60}" -print_final_stats=1 \
    -artifact_prefix="$work/" "$work" "$srcdir/tests/fuzz/corpus/$name"
