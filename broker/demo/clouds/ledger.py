"""All calls that the fake was asked, in order."""

from collections import Counter
from collections.abc import Iterator

from broker.demo.clouds.model import Call


class Ledger:
    """The calls; those that were refused too, but for requests whose signature nobody knows."""

    def __init__(self) -> None:
        """Begins empty."""
        self._calls: list[Call] = []
        self.problems: list[str] = []
        """What the fake itself got wrong: replies that do not fit the model, actions that it does not know."""

    def __iter__(self) -> Iterator[Call]:
        """In the order of arrival."""
        return iter(self._calls)

    def __len__(self) -> int:
        """How many there were."""
        return len(self._calls)

    def __getitem__(self, index: int) -> Call:
        """One by its place."""
        return self._calls[index]

    def add(self, call: Call) -> None:
        """One more, which is answered later."""
        self._calls.append(call)

    def of(self, action: str, service: str = "") -> list[Call]:
        """The calls of one action."""
        return [call for call in self._calls if call.action == action and service in {"", call.service}]

    def count(self, action: str = "", *, code: str | None = None) -> int:
        """How many there were of an action (all without one), with an error code ("": those that went well)."""
        return sum(1 for call in self._calls if action in {"", call.action} and code in {None, call.code})

    def by_action(self) -> Counter[str]:
        """How many there were of each."""
        return Counter(call.action for call in self._calls)

    def clear(self) -> None:
        """Forgets the calls; problems stay."""
        self._calls.clear()
