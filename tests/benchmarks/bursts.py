"""How long builds that are queued at one moment wait for their agents: with the broker, beside clouds without one."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from tests.benchmarks.bare_cloud import BARE, DEFAULT
from tests.benchmarks.figures import Figure, percentile
from tests.jenkins.controller import wait_for
from tests.jenkins.rig import LABEL, Rig

_LONGEST_S: Final = 800.0
_DEFAULT_MOST: Final = 20
"""Jenkins' own strategy nears a larger number over minutes."""
_TERMINATE: Final = "jenkins.model.Jenkins.get().nodes.findAll { it.labelString == '%s' }.each { it.terminate() }"


@dataclass(slots=True)
class Bursts:
    """Seconds from queue to online, an entry for each build, by label and size of the burst."""

    rig: Rig
    waits: dict[tuple[str, int], list[float]] = field(default_factory=dict)
    started: dict[str, int] = field(default_factory=dict)
    """Agents that came online, by label."""
    jobs: int = 0

    def interleaved(self, sizes: Sequence[int]) -> None:
        """The broker and the bare cloud in turn: each size as often as a run may take."""
        for size in sizes:
            for _ in range(rounds(size)):
                self.one(LABEL, size)
                self.one(BARE, size)

    def by_default(self, sizes: Sequence[int]) -> None:
        """Jenkins' own strategy: few, for it takes its time; not before it is warm."""
        for size in sizes:
            for _ in range(3 if size == 1 else 1):
                if size <= _DEFAULT_MOST:
                    self.one(DEFAULT, size)

    def one(self, label: str, count: int) -> None:
        """Queues so many builds at one moment; returns when all have run and their nodes are gone."""
        controller = self.rig.controller
        self.jobs += 1
        job = f"{label}-{self.jobs}"
        controller.create_job(job, label, "true")
        known = len(self._online())
        asked = int(
            controller.script(
                f"import hudson.model.*\ndef job = jenkins.model.Jenkins.get().getItem('{job}')\n"
                f"print System.currentTimeMillis()\n{count}.times {{ n -> job.scheduleBuild2(0, new Cause.UserIdCause()"
                ", new ParametersAction(new StringParameterValue('n', n.toString()))) }"
            )
        )
        done = controller.finished(job, count, seconds=_LONGEST_S)
        assert {build["result"] for build in done} == {"SUCCESS"}, done
        if label != LABEL:
            controller.script(_TERMINATE % label)  # those that Jenkins' own strategy has started for nobody
        wait_for("no node is left", lambda: not controller.nodes(), seconds=120, every=0.3)
        online = self._online()[known:]
        self.started[label] = self.started.get(label, 0) + len({name for name, _ in online})
        at = dict(reversed(online))
        served = {build["builtOn"] for build in done}
        self.waits.setdefault((label, count), []).extend((at[name] - asked) / 1000 for name in served)

    def forget(self) -> None:
        """What was measured until now does not count."""
        self.waits.clear()
        self.started.clear()

    def others(self) -> str:
        """Agents of the clouds without a broker that came online, of their builds."""
        labels = [label for label in (BARE, DEFAULT) if self.builds(label)]
        return (
            ", ".join(f"{label}: {self.started[label]} online for {self.builds(label)}" for label in labels) or "none"
        )

    def builds(self, label: str) -> int:
        """How many have run."""
        return sum(len(waits) for (of, _), waits in self.waits.items() if of == label)

    def figures(self, sizes: Sequence[int], how: str) -> Mapping[str, Figure]:
        """The ratios, each with the seconds behind it."""
        return dict(self._ratios(sizes, how))

    def _ratios(self, sizes: Sequence[int], how: str) -> Iterator[tuple[str, Figure]]:
        for size in sizes:
            for name, percent, peer, target in (
                ("queue_to_online_p95_vs_bare_no_delay", 95, BARE, "<= 1.3"),
                ("queue_to_online_p50_vs_default_strategy", 50, DEFAULT, "-"),
            ):
                ours, theirs = self.waits[LABEL, size], self.waits.get((peer, size))
                if theirs:
                    value = round(percentile(ours, percent) / percentile(theirs, percent), 3)
                    told = f"{how}; {_seconds('ours', ours)}; {_seconds(peer, theirs)}"
                    yield f"{name}_{size}", Figure(value=value, unit="1", target=target, how=told)

    def _online(self) -> list[tuple[str, int]]:
        file = self.rig.root / "online"
        lines = file.read_text().splitlines() if file.exists() else []
        return [(name, int(at)) for name, _, at in (line.partition(" ") for line in lines) if name]


def rounds(size: int) -> int:
    """How often a burst of a size is measured."""
    return min(10, max(1, 40 // size))


def _seconds(whose: str, waits: list[float]) -> str:
    p50, p95 = percentile(waits, 50), percentile(waits, 95)
    return f"{whose} p50 {p50:.2f} s, p95 {p95:.2f} s ({min(waits):.2f} to {max(waits):.2f}, n={len(waits)})"
