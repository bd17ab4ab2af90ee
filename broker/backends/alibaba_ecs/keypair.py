"""The key pair that hosts are made with: the pool's private key must be its other half, or nobody gets in."""

import asyncio
import base64
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
    load_ssh_private_key,
)

from broker.backends.alibaba_ecs.asking import Ask, Item, pages
from broker.backends.alibaba_ecs.options import PoolOptions, ssh_key_of
from broker.domain.pool import Pool
from broker.domain.reason import Reason
from broker.errors import BackendRejected
from broker.ports import Clock

_TRUSTED_S: Final = 3600.0


@dataclass(frozen=True, slots=True)
class PublicKey:
    """The public half of a key, as `TYPE BASE64`."""

    line: str

    @property
    def fingerprint(self) -> str:
        """MD5 over the key's blob (RFC 4716), in hex without colons, as the API tells that of an imported key."""
        return hashlib.md5(base64.b64decode(self.line.split()[1]), usedforsecurity=False).hexdigest()

    def is_that_of(self, told: Item) -> bool:
        """Whether a key pair of the cloud is the same: by the key itself, where it is told, else by its fingerprint."""
        if said := str(told.get("PublicKey") or ""):
            return said.split()[:2] == self.line.split()[:2]
        return _plain(str(told.get("KeyPairFingerPrint") or "")) == self.fingerprint


class KeyPairs:
    """Looks each up once in an hour, and imports it where the pool says so."""

    def __init__(self, ask: Ask, clock: Clock, backend: str) -> None:
        """Nothing is asked yet."""
        self._ask = ask
        self._clock = clock
        self._backend = backend
        self._turn = asyncio.Lock()
        self._good: dict[tuple[str, str], float] = {}

    async def of(self, pool: Pool) -> str:
        """The name to make hosts with; empty where the pool names none. BackendRejected says what does not fit."""
        options = PoolOptions.of(pool)
        pair = options.key_pair
        if pair is None or options.is_windows:
            return ""
        public = await asyncio.to_thread(public_key_of, pool)
        if public is None:
            if pair.make:
                message = f"pools.{pool.name}.key_pair.import needs pools.{pool.name}.ssh.private_key_file"
                raise BackendRejected("NoPrivateKey", message, Reason.INVALID_TEMPLATE)
            return pair.name
        name = pair.name or f"agentbroker-{self._backend}-{public.fingerprint[:12]}"
        async with self._turn:  # bounded: every call below is
            if self._clock.monotonic() >= self._good.get((name, public.line), float("-inf")):
                await self._check(pool, name, public, make=pair.make)
                self._good[name, public.line] = self._clock.monotonic() + _TRUSTED_S
        return name

    async def _check(self, pool: Pool, name: str, public: PublicKey, *, make: bool) -> None:
        found = await pages(self._ask, "ecs:DescribeKeyPairs", {"KeyPairName": name, "IncludePublicKey": True})
        exact = [one for one in found if one.get("KeyPairName") == name]
        if exact:
            if not public.is_that_of(exact[0]):
                raise _mismatch(pool, name, public, str(exact[0].get("KeyPairFingerPrint") or "?"))
            return
        if not make:
            message = f"there is no key pair {name}; set pools.{pool.name}.key_pair.import, or another name"
            raise BackendRejected("KeyPair.NotFound", message, Reason.INVALID_TEMPLATE)
        await self._ask("ecs:ImportKeyPair", {"KeyPairName": name, "PublicKeyBody": public.line})


def public_key_of(pool: Pool) -> PublicKey | None:
    """The public half of `ssh.private_key`; reads a file, so it blocks. None where none is said."""
    text, path = ssh_key_of(pool)
    key = f"pools.{pool.name}.ssh.private_key" + ("" if text else "_file")
    if not text and not path:
        return None
    try:
        raw = (text or Path(path).read_text()).encode()
        load = load_ssh_private_key if b"OPENSSH PRIVATE KEY" in raw else load_pem_private_key
        public = load(raw, password=None).public_key()
        line = public.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
    except OSError as error:
        message = f"{key}: cannot read {path}: {error.strerror}"
        raise BackendRejected("SshKeyUnreadable", message, Reason.SSH_AUTH_FAILED) from error
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        message = f"{key}: it is no private key without a passphrase, in PEM or OpenSSH's own form"
        raise BackendRejected("SshKeyUnreadable", message, Reason.SSH_AUTH_FAILED) from error
    return PublicKey(line)


def _mismatch(pool: Pool, name: str, public: PublicKey, theirs: str) -> BackendRejected:
    message = (
        f"pools.{pool.name}: key pair {name} has the fingerprint {theirs}, the private key of ssh.private_key_file has"
        f" {public.fingerprint}; hosts made with it would let nobody in"
    )
    return BackendRejected("KeyPairMismatch", message, Reason.SSH_AUTH_FAILED)


def _plain(fingerprint: str) -> str:
    return fingerprint.lower().removeprefix("md5:").replace(":", "")
