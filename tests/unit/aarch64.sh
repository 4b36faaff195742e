#!/bin/bash
# The filters of aarch64: compiled for it from the same tables, run by QEMU's
# user emulation and printed.  They must be those of x86_64 but for the calls
# that aarch64 lacks and what stands in their place.
set -u
. "$(dirname "$0")/../lib/tap.sh"

top=${top_srcdir:-.}
cc=aarch64-linux-gnu-gcc
command -v $cc > /dev/null ||
	skip_all "no $cc: install gcc-aarch64-linux-gnu libc6-dev-arm64-cross"
command -v qemu-aarch64 > /dev/null ||
	skip_all "no qemu-aarch64: install qemu-user"

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

said=$($cc -std=gnu11 -D_GNU_SOURCE -Wall -Werror -I"$top" -static \
    -o "$dir/policy" "$top/tests/unit/aarch64_policy.c" \
    "$top/sandbox/dump.c" "$top/sandbox/policy_parent.c" \
    "$top/sandbox/policy_netproc.c" "$top/sandbox/policy_relayproc.c" \
    "$top/sandbox/policy_splice.c" 2>&1)
none "$said" "the tables compile for aarch64"

qemu-aarch64 "$dir/policy" > "$dir/aarch64.txt" 2>&1
ok $? "they can be printed"

# What aarch64 has instead, with its arguments.
sed -e 's/^epoll_wait$/epoll_pwait arg4 == (long)0/' \
    -e 's/^epoll_wait arg0 == FD_EPOLL$/epoll_pwait arg0 == FD_EPOLL arg4 == (long)0/' \
    "$top/tests/unit/golden/policy_parent.txt" \
    "$top/tests/unit/golden/policy_netproc.txt" \
    "$top/tests/unit/golden/policy_relayproc_splice.txt" |
	sed '/^epoll_pwait/{n;s/$/; no signal mask/}' > "$dir/wanted.txt"
none "$(diff "$dir/wanted.txt" "$dir/aarch64.txt")" \
    "they are those of x86_64, but for calls that aarch64 lacks"

finish
