"""A config that is meant to hurt is refused in words, in bounded time."""

import time
from pathlib import Path

import pytest

from broker.config.load import check_file, check_text

LONGEST_S = 20.0


def refused(text: str) -> str:
    """What is printed about a text that must not pass; it must not take long, nor print much."""
    started = time.monotonic()
    checked = check_text(f"version: 1\n{text}", "broker.yaml", Path(), env={}, starting=False)
    printed = checked.diagnostics.render()
    assert time.monotonic() - started < LONGEST_S
    assert checked.diagnostics.errors
    return printed


def test_anchors_that_expand_without_end_are_refused() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    text = refused("\n".join(lines))
    assert "error[yaml-alias]: this anchor contains itself, or expands to too much" in text
    assert len(text) < 100_000


def test_an_anchor_that_contains_itself_is_refused() -> None:
    assert "error[yaml-alias]" in refused("pools: &a { x: *a }")


@pytest.mark.parametrize("text", ["pools: " + "[" * 50_000, "pools: " + "{a: " * 2_000 + "1" + "}" * 2_000])
def test_a_deep_nest_is_refused(text: str) -> None:
    assert "nested too deeply" in refused(text)


def test_a_huge_file_is_refused_before_it_is_read_as_yaml(tmp_path: Path) -> None:
    file = tmp_path / "broker.yaml"
    file.write_bytes(b"x: y\n" * 1_000_000)
    started = time.monotonic()
    assert "the file is larger than 1 MiB" in check_file(file, env={}).diagnostics.render()
    assert time.monotonic() - started < 1


def test_many_parts_that_are_huge_together_are_refused(tmp_path: Path) -> None:
    (tmp_path / "broker.yaml").write_text("version: 1\n")
    (tmp_path / "conf.d").mkdir()
    for n in range(3):
        (tmp_path / "conf.d" / f"{n}.yaml").write_text("# " + "x" * 500_000)
    assert "are larger than 1 MiB together" in check_file(tmp_path / "broker.yaml", env={}).diagnostics.render()


@pytest.mark.parametrize("letter", ["a", "token", "a-", "9", "$", "${", "(a+)+"])
def test_a_line_of_a_megabyte_is_searched_in_bounded_time_and_not_printed(letter: str) -> None:
    long = letter * (1_000_000 // len(letter))
    for key in ("policies: { p: { labels: [", "policies: { p: { pools: [x], name_prefix: ["):
        text = refused(f'{key}"{long}"] }} }}')
        assert len(text) < 20_000


@pytest.mark.parametrize("value", ["0", "-1", "1e400", "99999999999999999999", "1" * 50])
@pytest.mark.parametrize("cap", ["agents", "pending"])
def test_a_cap_that_is_none_is_refused(cap: str, value: str) -> None:
    text = refused(f"pools: {{ p: {{ backend: process, limits: {{ {cap}: {value} }} }} }}")
    assert "broker.yaml:2:" in text
    assert cap in text or "whole number" in text


@pytest.mark.parametrize("value", ["0s", "-5s", "0m0s", "999999999999d"])
def test_a_time_that_is_none_is_refused(value: str) -> None:
    assert "error[" in refused(f"policies: {{ p: {{ pools: [x], timeouts: {{ boot: {value} }} }} }}")


def test_more_executors_than_builds_that_an_agent_may_run_are_refused() -> None:
    text = refused("templates:\n  t:\n    executors: 4\n    retention: { max_uses: 2 }\n")
    assert text.startswith(
        "broker.yaml:4:16: error[executors-over-uses]: template 't' has 4 executors, but its agents end after 2 builds"
    )
    assert "= note: 'retention.max_uses' is 2 at 5:18" in text
    assert "is 1 by default" in refused("templates: { t: { executors: 2 } }")


def test_a_circle_of_five_hundred_is_refused() -> None:
    chain = "".join(f"  t{n}: {{ inherit_from: t{(n + 1) % 500} }}\n" for n in range(500))
    assert "error[" in refused(f"templates:\n{chain}")


@pytest.mark.parametrize(
    "text",
    [
        'policies: { p: { labels: ["\\ud800"], pools: [x] } }',
        'templates: { t: { env: { X: "\\udfff" } } }',
        'pools: { "\\ud800": { backend: process } }',
        "pools: { p: { backend: '${HALF}' } }",
    ],
)
def test_half_a_character_is_refused_where_it_stands(text: str) -> None:
    env = {"HALF": "x\udcff", "AGENTBROKER_SERVER__STATE_DIR": "/x\udcff"}
    found = check_text(f"version: 1\n{text}", "broker.yaml", Path(), env=env, starting=False).diagnostics
    at = {(d.code, d.span.file or "broker.yaml", d.span.line) for d in found.items if "is not allowed" in d.message}
    state_dir = ("yaml-syntax", "$AGENTBROKER_SERVER__STATE_DIR", 1)
    assert at == {("yaml-syntax", "broker.yaml", 2), state_dir}
    assert found.render().encode()


def test_as_many_mistakes_as_a_file_holds_are_told_in_bounded_time() -> None:
    assert "20000 errors" in refused("".join(f"k{n}: 1\n" for n in range(20_000)))


BREAKS = pytest.mark.parametrize("newline", ["\n", "\r\n", "\r", "\x85", "\u2028", "\u2029"], ids=ascii)


@BREAKS
def test_places_are_right_whatever_ends_a_line(newline: str) -> None:
    text = newline.join(["# a comment", "version: 1", "pools:", "  it:", "    backend: ${NOWHERE}", "    bogus: 1"])
    found = check_text(text, "broker.yaml", Path(), env={}, starting=False).diagnostics
    assert {(d.code, str(d.span)) for d in found.items} >= {("env-unset", "5:14"), ("unknown-key", "6:5")}
    assert "\n  6 |     bogus: 1\n" in found.render()


@BREAKS
def test_no_secret_is_printed_whatever_ends_a_line(newline: str) -> None:
    text = f"# one{newline}# two\nversion: 1\nbackends:\n  ali:\n    bogus: 1\n    access_key_secret: canary"
    found = check_text(text, "broker.yaml", Path(), env={}, starting=False).diagnostics
    assert found.errors
    assert "canary" not in found.render()


@pytest.mark.parametrize(
    ("content", "place"),
    [("version: 1\n# K\xf6ln\n".encode("latin-1"), "2:4"), ("version: 1\n".encode("utf-16"), "1:1")],
    ids=["Latin-1", "UTF-16"],
)
def test_another_encoding_is_refused_where_it_shows(content: bytes, place: str, tmp_path: Path) -> None:
    file = tmp_path / "broker.yaml"
    file.write_bytes(content)
    printed = check_file(file, env={}).diagnostics.render()
    assert f"broker.yaml:{place}: error[yaml-syntax]: the file is not UTF-8" in printed
    assert "= help: save it as UTF-8" in printed
