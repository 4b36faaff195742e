"""Seeds of what an operator writes: rules, options, files; and of the egress
policy and of ICMP."""
import struct

PARSERS = ("number mac server rule publish service domain "
           "command-line").split()

VALUES = {
    "number": ["7", "70000", "70001", "007", "-8", "8x", ""],
    "mac": ["02:53:4d:00:00:01", "03:53:4d:00:00:01", "2:53:4d:0:0:1", "auto"],
    "server": ["1.1.1.1", "1.1.1.1:5353", "[2606:4700::1]:53", "::1",
               "1.1.1.1:0", "[::1]", "fe80::1%eth0"],
    "rule": ["10.0.0.0/8", "10.0.0.0/8:80", "10.0.0.0/8:80-443/tcp",
             "[fc00::/7]:53/udp", "fc00::/7/icmp", "0.0.0.0/0", "::/0",
             "10.0.0.0/33", "10.0.0.0/8:443-80", "host.example"],
    "publish": ["8080:80", "127.0.0.1:8080:80/tcp", "[::1]:53:53/udp",
                "8000-8010:80-90", "8000-8010:80-91", "0:80", "65535:1",
                "1-65535:1-65535"],
    "service": ["8080:80", "0:1", "8080", "80:65536"],
    "domain": ["example.org", "example.org.", "_srv.example", "a" * 64,
               "-x.example", ".".join(["a" * 63] * 4), "."],
    "command-line": [
        "--fd\n3", "--socket\n/run/vm\n--mtu\n65520\n-p\n8080:80",
        "--fd\n3\n--address\n10.0.2.15/24\n--gateway\n10.0.2.2",
        "--fd\n3\n--allow\n10.0.0.0/8\n--deny\n10.1.0.0/16\n"
        "--default-egress\ndeny", "--\nqemu-system-x86_64\n-netdev",
        "--mtu", "-x", "--help\n--version", "--no-ipv6=1", "--fd=3\n-nv"],
}

FILES = {
    "all": 'fd = "3"\nmtu = "65520"\nallow = {"10.0.0.0/8", "fc00::/7"}\n'
           'publish = {"8080:80", "53:53/udp"}\naddress = "10.0.2.15/24"\n'
           'gateway = "10.0.2.2"\nsearch = "example.org"\n',
    "comment": "# a comment\nfd = 3 /* and one */\n",
    "unterminated": 'fd = "3',
    "braces": "allow = {{}}\n",
    "unknown": 'no-such-option = "1"\n',
    "environment": 'fd = "${HOME}"\n',
    "append": 'allow = {"10.0.0.0/8"}\nallow += {"10.1.0.0/16"}\nfd = 3\n',
    "empty": "",
}

RESOLV = {
    "usual": "search example.org lan\nnameserver 127.0.0.53\n"
             "options edns0 trust-ad\n",
    "many": "nameserver 1.1.1.1\n" * 5 + "domain a\nsearch " +
            " ".join(f"d{n}.example" for n in range(9)) + "\n",
    "scoped": "nameserver fe80::1%eth0\nnameserver ::1\n",
    "comments": "; a\n# b\n nameserver 1.1.1.1 # c\nnameserver\t9.9.9.9;\n",
    "no-newline": "nameserver 1.1.1.1",
    "nothing": "\n",
    "zero-bytes": "nameserver 1.1.1.1\0\nsearch a\0b\n",
    "long-line": "search " + "x" * 3000 + "\nnameserver 1.1.1.1\n",
}


def policy(write):
    def put(name, *parts):
        write("policy", name, b"".join(parts))

    def every(how, proto, port):
        return b"".join(bytes([3, n, how, proto, port]) for n in range(29))

    for how in (0, 1, 4, 0x14, 0x24):
        put(f"every-address-{how}", b"\1", every(how, 0, 40))
        put(f"denied-by-default-{how}", b"\0", every(how, 1, 40))
    put("allow-private", b"\0", bytes([0, 0, 9, 0, 8]), every(0, 0, 40))
    put("unsafe-allow", b"\0", bytes([0, 2, 1, 0, 8]), every(4, 0, 40))
    put("deny-wrapped", b"\1", bytes([0, 1, 25, 4, 128]), every(4, 0, 40))
    put("ports", b"\1", bytes([0, 0x45, 25, 0, 80, 32]), every(0, 0, 39),
        every(0, 0, 41))
    put("services", b"\1", bytes([1, 40, 80]), every(0, 0, 40),
        every(4, 2, 40))
    put("host-address", b"\1", bytes([2, 25, 0, 1]), every(0, 0, 40),
        bytes([2, 25, 0, 0]), every(0, 0, 40))


def icmp(write):
    ip4 = bytes.fromhex("4500002c0001400040110000 64600002 c0000207".replace(
        " ", ""))
    ip6 = bytes.fromhex("60000000000c1140") + bytes(15) + b"\2" + bytes(
        15) + b"\7"
    for error in range(6):
        write("icmp", f"udp-{error}", bytes([error]) + ip4 + bytes(24))
        write("icmp", f"udp6-{error}", bytes([0x80 | error]) + ip6 +
              bytes(12))
    short = ip4[:9] + b"\1" + ip4[10:]
    for title, kind in (("echo", 8), ("error", 3), ("reply", 0)):
        write("icmp", "about-" + title, b"\0" + short + bytes([kind]) +
              bytes(7))
        write("icmp", "reply-" + title, b"\x40" + bytes([kind]) + bytes(30))
    write("icmp", "about-nothing", b"\0" + short)
    write("icmp", "header-too-long", b"\0\x4f" + ip4[1:])
    write("icmp", "about-long6", b"\x80" + ip6[:4] + struct.pack(
        ">H", 2000) + ip6[6:] + bytes(2000))
    six = ip6[:6] + b"\x3a" + ip6[7:]
    for title, kind in (("echo6", 128), ("error6", 1), ("redirect6", 137)):
        write("icmp", "about-" + title, b"\x80" + six + bytes([kind]) +
              bytes(11))
        write("icmp", "reply-" + title, b"\xc0" + bytes([kind]) + bytes(30))
    write("icmp", "reply6", b"\xc0\x81" + bytes(2000))


def write_all(write):
    for number, parser in enumerate(PARSERS):
        for n, text in enumerate(VALUES[parser]):
            write("spec", f"{parser}-{n}", bytes([number]) + text.encode())
    for name, text in FILES.items():
        write("config", name, text.encode())
    for name, text in RESOLV.items():
        write("resolv_conf", name, text.encode())
    policy(write)
    icmp(write)
