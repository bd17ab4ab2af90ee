"""What a strategy answers."""

from dataclasses import dataclass
from typing import Self

from broker.domain.policy import PackBy
from broker.placement.feasible import Choice
from broker.placement.shelf import Pick


@dataclass(frozen=True, slots=True)
class Chosen:
    """The pool, the place in it, and why it was chosen, in words."""

    choice: Choice
    pick: Pick
    why: str = ""

    @classmethod
    def at(cls, choice: Choice, why: str = "", by: PackBy = PackBy.MEMORY) -> Self | None:
        """The pool's own first place: its fullest host that fits, else a new one."""
        pick = choice.room.pick(choice.size, by)
        return None if pick is None else cls(choice, pick, why)
