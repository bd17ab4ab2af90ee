"""What the fake's services share: a call, who makes it, the errors they answer, and how an action finds its handler."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar

Parameters = dict[str, Any]
"""Members by the API's names: texts, numbers, booleans, lists, maps; `datetime` for timestamps, `bytes` for blobs."""


class ApiError(Exception):
    """What a service answers instead of a result; `members` are more members of the error's shape."""

    def __init__(self, code: str, message: str, status: int = 400, **members: object) -> None:
        """`code` is the API's own, such as ClusterNotFoundException."""
        super().__init__(f"{code}: {message}")
        self.code, self.message, self.status, self.members = code, message, status, members


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who signed a request: a user, or a session of an assumed role."""

    account: str
    arn: str
    user_id: str


@dataclass(slots=True, kw_only=True)
class Call:
    """One request, as the ledger keeps it. `status` is 0 until it is answered, and for ever if its line was cut."""

    service: str
    action: str
    parameters: Parameters = field(default_factory=dict)
    identity: Identity
    region: str
    at: datetime
    """By the fake's clock."""
    monotonic: float = 0.0
    request_id: str = ""
    status: int = 0
    code: str = ""
    """The error's, "" for a success."""

    @property
    def account(self) -> str:
        """The account that is called: that of who calls."""
        return self.identity.account


Handler = Callable[[Call], Awaitable[Parameters]]


class Service:
    """One service of the fake. A method with an action's exact name (`RunTask`) answers that action.

    It takes a `Call` whose parameters the service's model has already taken, and gives the members of the result or
    raises `ApiError`. An action that the model knows and the class does not is refused with 501, and remembered.
    """

    name: ClassVar[str]
    """As botocore calls it: ecs, logs, …"""

    def handler(self, action: str) -> Handler | None:
        """The method that answers an action, None if this fake does not know it."""
        found: Handler | None = getattr(self, action, None) if action[:1].isupper() else None
        return found
