"""What Amazon ECS takes is not refused; what is inherited is told of once, and a child may take it back."""

import json
from pathlib import Path

import pytest
import yaml

from broker.backends.aws_ecs.options import TaskOptions
from broker.config.diagnostics import Severity
from broker.config.load import check_text, parse
from broker.domain.ids import TemplateName
from tests.unit.backends.aws_ecs.every_key import EVERY_KEY

PAIRS = {
    "every": "tasks",
    "bridged": "plain",
    "big-disk": "fargate",
    "windows": "windows",
    "existing": "fargate",
}
POOLS = """
pools:
  fargate: { backend: aws, capacity_provider: FARGATE, subnets: [subnet-1] }
  spot: { inherit_from: fargate, capacity_provider: FARGATE_SPOT }
  instances: { backend: aws, launch_type: EC2 }
  anywhere: { backend: aws }
"""
ROLE = "arn:aws:iam::111122223333:role/exec"


def told(templates: str, pool: str = "fargate", base: Path | None = None, head: str = "") -> list[str]:
    """The codes of all that is said of template `t` in a pool, in the order of the file, with `!` before an error."""
    text = (
        "version: 1\nbackends: { aws: { type: aws-ecs } }\n"
        f"{head or 'gateway: { websocket: { advertise: wss://a.example.com } }'}\n"
        f"{POOLS}templates:\n{templates}\n"
        f"policies: {{ l: {{ labels: [l], template: t, pools: [{pool}] }} }}\n"
    )
    found = check_text(text, "broker.yaml", base or Path(), env={}, starting=False).diagnostics
    return [f"{'!' if one.severity is Severity.ERROR else ''}{one.code}" for one in found.items]


def test_the_example_with_every_key_is_accepted_where_each_template_belongs() -> None:
    whole = yaml.safe_load(EVERY_KEY)
    whole["pools"]["windows"] = {"backend": "aws", "launch_type": "EC2"}
    whole["policies"] = {t: {"labels": [t], "template": t, "pools": [pool]} for t, pool in PAIRS.items()}
    found = check_text(yaml.safe_dump(whole), "broker.yaml", Path(), env={}, starting=False).diagnostics
    assert [one.message for one in found.items if one.severity is Severity.ERROR] == []


@pytest.mark.parametrize(
    ("said", "pool"),
    [
        ("cpu: 0.25, memory: 512Mi", "fargate"),
        ("cpu: 0.25, memory: 2Gi", "spot"),
        ("cpu: 4, memory: 30Gi", "fargate"),
        ("cpu: 16, memory: 120Gi", "fargate"),
        ("memory: 3000Mi", "instances"),
        ("cpu: 3, memory: 5Gi", "instances"),
        ("ecs: { memory_reservation: 1Gi }", "instances"),
        ("cpu: 1, memory: 2Gi, user: ''", "fargate"),
        ("cpu: 1, memory: 2Gi, user: '  '", "fargate"),
        ("cpu: 1, memory: 2Gi, user: '1000:jenkins'", "fargate"),
        ("cpu: 1, memory: 2Gi, ecs: { linux_parameters: { tmpfs: [{ container_path: /t, size: 1Gi }] } }", "fargate"),
        ("cpu: 1, memory: 2Gi, ecs: { pid_mode: task, stop_timeout: 120s }", "fargate"),
        ("cpu: 1, memory: 2Gi, ecs: { privileged: false, volumes: [{ name: v }, { name: w, host: {} }] }", "fargate"),
        ("memory: 2Gi, ecs: { privileged: true, stop_timeout: 30m, ipc_mode: host }", "instances"),
        ("memory: 2Gi, ecs: { log_configuration: { log_driver: awslogs } }", "instances"),
        ("image: 111122223333.dkr.ecr.eu-west-1.amazonaws.com/a:1, memory: 2Gi", "instances"),
        ("cpu: 3, ecs: { privileged: true, ephemeral_storage: { size_in_gib: 30 } }", "anywhere"),
    ],
)
def test_what_ecs_takes_is_not_refused(said: str, pool: str) -> None:
    image = "" if "image:" in said else "image: a, "
    assert told(f"  t: {{ {image}{said} }}", pool) == []


@pytest.mark.parametrize(
    ("said", "pool", "code"),
    [
        ("cpu: 0.25, memory: 3Gi", "fargate", "!fargate-size"),
        ("cpu: 1, memory: 1Gi", "spot", "!fargate-size"),
        ("cpu: 8, memory: 18Gi", "fargate", "!fargate-size"),
        ("memory: 2Gi", "fargate", "!fargate-size"),
        ("cpu: 1", "instances", "!no-memory"),
        ("cpu: 1, memory: 2Gi, user: 'a b'", "fargate", "!bad-user"),
        ("cpu: 1, memory: 2Gi, user: 'a:b:c'", "fargate", "!bad-user"),
        ("cpu: 1, memory: 2Gi, ecs: { stop_timeout: 121s }", "fargate", "!not-on-fargate"),
        ("memory: 2Gi, ecs: { memory_reservation: 2Gi }", "instances", "!memory-conflict"),
        ("cpu: 1, memory: 2Gi, ecs: { log_configuration: { log_driver: awslogs } }", "fargate", "!no-execution-role"),
        ("cpu: 1, memory: 2Gi, ecs: { log_configuration: { log_driver: awslogs } }", "anywhere", "no-execution-role"),
        ("cpu: 1, memory: 2Gi, ecs: { secrets: { A: /a } }", "anywhere", "!no-execution-role"),
        ("cpu: 1, memory: 2Gi, inject: args", "fargate", "secret-in-arguments"),
        ("memory: 2Gi, mounts: ['/a:/a'], inject: env", "fargate", "!fargate-size"),
        ("cpu: 1, memory: 2Gi, mounts: ['/a:/a']", "fargate", "!not-on-fargate"),
    ],
)
def test_what_ecs_refuses_is_told(said: str, pool: str, code: str) -> None:
    assert code in told(f"  t: {{ image: a, {said} }}", pool)


