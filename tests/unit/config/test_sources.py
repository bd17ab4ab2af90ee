"""One config of several files, and of variables that are put over them."""

import textwrap
from pathlib import Path

import pytest

from broker.config.load import check_file, check_text, load
from broker.config.settings import Config
from broker.domain.ids import PolicyName, PoolName, TemplateName
from broker.errors import ConfigError

MAIN = """
version: 1
templates:
  default: { env: { TZ: UTC } }
pools:
  here: { backend: process, limits: { agents: 5 } }
  big-one: { inherit_from: here }
policies:
  linux: { labels: [linux], pools: [here] }
"""


def write(tmp_path: Path, main: str = MAIN, **parts: str) -> Path:
    """A config file, with files in its `conf.d`."""
    file = tmp_path / "broker.yaml"
    file.write_text(textwrap.dedent(main).lstrip())
    (tmp_path / "conf.d").mkdir(exist_ok=True)
    for name, text in parts.items():
        (tmp_path / "conf.d" / f"{name}.yaml").write_text(textwrap.dedent(text).lstrip())
    return file


def refused(file: Path, **env: str) -> str:
    """The diagnostics of a file that must not pass, with short names of files."""
    with pytest.raises(ConfigError) as caught:
        load(file, env=env)
    return str(caught.value).replace(f"{file.parent}/", "")


def with_env(**env: str) -> Config:
    """`MAIN` with variables over it."""
    checked = check_text(MAIN.lstrip(), "broker.yaml", Path(), env=env, starting=False)
    assert not checked.diagnostics.errors, checked.diagnostics.render()
    return load_text(env)


def load_text(env: dict[str, str]) -> Config:
    from broker.config.load import parse

    return parse(MAIN.lstrip(), "broker.yaml", env=env)


def refused_env(**env: str) -> str:
    """What is said of variables that must not pass."""
    with pytest.raises(ConfigError) as caught:
        load_text(env)
    return str(caught.value)


def test_files_beside_the_config_are_merged_by_name(tmp_path: Path) -> None:
    more = "pools: { more: { inherit_from: here, limits: { agents: 7 } } }\nserver: { log: { level: debug } }\n"
    file = write(tmp_path, MAIN + "server: { shutdown_grace: 9s }\n", a=more, b="templates: { other: { cpu: 1 } }\n")
    config = load(file, env={})
    assert config.definitions.pools[PoolName("more")].limits.agents == 7
    assert {"default", "other"} <= set(config.definitions.templates)
    assert (config.server.log.level, config.server.shutdown_grace.seconds) == ("debug", 9)


def test_one_name_in_two_files_is_an_error_that_cites_both_lines(tmp_path: Path) -> None:
    file = write(tmp_path, a="pools:\n  # ours\n  here: { backend: process }\n")
    assert refused(file) == textwrap.dedent(
        """
        conf.d/a.yaml:3:3: error[duplicate-name]: pool 'here' is defined in two files
            |
          3 |   here: { backend: process }
            |   ^^^^
            = note: the other is at broker.yaml:5:3
            = help: keep one of them

        1 error"""
    ).lstrip("\n")


def test_one_key_of_the_server_in_two_files_is_an_error(tmp_path: Path) -> None:
    file = write(tmp_path, MAIN + "server: { log: { level: info } }\n", a="server: { log: { level: debug } }\n")
    assert "conf.d/a.yaml:1:18: error[duplicate-name]: 'server.log.level' is defined in two files" in refused(file)


def test_an_error_names_the_file_that_it_is_in(tmp_path: Path) -> None:
    file = write(tmp_path, a="policies:\n  mac: { labels: [mac], pools: [hero] }\n", b="pools: [\n", c="- 1\n")
    assert "conf.d/b.yaml:2:1: error[yaml-syntax]" in refused(file)
    assert "conf.d/c.yaml:1:1: error[wrong-type]" in refused(file)
    (tmp_path / "conf.d" / "b.yaml").unlink()
    (tmp_path / "conf.d" / "c.yaml").unlink()
    text = refused(file)
    assert "conf.d/a.yaml:2:33: error[unknown-pool]" in text
    assert "did you mean 'here' (defined at broker.yaml:5:3)?" in text


def test_diagnostics_follow_the_order_of_the_files(tmp_path: Path) -> None:
    file = write(tmp_path, MAIN + "x: 1\n", b="y: 1\n", a="z: 1\n")
    places = [f"{d.span}" for d in check_file(file, env={}).diagnostics.items]
    assert [place.rpartition("/")[2] for place in places] == ["broker.yaml:9:1", "a.yaml:1:1", "b.yaml:1:1"]


def test_a_secret_in_a_part_is_masked(tmp_path: Path) -> None:
    text = "templates:\n  t: { env: { NPM_TOKEN: canary }, stray: 1 }\n"
    assert "canary" not in refused(write(tmp_path, a=text))


def test_a_part_with_another_ending_is_a_warning(tmp_path: Path) -> None:
    file = write(tmp_path)
    (tmp_path / "conf.d" / "x.yml").write_text("pools: {}\n")
    assert "conf.d/x.yml is not read: only *.yaml is" in load(file, env={}).warnings


