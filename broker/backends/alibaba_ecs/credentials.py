"""Where the keys come from that the config does not hold: the role of this machine, and the SDK's default chain."""

import asyncio
import importlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from broker.backends.alibaba_ecs.errors import translate
from broker.backends.keys import Keys, Source
from broker.domain.reason import Reason
from broker.errors import BackendError, BackendRejected, Throttled

METADATA: Final = "http://100.100.100.200"
"""Instance metadata of Alibaba Cloud ("View instance metadata")."""
_ASK_S: Final = 5.0
_CHAIN_S: Final = 30.0
_TOKEN_S: Final = 300


class Nobody:
    """A `Source` for whoever needs none."""

    told = "this machine"

    async def keys(self) -> Keys:
        """There are none."""
        raise BackendRejected("NoKeys", "no keys are needed here", Reason.CREDENTIALS_INVALID)

    def forget(self) -> None:
        """There is nothing."""


@dataclass(frozen=True, slots=True)
class MachineRole:
    """Takes the role of this machine by its metadata, in its hardened mode (a token first)."""

    role: str
    url: str
    name: str

    async def __call__(self, _: Source) -> Keys:
        """Keys of the role. Raises `BackendError`s."""
        doing = f"the role {self.role} of this machine, at {self.url}"
        try:
            async with asyncio.timeout(_ASK_S):
                told = await self._ask()
        except BackendError:
            raise
        except Exception as error:  # aiohttp's, OSError, TimeoutError
            failed = translate("metadata", error, self.name)
            if failed is None:
                raise
            message = f"{doing}: {failed.message}; look at backends.{self.name}.ram_role_name"
            raise Throttled(failed.code, message, Reason.BACKEND_ERROR) from error
        return keys_of(told, doing)

    async def _ask(self) -> Mapping[str, Any]:
        import aiohttp  # noqa: PLC0415 -- with the SDK only

        ttl = {"X-aliyun-ecs-metadata-token-ttl-seconds": str(_TOKEN_S)}
        path = f"{self.url}/latest/meta-data/ram/security-credentials/{self.role}"
        async with aiohttp.ClientSession() as session:
            async with session.put(f"{self.url}/latest/api/token", headers=ttl) as answer:
                headers = {"X-aliyun-ecs-metadata-token": await answer.text()} if answer.status == 200 else {}
            async with session.get(path, headers=headers) as answer:
                text = await answer.text()
                if answer.status != 200:
                    message = f"this machine has no role {self.role}; look at backends.{self.name}.ram_role_name"
                    raise BackendRejected(f"Metadata{answer.status}", message, Reason.CREDENTIALS_INVALID)
        try:
            told: Mapping[str, Any] = json.loads(text)
        except ValueError as error:
            raise Throttled("Metadata", f"{path} does not answer as metadata do", Reason.BACKEND_ERROR) from error
        return told


def keys_of(told: Mapping[str, Any], doing: str) -> Keys:
    """Of an answer with AccessKeyId, AccessKeySecret, SecurityToken and Expiration (UTC)."""
    try:
        expires = datetime.strptime(str(told["Expiration"]), "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
        return Keys(
            access_key=str(told["AccessKeyId"]),
            secret_key=str(told["AccessKeySecret"]),
            token=str(told["SecurityToken"]),
            expires=expires,
        )
    except (KeyError, ValueError) as error:
        message = f"{doing}: the answer has no keys"
        raise Throttled("NoKeysInAnswer", message, Reason.BACKEND_ERROR) from error


class ChainKeys:
    """The SDK's default chain: variables, OIDC, its files, this machine. It renews what can be renewed."""

    def __init__(self, name: str) -> None:
        """Nothing is read yet."""
        self._name = name
        self._client: Any = None
        self._provider = ""

    @property
    def told(self) -> str:
        """Which link of the chain had keys."""
        return "the SDK's default chain" + (f" ({self._provider})" if self._provider else "")

    async def keys(self) -> Keys:
        """Those of the first link that has some."""
        try:
            async with asyncio.timeout(_CHAIN_S):
                if self._client is None:
                    self._client = await asyncio.to_thread(_chain)
                # in a thread: links of the chain read files and start programs
                found = await asyncio.to_thread(self._client.get_credential)
        except Exception as error:
            raise self._failed(error) from error
        if found is None or not found.access_key_id:
            raise self._nothing("no credentials")
        self._provider = str(found.provider_name or "")
        return Keys(
            access_key=found.access_key_id, secret_key=found.access_key_secret, token=found.security_token or None
        )

    def forget(self) -> None:
        """Files and the machine's role are asked anew."""
        self._client = None

    def _failed(self, error: Exception) -> BackendError:
        if type(error).__name__ != "CredentialException":
            translated = translate("credentials", error, self._name)
            if translated is not None and not isinstance(translated, BackendRejected):
                return Throttled(translated.code, translated.message, Reason.BACKEND_ERROR)
        return self._nothing(" ".join(str(error).split()) or type(error).__name__)

    def _nothing(self, why: str) -> BackendRejected:
        hint = f"set backends.{self._name}.access_key_id_file, or .ram_role_name"
        return BackendRejected("NoCredentials", f"the SDK's default chain: {why}; {hint}", Reason.CREDENTIALS_INVALID)


def _chain() -> Any:
    make: Callable[[], Any] = importlib.import_module("alibabacloud_credentials.client").Client
    return make()
