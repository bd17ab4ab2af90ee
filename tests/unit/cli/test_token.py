"""`agentbroker token`: the token is shown once, the line says where it belongs, and nothing is written but --out."""

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from broker.cli.new_token import hash_of
from broker.cli.token import token

MAIN = "7d3c1c4e1b9a0f5d2c6e8f7a9b0c1d2e3f405162738495a6b7c8d9eaf0b1c2d3"
OLD, OLDER = "6b3a55e0261b0304143f805a24924d0c", "5b3a55e0261b0304143f805a24924d0c"
TEXT = f"""\
version: 1
controllers:
  main:
    url: https://ci.example.com/
    token_sha256: {MAIN}
  mobile: {{ url: "https://mobile.example.com/", token_sha256: [{OLD * 2}, {OLDER * 2}] }}
pools: {{ it: {{ backend: process }} }}
policies: {{ linux: {{ labels: [linux], pools: [it] }} }}
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "broker.yaml"
    path.write_text(TEXT)
    return path


def run(*arguments: object, text: str = "") -> Result:
    return CliRunner().invoke(token, [str(argument) for argument in arguments], input=text)


def shown(result: Result) -> str:
    [found] = re.findall(r"ab1_[A-Za-z0-9_-]{43}", result.output)
    return str(found)


def test_a_new_token_is_shown_once_with_the_line_that_knows_it() -> None:
    result = run("create", "main")
    assert result.exit_code == 0
    assert f"token_sha256: {hash_of(shown(result))}\n" in result.output
    assert shown(run("create", "main")) != shown(result)


def test_with_a_config_it_says_where_the_line_belongs_and_what_it_replaces(config: Path) -> None:
    result = run("create", "main", "--config", config)
    assert f"controllers.main at {config}:5:19:" in result.output
    assert "this replaces what stands there" in result.output
    assert config.read_text() == TEXT


def test_a_controller_that_has_no_token_yet_gets_its_place(config: Path) -> None:
    config.write_text(TEXT.replace(f"\n    token_sha256: {MAIN}", ""))
    result = run("create", "main", "--config", config)
    assert result.exit_code == 0
    assert f"controllers.main at {config}:3:3:" in result.output
    assert "replaces" not in result.output


def test_a_controller_in_a_part_of_the_config_is_found_there(config: Path) -> None:
    (config.parent / "conf.d").mkdir()
    part = config.parent / "conf.d/more.yaml"
    part.write_text(f"controllers:\n  more: {{ url: 'http://localhost/', token_sha256: {MAIN.replace('7', '8')} }}\n")
    assert f"controllers.more at {part}:2:" in run("create", "more", "--config", config).output


def test_rotating_puts_the_new_one_first_and_says_when_and_how_the_old_one_goes(config: Path) -> None:
    result = run("rotate", "main", "--config", config, "--overlap", "2h", "-o", "json")
    told = json.loads(result.output)
    assert told["token_sha256"] == [hash_of(told["token"]), MAIN]
    assert told["drop"] == MAIN
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", told["drop_after"])
    text = run("rotate", "main", "--config", config).output
    assert "agentbroker token revoke main --hash-prefix 7d3c1c4e1b9a" in text


def test_a_third_token_is_refused_with_the_way_to_room(config: Path) -> None:
    result = run("rotate", "mobile", "--config", config)
    assert result.exit_code == 9
    assert "has two tokens already" in result.output
    assert "agentbroker token revoke mobile --hash-prefix 6b3a55e0261b" in result.output
    assert "ab1_" not in result.output


def test_revoking_by_hash_leaves_the_other_one(config: Path) -> None:
    result = run("revoke", "mobile", "--config", config, "--hash-prefix", OLD[:8].upper())
    assert result.exit_code == 0
    assert f"token_sha256: {OLDER * 2}\n" in result.output


@pytest.mark.parametrize("way", ["file", "stdin"])
def test_revoking_by_the_token_itself_takes_it_from_a_file_or_stdin(tmp_path: Path, config: Path, way: str) -> None:
    config.write_text(TEXT.replace(OLD * 2, hash_of("leaked")))
    (tmp_path / "leaked").write_text("leaked\n")
    source = tmp_path / "leaked" if way == "file" else "-"
    result = run("revoke", "mobile", "--config", config, "--token-file", source, text="leaked\n")
    assert f"token_sha256: {OLDER * 2}\n" in result.output
    assert "leaked" not in result.output.replace(str(tmp_path), "")


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("create", "man"), 5, "has no controller 'man'; did you mean 'main'?"),
        (("rotate", "nobody"), 5, "it has: main, mobile"),
        (("revoke", "mobile", "--hash-prefix", "ffff"), 5, "no such token"),
        (("revoke", "main", "--hash-prefix", "7d3c"), 9, "the only token of main"),
        (("revoke", "main", "--hash-prefix", "7"), 2, "at least 4"),
        (("revoke", "main"), 2, "--token-file"),
        (("rotate", "main", "--overlap", "soon"), 2, "write it such as 1h"),
    ],
)
def test_what_cannot_be_done_is_said_with_the_code_of_the_page(
    config: Path, arguments: tuple[str, ...], code: int, words: str
) -> None:
    result = run(*arguments, "--config", config)
    assert (result.exit_code, words in result.output) == (code, True), result.output
    assert "ab1_" not in result.output


def test_a_config_that_cannot_be_used_is_shown_as_config_check_does(config: Path) -> None:
    config.write_text(TEXT.replace("pools: [it]", "pools: [other]"))
    result = run("rotate", "main", "--config", config)
    assert result.exit_code == 3
    assert "error[unknown-pool]" in result.output
    assert run("rotate", "main", "--config", config.with_name("none.yaml")).exit_code == 3


def test_a_token_for_a_file_is_private_and_not_shown(tmp_path: Path) -> None:
    out = tmp_path / "token"
    result = run("create", "main", "--out", out)
    assert out.stat().st_mode & 0o777 == 0o600
    assert f"token_sha256: {hash_of(out.read_text())}\n" in result.output
    assert out.read_text().strip() not in result.output
    again = run("create", "main", "--out", out)
    assert again.exit_code == 9
    assert f"token_sha256: {hash_of(out.read_text())}" in result.output
