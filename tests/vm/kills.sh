#!/bin/bash
# A real guest whose sidecar loses a process again and again: the VM, which
# sallyport has started and which cannot connect a second time, boots once,
# keeps its lease, and works in between and afterwards.  KILLS of them, 15
# unless that says otherwise.
set -u

# shellcheck source=tests/lib/vm.sh
. "$(dirname "$0")/../lib/vm.sh"
. "$(dirname "$0")/../lib/tap.sh"

kills=${KILLS:-15}
ctl=$(dirname "${SALLYPORT:-}")/sallyportctl
[ -x "${SALLYPORT:-}" ] || skip_all "SALLYPORT=${SALLYPORT:-} is no program"
[ -x "$ctl" ] || skip_all "$ctl is no program"
vm_possible || skip_all "$vm_reason"
if [ "${VM_NAMESPACE:-}" != own ]; then
	VM_NAMESPACE=own exec unshare --net bash "$0" "$@"
fi
trap vm_world_down EXIT
trap 'exit 143' INT TERM HUP
vm_world_up || skip_all "$vm_reason"

echo "the page" >"$vm_tmp/www/index.html"
head -c $((1 << 20)) /dev/urandom >"$vm_tmp/www/blob"
blob_sum=$(sha256sum <"$vm_tmp/www/blob")
blob_sum=${blob_sum%% *}

# Downloads go on until the host connects to port 81; each is whole, cut short
# by a reset, or wrong.
cat >"$vm_tmp/job" <<JOB
say() { echo "guest: \$*"; }
mkdir /tmp/www
echo "the guest's page" >/tmp/www/index.html
httpd -p 80 -h /tmp/www
(
	whole=0 cut=0 wrong=0
	while [ ! -e /tmp/done ]; do
		rm -f /tmp/blob
		if ! timeout 20 wget -q -O /tmp/blob http://$vm_www/blob; then
			cut=\$((cut + 1))
		elif [ "\$(sha256sum </tmp/blob | cut -c 1-64)" = $blob_sum ]; then
			whole=\$((whole + 1))
		else
			wrong=\$((wrong + 1))
		fi
	done
	say whole \$whole
	say cut \$cut
	say wrong \$wrong
) &
say listens
nc -l -p 81 >/dev/null </dev/null
touch /tmp/done
wait
say page \$(wget -q -O - http://$vm_name/)
say pings \$(ping -c 5 -i 1 100.96.0.1 | awk '/received/ { print \$4 }')
JOB

# Kills, and says how long the guest's page could not be fetched.
cat >"$vm_tmp/kills.py" <<'PYTHON'
import os, random, socket, statistics, subprocess, sys, time
ctl, control, kills = sys.argv[1], sys.argv[2], int(sys.argv[3])

def status():
    said = subprocess.run([ctl, "-s", control, "status"], text=True,
                          capture_output=True, timeout=10).stdout
    return dict(line.split(": ", 1) for line in said.splitlines())

def page():
    try:
        with socket.create_connection(("127.0.0.1", 8080), 2) as sock:
            sock.settimeout(2)
            sock.sendall(b"GET / HTTP/1.0\r\n\r\n")
            said = b""
            while data := sock.recv(4096):
                said += data
            return b"the guest's page" in said
    except OSError:
        return False

def until_page(start):
    while not page():
        if time.monotonic() - start > 20:
            return None
        time.sleep(0.001)
    return time.monotonic() - start

usual, gaps = [], []
for turn in range(kills):
    time.sleep(random.uniform(0.05, 0.3))
    usual.append(until_page(time.monotonic()))
    role = "relayproc" if turn % 4 == 3 else "netproc"
    pid = int(status()[role + "_pid"])
    start = time.monotonic()
    os.kill(pid, 9)
    while int(status()["restarts"]) <= turn:
        if time.monotonic() - start > 10:
            sys.exit("not replaced")
    gaps.append(until_page(start))
    if gaps[-1] is None:
        sys.exit("the guest does not answer after kill %d" % turn)
for name, values in (("usual", usual), ("gap", gaps)):
    values.sort()
    print("# %s: p50 %.0f ms, p99 %.0f ms, max %.0f ms" % (
        name, 1e3 * statistics.median(values),
        1e3 * values[int(len(values) * 0.99)], 1e3 * values[-1]), flush=True)
PYTHON

declare -A said
boots=0
attend()
{
	said[$1]=$2
	[ "$1" != booted ] || boots=$((boots + 1))
	[ "$1" = listens ] || return
	python3 "$vm_tmp/kills.py" "$ctl" "$vm_tmp/control" "$kills" \
	    2>&1 | tee "$vm_tmp/kills.out"
	said[killed]=${PIPESTATUS[0]}
	curl -s -m 5 telnet://127.0.0.1:8081 </dev/null
}

: >"$vm_tmp/log"
vm_initramfs "$vm_tmp/initramfs" "$vm_tmp/job"
vm_command "$vm_tmp/initramfs"
VM_LIMIT_S=$((180 + kills)) vm_boot attend "$SALLYPORT" -p 8080:80 \
    -p 8081:81 --dns "$vm_resolver" --max-restarts 100000 \
    --control "$vm_tmp/control" -- "${vm_qemu[@]}" -netdev \
    "stream,id=net,addr.type=fd,addr.str={fd}"
is "${said[killed]:-none}" 0 "after each of $kills kills the guest answers"
is "$boots" 1 "the guest has booted once"
is "$(grep -c 'replaced in' "$vm_tmp/log")" "$kills" "as many processes were replaced"
is "$(grep -c 'vmm gone' "$vm_tmp/log")" 1 "the VMM has gone once, at its end"
is "$(grep -c 'DHCP: the guest has' "$vm_tmp/log")" 1 "one lease was enough"
is "${said[wrong]:-none}" 0 "no download was whole, and wrong (${said[whole]:-?} whole, ${said[cut]:-?} cut)"
is "${said[page]:-none}" "the page" "a page is fetched by name afterwards"
is "${said[pings]:-none}" 5 "and the gateway answers every ping"
is "${said[status]:-none}" 0 "sallyport ends with the VMM's status"
[ $tap_failed -eq 0 ] || grep -v counters "$vm_tmp/log" | tail -n 30 | sed 's/^/# log: /'
[ $tap_failed -eq 0 ] || tail -n 30 "$vm_tmp/console" | sed 's/^/# console: /'
finish
