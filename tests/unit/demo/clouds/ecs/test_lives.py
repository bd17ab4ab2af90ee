"""Whatever happens to tasks in whatever order: their lives go one way, and everything comes back."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from broker.demo.clouds.aws import FakeAws
from broker.demo.clouds.ecs import describe, ending, launch
from broker.demo.clouds.ecs.knobs import Fate, Timing, cannot_pull, exits, no_interface
from broker.demo.clouds.ecs.tasks import Status, Task
from broker.demo.clouds.model import Call, Identity
from broker.testing.clock import EPOCH
from tests.unit.demo.clouds.ecs.requests import fargate_definition, machine_definition, on_fargate

_ORDER = list(Status)
_WHO = Identity(account="111122223333", arn="arn:aws:iam::111122223333:user/broker", user_id="AIDA")
_TIMES = ("createdAt", "pullStartedAt", "pullStoppedAt", "startedAt", "stoppingAt", "executionStoppedAt", "stoppedAt")


@dataclass
class _Clock:
    """Time that a test sets."""

    at: float = 0.0

    def now(self) -> datetime:
        return EPOCH

    def monotonic(self) -> float:
        return self.at

    async def sleep_until(self, when: float) -> None:
        raise AssertionError("nothing waits")


@dataclass
class _Told:
    """What was told of each task last."""

    last: dict[str, dict[str, Any]] = field(default_factory=dict)

    def look(self, task: Task, now: float) -> None:
        told = describe.told(task, now)
        before = self.last.get(task.arn)
        if before:
            assert _ORDER.index(told["lastStatus"]) >= _ORDER.index(before["lastStatus"])
            assert (before["desiredStatus"], told["desiredStatus"]) != ("STOPPED", "RUNNING")
            assert told["version"] >= before["version"]
            assert before["lastStatus"] != "STOPPED" or told == before
            for name in ("stopCode", "stoppedReason", "createdAt", "startedAt", "stoppingAt", "stoppedAt"):
                assert name not in before or told[name] == before[name]
        moments = [told[name] for name in _TIMES if name in told]
        assert moments == sorted(moments)
        over = told["lastStatus"] == "STOPPED"
        assert over == ("stoppedAt" in told)
        assert not over or told["desiredStatus"] == "STOPPED"
        assert not over or all(one["lastStatus"] == "STOPPED" for one in told["containers"])
        assert all("exitCode" not in one for one in told["containers"]) or over or "stoppingAt" in told
        self.last[task.arn] = told


_SPANS = st.sampled_from([0.0, 1.0, 7.0, 40.0])
_STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("run"), st.sampled_from(["agents", "machines"])),
        st.tuples(st.sampled_from(["stop", "exit", "interrupt"]), st.integers(0, 9)),
        st.tuples(st.just("pass"), st.sampled_from([0.5, 3.0, 20.0, 130.0])),
    ),
    max_size=30,
)
_FATES = st.lists(st.sampled_from([cannot_pull("x"), no_interface(), exits(1, 3.0)]), max_size=3)


@settings(max_examples=150)
@given(spans=st.tuples(*[_SPANS] * 6), steps=_STEPS, fates=_FATES)
def test_lives_go_one_way_and_give_everything_back(
    spans: tuple[float, ...], steps: list[tuple[str, Any]], fates: list[Fate]
) -> None:
    clock, told = _Clock(), _Told()
    fake = FakeAws(clock)
    fake.throttles.unlimited()
    ecs, region = fake.ecs, fake.ecs.region
    machine = ecs.add_instance(cpu=4096)
    names = ("provisioning_s", "pending_s", "activating_s", "deactivating_s", "stopping_s", "deprovisioning_s")
    ecs.timing = Timing(**dict(zip(names, spans, strict=True)))
    for definition in (fargate_definition(), machine_definition()):
        region.definitions.register(definition, _WHO.arn)
    free = sum(one.free_addresses for one in fake.ec2.subnets.values())
    ecs.region.fates += fates
    for what, which in steps:
        _do(fake, what, which)
        now = region.settle()
        for task in region.tasks.values():
            told.look(task, now)
        assert machine.remaining().cpu >= 0
    for task in ecs.living:
        ending.order(region, task, ecs.now, "UserInitiated", "the end")
    clock.at += 600
    region.settle()
    assert ecs.living == []
    assert machine.held == {}
    assert sum(one.free_addresses for one in fake.ec2.subnets.values()) == free


def _do(fake: FakeAws, what: str, which: Any) -> None:
    ecs, clock = fake.ecs, fake.clock
    if what == "pass":
        assert isinstance(clock, _Clock)
        clock.at += which
    elif what == "run":
        asked = on_fargate(ecs) if which == "agents" else {"taskDefinition": which}
        call = Call(
            service="ecs", action="RunTask", parameters=asked, identity=_WHO, region=fake.region, at=clock.now()
        )
        launch.run(ecs.region, call, fake.throttles)
    elif arns := list(ecs.tasks):
        arn = arns[which % len(arns)]
        if what == "exit":
            ecs.stop(arn, exit_code=1)
        elif what == "interrupt":
            ecs.interrupt(arn)
        else:
            ending.stop(ecs.region, {"task": arn})
