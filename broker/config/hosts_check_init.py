"""What is run once on a new host: that it is there, and that a host could run it."""

from typing import Final

from broker.config.hosts_uses import Hosts, over_ssh
from broker.config.model_hosts import Init
from broker.config.nodes import Path

_MOST: Final = 1024 * 1024
_MOST_SENT: Final = 16 * 1024
"""By Cloud Assistant: RunCommand takes 24 KB after Base64, less what is put around the script."""


def check(hosts: Hosts) -> None:
    """Reports scripts that are missing, twice, or that no host can run."""
    for name, pool in hosts.pools.items():
        if pool.init is not None:
            at: Path = ("pools", name, "init")
            _which(hosts, pool.init, at)
            _content(hosts, pool.init, at, _MOST if over_ssh(pool) else _MOST_SENT)
            _variables(hosts, pool.init, at)


def _which(hosts: Hosts, init: Init, at: Path) -> None:
    if init.script and init.script_file:
        message = f"'init' of pool '{at[1]}' has 'script' and 'script_file'"
        hosts.error("init-conflict", hosts.key(*at, "script"), message, "remove one of them")
    if not init.script and not init.script_file:
        message = f"'init' of pool '{at[1]}' has nothing to run"
        hosts.error("init-conflict", hosts.key(*at), message, "add 'script_file' or 'script', or remove 'init'")


def _content(hosts: Hosts, init: Init, at: Path, most: int) -> None:
    if init.script_file:
        key, what, content = "script_file", init.script_file, hosts.read(init.script_file, _MOST)
    else:
        key, what, content = "script", "the init script", (init.script or "").encode()
    if not content:
        if content is not None and init.script_file:
            hosts.error("bad-script", hosts.value(*at, key), f"{what} is empty", "write what a new host is to run")
        return
    span = hosts.value(*at, key)
    if len(content) > most:
        by = "" if most == _MOST else " by Cloud Assistant"
        message = f"{what} is larger than the {most // 1024} KiB that an init script may have{by}"
        hosts.error("bad-script", span, message, "let it fetch what is large, or put that into the image")
    elif b"\0" in content or not _is_text(content):
        hosts.error("bad-script", span, f"{what} is not text", "an init script is a text in UTF-8")
    elif b"\r\n" in content:
        message = f"{what} has line ends of Windows, with which a shell finds no command"
        hosts.error("bad-script", span, message, f"convert it: sed -i 's/\\r$//' {init.script_file or 'SCRIPT'}")
    elif not content.startswith(b"#!"):
        help_ = "begin it with '#!/bin/sh' or another interpreter; without one /bin/sh runs it"
        hosts.warning("no-shebang", span, f"{what} does not say what runs it", help_)


def _is_text(content: bytes) -> bool:
    try:
        content.decode()
    except UnicodeDecodeError:
        return False
    return True


def _variables(hosts: Hosts, init: Init, at: Path) -> None:
    for name in sorted(init.env.keys() & init.env_files.keys()):
        message = f"variable '{name}' of pool '{at[1]}' is in 'env' and in 'env_files'"
        hosts.error("init-conflict", hosts.key(*at, "env_files", name), message, "remove one of them")
