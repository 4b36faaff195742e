#!/bin/bash
# What STYLE demands of the sources and a compiler does not: checked by text.
set -u
. "$(dirname "$0")/../lib/tap.sh"
cd "$(dirname "$0")/../.." || exit 1

# Whatever the tree is (a clone, a tarball): build directories hold no sources.
code=$(find ipc sandbox parent netproc relayproc tests -name '*.[ch]' \
    ! -path netproc/lwip/src/\* | sort)
own=$(echo "$code" | grep -v -e '^tests/' -e '^netproc/lwip/')

# Lines that a grep finds in the sources.
found()
{
	# shellcheck disable=SC2086 # a list of files
	grep -nE "$@" $code
}

none "$(grep -nE '#include "(\.\./)*relayproc/' $(echo "$own" | grep ^netproc/))" \
    "netproc includes nothing of relayproc"
none "$(grep -nE '#include "(\.\./)*netproc/' $(echo "$own" | grep ^relayproc/))" \
    "relayproc includes nothing of netproc"
none "$(grep -nE '#include "(\.\./)*(parent|netproc|relayproc)/' \
    $(echo "$own" | grep -e ^ipc/ -e ^sandbox/))" \
    "what processes share includes no process's header"
none "$(grep -lE '#include ["<]lwip/' $(echo "$own" | grep -v ^netproc/))" \
    "only netproc includes lwIP"
none "$(found '\b(sprintf|vsprintf|strcpy|strcat|stpcpy|strncpy|strncat|atoi|atol|alloca|gets|strtok|mktemp|tmpnam)[[:space:]]*\(')" \
    "no unsafe call"
none "$(found '\b(TO''DO|FIX''ME|XX''X|HA''CK)\b')" "nothing is left for later"
none "$(found '[[:space:]]$')" "no space at the end of a line"
none "$(wc -l $code | awk '$2 != "total" && $1 > 600 { print $2 " has " $1 }')" \
    "no file of more than 600 lines"
none "$(awk '
	FNR == 1 || /clang-format on/ { table = 0 }
	/clang-format off/ { table = 1 }
	{
		line = $0
		while ((at = index(line, "\t")) > 0)
			line = substr(line, 1, at - 1) \
			    sprintf("%*s", 8 - (at - 1) % 8, "") \
			    substr(line, at + 1)
		word = line
		sub(/^ +/, "", word)
		if (!table && length(line) > 80 && word ~ / /)
			print FILENAME ":" FNR
	}' $code)" "no line of more than 80 columns, but in a table or of one word"
none "$(awk '
	FNR == 1 { open = 0 }
	/^[a-z_][a-z0-9_]*\(/ { name = $0 }
	/^{/ { open = FNR }
	/^}/ {
		if (open && FNR - open - 1 > 60)
			print FILENAME ": " name " has " FNR - open - 1
		open = 0
	}' $own)" "no function of more than 60 lines"
none "$(for header in $(echo "$own" | grep '\.h$'); do
	guard=$(echo "$header" | tr 'a-z/.-' 'A-Z___')
	short=$(echo "${header%%/*}_${header##*/}" | tr 'a-z/.-' 'A-Z___')
	head -n 40 "$header" | grep -qE "^#ifndef ($guard|$short)\$" ||
	    echo "$header: $guard"
    done)" "every header has its guard, named after it"
none "$(for script in autogen.sh .ci/run $(find tools tests -type f); do
	case $(head -c 12 "$script" | head -n 1 | tr -d '\0') in
	"#!/bin/sh"*) sh -n "$script" 2>&1 ;;
	"#!/bin/bash"*) bash -n "$script" 2>&1 ;;
	esac
    done)" "every script parses"
none "$(find tests -name '*.py' -o -name '*.sh' -o -name '*.[ch]' |
    sort | while read -r file; do
	# A program's fragment may name it without its source.
	grep -qF -e "${file%.c}" Makefile.am tests/*/*.mk || echo "$file"
    done)" "every file of the tests stands in a fragment, to be run and shipped"
finish
