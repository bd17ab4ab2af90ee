"""What builds ask for themselves: the broker checks it when it is asked, again at placement, and launches just that."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from broker.domain.asked import Answer, Asked
from broker.domain.ids import AgentName, TemplateName
from broker.domain.lifecycle import Outcome, Phase
from broker.domain.overrides import NO_OVERRIDE, Override, OverrideRules
from broker.domain.pool import PoolLimits
from broker.domain.reason import Reason
from broker.domain.resources import Resources
from broker.testing.factories import CONTROLLER, make_definitions, make_policy, make_pool, make_template
from tests.core import BOOT, Core, open_core, real_secret

NAME = "linux-000001"
RULES = OverrideRules(allow=frozenset({"cpu", "image"}), images=("registry.example.com/*",), max_cpu_milli=8000)
OVER = "overrides.cpu: 16 is over max_cpu 8 of policy linux"


def definitions(rules: OverrideRules = RULES, **pool: Any) -> Any:
    return make_definitions(policies=[make_policy(overrides=rules)], pools=[make_pool(**pool)])


async def ask(core: Core, label: str, name: str = NAME, **changes: Any) -> Answer:
    asked = Asked(name=name, policy="linux", secret=real_secret(name), label_expression=label)
    [answer] = await core.intake.accept(CONTROLLER, BOOT, [replace(asked, **changes)])
    return answer


async def test_an_agent_is_launched_with_what_its_build_asked_for_and_the_rest_of_its_template(tmp_path: Path) -> None:
    async with open_core(tmp_path / "db", definitions()) as core:
        image = "registry.example.com/x:1"
        answer = await ask(core, f'linux&&cpu=4&&"image={image}"', overrides={"cpu": "4", "image": image})
        assert answer.reason is None
        await core.settle()
        agent = await core.agent(NAME)
        assert agent.overrides == Override(image=image, cpu_milli=4000)
        [spec] = core.backend.ledger.calls
        assert (spec.template.image, spec.template.resources) == (image, Resources(cpu_milli=4000, memory_mib=512))


async def test_the_same_agent_after_a_restart_of_the_broker_is_launched_with_the_same(tmp_path: Path) -> None:
    async with open_core(tmp_path / "db", definitions()) as core:
        await ask(core, "linux && cpu=4")
    async with open_core(tmp_path / "db", definitions()) as core:
        await core.settle()
        [spec] = core.backend.ledger.calls
        assert spec.template.resources.cpu_milli == 4000


@pytest.mark.parametrize(
    ("label", "words"),
    [
        ("linux && cpu=16", OVER),
        (
            "linux && memory=1Gi",
            "overrides.memory: policy linux does not let a build choose it (it allows: image, cpu)",
        ),
        ("linux && image=docker.io/x", "overrides.image: docker.io/x is none of the images of policy linux"),
        ("linux && !cpu=4", "overrides.cpu: cpu=4 must be joined to the other labels by && alone"),
    ],
)
async def test_what_the_policy_forbids_is_refused_with_the_fields_name_and_others_of_the_call_are_not(
    tmp_path: Path, label: str, words: str
) -> None:
    async with open_core(tmp_path / "db", definitions()) as core:
        asked = [
            Asked(name=name, policy="linux", secret=real_secret(name), label_expression=text)
            for name, text in ((NAME, label), ("linux-000002", "linux"))
        ]
        refused, accepted = await core.intake.accept(CONTROLLER, BOOT, asked)
        assert refused.reason is Reason.OVERRIDE_FORBIDDEN
        assert refused.message.startswith(words)
        assert accepted.reason is None
        assert [agent.name for agent in await core.ctx.agents.live()] == ["linux-000002"]


async def test_what_the_script_says_of_itself_does_not_count(tmp_path: Path) -> None:
    async with open_core(tmp_path / "db", definitions()) as core:
        lied = await ask(core, "linux && cpu=16", overrides={"image": "", "cpu": "8", "memory": ""})
        hidden = await ask(core, "linux && cpu=16", overrides={"image": "", "cpu": "", "memory": ""})
        added = await ask(core, "linux", overrides={"image": "", "cpu": "8", "memory": ""})
        assert [one.reason for one in (lied, hidden, added)] == [Reason.OVERRIDE_FORBIDDEN] * 3
        assert added.message == "overrides: Jenkins asks for cpu=8, which is not what the label says"
        older = await ask(core, "linux && cpu=8")
        assert older.reason is None, "a client that knows of no overrides says nothing of them"


async def test_a_reload_that_shrinks_a_ceiling_ends_who_waits_with_the_fields_name_and_lets_the_running_one_be(
    tmp_path: Path,
) -> None:
    async with open_core(tmp_path / "db", definitions(limits=PoolLimits(agents=1))) as core:
        await ask(core, "linux && cpu=8")
        await core.settle()
        await ask(core, "linux && cpu=8", "linux-000002")
        await ask(core, "linux && cpu=2", "linux-000003")
        await core.settle()
        core.ctx.definitions = definitions(replace(RULES, max_cpu_milli=4000), limits=PoolLimits(agents=1))
        core.ctx.nudge.placement()
        await core.settle()
        ended, waits = await core.agent("linux-000002"), await core.agent("linux-000003")
        assert (ended.phase, ended.outcome, ended.why) == (Phase.GONE, Outcome.FAILED, Reason.OVERRIDE_FORBIDDEN)
        assert ended.message == "overrides.cpu: 8 is over max_cpu 4 of policy linux"
        assert (await core.agent(NAME)).goal == "online"
        assert waits.phase is Phase.REQUESTED


async def test_ceilings_are_of_what_the_template_is_with_all_that_it_inherits(tmp_path: Path) -> None:
    template = make_template(name=TemplateName("linux"), resources=Resources(cpu_milli=16_000, memory_mib=512))
    policy = make_policy(overrides=RULES, template=template.name)
    found = make_definitions(policies=[policy], templates=[template])
    async with open_core(tmp_path / "db", found) as core:
        assert (await ask(core, "linux")).reason is None, "what an admin wrote needs no leave"
        assert (await ask(core, "linux && cpu=16", "linux-000002")).message == OVER
        assert (await core.agent(NAME)).overrides == NO_OVERRIDE
        assert AgentName(NAME) in (await core.phases())
