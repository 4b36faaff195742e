#!/bin/bash
# tools/build, in a tree where what it calls only says so.
set -u
. "$(dirname "$0")/../lib/tap.sh"
top=$(cd "$(dirname "$0")/../.." && pwd)
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

mkdir "$dir/tools" && cp "$top/tools/build" "$dir/tools/build"
for stub in tools/deps tools/fetch-lwip; do
	printf '#!/bin/sh\n' >"$dir/$stub"
done
cat >"$dir/configure" <<'STUB'
#!/bin/sh
printf '%s:\n\t@echo $@ >>made\n' all clean >Makefile
STUB
chmod 755 "$dir"/tools/* "$dir/configure"
cd "$dir" || exit 1

# build OPTION...: into a relative directory.
build()
{
	SALLYPORT_BUILD=out tools/build "$@" 2>&1
}

none "$(build >said || cat said)" \
    "tools/build builds in a directory with a relative name"
build >/dev/null
ok $? "it builds again"
is "$(paste -sd " " out/made)" "all all" \
    "nothing is cleaned up at first, and what is there not made again"
build CFLAGS=-O0 >/dev/null
is "$(paste -sd " " out/made)" "all all clean all" \
    "with other options everything is made again"
rm out/options
build CFLAGS=-O0 >/dev/null
is "$(paste -sd " " out/made)" "all all clean all clean all" \
    "and so it is where they are not known, of a configure by hand"

finish
