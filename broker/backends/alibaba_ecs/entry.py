"""Which way onto a host: each pool says (`start_by`)."""

from collections.abc import Callable

from broker.backends.alibaba_ecs.options import PoolOptions
from broker.backends.ssh.transport import Ran, Transport
from broker.backends.ssh.trust import NoKeys, Trust
from broker.domain.host_order import HostPlace
from broker.domain.ids import HostId


class Entry:
    """A `Transport` that is one of two."""

    def __init__(self, ssh: Transport, assistant: Transport) -> None:
        """Owns both."""
        self._ssh = ssh
        self._assistant = assistant

    async def run(
        self,
        place: HostPlace,
        script: str,
        *,
        stdin: bytes = b"",
        limit_s: float,
        heard: Callable[[str], None] | None = None,
    ) -> Ran:
        """See `Transport.run`."""
        way = self._assistant if is_by_assistant(place) else self._ssh
        return await way.run(place, script, stdin=stdin, limit_s=limit_s, heard=heard)

    async def forget(self, host: HostId) -> None:
        """See `Transport.forget`."""
        await self._ssh.forget(host)
        await self._assistant.forget(host)

    async def close(self) -> None:
        """See `Transport.close`."""
        await self._ssh.close()
        await self._assistant.close()


class EntryTrust:
    """A `Trust`: Cloud Assistant shows no keys."""

    def __init__(self, ssh: Trust) -> None:
        """Asks `ssh` for all others."""
        self._ssh = ssh
        self._none = NoKeys()

    async def keys(self, place: HostPlace) -> tuple[str, ...] | None:
        """See `Trust.keys`."""
        return await (self._none if is_by_assistant(place) else self._ssh).keys(place)

    def saw(self, place: HostPlace, key: str) -> None:
        """See `Trust.saw`."""
        self._ssh.saw(place, key)

    def forget(self, host: HostId) -> None:
        """See `Trust.forget`."""
        self._ssh.forget(host)


def is_by_assistant(place: HostPlace) -> bool:
    """Whether agents of this host are started by Cloud Assistant."""
    return PoolOptions.of(place.pool).start_by == "cloud-assistant"
