"""What all services of one fake share: time, keys, ledger, faults, limits, rights."""

import uuid
from dataclasses import dataclass, field

from broker.demo.clouds.faults import Faults
from broker.demo.clouds.ledger import Ledger
from broker.demo.clouds.model import ApiError, Call
from broker.demo.clouds.rights import Rights
from broker.demo.clouds.signature import Keyring
from broker.demo.clouds.throttles import Throttles
from broker.ports import Clock


def denied(call: Call) -> ApiError:
    """The refusal of a call that is denied, as the call's protocol says it."""
    message = f"User: {call.identity.arn} is not authorized to perform: {call.service}:{call.action}"
    if call.service == "ec2":
        return ApiError("UnauthorizedOperation", message, 403)
    if call.service in {"sts", "iam"}:
        return ApiError("AccessDenied", message, 403)
    return ApiError("AccessDeniedException", message)


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
    rights: Rights = field(default_factory=lambda: Rights(denied))
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
