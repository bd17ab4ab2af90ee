"""Why no policy serves a build, in the words that stand in its log: BuildWords.groovy says the same, by one table."""

import difflib
import heapq
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from broker.domain.labels import LabelExpression, atoms, matches
from broker.domain.overrides import is_override
from broker.domain.policy import Policy

_MOST_LABELS: Final = 60
_MOST_MEANT, _MOST_LIKELY = 3, 100
"""How many labels of an expression are looked for among those of policies, and among how many each: it takes time."""
_NOT_ALL: Final = re.compile(r"[|!]|->")


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """A policy beside what a build asks for; `text` says it in words."""

    policy: Policy
    has: tuple[str, ...]
    lacks: tuple[str, ...]

    @property
    def text(self) -> str:
        """Such as "has linux; lacks gpu"."""
        has = f"has {', '.join(self.has)}" if self.has else "has none of them"
        return f"{has}; lacks {', '.join(self.lacks)}" if self.lacks else f"{has}; the expression excludes it"


def serving(expression: LabelExpression | None, policies: Iterable[Policy]) -> list[Policy]:
    """The policies that take such builds, before they look at what those ask for themselves; None: without a label."""
    if expression is None:
        return [policy for policy in policies if policy.accept_unlabelled]
    asked = overrides_in(expression)
    return [policy for policy in policies if matches(expression, asked.union(policy.labels))]


def overrides_in(expression: LabelExpression) -> frozenset[str]:
    """The atoms that are no labels but ask for something."""
    return frozenset(filter(is_override, atoms(expression) | atoms(expression, wanted=False)))


def head(text: str, expression: LabelExpression | None) -> str:
    """One line: what no policy has."""
    if expression is None:
        return "no policy takes builds that name no label"
    wanted = wanted_by(expression)
    if wanted and (list(wanted) == [text] or not _NOT_ALL.search(text)):
        return f"no policy carries all of: {', '.join(wanted)}"
    return f"no policy matches {text}"


def wanted_by(expression: LabelExpression) -> tuple[str, ...]:
    """The labels that speak for a match, by their names."""
    return tuple(sorted(name for name in atoms(expression) if not is_override(name)))


def compared(expression: LabelExpression, policies: Sequence[Policy]) -> list[Compared]:
    """Every policy beside the expression, the one that lacks least first."""
    wanted = wanted_by(expression)
    found = [
        Compared(
            policy=policy,
            has=tuple(name for name in wanted if name in policy.labels),
            lacks=tuple(name for name in wanted if name not in policy.labels),
        )
        for policy in policies
    ]
    return sorted(found, key=lambda one: len(one.lacks))


def advice(expression: LabelExpression | None, policies: Sequence[Policy]) -> str:
    """What can be done about it."""
    known = list(dict.fromkeys(label for policy in policies for label in policy.labels))[:_MOST_LABELS]
    use = f", or use one of the labels: {', '.join(known)}" if known else ""
    return f"ask an admin to add {'one' if expression is None else 'a policy'}{use}"


def nearest(expression: LabelExpression, policies: Sequence[Policy]) -> str:
    """Which policy lacks least, and which labels are written nearly so; empty where nothing is near."""
    ordered = compared(expression, policies)
    said = [f"nearest: {ordered[0].policy.name} lacks {', '.join(ordered[0].lacks)}"] if _is_near(ordered) else []
    known = {label for policy in policies for label in policy.labels}
    for name in [name for name in wanted_by(expression) if name not in known][:_MOST_MEANT]:
        if meant := _meant(name, known):
            said.append(f"{name}: did you mean {meant}?")
    return "; ".join(said)


def _is_near(ordered: Sequence[Compared]) -> bool:
    return bool(ordered and ordered[0].has and ordered[0].lacks)


def _meant(name: str, known: set[str]) -> str:
    if same := sorted(label for label in known if label.casefold() == name.casefold()):
        return same[0]
    likely = heapq.nsmallest(
        _MOST_LIKELY, known, key=lambda label: (label[0] != name[0], abs(len(label) - len(name)), label)
    )
    return next(iter(difflib.get_close_matches(name, sorted(likely), n=1)), "")
