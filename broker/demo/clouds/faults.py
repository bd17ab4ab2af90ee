"""Scripted misfortune: which calls go wrong, how, and how often."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from broker.demo.clouds.model import ApiError, Call, Parameters

_STATUS: Final = {
    "InternalError": 500,
    "InternalFailure": 500,
    "InternalServiceError": 500,
    "InternalServerError": 500,
    "ServerException": 500,
    "ServiceUnavailable": 503,
    "ServiceUnavailableException": 503,
    "Unavailable": 503,
    "RequestLimitExceeded": 503,
}


_PAGE: Final = "<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>"


class Cut(Exception):
    """The line is to be cut without an answer."""


class Page(ApiError):
    """An answer that no service gave: a balancer's page."""

    def __init__(self, status: int) -> None:
        """With that status."""
        super().__init__("", _PAGE, status)


@dataclass(slots=True, kw_only=True)
class Fault:
    """One rule. It concerns calls of `action` ("" for every one) of `service`, whose parameters `where` likes.

    `code` answers that error, with `message` and a status that fits or is given; `html` answers a page as a balancer
    does; `drop` cuts the line; with none of them the call is only delayed. `after_effect` lets the service act first.
    """

    action: str = ""
    service: str = ""
    where: Callable[[Parameters], bool] | None = None
    times: int | None = 1
    """How often at most; None: until it is removed."""
    probability: float = 1.0
    code: str = ""
    message: str = ""
    status: int = 0
    html: bool = False
    drop: bool = False
    after_effect: bool = False
    delay_s: float = 0.0
    """Before the answer, by the fake's clock."""
    retry_after_ms: int = 0
    """What the answer says of when to come again, of clouds whose answers say so."""
    happened: int = field(default=0, init=False)

    @property
    def is_answer(self) -> bool:
        """Whether the caller does not get the service's own answer."""
        return bool(self.code or self.status or self.html or self.drop)

    @property
    def http_status(self) -> int:
        """What it answers with."""
        return self.status or _STATUS.get(self.code, 503 if self.html else 400)

    def strike(self) -> None:
        """Raises what is answered instead of the service's own answer; returns if nothing is."""
        if self.drop:
            raise Cut
        if self.html:
            raise Page(self.http_status)
        if self.is_answer:
            raise ApiError(self.code or "InternalFailure", self.message or "scripted", self.http_status)

    def concerns(self, call: Call) -> bool:
        """Whether a call is meant, chance aside."""
        return (
            (self.times is None or self.happened < self.times)
            and self.action in {"", call.action}
            and self.service in {"", call.service}
            and (self.where is None or self.where(call.parameters))
        )


class Faults:
    """The rules in force; the first that concerns a call and has its chance strikes. Chances repeat with the seed."""

    def __init__(self, seed: int = 0) -> None:
        """No rule yet."""
        self._rules: list[Fault] = []
        self._random = random.Random(seed)

    def add(self, fault: Fault) -> Fault:
        """One more rule, behind the others; gives it back, so that it can be asked how often it struck."""
        self._rules.append(fault)
        return fault

    def remove(self, fault: Fault) -> None:
        """Ends a rule; one that has ended is a success."""
        self._rules = [rule for rule in self._rules if rule is not fault]

    def clear(self) -> None:
        """Ends all."""
        self._rules.clear()

    def strikes(self, call: Call) -> Fault | None:
        """The rule that strikes this call, counted."""
        for rule in self._rules:
            if rule.concerns(call) and self._random.random() < rule.probability:
                rule.happened += 1
                return rule
        return None
