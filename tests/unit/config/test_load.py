"""What a config becomes, and where the loader draws the line."""

from datetime import timedelta
from pathlib import Path

import pytest

from broker.config.load import check_text, load, parse
from broker.config.settings import Address, Config
from broker.domain.ids import BackendName, ControllerName, PolicyName, PoolName, TemplateName
from broker.domain.operators import Operator, Role
from broker.domain.policy import OnTimeout, Strategy
from broker.errors import ConfigError

EXAMPLE = Path(__file__).parent / "example.yaml"
HASH = "7d3c1c4e1b9a0f5d2c6e8f7a9b0c1d2e3f405162738495a6b7c8d9eaf0b1c2d3"
SMALLEST = """version: 1
pools: { it: { backend: process } }
policies: { linux: { labels: [linux], pools: [it] } }
"""
LINUX, IT = PolicyName("linux"), PoolName("it")


def of(text: str, **env: str) -> Config:
    """The config of a text to which `version: 1` is added."""
    return parse(f"version: 1\n{text}", env=env)


def refused(text: str, *, starting: bool = False, **env: str) -> str:
    """The diagnostics of a text that must not pass."""
    with pytest.raises(ConfigError) as caught:
        parse(f"version: 1\n{text}", "broker.yaml", env=env, starting=starting)
    return str(caught.value)


def test_the_smallest_useful_file_has_a_process_backend_and_a_default_template() -> None:
    config = parse(SMALLEST, env={}, starting=True)
    definitions = config.definitions
    assert definitions.backends[BackendName("process")].type == "process"
    assert definitions.policies[LINUX].template in definitions.templates
    assert [use.pool for use in definitions.policies[LINUX].pools] == ["it"]
    assert config.server.http.listen == Address("127.0.0.1", 7070)
    assert config.server.grpc.listen == Address("127.0.0.1", 7071)
    assert config.gateway.websocket == Address("127.0.0.1", 7073)
    assert config.gateway.advertise == "ws://127.0.0.1:7073"
    assert config.gateway.agent_url == "http://127.0.0.1:7073"
    assert config.gateway.control == "unix:/var/lib/agentbroker/control.sock"
    assert config.server.keys_dir == Path("/var/lib/agentbroker/keys")


def test_a_start_without_controllers_is_a_warning_and_a_check_says_nothing_of_it() -> None:
    assert "warning[no-controllers]" in parse(SMALLEST, env={}, starting=True).warnings
    assert parse(SMALLEST, env={}).warnings == ""


def test_the_whole_example_is_accepted_by_a_check_and_a_start_wants_its_files() -> None:
    text = EXAMPLE.read_text()
    config = parse(text, "broker.yaml", env={})
    assert "warning[no-file]: cannot read /run/secrets/ali_ssh_key" in config.warnings
    with pytest.raises(ConfigError, match=r"error\[no-file\]"):
        parse(text, "broker.yaml", env={}, starting=True)


def test_the_example_becomes_definitions() -> None:
    definitions = parse(EXAMPLE.read_text(), env={}).definitions
    linux = definitions.policies[LINUX]
    assert linux.strategy is Strategy.WEIGHTED
    assert linux.timeouts.on_timeout is OnTimeout.FAIL
    assert linux.retry.backoff_last == timedelta(seconds=30)
    assert [(use.pool, use.weight, use.base) for use in linux.pools] == [("fargate-spot", 4, 0), ("fargate", 1, 2)]
    spot = definitions.pools[PoolName("fargate-spot")]
    assert spot.options["subnets"] == ["subnet-0a1", "subnet-0b2", "subnet-0c3"]
    assert spot.limits.agents == 300
    assert spot.limits.memory_mib == 800 * 1024
    assert spot.cooldown.rest == timedelta(minutes=5)
    assert definitions.controllers[ControllerName("main")].limits.pending == 60


def test_inheritance_merges_maps_replaces_scalars_and_removes_nulls() -> None:
    templates = parse(EXAMPLE.read_text(), env={}).definitions.templates
    java, host = templates[TemplateName("java")], templates[TemplateName("host")]
    assert dict(java.env) == {"TZ": "UTC", "MAVEN_OPTS": "-Xmx4g"}
    assert java.resources.cpu_milli == 2000
    assert java.resources.memory_mib == 8192
    assert java.retention.idle_timeout == timedelta(minutes=2)
    assert host.image is None
    assert TemplateName("base") not in templates