def test_a_variable_is_put_over_the_file_and_what_inherits_sees_it() -> None:
    pools = with_env(AGENTBROKER_POOLS__HERE__LIMITS__AGENTS="140").definitions.pools
    assert [pools[PoolName(name)].limits.agents for name in ("here", "big-one")] == [140, 140]


def test_underscores_match_hyphens_whatever_the_case() -> None:
    pools = with_env(agentbroker_Pools__Big_One__Limits__Agents="9").definitions.pools
    assert [pools[PoolName(name)].limits.agents for name in ("here", "big-one")] == [5, 9]


def test_a_value_may_be_a_list_a_text_a_duration_or_the_default() -> None:
    config = with_env(
        AGENTBROKER_POLICIES__LINUX__LABELS="[a, b]",
        AGENTBROKER_TEMPLATES__DEFAULT__ENV__NEW_ONE="yes: #",
        AGENTBROKER_SERVER__SHUTDOWN_GRACE="5s",
        AGENTBROKER_POOLS__HERE__LIMITS__AGENTS="",
    )
    assert config.definitions.policies[PolicyName("linux")].labels == ("a", "b")
    assert dict(config.definitions.templates[TemplateName("default")].env) == {"TZ": "UTC", "NEW_ONE": "yes: #"}
    assert config.server.shutdown_grace.seconds == 5
    assert config.definitions.pools[PoolName("here")].limits.agents is None


def test_a_variable_that_names_nothing_is_an_error_with_the_nearest() -> None:
    assert refused_env(AGENTBROKER_POOLS__HEER__LIMITS__AGENTS="140") == textwrap.dedent(
        """
        $AGENTBROKER_POOLS__HEER__LIMITS__AGENTS:1:1: error[unknown-override]: environment variable \
AGENTBROKER_POOLS__HEER__LIMITS__AGENTS names nothing: there is no 'heer' in 'pools'
            |
          1 | ***
            | ^^^
            = help: did you mean AGENTBROKER_POOLS__HERE__LIMITS__AGENTS?

        1 error"""
    ).lstrip("\n")


@pytest.mark.parametrize(
    ("variable", "said"),
    [
        ("AGENTBROKER_POLS__HERE__JAVA", "did you mean AGENTBROKER_POOLS__HERE__JAVA?"),
        ("AGENTBROKER_POOLS__HERE__LIMIT__AGENTS", "did you mean AGENTBROKER_POOLS__HERE__LIMITS__AGENTS?"),
        ("AGENTBROKER_POOLS__HERE__JAVA__X", "there is no 'x' in 'pools.here.java'"),
        ("AGENTBROKER_POLICIES__LINUX__POOLS__0__WEIGHT", "there is no '0' in 'policies.linux.pools'"),
        ("AGENTBROKER_POOLS_HERE_JAVA", "write two underscores between the parts: AGENTBROKER_POOLS__NAME__KEY"),
        ("AGENTBROKER_POOLS", "it has no key in it"),
    ],
)
def test_a_variable_that_leads_nowhere_says_where_it_ends(variable: str, said: str) -> None:
    assert said in refused_env(**{variable: "1"})


def test_a_variable_that_could_be_two_names_is_an_error() -> None:
    text = MAIN.lstrip().replace("big-one", "he-re").replace("policies:", "  he_re: { backend: process }\npolicies:")
    checked = check_text(text, "b", Path(), env={"AGENTBROKER_POOLS__HE_RE__JAVA": "x"}, starting=False)
    assert "'HE_RE' could be 'he-re' or 'he_re'" in checked.diagnostics.render()


def test_two_variables_of_one_key_are_an_error() -> None:
    twice = {"AGENTBROKER_POOLS__HERE__JAVA": "a", "AGENTBROKER_pools__here__java": "b"}
    assert "are the same key" in refused_env(**twice)


def test_a_wrong_value_is_told_at_the_variable() -> None:
    text = refused_env(AGENTBROKER_POOLS__HERE__LIMITS__AGENTS="many")
    head = "$AGENTBROKER_POOLS__HERE__LIMITS__AGENTS:1:1: error[wrong-type]"
    assert text.startswith(f"{head}: expected a whole number, got the text 'many'\n    |\n  1 | many\n    | ^^^^")


def test_a_secret_in_a_variable_is_masked() -> None:
    name = "AGENTBROKER_TEMPLATES__DEFAULT__ENV__NPM_TOKEN"
    assert "canary" not in refused_env(**{name: "[canary]"})


@pytest.mark.parametrize(
    "name",
    [
        "AGENTBROKER_CONFIG",
        "AGENTBROKER_URL",
        "AGENTBROKER_TOKEN_FILE",
        "AGENTBROKER_DEV_RUN",
        "AGENTBROKER_SERVICE_HOST",
        "AGENTBROKER_GATEWAY_SERVICE_PORT",
        "AGENTBROKER_GATEWAY_PORT_7072_TCP_ADDR",
    ],
)
def test_other_variables_of_the_same_prefix_are_no_overrides(name: str) -> None:
    assert with_env(**{name: "x"}).definitions.revision == with_env().definitions.revision
