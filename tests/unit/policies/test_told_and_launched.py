"""What the file says of templates, pools and policies reaches Jenkins and what is launched."""

from pathlib import Path
from typing import Any

import pytest

from broker.backends.container.request import ContainerOptions, create_body
from broker.config.load import parse
from broker.domain.definitions import Definitions
from broker.domain.ids import AgentName, ControllerName, PoolName
from broker.intake import Kept, Truth
from broker.ports import LaunchSpec
from broker.rpc.convert import policy_set, truth
from broker.testing.factories import make_agent, make_spec
from broker.wire.v1 import agents_pb2 as wire
from tests.core import real_secret
from tests.unit.policies.written import written

TOKEN = "a" * 64
OTHER = "b" * 64
TEXT = f"""version: 1
controllers:
  main: {{ url: "http://127.0.0.1:8080/", token_sha256: {TOKEN} }}
  mobile: {{ url: "http://127.0.0.1:8081/", token_sha256: {OTHER} }}
templates:
  base: {{ abstract: true, executors: 3, retention: {{ max_uses: 0, idle_timeout: 7m }} }}
  java: {{ inherit_from: base, remote_fs: work/here, retention: {{ max_uses: 4 }} }}
pools:
  base: {{ backend: process, abstract: true, limits: {{ agents: 3 }} }}
  it: {{ inherit_from: base }}
policies:
  linux:
    labels: [linux, docker]
    template: java
    pools: [it]
    name_prefix: ci
    overrides: {{ allow: [cpu] }}
  any: {{ accept_unlabelled: true, pools: [it], priority: 9 }}
  theirs: {{ labels: [theirs], pools: [it], controllers: [mobile] }}
"""


def told(controller: str) -> dict[str, wire.Policy]:
    definitions = parse(TEXT, env={}).definitions
    policies = definitions.policies_of(ControllerName(controller))
    return {policy.name: policy for policy in policy_set(policies, definitions).policies}


def test_jenkins_is_told_labels_prefix_executors_directory_and_retention() -> None:
    linux = told("main")["linux"]
    assert list(linux.labels) == ["linux", "docker"]
    assert (linux.name_prefix, linux.executors, linux.remote_fs) == ("ci", 3, "work/here")
    assert (linux.retention.max_uses, linux.retention.idle_timeout.seconds) == (4, 7 * 60)
    assert list(linux.overrides.allow) == ["cpu"]


def test_jenkins_is_told_of_agents_that_have_a_directory_of_their_own() -> None:
    assert not told("main")["linux"].own_directory
    definitions = parse(TEXT.replace("work/here", "work, unique_remote_fs: true"), env={}).definitions
    found = {policy.name: policy for policy in policy_set(list(definitions.policies.values()), definitions).policies}
    assert (found["linux"].remote_fs, found["linux"].own_directory) == ("work", True)
    kept = Kept(agent=make_agent(1, name=AgentName("ci-1")), takes_builds=True, why="")
    [state] = truth(Truth(kept=(kept,), removed=(), unknown=(), revision="1"), definitions).agents
    assert state.remote_fs == "work/ci-1"


def test_jenkins_is_told_the_highest_priority_first_and_who_takes_builds_without_a_label() -> None:
    assert list(told("main")) == ["any", "linux"]
    assert (told("main")["any"].accept_unlabelled, told("main")["any"].priority) == (True, 9)
    assert not told("main")["linux"].accept_unlabelled


def test_a_policy_is_its_controllers_alone() -> None:
    assert "theirs" in told("mobile")
    assert "theirs" not in told("main")


def test_what_is_abstract_is_only_there_to_inherit_from() -> None:
    definitions = parse(TEXT, env={}).definitions
    assert set(definitions.pools) == {"it"}
    assert set(definitions.templates) == {"java", "default"}
    assert definitions.pools[PoolName("it")].limits.agents == 3