def test_inherited_lists_are_replaced_not_joined() -> None:
    pools = of(
        """
pools:
  a: { backend: process, command: [one, two], limits: { agents: 1, pending: 1 } }
  b: { inherit_from: a, command: [three], limits: { pending: null } }
"""
    ).definitions.pools
    assert pools[PoolName("b")].options["command"] == ["three"]
    assert pools[PoolName("b")].limits.agents == 1
    assert pools[PoolName("b")].limits.pending is None


def test_variables_defaults_and_dollars_are_replaced() -> None:
    config = of(
        """
server: { state_dir: "${HOME_DIR}/state", public_url: "${URL:-https://broker.example.com}" }
templates: { default: { executors: "${N}", retention: { max_uses: 0 }, env: { PRICE: "5$$", EMPTY: "${NOTHING:-}" } } }
""",
        HOME_DIR="/srv",
        N="3",
    )
    template = config.definitions.templates[TemplateName("default")]
    assert config.server.state_dir == Path("/srv/state")
    assert config.server.public_url == "https://broker.example.com"
    assert template.executors == 3
    assert dict(template.env) == {"PRICE": "5$", "EMPTY": ""}


def test_a_variable_becomes_a_number_only_where_one_belongs() -> None:
    text = "templates:\n  default:\n    env:\n      BUILD: ${N}\n    executors: ${N}\n    retention: { max_uses: 0 }\n"
    template = of(text, N="7").definitions.templates[TemplateName("default")]
    assert template.env["BUILD"] == "7"
    assert template.executors == 7


def test_a_secret_from_the_environment_is_no_warning() -> None:
    assert of("templates: { default: { env: { NPM_TOKEN: '${NPM}' } } }", NPM="x").warnings == ""


def test_yaml_1_1_booleans_are_texts_as_values() -> None:
    template = of("templates: { default: { env: { A: yes, B: off, 'no': n } } }").definitions.templates
    assert dict(template[TemplateName("default")].env) == {"A": "yes", "B": "off", "no": "n"}


def test_a_token_may_be_one_hash_or_two() -> None:
    def tokens(written: str) -> tuple[str, ...]:
        text = f"controllers: {{ main: {{ url: 'http://127.0.0.1:8080', token_sha256: {written} }} }}"
        return of(text).definitions.controllers[ControllerName("main")].token_sha256

    assert tokens(HASH) == (HASH,)
    assert tokens(f"[{HASH}, {'a' * 64}]") == (HASH, "a" * 64)


def test_a_controllers_url_ends_in_a_slash() -> None:
    text = f"controllers: {{ main: {{ url: 'http://127.0.0.1:8080/jenkins', token_sha256: {HASH} }} }}"
    assert of(text).definitions.controllers[ControllerName("main")].url == "http://127.0.0.1:8080/jenkins/"


def test_the_revision_follows_the_content_and_not_comments_or_order() -> None:
    first = parse(SMALLEST, env={}).definitions.revision
    lines = SMALLEST.splitlines()
    assert parse("\n".join(["# a comment", *reversed(lines)]), env={}).definitions.revision == first
    assert parse(SMALLEST.replace("[linux]", "[linuz]"), env={}).definitions.revision != first


def test_the_order_of_policies_is_part_of_the_revision() -> None:
    pools = "pools: { it: { backend: process } }\npolicies:\n"
    a, b = "  a: { labels: [a], pools: [it] }\n", "  b: { labels: [b], pools: [it] }\n"
    assert of(pools + a + b).definitions.revision != of(pools + b + a).definitions.revision


def test_a_gateway_on_every_address_is_advertised_on_loopback() -> None:
    assert of("gateway: { websocket: { listen: '0.0.0.0:9000' } }").gateway.advertise == "ws://127.0.0.1:9000"


def test_grpc_beyond_loopback_is_allowed_with_tls() -> None:
    tls = "{ cert_file: /etc/hosts, key_file: /etc/hosts }"
    config = of(f"server: {{ grpc: {{ listen: '0.0.0.0:7071', tls: {tls} }} }}")
    assert config.server.grpc.tls is not None


def test_port_0_never_conflicts() -> None:
    assert of("server: { http: { listen: '127.0.0.1:0' }, grpc: { listen: '127.0.0.1:0' } }").warnings == ""


