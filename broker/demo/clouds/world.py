"""What all services of one fake share: time, keys, ledger, faults, limits, rights."""

import uuid
from collections.abc import Callable
from dataclasses import dataclass, field

from broker.demo.clouds.faults import Faults
from broker.demo.clouds.ledger import Ledger
from broker.demo.clouds.model import ApiError, Call, Parameters
from broker.demo.clouds.signature import Keyring
from broker.demo.clouds.throttles import Throttles
from broker.ports import Clock


@dataclass(slots=True)
class Rights:
    """What is denied; everything else is allowed. A rule is `service:Action` or `service:*`, for some parameters."""

    _denied: list[tuple[str, Callable[[Parameters], bool] | None]] = field(default_factory=list)

    def deny(self, action: str, where: Callable[[Parameters], bool] | None = None) -> None:
        """Denies `ecs:RunTask`, or `ecs:*`; with `where` only for parameters that it likes."""
        self._denied.append((action, where))

    def allow_all(self) -> None:
        """Denies nothing any more."""
        self._denied.clear()

    def is_denied(self, action: str, parameters: Parameters) -> bool:
        """Whether `service:Action` with these parameters is denied."""
        names = {action, f"{action.partition(':')[0]}:*", "*"}
        return any(name in names and (where is None or where(parameters)) for name, where in self._denied)

    def is_denied_altogether(self, action: str) -> bool:
        """Whether `service:Action` is denied whatever its parameters are."""
        names = {action, f"{action.partition(':')[0]}:*", "*"}
        return any(name in names and where is None for name, where in self._denied)

    def check(self, call: Call) -> None:
        """Raises ApiError for a call that is denied."""
        action = f"{call.service}:{call.action}"
        if not self.is_denied(action, call.parameters):
            return
        message = f"User: {call.identity.arn} is not authorized to perform: {action}"
        if call.service == "ec2":
            raise ApiError("UnauthorizedOperation", message, 403)
        if call.service in {"sts", "iam"}:
            raise ApiError("AccessDenied", message, 403)
        raise ApiError("AccessDeniedException", message)


@dataclass(slots=True, kw_only=True)
class World:
    """One account's surroundings."""

    clock: Clock
    """The time of everything that happens in the account."""
    wall: Clock
    """The time of signatures and sessions: callers sign with the machine's, whatever a test does with `clock`."""
    account: str
    region: str
    regions: set[str]
    keyring: Keyring = field(default_factory=Keyring)
    ledger: Ledger = field(default_factory=Ledger)
    faults: Faults = field(default_factory=Faults)
    rights: Rights = field(default_factory=Rights)
    throttles: Throttles = field(init=False)

    def __post_init__(self) -> None:
        """Limits count by `clock`."""
        self.throttles = Throttles(self.clock.monotonic)

    def request_id(self) -> str:
        """A new one."""
        return str(uuid.uuid4())

    def problem(self, words: str, status: int) -> ApiError:
        """Remembers that the fake itself is wrong, and gives what to answer."""
        self.ledger.problems.append(words)
        return ApiError("FakeIsWrong", words, status)
