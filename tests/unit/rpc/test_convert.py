"""What controllers send becomes what the core and every store can hold; what they are told is what they act on."""

import pytest

from broker.config.load import parse
from broker.domain.ids import AgentName
from broker.domain.lifecycle import Goal, Phase
from broker.errors import ConfigError
from broker.intake import Kept, Truth
from broker.rpc.convert import MOST_USES, policy_set, releases, told, truth
from broker.testing.factories import make_agent, make_definitions
from broker.wire.v1 import agents_pb2 as wire

LARGEST = """version: 1
templates:
  t: { retention: { max_uses: 2147483647 } }
pools:
  it: { backend: process }
policies:
  linux:
    template: t
    pools: [it]
    priority: -2147483647
    retry: { attempts: 2147483647 }
    limits: { per_job: 1000000 }
"""


def test_jenkins_can_be_told_of_the_largest_numbers_that_a_file_may_have() -> None:
    definitions = parse(LARGEST, env={}).definitions
    [policy] = policy_set(list(definitions.policies.values()), definitions).policies
    assert (policy.priority, policy.retention.max_uses, policy.per_job) == (-(2**31) + 1, 2**31 - 1, 1_000_000)


@pytest.mark.parametrize("key", ["priority: -2147483647", "attempts: 2147483647", "max_uses: 2147483647"])
def test_a_number_that_jenkins_could_not_be_told_is_refused_where_it_stands(key: str) -> None:
    text = LARGEST.replace(key, f"{key}0")
    line = next(n for n, found in enumerate(text.splitlines(), start=1) if f"{key}0" in found)
    with pytest.raises(ConfigError, match=rf"<text>:{line}:[0-9]+: error\[out-of-range\]: '{key.partition(':')[0]}'"):
        parse(text, env={})


def test_no_controller_counts_further_than_a_store_does() -> None:
    release = wire.AgentRelease(name="a", cause=wire.RELEASE_CAUSE_COMPLETED, uses=2**32 - 1)
    node = wire.Node(name="a", uses=2**32 - 1)
    [given] = releases(wire.ReleaseAgentsRequest(boot_id="boot-1", agents=[release]))
    found = told(wire.SyncNodesRequest(boot_id="boot-1", nodes=[node]))
    assert given.uses == found.nodes[AgentName("a")].uses == MOST_USES < 2**31


@pytest.mark.parametrize(
    ("goal", "phase", "as_told"),
    [
        (Goal.DRAINED, Phase.RECONNECTING, "draining"),
        (Goal.DRAINED, Phase.DRAINING, "draining"),
        (Goal.ONLINE, Phase.RECONNECTING, "reconnecting"),
        (Goal.DRAINED, Phase.ONLINE, "online"),
    ],
)
def test_jenkins_is_told_that_an_agent_drains_while_it_has_lost_its_session_too(
    goal: Goal, phase: Phase, as_told: str
) -> None:
    kept = Kept(agent=make_agent(goal=goal, phase=phase), takes_builds=False, why="")
    reply = truth(Truth(kept=(kept,), removed=(), unknown=(), revision="1"), make_definitions())
    assert [state.phase for state in reply.agents] == [as_told]


@pytest.mark.parametrize(
    ("told_as", "kept"),
    [
        ("http://127.0.0.1:8080/job/app/7/", "http://127.0.0.1:8080/job/app/7/"),
        ("job/app/7/", ""),
        ("app #7", ""),
        ("javascript:alert(1)", ""),
        ("http://x/\n", ""),
        ("http://x/" + "a" * 5_000, ""),
    ],
)
def test_a_running_build_is_known_by_an_url_alone(told_as: str, kept: str) -> None:
    node = wire.Node(name="a", current_build=told_as)
    found = told(wire.SyncNodesRequest(boot_id="boot-1", nodes=[node]))
    assert found.nodes[AgentName("a")].build_url == kept


def test_an_agent_is_told_again_with_what_its_build_asked_for_and_its_job() -> None:
    agent = make_agent(label_expression='linux&&cpu=4&&"image=registry.example.com/x:1"', job="folder/app")
    kept = Kept(agent=agent, takes_builds=True, why="")
    [state] = truth(Truth(kept=(kept,), removed=(), unknown=(), revision="1"), make_definitions()).agents
    assert list(state.override_labels) == ["cpu=4", "image=registry.example.com/x:1"]
    assert state.job == "folder/app"
