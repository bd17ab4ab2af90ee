"""A controller per module that wants one; nothing here runs without JENKINS_WAR."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.jenkins.rig import Rig


@pytest.fixture(scope="session")
def jenkins_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One directory for all modules, so that the war is unpacked once."""
    return tmp_path_factory.mktemp("jenkins")


@pytest.fixture(scope="module")
def rig(jenkins_root: Path, request: pytest.FixtureRequest) -> Iterator[Rig]:
    """Broker, gateway and controller, up and connected; the module's `POLICY`, `POOL`, `OTHERS` are more keys."""
    rig = new_rig(jenkins_root, request)
    try:
        rig.start()
        yield rig
    finally:
        rig.stop()


@pytest.fixture(autouse=True)
def _component(request: pytest.FixtureRequest, record_component: Callable[[str, str], None]) -> None:
    if "rig" in request.fixturenames:
        record_component("jenkins", request.getfixturevalue("rig").controller.version())


def new_rig(root: Path, request: pytest.FixtureRequest) -> Rig:
    """A rig in a directory named after the module; nothing runs yet."""
    module = request.module
    folder = root / module.__name__.rpartition(".")[2].removeprefix("test_")
    folder.mkdir(mode=0o700)
    return Rig(folder, *(getattr(module, key, None) for key in ("POLICY", "POOL", "OTHERS")))
