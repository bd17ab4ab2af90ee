"""Where the keys come from that sign calls to AWS: the SDK's default chain, files, and roles taken with them."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final, Protocol

from broker.backends.aws_ecs.options import AssumeRole
from broker.backends.aws_ecs.session_errors import STALE, kinds, no_credentials, nothing_found
from broker.domain.reason import Reason
from broker.errors import BackendError, BackendRejected
from broker.ports import Clock

_EARLY: Final = timedelta(minutes=15)
"""Keys are renewed when so little of their time is left, up to as much again sooner: not all brokers at once."""
_LEAST: Final = timedelta(minutes=1)
"""With less left, keys are not used any more: the call would outlive them."""
_LOOK_AGAIN_S: Final = 2.0
_CHAIN_S: Final = 30.0
"""Links of the chain start programs and ask the machine."""
_PAUSE_S: Final = 5.0
_LONGEST_PAUSE_S: Final = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """What signs a call; as botocore wants it. `expires` is None for keys that do not."""

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

    def __init__(self, values: Mapping[str, str], files: Mapping[str, str], clock: Clock, name: str) -> None:
        """Both by config key: `access_key_id`, `secret_access_key`, `session_token`; a file counts more."""
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
            message = f"{error}; look at {self._keys()}"
            raise BackendRejected("CredentialFile", message, Reason.CREDENTIALS_INVALID) from error
        if missing := [key for key in ("access_key_id", "secret_access_key") if not found.get(key)]:
            message = f"backends.{self._name}.{missing[0]} is empty; look at {self._keys()}"
            raise BackendRejected("CredentialFile", message, Reason.CREDENTIALS_INVALID)
        self._marks = marks
        return Keys(
            access_key=found["access_key_id"],
            secret_key=found["secret_access_key"],
            token=found.get("session_token") or None,
        )

    def _keys(self) -> str:
        return ", ".join(f"backends.{self._name}.{key}_file" for key in self._files) or f"backends.{self._name}"


def _mark(file: Path) -> tuple[int, int, int]:
    status = file.stat()
    return (status.st_mtime_ns, status.st_size, status.st_ino)


class ChainKeys:
    """The SDK's default chain, or a profile. The SDK renews what can be renewed, one call at a time."""

    def __init__(self, open_session: Callable[[], Awaitable[Any]], profile: str, name: str) -> None:
        """`open_session` makes a new session of aiobotocore, which has read no file yet."""
        self._open = open_session
        self._profile = profile
        self._name = name
        self._found: Any = None

    @property
    def told(self) -> str:
        """The profile, or which link of the chain had keys."""
        method = getattr(self._found, "method", "")
        link = f" ({method})" if method else ""
        return (f"profile {self._profile}" if self._profile else "the SDK's default chain") + link

    async def keys(self) -> Keys:
        """Those of the first link that has some."""
        doing = "no credentials in " + (f"profile {self._profile}" if self._profile else "the SDK's default chain")
        session = None if self._found is not None else await self._open()
        try:
            async with asyncio.timeout(_CHAIN_S):
                found = self._found if session is None else await session.get_credentials()
                frozen = None if found is None else await found.get_frozen_credentials()
        except kinds() as error:
            raise no_credentials(error, doing, self._name) from error
        if frozen is None:
            raise nothing_found(doing, self._name)
        self._found = found
        expires = getattr(found, "_expiry_time", None)
        return Keys(
            access_key=frozen.access_key,
            secret_key=frozen.secret_key,
            token=frozen.token,
            expires=expires if isinstance(expires, datetime) else None,
        )

    def forget(self) -> None:
        """Files and the machine's role are asked anew."""
        self._found = None


def _or_raise(standing: Keys | None, failed: BackendError) -> Keys:
    if standing is None:
        raise failed
    return standing


class RoleKeys:
    """Keys of a role that is taken with the keys of `source`. One call to STS at a time, however many wait for it.

    While the keys that there are still stand, nobody waits but who renews them, and a renewal that fails is no error.
    """

    def __init__(
        self, role: AssumeRole, source: Source, assume: Callable[[AssumeRole, Source], Awaitable[Keys]], clock: Clock
    ) -> None:
        """`assume` calls STS, signed with the keys of a source."""
        self._role = role
        self._source = source
        self._assume = assume
        self._clock = clock
        self._held: Keys | None = None
        self._renew_at: datetime | None = None
        self._renewing: asyncio.Event | None = None
        self._failed: BackendError | None = None
        self._again_at = 0.0
        self._pause_s = _PAUSE_S

    @property
    def told(self) -> str:
        """The role, and what it was taken with."""
        return f"role {self._role.role_arn} (assumed) with {self._source.told}"

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
            self._held = await self._assume(self._role, self._source)
        except BackendError as error:
            if error.code in STALE:
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
