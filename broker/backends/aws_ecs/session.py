"""Clients of one backend's AWS services: one per service and region, whose keys renew themselves.

The SDK (`jenkins-agentbroker[aws]`) is imported with the first client. Retries of the SDK are off: who calls decides.
"""

import asyncio
import importlib
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import cache, partial
from typing import Any, Final

from broker.backends.aws_ecs.credentials import ChainKeys
from broker.backends.aws_ecs.iam import CALLS
from broker.backends.aws_ecs.options import AssumeRole, BackendOptions
from broker.backends.aws_ecs.session_errors import STALE, is_garbled, kinds, no_credentials
from broker.backends.keys import FileKeys, Keys, RoleKeys, Source
from broker.domain.reason import Reason
from broker.errors import BackendError, BackendRejected
from broker.ports import Clock
from broker.version import VERSION

EXTRA: Final = "jenkins-agentbroker[aws]"
_CONNECT_S: Final = 5.0
_READ_S: Final = 20.0
_POOL: Final = 64
ASSUME_S: Final = 10.0
"""Less than a call may take: while the keys that there are still stand, it goes on with them."""
_ROLE_S: Final = 3600
"""For how long a role is taken: the most that AWS gives where a role takes another one."""
_ANEW_S: Final = 30.0
"""Keys that are refused are had anew at most so often."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who the calls are made as, by GetCallerIdentity."""

    account: str
    arn: str


class Sessions:
    """Opens what is needed when it is needed. Every method raises `BackendError`s only.

    So does a call of a client for which there are no keys: its signature is made with those that stand then.
    """

    def __init__(self, options: BackendOptions, clock: Clock, name: str) -> None:
        """`name` is the backend's, empty for none. Nothing is read or called yet."""
        self._options = options
        self._name = name
        self._clock = clock
        self._stack = AsyncExitStack()
        self._clients: dict[_Key, Any] = {}
        self._opening: dict[_Key, asyncio.Event] = {}
        self._sdk: _Sdk | None = None
        self._identity: Identity | None = None
        self._anew_at = float("-inf")
        self._source = self._sources()

    async def region(self) -> str:
        """The backend's own, or the SDK's where the config says none."""
        return (await self._loaded()).region

    @property
    def whose(self) -> str:
        """A text that tells these credentials from others of this process, known without a call and not secret."""
        said = self._options
        keys = (said.profile, said.access_key_id_file or said.access_key_id, said.endpoint_url)
        return "|".join((*keys, *(role.role_arn for role in said.assume_role_arn)))

    @property
    def told(self) -> str:
        """Where the keys come from, for people."""
        return self._source.told

    async def client(self, service: str, region: str | None = None) -> Any:
        """A client of aiobotocore, always the same one for a service and region. STS has a region of its own."""
        return await self._client(self._source, service, region or await self._usual(service))

    async def identity(self) -> Identity:
        """Whose the keys are; asked once for as long as the cloud takes them."""
        if self._identity is None:
            sts = await self.client("sts")
            with self._told_as("sts:GetCallerIdentity"):
                found = await sts.get_caller_identity()
            self._identity = Identity(account=found["Account"], arn=found["Arn"])
        return self._identity

    async def expires(self) -> datetime | None:
        """When the keys of now end, unless they are renewed; None if they do not."""
        return (await self._source.keys()).expires

    async def close(self) -> None:
        """Closes every client; calls under way fail."""
        self._clients.clear()
        await self._stack.aclose()

    async def _usual(self, service: str) -> str:
        return (self._options.sts_region if service == "sts" else "") or await self.region()

    async def _client(self, source: Source, service: str, region: str) -> Any:
        key = (source, service, region)
        while key not in self._clients:
            if key in self._opening:
                await self._opening[key].wait()
            else:
                await self._open(*key)
        return self._clients[key]

    async def _open(self, source: Source, service: str, region: str) -> None:
        key = (source, service, region)
        self._opening[key] = asyncio.Event()
        try:
            session = (await self._loaded()).session()
            session.register_component("credential_provider", _Provider(source))
            hooks = session.get_component("event_emitter")
            hooks.register("before-call", _known)
            if source is self._source:
                hooks.register("after-call", self._answered)
            with self._told_as(f"no client for {service} in {region}"):
                made = session.create_client(service, region, endpoint_url=self._options.endpoint_url or None)
                self._clients[key] = await self._stack.enter_async_context(made)
        finally:
            self._opening.pop(key).set()

    def _answered(self, parsed: Mapping[str, Any], **_: object) -> None:
        """Keys that the cloud does not take are had anew, as far as they can be: by the next call, not before."""
        if parsed.get("Error", {}).get("Code") in STALE and self._clock.monotonic() >= self._anew_at:
            self._anew_at = self._clock.monotonic() + _ANEW_S
            self._identity = None
            self._source.forget()

    def _sources(self) -> Source:
        said = self._options
        values = {"access_key_id": said.access_key_id, "secret_access_key": said.secret_access_key}
        files = {
            "access_key_id": said.access_key_id_file,
            "secret_access_key": said.secret_access_key_file,
            "session_token": said.session_token_file,
        }
        files = {key: file for key, file in files.items() if file}
        source: Source = ChainKeys(self._chain, said.profile, self._name)
        if any(values.values()) or files:
            source = FileKeys(values, files, self._clock, self._name)
        for role in said.assume_role_arn:
            source = RoleKeys(role.role_arn, source, partial(self._assume, role), self._clock, STALE)
        return source

    async def _chain(self) -> Any:
        """A session for the SDK's own chain; what it asks of STS, it asks where we do."""
        session = (await self._loaded()).session()
        session.set_config_variable("region", await self._usual("sts"))
        return session

    async def _assume(self, role: AssumeRole, source: Source) -> Keys:
        sts = await self._client(source, "sts", await self._usual("sts"))
        asked: dict[str, Any] = {"RoleArn": role.role_arn, "DurationSeconds": _ROLE_S}
        asked["RoleSessionName"] = role.session_name or session_name(self._name)
        if role.external_id:
            asked["ExternalId"] = role.external_id
        with self._told_as(f"sts:AssumeRole {role.role_arn}"):
            async with asyncio.timeout(ASSUME_S):
                found = (await sts.assume_role(**asked))["Credentials"]
        return Keys(
            access_key=found["AccessKeyId"],
            secret_key=found["SecretAccessKey"],
            token=found["SessionToken"],
            expires=found["Expiration"],
        )

    async def _loaded(self) -> "_Sdk":
        if self._sdk is None:
            self._sdk = await asyncio.to_thread(_load, self._options, self._name)
        return self._sdk

    @contextmanager
    def _told_as(self, doing: str) -> Iterator[None]:
        """Ours for what the SDK raises; its exceptions are known once it is loaded."""
        try:
            yield
        except BackendError:
            raise
        except Exception as error:
            if isinstance(error, kinds()) or is_garbled(error):
                raise no_credentials(error, doing, self._name) from error
            raise


