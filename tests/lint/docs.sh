#!/bin/bash
# What the documents say exists.
set -u
. "$(dirname "$0")/../lib/tap.sh"
top=$(cd "$(dirname "$0")/../.." && pwd)
documents="README.md HACKING.md SECURITY.md"
pages=$(cd "$top" && find parent -name '*.[1-8]' | sort)

# The long options in a text, one a line.
options()
{
	grep -oE -e '(^|[^a-z0-9-])--[a-z][a-z0-9-]+' | sed 's/^[^-]*//' | sort -u
}

if [ -x "${SALLYPORT:-}" ]; then
	help=$("$SALLYPORT" --help 2>&1)
	ok $? "--help ends with status 0"
	"$SALLYPORT" --version >/dev/null 2>&1
	ok $? "--version ends with status 0"
	page=$(grep -oE 'Fl -[a-z][a-z0-9-]+' "$top"/parent/sallyport.[1-8] |
	    sed 's/.*Fl -/--/' | sort -u)
	is "$(echo "$help" | options | tr '\n' ' ')" \
	    "$(echo "$page" | tr '\n' ' ')" \
	    "--help and the man page name the same options"
	none "$(for word in $(sed -n '/^```/,/^```/p' "$top/README.md" |
	    grep -E '^ *sallyport |^    ' | options); do
		echo "$help" | grep -q -e "$word\b" || echo "$word"
	    done)" "every option of the README's examples is in --help"
else
	skip "SALLYPORT is no program" "--help and the man page agree"
fi

if command -v mandoc >/dev/null; then
	for name in $pages; do
		none "$(mandoc -T lint -W warning "$top/$name" 2>&1)" \
		    "$name is clean mdoc"
	done
else
	skip "there is no mandoc" "the man pages are clean mdoc"
fi

# Those that relayproc prints, which always are all.
none "$(sed -n '/^#define RELAY_COUNTERS/,/^$/s/.*X(\([a-z_]*\)).*/\1/p' \
    "$top/relayproc/relayproc.h" | while read -r name; do
	grep -qE "^\.It Cm (.* )?$name( |\$)" "$top/parent/sallyport.8" ||
	    echo "$name"
    done)" "every counter of relayproc's is in the man page"

# `tools/x`, `netproc/x.c`, `folder/` in backquotes.
for document in $documents; do
	none "$(grep -oE '`(\./)?[a-zA-Z.][A-Za-z0-9_.-]*/[A-Za-z0-9_./-]*' \
	    "$top/$document" | tr -d '`' | sort -u | while read -r path; do
		[ -e "$top/$path" ] || echo "$path"
	    done)" "every path in $document exists"
done
if [ -f "${top_builddir:-}/Makefile" ]; then
	none "$(cd "$top" && grep -ohE '`make [a-z][a-z-]+' $documents |
	    tr -d '`' | sort -u | while read -r _ target; do
		grep -qE "^$target:" "$top_builddir/Makefile" || echo "make $target"
	    done)" "every make target in the documents exists"
fi
none "$(cd "$top" && grep -ohE -e '--(enable|with)-[a-z-]+' $documents |
    sort -u | while read -r option; do
	grep -q -e "$option" configure.ac m4/*.m4 || echo "$option"
    done)" "every configure option in the documents exists"
finish
