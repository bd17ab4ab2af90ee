"""A reload of the control plane as a process: by signal, by command, and what its gateway learns of it."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from broker.gateway.sockets import process_started
from tests.integration.serve.world import Server, config, write

LONGEST_S = 60.0


def until(happened: Callable[[], bool], server: Server) -> None:
    deadline = time.monotonic() + LONGEST_S
    while not happened():
        assert time.monotonic() < deadline, server.said()
        time.sleep(0.05)


def test_a_signal_reloads_prints_what_changes_and_a_bad_file_changes_nothing(tmp_path: Path) -> None:
    content = config(tmp_path)
    path = write(tmp_path, content)
    with Server(path).started() as server:
        content["pools"]["here"]["limits"] = {"agents": 7}
        content["server"]["http"] = {"listen": "127.0.0.1:9"}
        write(tmp_path, content)
        server.process.send_signal(signal.SIGHUP)
        until(lambda: "pools.here.limits.agents (unset) -> 7" in server.said(), server)
        until(lambda: "needs a restart: server.http.listen 127.0.0.1:0 -> 127.0.0.1:9" in server.said(), server)
        write(tmp_path, "version: 1\npools: { here: { backend: nowhere } }\n")
        server.process.send_signal(signal.SIGHUP)
        until(lambda: "the config was not reloaded; the former one is in force" in server.said(), server)
        assert "error[unknown-backend]: pool 'here' runs on backend 'nowhere'" in server.said()
        _, metrics = server.get("metrics")
        assert "agentbroker_config_last_reload_successful 0.0" in metrics
        assert 'agentbroker_pool_agents_limit{pool="here"} 7.0' in metrics
        assert server.terminate()[0] == 0
        assert "Traceback" not in server.said()


def agentbroker(server: Server, *arguments: str) -> subprocess.CompletedProcess[str]:
    url = ("--url", f"http://127.0.0.1:{server.http_port}")
    command = [sys.executable, "-m", "broker", *arguments, *url]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_the_command_reloads_says_what_changes_and_ends_with_3_for_a_bad_file(tmp_path: Path) -> None:
    content = config(tmp_path)
    path = write(tmp_path, content)
    with Server(path).started() as server:
        content["pools"]["here"]["limits"] = {"agents": 7}
        write(tmp_path, content, "new.yaml")
        new = str(tmp_path / "new.yaml")
        differs = agentbroker(server, "config", "diff", new)
        assert (differs.returncode, differs.stdout) == (0, "pools.here.limits.agents (unset) -> 7\n")
        assert "touches pools: here" in differs.stderr
        write(tmp_path, content)
        tried = agentbroker(server, "reload", "--dry-run")
        assert "pools.here.limits.agents (unset) -> 7" in tried.stdout
        done = agentbroker(server, "reload")
        assert (done.returncode, "pools.here.limits.agents (unset) -> 7" in done.stdout) == (0, True), done.stderr
        assert agentbroker(server, "config", "diff", new).stdout == ""
        write(tmp_path, "version: 1\npolices: {}\n")
        refused = agentbroker(server, "reload")
        assert refused.returncode == 3
        assert "error[unknown-key]: 'polices' is not a key of the file" in refused.stderr
        assert agentbroker(server, "config", "diff", new).stdout == "", "the former config is in force"
        assert server.terminate()[0] == 0
    assert agentbroker(server, "reload").returncode == 4


def test_a_gateway_learns_of_a_new_controller_and_one_started_anew_knows_what_is_in_force(
    tmp_path: Path,
) -> None:
    content = config(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as free:
        listen = f"127.0.0.1:{free.getsockname()[1]}"
    content["gateway"]["websocket"]["listen"] = listen
    path = write(tmp_path, content)
    login = f"http://{listen}/builds/mobile/login"
    with Server(path, gateway=True).started() as server:
        until(lambda: status_of(f"http://{listen}/c/main/login") == 200, server)
        assert status_of(login) == 404
        before = json.loads((tmp_path / "state" / "gateway.json").read_text())
        mobile = {"url": "http://127.0.0.1:9/", "token_sha256": "1" * 64, "path": "/builds/mobile/"}
        content["controllers"]["mobile"] = mobile
        write(tmp_path, content)
        server.process.send_signal(signal.SIGHUP)
        until(lambda: status_of(login) == 200, server)
        assert json.loads((tmp_path / "state" / "gateway.json").read_text()) == before
        write(tmp_path, "version: 1\npolices: {}\n")
        server.process.send_signal(signal.SIGHUP)
        until(lambda: "the former one is in force" in server.said(), server)
        os.kill(before["pid"], signal.SIGKILL)
        until(lambda: json.loads((tmp_path / "state" / "gateway.json").read_text()) != before, server)
        until(lambda: status_of(login) == 200, server)  # with what is in force, not with the file that was refused
        assert server.terminate()[0] == 0


def status_of(url: str) -> int:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:  # a URL of this test
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0


def gateway_of(root: Path, server: Server) -> int:
    """The process id of its gateway, which listens."""
    until(lambda: "gateway listens on" in log_of(root), server)
    return int(json.loads((root / "state" / "gateway.json").read_text())["pid"])


def log_of(root: Path) -> str:
    log = root / "state" / "gateway.log"
    return log.read_text() if log.exists() else ""


def test_a_gateway_is_adopted_by_the_next_one_with_other_settings_and_replaces_its_processes(tmp_path: Path) -> None:
    content = config(tmp_path)
    path = write(tmp_path, content)
    with ExitStack() as ends:
        with Server(path, gateway=True).started() as server:
            ends.callback(server.end_gateway)
            pid = gateway_of(tmp_path, server)
            server.terminate(signal.SIGKILL)
        content["gateway"]["processes"] = 2
        write(tmp_path, content)
        server = ends.enter_context(Server(path, gateway=True).started())
        until(lambda: log_of(tmp_path).count("gateway_generation_started") == 2, server)
        until(lambda: "gateway: ok: 2 linked" in server.get("readyz")[1], server)
        assert gateway_of(tmp_path, server) == pid
        assert server.terminate(signal.SIGINT)[0] == 0
    assert process_started(pid) is None


def test_told_to_end_it_leaves_its_gateway_to_the_sessions_that_it_has(tmp_path: Path) -> None:
    with Server(write(tmp_path, config(tmp_path)), gateway=True).started() as server:
        pid = gateway_of(tmp_path, server)
        assert server.terminate()[0] == 0
        assert not (tmp_path / "state" / "gateway.json").exists()
        until(lambda: process_started(pid) is None, server)  # it has none
        assert "gateway_draining" in log_of(tmp_path)


def test_a_reload_with_other_settings_of_its_gateway_replaces_its_processes(tmp_path: Path) -> None:
    content = config(tmp_path)
    path = write(tmp_path, content)
    with Server(path, gateway=True).started() as server, ExitStack() as ends:
        ends.callback(server.end_gateway)
        pid = gateway_of(tmp_path, server)
        content["gateway"]["processes"] = 2
        write(tmp_path, content)
        server.process.send_signal(signal.SIGHUP)
        until(lambda: "gateway: ok: 2 linked" in server.get("readyz")[1], server)
        assert "needs a restart" not in server.said()
        with socket.create_server(("127.0.0.1", 0)) as taken:
            content["gateway"]["websocket"]["listen"] = f"127.0.0.1:{taken.getsockname()[1]}"
            write(tmp_path, content)
            server.process.send_signal(signal.SIGHUP)
            until(lambda: "gateway_not_replaced" in server.said(), server)
        assert "gateway: ok: 2 linked" in server.get("readyz")[1]
        assert gateway_of(tmp_path, server) == pid
        assert server.terminate(signal.SIGINT)[0] == 0
    assert process_started(pid) is None


def test_a_reload_without_a_gateway_of_its_own_says_that_the_gateway_wants_one_too(tmp_path: Path) -> None:
    content = config(tmp_path)
    path = write(tmp_path, content)
    with Server(path).started() as server:
        content["gateway"]["processes"] = 2
        write(tmp_path, content)
        server.process.send_signal(signal.SIGHUP)
        words = "needs a restart: gateway.processes 1 -> 2 (of the gateway: reload that too)"
        until(lambda: words in server.said(), server)
