import os
import secrets
import socket
import subprocess
import sys
from pathlib import Path

from broker.demo.leftovers import connections_to, directories_in, marked_processes


def test_a_process_is_found_by_its_environment_for_as_long_as_it_lives() -> None:
    mark = secrets.token_hex(8)
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, env={"RUN": mark})
    assert child.stdin is not None
    try:
        assert marked_processes(f"RUN={mark}") == [child.pid]
        assert marked_processes(f"RUN={mark[:-1]}") == []
    finally:
        child.stdin.close()
        child.wait()
    assert marked_processes(f"RUN={mark}") == []


def test_this_process_does_not_find_itself() -> None:
    assert marked_processes(f"PATH={os.environ['PATH']}") != [os.getpid()]
    assert os.getpid() not in marked_processes(f"PATH={os.environ['PATH']}")


def test_connections_are_counted_once_at_the_end_that_dialled() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert connections_to(port) == 0
        with socket.create_connection(("127.0.0.1", port)):
            assert connections_to(port) == 1


def test_hidden_directories_count_and_files_do_not(tmp_path: Path) -> None:
    (tmp_path / "agent-1").mkdir()
    (tmp_path / ".wipe-agent-2").mkdir()
    (tmp_path / "note").touch()
    assert directories_in(tmp_path) == 2
    assert directories_in(tmp_path / "missing") == 0