def test_the_same_labels_are_fine_with_priorities_or_for_different_controllers() -> None:
    pools = "pools: { it: { backend: process } }\npolicies:\n"
    both = "  a: { labels: [x, y], pools: [it], priority: 1 }\n  b: { labels: [y, x], pools: [it], priority: 2 }\n"
    assert of(pools + both).warnings == ""
    main = f"controllers: {{ m: {{ url: 'https://a/', token_sha256: {HASH} }},"
    other = f" n: {{ url: 'https://b/', token_sha256: {'b' * 64} }} }}\n"
    apart = "  a: { labels: [x], pools: [it], controllers: [m] }\n  b: { labels: [x], pools: [it], controllers: [n] }\n"
    assert of(main + other + pools + apart).warnings == ""


def test_all_errors_are_reported_at_once_with_a_count() -> None:
    text = refused("polices: {}\npools: { it: { backend: here } }\nserver: { shutdown_grace: 5 }\n")
    assert text.count("error[") == 3
    assert text.endswith("\n\n3 errors")


def test_the_count_names_errors_and_warnings() -> None:
    diagnostics = check_text(
        "version: 2\ntemplates: { a: { env: { MY_TOKEN: x } } }\n", "b", Path(), env={}, starting=False
    ).diagnostics
    assert diagnostics.summary() == "1 error, 1 warning"


def test_operators_tokens_become_operators_with_their_roles() -> None:
    tokens = f"tokens: {{ ana: {{ role: operator, token_sha256: {'a' * 64} }}, tv: {{ token_sha256: {'b' * 64} }} }}"
    config = of(f"server: {{ auth: {{ {tokens} }} }}\n")
    assert config.definitions.operators == (
        Operator(name="ana", role=Role.OPERATOR, token_sha256="a" * 64),
        Operator(name="tv", role=Role.VIEWER, token_sha256="b" * 64),
    )
    assert config.warnings == ""


def test_values_that_ask_for_what_happens_anyway_are_fine() -> None:
    gateway = "gateway: { prefer: websocket, processes: 1, control: 'unix:/run/c.sock' }\n"
    assert of(gateway + "pools: { it: { backend: process, connect: gateway } }").warnings == ""


def test_a_missing_file_is_said_with_its_name(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.yaml:1:1: error\[no-file\]: cannot read the config file: No"):
        load(tmp_path / "none.yaml", env={})


def test_a_file_that_is_not_utf_8_or_a_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "latin.yaml").write_bytes(b"version: 1 # \xe4\n")
    with pytest.raises(ConfigError, match="not UTF-8"):
        load(tmp_path / "latin.yaml", env={})
    with pytest.raises(ConfigError, match="no-file"):
        load(tmp_path, env={})


def test_relative_files_lie_beside_the_config(tmp_path: Path) -> None:
    file = tmp_path / "broker.yaml"
    file.write_text("version: 1\nserver: { state_dir: state }\ngateway: { control: 'unix:run/c.sock' }\n")
    config = load(file, env={})
    assert config.server.state_dir == tmp_path / "state"
    assert config.gateway.control == f"unix:{tmp_path}/run/c.sock"


def _with_tls(tmp_path: Path, mode: int) -> Path:
    for name in ("c.pem", "k.pem"):
        (tmp_path / name).write_text("x")
    (tmp_path / "k.pem").chmod(mode)
    file = tmp_path / "broker.yaml"
    file.write_text("version: 1\nserver: { grpc: { tls: { cert_file: c.pem, key_file: k.pem } } }\n")
    return file


def test_a_key_that_others_may_read_is_a_warning_in_a_check_and_stops_a_start(tmp_path: Path) -> None:
    file = _with_tls(tmp_path, 0o644)
    assert (
        "warning[file-mode]: others may read or change the secret in k.pem (mode 0644)" in load(file, env={}).warnings
    )
    with pytest.raises(ConfigError, match=r"(?s)error\[file-mode\].*= help: run 'chmod 600 k\.pem'"):
        load(file, env={}, starting=True)


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o400])
def test_a_key_of_the_broker_or_its_group_alone_is_fine(tmp_path: Path, mode: int) -> None:
    assert "file-mode" not in load(_with_tls(tmp_path, mode), env={}, starting=True).warnings


def test_a_file_that_is_missing_is_a_warning_in_a_check_and_stops_a_start(tmp_path: Path) -> None:
    file = _with_tls(tmp_path, 0o600)
    (tmp_path / "c.pem").unlink()
    assert "warning[no-file]: cannot read c.pem: No such file or directory" in load(file, env={}).warnings
    with pytest.raises(ConfigError, match=r"error\[no-file\]: cannot read c\.pem"):
        load(file, env={}, starting=True)
