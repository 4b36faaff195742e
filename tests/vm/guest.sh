#!/bin/bash
# A real guest behind sallyport: QEMU, Debian's cloud kernel, busybox; TCP, UDP
# and ping, over IPv4 and IPv6.  Once over --socket, with a second boot on the
# same socket, and once with the VMM started by sallyport itself.
set -u

# shellcheck source=tests/lib/vm.sh
. "$(dirname "$0")/../lib/vm.sh"
. "$(dirname "$0")/../lib/tap.sh"

blob_mib=8
[ -x "${SALLYPORT:-}" ] || skip_all "SALLYPORT=${SALLYPORT:-} is no program"
vm_possible || skip_all "$vm_reason"
if [ "${VM_NAMESPACE:-}" != own ]; then
	VM_NAMESPACE=own exec unshare --net bash "$0" "$@"
fi
trap vm_world_down EXIT
trap 'exit 143' INT TERM HUP
vm_world_up || skip_all "$vm_reason"

echo "the page" >"$vm_tmp/www/index.html"
head -c $((blob_mib << 20)) /dev/urandom >"$vm_tmp/www/blob"
blob_sum=$(sha256sum <"$vm_tmp/www/blob")
blob_sum=${blob_sum%% *}

# Says every datagram back.
cat >"$vm_tmp/echo.py" <<'PYTHON'
import socket
s = socket.socket(socket.AF_INET6 if socket.has_ipv6 else socket.AF_INET,
                  socket.SOCK_DGRAM)
if s.family == socket.AF_INET6:
    s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
s.bind(("", 7))
while True:
    s.sendto(*s.recvfrom(65536))
PYTHON
nsenter --net="/proc/$vm_server/ns/net" -- python3 "$vm_tmp/echo.py" &
vm_pids+=($!)

datagrams=yes
command -v nc.openbsd >/dev/null || datagrams=no

