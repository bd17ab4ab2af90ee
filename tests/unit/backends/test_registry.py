"""A type in the config becomes a backend, or an error that names what there is."""

import subprocess
import sys
from pathlib import Path

import pytest

from broker.backends.registry import BUILT, BackendContext, open_backend
from broker.domain.ids import BackendName
from broker.domain.pool import BackendDefinition
from broker.errors import ConfigError
from broker.testing.clock import ManualClock
from broker.testing.memory import FakeMemory


def context(state_dir: Path) -> BackendContext:
    return BackendContext(
        state_dir=state_dir,
        installation="test",
        sign=lambda text: text,
        clock=ManualClock(),
        controller_url=lambda _: "http://127.0.0.1:9/",
        memory=lambda _: FakeMemory(),
    )


@pytest.mark.parametrize("kind", sorted(BUILT))
async def test_every_built_type_opens_without_touching_anything(kind: str, tmp_path: Path) -> None:
    backend = open_backend(BackendDefinition(name=BackendName("it"), type=kind), context(tmp_path))
    assert list(tmp_path.iterdir()) == []
    await backend.close()


async def test_a_type_that_is_not_built_is_said(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError,
        match=r"backend it: type 'cloud' is not built \(built: alibaba-ecs, aws-ecs, container, process, ssh-hosts\)",
    ):
        open_backend(BackendDefinition(name=BackendName("it"), type="cloud"), context(tmp_path))


def test_no_backend_is_imported_before_it_is_configured() -> None:
    code = "import sys, broker.backends.registry; print([m for m in sys.modules if m.startswith('broker.backends.')])"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert told.stdout.strip() == "['broker.backends.registry']"
