"""Policies as builds of a real controller see them: what a build asks for itself, and the words that it is told."""

import json
import os
import re
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml

from broker.demo.stack import CONTROLLER
from tests.jenkins.conftest import new_rig
from tests.jenkins.controller import wait_for
from tests.jenkins.pipelines import abort, console_of, needs_plugins, start_build, start_with_plugins
from tests.jenkins.policies import FLEET, crowded, pause, reload, use_policies, write_policies
from tests.jenkins.rig import LABEL, Rig, our_names_in
from tests.jenkins.test_build_log import build, line, log_of, ours

pytestmark = [
    pytest.mark.jenkins,
    pytest.mark.component("jenkins"),
    pytest.mark.timeout(300),
    needs_plugins(),
]

RULES = {"allow": ["cpu", "image"], "images": ["registry.example.com/acme/*"], "max_cpu": 8}
IMAGE = "registry.example.com/acme/x-y:1"
POLICY = {"labels": [LABEL, "docker"], "overrides": RULES}
VALIDATE = """
def found = hudson.model.labels.LabelExpression.validate('%s')
print found.kind.toString() + ' ' + found.renderHtml()
"""


@pytest.fixture(scope="module")
def rig(jenkins_root: Path, request: pytest.FixtureRequest) -> Iterator[Rig]:
    rig = new_rig(jenkins_root, request)
    try:
        start_with_plugins(rig)
        yield rig
    finally:
        rig.stop()


def asked(rig: Rig, path: str, **query: str) -> Any:
    """An answer of the operators' API."""
    url = f"{rig.stack.http_url}api/v1/{path}?{urllib.parse.urlencode(query)}"
    with urllib.request.urlopen(url, timeout=20) as reply:
        return json.load(reply)


@pytest.mark.parametrize(
    ("name", "label", "atoms"),
    [
        ("cpu", "linux && cpu=4", "cpu=4"),
        ("all", f"linux && docker && cpu=0.5 && image={IMAGE}", f"cpu=0.5 image={IMAGE}"),
        ("quoted", f'linux && "cpu=2" && "image={IMAGE}"', f"cpu=2 image={IMAGE}"),
    ],
)
def test_a_build_gets_an_agent_with_what_it_asks_for_in_its_label(rig: Rig, name: str, label: str, atoms: str) -> None:
    rig.controller.create_job(f"own-{name}", label, "sleep 2")
    rig.controller.build(f"own-{name}")
    look = "fleet.all().each { println it.nodeName + ' ' + it.overrides.join(' ') }"
    node = wait_for("it has its agent", lambda: rig.controller.script(FLEET + look).strip(), seconds=30)
    assert node.split(" ", 1)[1] == atoms
    [done] = rig.controller.finished(f"own-{name}", 1)
    assert (done["result"], done["builtOn"]) == ("SUCCESS", node.split()[0])
    valid = rig.controller.script(VALIDATE % label)
    assert valid.startswith("OK ")
    assert "matches no nodes and 1 cloud" in valid or "node" in valid


def test_a_pipeline_may_ask_too_and_an_agent_of_another_size_is_none_for_a_plain_build(rig: Rig) -> None:
    build(rig, "sized", "linux && cpu=4", 3)
    build(rig, "plain", "linux", 3)
    for job in ("sized", "plain"):
        assert rig.controller.finished(job, 1)[0]["result"] == "SUCCESS"
    sized, plain = (line(rig, job, r"^online after .*: (linux-\w+)")[1] for job in ("sized", "plain"))
    assert sized != plain
    assert f"{sized}: linux&&cpu=4 -> policy linux" in log_of(rig, "sized")


def test_what_the_policy_forbids_is_refused_with_the_fields_name_in_the_log_and_other_builds_go_on(rig: Rig) -> None:
    before = len(rig.launched())
    build(rig, "greedy", "linux && cpu=16")
    line(rig, "greedy", r"OverrideForbidden: overrides\.cpu: 16 is over max_cpu 8 of policy linux$", seconds=15)
    build(rig, "modest", "linux && cpu=8")
    assert rig.controller.finished("modest", 1, seconds=40)[0]["result"] == "SUCCESS"
    line(rig, "greedy", r"^  it is asked for again when the policies of the broker change$")
    build(rig, "foreign", "linux && image=docker.io/acme/x")
    line(
        rig, "foreign", r"OverrideForbidden: overrides\.image: docker\.io/acme/x is none of the images of policy linux"
    )
    build(rig, "roomy", "linux && memory=64Gi")
    line(rig, "roomy", r"overrides\.memory: policy linux does not let a build choose it \(it allows: image, cpu\)$")
    assert len(rig.launched()) == before + 1
    assert len(re.findall(r"-> policy linux", log_of(rig, "greedy"))) == 1, "it is not asked for again and again"
    rules = {**RULES, "max_cpu": 16}
    use_policies(rig, {"more": {"labels": ["more"]}})
    line(rig, "greedy", r"OverrideForbidden: overrides\.cpu: 16 is over max_cpu 8", seconds=15)
    write_rules(rig, rules)
    assert rig.controller.finished("greedy", 1, seconds=40)[0]["result"] == "SUCCESS"
    for job in ("foreign", "roomy"):
        abort(rig.controller, job)
        rig.controller.finished(job, 1)


