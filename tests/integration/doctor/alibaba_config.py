"""A config with one backend of type alibaba-ecs on the fake of Alibaba Cloud, and what a doctor finds there."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import asyncssh
import yaml

from broker.backends.alibaba_ecs.used import Used
from broker.clock import SystemClock
from broker.config.load import load
from broker.demo.clouds.alibaba.cloud import FakeAlibaba
from broker.doctor.alibaba import AlibabaVisit
from broker.doctor.report import Check
from broker.ports import Clock

IMAGE = "ubuntu_24_04_x64_20G_alibase_20260615.vhd"


def a_key(directory: Path, name: str = "key") -> tuple[Path, str]:
    """A private key in a file, and its public half."""
    key = asyncssh.generate_private_key("ssh-ed25519")
    file = directory / name
    file.write_bytes(key.export_private_key())
    file.chmod(0o600)
    return file, key.export_public_key().decode().strip()


def sound(fake: FakeAlibaba, url: str, key: Path) -> dict[str, Any]:
    """A config in which nothing is wrong."""
    return {
        "version": 1,
        "server": {"state_dir": str(key.parent / "state"), "keys_dir": str(key.parent / "keys")},
        "gateway": {"websocket": {"listen": "127.0.0.1:0", "advertise": "wss://agents.example.com"}},
        "controllers": {"main": {"url": "http://127.0.0.1:9/", "token_sha256": "0" * 64}},
        "backends": {
            "ali": {
                "type": "alibaba-ecs",
                "region": fake.region,
                "access_key_id": fake.access_key,
                "access_key_secret": fake.secret_key,
                "endpoints": {"ecs": url, "vpc": url, "sts": url},
                "auto_network": True,
                "network": {"ssh_from": ["203.0.113.7/32"]},
            }
        },
        "templates": {"host": {"cpu": 1, "memory": "2Gi"}},
        "pools": {
            "hangzhou": {
                "backend": "ali",
                "image_id": IMAGE,
                "instance_types": ["ecs.g7.large"],
                "vswitches": ["vsw-bp1agentsh", "vsw-bp1agentsi"],
                "security_groups": ["sg-bp1agents"],
                "key_pair": "agents",
                "ssh": {"user": "root", "private_key_file": str(key)},
            }
        },
        "policies": {"linux": {"labels": ["linux"], "template": "host", "pools": ["hangzhou"]}},
    }


def written(directory: Path, content: Mapping[str, Any]) -> Path:
    """The file of a config."""
    file = directory / "broker.yaml"
    file.write_text(yaml.safe_dump(dict(content)))
    return file


async def visit(directory: Path, content: Mapping[str, Any], clock: Clock | None = None) -> dict[str, Check]:
    """The checks of backend `ali`, by name."""
    config = load(str(written(directory, content)))
    used = Used.of(config.definitions, "ali")
    found = await AlibabaVisit(used=used, clock=clock or SystemClock()).checks()
    return {check.name: check for check in found}
