"""What a demo tells: progress while it runs, and one summary."""

import json
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TextIO

from broker.demo.controllers import BuildView
from broker.demo.leftovers import LeftBehind


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """The figures of one run. `startup_s` is from queued to running on its agent, one a build that got so far."""

    controller: str
    builds: int
    succeeded: int
    agents_launched: int
    startup_s: Sequence[float]
    left_behind: LeftBehind

    @property
    def over_provision_ratio(self) -> float:
        """Agents launched for each build; 1.0 is right for agents that run one build each."""
        return round(self.agents_launched / self.builds, 3) if self.builds else 0.0

    @property
    def is_success(self) -> bool:
        """Whether all builds succeeded, each on one agent, and nothing is left."""
        return self.succeeded == self.builds == self.agents_launched and not self.left_behind

    def as_json(self) -> str:
        """The object of `-o json`."""
        return json.dumps(
            {
                "controller": self.controller,
                "builds": self.builds,
                "succeeded": self.succeeded,
                "agents_launched": self.agents_launched,
                "over_provision_ratio": self.over_provision_ratio,
                "startup_seconds": {"p50": self._quantile(0.5), "p95": self._quantile(0.95)},
                "left_behind": self.left_behind.counts(),
            }
        )

    def as_text(self) -> str:
        """The same for people."""
        p50, p95 = self._quantile(0.5), self._quantile(0.95)
        startup = f"{p50} s (p50), {p95} s (p95)" if p50 is not None else "no build started"
        left = ", ".join(f"{count} {kind}" for kind, count in self.left_behind.counts().items() if count)
        return "\n".join(
            [
                f"controller       {self.controller}",
                f"builds           {self.succeeded} of {self.builds} succeeded",
                f"agents launched  {self.agents_launched} (over-provision ratio {self.over_provision_ratio})",
                f"queue to start   {startup}",
                f"left behind      {left or 'nothing'}",
            ]
        )

    def _quantile(self, share: float) -> float | None:
        return round(quantile(self.startup_s, share), 2) if self.startup_s else None


def quantile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least this share of all values does not exceed (nearest rank)."""
    ordered = sorted(values)
    return ordered[max(0, -int(-share * len(ordered) // 1) - 1)]


class View(Protocol):
    """Where progress is shown."""

    def say(self, text: str) -> None:
        """One line for people."""
        ...

    def show(self, builds: Sequence[BuildView]) -> None:
        """The state of all builds now; called several times a second."""
        ...

    def close(self) -> None:
        """Nothing more will be shown."""
        ...


class PlainView:
    """One line a change: for pipes and logs."""

    def __init__(self, stream: TextIO) -> None:
        """Writes to `stream`."""
        self._stream = stream
        self._last: dict[str, str] = {}

    def say(self, text: str) -> None:
        """Writes it."""
        print(text, file=self._stream, flush=True)

    def show(self, builds: Sequence[BuildView]) -> None:
        """Writes a line for each build whose state is another than before."""
        for build in builds:
            why = f": {build.why}" if build.why else ""
            where = f" on {build.node}" if build.node else ""
            if self._last.get(build.name) != build.state + why:
                self._last[build.name] = build.state + why
                self.say(f"{time.strftime('%H:%M:%S')} {build.name} {build.state}{where}{why}")

    def close(self) -> None:
        """Needs nothing."""


class TableView:
    """A live table: for terminals."""

    def __init__(self) -> None:
        """Draws nothing until the first builds are there."""
        from rich.console import Console  # noqa: PLC0415  # only a terminal needs it
        from rich.live import Live  # noqa: PLC0415

        self._console = Console()
        self._live = Live(console=self._console, auto_refresh=False)
        self._started = False

    def say(self, text: str) -> None:
        """Writes above the table."""
        self._console.print(text, markup=False, highlight=False)

    def show(self, builds: Sequence[BuildView]) -> None:
        """Draws the table anew."""
        if not self._started:
            self._live.start()
            self._started = True
        self._live.update(_table(builds), refresh=True)

    def close(self) -> None:
        """Leaves the last table standing."""
        if self._started:
            self._live.stop()


def _table(builds: Sequence[BuildView]) -> Any:
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    counts = Counter(build.state for build in builds)
    caption = "  ".join(f"{count} {state}" for state, count in counts.items())
    table = Table("build", "state", "agent", "queue to start", caption=caption)
    colours = {"success": "green", "failure": "red", "running": "cyan"}
    for build in builds[-30:]:  # what fits on a screen
        waited = f"{build.started_at - build.queued_at:.1f} s" if build.started_at else ""
        where = Text(build.node or build.why)  # a text: brackets in it are no markup
        table.add_row(build.name, f"[{colours.get(build.state, 'dim')}]{build.state}", where, waited)
    return table


def view_for(output: str) -> View:
    """A table on a terminal, else lines; with `json` the lines go to stderr, so that stdout holds one object alone."""
    if output == "json":
        return PlainView(sys.stderr)
    return TableView() if sys.stdout.isatty() else PlainView(sys.stdout)
