"""Several brokers in one controller, and a script that runs again: a fault of one concerns no other."""

import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from tests.integration.groovy.double import Double, World, until

pytestmark = [pytest.mark.component("groovy"), pytest.mark.timeout(180)]


@pytest.fixture
def worlds(tmp_path: Path) -> Iterator[tuple[World, World]]:
    """Two brokers; the second has room for two agents more than the first, and both serve `linux`."""
    pair = World(tmp_path / "main", limits={"agents": 2}), World(tmp_path / "eu")
    try:
        yield pair
    finally:
        for world in pair:
            world.stop()


def add(world: World, home: Path, name: str) -> None:
    """Makes the broker of a world one more cloud of a home."""
    world.stack.start_broker()
    command = [sys.executable, "-m", "broker", "init", "jenkins", "--home", str(home), "--name", name]
    command += ["--broker", f"127.0.0.1:{world.stack.ports.grpc}", "--token-file", str(world.stack.token_file)]
    subprocess.run(command, check=True, capture_output=True)


def start_both(worlds: tuple[World, World]) -> Double:
    main, eu = worlds
    main.stack.root.mkdir(parents=True, exist_ok=True)
    (main.root / "home").mkdir()
    add(eu, main.root / "home", "eu")
    double = main.start_in_home()
    until("both are clouds", lambda: double.tell("state")["clouds"] == 2)
    return double


def test_of_builds_that_both_serve_the_second_gets_what_the_first_leaves(worlds: tuple[World, World]) -> None:
    main, eu = worlds
    double = start_both(worlds)
    double.tell("queue", "linux", 5)
    until("each has its share", lambda: (main.agents(), eu.agents()) == (2, 3))
    time.sleep(3)  # reviews of both go on
    assert (main.agents(), eu.agents()) == (2, 3)
    starting = [name for name, node in double.nodes().items() if node["connecting"]]
    assert len(starting) == 5
    until("the first gives back what it has no room for", lambda: len(double.nodes()) == 5)
    for name in starting:
        double.tell("online", name)
    until("all run", lambda: double.tell("state")["waiting"] == 0)
    for name in starting:
        double.tell("finish", name)
    until("nothing is left", lambda: not double.nodes() and main.agents() + eu.agents() == 0)


def test_each_has_its_name_before_its_lines_and_the_death_of_one_leaves_the_other(worlds: tuple[World, World]) -> None:
    main, eu = worlds
    double = start_both(worlds)
    until("both say so", lambda: double.log().count("connected to") == 2)
    assert f"INFO: agentbroker: eu: connected to 127.0.0.1:{eu.stack.ports.grpc}" in double.log()
    assert f"INFO: agentbroker: connected to 127.0.0.1:{main.stack.ports.grpc}" in double.log()
    assert main.stack.broker is not None
    main.stack.broker.kill()
    until("it was noticed", lambda: "not reachable" in double.log())
    double.tell("queue", "linux", 3)
    until("the other serves", lambda: eu.agents() == 3)
    main.stack.start_broker()
    until("it is back", lambda: double.log().count("agentbroker: connected to") == 2)
    time.sleep(3)
    assert (main.agents(), eu.agents(), len(double.nodes())) == (0, 3, 3)


