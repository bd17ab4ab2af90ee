"""Whatever a file holds, the loader answers with a config or with diagnostics."""

import contextlib
from pathlib import Path

import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from broker.config.load import load, parse
from broker.errors import ConfigError

EXAMPLE = (Path(__file__).parent / "example.yaml").read_text()
WORDS = st.sampled_from(sorted(set(EXAMPLE.replace(":", " ").replace(",", " ").split())))
SCALARS = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8), WORDS)
TREES = st.recursive(
    SCALARS,
    lambda below: st.lists(below, max_size=3) | st.dictionaries(WORDS | st.text(max_size=5), below, max_size=4),
    max_leaves=12,
)
NOUNS = st.sampled_from(
    ["server", "currencies", "controllers", "gateway", "backends", "templates", "pools", "policies", "version"]
)


def accepts_or_refuses(text: str) -> None:
    for starting in (False, True):
        with contextlib.suppress(ConfigError):
            parse(text, env={"A": "1"}, starting=starting)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.text(max_size=200))
def test_any_text_is_accepted_or_refused(text: str) -> None:
    accepts_or_refuses(text)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.dictionaries(NOUNS, TREES, max_size=6))
def test_any_tree_is_accepted_or_refused(tree: dict[str, object]) -> None:
    accepts_or_refuses(yaml.safe_dump(tree))


@settings(max_examples=25, deadline=None, derandomize=True)
@given(st.lists(st.tuples(st.integers(0, EXAMPLE.count("\n")), WORDS | st.text(max_size=6), WORDS), max_size=4))
def test_the_example_with_any_edits_is_accepted_or_refused(edits: list[tuple[int, str, str]]) -> None:
    lines = EXAMPLE.split("\n")
    for number, old, new in edits:
        lines[number] = lines[number].replace(old, new, 1)
    accepts_or_refuses("\n".join(lines))


@settings(max_examples=25, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=60))
def test_any_bytes_are_accepted_or_refused(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "broker.yaml"
    file.write_bytes(content)
    with contextlib.suppress(ConfigError):
        load(file, env={})


def test_a_deep_nest_and_a_long_chain_are_refused_and_not_a_crash() -> None:
    accepts_or_refuses("version: 1\npools: " + "[" * 5000)
    accepts_or_refuses("version: 1\npools: " + "[" * 400 + "]" * 400)
    chain = "".join(f"  t{n}: {{ inherit_from: t{n + 1} }}\n" for n in range(3000))
    accepts_or_refuses(f"version: 1\ntemplates:\n{chain}")


def test_an_alias_bomb_is_refused() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    accepts_or_refuses("\n".join(lines))
