"""Calls that look for an instance or end it: so many of a backend at once, so that one that hangs holds up no other.

Apart from its launches (`bulkhead.py`), which wait for trust; an end never does.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from typing import Final

from broker.domain.ids import AgentId, BackendName
from broker.ports import Nudge

AT_ONCE: Final = 16
"""With its launches, less than half of the workers."""


@dataclass(slots=True)
class Ends:
    """Who stands in line twice is told once."""

    nudge: Nudge
    _open: Counter[BackendName] = field(default_factory=Counter)
    _lines: dict[BackendName, dict[AgentId, None]] = field(default_factory=dict)

    @contextmanager
    def turn(self, agent_id: AgentId, backend: BackendName) -> Iterator[bool]:
        """Whether the backend may be called now. If not, the agent stands in line, and is nudged when it may be."""
        line = self._lines.setdefault(backend, {})
        if self._open[backend] >= AT_ONCE:
            line.setdefault(agent_id)
            yield False
            return
        line.pop(agent_id, None)
        self._open[backend] += 1
        try:
            yield True
        finally:
            self._open[backend] -= 1
            for waiting in list(islice(line, AT_ONCE - self._open[backend])):
                del line[waiting]  # who needs it no more must not keep others from being told
                self.nudge.agent(waiting)