def write_rules(rig: Rig, rules: dict[str, object]) -> None:
    """Other overrides of the rig's own policy, in force."""
    config = yaml.safe_load(rig.stack.config_file.read_text())
    config["policies"][LABEL]["overrides"] = rules
    rig.stack.config_file.write_text(yaml.safe_dump(config, sort_keys=False))
    use_policies(rig, {"more": {"labels": ["more"]}})


def test_a_build_that_nothing_serves_is_told_what_explain_label_says(rig: Rig) -> None:
    build(rig, "lost", "linux && gpu && cpu=4")
    line(rig, "lost", "ask an admin to add a policy", seconds=15)
    told = [text.strip() for text in ours(rig, "lost")]
    found = asked(rig, "explain", what="label linux && gpu && cpu=4", controller=CONTROLLER)
    rows = [f"{row['name']}: {row['text']}" for row in found["lines"]]
    assert found["summary"].startswith(told[0] + "; nearest: linux lacks gpu")
    assert [re.sub(r"^(\S+) +", r"\1: ", text) for text in told[1:-1]] == rows
    assert told[-1] == found["hint"]
    metrics = f"{rig.stack.http_url}metrics"

    def counted() -> bool:
        with urllib.request.urlopen(metrics, timeout=20) as reply:
            return f'agentbroker_unmatched_labels_total{{controller="{CONTROLLER}"}} 1.0' in reply.read().decode()

    wait_for("it is counted once", counted, seconds=15)
    abort(rig.controller, "lost")
    rig.controller.finished("lost", 1)
    assert counted()


def test_a_build_s_url_explains_its_agent_while_it_waits_and_the_job_has_its_full_name(rig: Rig) -> None:
    rig.slow.touch()
    try:
        build(rig, "asked-about", "linux")
        name = line(rig, "asked-about", r"^(linux-\w+): linux -> policy linux")[1]
        url = f"{rig.controller.url}job/asked-about/1/"
        wait_for("it is known", lambda: explained_agent(rig, url) == (name, "asked-about"), seconds=20)
    finally:
        rig.slow.unlink()
    assert rig.controller.finished("asked-about", 1)[0]["result"] == "SUCCESS"


def explained_agent(rig: Rig, url: str) -> tuple[str, str] | None:
    """The agent of a build, and the job that it was asked for; None before the broker knows of it."""
    try:
        agent = asked(rig, "explain", what=url)["agent"]
    except urllib.error.HTTPError:
        return None
    return agent["id"], agent["job"]


def test_a_build_whose_own_agent_went_with_another_build_is_explained_by_the_one_that_it_waits_for(rig: Rig) -> None:
    use_policies(rig, {"single": {"labels": ["single"], "limits": {"agents": 1}}})
    build(rig, "holds", "single", 200)
    line(rig, "holds", "^online after", seconds=40)
    for job in ("goes", "stays"):
        build(rig, job, "single")
        line(rig, job, "PolicyAtLimit")
    stalled = FLEET + "print fleet.all().count { it.stalled }"
    wait_for("Jenkins knows that both have no room", lambda: rig.controller.script(stalled) == "2", seconds=20)
    abort(rig.controller, "goes")
    wait_for("one is left", lambda: len(asked(rig, "agents", policy="single")["items"]) == 2, seconds=20)
    [left] = [a["id"] for a in asked(rig, "agents", policy="single")["items"] if a["phase"] == "requested"]
    line(rig, "stays", rf"^{left}: ")
    url = f"{rig.controller.url}job/stays/1/"
    wait_for("it is known", lambda: explained_agent(rig, url) == (left, "goes"), seconds=15)
    abort(rig.controller, "holds")
    assert rig.controller.finished("stays", 1, seconds=40)[0]["result"] == "SUCCESS"


def test_each_attempt_is_told_with_how_many_there_may_be(rig: Rig) -> None:
    assert any(re.search(r"^linux: launching \(attempt 1 of 3\)", text) for text in ours(rig, "sized"))


