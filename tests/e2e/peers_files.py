#!/usr/bin/python3
"""What fetches files in a guest: rsync, HTTP/2 and apt get every byte."""

import filecmp
import functools
import hashlib
import http.server
import os
import random
import shutil
import socketserver
import subprocess
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../lib"))

import sidecar  # noqa: E402
import tap  # noqa: E402
import world as rig  # noqa: E402

sidecar.need()
WORLD = rig.World(ip6=True)
CAR = sidecar.Sidecar(WORLD)
VMM = sidecar.Vmm(WORLD, CAR.path)
GUEST, SERVER = WORLD.guest, WORLD.server
BOTH = ((rig.SERVER, rig.SERVER), (rig.SERVER6, "[%s]" % rig.SERVER6))
RSYNC_PORT, HTTP2_PORT = 8730, 8443
PACKAGES = {"nghttpd": "nghttp2-server", "apt-get": "apt", "dpkg-deb": "dpkg"}
# No proxy and no configuration of whoever runs this.
PLAIN = {"PATH": os.environ["PATH"], "LC_ALL": "C", "HOME": WORLD.dir}


def need(*programs):
    """Skips the case where one of them is not installed."""
    for name in programs:
        if shutil.which(name) is None:
            tap.skip("no %s: install %s" % (name, PACKAGES.get(name, name)))


def run(*words, **environment):
    """The standard output of what must succeed in the guest."""
    done = GUEST.run(words, timeout=50 * tap.scale(), cwd=WORLD.dir,
                     env={**PLAIN, **environment})
    tap.equal(done.returncode, 0, "%s\n%s%s" % (" ".join(words), done.stdout,
                                                done.stderr))
    return done.stdout


def serve(address, port, *words):
    """A server in its namespace, once it accepts."""
    program = sidecar.Program(WORLD, words, ns=SERVER, env=PLAIN)
    deadline = time.monotonic() + 10 * tap.scale()
    while True:
        try:
            SERVER.connect(address, port).close()
            return program
        except ConnectionRefusedError:
            tap.ok(program.process.poll() is None
                   and time.monotonic() < deadline,
                   "%s: %s" % (words[0], program.log.lines))
            time.sleep(0.01)


def fresh(name):
    """An empty directory of the world's."""
    path = WORLD.path(name)
    shutil.rmtree(path, ignore_errors=True)
    os.mkdir(path)
    return path


def write(path, data):
    with open(path, "wb") as file:
        file.write(data)


def noise(total, seed=1):
    return random.Random(seed).randbytes(total)


def sha256(path):
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


def equal_trees(one, other, names):
    same, *wrong = filecmp.cmpfiles(one, other, names, shallow=False)
    tap.equal((sorted(same), wrong), (sorted(names), [[], []]), "files")


@tap.case("rsync: pulls and pushes a tree, then only what changed")
def _():
    need("rsync")
    tree = fresh("tree")
    sizes = [0, 1, 700, 65536, 1500000, 4000000] + [3000] * 50
    names = ["file-%d" % number for number in range(len(sizes))]
    for number, size in enumerate(sizes):
        write(os.path.join(tree, names[number]), noise(size, number))
    conf = WORLD.path("rsyncd.conf")
    write(conf, b"use chroot = no\nuid = 0\ngid = 0\n[tree]\npath = %s\n"
          b"[pushed]\npath = %s\nread only = no\n"
          % (tree.encode(), fresh("pushed").encode()))
    for address, in_url in BOTH:
        server = serve(address, RSYNC_PORT, "rsync", "--daemon",
                       "--no-detach", "--config", conf, "--address", address,
                       "--port", str(RSYNC_PORT), "--log-file", "/dev/null")
        url = "rsync://%s:%d/" % (in_url, RSYNC_PORT)
        pulled, pushed = fresh("pulled"), fresh("pushed")
        run("rsync", "-r", url + "tree/", pulled)
        equal_trees(tree, pulled, names)
        run("rsync", "-r", pulled + "/", url + "pushed/")
        equal_trees(tree, pushed, names)
        with open(os.path.join(pulled, names[5]), "r+b") as file:
            file.seek(2000000)
            file.write(b"another word")
        said = run("rsync", "-rc", "--stats", pulled + "/", url + "pushed/")
        tap.ok("regular files transferred: 1\n" in said, said)
        equal_trees(pulled, pushed, names)
        server.kill()


