"""The keys that hosts are reached with: whole, private, without a passphrase. A broken one would fail each host."""

import os
from typing import Final

from broker.config.diagnostics import Span
from broker.config.hosts_uses import ALIBABA, Hosts, over_ssh, ssh_of
from broker.config.model_hosts import JumpHost, Ssh
from broker.config.nodes import Path

_MOST: Final = 64 * 1024
_PUBLIC: Final = (
    "ssh-",
    "ecdsa-sha2-",
    "sk-",
    "-----BEGIN PUBLIC KEY",
    "-----BEGIN RSA PUBLIC",
    "---- BEGIN SSH2 PUBLIC",
)
_NEW_KEY: Final = "make one with: ssh-keygen -t ed25519 -N '' -f NAME"


def check(hosts: Hosts) -> None:
    """Reports keys that no host can be reached with."""
    for name, pool in hosts.pools.items():
        ssh, at = ssh_of(pool), ("pools", name, "ssh")
        imports = pool.key_pair is not None and pool.key_pair.import_
        _one_way(hosts, ssh, at)
        _parse(hosts, ssh, at)
        said = any(hosts.root.has(*at, key) for key in ("private_key", "private_key_file"))  # what is wrong with it too
        if not said and (over_ssh(pool) or imports):
            why = "to log in to its hosts with" if over_ssh(pool) else "to import as its key pair"
            help_ = "add 'ssh: { private_key_file: ... }'"
            if hosts.kinds[name] == ALIBABA and over_ssh(pool):
                help_ += ", or 'start_by: cloud-assistant'"
            hosts.error("no-ssh-key", hosts.key(*at), f"pool '{name}' has no key {why}", help_)
        if ssh.jump_host is not None:
            _one_way(hosts, ssh.jump_host, (*at, "jump_host"))
            _parse(hosts, ssh.jump_host, (*at, "jump_host"))


def _one_way(hosts: Hosts, ssh: Ssh | JumpHost, at: Path) -> None:
    if ssh.private_key and ssh.private_key_file:
        message = (
            f"'{'.'.join(str(part) for part in at[2:])}' of pool '{at[1]}' has 'private_key' and 'private_key_file'"
        )
        hosts.error("credentials-conflict", hosts.key(*at, "private_key"), message, "remove one of them")


def _parse(hosts: Hosts, ssh: Ssh | JumpHost, at: Path) -> None:
    if ssh.private_key_file:
        _file(hosts, ssh.private_key_file, hosts.value(*at, "private_key_file"))
    if ssh.private_key:
        span = hosts.value(*at, "private_key")
        _tell(hosts, span, "the text of 'private_key'", _problem(ssh.private_key.encode(), "FILE"))


def _file(hosts: Hosts, name: str, span: Span) -> None:
    """What a file of a key holds; that there is none is told with all other files."""
    path = hosts.base / name
    if not path.is_file():
        return
    content = hosts.read(name, _MOST)
    if content is None:
        user = os.geteuid()
        help_ = f"let user {user}, whose broker this is, read it: chown {user} {name} && chmod 400 {name}"
        _tell(hosts, span, name, ("cannot be read", help_))
        return
    _tell(hosts, span, name, _problem(content, name))


def _tell(hosts: Hosts, span: Span, what: str, problem: tuple[str, str] | None) -> None:
    if problem is not None:
        hosts.error("bad-ssh-key", span, f"{what} {problem[0]}", problem[1])


def _problem(content: bytes, name: str) -> tuple[str, str] | None:
    """What is wrong with a private key, and what to do; None if nothing is."""
    text = content.lstrip(b"\xef\xbb\xbf").strip()
    if not text:
        return "is empty", f"put the private key there; {_NEW_KEY}"
    if len(content) > _MOST:
        return "is far too long for a key", "name the file of the private key"
    if text.startswith(tuple(begin.encode() for begin in _PUBLIC)):
        private = name.removesuffix(".pub")
        other = f"name the private one, {private}" if private != name else "name the private one, without '.pub'"
        return "is a public key", other
    if text.startswith(b"PuTTY-User-Key-File"):
        return "is a key of PuTTY", f"convert it: puttygen {name} -O private-openssh -o {name}.pem"
    if not text.startswith(b"-----BEGIN "):
        return "is no private key", f"it begins with '-----BEGIN'; {_NEW_KEY}"
    if b"\n" not in text or b"-----END " not in text:
        return (
            "is not whole",
            "it is of several lines, from '-----BEGIN ...-----' to '-----END ...-----': copy all of it",
        )
    return _unread(text + b"\n", name)


def _unread(text: bytes, name: str) -> tuple[str, str] | None:
    """Why the key cannot be taken; None if it can."""
    from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415 -- only where there are keys of hosts
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415

    ours = text.startswith(b"-----BEGIN OPENSSH PRIVATE KEY")
    load = serialization.load_ssh_private_key if ours else serialization.load_pem_private_key
    try:
        load(text, password=None)
    except TypeError:
        return "has a passphrase, which nobody is there to type", f"take it off: ssh-keygen -p -N '' -f {name}"
    except UnsupportedAlgorithm:
        return "is of a kind that is not supported", f"use ed25519, ECDSA or RSA; {_NEW_KEY}"
    except ValueError as error:
        if "password" in str(error).lower():
            return "has a passphrase, which nobody is there to type", f"take it off: ssh-keygen -p -N '' -f {name}"
        return "is a broken key", f"copy it again, with its line breaks; 'ssh-keygen -y -f {name}' reads a whole one"
    return None
