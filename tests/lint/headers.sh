#!/bin/bash
# Every header compiles alone: whoever includes it needs nothing before it.
# And lwIP's options are such: one that it has not is a switch of nothing.
set -u
. "$(dirname "$0")/../lib/tap.sh"
top=$(cd "$(dirname "$0")/../.." && pwd) || exit 1
[ -n "${TEST_CPPFLAGS:-}" ] || skip_all "TEST_CPPFLAGS is not set: use make lint"

# From the build directory, as paths in the flags may be relative to that.
for header in $(cd "$top" && find ipc sandbox parent netproc relayproc tests \
    -name '*.h' ! -path netproc/lwip/\* | sort); do
	# shellcheck disable=SC2086 # lists of words
	none "$(echo "#include \"$header\"" | ${CC:-cc} -std=gnu11 -Wall -Wextra \
	    -Werror -fsyntax-only "-I$top" $TEST_CPPFLAGS -x c - 2>&1)" \
	    "$header compiles alone"
done

none "$(case $TEST_CPPFLAGS in
*"${LWIP_DIR:-/nowhere}"*) echo "$TEST_CPPFLAGS" ;;
esac)" "no flag has the name of lwIP's place, which may have blanks"

lwip=
for word in $TEST_CPPFLAGS; do
	[ ! -e "${word#-I}/lwip/opt.h" ] || lwip=${word#-I}/..
done
none "$(for option in $(sed -n 's/^#define \([A-Z0-9_]*\).*/\1/p' \
    "$top/netproc/lwip/lwipopts.h"); do
	grep -qrw "$option" "${lwip:-/nowhere}" ||
		[ "$option" = NETPROC_LWIPOPTS_H ] || echo "$option"
done 2>&1)" "lwIP has every option that lwipopts.h sets"
finish
