# shellcheck shell=bash
# TAP for tests in bash: ok, is, skip_all, finish.

tap_n=0
tap_failed=0

# ok STATUS SENTENCE: STATUS is a command's, 0 for success.
ok()
{
	tap_n=$((tap_n + 1))
	if [ "$1" -eq 0 ]; then
		echo "ok $tap_n - $2"
	else
		echo "not ok $tap_n - $2"
		tap_failed=$((tap_failed + 1))
	fi
}

# is GOT WANTED SENTENCE
is()
{
	if [ "$1" = "$2" ]; then
		ok 0 "$3"
	else
		ok 1 "$3"
		printf '%s\n' "got    $1" "wanted $2" | sed 's/^/# /'
	fi
}

# none FOUND SENTENCE: fails with every line of FOUND, passes if it is empty.
none()
{
	if [ -z "$1" ]; then
		ok 0 "$2"
	else
		ok 1 "$2"
		printf '%s\n' "$1" | sed 's/^/# /'
	fi
}

# skip REASON SENTENCE
skip()
{
	tap_n=$((tap_n + 1))
	echo "ok $tap_n - $2 # SKIP $1"
}

skip_all()
{
	echo "1..0 # SKIP $1"
	exit 0
}

finish()
{
	echo "1..$tap_n"
	exit $((tap_failed > 0))
}
