"""The lives that walk over every edge of the lifecycle, and what each must come to, whoever dies on the way."""

from dataclasses import dataclass
from typing import Final

from broker.domain.instance import InstanceState
from broker.domain.lifecycle import TRANSITIONS, Outcome, Phase
from tests.crash.points import ACCEPTED, AIMED, NOTED, Column, edge


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What happens to one agent, and its end.

    `errors` are what the cloud answers to its first launches (`no room`, `made, no answer`, `not made, no answer`);
    `fails` is the state in which the first attempt's instance ends by itself; `loses` when the session is lost for a
    while (`idle`, `busy`); `drained` whether an operator drains it while it is busy; `cancelled` the phases in which
    Jenkins gives it back without a build.
    """

    name: str
    errors: tuple[str, ...] = ()
    fails: InstanceState | None = None
    full: bool = False
    loses: str = ""
    drained: bool = False
    cancelled: frozenset[Phase] = frozenset()
    outcome: Outcome = Outcome.SUCCEEDED
    most_instances: int = 1


PLAIN: Final = Plan(name="plain")
EARLY: Final = Plan(name="the handshake overtakes the reply", errors=("made, no answer",) * 3)
NO_ROOM: Final = Plan(name="no room at first", errors=("no room",))
WAITS: Final = Plan(
    name="given back while it waits",
    full=True,
    cancelled=frozenset({Phase.REQUESTED}),
    outcome=Outcome.CANCELLED,
    most_instances=0,
)
UNANSWERED: Final = Plan(
    name="given back while its launch has no answer",
    errors=("made, no answer",) * 50,
    cancelled=frozenset({Phase.LAUNCHING}),
    outcome=Outcome.CANCELLED,
)
DIES_BOOTING: Final = Plan(name="ends while it boots", fails=InstanceState.PENDING, most_instances=2)
DIES_CONNECTING: Final = Plan(name="ends before it connects", fails=InstanceState.RUNNING, most_instances=2)
LOST: Final = Plan(name="loses its session in a build", loses="busy")
LOST_IDLE: Final = Plan(name="is given back without a session", loses="idle", cancelled=frozenset({Phase.RECONNECTING}))
DRAINED: Final = Plan(name="is drained in a build", drained=True)
DRAINED_LOST: Final = Plan(name="is drained in a build and loses its session", drained=True, loses="drained")

_WALKED: Final[dict[str, Plan]] = {
    edge(Phase.REQUESTED, Phase.LAUNCHING): PLAIN,
    edge(Phase.REQUESTED, Phase.GONE): WAITS,
    edge(Phase.LAUNCHING, Phase.BOOTING): PLAIN,
    edge(Phase.LAUNCHING, Phase.CONNECTING): EARLY,
    edge(Phase.LAUNCHING, Phase.REQUESTED): NO_ROOM,
    edge(Phase.LAUNCHING, Phase.TERMINATING): UNANSWERED,
    edge(Phase.BOOTING, Phase.CONNECTING): PLAIN,
    edge(Phase.BOOTING, Phase.TERMINATING): DIES_BOOTING,
    edge(Phase.CONNECTING, Phase.ONLINE): PLAIN,
    edge(Phase.CONNECTING, Phase.TERMINATING): DIES_CONNECTING,
    edge(Phase.ONLINE, Phase.RECONNECTING): LOST,
    edge(Phase.ONLINE, Phase.DRAINING): DRAINED,
    edge(Phase.ONLINE, Phase.TERMINATING): PLAIN,
    edge(Phase.RECONNECTING, Phase.ONLINE): LOST,
    edge(Phase.RECONNECTING, Phase.DRAINING): DRAINED_LOST,
    edge(Phase.RECONNECTING, Phase.TERMINATING): LOST_IDLE,
    edge(Phase.DRAINING, Phase.RECONNECTING): DRAINED_LOST,
    edge(Phase.DRAINING, Phase.TERMINATING): DRAINED,
    edge(Phase.TERMINATING, Phase.GONE): PLAIN,
    edge(Phase.TERMINATING, Phase.REQUESTED): DIES_BOOTING,
}
_WRITTEN: Final[dict[str, Plan]] = {ACCEPTED: PLAIN, NOTED: PLAIN, AIMED: PLAIN}
ARGUED: Final = {
    edge(Phase.LAUNCHING, Phase.ONLINE): "a session brings it to connecting first, and Jenkins' word comes after",
    edge(Phase.BOOTING, Phase.ONLINE): "a session brings it to connecting first, and Jenkins' word comes after",
}
"""Edges that the lifecycle allows and no step takes."""
EDGES: Final = frozenset(edge(before, after) for before, afters in TRANSITIONS.items() for after in afters)


@dataclass(frozen=True, slots=True)
class Cell:
    """One death of the matrix."""

    write: str
    column: Column
    plan: Plan

    def __str__(self) -> str:
        return f"{self.write}:{self.column}".replace(" ", "-")


MATRIX: Final = tuple(Cell(write, column, plan) for write, plan in (_WALKED | _WRITTEN).items() for column in Column)

_ANSWERED: Final = (Column.CALL_LEFT, Column.REPLIED)
_LAST: Final = frozenset(
    {(edge(b, Phase.GONE), c) for b in (Phase.REQUESTED, Phase.TERMINATING) for c in (Column.AFTER_COMMIT, *_ANSWERED)}
    | {(edge(b, Phase.TERMINATING), c) for b in (Phase.ONLINE, Phase.RECONNECTING, Phase.DRAINING) for c in _ANSWERED}
    | {(AIMED, c) for c in _ANSWERED}
)
"""Deaths after which a life has no write left, or no call after its last write: there nobody dies again."""
TWICE: Final = tuple(cell for cell in MATRIX if (cell.write, cell.column) not in _LAST)
"""The cells in which the next broker can die at the same place of its first write."""

_PLACED, _NO_MORE = edge(Phase.REQUESTED, Phase.LAUNCHING), edge(Phase.ONLINE, Phase.TERMINATING)
REAL: Final = (
    *(Cell(_PLACED, column, PLAIN) for column in Column),
    Cell(NOTED, Column.BEFORE_COMMIT, PLAIN),
    Cell(NOTED, Column.AFTER_COMMIT, PLAIN),
    Cell(edge(Phase.LAUNCHING, Phase.BOOTING), Column.AFTER_COMMIT, PLAIN),
    Cell(edge(Phase.CONNECTING, Phase.ONLINE), Column.AFTER_COMMIT, PLAIN),
    *(Cell(_NO_MORE, column, PLAIN) for column in Column),
    Cell(edge(Phase.TERMINATING, Phase.GONE), Column.BEFORE_COMMIT, PLAIN),
    Cell(edge(Phase.TERMINATING, Phase.GONE), Column.AFTER_COMMIT, PLAIN),
    Cell(edge(Phase.TERMINATING, Phase.REQUESTED), Column.CALL_LEFT, DIES_CONNECTING),
)
"""The cells that are died for real, in processes and containers: around every call that makes or ends an instance."""

CONTAINED: Final = (
    *(Cell(_PLACED, column, PLAIN) for column in Column),
    Cell(NOTED, Column.BEFORE_COMMIT, PLAIN),
    *(Cell(_NO_MORE, column, PLAIN) for column in (Column.AFTER_COMMIT, Column.CALL_LEFT, Column.REPLIED)),
)
"""Those of them that are died beside containers, too."""
