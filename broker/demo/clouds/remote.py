"""A fake that runs in a process of its own, as others see it: where it serves, and how it is told what to do."""

import json
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from broker.demo.http import Client

FILE: Final = "fake-aws.json"
"""In the fake's directory, while it serves: its addresses, and the token that opens its control."""
ALIBABA_FILE: Final = "fake-alibaba.json"
"""The same of the fake of Alibaba Cloud."""
REGION: Final = "eu-west-1"
CLUSTER: Final = "ci"
LOG_GROUP: Final = "/ecs/agents"


@dataclass(frozen=True, slots=True, kw_only=True)
class Control:
    """The control of a running fake."""

    url: str
    """The services' endpoint."""
    control: str
    token: str

    @classmethod
    def of(cls, directory: Path, file: str = FILE) -> "Control":
        """The fake that serves from a directory; raises OSError while there is none."""
        return cls(**json.loads((directory / file).read_text()))

    def ask(self, path: str, **said: object) -> Any:
        """Asks for `state`, or does what `control.py` names, such as `faults` or `interrupt`; raises OSError."""
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        return json.loads(Client().post(self.control + path, json.dumps(said).encode(), headers))


def youngest() -> Path | None:
    """The directory of the demo with a fake that was started last, of those in temporary directories."""
    found = [path for path in Path(tempfile.gettempdir()).glob(f"agentbroker-dev-*/{FILE}") if path.is_file()]
    return max(found, key=lambda path: path.stat().st_mtime).parent if found else None
