"""What all services of one fake share: time, keys, ledger, faults, limits, rights."""

import random
import string
import uuid
from dataclasses import dataclass, field
from typing import Final

from broker.demo.clouds.alibaba.errors import denied
from broker.demo.clouds.alibaba.roles import Roles
from broker.demo.clouds.alibaba.signature import Keyring
from broker.demo.clouds.alibaba.throttles import Throttles
from broker.demo.clouds.faults import Faults
from broker.demo.clouds.ledger import Ledger
from broker.demo.clouds.model import ApiError
from broker.demo.clouds.rights import Rights
from broker.ports import Clock

_LETTERS: Final = string.ascii_lowercase + string.digits


@dataclass(slots=True, kw_only=True)
class World:
    """One account's surroundings."""

    clock: Clock
    """The time of everything that happens in the account."""
    wall: Clock
    """The time of signatures and sessions: callers sign with the machine's, whatever a test does with `clock`."""
    account: str
    region: str
    """The one that is meant where a call has no RegionId: that of the endpoint."""
    regions: list[str]
    chance: random.Random
    keyring: Keyring = field(default_factory=Keyring)
    ledger: Ledger = field(default_factory=Ledger)
    faults: Faults = field(default_factory=Faults)
    rights: Rights = field(default_factory=lambda: Rights(denied))
    throttles: Throttles = field(init=False)
    roles: Roles = field(init=False)

    def __post_init__(self) -> None:
        """Limits count by `clock`."""
        self.throttles = Throttles(self.clock.monotonic)
        self.roles = Roles(self.account)

    def now(self) -> float:
        """Seconds since 1970, by `clock`."""
        return self.clock.now().timestamp()

    def request_id(self) -> str:
        """A new one."""
        return str(uuid.uuid4()).upper()

    def fresh(self, kind: str) -> str:
        """A new id such as i-bp1…, the same one again with the same seed."""
        return f"{kind}-bp1{''.join(self.chance.choices(_LETTERS, k=17))}"

    def problem(self, words: str, status: int) -> ApiError:
        """Remembers that the fake itself is wrong, and gives what to answer."""
        self.ledger.problems.append(words)
        return ApiError("FakeIsWrong", words, status)
