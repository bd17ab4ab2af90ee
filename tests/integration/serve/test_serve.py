"""The control plane as a process: starts, tells its state, ends; and says clearly why it does not start."""

import signal
import socket
import sqlite3
from pathlib import Path

import pytest

from broker.store.schema import SCHEMA_VERSION
from tests.integration.serve.world import Server, config, write


def test_it_starts_tells_its_state_and_ends_with_0_when_it_is_told_to(tmp_path: Path) -> None:
    with Server(write(tmp_path, config(tmp_path))).started() as server:
        assert server.get("healthz") == (200, "ok\n")
        status, text = server.get("readyz")
        assert status == 503
        assert "no gateway is linked" in text
        assert "store" in text
        assert "rpc: ok" in text
        status, metrics = server.get("metrics")
        assert status == 200
        assert "agentbroker_build_info{" in metrics
        assert (tmp_path / "state").stat().st_mode & 0o077 == 0
        code, seconds = server.terminate()
        assert code == 0, server.said()
        assert seconds < 5 + 3
        assert "Traceback" not in server.said()
        assert not (tmp_path / "state" / "control.sock").exists()


def test_ctrl_c_ends_it_as_well(tmp_path: Path) -> None:
    with Server(write(tmp_path, config(tmp_path))).started() as server:
        assert server.terminate(signal.SIGINT)[0] == 0
        assert "Traceback" not in server.said()


def test_a_killed_one_is_followed_by_another_on_the_same_state(tmp_path: Path) -> None:
    path = write(tmp_path, config(tmp_path))
    with Server(path).started() as server:
        server.terminate(signal.SIGKILL)
    with Server(path).started() as server:
        assert server.get("healthz")[0] == 200
        assert server.terminate()[0] == 0


def test_a_second_one_on_the_same_state_is_refused_and_the_first_goes_on(tmp_path: Path) -> None:
    path = write(tmp_path, config(tmp_path))
    with Server(path).started() as first, Server(path) as second:
        code, said = second.refused()
        assert code == 1
        assert "another agentbroker runs on it" in said
        assert "Traceback" not in said
        assert said.count("agentbroker: ") == 1
        assert first.get("healthz")[0] == 200
        assert first.terminate()[0] == 0


def test_a_second_one_on_the_same_state_is_refused_although_its_control_link_is_another(tmp_path: Path) -> None:
    other = config(tmp_path)
    other["gateway"]["control"] = f"unix:{tmp_path / 'other.sock'}"
    second_path = write(tmp_path, other, "second.yaml")
    with Server(write(tmp_path, config(tmp_path))).started(), Server(second_path) as second:
        code, said = second.refused()
        assert code == 1
        assert "another agentbroker" in said
        assert "Traceback" not in said


@pytest.mark.parametrize("listener", ["grpc", "http"])
def test_a_port_in_use_is_named(tmp_path: Path, listener: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with Server(write(tmp_path, config(tmp_path, **{listener: {"listen": address}}))) as server:
            code, said = server.refused()
    assert code == 1
    assert address in said
    assert "Traceback" not in said
    assert not (tmp_path / "state" / "control.sock").exists()


def test_a_secret_file_that_others_may_read_is_refused(tmp_path: Path) -> None:
    secret = tmp_path / "tls.key"
    secret.write_text("key")
    secret.chmod(0o644)
    (tmp_path / "tls.crt").write_text("certificate")
    tls = {"cert_file": str(tmp_path / "tls.crt"), "key_file": str(secret)}
    with Server(write(tmp_path, config(tmp_path, grpc={"listen": "127.0.0.1:0", "tls": tls}))) as server:
        code, said = server.refused()
    assert code == 3
    assert str(secret) in said
    assert "chmod" in said


def test_a_broker_key_that_others_may_read_is_refused_with_the_fix(tmp_path: Path) -> None:
    key = tmp_path / "keys" / "broker.key"
    key.parent.mkdir()
    key.write_bytes(bytes(32))
    key.chmod(0o644)
    with Server(write(tmp_path, config(tmp_path, keys_dir=str(key.parent)))) as server:
        code, said = server.refused()
    assert code == 1
    assert said.strip().endswith(f"agentbroker: {key}: others may read it (mode 0644); run: chmod 600 {key}")


def test_a_broken_file_ends_with_3_and_shows_the_place(tmp_path: Path) -> None:
    path = write(tmp_path, "version: 1\nserver:\n\tstate_dir: here\n")
    with Server(path) as server:
        code, said = server.refused()
    assert code == 3
    assert f"{path}:3:1" in said
    assert "Traceback" not in said


def test_a_file_that_is_not_there_ends_with_3(tmp_path: Path) -> None:
    with Server(tmp_path / "none.yaml") as server:
        code, said = server.refused()
    assert code == 3
    assert "none.yaml" in said
    assert "Traceback" not in said


def test_a_database_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, config(tmp_path))
    with Server(path).started() as server:
        server.terminate()
    database = sqlite3.connect(tmp_path / "state" / "broker.db")
    with database:
        database.execute("UPDATE meta SET value = '99' WHERE key = 'schema_version'")
    database.close()
    with Server(path) as server:
        code, said = server.refused()
    assert code == 1
    assert f"made by a newer agentbroker (schema 99, this one knows {SCHEMA_VERSION})" in said
    assert "Traceback" not in said


def test_a_state_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with Server(write(tmp_path, config(tmp_path, state_dir=str(tmp_path / "file" / "state")))) as server:
        code, said = server.refused()
    assert code == 1
    assert "server.state_dir must be a directory of ours" in said
    assert "Traceback" not in said
