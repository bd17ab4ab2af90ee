"""What the file says of controllers, as the core sees it."""

from datetime import timedelta

import pytest

from broker.config.load import parse
from broker.domain.definitions import Controller, Rate
from broker.domain.ids import ControllerName
from broker.errors import ConfigError

REST = "pools: { it: { backend: process } }\npolicies: { linux: { labels: [linux, gpu], pools: [it] } }\n"


def read(*keys: str) -> Controller:
    lines = ["version: 1", "controllers:", "  main:", "    url: http://localhost:8080", f"    token_sha256: {'a' * 64}"]
    text = "\n".join([*lines, *(f"    {key}" for key in keys), REST])
    config = parse(text, starting=True)
    return config.definitions.controllers[ControllerName("main")]


def test_without_its_keys_a_controller_has_no_bounds_and_a_path_of_its_name() -> None:
    controller = read()
    assert (controller.labels, controller.rate, controller.gateway_path) == (None, None, "/c/main/")


@pytest.mark.parametrize("path", ["/ci/main", "/ci/main/"])
def test_a_path_begins_and_ends_with_a_slash(path: str) -> None:
    assert read(f"path: {path}").gateway_path == "/ci/main/"


def test_the_only_controller_may_have_the_root() -> None:
    assert read("path: /").gateway_path == "/"


@pytest.mark.parametrize("path", ["ci", "/ci//main", "/a b", "/ci/?x", "/./x", "/..", "/ä"])
def test_a_path_that_no_url_has_is_refused(path: str) -> None:
    with pytest.raises(ConfigError, match="bad-path"):
        read(f"path: '{path}'")


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        ("20/s", Rate(count=20, per=timedelta(seconds=1))),
        ("0.5/m", Rate(count=0.5, per=timedelta(minutes=1))),
        ("100/h", Rate(count=100, per=timedelta(hours=1))),
    ],
)
def test_a_rate_is_so_many_in_a_time(text: str, rate: Rate) -> None:
    assert read(f"rate: {text}").rate == rate


def test_labels_are_patterns() -> None:
    assert read("labels: ['lin*', gpu]").labels == ("lin*", "gpu")
