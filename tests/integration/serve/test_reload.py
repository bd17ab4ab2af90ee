"""A reload of the control plane as a process: by signal."""

import signal
import time
from collections.abc import Callable
from pathlib import Path

from tests.integration.serve.world import Server, config, write

LONGEST_S = 20.0


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
