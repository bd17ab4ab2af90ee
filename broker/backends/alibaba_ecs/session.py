"""The SDK's clients of one backend, and the keys that sign its calls, which renew themselves.

The SDK (`jenkins-agentbroker[alibaba]`) is imported with the first call, in a thread: it takes 2 s. Retries of the SDK
are off, because they sleep on the loop: who calls decides.
"""

import asyncio
import importlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, partial
from typing import Any, Final

from broker.backends.alibaba_ecs.codes import STALE
from broker.backends.alibaba_ecs.credentials import METADATA, ChainKeys, MachineRole, Nobody, keys_of
from broker.backends.alibaba_ecs.errors import translate
from broker.backends.alibaba_ecs.iam import CALLS
from broker.backends.alibaba_ecs.options import BackendOptions
from broker.backends.keys import FileKeys, Keys, RoleKeys, Source
from broker.domain.reason import Reason
from broker.errors import BackendError, BackendRejected, InsufficientCapacity, OutcomeUnknown, Throttled
from broker.ports import Clock
from broker.version import VERSION

EXTRA: Final = "jenkins-agentbroker[alibaba]"
_CONNECT_MS: Final = 5_000
_READ_MS: Final = 19_000
_ASSUME_S: Final = 10.0
_ROLE_S: Final = 3600
_ANEW_S: Final = 30.0
"""Keys that are refused are had anew at most so often."""
_MODULES: Final = {"ecs": "alibabacloud_ecs20140526", "vpc": "alibabacloud_vpc20160428"}
_STS_VERSION: Final = "2015-04-01"
_NAMES: Final = ("access_key_id", "access_key_secret", "security_token")


class Undeclared(RuntimeError):
    """A call that `iam.CALLS` does not have: nobody would have been told to allow it. A bug."""


class Sessions:
    """Asks with the SDK. `ask` raises what the SDK raises; for want of keys `BackendError`s."""

    def __init__(self, options: BackendOptions, clock: Clock, name: str) -> None:
        """`name` is the backend's. Nothing is read, imported or called yet."""
        self._options = options
        self._name = name
        self._clock = clock
        self._clients: dict[tuple[Source, str], _Client] = {}
        self._anew_at = float("-inf")
        self._source = self._sources()

    @property
    def region(self) -> str:
        """The backend's."""
        return self._options.region

    @property
    def whose(self) -> str:
        """A text that tells these credentials from others of this process, known without a call and not secret."""
        said = self._options
        keys = said.access_key_id_file or said.access_key_id or said.ram_role_name
        return "|".join((keys, said.endpoints.get("ecs", ""), *said.role_arn))

    @property
    def told(self) -> str:
        """Where the keys come from, for people."""
        return self._source.told

    async def ask(self, action: str, request: Mapping[str, Any]) -> Mapping[str, Any]:
        """The answer to an action such as `ecs:RunInstances`, both sides as the API writes them; RegionId is added."""
        if action not in CALLS:
            raise Undeclared(f"{action} is called, and broker/backends/alibaba_ecs/iam.py does not know it")
        service, _, name = action.partition(":")
        return await self._ask(self._source, service, name, request)

    async def keys(self) -> Keys:
        """Those that sign now."""
        return await self._source.keys()

    def refused(self) -> None:
        """Keys that the cloud does not take are had anew, as far as they can be: by the next call, not before."""
        if self._clock.monotonic() >= self._anew_at:
            self._anew_at = self._clock.monotonic() + _ANEW_S
            self._source.forget()

    async def close(self) -> None:
        """The SDK keeps no connections."""
        self._clients.clear()

    async def _ask(self, source: Source, service: str, name: str, request: Mapping[str, Any]) -> Mapping[str, Any]:
        client = await self._client(source, service)
        keys = await source.keys()  # here, for the SDK would hide what keeps us from having them
        if service == "sts":
            return await client.plainly(keys, name, _STS_VERSION, request)
        region = {} if "RegionId" in request else {"RegionId": self._options.region}
        return await client.ask(keys, _sdk(service), name, {**region, **request})

    async def _client(self, source: Source, service: str) -> "_Client":
        key = (source, service)
        if key not in self._clients:
            self._clients[key] = await asyncio.to_thread(self._open, service)
        return self._clients[key]

    def _open(self, service: str) -> "_Client":
        """Imports what it needs: seconds, so not on the loop."""
        said = self._options
        configure = _imported("alibabacloud_tea_openapi.models").Config
        signing = _Signing()
        url = said.endpoints.get(service, "") or self._usual(service)
        scheme, mark, place = url.rpartition("://")
        config = configure(
            credential=signing,
            region_id=said.region,
            endpoint=place or None,
            protocol=scheme if mark else "https",
            connect_timeout=_CONNECT_MS,
            read_timeout=_READ_MS,
            http_proxy=said.proxy or None,
            https_proxy=said.proxy or None,
            user_agent=f"agentbroker/{VERSION}",
        )
        make = _sdk(service).make if service in _MODULES else _imported("alibabacloud_tea_openapi.client").Client
        real = make(config)
        return _Client(real, signing)

    def _usual(self, service: str) -> str:
        """Empty: the SDK knows the place. Within a VPC without the internet each service has another name."""
        if self._options.vpc_endpoints:
            return f"{service}-vpc.{self._options.region}.aliyuncs.com"
        return f"sts.{self._options.region}.aliyuncs.com" if service == "sts" else ""

    def _sources(self) -> Source:
        said = self._options
        values = {name: str(getattr(said, name)) for name in _NAMES if getattr(said, name)}
        files = {name: str(getattr(said, f"{name}_file")) for name in _NAMES if getattr(said, f"{name}_file")}
        source: Source = ChainKeys(self._name)
        if values or files:
            source = FileKeys(values, files, self._clock, self._name, _NAMES)
        elif said.ram_role_name:
            machine = MachineRole(said.ram_role_name, said.endpoints.get("metadata", METADATA), self._name)
            source = RoleKeys(said.ram_role_name, Nobody(), machine, self._clock, STALE)
        for arn in said.role_arn:
            source = RoleKeys(arn, source, partial(self._assume, arn, arn == said.role_arn[-1]), self._clock, STALE)
        return source

    async def _assume(self, arn: str, last: bool, source: Source) -> Keys:
        """AssumeRole (STS API reference), with the keys of a source."""
        said = self._options
        asked: dict[str, Any] = {
            "RoleArn": arn,
            "RoleSessionName": said.role_session_name or session_name(self._name),
            "DurationSeconds": _ROLE_S,
        }
        if last and said.role_external_id:
            asked["ExternalId"] = said.role_external_id
        try:
            async with asyncio.timeout(_ASSUME_S):
                told = await self._ask(source, "sts", "AssumeRole", asked)
        except Exception as error:
            failed = translate("sts:AssumeRole", error, self._name)
            if failed is None:
                raise
            raise _of_role(failed, arn, self._name) from error
        return keys_of(told.get("Credentials") or {}, f"sts:AssumeRole {arn}")


