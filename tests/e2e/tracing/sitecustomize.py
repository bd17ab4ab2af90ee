"""Notes which files of the package a server's functions are in; Python imports this at start-up when it is on the path.

SIGUSR1 begins, SIGUSR2 writes the list to `DIRECTORY/PID.entered`; `DIRECTORY/PID.ready` says that both are understood.
"""

import inspect
import os
import signal
import sys
import threading
from pathlib import Path
from types import FrameType
from typing import Any

ROOT = str(Path(__file__).parents[3] / "broker") + os.sep
entered: set[str] = set()
recording = False


def note(frame: FrameType, event: str, argument: Any) -> None:
    """A profile function. Bodies of modules and classes are not functions: an import alone enters nothing."""
    if recording and event == "call" and frame.f_code.co_flags & inspect.CO_OPTIMIZED:
        entered.add(frame.f_code.co_filename)


def begin(number: int, frame: object) -> None:
    global recording  # noqa: PLW0603  # one process, one recording
    recording = True
    sys.setprofile(note)


def write(number: int, frame: object) -> None:
    files = sorted(name.removeprefix(ROOT) for name in entered if name.startswith(ROOT))
    temporary = directory / f"{os.getpid()}.new"
    temporary.write_text("\n".join(files))
    temporary.rename(directory / f"{os.getpid()}.entered")


if "AGENTBROKER_TRACE_DIR" in os.environ:
    directory = Path(os.environ["AGENTBROKER_TRACE_DIR"])
    threading.setprofile(note)
    signal.signal(signal.SIGUSR1, begin)
    signal.signal(signal.SIGUSR2, write)
    (directory / f"{os.getpid()}.ready").touch()
