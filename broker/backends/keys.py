"""Keys that sign calls to a cloud: of the config or of files, and of roles that are taken and renewed."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final, Protocol

from broker.domain.reason import Reason
from broker.errors import BackendError, BackendRejected
from broker.ports import Clock

_EARLY: Final = timedelta(minutes=15)
"""Keys are renewed when so little of their time is left, up to as much again sooner: not all brokers at once."""
_LEAST: Final = timedelta(minutes=1)
"""With less left, keys are not used any more: the call would outlive them."""
_LOOK_AGAIN_S: Final = 2.0
_PAUSE_S: Final = 5.0
_LONGEST_PAUSE_S: Final = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """What signs a call; the names are those that botocore wants. `expires` is None for keys that do not."""

    access_key: str
    secret_key: str = field(repr=False)
    token: str | None = field(default=None, repr=False)
    expires: datetime | None = None


class Source(Protocol):
    """Where keys come from."""

    @property
    def told(self) -> str:
        """What it is, for people."""
        ...

    async def keys(self) -> Keys:
        """Keys that stand now, as far as one can know here. Raises `BackendError`."""
        ...

    def forget(self) -> None:
        """The cloud does not take the last keys: the next ones are to be had anew."""
        ...


class FileKeys:
    """Keys that do not expire, of the config or of files, which are read again when they have changed."""

    def __init__(
        self,
        values: Mapping[str, str],
        files: Mapping[str, str],
        clock: Clock,
        name: str,
        keys: tuple[str, str, str] = ("access_key_id", "secret_access_key", "session_token"),
    ) -> None:
        """Both by config key; a file counts more. `keys` are those of id, secret and, where there is one, token."""
        self._id, self._secret, self._token = keys
        self._values = values
        self._files = {key: Path(file) for key, file in files.items()}
        self._clock = clock
        self._name = name
        self._marks: Mapping[str, tuple[int, int, int]] = {}
        self._held: Keys | None = None
        self._look_at = 0.0

    @property
    def told(self) -> str:
        """The files' names."""
        return "keys of " + (", ".join(str(file) for file in self._files.values()) or "the config")

    async def keys(self) -> Keys:
        """Those of the files as they are now."""
        if self._held is None or self._clock.monotonic() >= self._look_at:
            self._held = await asyncio.to_thread(self._read)
            self._look_at = self._clock.monotonic() + _LOOK_AGAIN_S
        return self._held

    def forget(self) -> None:
        """Files may have been read while they were written."""
        self._held, self._marks = None, {}

    def _read(self) -> Keys:
        found = dict(self._values)
        try:
            marks = {key: _mark(file) for key, file in self._files.items()}
            if self._held is not None and marks == self._marks:
                return self._held
            for key, file in self._files.items():
                found[key] = file.read_text().strip()
        except (OSError, ValueError) as error:
            message = f"{error}; look at {self._told_keys()}"
            raise BackendRejected("CredentialFile", message, Reason.CREDENTIALS_INVALID) from error
        if missing := [key for key in (self._id, self._secret) if not found.get(key)]:
            message = f"backends.{self._name}.{missing[0]} is empty; look at {self._told_keys()}"
            raise BackendRejected("CredentialFile", message, Reason.CREDENTIALS_INVALID)
        self._marks = marks
        return Keys(
            access_key=found[self._id],
            secret_key=found[self._secret],
            token=found.get(self._token) or None,
        )

    def _told_keys(self) -> str:
        return ", ".join(f"backends.{self._name}.{key}_file" for key in self._files) or f"backends.{self._name}"


def _mark(file: Path) -> tuple[int, int, int]:
    status = file.stat()
    return (status.st_mtime_ns, status.st_size, status.st_ino)


def _or_raise(standing: Keys | None, failed: BackendError) -> Keys:
    if standing is None:
        raise failed
    return standing


class RoleKeys:
    """Keys that are taken with the keys of `source`: a role's. One call at a time, however many wait for it.

    While the keys that there are still stand, nobody waits but who renews them, and a renewal that fails is no error.
    """

    def __init__(
        self,
        role: str,
        source: Source,
        assume: Callable[[Source], Awaitable[Keys]],
        clock: Clock,
        stale: frozenset[str],
    ) -> None:
        """`role` is its name for people; `assume` calls with the keys of a source; errors with a code of `stale` say
        that those stand no more.
        """
        self._role = role
        self._source = source
        self._assume = assume
        self._clock = clock
        self._stale = stale
        self._held: Keys | None = None
        self._renew_at: datetime | None = None
        self._renewing: asyncio.Event | None = None
        self._failed: BackendError | None = None
        self._again_at = 0.0
        self._pause_s = _PAUSE_S

    @property
    def told(self) -> str:
        """The role, and what it was taken with."""
        return f"role {self._role} (assumed) with {self._source.told}"

    async def keys(self) -> Keys:
        """Those of the role; after a failure the same error for some seconds, without a call."""
        while True:
            standing = self._standing()
            if standing is not None and not self._due():
                return standing
            if self._failed is not None and self._clock.monotonic() < self._again_at:
                return _or_raise(standing, self._failed)
            if self._renewing is None:
                failed = await self._renew()
                if failed is not None:
                    return _or_raise(standing, failed)
            elif standing is not None:
                return standing
            else:
                await self._renewing.wait()

    def forget(self) -> None:
        """The role is taken anew, with keys that are had anew; a pause after a failure stays."""
        self._source.forget()
        self._held = None

    def _standing(self) -> Keys | None:
        held = self._held
        if held is None or held.expires is None:
            return held
        return held if self._clock.now() < held.expires - _LEAST else None

    def _due(self) -> bool:
        return self._renew_at is not None and self._clock.now() >= self._renew_at

    async def _renew(self) -> BackendError | None:
        """Takes the role, or says why not; whoever waits is told, also if this is cancelled."""
        self._renewing = asyncio.Event()
        try:
            self._held = await self._assume(self._source)
        except BackendError as error:
            if error.code in self._stale:
                self._source.forget()
            self._failed = error
            self._again_at = self._clock.monotonic() + self._pause_s * random.uniform(0.8, 1.2)  # noqa: S311 -- jitter
            self._pause_s = min(2 * self._pause_s, _LONGEST_PAUSE_S)
        else:
            self._failed, self._pause_s = None, _PAUSE_S
            self._renew_at = self._renewal(self._held)
        finally:
            self._renewing.set()
            self._renewing = None
        return self._failed

    def _renewal(self, keys: Keys) -> datetime | None:
        if keys.expires is None:
            return None
        early = min(_EARLY, (keys.expires - self._clock.now()) / 4)
        return keys.expires - early * random.uniform(1.0, 2.0)  # noqa: S311 -- jitter