def _of_role(failed: BackendError, arn: str, name: str) -> BackendError:
    """What a role that cannot be taken means for the call that needs it: nothing was sent."""
    message = f"sts:AssumeRole {arn}: {failed.message}"
    if isinstance(failed, Throttled):
        return Throttled(failed.code, message, failed.reason)
    if isinstance(failed, OutcomeUnknown | InsufficientCapacity):
        return Throttled(failed.code, message, Reason.BACKEND_ERROR)
    known = failed.reason in {Reason.ACCESS_DENIED, Reason.CREDENTIALS_INVALID}
    reason = failed.reason if known else Reason.CREDENTIALS_INVALID
    return BackendRejected(failed.code, f"{message}; look at backends.{name}.role_arn", reason)


class _Signing:
    """What the SDK asks for keys before each call: those that stand."""

    def __init__(self) -> None:
        self.model: Any = None

    async def get_credential_async(self) -> Any:
        return self.model


class _Client:
    """A client of the SDK, and what it signs with."""

    def __init__(self, real: Any, signing: _Signing) -> None:
        self._real = real
        self._signing = signing
        self._credential = _imported("alibabacloud_credentials.models").CredentialModel
        self._runtime = _imported("darabonba.runtime").RuntimeOptions()
        self._openapi = _imported("alibabacloud_tea_openapi.models")

    async def ask(self, keys: Keys, sdk: "_Sdk", action: str, request: Mapping[str, Any]) -> Mapping[str, Any]:
        """A call by the service's own model."""
        method, model = sdk.of(action)
        self._sign_with(keys)
        answer = await method(self._real, model().from_map(request), self._runtime)
        told: Mapping[str, Any] = answer.to_map().get("body") or {}
        return told

    async def plainly(self, keys: Keys, action: str, version: str, request: Mapping[str, Any]) -> Mapping[str, Any]:
        """A call of a service whose own SDK is not there, by what all of them rest on."""
        params = self._openapi.Params(
            action=action,
            version=version,
            protocol="HTTPS",
            pathname="/",
            method="POST",
            auth_type="AK",
            style="RPC",
            req_body_type="formData",
            body_type="json",
        )
        query = {name: str(value) for name, value in request.items()}
        self._sign_with(keys)
        answer = await self._real.call_api_async(params, self._openapi.OpenApiRequest(query=query), self._runtime)
        told: Mapping[str, Any] = answer.get("body") or {}
        return told

    def _sign_with(self, keys: Keys) -> None:
        """Whatever the SDK signs from now on. No await that waits lies between this and where it reads them."""
        self._signing.model = self._credential(
            access_key_id=keys.access_key,
            access_key_secret=keys.secret_key,
            security_token=keys.token or "",
            type="sts" if keys.token else "access_key",
            provider_name="static_sts" if keys.token else "static_ak",
        )


@dataclass(frozen=True, slots=True)
class _Sdk:
    """One service's client class, and its methods and request models by the action's name."""

    make: Any
    methods: Mapping[str, Any]
    models: Any

    def of(self, action: str) -> tuple[Callable[..., Any], Any]:
        """The method and the request's model. AttributeError, KeyError: a bug."""
        return self.methods[action.lower()], getattr(self.models, f"{action}Request")


@cache
def _sdk(service: str) -> _Sdk:
    """Imports the SDK of a service: seconds, and 100 MB."""
    module = _MODULES[service]
    client, models = _imported(f"{module}.client").Client, _imported(f"{module}.models")
    suffix = "_with_options_async"
    names = [name for name in vars(client) if name.endswith(suffix)]
    methods = {name.removesuffix(suffix).replace("_", ""): getattr(client, name) for name in names}
    return _Sdk(client, methods, models)


def _imported(module: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        message = f"backends of type alibaba-ecs need {EXTRA}: run: pip install '{EXTRA}'"
        raise BackendRejected("SdkMissing", message, Reason.SETUP_FAILED) from error


def session_name(backend: str) -> str:
    """What a taken role's session is called in the account's records: 2 to 64 letters, digits and `.@-_`."""
    return re.sub(r"[^\w.@-]", "-", f"agentbroker-{backend or 'cli'}", flags=re.ASCII)[:64]
