"""Labels that nothing in Jenkins serves: each build counts once, each label is said once a day."""

from collections.abc import Mapping
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from broker.intake import Told
from broker.testing.factories import CONTROLLER, make_definitions, make_policy
from tests.core import BOOT, Core, open_core

DAY_S = 86_400.0


async def tell(core: Core, labels: Mapping[str, int]) -> list[dict[str, object]]:
    """What the log says of a sync that tells of these."""
    with capture_logs() as logs:
        await core.intake.sync(CONTROLLER, Told(boot_id=BOOT, nodes={}, pending=(), unmatched=labels))
    return [dict(entry) for entry in logs if entry["event"] == "label_unmatched"]


def counted(core: Core) -> float | None:
    name = "agentbroker_unmatched_labels_total"
    return core.ctx.metrics.registry.get_sample_value(name, {"controller": str(CONTROLLER)})


async def test_each_build_counts_once_and_the_label_is_said_again_after_a_day(core: Core) -> None:
    assert counted(core) == 0
    [said] = await tell(core, {"linux && gpu": 3})
    assert (said["log_level"], said["label"], said["controller"]) == ("warning", "linux && gpu", CONTROLLER)
    assert await tell(core, {"linux && gpu": 0}) == []
    assert await tell(core, {"linux && gpu": 2}) == []
    assert counted(core) == 5
    await core.clock.advance(DAY_S - 1)
    assert await tell(core, {"linux && gpu": 0}) == []
    await core.clock.advance(1)
    assert len(await tell(core, {"linux && gpu": 0})) == 1


@pytest.mark.parametrize(
    ("label", "message"),
    [
        (
            "linux && gpu",
            "no policy carries all of: gpu, linux; nearest: linux lacks gpu; "
            "ask an admin to add a policy, or use one of the labels: linux, docker",
        ),
        (
            "Linux",
            "no policy carries all of: Linux; Linux: did you mean linux?; "
            "ask an admin to add a policy, or use one of the labels: linux, docker",
        ),
        (
            "",
            "no policy takes builds that name no label; "
            "ask an admin to add one, or use one of the labels: linux, docker",
        ),
        ("linux &&", "no policy matches linux &&"),
    ],
)
async def test_it_is_said_with_the_nearest_labels(tmp_path: Path, label: str, message: str) -> None:
    definitions = make_definitions(policies=[make_policy(labels=("linux", "docker"))])
    async with open_core(tmp_path / "db", definitions) as core:
        [said] = await tell(core, {label: 1})
        assert said["message"] == message


async def test_one_sync_has_a_few_labels_said_and_the_next_ones_the_others(core: Core) -> None:
    labels = {f"label-{n}": 1 for n in range(25)}
    said = [len(await tell(core, labels)) for _ in range(4)]
    assert said == [10, 10, 5, 0]
    assert counted(core) == 100


async def test_of_very_many_labels_the_first_ones_are_forgotten(core: Core, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("broker.reconcile.unmatched._MOST_KEPT", 3)
    assert len(await tell(core, {f"label-{n}": 1 for n in range(5)})) == 5
    assert len(await tell(core, {f"label-{n}": 0 for n in (2, 3, 4)})) == 0
    assert len(await tell(core, {"label-0": 0})) == 1