def test_a_job_at_its_own_limit_waits_and_says_so_while_another_job_of_the_policy_runs(rig: Rig) -> None:
    use_policies(rig, {"fair": {"labels": ["fair"], "limits": {"per_job": 1}}})
    build(rig, "twin", "fair", 60)
    line(rig, "twin", "^online after", seconds=40)
    start_build(rig.controller, "twin")
    second = wait_for("it says why", lambda: re.search("JobAtLimit: .*", console_of(rig.controller, "twin", 2)), 20)
    assert second is not None
    assert "job twin is at its limit" in second[0]
    build(rig, "single", "fair")
    assert rig.controller.finished("single", 1, seconds=40)[0]["result"] == "SUCCESS"
    abort(rig.controller, "twin")
    assert rig.controller.finished("twin", 2)[1]["result"] == "SUCCESS", "there is room for it then"
    rig.wait_until_nothing_is_left()


def explained(rig: Rig, job: str, number: int) -> tuple[str, str]:
    """What the API and the command say of a build."""
    url = f"{rig.controller.url}job/{job}/{number}/"
    environment = {**os.environ, "AGENTBROKER_URL": rig.stack.http_url, "COLUMNS": "500"}
    command = [sys.executable, "-m", "broker", "explain", url]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    return asked(rig, "explain", what=url)["summary"], done.stdout + done.stderr


def test_why_a_build_waits_is_said_in_the_same_words_by_its_log_the_api_and_the_command(rig: Rig) -> None:
    crowded(rig)
    holding = ("full", "cores", "twins", "filler", "skewed")
    for label in holding:
        build(rig, f"{label}-1", label, 200)
        line(rig, f"{label}-1", r": launching", seconds=40)
    start_build(rig.controller, "twins-1")
    for label in ("full", "cores", "broke", "held", "night", "skewed"):
        build(rig, f"{label}-2", label)
    waits = {
        "full-2": (1, r"PolicyAtLimit: policy full is at its limit \(1 of 1 agents\)"),
        "cores-2": (1, r"PoolAtLimit: pool small is at its limit \(3 vCPU; this agent takes 2\)"),
        "twins-1": (2, r"JobAtLimit: job twins-1 is at its limit"),
        "broke-2": (1, r"BudgetExceeded: an agent is expected to cost more than the day's 0\.01 USD"),
        "held-2": (1, r"PoolPaused: pool shut is paused by local: moved by night"),
        "night-2": (1, r"PoolPaused: pool shut is paused.*; fallback from \d\d:00 to \d\d:00 UTC only"),
        "skewed-2": (1, r"MaxSkew: east would have over 1 more of the policy's agents than another pool"),
    }
    for job, (number, pattern) in waits.items():
        found = wait_for(job, partial(told_to, rig, job, number, pattern), seconds=30)
        for said in explained(rig, job, number):
            assert found in said, (job, found, said)
    for job, number in [(job, number) for job, (number, _) in waits.items()] + [(f"{one}-1", 1) for one in holding]:
        abort(rig.controller, job, number)
    rig.wait_until_nothing_is_left()


def told_to(rig: Rig, job: str, number: int, pattern: str) -> str:
    """The words in the log of a build, of the reason on; empty as long as they are not there."""
    found = re.search(pattern + ".*", console_of(rig.controller, job, number))
    return found[0] if found else ""


def test_a_build_that_falls_back_is_told_to_which_pool_and_why(rig: Rig) -> None:
    write_policies(
        rig,
        {"backed": {"labels": ["backed"], "fallback": [{"pool": "spare", "when": ["PoolAtLimit"]}]}},
    )
    config = yaml.safe_load(rig.stack.config_file.read_text())
    config["pools"]["spare"] = config["pools"][LABEL] | {"limits": {"agents": 5}}
    config["pools"][LABEL]["limits"] = {"agents": 1}
    rig.stack.config_file.write_text(yaml.safe_dump(config, sort_keys=False))
    reload(rig)
    build(rig, "first-choice", "backed", 60)
    line(rig, "first-choice", r"^linux: launching \(attempt 1 of 3\)", seconds=20)
    build(rig, "falls-back", "backed")
    line(
        rig, "falls-back", r"^spare: launching \(attempt 1 of 3\); not chosen: linux: PoolAtLimit: .*linux", seconds=20
    )
    assert rig.controller.finished("falls-back", 1, seconds=40)[0]["result"] == "SUCCESS"
    pause(rig, "spare", "the test says so")
    build(rig, "held", "backed")
    line(rig, "held", r"^waiting, 1st in line: \w+: .*spare.*the test says so", seconds=20)
    abort(rig.controller, "first-choice")
    assert rig.controller.finished("held", 1, seconds=40)[0]["result"] == "SUCCESS"


def test_nothing_of_it_was_severe_and_nothing_was_saved(rig: Rig) -> None:
    rig.wait_until_nothing_is_left()
    assert rig.controller.lines("agentbroker", "WARNING", "SEVERE") == []
    assert our_names_in(rig) == []
