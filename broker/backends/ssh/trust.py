"""Which keys a host may show: from its console, from the config, or those it showed first. Never any."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from typing import Final, Protocol

import asyncssh

from broker.backends.ssh.options import HostKeyMode, Reach, read_text
from broker.domain.host_order import HostPlace
from broker.domain.ids import HostId
from broker.domain.reason import Reason
from broker.errors import BackendRejected

Console = Callable[[HostPlace], Awaitable[str]]
"""Answers what a host has printed on its console, as it is; empty while there is nothing. Raises `BackendError`s."""

_BEGIN: Final = "-----BEGIN SSH HOST KEY KEYS-----"
_END: Final = "-----END SSH HOST KEY KEYS-----"
"""What cloud-init puts around them (cc_keys_to_console, tools/write-ssh-key-fingerprints)."""
_KEY: Final = re.compile(r"(ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp(?:256|384|521)) ([A-Za-z0-9+/]{32,}={0,3})(?:\s|$)")


class Trust(Protocol):
    """Says which keys are a host's."""

    async def keys(self, place: HostPlace) -> tuple[str, ...] | None:
        """Lines `TYPE BASE64`. None: they cannot be known yet. Empty: the first that it shows is believed."""
        ...

    def saw(self, place: HostPlace, key: str) -> None:
        """Keeps a key that was believed because it was the first."""
        ...

    def forget(self, host: HostId) -> None:
        """Keeps nothing more of a host."""
        ...


class NoKeys:
    """The `Trust` of a transport that shows no keys, such as a cloud's own agent."""

    async def keys(self, place: HostPlace) -> tuple[str, ...] | None:
        """None are needed."""
        return ()

    def saw(self, place: HostPlace, key: str) -> None:
        """There is none."""

    def forget(self, host: HostId) -> None:
        """There is nothing."""


class HostKeys:
    """Keys by the mode of each host. What the row of a host says is believed first, then what was found since."""

    def __init__(self, reach_of: Callable[[HostPlace], Reach], console: Console | None = None) -> None:
        """`console` is needed where a pool says `host_key: from-console`."""
        self._reach_of = reach_of
        self._console = console
        self._found: dict[HostId, tuple[str, ...]] = {}

    async def keys(self, place: HostPlace) -> tuple[str, ...] | None:
        """Asks the console at most until it has told them once."""
        reach = self._reach_of(place)
        if reach.host_key is HostKeyMode.PINNED:
            return await asyncio.to_thread(pinned_keys, reach)
        if place.host_key:
            return tuple(place.host_key.splitlines())
        if place.id in self._found:
            return self._found[place.id]
        if reach.host_key is HostKeyMode.ACCEPT_NEW:
            return ()
        found = keys_in(await self._console(place)) if self._console is not None else ()
        if not found:
            return None
        self._found[place.id] = found
        return found

    def saw(self, place: HostPlace, key: str) -> None:
        """From now on only that one."""
        self._found[place.id] = (key,)

    def forget(self, host: HostId) -> None:
        """Another host with this id there will never be."""
        self._found.pop(host, None)


def pinned_keys(reach: Reach) -> tuple[str, ...]:
    """Those of the config and of its file of known hosts; BackendRejected if there are none, so that none is believed.

    Reads the file, so it blocks.
    """
    keys = reach.pinned
    if reach.known_hosts_file:
        text = read_text(reach.known_hosts_file, "ssh.known_hosts_file", Reason.SSH_HOST_KEY_MISMATCH)
        try:
            found, *_ = asyncssh.import_known_hosts(text).match(reach.address, "", reach.port)
        except ValueError as error:
            message = f"ssh.known_hosts_file: {reach.known_hosts_file} is no file of known hosts: {error}"
            raise BackendRejected("KnownHostsInvalid", message, Reason.SSH_HOST_KEY_MISMATCH) from error
        keys += tuple(key_line(key) for key in found)
    if not keys:
        message = (
            f"{reach.address}: host_key is pinned and no key of it is known: name its keys under host_keys, or have "
            f"them in ssh.known_hosts_file"
        )
        raise BackendRejected("NoPinnedKey", message, Reason.SSH_HOST_KEY_MISMATCH)
    return keys


def key_line(key: asyncssh.SSHKey) -> str:
    """A public key without its comment: `TYPE BASE64`."""
    return " ".join(key.export_public_key().decode().split()[:2])


def keys_in(console: str) -> tuple[str, ...]:
    """The keys between cloud-init's last marks; empty while they are not whole. Lines of others in between are not."""
    _, begun, after = console.rpartition(_BEGIN)
    told, ended, _ = after.partition(_END)
    if not begun or not ended:
        return ()
    found = (_KEY.search(line) for line in told.splitlines())
    return tuple(f"{match[1]} {match[2]}" for match in found if match)
