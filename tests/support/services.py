"""Servers for the slow tests of object storage, in environments of their own below build/: moto and nginx."""

from __future__ import annotations

import contextlib
import getpass
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path

from places import ROOT

MOTO = "moto[s3,server]==5.2.5"
DEBS = (
    *("nginx", "nginx-common", "libnginx-mod-http-lua", "libnginx-mod-http-ndk", "libpcre3"),
    *("libluajit2-5.1-2", "libluajit2-5.1-common", "lua-resty-core", "lua-resty-lrucache"),
)
"""Debian packages that are unpacked, not installed."""
CONFIG = """
load_module {unpacked}/usr/lib/nginx/modules/ndk_http_module.so;
load_module {unpacked}/usr/lib/nginx/modules/ngx_http_lua_module.so;
user {user};
worker_processes 1;
daemon off;
pid {work}/pid;
events {{ worker_connections 512; }}
http {{
  access_log {work}/access.log;
  default_type application/octet-stream;
  lua_package_path "{unpacked}/usr/share/lua/5.1/?.lua;;";
  client_body_temp_path {work}/1;
  proxy_temp_path {work}/2;
  fastcgi_temp_path {work}/3;
  uwsgi_temp_path {work}/4;
  scgi_temp_path {work}/5;
  keepalive_requests 1000000;
  server {{
    listen {host}:{port};
    root {root};
    location / {{ access_by_lua_block {{ ngx.sleep({delay}) }} }}
  }}
}}
"""


@contextlib.contextmanager
def moto() -> Iterator[str]:
    """Yield the address of an S3 service; it accepts any keys, and refuses unsigned requests."""
    python = ROOT / "build/moto/bin/python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", python.parent.parent], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", MOTO], check=True)
    port = _free_port()
    with _running([str(python.with_name("moto_server")), "-H", "127.0.0.1", "-p", str(port)], port, {}):
        yield f"http://127.0.0.1:{port}"


@contextlib.contextmanager
def link(rate: str) -> Iterator[tuple[str, list[str]]]:
    """Yield the host of a network namespace at the end of a link of a rate, and the start of a command to run there.

    Args:
        rate: Rate of what the namespace sends, such as 1600mbit.
    """
    name, end, net = "mhp-store", "mhp-store-h", "10.78.0"

    def run(*words: str) -> None:
        subprocess.run(words, check=True)

    run("ip", "netns", "add", name)
    try:
        run("ip", "link", "add", end, "type", "veth", "peer", "name", "eth0", "netns", name)
        run("ip", "addr", "add", f"{net}.1/24", "dev", end)
        run("ip", "link", "set", end, "up")
        run("ip", "-n", name, "addr", "add", f"{net}.2/24", "dev", "eth0")
        run("ip", "-n", name, "link", "set", "eth0", "up")
        limit = ("root", "tbf", "rate", rate, "burst", "512kb", "latency", "100ms")
        run("tc", "-n", name, "qdisc", "add", "dev", "eth0", *limit)
        yield f"{net}.2", ["ip", "netns", "exec", name]
    finally:
        subprocess.run(["ip", "netns", "del", name], check=False)


@contextlib.contextmanager
def nginx(root: Path, work: Path, delay: float, host: str = "127.0.0.1", inside: Sequence[str] = ()) -> Iterator[str]:
    """Yield the address of a web server of a folder that waits before each answer.

    Args:
        root: Folder to serve.
        work: Folder for its files; ``access.log`` has a line per request.
        delay: Pause before each answer, in seconds.
        host: Address to listen on.
        inside: Start of the command, to run it in a namespace.
    """
    unpacked = ROOT / "build/nginx"
    if not (unpacked / "usr/sbin/nginx").exists():
        unpacked.mkdir(parents=True, exist_ok=True)
        subprocess.run(["apt-get", "download", *DEBS], cwd=unpacked, check=True)
        for deb in unpacked.glob("*.deb"):
            subprocess.run(["dpkg", "-x", deb, unpacked], check=True)
    port = _free_port()
    config = work / "nginx.conf"
    config.write_text(
        CONFIG.format(
            unpacked=unpacked, work=work, port=port, root=root, delay=delay, user=getpass.getuser(), host=host
        )
    )
    libraries = ":".join(map(str, (unpacked / "usr/lib").glob("*-linux-gnu")))
    libraries += ":" + ":".join(map(str, (unpacked / "lib").glob("*-linux-gnu")))
    command = [*inside, str(unpacked / "usr/sbin/nginx"), "-c", str(config), "-e", str(work / "error.log")]
    with _running(command, port, {"LD_LIBRARY_PATH": libraries}, host):
        yield f"http://{host}:{port}"


@contextlib.contextmanager
def _running(command: list[str], port: int, environment: dict[str, str], host: str = "127.0.0.1") -> Iterator[None]:
    process = subprocess.Popen(
        command, env={**os.environ, **environment}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        for _ in range(600):
            with contextlib.suppress(OSError), socket.create_connection((host, port), 1):
                break
            assert process.poll() is None, f"{command[0]} has ended"
            time.sleep(0.1)
        yield
    finally:
        process.terminate()
        process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def put(url: str, data: bytes) -> None:
    """Store an object, or create a bucket, in the service of ``moto``."""
    credential = "AKIAEXAMPLE/20261129/us-east-1/s3/aws4_request"
    headers = {"Authorization": f"AWS4-HMAC-SHA256 Credential={credential}", "Content-Type": "binary/octet-stream"}
    request = urllib.request.Request(url, data, headers, method="PUT")
    with urllib.request.urlopen(request) as answer:
        assert answer.status == 200
