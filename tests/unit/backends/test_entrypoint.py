"""What java is told by the public images' entrypoint: for each `inject`, over WebSocket, over TCP and directly.

The models of tests/entrypoints.py are held to scripts that run: to that of the tests' own image, and to docker-agent's
where AGENTBROKER_TEST_ENTRYPOINT names its `jenkins-agent` (seen to pass with the one of commit b066c0a there).
"""

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from broker.backends.aws_ecs.definition import definition_body
from broker.backends.bootstrap import HOME, Start, start_of
from broker.demo.clouds.vms import inbound
from broker.domain.ids import AgentName
from broker.domain.template import Inject
from broker.ports import LaunchSpec
from broker.testing.factories import make_pool, make_spec, make_template
from tests.entrypoints import LINUX_JAR, WINDOWS_JAR, DoesNotStart, on_linux, on_windows

URL, IDENTITY = "https://gateway.example.org/c/main/", "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8A=="
PEMS = tuple(f"-----BEGIN CERTIFICATE-----\n{n}\n-----END CERTIFICATE-----\n" for n in ("MIIB+a/b", "MIICc=="))
WAYS: Mapping[str, tuple[dict[str, Any], dict[str, list[str]]]] = {
    "websocket": ({"websocket": True}, {"-url": [URL], "-webSocket": [""]}),
    "tcp": ({}, {"-url": [URL]}),
    "tcp by a tunnel": ({"tunnel": "nlb:50000"}, {"-url": [URL], "-tunnel": ["nlb:50000"]}),
    "direct": (
        {"tunnel": "nlb:50000", "identity": IDENTITY},
        {"-direct": ["nlb:50000"], "-instanceIdentity": [IDENTITY]},
    ),
    "websocket with a private CA": (
        {"websocket": True, "authorities": PEMS},
        {"-url": [URL], "-webSocket": [""], "-cert": list(PEMS)},
    ),
}
"""How an agent connects → what its launch says, and the options that agent.jar must get for it."""
MISLEADING = {
    "JENKINS_URL": "http://elsewhere/",
    "JENKINS_TUNNEL": "elsewhere:1",
    "JENKINS_DIRECT_CONNECTION": "elsewhere:2",
    "JENKINS_INSTANCE_IDENTITY": "none",
    "JENKINS_WEB_SOCKET": "true",
    "JENKINS_SECRET": "of-another",
    "JENKINS_AGENT_NAME": "another",
    "JENKINS_NAME": "another",
}
FAKE_JAVA = f"""#!{sys.executable} -S
import json, os, sys
print(json.dumps([sys.argv, dict(os.environ)]))
"""

every_way = pytest.mark.parametrize("way", WAYS)
by_entrypoint = pytest.mark.parametrize("inject", [Inject.ENV, Inject.ARGS, Inject.LEGACY])


def launch(inject: Inject, way: str, **template: Any) -> LaunchSpec:
    told = make_template(image="acme/agent", inject=inject, **template)
    changes = {"websocket": False, **WAYS[way][0]}
    return replace(make_spec(template=told), url=URL, name=AgentName("linux-7f3k2"), **changes)


def expected(spec: LaunchSpec, way: str, work_dir: str = HOME) -> dict[str, list[str]]:
    """What agent.jar must know, each thing once."""
    options = {**WAYS[way][1], "-workDir": [work_dir], "-noReconnectAfter": ["10m"]}
    if spec.template.inject is Inject.LEGACY:
        return options | {"": [spec.secret, spec.name]}
    return options | {"-secret": [spec.secret], "-name": [spec.name]}


@by_entrypoint
@every_way
def test_java_is_told_each_thing_once_however_the_agent_connects(inject: Inject, way: str) -> None:
    spec = launch(inject, way)
    start = start_of(spec)
    java = on_linux(start.arguments, start.environment)
    assert java.argv[:3] == ("java", "-jar", LINUX_JAR)
    assert java.options == expected(spec, way)


@by_entrypoint
@every_way
def test_a_template_s_variables_do_not_say_who_the_agent_is_or_whom_it_dials(inject: Inject, way: str) -> None:
    spec = launch(inject, way, env=MISLEADING)
    start = start_of(spec)
    assert on_linux(start.arguments, start.environment).options == expected(spec, way)


@by_entrypoint
def test_a_template_s_own_java_and_remoting_options_stay(inject: Inject) -> None:
    variables = {"JENKINS_JAVA_OPTS": "-Xmx64m -Xss1m", "REMOTING_OPTS": "-proxyCredentials 'a b'"}
    spec = launch(inject, "websocket", env=variables)
    start = start_of(spec)
    java = on_linux(start.arguments, start.environment)
    assert java.argv[:4] == ("java", "-Xmx64m", "-Xss1m", "-jar")
    assert java.options == expected(spec, "websocket") | {"-proxyCredentials": ["a b"]}


def scripts() -> dict[str, str]:
    """Entrypoints that can be run, by whose they are."""
    given = os.environ.get("AGENTBROKER_TEST_ENTRYPOINT")
    return {"the tests' own": inbound.SCRIPT} | ({"docker-agent's": Path(given).read_text()} if given else {})