_Key = tuple[Source, str, str]


class Undeclared(RuntimeError):
    """A call that `iam.CALLS` does not have: nobody would have been told to allow it. A bug."""


def _known(model: Any, **_: object) -> None:
    action = f"{model.service_model.signing_name}:{model.name}"
    if action not in CALLS:
        raise Undeclared(f"{action} is called, and broker/backends/aws_ecs/iam.py does not know it")


@dataclass(frozen=True, slots=True)
class _Sdk:
    """What is the same for all sessions: models are read once."""

    make: Callable[..., Any]
    loader: Any
    config: Any
    profile: str | None
    region: str

    def session(self) -> Any:
        session = self.make(profile=self.profile)
        session.register_component("data_loader", self.loader)
        session.set_default_client_config(self.config)
        return session


def _load(said: BackendOptions, name: str) -> _Sdk:
    """Imports the SDK: most of a second, so not on the loop."""
    try:
        make = importlib.import_module("aiobotocore.session").AioSession
        configure = importlib.import_module("aiobotocore.config").AioConfig
    except ImportError as error:
        message = f"backends of type aws-ecs need {EXTRA}: run: pip install '{EXTRA}'"
        raise BackendRejected("SdkMissing", message, Reason.SETUP_FAILED) from error
    config = configure(
        retries={"total_max_attempts": 1},
        connect_timeout=_CONNECT_S,
        read_timeout=_READ_S,
        max_pool_connections=_POOL,
        proxies={"http": said.proxy, "https": said.proxy} if said.proxy else None,
        user_agent_extra=f"agentbroker/{VERSION}",
        warm_up_loader_caches=True,
    )
    profile = said.profile or None
    try:
        first = make(profile=profile)
        region = said.region or first.get_config_variable("region")
        loader = _loader(first.get_config_variable("data_path"))
    except kinds() as error:
        raise no_credentials(error, "the SDK's config files", name) from error
    if not region:
        raise BackendRejected("NoRegion", f"no region is configured; set backends.{name}.region", Reason.SETUP_FAILED)
    return _Sdk(make, loader, config, profile, region)


@cache
def _loader(data_path: str | None) -> Any:
    """Reads the services' models, each once in this process: that of EC2 alone is megabytes."""
    return importlib.import_module("botocore.loaders").create_loader(data_path)


class _Provider:
    """The place in a session of the SDK where it looks for credentials."""

    def __init__(self, source: Source) -> None:
        self._source = source

    async def load_credentials(self) -> "_Signing":
        return _Signing(self._source)


class _Signing:
    """What the SDK asks for keys before each call."""

    method = "agentbroker"

    def __init__(self, source: Source) -> None:
        self._source = source

    async def get_frozen_credentials(self) -> Keys:
        return await self._source.keys()

    async def get_account_id(self) -> None:
        """Only endpoints of services that are not called here depend on the account."""

    def get_deferred_property(self, _: str) -> Callable[[], None]:
        return lambda: None


def session_name(backend: str) -> str:
    """What a taken role's session is called in the account's records; letters that AWS refuses become dashes."""
    return re.sub(r"[^\w+=,.@-]", "-", f"agentbroker-{backend or 'cli'}", flags=re.ASCII)[:64]
