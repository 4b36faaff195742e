#!/bin/bash
# Every header compiles alone: whoever includes it needs nothing before it.
set -u
. "$(dirname "$0")/../lib/tap.sh"
cd "$(dirname "$0")/../.." || exit 1
[ -n "${TEST_CPPFLAGS:-}" ] || skip_all "TEST_CPPFLAGS is not set: use make lint"

for header in $(find ipc sandbox parent netproc relayproc tests -name '*.h' \
    ! -path netproc/lwip/\* | sort); do
	# shellcheck disable=SC2086 # lists of words
	none "$(echo "#include \"$header\"" | ${CC:-cc} -std=gnu11 -Wall -Wextra \
	    -Werror -fsyntax-only -I. $TEST_CPPFLAGS -x c - 2>&1)" \
	    "$header compiles alone"
done
finish
