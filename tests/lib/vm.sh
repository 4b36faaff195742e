# shellcheck shell=bash
# A real guest: QEMU's software emulation, Debian's cloud kernel, busybox.
#
# Kernel and busybox are unpacked from their packages into the user's cache,
# never installed.  A guest boots, takes its address by DHCP, runs the job it
# was given, writes "guest: WORD ..." lines on its console and powers off.
#
# Sourced by the demo and by tests/vm; needs bash.  Functions return 1 with the
# cause in $vm_reason.

vm_cache=${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/sallyport
vm_reason=

# In the order in which they need each other; those that the kernel has built
# in are not there, and not missed.
vm_modules='failover net_failover virtio_ring virtio virtio_pci_modern_dev
    virtio_pci_legacy_dev virtio_pci virtio_net'

# Downloads a package into the current directory.
_vm_download()
{
	apt-get -qq -o APT::Sandbox::User=root -o Acquire::Retries=3 \
	    download "$1" 2>/dev/null
}

_vm_kernel_package()
{
	apt-cache depends linux-image-cloud-amd64 2>/dev/null |
	    awk '$1 == "Depends:" { print $2; exit }'
}

# Unpacks kernel, modules and busybox into $1, a new directory.
_vm_unpack()
{
	local package

	package=$(_vm_kernel_package)
	if [ -z "$package" ]; then
		apt-get -qq update >/dev/null 2>&1
		package=$(_vm_kernel_package)
	fi
	[ -n "$package" ] && _vm_download "$package" &&
	    _vm_download busybox-static || return 1
	dpkg-deb -x linux-image*.deb root && dpkg-deb -x busybox*.deb root ||
	    return 1
	mkdir -p "$1/modules"
	cp root/boot/vmlinuz-* "$1/vmlinuz" && cp root/bin/busybox "$1/busybox" ||
	    return 1
	for module in $vm_modules; do
		find root/lib/modules -name "$module.ko" \
		    -exec cp {} "$1/modules/" \;
	done
}

# Sets vm_dir to the directory of the guest's parts, made when it is missing.
vm_fetch()
{
	local work new

	vm_dir=$vm_cache/guest-1
	[ ! -e "$vm_dir" ] || return 0
	[ "$(uname -m)" = x86_64 ] || {
		vm_reason="the guest's kernel is for x86_64, not $(uname -m)"
		return 1
	}
	mkdir -p "$vm_cache"
	work=$(mktemp -d) && new=$(mktemp -d "$vm_cache/.guest-XXXXXX") ||
	    return 1
	if (cd "$work" && _vm_unpack "$new"); then
		# Another run may have been faster: as good.
		mv -T "$new" "$vm_dir" 2>/dev/null || rm -rf "$new"
	else
		rm -rf "$new"
	fi
	rm -rf "$work"
	[ -e "$vm_dir/vmlinuz" ] || {
		vm_reason="apt has no linux-image-cloud-amd64 or busybox-static"
		return 1
	}
}

# Whether a guest can run here at all; fetches its parts.
vm_possible()
{
	local tool

	for tool in qemu-system-x86_64 cpio dnsmasq curl ip unshare nsenter; do
		command -v "$tool" >/dev/null || {
			vm_reason="there is no $tool (tools/deps vm)"
			return 1
		}
	done
	unshare --net true 2>/dev/null || {
		vm_reason="network namespaces cannot be made here"
		return 1
	}
	vm_fetch
}

# busybox speaks no UDP: another netcat goes with it, and its libraries, where
# the host has one.
_vm_netcat()
{
	local netcat library

	netcat=$(command -v nc.openbsd) || return 0
	cp -L "$netcat" "$1/bin/nc.openbsd"
	for library in $(ldd "$netcat" | grep -o '/[^ ]*'); do
		cp -L --parents "$library" "$1"
	done
}

# Writes the initramfs $1, whose guest runs the script $2.
vm_initramfs()
{
	local root

	root=$(mktemp -d) || return 1
	mkdir -p "$root"/{bin,dev,proc,sys,etc,tmp,modules}
	_vm_netcat "$root"
	cp "$vm_dir/busybox" "$root/bin/"
	cp "$vm_dir"/modules/* "$root/modules/"
	cp "$2" "$root/job"
	echo "$vm_modules" >"$root/modules/order"
	cat >"$root/udhcpc" <<-'SCRIPT'
		#!/bin/busybox sh
		[ "$1" = bound ] || exit 0
		ip addr add "$ip/$mask" dev "$interface"
		[ -z "$mtu" ] || ip link set "$interface" mtu "$mtu"
		ip route add default via "${router%% *}"
		for server in $dns; do
			echo "nameserver $server"
		done >/etc/resolv.conf
		echo "guest: lease $ip/$mask router $router dns $dns mtu $mtu for $lease s"
	SCRIPT
	cat >"$root/init" <<-'SCRIPT'
		#!/bin/busybox sh
		export PATH=/bin
		/bin/busybox --install -s /bin
		mount -t devtmpfs dev /dev
		mount -t proc proc /proc
		mount -t sysfs sys /sys
		for module in $(cat /modules/order); do
			[ ! -e "/modules/$module.ko" ] ||
			    insmod "/modules/$module.ko"
		done
		ip link set lo up
		ip link set eth0 up
		echo "guest: booted $(uname -r)"
		udhcpc -i eth0 -n -q -f -t 10 -T 2 -s /udhcpc </dev/null ||
		    echo "guest: no-lease"
		# For the job: the address of SLAAC, once no neighbour has it.
		address6() {
			for _ in $(seq 50); do
				ip -6 addr show dev eth0 scope global |
				    grep -v tentative |
				    awk '/inet6/ { print $2; exit 1 }' || return 0
				usleep 100000
			done
		}
		. /job
		poweroff -f
	SCRIPT
	chmod +x "$root/init" "$root/udhcpc"
	(cd "$root" && find . | cpio --quiet -o -H newc -R 0:0 | gzip -1) >"$1"
	rm -rf "$root"
}

# Sets vm_qemu, the command of a guest with the initramfs $1; the caller adds
# "-netdev ...,id=net".
vm_command()
{
	vm_qemu=(qemu-system-x86_64 -accel tcg -machine pc -cpu max -m 192
	    -nodefaults -no-user-config -no-reboot -display none -serial stdio
	    -kernel "$vm_dir/vmlinuz" -initrd "$1"
	    -append "console=ttyS0 quiet panic=-1 mitigations=off"
	    -device virtio-net-pci,netdev=net,mac=02:53:4d:00:00:02,romfile=)
}

# The world around it: the caller's own network namespace is the host's, a
# second one, an empty one until now, is the internet.
#
#	guest ~ sallyport   h0 203.0.113.2 --- s0 203.0.113.80	www.example.test
#		  (host)			  203.0.113.53	its name server
#						  169.254.169.254
#			  h0 2001:db8::2 ----- s0 2001:db8::80	www6.example.test
vm_www=203.0.113.80
vm_resolver=203.0.113.53
vm_host=203.0.113.2
vm_name=www.example.test
vm_www6=2001:db8::80
vm_host6=2001:db8::2
vm_name6=www6.example.test

# A command in the internet's namespace.  In the background, `nsenter` itself
# is wanted: it becomes the command, and $! its pid.
vm_in_server()
{
	nsenter --net="/proc/$vm_server/ns/net" -- "$@"
}

# IPv6, which the machine may keep out of new namespaces, on in this one.
_vm_enable6='for all in all default; do
	echo 0 >/proc/sys/net/ipv6/conf/$all/disable_ipv6 || exit
    done'

# The IPv6 of the world; fails where the machine has none.
_vm_world6()
{
	ip -6 addr add "$vm_host6/64" dev h0 nodad &&
	    vm_in_server ip -6 addr add "$vm_www6/64" dev s0 nodad &&
	    ip -6 route add default via "$vm_www6"
} 2>/dev/null

# Makes the world; sets vm_tmp, vm_server, and vm_ip6 to whether it has IPv6.
# To be ended by vm_world_down.
vm_world_up()
{
	local up

	vm_pids=()
	vm_tmp=$(mktemp -d) || return 1
	mkdir "$vm_tmp/www"
	exec {up}< <(exec unshare --net sh -c 'echo up; exec sleep infinity')
	vm_server=$!
	vm_pids+=("$vm_server")
	read -r -t 10 -u "$up" && {
		(eval "$_vm_enable6") 2>/dev/null
		vm_in_server sh -c "$_vm_enable6" 2>/dev/null
		ip link set lo up
		ip link add h0 type veth peer name s0 netns "$vm_server"
		ip addr add "$vm_host/24" dev h0
		ip link set h0 up
		vm_in_server ip -batch - <<-LINES
			link set lo up
			addr add $vm_www/24 dev s0
			addr add $vm_resolver/24 dev s0
			addr add 169.254.169.254/32 dev s0
			link set s0 up
		LINES
		ip route add 169.254.169.254/32 via "$vm_www"
		vm_ip6=no
		! _vm_world6 || vm_ip6=yes
		# A guest's ping leaves by the host's sockets for it.
		echo "0 2147483647" >/proc/sys/net/ipv4/ping_group_range
	} && vm_servers && return
	vm_reason="cannot make the world of the test"
	return 1
}

# The name server and the web server; what they answer with is in
# $vm_tmp/www.  The host listens on the same port: a guest must not reach it.
vm_servers()
{
	local i

	vm_in_server dnsmasq --conf-file=/dev/null --no-resolv --no-hosts \
	    --user=root --bind-interfaces --listen-address="$vm_resolver" \
	    --pid-file="$vm_tmp/dnsmasq.pid" --log-facility=/dev/null \
	    --address="/$vm_name/$vm_www" --address="/$vm_name6/$vm_www6" \
	    --address=/invalid/ || return 1
	vm_pids+=("$(cat "$vm_tmp/dnsmasq.pid")")
	nsenter --net="/proc/$vm_server/ns/net" -- \
	    "$vm_dir/busybox" httpd -f -p 80 -h "$vm_tmp/www" &
	vm_pids+=($!)
	"$vm_dir/busybox" httpd -f -p 80 -h "$vm_tmp/www" &
	vm_pids+=($!)
	for ((i = 0; i < 100; i++)); do
		curl -s -o /dev/null "http://$vm_www/" &&
		    curl -s -o /dev/null "http://$vm_host/" && return 0
		sleep 0.05	# httpd has no way to say that it listens
	done
	return 1
}

vm_world_down()
{
	local pid

	[ -n "${vm_tmp:-}" ] || return 0
	for pid in "${vm_pids[@]}"; do
		kill -9 "$pid" 2>/dev/null
		wait "$pid" 2>/dev/null
	done
	rm -rf "$vm_tmp"
	vm_tmp=
}

# Starts sallyport in the background with the arguments given, its log in
# $vm_tmp/log; returns when it is ready.  Sets vm_sallyport, its pid.
vm_sallyport_up()
{
	local line=

	rm -f "$vm_tmp/ready"
	mkfifo "$vm_tmp/ready" || return 1
	"$SALLYPORT" --ready-fd 9 "$@" 9>"$vm_tmp/ready" 2>>"$vm_tmp/log" &
	vm_sallyport=$!
	vm_pids+=("$vm_sallyport")
	read -r -t 20 line <"$vm_tmp/ready"
	[ -n "$line" ] || {
		vm_reason="sallyport is not ready: $(tail -n 5 "$vm_tmp/log")"
		return 1
	}
}

# Runs a guest's command, "$2...", and calls "$1 WORD VALUE" for each line
# "guest: WORD VALUE" of its console, at last with "status N".  Whatever the
# guest says is in $vm_tmp/console, what the command says in $vm_tmp/log: one
# in the midst of the other would break a line of the guest's.
vm_boot()
{
	local callback=$1 line word value

	shift
	while IFS= read -r line; do
		line=${line%$'\r'}
		echo "$line" >>"$vm_tmp/console"
		case $line in
		"guest: "*)
			read -r _ word value <<<"$line"
			"$callback" "$word" "$value"
			;;
		esac
	done < <(timeout "${VM_LIMIT_S:-180}" "$@" 2>>"$vm_tmp/log" </dev/null
	    echo "guest: status $?")
}
