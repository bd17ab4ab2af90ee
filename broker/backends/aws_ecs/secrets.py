"""Agents' secrets by reference: kept in SSM or Secrets Manager from before the launch until the container has read it.

RunTask cannot say a secret by reference, only a task definition can, so each such launch has a revision of its own,
which is deregistered as soon as the task is made. The name is made of the launch: whoever comes after a broker that
died in between writes over it, or deletes it.
"""

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from broker.backends.aws_ecs.calls import Calls
from broker.backends.aws_ecs.errors import NoSuchThing
from broker.backends.aws_ecs.known import NEVER, Known
from broker.backends.aws_ecs.observe import state_of
from broker.backends.aws_ecs.options import PoolOptions, TaskOptions
from broker.backends.aws_ecs.rates import Family
from broker.backends.aws_ecs.request import KEPT_FOR
from broker.domain.ids import InstanceRef
from broker.domain.instance import InstanceState
from broker.domain.pool import Pool
from broker.domain.reason import Reason
from broker.domain.template import Inject
from broker.errors import BackendError, BackendRejected, OutcomeUnknown, Throttled
from broker.ports import Clock, LaunchSpec

_SSM: Final = "ssm"
_ENV: Final = "env"
_PATIENCE_S: Final = 15.0
_AT_ONCE: Final = 5
_ALL_S: Final = 3.0
"""So long whoever brings the deletions along waits for them."""
_AGAIN_S: Final = 15.0
"""After one that failed."""


@dataclass(frozen=True, slots=True)
class Way:
    """How a pool's agents get their secrets."""

    kind: str
    prefix: str
    key: str = ""

    def name(self, launch: str) -> str:
        """Of a launch's secret: SSM's hierarchies begin with a slash."""
        return f"{'/' if self.kind == _SSM else ''}{self.prefix.strip('/')}/{launch}"


def way_of(spec: LaunchSpec) -> Way | None:
    """None for the environment. BackendRejected where the secret would stand in the task after all."""
    way = _way(PoolOptions.of(spec.pool))
    if way is None:
        return None
    key = f"pools.{spec.pool.name}.secret_delivery is {way.kind}"
    if spec.template.inject not in {Inject.ENV, Inject.SCRIPT}:
        message = f"{key}, and templates.{spec.template.name}.inject puts the secret into the arguments: use env"
        raise BackendRejected("SecretInArguments", message, Reason.INVALID_TEMPLATE)
    if TaskOptions.of(spec.template).task_definition:
        message = f"{key}, which needs a task definition of the broker's own: templates.{spec.template.name} names one"
        raise BackendRejected("NamedDefinition", message, Reason.INVALID_TEMPLATE)
    return way


def _way(pool: PoolOptions) -> Way | None:
    if pool.secret_delivery == _ENV:
        return None
    return Way(pool.secret_delivery, pool.secret_prefix, pool.secret_kms_key_id)


class Secrets:
    """Writes and deletes them. A secret that cannot be deleted is tried again for as long as the process lives."""

    def __init__(self, calls: Calls, clock: Clock) -> None:
        """Nothing is written yet."""
        self._calls = calls
        self._clock = clock
        self._again_at = NEVER
        self._ways: set[Way] = set()
        self._held: dict[InstanceRef, tuple[Way, str]] = {}
        self._left: dict[str, Way] = {}

    async def put(self, way: Way, launch: str, secret: str) -> str:
        """Writes it; answers what a task definition refers to it by. The same again is a success."""
        self._ways.add(way)
        name = way.name(launch)
        try:
            if way.kind == _SSM:
                key = {"KeyId": way.key} if way.key else {}
                request = {"Name": name, "Value": secret, "Type": "SecureString", "Overwrite": True, **key}
                await self._calls.call("ssm", Family.SECRETS, "PutParameter", request, patience_s=_PATIENCE_S)
                return name
            key = {"KmsKeyId": way.key} if way.key else {}
            request = {"Name": name, "SecretString": secret, "ClientRequestToken": launch, **key}
            told = await self._calls.call(
                "secretsmanager", Family.SECRETS, "CreateSecret", request, patience_s=_PATIENCE_S
            )
        except OutcomeUnknown as error:  # no task was made: the same again, later
            raise Throttled(error.code, error.message, error.reason) from error
        return str(told["ARN"])

    def hold(self, ref: InstanceRef, way: Way, launch: str) -> None:
        """A task was made that is going to read it."""
        self._held[ref] = (way, launch)

    def leave(self, way: Way, launch: str) -> None:
        """Nobody is going to read it."""
        self._left[way.name(launch)] = way

    def leave_all(self, launch: str) -> None:
        """Nobody is going to read what a launch, of this process or the one before, may have had."""
        for way in self._ways:
            self.leave(way, launch)

    def learn(self, pool: Pool) -> None:
        """A pool whose agents' secrets a broker before this one may have left."""
        if (way := _way(PoolOptions.of(pool))) is not None:
            self._ways.add(way)

    async def tidy(self, known: Iterable[Known]) -> None:
        """Deletes those that were read, or that nobody reads; a few at a time, and in bounded time."""
        for one in known:
            if not _has_read(one):
                continue
            if one.ref in self._held:
                self.leave(*self._held.pop(one.ref))
            elif one.owned is not None and not one.tidied and (launch := _kept_for(one)):
                self.leave_all(launch)
            one.tidied = True
        if self._clock.monotonic() < self._again_at:
            return
        try:
            async with asyncio.timeout(_ALL_S):
                for name in list(self._left)[:_AT_ONCE]:
                    await self._let_go(name)
        except (TimeoutError, BackendError):
            self._again_at = self._clock.monotonic() + _AGAIN_S

    async def _let_go(self, name: str) -> None:
        """Deletes one; where that fails, it comes after the others."""
        way = self._left.get(name)
        if way is None:
            return
        self._left[name] = self._left.pop(name)
        with suppress(NoSuchThing):
            await self._delete(way, name)
        self._left.pop(name, None)

    async def _delete(self, way: Way, name: str) -> None:
        if way.kind == _SSM:
            await self._calls.call("ssm", Family.SECRETS, "DeleteParameter", {"Name": name})
            return
        request = {"SecretId": name, "ForceDeleteWithoutRecovery": True}
        await self._calls.call("secretsmanager", Family.SECRETS, "DeleteSecret", request)


def _has_read(known: Known) -> bool:
    """Whether its container has begun, or never will."""
    return known.task is not None and state_of(known.task, known.container) is not InstanceState.PENDING


def _kept_for(known: Known) -> str:
    """The launch after which its agent's secret is called; empty for one that was told its secret."""
    overrides = (known.task or {}).get("overrides", {}).get("containerOverrides") or ()
    told = (one for override in overrides for one in override.get("environment") or ())
    return next((str(one.get("value", "")) for one in told if one.get("name") == KEPT_FOR), "")
