"""A config with one backend of type aws-ecs on the fake of AWS, and what a doctor finds there."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from broker.backends.aws_ecs.used import Used
from broker.clock import SystemClock
from broker.config.load import load
from broker.demo.clouds.aws import FakeAws
from broker.doctor.aws import AwsVisit
from broker.doctor.report import Check
from broker.ports import Clock

EXEC = "arn:aws:iam::111122223333:role/agentbroker-exec"
IMAGE = "jenkins/inbound-agent:jdk21"
SUBNETS = [f"subnet-{letter * 17}" for letter in "abc"]
GROUP = f"sg-{'a' * 17}"


def sound(fake: FakeAws, url: str) -> dict[str, Any]:
    """A config in which nothing is wrong."""
    return {
        "version": 1,
        "gateway": {"websocket": {"listen": "127.0.0.1:0", "advertise": "wss://agents.example.com"}},
        "controllers": {"main": {"url": "http://127.0.0.1:9/", "token_sha256": "0" * 64}},
        "backends": {
            "aws": {
                "type": "aws-ecs",
                "region": fake.region,
                "cluster": "ci",
                "endpoint_url": url,
                "access_key_id": fake.access_key,
                "secret_access_key": fake.secret_key,
            }
        },
        "templates": {"java": {"image": IMAGE, "cpu": 1, "memory": "2Gi"}},
        "pools": {
            "fargate": {
                "backend": "aws",
                "capacity_provider": "FARGATE",
                "subnets": SUBNETS,
                "security_groups": [GROUP],
                "execution_role_arn": EXEC,
            }
        },
        "policies": {"linux": {"labels": ["linux"], "template": "java", "pools": ["fargate"]}},
    }


def written(directory: Path, content: Mapping[str, Any]) -> Path:
    """The file of a config."""
    file = directory / "broker.yaml"
    file.write_text(yaml.safe_dump(dict(content)))
    return file


async def visit(directory: Path, content: Mapping[str, Any], clock: Clock | None = None) -> dict[str, Check]:
    """The checks of backend `aws` by name."""
    used = Used.of(load(str(written(directory, content))).definitions, "aws")
    found = AwsVisit(used=used, clock=clock or SystemClock(), agents_dial=("agents.example.com", 443))
    return {check.name: check for check in await found.checks()}
