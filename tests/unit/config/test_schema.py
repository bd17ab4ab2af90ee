"""The schema is sound, complete, and of one mind with `config check` on every file of the tests."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft7Validator

from broker.config.diagnostics import Diagnostics, Severity
from broker.config.load import check_text
from broker.config.nodes import read
from broker.config.schema import MODELINE, SCHEMA_URL, schema
from tests.unit.config.test_load import SMALLEST
from tests.unit.config.test_model import NOT_IN_THE_EXAMPLE

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
BAD = sorted((HERE / "bad").glob("*.yaml"))
GOOD = {
    "example": (HERE / "example.yaml").read_text(),
    "smallest": SMALLEST,
    "other keys": NOT_IN_THE_EXAMPLE,
    **{str(path.relative_to(ROOT)): path.read_text() for path in sorted(ROOT.glob("deploy/**/broker*.yaml"))},
}

NOT_YAML = {
    "yaml-syntax",
    "yaml-tab",
    "yaml-alias",
    "yaml-tag",
    "yaml-key",
    "yaml-boolean-key",
    "yaml-merge-key",
    "duplicate-key",
    "ambiguous-number",
}
"""Said before there is anything to hold against a schema: an editor's own parser says it."""

BEYOND_A_SCHEMA = {
    # names that one part uses of another
    "unknown-backend",
    "unknown-template",
    "unknown-pool",
    "unknown-controller",
    "abstract",
    "inherit-cycle",
    "foreign-key",
    "no-image",
    # two values that are sound alone
    "pool-twice",
    "fallback-repeats",
    "fallback-too-late",
    "several-bases",
    "unused-key",
    "no-override-images",
    "ambiguous-labels",
    "direct-conflict",
    "prefer-without-tcp",
    "bad-identity",
    "token-reused",
    "path-conflict",
    "port-conflict",
    "launch-over-queue",
    "warm-over-limit",
    "zero-weights",
    "executors-over-uses",
    "unreachable-advertise",
    "no-room",
    "label-reserved",
    "tag-reserved",
    "plaintext",
    # what Amazon ECS would refuse
    "fargate-size",
    "no-memory",
    "memory-conflict",
    "capacity-conflict",
    "network-conflict",
    "not-on-instances",
    "not-on-fargate",
    "not-on-windows",
    "bad-placement",
    "credentials-conflict",
    "container-name",
    "unknown-container",
    "bad-dependency",
    "bad-ulimit",
    "secret-and-env",
    "no-log-router",
    "bad-tag",
    "bad-user",
    "bad-volume",
    "unknown-volume",
    "no-execution-role",
    "no-task-role",
    "secret-delivery",
    "beside-task-definition",
    "overrides-too-long",
    "bad-health-check",
    # what Alibaba Cloud would refuse, and what no host could be reached with
    "no-region",
    "bad-region",
    "no-network",
    "bad-zone",
    "no-public-ip",
    "pool-conflict",
    "price-limit",
    "bad-host-name",
    "bad-disk",
    "not-on-linux",
    "no-password",
    "bad-password",
    "endpoints-conflict",
    "no-ssh-key",
    "bad-ssh-key",
    "bad-host-key",
    "no-host-keys",
    "init-conflict",
    "bad-script",
    "no-hosts",
    "bad-machine",
    "duplicate-machine",
    "min-over-limit",
    # the environment
    "env-unset",
    "bad-reference",
    # sums over units, calendars, and money
    "bad-hours",
    "unknown-zone",
    "bad-currency",
    "no-base",
    "unknown-currency",
    "bad-amount",
    "bad-cron",
    "cron-never",
    "too-long",
    "bad-range",
    "bad-network",
}
"""The codes of errors that JSON Schema cannot express. Every other error of a bad file fails both."""


@pytest.fixture(scope="module")
def validator() -> Draft7Validator:
    return Draft7Validator(schema())


def errors_of(text: str) -> set[str]:
    """The codes of all errors that `config check` tells."""
    diagnostics = check_text(text, "broker.yaml", HERE, env={}, starting=False).diagnostics
    return {found.code for found in diagnostics.items if found.severity is Severity.ERROR}


def as_data(text: str) -> object:
    """What a text says; None if it is no YAML at all."""
    tree = read(text, Diagnostics("x"), lambda found, _span, _path: (found, False))
    return None if tree is None else tree.plain()


def test_the_schema_is_a_sound_draft_07() -> None:
    Draft7Validator.check_schema(schema())
    assert schema()["$schema"] == "http://json-schema.org/draft-07/schema#"
    assert MODELINE.endswith(SCHEMA_URL)


@pytest.mark.parametrize("name", GOOD)
def test_a_good_file_passes_both(name: str, validator: Draft7Validator) -> None:
    assert errors_of(GOOD[name]) == set()
    assert [error.message for error in validator.iter_errors(as_data(GOOD[name]))] == []


@pytest.mark.parametrize("case", BAD, ids=lambda case: case.stem)
def test_a_bad_file_fails_the_schema_unless_no_schema_could_say_it(case: Path, validator: Draft7Validator) -> None:
    codes, data = errors_of(case.read_text()), as_data(case.read_text())
    shape = codes - NOT_YAML - BEYOND_A_SCHEMA
    if data is None:
        assert codes <= NOT_YAML
        return
    found = [f"{'.'.join(map(str, error.absolute_path))}: {error.message}" for error in validator.iter_errors(data)]
    if shape or not codes & NOT_YAML:  # the rest of what is no YAML may be anything
        assert bool(found) == bool(shape), (shape, found)


def test_every_code_that_is_beyond_a_schema_is_tried() -> None:
    tried: set[str] = set()
    for case in BAD:
        tried |= errors_of(case.read_text())
    assert tried >= BEYOND_A_SCHEMA


def properties(part: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """All keys of all maps of the schema."""
    for definition in (part, *part["definitions"].values()):
        yield from definition["properties"].items()


def test_every_key_has_its_doc() -> None:
    for key, found in properties(schema()):
        assert found["description"], key
        assert found["markdownDescription"].startswith(found["description"]), key
        assert found["examples"], key


def test_every_default_and_example_fits_its_own_key() -> None:
    whole = schema()
    for key, found in properties(whole):
        validator = Draft7Validator({**found, "definitions": whole["definitions"]})
        for value in (*found["examples"], *([found["default"]] if "default" in found else [])):
            if key != "inherit_from":
                assert [error.message for error in validator.iter_errors(value)] == [], (key, value)


def numbers(part: Any) -> Iterator[dict[str, Any]]:
    """Whatever in the schema says that it is a whole number."""
    if isinstance(part, dict):
        if part.get("type") == "integer":
            yield part
        part = list(part.values())
    for below in part if isinstance(part, list) else ():
        yield from numbers(below)


def test_no_whole_number_is_more_than_every_store_and_message_can_hold() -> None:
    found = list(numbers(schema()))
    assert found
    assert [
        one for one in found if "const" not in one and not -(2**31) <= one["minimum"] <= one["maximum"] < 2**31
    ] == []


def test_the_order_of_two_runs_is_the_same() -> None:
    assert yaml.safe_dump(schema()) == yaml.safe_dump(schema())