async def test_a_launch_carries_image_size_user_environment_and_the_keys_of_its_pool(tmp_path: Path) -> None:
    text = """
templates: { default: { image: "acme/agent:1", cpu: 1.5, memory: 3Gi, user: jenkins, env: { TZ: UTC } } }
pools: { a: { backend: process, command: [run, it] } }
policies: { linux: { labels: [linux], pools: [a] } }
"""
    async with written(tmp_path, text) as broker:
        await broker.ask()
        spec = broker.core.backend.ledger.spec_of(AgentName("linux-1"))
        assert (spec.template.image, spec.template.user, dict(spec.template.env)) == (
            "acme/agent:1",
            "jenkins",
            {"TZ": "UTC"},
        )
        assert (spec.template.resources.cpu_milli, spec.template.resources.memory_mib) == (1500, 3072)
        assert spec.pool.options["command"] == ["run", "it"]


@pytest.mark.parametrize("websocket", [True, False])
async def test_an_agent_of_a_direct_pool_is_started_as_the_pool_says(websocket: bool, tmp_path: Path) -> None:
    way = "websocket: true" if websocket else "tunnel: 'nlb.example.com:50000'"
    text = f"""
pools:
  a: {{ backend: process, connect: direct, direct: {{ url: "https://ci.example.com/jenkins", {way} }} }}
policies: {{ linux: {{ labels: [linux], pools: [a] }} }}
"""
    async with written(tmp_path, text) as broker:
        await broker.ask()
        spec = broker.core.backend.ledger.spec_of(AgentName("linux-1"))
        assert (spec.url, spec.websocket) == ("https://ci.example.com/jenkins/", websocket)
        assert spec.tunnel == ("" if websocket else "nlb.example.com:50000")
        assert spec.secret == real_secret("linux-1"), "the one that Jenkins made"


CONTAINERS = """version: 1
templates:
  default:
    image: acme/agent:1
    user: "1000"
    cpu: 2
    memory: 4Gi
    read_only: true
    mounts: ["/var/cache/maven:/m2:ro"]
    env: { TZ: UTC }
    inject: %(inject)s
pools:
  a:
    backend: container
    network: builds
    pids: 77
    init_process: false
    cap_add: [NET_RAW]
    pull: never
policies: { linux: { labels: [linux], pools: [a] } }
"""


def asked(inject: str = "env") -> tuple[dict[str, Any], ContainerOptions, LaunchSpec]:
    definitions: Definitions = parse(CONTAINERS % {"inject": inject}, env={}).definitions
    [policy] = definitions.policies.values()
    pool = definitions.pools[PoolName("a")]
    spec = make_spec(template=definitions.templates[policy.template], pool=pool)
    options = ContainerOptions.of(pool)
    return create_body(spec, options, {}), options, spec


def test_a_container_is_asked_for_as_template_and_pool_say() -> None:
    body, options, _ = asked()
    host = body["HostConfig"]
    assert (body["Image"], body["User"]) == ("acme/agent:1", "1000")
    assert "TZ=UTC" in body["Env"]
    assert (host["NanoCpus"], host["Memory"]) == (2_000_000_000, 4 << 30)
    assert (host["NetworkMode"], host["PidsLimit"], host["Init"]) == ("builds", 77, False)
    assert (host["CapAdd"], host["ReadonlyRootfs"]) == (["NET_RAW"], True)
    assert {"Type": "bind", "Source": "/var/cache/maven", "Target": "/m2", "ReadOnly": True} in host["Mounts"]
    assert options.pull == "never"


@pytest.mark.parametrize("inject", ["env", "args", "legacy", "script"])
def test_an_image_is_told_who_it_is_in_the_way_that_the_template_says(inject: str) -> None:
    body, _, spec = asked(inject)
    ways = {
        "env": not body["Cmd"] and "Entrypoint" not in body and f"JENKINS_AGENT_NAME={spec.name}" in body["Env"],
        "args": "-name" in body["Cmd"],
        "legacy": "-url" in body["Cmd"] and "-name" not in body["Cmd"],
        "script": body.get("Entrypoint", [""])[0] == "/bin/sh",
    }
    assert [way for way, is_so in ways.items() if is_so] == [inject], body
