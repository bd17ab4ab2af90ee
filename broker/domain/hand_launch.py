"""Launches by hand: an operator wants agents, though no build waits; and all that Jenkins is to ask for unasked."""

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from broker.domain.ids import ControllerName, HandLaunchId, PolicyName

_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class HandLaunch:
    """So many agents of a policy that an operator wants of a controller. `actor` is who, such as `ana@10.0.0.7`.

    After `expires_at` no more are asked for; those that were go on.
    """

    id: HandLaunchId
    controller: ControllerName
    policy: PolicyName
    label_expression: str
    count: int
    actor: str
    created_at: datetime
    expires_at: datetime

    @property
    def who(self) -> str:
        """The name of the operator, without the address."""
        return self.actor.partition("@")[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """So many agents that a controller is to name and ask for though no build waits: warm ones, or of a launch."""

    policy: PolicyName
    count: int
    launch_id: HandLaunchId | None = None
    """Which launch by hand wants them; None for warm ones."""


def is_launch_id(text: str) -> bool:
    """Whether a launch may be called so."""
    return _ID.fullmatch(text) is not None