def test_an_execution_role_of_the_template_will_do() -> None:
    ecs = f"secrets: {{ A: /a }}, execution_role_arn: '{ROLE}'"
    assert told(f"  t: {{ image: a, cpu: 1, memory: 2Gi, ecs: {{ {ecs} }} }}") == []


def test_a_template_may_name_a_definition_in_place_of_an_image() -> None:
    assert told("  t: { task_definition: builds }") == []
    assert told("  t: { cpu: 1, memory: 2Gi }") == ["!no-image"]


def test_what_is_inherited_is_told_of_once_where_it_stands() -> None:
    templates = (
        "  base: { abstract: true, image: a, cpu: 1, memory: 2Gi, ecs: { privileged: true } }\n"
        "  t: { inherit_from: base }\n  other: { inherit_from: base }"
    )
    assert told(templates) == ["!not-on-fargate"]


def test_a_child_takes_back_what_it_inherits() -> None:
    text = """
version: 1
templates:
  base:
    image: a
    user: jenkins
    ecs:
      privileged: true
      stop_timeout: 90s
      ulimits: [{ name: nofile, soft_limit: 1, hard_limit: 2 }]
      docker_labels: { a: one, b: two }
      linux_parameters: { init_process_enabled: true, swappiness: 10, max_swap: 0Mi }
  child:
    inherit_from: base
    user: null
    ecs:
      privileged: false
      stop_timeout: null
      ulimits: [{ name: core, soft_limit: 0, hard_limit: 0 }]
      docker_labels: { b: three }
      linux_parameters: { init_process_enabled: false }
"""
    child = parse(text, env={}).definitions.templates[TemplateName("child")]
    assert child.user == ""
    assert TaskOptions.of(child).container == {
        "privileged": False,
        "ulimits": [{"name": "core", "softLimit": 0, "hardLimit": 0}],
        "dockerLabels": {"a": "one", "b": "three"},
        "linuxParameters": {"initProcessEnabled": False, "swappiness": 10, "maxSwap": 0},
    }


@pytest.mark.parametrize(("certificates", "codes"), [(1, []), (9, ["!overrides-too-long"])])
def test_a_private_ca_must_fit_into_a_launch(tmp_path: Path, certificates: int, codes: list[str]) -> None:
    (tmp_path / "ca.pem").write_text(f"-----BEGIN-----\n{'x' * 900}\n-----END-----\n" * certificates)
    for name in ("tls.crt", "tls.key"):
        (tmp_path / name).touch(mode=0o600)
    tls = "tls: { cert_file: tls.crt, key_file: tls.key, ca_file: ca.pem }"
    head = f"gateway: {{ websocket: {{ advertise: wss://a.example.com }}, {tls} }}"
    assert told("  t: { image: a, cpu: 1, memory: 2Gi }", base=tmp_path, head=head) == codes


@pytest.mark.parametrize(("length", "codes"), [(5_000, []), (6_000, ["!overrides-too-long"])])
def test_the_variables_of_an_existing_definition_must_fit_into_a_launch(length: int, codes: list[str]) -> None:
    assert told(f"  t: {{ task_definition: builds, env: {{ LONG: {json.dumps('x' * length)} }} }}") == codes


def test_the_variables_of_a_definition_of_ours_are_part_of_it_and_may_be_long() -> None:
    assert told(f"  t: {{ image: a, cpu: 1, memory: 2Gi, env: {{ LONG: {json.dumps('x' * 20_000)} }} }}") == []


def test_more_tags_than_a_task_may_have_are_refused() -> None:
    tags = ", ".join(f"t{n}: x" for n in range(38))
    assert told(f"  t: {{ image: a, cpu: 1, memory: 2Gi, tags: {{ {tags} }} }}") == ["!bad-tag"]
    fewer = ", ".join(f"t{n}: x" for n in range(37))
    assert told(f"  t: {{ image: a, cpu: 1, memory: 2Gi, tags: {{ {fewer} }} }}") == []


@pytest.mark.parametrize("inject", ["args", "legacy"])
def test_arguments_that_the_public_windows_image_refuses_are_told_of(inject: str) -> None:
    windows = "{ runtime_platform: { operating_system_family: WINDOWS_SERVER_2022_CORE } }"
    codes = told(f"  t: {{ image: a/b, cpu: 1, memory: 2Gi, inject: {inject}, ecs: {windows} }}")
    assert codes.count("not-on-windows") == 1
    assert "not-on-windows" not in told(f"  t: {{ image: a/b, cpu: 1, memory: 2Gi, ecs: {windows} }}")