def test_what_is_wrong_with_one_is_one_line_and_the_others_go_on(worlds: tuple[World, World]) -> None:
    main, eu = worlds
    folder = main.root / "home/agentbroker"
    (main.root / "home").mkdir(parents=True)
    add(eu, main.root / "home", "eu")
    text = (folder / "agentbroker-eu.properties").read_text()
    (folder / "agentbroker-x1.properties").write_text(text)
    (folder / "agentbroker-x2.properties").write_text(text.replace("name=eu", "name=x2"))
    sound = f"broker=127.0.0.1:{eu.stack.ports.grpc}\ntls=false\n"
    (folder / "agentbroker-x3.properties").write_text("name=x3\nbroker=far.example.com:7071\ntls=false\n")
    (folder / "agentbroker-x4.properties").write_text("name=x4\n")
    (folder / "agentbroker-x5.properties").write_text(sound + "name=x5\ntoken_file=/nowhere\n")
    double = main.start_in_home()
    until("the sound ones are clouds", lambda: double.tell("state")["clouds"] == 2)
    until("all is told", lambda: double.log().count("WARNING") == 5)
    assert "not started: agentbroker-x1.properties: the name eu is that of agentbroker-eu.properties;" in double.log()
    assert (
        "not started: agentbroker-x2.properties: it has the broker and the token of agentbroker-eu.prop" in double.log()
    )
    assert "agentbroker: x3: not started: agentbroker-x3.properties: tls=false is for loopback" in double.log()
    assert "not started: agentbroker-x4.properties: there is no broker=HOST:PORT in it" in double.log()
    assert (
        f"agentbroker: x5: 127.0.0.1:{eu.stack.ports.grpc} not asked (token_file=/nowhere does not exist)"
        in double.log()
    )
    double.tell("queue", "linux", 3)
    until("they serve", lambda: main.agents() + eu.agents() == 3)


def test_a_script_that_runs_again_changes_nothing_and_says_so_once(worlds: tuple[World, World]) -> None:
    main, _ = worlds
    home = main.root / "home"
    home.mkdir(parents=True)
    double = main.start_in_home()
    before = {key: number for key, number in double.tell("state").items() if key != "nodes"}
    double.tell("again")  # in a class loader of its own
    until("it says so", lambda: "runs already, from these very files: nothing was done" in double.log())
    (home / "agentbroker/files.sha256").unlink()  # which would say that this one file does not belong to the others
    with (home / "agentbroker/src/Words.groovy").open("a") as source:
        source.write("// newer\n")
    double.tell("again")
    until("it says more", lambda: "have changed since: restart Jenkins to load the new ones" in double.log())
    time.sleep(1)
    assert {key: number for key, number in double.tell("state").items() if key != "nodes"} == before
    assert double.log().count("agentbroker: ") == 3
    double.tell("queue", "linux", 1)
    until("it serves", lambda: main.agents() == 1)


def test_one_that_could_not_start_is_tried_by_the_next_run(worlds: tuple[World, World]) -> None:
    main, _ = worlds
    home = main.root / "home"
    home.mkdir(parents=True)
    add(main, home, "agentbroker")
    properties = home / "agentbroker/agentbroker.properties"
    shutil.move(properties, home / "aside")
    double = main.double = Double(home, main.root / "double.log")
    until("it says so", lambda: "agentbroker.properties is missing" in double.log())
    shutil.move(home / "aside", properties)
    double.tell("again")
    until("it has its cloud", lambda: double.tell("state")["clouds"])


def test_each_file_that_is_missing_or_another_is_named_and_nothing_starts_before_all_belong_together(
    worlds: tuple[World, World],
) -> None:
    main, _ = worlds
    home = main.root / "home"
    home.mkdir(parents=True)
    add(main, home, "agentbroker")
    names = [line.split("  ")[1] for line in (home / "agentbroker/files.sha256").read_text().splitlines()]
    names.remove("init.groovy.d/agentbroker.groovy")
    assert len(names) > 20
    double = main.double = Double(home, main.root / "double.log")
    (home / names[0]).rename(home / "aside")
    for number, (name, following) in enumerate(pairwise([*names, names[-1]])):
        until("it says so", lambda n=number: double.log().count("WARNING") == n + 1)  # type: ignore[misc]
        assert f"{name} is missing; run `agentbroker init jenkins`" in double.log()
        (home / "aside").rename(home / name)
        (home / following).rename(home / "aside")
        double.tell("again")
    until("the last one says so twice", lambda: double.log().count("WARNING") == len(names) + 1)
    (home / "aside").rename(home / names[-1])
    with (home / names[-1]).open("a") as source:
        source.write("// older\n")
    double.tell("again")
    until("it says so", lambda: f"{names[-1]} is not of the version of the others" in double.log())
    assert double.tell("state")["clouds"] == double.tell("state")["strategies"] == 0
    add(main, home, "agentbroker")
    double.tell("again")
    until("it has its cloud", lambda: double.tell("state")["clouds"] == 1)
