"""What README tells the admin of a controller on another host to type, typed."""

import hashlib
import re
import subprocess
from pathlib import Path
from typing import Final

from broker.demo.stack import Stack

_README: Final = Path(__file__).parents[1] / "README.md"
_SECTION: Final = re.compile(r"^### A controller on another host$.*?^```console$\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def lines(home: Path, stack: Stack) -> list[str]:
    """README's lines, for this home and this broker, which speaks in the clear on loopback."""
    found = _SECTION.search(_README.read_text())
    assert found, "README has no such section"
    text = found[1]
    for theirs, ours in (
        ("/var/lib/jenkins", str(home)),
        ("https://broker.example.com:7070/", stack.http_url),
        ("broker.example.com:7071", f"127.0.0.1:{stack.ports.grpc}"),
        ("tls=true", "tls=false"),
    ):
        assert theirs in text
        text = text.replace(theirs, ours)
    return [line.removeprefix("$ ") for line in text.splitlines()]


def type_in(typed: list[str]) -> str:
    """Types the lines into a shell that stops at the first failure; gives what it printed."""
    command = ["bash", "-euo", "pipefail", "-c", "\n".join(typed)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def fetch(home: Path, stack: Stack) -> None:
    """Fetches everything from the running broker, which then runs again with the hash that was printed."""
    assert stack.broker is not None
    digest = type_in(lines(home, stack)).split()[-2]
    config, old = stack.config_file.read_text(), hashlib.sha256(stack.token.encode()).hexdigest()
    assert old in config
    stack.config_file.write_text(config.replace(old, digest))
    stack.broker.stop()
    stack.start_broker()
