#!/bin/bash
# The processes are archives of one program, and of two definitions of a name
# in two archives the linker takes the first without a word: a role could run
# another's function.
set -u
. "$(dirname "$0")/../lib/tap.sh"

cd "${top_builddir:-.}" || exit 1
archives=$(find ipc sandbox parent netproc relayproc -name '*.a')
if [ -z "$archives" ]; then
	skip_all "nothing is built here"
fi
command -v nm > /dev/null || skip_all "nm is not installed"

# shellcheck disable=SC2086 # a list of files
none "$(nm --defined-only --extern-only --print-file-name $archives |
    awk 'NF >= 3 && $(NF - 1) ~ /^[TDBRGS]$/ {
	split($1, where, ":")
	if ($NF in first && first[$NF] != where[1])
		print $NF ": " first[$NF] " and " where[1]
	first[$NF] = where[1]
    }')" "no name is defined in two archives"

finish
