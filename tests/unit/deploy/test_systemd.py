"""The systemd units: understood by systemd, hardened, and bound to each other by nothing but the order of start."""

import shutil
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from broker.config.model import GatewayModel

SYSTEMD = Path(__file__).parents[3] / "deploy" / "systemd"
PROGRAM = "/opt/agentbroker/bin/agentbroker"
UNITS = {
    "agentbroker.service": f"{PROGRAM} serve --no-gateway --config /etc/agentbroker/broker.yaml",
    "agentbroker-gateway.service": f"{PROGRAM} gateway --config /etc/agentbroker/broker.yaml",
}
HARDENED = {
    "AmbientCapabilities": "",
    "CapabilityBoundingSet": "",
    "NoNewPrivileges": "yes",
    "PrivateDevices": "yes",
    "ProtectHome": "yes",
    "ProtectKernelModules": "yes",
    "ProtectSystem": "strict",
    "RestrictSUIDSGID": "yes",
    "StateDirectory": "agentbroker",
    "StateDirectoryMode": "0700",
    "UMask": "0077",
    "User": "agentbroker",
}
MAY_REPEAT = {"ReadWritePaths", "SystemCallFilter"}
KNOWN = {
    "Unit": {"Description", "Wants", "After"},
    "Install": {"WantedBy"},
    "Service": {
        *HARDENED, *MAY_REPEAT, "Type", "Group", "ExecStart", "ExecReload", "Restart", "RestartSec", "KillMode",
        "OOMPolicy", "TimeoutStopSec", "LimitNOFILE", "LockPersonality", "MemoryDenyWriteExecute", "PrivateTmp",
        "PrivateUsers", "ProtectClock",
        "ProtectControlGroups", "ProtectHostname", "ProtectKernelLogs", "ProtectKernelTunables", "ProtectProc",
        "RemoveIPC", "RestrictAddressFamilies", "RestrictNamespaces", "RestrictRealtime", "SystemCallArchitectures",
        "SystemCallErrorNumber",
    },
}  # fmt: skip


def parse(name: str) -> dict[str, dict[str, list[str]]]:
    """A unit by section and key; AssertionError at a line that is none of: empty, comment, section, known key=value."""
    sections: dict[str, dict[str, list[str]]] = {}
    section = ""
    for line in (SYSTEMD / name).read_text().splitlines():
        if not line or line.startswith("#"):
            continue
        if line.startswith("["):
            section = line.removeprefix("[").removesuffix("]")
            assert section in KNOWN, line
            assert section not in sections, line
            sections[section] = {}
            continue
        key, equals, value = line.partition("=")
        assert equals, line
        assert key in KNOWN[section], line
        values = sections[section].setdefault(key, [])
        assert not values or key in MAY_REPEAT, f"{key} twice"
        values.append(value)
    return sections


@pytest.mark.parametrize("name", UNITS)
def test_a_unit_holds_known_settings_only_and_each_once(name: str) -> None:
    assert parse(name).keys() == KNOWN.keys()


@pytest.mark.parametrize("name", UNITS)
def test_systemd_itself_finds_nothing_to_say(name: str, tmp_path: Path) -> None:
    analyze = shutil.which("systemd-analyze")
    if analyze is None:  # then the strict parser above is the check
        return
    program = tmp_path / "agentbroker"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    unit = tmp_path / name
    unit.write_text((SYSTEMD / name).read_text().replace(PROGRAM, str(program)))
    done = subprocess.run(
        [analyze, "verify", "--man=no", unit], capture_output=True, text=True, check=False, timeout=60
    )
    complaints = [line for line in done.stderr.splitlines() if name in line]
    assert (done.returncode, complaints) == (0, [])


@pytest.mark.parametrize(("name", "command"), UNITS.items())
def test_a_unit_starts_its_half_of_the_broker_with_the_config(name: str, command: str) -> None:
    assert parse(name)["Service"]["ExecStart"] == [command]


@pytest.mark.parametrize("name", UNITS)
def test_a_unit_can_write_its_state_and_gain_nothing(name: str) -> None:
    service = parse(name)["Service"]
    assert {key: service.get(key) for key in HARDENED} == {key: [value] for key, value in HARDENED.items()}


def test_a_restart_of_the_control_plane_leaves_process_agents_alone() -> None:
    service = parse("agentbroker.service")["Service"]
    assert service["KillMode"] == ["process"]
    assert "PrivateTmp" not in service  # it would be emptied under them


def test_neither_unit_takes_the_other_down() -> None:
    assert [set(parse(name)["Unit"]) for name in UNITS] == [{"Description", "Wants", "After"}] * 2
    assert not any("agentbroker" in value for name in UNITS for value in parse(name)["Unit"]["Wants"])


@pytest.mark.parametrize("command", UNITS.values())
def test_the_command_of_a_unit_has_the_options_it_uses(command: str) -> None:
    _, name, *options = command.split()
    asked = [sys.executable, "-m", "broker", name, "--help"]
    text = subprocess.run(asked, capture_output=True, text=True, check=True, timeout=60).stdout
    assert [option for option in options if option.startswith("--") and option not in text] == []


@pytest.mark.parametrize("name", UNITS)
def test_a_reload_of_a_unit_is_a_reload_of_the_config(name: str) -> None:
    assert parse(name)["Service"]["ExecReload"] == ["/bin/kill -HUP $MAINPID"]


def test_the_gateways_workers_outlive_its_main_process_and_one_of_them_the_end_of_another() -> None:
    service = parse("agentbroker-gateway.service")["Service"]
    assert (service["KillMode"], service["OOMPolicy"]) == (["process"], ["continue"])


def test_a_stop_of_the_gateway_waits_for_longer_than_its_sessions_may_last() -> None:
    drain = GatewayModel().drain_timeout
    (told,) = parse("agentbroker-gateway.service")["Service"]["TimeoutStopSec"]
    hours, minutes = (int("".join(filter(str.isdigit, word))) for word in told.split())
    assert timedelta(hours=hours, minutes=minutes) > drain
