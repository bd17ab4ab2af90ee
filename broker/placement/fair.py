"""Whose turn it is: among requests of one priority, those of the controller and policy that hold the fewest agents."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from heapq import heapify, heappop, heappush, heapreplace

from broker.domain.ids import PolicyName
from broker.domain.limits import Usage
from broker.domain.reason import Reason
from broker.placement.classes import Ask

_Head = tuple[object, str, int, Ask]


class _Line:
    """The classes of one controller and policy, the one with the oldest request first."""

    __slots__ = ("heap",)

    def __init__(self, asks: Iterable[Ask]) -> None:
        self.heap: list[_Head] = [_head(ask) for ask in asks]
        heapify(self.heap)

    @property
    def first(self) -> Ask:
        return self.heap[0][-1]


class Turns:
    """Hands out turns. One turn places one agent of a class, or says that the class gets no place any more."""

    def __init__(self, asks: Sequence[Ask], usage: Usage) -> None:
        self._usage = usage
        self._lines: list[tuple[int, object, str, int, _Line]] = []
        self._parked: dict[PolicyName, list[Ask]] = defaultdict(list)
        groups: dict[object, list[Ask]] = defaultdict(list)
        for ask in asks:
            groups[ask.held_key].append(ask)
        for group in groups.values():
            self._push(_Line(group), group[0].number)

    def __iter__(self) -> Iterator[Ask]:
        while self._lines:
            line = self._lines[0][-1]
            ask = line.first
            done = ask.done
            yield ask
            if ask.done == done or ask.is_done:
                heappop(line.heap)
                self._park(ask)
            else:
                heapreplace(line.heap, _head(ask))
            number = self._lines[0][3]
            if line.heap:
                heapreplace(self._lines, self._entry(line, number))
            else:
                heappop(self._lines)
            if ask.done != done:
                self._reopen(ask)

    def _park(self, ask: Ask) -> None:
        """One that waits for the numbers of its policy to be even again may have its turn later in the batch."""
        if not ask.is_done and ask.stuck is not None and any(r.reason is Reason.MAX_SKEW for r in ask.stuck.rejections):
            self._parked[ask.policy.name].append(ask)

    def _reopen(self, placed: Ask) -> None:
        for ask in self._parked.pop(placed.policy.name, ()):
            self._push(_Line([ask]), ask.number)

    def _push(self, line: _Line, number: int) -> None:
        heappush(self._lines, self._entry(line, number))

    def _entry(self, line: _Line, number: int) -> tuple[int, object, str, int, _Line]:
        ask = line.first
        head = ask.head
        return (self._usage.held[ask.held_key], head.requested_at, head.name, number, line)


def _head(ask: Ask) -> _Head:
    head = ask.head
    return (head.requested_at, head.name, ask.number, ask)
