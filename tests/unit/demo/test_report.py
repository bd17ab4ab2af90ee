import io
import json

from broker.demo.controllers import BuildView
from broker.demo.leftovers import LeftBehind
from broker.demo.report import PlainView, Summary, quantile

NOTHING = LeftBehind(agents=0, processes=0, directories=0, nodes=0)


def summary(*, succeeded: int = 2, launched: int = 2, left: LeftBehind = NOTHING) -> Summary:
    return Summary(
        controller="simulated",
        builds=2,
        succeeded=succeeded,
        agents_launched=launched,
        startup_s=[1.0, 2.0],
        left_behind=left,
    )


def test_the_json_has_exactly_the_promised_keys() -> None:
    assert json.loads(summary().as_json()) == {
        "controller": "simulated",
        "builds": 2,
        "succeeded": 2,
        "agents_launched": 2,
        "over_provision_ratio": 1.0,
        "startup_seconds": {"p50": 1.0, "p95": 2.0},
        "left_behind": {"agents": 0, "processes": 0, "directories": 0, "nodes": 0},
    }


def test_only_all_builds_on_one_agent_each_with_nothing_left_is_a_success() -> None:
    assert summary().is_success
    assert not summary(succeeded=1).is_success
    assert not summary(launched=3).is_success
    assert not summary(left=LeftBehind(agents=0, processes=1, directories=0, nodes=0)).is_success


def test_a_quantile_is_a_value_that_was_seen() -> None:
    values = [float(n) for n in range(1, 21)]
    assert (quantile(values, 0.5), quantile(values, 0.95), quantile([7.0], 0.95)) == (10.0, 19.0, 7.0)


def test_plain_lines_tell_each_change_once() -> None:
    stream = io.StringIO()
    view = PlainView(stream)
    queued = BuildView(name="demo-1", node="", queued_at=0, started_at=None, result=None)
    ended = BuildView(name="demo-1", node="linux-1", queued_at=0, started_at=1, result="SUCCESS")
    for build in (queued, queued, ended, ended):
        view.show([build])
    lines = [line.split(" ", 1)[1] for line in stream.getvalue().splitlines()]
    assert lines == ["demo-1 queued", "demo-1 success on linux-1"]
