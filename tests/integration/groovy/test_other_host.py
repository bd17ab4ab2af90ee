"""A controller on another host gets its files from the broker, by the lines that README has for it."""

import hashlib
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from broker.cli.jenkins_home import TOKEN
from broker.jenkins_files import jenkins_files
from tests.integration.groovy.double import World, until
from tests.other_host import fetch, lines, type_in

pytestmark = [pytest.mark.component("groovy"), pytest.mark.timeout(120)]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A running broker, and a home without anything."""
    world = World(tmp_path)
    try:
        world.stack.start_broker()
        (tmp_path / "home").mkdir()
        yield world
    finally:
        world.stop()


def test_what_it_fetches_is_what_the_command_installs_and_a_build_gets_its_agent(world: World) -> None:
    home = world.root / "home"
    fetch(home, world.stack)
    for target, source in jenkins_files().items():
        assert (home / target).read_bytes() == source.read_bytes()
    double = world.start_double()
    double.tell("queue", "linux", 1)
    until("there is a node with its agent", lambda: world.agents() == 1 and len(double.nodes()) == 1)
    [name] = double.nodes()
    double.tell("online", name)
    until("the build runs", lambda: double.tell("state")["waiting"] == 0)


def test_the_token_that_it_makes_is_private_and_only_its_hash_is_shown(world: World) -> None:
    home = world.root / "home"
    printed = type_in(lines(home, world.stack))
    token = (home / TOKEN).read_text()
    assert len(token) == 64
    assert token not in printed
    assert hashlib.sha256(token.encode()).hexdigest() in printed
    assert stat.S_IMODE((home / TOKEN).stat().st_mode) == 0o600


def test_the_first_lines_renew_the_files_and_keep_token_and_properties(world: World) -> None:
    home = world.root / "home"
    type_in(lines(home, world.stack))
    kept = {name: (home / name).read_bytes() for name in (TOKEN, "agentbroker/agentbroker.properties")}
    (home / "agentbroker/src/OfAnOlderVersion.groovy").write_text("class OfAnOlderVersion {}")
    type_in(lines(home, world.stack)[:5])
    assert not (home / "agentbroker/src/OfAnOlderVersion.groovy").exists()
    assert {name: (home / name).read_bytes() for name in kept} == kept


def test_a_file_that_was_changed_on_its_way_is_not_unpacked(world: World) -> None:
    home = world.root / "home"
    typed = lines(home, world.stack)
    spoil = "printf x >> agentbroker.tar.gz"
    with pytest.raises(AssertionError, match="did NOT match"):
        type_in([*typed[:2], spoil, *typed[2:]])
    assert not (home / "agentbroker").exists()
