"""How a service of the fake finds what answers an action."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar

from broker.demo.clouds.alibaba import errors
from broker.demo.clouds.alibaba.errors import NotBuilt
from broker.demo.clouds.alibaba.shapes import Shape, reply_shape, request_shape
from broker.demo.clouds.model import Call, Parameters

Answer = Callable[[Call], Parameters]


@dataclass(frozen=True, slots=True)
class Action:
    """What answers an action, which parameters must be there, and which others mean something here.

    One of the vendor's that does not is refused as the fake's lack.
    """

    answer: Answer
    needs: tuple[str, ...]
    takes: frozenset[str]

    def check(self, call: Call) -> None:
        """Raises ApiError or NotBuilt for a call without what it needs or with what is not built."""
        if lacking := sorted(set(call.parameters) - {*self.needs, *self.takes, "RegionId"}):
            raise NotBuilt(f"the parameter {lacking[0]}")
        for name in self.needs:
            if call.parameters.get(name) in (None, "", [], {}):
                raise errors.missing(name)


def action(answer: Answer, needs: str = "", takes: str = "") -> Action:
    """Names of parameters stand between spaces."""
    return Action(answer, tuple(needs.split()), frozenset(takes.split()))


class Service:
    """One service; a subclass fills `actions`."""

    name: ClassVar[str]
    version: ClassVar[str]
    actions: Mapping[str, Action]

    def request(self, name: str) -> Shape | None:
        """What a request for an action may have."""
        return request_shape(self.name, name)

    def reply(self, name: str) -> Shape | None:
        """What its reply may have."""
        return reply_shape(self.name, name)