@tap.case("curl: HTTP/2 over TLS, one file, and ten streams of one connection")
def _():
    need("nghttpd", "curl", "openssl")
    if "HTTP2" not in run("curl", "--version"):
        tap.skip("curl knows no HTTP/2")
    key, cert, root = WORLD.path("key"), WORLD.path("cert"), fresh("root")
    run("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout",
        key, "-out", cert, "-days", "2", "-subj", "/CN=test")
    source = os.path.join(root, "data")
    write(source, noise(5 << 20))
    for address, in_url in BOTH:
        server = serve(address, HTTP2_PORT, "nghttpd", "-a", address, "-d",
                       root, str(HTTP2_PORT), key, cert)
        url = "https://%s:%d/data" % (in_url, HTTP2_PORT)
        got = os.path.join(fresh("got"), "one")
        said = run("curl", "-sSk", "--http2", "-o", got, "-w",
                   "%{http_version} %{response_code}", url)
        tap.equal(said, "2 200", "HTTP version and status")
        tap.equal(sha256(got), sha256(source), "SHA-256")
        said = run("curl", "-sSk", "--http2", "-Z", "--parallel-max", "10",
                   "-w", "%{num_connects} %{http_version}\n", "-o",
                   got + "#1", url + "?[0-9]")
        tap.equal(sorted(said.splitlines()), ["0 2"] * 9 + ["1 2"],
                  "new connections and HTTP versions")
        for number in range(10):
            tap.equal(sha256(got + str(number)), sha256(source), "SHA-256")
        server.kill()


class Files(socketserver.ThreadingMixIn, http.server.HTTPServer):
    """An HTTP server of one directory, in the server's namespace."""
    daemon_threads = True

    class Handler(http.server.SimpleHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_):
            pass

    def __init__(self, address, directory):
        self.address_family = rig.family_of(address)
        with SERVER:
            super().__init__((address, 0), functools.partial(
                self.Handler, directory=directory))
        rig.thread(self.serve_forever)

    def server_bind(self):  # no look-up of names
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = self.server_address[:2]


def make_repository():
    """A flat one, of one package; returns its path."""
    control = b"""Package: trifle
Version: 1.0
Architecture: all
Maintainer: Nobody <nobody@example.org>
Description: what a test downloads
"""
    repository, build = fresh("repository"), fresh("trifle")
    os.mkdir(os.path.join(build, "DEBIAN"))
    write(os.path.join(build, "DEBIAN/control"), control)
    write(os.path.join(build, "noise"), noise(3 << 20))
    deb = os.path.join(repository, "trifle_1.0_all.deb")
    subprocess.run(["dpkg-deb", "-Znone", "--build", "--root-owner-group",
                    build, deb], check=True, capture_output=True)
    write(os.path.join(repository, "Packages"), control
          + b"Filename: ./trifle_1.0_all.deb\nSize: %d\nSHA256: %s\n"
          % (os.path.getsize(deb), sha256(deb).encode()))
    return repository


def make_apt(url):
    """An apt that knows that repository alone; returns its configuration."""
    root = fresh("apt")
    for name in ("etc/apt.conf.d", "etc/preferences.d", "etc/trusted.gpg.d",
                 "etc/sources.list.d", "state/lists/partial",
                 "cache/archives/partial", "log"):
        os.makedirs(os.path.join(root, name))
    write(os.path.join(root, "status"), b"")
    write(os.path.join(root, "etc/sources.list"),
          b"deb [trusted=yes] %s ./\n" % url.encode())
    conf = os.path.join(root, "apt.conf")
    write(conf, """Dir::Etc "{0}/etc/"; Dir::State "{0}/state/";
        Dir::State::status "{0}/status"; Dir::Cache "{0}/cache/";
        Dir::Log "{0}/log/"; APT::Sandbox::User "root";
        Acquire::Retries "0"; Acquire::Languages "none";
        """.format(root).encode())
    return conf


@tap.case("apt-get: update, and a package whose checksum holds")
def _():
    need("apt-get", "dpkg-deb")
    repository = make_repository()
    for address, in_url in BOTH:
        web = Files(address, repository)
        conf = make_apt("http://%s:%d/" % (in_url, web.server_port))
        run("apt-get", "-q", "--error-on=any", "update", APT_CONFIG=conf)
        run("apt-get", "-q", "download", "trifle", APT_CONFIG=conf)
        name = "trifle_1.0_all.deb"
        tap.equal(sha256(WORLD.path(name)),
                  sha256(os.path.join(repository, name)), "SHA-256")
        os.remove(WORLD.path(name))


tap.run(sidecar.tell(CAR))
