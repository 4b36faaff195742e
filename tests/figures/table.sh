#!/bin/sh
# Prints the figures that tests have left in their logs as one table, in the
# order of the guarantees.  Run it in the build's directory.
#
# usage: table.sh TEST...
set -eu

for test in "$@"; do
	sed -n 's/^# figure: //p' "${test%.*}.log"
done | sort -t '|' -k 1,1 -s | awk -F ' [|] ' '
	BEGIN { printf "%-4s %-54s %16s  %s\n", "", "figure", "is", "must be" }
	{ printf "%-4s %-54s %16s  %s\n", $1, $2, $3, $4 }'
