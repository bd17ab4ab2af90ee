"""The configs that the how-tos show pass without a warning."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import pytest
import yaml

from broker.config.load import parse

HOW_TO: Final = Path(__file__).parents[3] / "docs" / "how-to"
PAGES: Final = (
    "placement-policies",
    "cost-and-budgets",
    "overrides",
    "agents-without-a-build",
    "amazon-ecs",
    "ssh-hosts",
    "alibaba-ecs",
)
AROUND: Final[Mapping[str, dict[str, object]]] = {
    "pools": {name: {"backend": "process"} for name in ("spot", "on-demand", "overseas", "here")},
    "controllers": {"main": {"url": "http://127.0.0.1:8080/", "token_sha256": "a" * 64}},
}
"""What an example leaves out; for some pages more."""
MORE: Final[Mapping[str, dict[str, object]]] = {
    "cost-and-budgets": {
        "backends": {"aws": {"type": "aws-ecs", "region": "eu-west-1"}},
        "templates": {"default": {"image": "acme/agent:1", "cpu": 1, "memory": "1Gi"}},
        "gateway": {"websocket": {"advertise": "wss://agents.ci.example.com"}},
    },
    "amazon-ecs": {
        "backends": {
            "aws": {"type": "aws-ecs", "region": "eu-west-1"},
            "frankfurt": {"type": "aws-ecs", "region": "eu-central-1"},
        },
        "gateway": {"websocket": {"advertise": "wss://agents.ci.example.com"}},
    },
    "alibaba-ecs": {
        "backends": {"ali": {"type": "alibaba-ecs", "region": "cn-hangzhou"}},
        "gateway": {"websocket": {"advertise": "wss://agents.ci.example.com"}},
    },
    "overrides": {
        "pools": {"containers": {"backend": "container", "network": "host"}},
        "templates": {"default": {"image": "registry.example.com/acme/agent:1", "cpu": 1, "memory": "1Gi"}},
    },
}
EXAMPLES: Final = [
    pytest.param(page, text, id=f"{page}-{n}")
    for page in PAGES
    for n, text in enumerate(re.findall(r"```yaml\n(.*?)```", (HOW_TO / f"{page}.md").read_text(), re.DOTALL))
]


@pytest.mark.parametrize(("page", "example"), EXAMPLES)
def test_an_example_passes(page: str, example: str) -> None:
    whole = {"version": 1, **AROUND, **MORE.get(page, {}), **yaml.safe_load(example)}
    has_clouds = "backends" in whole
    warnings = parse(yaml.safe_dump(whole, sort_keys=False), env={}, starting=not has_clouds).warnings
    assert re.findall(r"warning\[(?!no-file).*", warnings) == []


def test_there_are_examples_of_it_all() -> None:
    assert len(EXAMPLES) >= 7
