"""`agentbroker config check` and `config show`."""

import json
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result

from broker.cli.config import config

EXAMPLE = Path(__file__).parents[1] / "config" / "example.yaml"
GOOD = "version: 1\npools: { it: { backend: process } }\npolicies: { linux: { labels: [linux], pools: [it] } }\n"
WARNS = GOOD + "templates: { t: { env: { MY_TOKEN: x } } }\n"
BAD = GOOD + "polices: {}\n"


def run(*arguments: str, **env: str | None) -> Result:
    return CliRunner().invoke(config, arguments, env={"AGENTBROKER_CONFIG": None, **env})


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name, text in (("good", GOOD), ("warns", WARNS), ("bad", BAD)):
        (tmp_path / f"{name}.yaml").write_text(text)
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["good.yaml"], 0),
        (["warns.yaml"], 0),
        (["warns.yaml", "--strict"], 3),
        (["bad.yaml"], 3),
        (["good.yaml", "bad.yaml"], 3),
        (["no-such.yaml"], 3),
        (["--strickt"], 2),
    ],
)
def test_the_exit_code_of_a_check_says_whether_it_may_be_used(write: Path, arguments: list[str], code: int) -> None:
    assert run("check", *arguments).exit_code == code


def test_a_check_prints_the_place_and_the_count(write: Path) -> None:
    printed = run("check", "bad.yaml").stdout
    assert printed.startswith("bad.yaml:4:1: error[unknown-key]: 'polices' is not a key of the file\n")
    assert printed.endswith("\n\n1 error\n")


def test_a_good_file_is_called_ok(write: Path) -> None:
    assert run("check", "good.yaml").stdout == "good.yaml: ok\n"


def test_the_default_file_comes_from_the_environment_or_the_directory(write: Path) -> None:
    assert run("check", AGENTBROKER_CONFIG="warns.yaml").stdout.startswith("warns.yaml:4:36: warning")
    (write / "good.yaml").rename(write / "broker.yaml")
    assert run("check").stdout == "broker.yaml: ok\n"


def test_json_has_the_same_as_objects(write: Path) -> None:
    found = json.loads(run("check", "--json", "good.yaml", "bad.yaml").stdout)
    assert (found["errors"], found["warnings"]) == (1, 0)
    (item,) = found["items"]
    assert (item["file"], item["line"], item["column"]) == ("bad.yaml", 4, 1)
    assert (item["severity"], item["code"]) == ("error", "unknown-key")
    assert item["notes"][0] == {"label": "help", "text": "did you mean 'policies'?"}


def test_github_gets_workflow_commands(write: Path) -> None:
    line = run("check", "--github", "bad.yaml").stdout.splitlines()[0]
    assert line.startswith(
        "::error file=bad.yaml,line=4,col=1,title=unknown-key::'polices' is not a key of the file%0A"
    )


def test_show_prints_what_the_file_says_with_inheritance_resolved() -> None:
    shown = yaml.safe_load(run("show", "templates.java", "--config", str(EXAMPLE)).stdout)
    assert shown["env"] == {"TZ": "UTC", "MAVEN_OPTS": "-Xmx4g"}
    assert shown["memory"] == "8Gi"
    assert "task_definition" not in shown


def test_show_with_defaults_reads_back_as_the_same_config(write: Path) -> None:
    shown = run("show", "--defaults", "--config", "good.yaml").stdout
    (write / "shown.yaml").write_text(shown)
    assert run("check", "shown.yaml").exit_code == 0
    assert run("show", "--defaults", "--config", "shown.yaml").stdout == shown


def test_show_goes_to_one_value_in_json(write: Path) -> None:
    shown = run("show", "policies.linux.pools.0.pool", "-o", "json", "--config", "good.yaml").stdout
    assert json.loads(shown) == "it"


def test_show_of_what_is_not_there_fails_with_a_suggestion(write: Path) -> None:
    done = run("show", "policies.linx", "--config", "good.yaml")
    assert done.exit_code == 5
    assert "no 'linx' in 'policies'; did you mean 'linux'?" in done.stderr


def test_show_of_an_invalid_file_prints_its_errors(write: Path) -> None:
    done = run("show", "--config", "bad.yaml")
    assert done.exit_code == 3
    assert "error[unknown-key]" in done.stderr
    assert done.stdout == ""


def test_show_masks_secrets_and_shows_where_they_lie(write: Path) -> None:
    (write / "secrets.yaml").write_text(
        GOOD
        + "templates: { default: { env: { NPM_TOKEN: canary-literal, OTHER: fine, API_KEY: '${KEY}' } } }\n"
        + "backends: { ali: { type: alibaba-ecs, access_key_secret_file: /run/s/ali, access_key_id: canary-id } }\n"
    )
    shown = run("show", "--config", "secrets.yaml", KEY="canary-variable").output
    assert "canary" not in shown
    assert "fine" in shown
    assert "/run/s/ali" in shown