def java_of(script: Path, arguments: Sequence[str], environment: Mapping[str, str]) -> tuple[list[str], dict[str, str]]:
    """What a java that is first on the PATH was started with."""
    java = script.parent / "java"
    java.write_text(FAKE_JAVA)
    for each in (java, script):
        each.chmod(0o755)
    given = {**environment, "PATH": f"{java.parent}:{os.environ['PATH']}"}
    done = subprocess.run([script, *arguments], env=given, capture_output=True, text=True, timeout=30, check=True)
    argv, environ = json.loads(done.stdout.splitlines()[-1])
    return argv[1:], environ


@pytest.mark.parametrize("whose", scripts())
@pytest.mark.parametrize("env", [{}, {"JENKINS_JAVA_OPTS": "-Xmx64m -Xss1m", "JENKINS_AGENT_FILE": "/opt/agent.jar"}])
@by_entrypoint
@every_way
def test_the_script_starts_java_as_the_model_says(
    inject: Inject, way: str, env: dict[str, str], whose: str, tmp_path: Path
) -> None:
    script = tmp_path / "jenkins-agent"
    script.write_text(scripts()[whose])
    start = start_of(launch(inject, way, env=env))
    argv, environ = java_of(script, start.arguments, start.environment)
    assert argv == list(on_linux(start.arguments, start.environment).argv[1:])
    assert start.environment.items() <= environ.items()


@pytest.mark.parametrize("whose", scripts())
@pytest.mark.parametrize(
    ("arguments", "environment"),
    [
        (["-url", "u", "s3cret", "n1"], {"JENKINS_SECRET": "s3cret", "JENKINS_AGENT_NAME": "n1"}),
        (["-workDir", "/w", "-tunnel", "a:1"], {"JENKINS_AGENT_WORKDIR": "/elsewhere", "JENKINS_TUNNEL": "b:2"}),
        (["-url", "u"], {"JENKINS_URL": "http://second/", "JENKINS_NAME": "n2", "JENKINS_AGENT_NAME": "n1"}),
        (["-help"], {"JENKINS_WEB_SOCKET": "yes", "REMOTING_OPTS": "-a 'b c' \"d e\"", "JAVA_OPTS": "-Xmx1m"}),
        ([], {"JENKINS_PROTOCOLS": "JNLP4-connect", "JENKINS_JAVA_OPTS": "-Xmx2m", "JAVA_OPTS": "-Xmx1m"}),
    ],
)
def test_the_script_and_the_model_agree_where_things_are_said_twice(
    arguments: list[str], environment: dict[str, str], whose: str, tmp_path: Path
) -> None:
    script = tmp_path / "jenkins-agent"
    script.write_text(scripts()[whose])
    assert java_of(script, arguments, environment)[0] == list(on_linux(arguments, environment).argv[1:])


@every_way
def test_our_own_script_tells_java_the_same_and_keeps_the_secret_to_itself(way: str, tmp_path: Path) -> None:
    spec = launch(Inject.SCRIPT, way, remote_fs=str(tmp_path / "work"))
    start = start_of(spec)
    assert start.entrypoint is not None
    (tmp_path / "agent.jar").write_text("jar")
    (tmp_path / "java").write_text(FAKE_JAVA)
    (tmp_path / "java").chmod(0o755)
    place = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "TMPDIR": str(tmp_path)}
    given = {**start.environment, **place, "JENKINS_AGENT_FILE": str(tmp_path / "agent.jar")}
    words = [*start.entrypoint, *start.arguments]
    done = subprocess.run(words, env=given, capture_output=True, text=True, timeout=30, check=True)
    argv, environ = json.loads(done.stdout)
    assert spec.secret not in done.stdout
    assert environ.keys() >= {"JENKINS_AGENT_NAME"}
    java = replace(on_linux([], {}), argv=tuple(argv))
    [kept] = java.options.pop("-secret")
    assert Path(kept.removeprefix("@")).read_text().strip() == spec.secret
    told = expected(spec, way, str(tmp_path / "work"))
    assert {name: values for name, values in java.options.items() if name != "-secret"} == {
        name: values for name, values in told.items() if name != "-secret"
    }


WITHOUT_CA = pytest.mark.parametrize("way", [way for way in WAYS if "CA" not in way])


@WITHOUT_CA
def test_a_windows_image_is_told_the_same_by_variables(way: str) -> None:
    spec = launch(Inject.ENV, way, remote_fs="C:/agents/ws")
    start: Start = start_of(spec)
    java = on_windows(start.arguments, start.environment)
    assert java.argv[:3] == ("java.exe", "-jar", WINDOWS_JAR)
    assert java.options == expected(spec, way, "C:/agents/ws")


@pytest.mark.parametrize("inject", [Inject.ARGS, Inject.LEGACY])
@WITHOUT_CA
def test_a_windows_image_takes_no_arguments_of_agent_jar(inject: Inject, way: str) -> None:
    start = start_of(launch(inject, way))
    with pytest.raises(DoesNotStart, match="noReconnectAfter"):
        on_windows(start.arguments, start.environment)


def test_a_windows_image_does_not_start_with_a_private_ca() -> None:
    start = start_of(launch(Inject.ENV, "websocket with a private CA"))
    with pytest.raises(DoesNotStart, match="-cert"):
        on_windows(start.arguments, start.environment)


def test_a_task_definition_leaves_them_out_too() -> None:
    template = make_template(image="acme/agent", env={**MISLEADING, "TZ": "UTC"})
    pool = make_pool(options={"launch_type": "EC2"})
    [agent] = definition_body(template, pool, "agentbroker-linux")["containerDefinitions"]
    assert agent["environment"] == [{"name": "TZ", "value": "UTC"}]