# What the first guest does; "guest: WORD VALUE" lines come back.
cat >"$vm_tmp/job" <<JOB
say() { echo "guest: \$*"; }
# Its TCP says at once why not, by RST or by ICMP.
try() {
	out=\$(timeout 8 wget -O /dev/null "http://\$1/" 2>&1)
	case \$? in
	0) say "try-\$1" reached ;;
	143) say "try-\$1" hangs ;;
	*) case \$out in
	   *refused|*"No route to host"|*"Permission denied") say "try-\$1" refused ;;
	   *) say "try-\$1" "\$out" ;;
	   esac ;;
	esac
}
say name \$(nslookup $vm_name | awk '/^Name:/ { n = 1 } n && /^Address/ { print \$NF; exit }')
nslookup nowhere.invalid >/tmp/out 2>&1 || say no-name \$(grep -o -m1 'NXDOMAIN\|REFUSED\|SERVFAIL\|timed out' /tmp/out)
say page \$(wget -q -O - http://$vm_name/)
mkdir /tmp/www
wget -q -O /tmp/www/blob http://$vm_name/blob
say blob \$(sha256sum </tmp/www/blob | cut -c 1-64)
for there in $vm_host 169.254.169.254 100.96.0.1 $vm_www:9; do try \$there; done
# DNS by TCP: a question for the name's address, two bytes of length first.
printf '\\000\\042\\022\\064\\001\\000\\000\\001\\000\\000\\000\\000\\000\\000\\003www\\007example\\004test\\000\\000\\001\\000\\001' >/tmp/question
say dns-tcp \$(timeout 5 nc 100.96.0.1 53 </tmp/question | tail -c 4 | hexdump -e '3/1 "%d." 1/1 "%d"')
head -c 4000 /dev/urandom >/tmp/large
# ask WORD ADDRESS: a ping, a short datagram, and one that goes in fragments.
ask() {
	ping -c 1 -W 5 \$2 >/dev/null && say ping-\$1 answered
	[ -e /bin/nc.openbsd ] || return
	say udp-\$1 \$(echo "to \$2" | timeout 5 nc.openbsd -u -W 1 \$2 7)
	# With a large MTU here the first may be lost, and tell the path's.
	for _ in 1 2; do
		timeout 2 nc.openbsd -u -W 1 \$2 7 </tmp/large >/tmp/back
		cmp -s /tmp/back /tmp/large && say large-\$1 whole && break
	done
}
ask 4 $vm_www
if [ $vm_ip6 = yes ]; then
	say slaac \$(address6)
	say route6 \$(ip -6 route show default | awk '{ print \$3; exit }')
	ping -c 1 -W 5 fd53:4d00::1 >/dev/null && say ping-gateway6 answered
	say page6 \$(wget -q -O - http://$vm_name6/)
	try "[$vm_host6]"
	ask 6 $vm_www6
fi
httpd -p 80 -h /tmp/www
if [ -e /bin/nc.openbsd ]; then
	mkfifo /tmp/pipe
	nc.openbsd -u -l -p 82 </tmp/pipe | cat >/tmp/pipe &
fi
say listens
nc -l -p 81 >/dev/null </dev/null
say released
JOB
echo 'echo "guest: name $(nslookup '$vm_name' | grep -c '$vm_www')"' \
    >"$vm_tmp/job2"

vm_initramfs "$vm_tmp/initramfs" "$vm_tmp/job"
vm_initramfs "$vm_tmp/initramfs2" "$vm_tmp/job2"

# What the guest waits for is done as it says so.
declare -A said
attend()
{
	said[$1]=$2
	if [ "$1" = listens ]; then
		said[published]=$(curl -s -m 60 http://127.0.0.1:8080/blob |
		    sha256sum | cut -c 1-64)
		said[published6]=$(curl -s -m 60 "http://[::1]:8080/blob" |
		    sha256sum | cut -c 1-64)
		said[published-udp]=$(ask_guest "to the guest")
		curl -s -m 5 telnet://127.0.0.1:8081 </dev/null
	fi
}

# What the guest says back; it may have said that it listens a little early.
ask_guest()
{
	local answer _

	[ "$datagrams" = yes ] || return
	for _ in {1..20}; do
		answer=$(echo "$1" | timeout 2 nc.openbsd -u -W 1 127.0.0.1 8082)
		[ -z "$answer" ] || break
		sleep 0.1
	done
	echo "$answer"
}

# boot INITRAMFS NETDEV [COMMAND...]: a guest, started by the command if given.
boot()
{
	local initramfs=$1 netdev=$2

	shift 2
	said=()
	: >"$vm_tmp/console"
	vm_command "$initramfs"
	vm_boot attend "$@" "${vm_qemu[@]}" -netdev "$netdev"
	granted=${said[lease]:-none}
}

# The checks of the first guest, whichever way its frames came.
check_guest()
{
	local how=$1

	is "${said[lease]:-none}" "$2" "$how: DHCP gives the lease"
	is "${said[name]:-none}" "$vm_www" "$how: a name resolves through the gateway"
	is "${said[no-name]:-none}" NXDOMAIN "$how: an unknown name is answered so"
	is "${said[page]:-none}" "the page" "$how: a page is fetched by name"
	is "${said[blob]:-none}" "$blob_sum" "$how: $blob_mib MiB arrive whole"
	is "${said[published]:-none}" "$blob_sum" \
	    "$how: the host fetches $blob_mib MiB from a published port"
	is "${said[try-$vm_host]:-none}" refused "$how: the host's own address is denied at once"
	is "${said[try-169.254.169.254]:-none}" refused "$how: the metadata address is denied at once"
	is "$(grep -cE "denied tcp ($vm_host|169.254.169.254):80 " \
	    "$vm_tmp/log")" 2 \
	    "$how: both denials are in the log"
	is "${said[try-100.96.0.1]:-none}" refused "$how: the gateway serves nothing of the host's"
	is "${said[try-$vm_www:9]:-none}" refused "$how: a closed port is refused at once"
	is "${said[dns-tcp]:-none}" "$vm_www" "$how: a name resolves by TCP"
	check_family "$how" 4 IPv4 "$vm_www"
	if [ $datagrams = yes ]; then
		is "${said[published-udp]:-none}" "to the guest" \
		    "$how: a published UDP port is reached, and answers"
	else
		skip "there is no nc.openbsd" "$how: a published UDP port"
	fi
	check_guest6 "$how"
}

check_guest6()
{
	local how=$1

	[ $vm_ip6 = yes ] || {
		skip "this machine has no IPv6" "$how: IPv6"
		return
	}
	is "${said[slaac]:-none}" fd53:4d00::53:4dff:fe00:2/64 \
	    "$how: SLAAC gives an address"
	is "${said[route6]:-none}" fe80::53:4dff:fe00:1 \
	    "$how: the default route is the gateway's"
	is "${said[ping-gateway6]:-none}" answered "$how: the gateway answers a ping over IPv6"
	is "${said[page6]:-none}" "the page" "$how: a page is fetched over IPv6"
	is "${said[try-[$vm_host6]]:-none}" refused \
	    "$how: the host's own IPv6 address is denied at once"
	is "${said[published6]:-none}" "$blob_sum" \
	    "$how: the host fetches $blob_mib MiB from [::1]"
	check_family "$how" 6 IPv6 "$vm_www6"
}

# check_family HOW WORD NAME ADDRESS
check_family()
{
	is "${said[ping-$2]:-none}" answered "$1: a ping of the world is answered over $3"
	if [ $datagrams = yes ]; then
		is "${said[udp-$2]:-none}" "to $4" "$1: a datagram comes back over $3"
		is "${said[large-$2]:-none}" whole \
		    "$1: one of 4000 bytes goes and comes in fragments over $3"
	else
		skip "there is no nc.openbsd" "$1: datagrams over $3"
	fi
}

publish=(-p 8080:80 -p 8081:81 -p 8082:82/udp --dns "$vm_resolver")
lease="100.96.0.2/30 router 100.96.0.1 dns 100.96.0.1 mtu"

# 1. The socket form.
socket=$vm_tmp/vm.sock
if vm_sallyport_up --socket "$socket" "${publish[@]}"; then
	stream="stream,id=net,server=off,addr.type=unix,addr.path=$socket"
	boot "$vm_tmp/initramfs" "$stream"
	check_guest "--socket" "$lease 1500 for ${granted##* for }"

	boot "$vm_tmp/initramfs2" "$stream"
	is "${said[name]:-none}" 1 "--socket: the next boot has its network too"

	kill -TERM "$vm_sallyport"
	wait "$vm_sallyport"
	is $? 0 "--socket: SIGTERM ends it in order"
	[ ! -e "$socket" ]
	ok $? "--socket: the socket is gone"
else
	ok 1 "--socket: $vm_reason"
fi
[ $tap_failed -eq 0 ] || sed 's/^/# log: /' "$vm_tmp/log"

# 2. sallyport starts the VMM and ends with its status.
: >"$vm_tmp/log"
boot "$vm_tmp/initramfs" "stream,id=net,addr.type=fd,addr.str={fd}" \
    "$SALLYPORT" "${publish[@]}" --
check_guest "command" "$lease ${granted##* mtu }"
is "${said[status]:-none}" 0 "command: its status is the VMM's"
[ $tap_failed -eq 0 ] || sed 's/^/# log: /' "$vm_tmp/log"
[ $tap_failed -eq 0 ] || tail -n 40 "$vm_tmp/console" | sed 's/^/# console: /'
finish
