"""What is measured: the project's gateway, and HAProxy and nginx in its place. Each a process on the measured core."""

import base64
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from broker.gateway.settings import GatewaySettings
from tests.benchmarks.gateway.load import Load, Missing
from tests.benchmarks.gateway.pinned import cores, cpu_s, pss_kib, start, tree

OURS: Final = "gateway"
HAPROXY: Final = "haproxy"
NGINX: Final = "nginx"
_UP_S: Final = 20.0
_PROFILED: Final = "tests.benchmarks.gateway.profiled"


@dataclass(kw_only=True)
class Side:
    """A running process between agents and controllers: where agents connect, and of which kind both ends are."""

    name: str
    port: int
    agents: str
    controllers: str
    process: subprocess.Popen[bytes]
    also: list[subprocess.Popen[bytes]] = field(default_factory=list)
    """What it needs beside itself: that is not measured."""

    @property
    def target(self) -> str:
        """The order that sends agents there."""
        return f"target {self.port} {self.agents} {self.controllers}"

    @property
    def worker(self) -> int:
        """The process that relays."""
        return tree(self.process.pid)[-1]

    def cpu_s(self) -> float:
        """Processor time since its start."""
        return cpu_s(self.process.pid)

    def pss_kib(self) -> int:
        """Its memory now."""
        return pss_kib(self.process.pid)

    def close(self) -> None:
        """Ends it. Safe to repeat."""
        for process in (self.process, *self.also):
            process.terminate()
        for process in (self.process, *self.also):
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def version(name: str) -> str:
    """Of HAProxy or nginx, for people. Raises `Missing`."""
    said = subprocess.run([_program(name), "-v"], check=False, capture_output=True, text=True)
    return (said.stdout + said.stderr).splitlines()[0]


def gateway(load: Load, directory: Path, *, agents: str, controllers: str, profile: Path | None = None) -> Side:
    """The project's gateway with a control plane that lets everybody in, as in production but for its policies.

    With `profile`: one process that writes a profile there.
    """
    directory.mkdir()
    pages, listens, tcp = _free(), _free(), _free()
    control = directory / "control.sock"
    url = f"http://127.0.0.1:{pages if controllers == 'jnlp4' else load.controllers['ws']}/"
    settings = directory / "settings.json"
    GatewaySettings(
        control=control,
        controllers={"main": url},
        paths={"/c/main/": "main"},
        tcp_controllers={"main": ""} if controllers == "jnlp4" else {},
        listen_port=listens,
        tcp_port=tcp,
        identity=directory / "keys" / "identity.pem",
    ).save(settings)
    identity = base64.b64encode(load.identity.spki).decode()
    module = "tests.benchmarks.gateway.control_plane"
    command = [sys.executable, "-m", module, str(control), str(pages), str(load.controllers["jnlp4"]), identity]
    plane = start(command, cores()[1], stdout=subprocess.DEVNULL)
    log = (directory / "log").open("wb")
    run = ["broker", "gateway", "--settings"] if profile is None else [_PROFILED, str(profile)]
    command = [sys.executable, "-m", *run, str(settings)]
    process = start(command, cores()[0], stderr=log, stdout=log)
    port = listens if agents == "ws" else tcp
    side = Side(name=OURS, port=port, agents=agents, controllers=controllers, process=process, also=[plane])
    _wait(side, pages, port)
    return side


def haproxy(load: Load, directory: Path, *, kind: str, pem: Path, tickets: bool = True) -> Side:
    """HAProxy with one thread: TLS on both sides, or a WebSocket in plain HTTP."""
    tls, port = kind == "tls", _free()
    bind = f"ssl crt {pem}{'' if tickets else ' no-tls-tickets'}" if tls else ""
    config = directory / f"haproxy-{port}.cfg"
    config.write_text(
        f"global\n nbthread 1\n maxconn 6000\n tune.ssl.default-dh-param 2048\n"
        f"defaults\n mode {'tcp' if tls else 'http'}\n timeout connect 10s\n timeout client 1h\n timeout server 1h\n"
        f" timeout tunnel 1h\n"
        f"frontend agents\n bind 127.0.0.1:{port} {bind} backlog 4096\n default_backend controllers\n"
        f"backend controllers\n server one 127.0.0.1:{load.controllers[kind]}"
        f"{' ssl verify none no-ssl-reuse' if tls else ''}\n"
    )
    name = HAPROXY if tickets else f"{HAPROXY} without tickets"
    return _other(name, [_program(HAPROXY), "-f", str(config), "-db", "-q"], port, kind)


def nginx(load: Load, directory: Path, *, kind: str, certificate: Path, key: Path) -> Side:
    """nginx with one worker: TLS on both sides, or a WebSocket in plain HTTP."""
    port = _free()
    words = [f"daemon off; worker_processes 1; worker_rlimit_nofile 20000; pid {directory}/nginx-{port}.pid;"]
    words += ["user root;"] if os.geteuid() == 0 else []
    words += [f"error_log {directory}/nginx-{port}.log crit; events {{ worker_connections 9000; }}"]
    behind = f"127.0.0.1:{load.controllers[kind]}"
    if kind == "tls":
        words = [f"load_module {_stream_module()};", *words] if _stream_module() else words
        words += [
            f"stream {{ server {{ listen 127.0.0.1:{port} ssl backlog=4096; proxy_pass {behind};",
            f"ssl_certificate {certificate}; ssl_certificate_key {key}; ssl_session_tickets off;",
            "ssl_protocols TLSv1.3; proxy_ssl_protocols TLSv1.3; proxy_timeout 1h;",
            "proxy_ssl on; proxy_ssl_verify off; proxy_ssl_session_reuse off; } }",
        ]
    else:
        words += [
            f"http {{ access_log off; server {{ listen 127.0.0.1:{port} backlog=4096; location / {{",
            f"proxy_pass http://{behind}; proxy_http_version 1.1; proxy_read_timeout 1h;",
            "proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection upgrade; } } }",
        ]
    config = directory / f"nginx-{port}.conf"
    config.write_text("\n".join(words) + "\n")
    command = [_program(NGINX), "-p", str(directory), "-c", str(config)]
    return _other(NGINX, command, port, kind)


def _other(name: str, command: Sequence[str], port: int, kind: str) -> Side:
    process = start(command, cores()[0], stderr=subprocess.DEVNULL)
    side = Side(name=name, port=port, agents=kind, controllers=kind, process=process)
    _wait(side, port)
    return side


def _program(name: str) -> str:
    found = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin")
    if found is None:
        raise Missing(f"there is no {name}: what is measured against it is left out")
    return found


def _stream_module() -> str:
    """Where nginx has its stream module; empty if that is built in. Raises `Missing`."""
    built = subprocess.run([_program(NGINX), "-V"], check=False, capture_output=True, text=True).stderr
    if "--with-stream " in built:
        return ""
    path = next((word.partition("=")[2] for word in built.split() if word.startswith("--modules-path=")), "")
    module = Path(path) / "ngx_stream_module.so"
    if not module.exists():
        raise Missing("nginx has no stream module (libnginx-mod-stream): what is measured against it is left out")
    return str(module)


def _free() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def _wait(side: Side, *ports: int) -> None:
    until = time.monotonic() + _UP_S
    for port in ports:
        while True:
            if side.process.poll() is not None or time.monotonic() > until:
                side.close()
                raise Missing(f"{side.name} did not start")
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                time.sleep(0.05)
