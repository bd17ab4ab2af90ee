"""Two brokers are two clouds of one controller, whose other plugins save and replace what they like."""

import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from broker.demo.leftovers import end, marked_processes
from broker.demo.stack import Stack, java_pool
from broker.jenkins_files import SCRIPT
from tests.jenkins.conftest import new_rig
from tests.jenkins.controller import wait_for
from tests.jenkins.rig import OTHER_CLOUD, Rig, java, our_names_in

pytestmark = [pytest.mark.jenkins, pytest.mark.component("jenkins"), pytest.mark.timeout(300)]

LIMIT = 3
POLICY = {"limits": {"agents": LIMIT}}
RUNS_ALREADY = "agentbroker: runs already, from these very files: nothing was done"
LIST = "jenkins.model.Jenkins.get().clouds.each { println it.name }"
# As several plugins that save from several threads, from the middle of the boot on; says what went wrong with that.
SAVERS = """
import jenkins.model.Jenkins
def root = Jenkins.get().rootDir.parentFile
4.times {
    Thread.startDaemon('saver') {
        while (!new File(root, 'stop-saving').exists()) {
            try {
                Jenkins.get().save()
                new File(root, 'saves') << '.'
                String text = new File(Jenkins.get().rootDir, 'config.xml').text
                if (text.contains('Broker')) { new File(root, 'save-failures') << text }
            } catch (Throwable failure) {
                new File(root, 'save-failures') << failure
            }
            Thread.sleep(10)
        }
    }
}
"""


@dataclass(frozen=True)
class Two:
    """A rig, whose broker has room for `LIMIT` agents, and a second broker of its controller, with room for all."""

    main: Rig
    eu: Stack

    def launched(self) -> tuple[int, int]:
        return len(set(self.main.launched())), len(set(self.eu.launched()))

    def wait_until_nothing_is_left(self) -> None:
        self.main.wait_until_nothing_is_left()
        servers = {child.pid for child in self.eu.children}
        wait_for("nothing is left of eu", lambda: not self.eu.search.look(except_pids=servers))


@pytest.fixture(scope="module")
def two(jenkins_root: Path, request: pytest.FixtureRequest) -> Iterator[Two]:
    rig = new_rig(jenkins_root, request)
    rig.controller.init("c_savers", SAVERS)
    folder = rig.root / "eu"
    folder.mkdir()
    options = java_pool(java(), folder, folder / "launches.log", ["-Xmx96m"])
    eu = Stack(
        root=folder,
        controller_url=rig.controller.url,
        pools={"eu": options},
        overrides={"labels": ["linux", "eu"]},
    )
    try:
        eu.start()
        add(rig, eu)
        add_what_cannot_work(rig)
        rig.start()
        eu.known_nodes = rig.stack.known_nodes
        wait_for("eu is connected", lambda: "agentbroker: eu: connected to" in rig.controller.log(), 60)
        yield Two(rig, eu)
    finally:
        rig.stop()
        eu.stop()
        end(marked_processes(eu.search.marker))


@pytest.fixture(autouse=True)
def _version(two: Two, record_component: Callable[[str, str], None]) -> None:
    record_component("jenkins", two.main.controller.version())


def add(rig: Rig, stack: Stack) -> None:
    command = [sys.executable, "-m", "broker", "init", "jenkins", "--home", str(rig.controller.home), "--name", "eu"]
    command += ["--broker", f"127.0.0.1:{stack.ports.grpc}", "--token-file", str(stack.token_file)]
    subprocess.run(command, check=True, capture_output=True)


def add_what_cannot_work(rig: Rig) -> None:
    """Two files more, each with a fault of its own, and the script once more, as a copy."""
    folder = rig.controller.home / "agentbroker"
    eu = (folder / "agentbroker-eu.properties").read_text()
    (folder / "agentbroker-later.properties").write_text(eu)
    (folder / "agentbroker-us.properties").write_text(
        f"name=us\nbroker=127.0.0.1:{rig.stack.ports.grpc}\ntls=false\ntoken_file=/nowhere/token\n"
    )
    shutil.copy(rig.controller.home / SCRIPT, rig.controller.home / SCRIPT.with_name("agentbroker_copy.groovy"))


def running(rig: Rig, job: str) -> set[str]:
    return {build["builtOn"] for build in rig.controller.builds(job) if build["builtOn"] and not build["result"]}


def test_both_are_clouds_while_other_plugins_save_jenkins_from_the_middle_of_its_boot_on(two: Two) -> None:
    controller = two.main.controller
    time.sleep(5)  # the savers go on
    (two.main.root / "stop-saving").touch()
    assert clouds(two) == {"agentbroker", "eu"}
    assert (two.main.root / "saves").stat().st_size > 20
    assert not (two.main.root / "save-failures").exists()
    assert controller.lines("", "SEVERE") == []
    assert [line for line in controller.lines("agentbroker") if "runs already" in line] == [RUNS_ALREADY]
    strategies = "hudson.ExtensionList.lookup(hudson.slaves.NodeProvisioner.Strategy)"
    ours = controller.script(f"print {strategies}.take(2).collect {{ it.cloud.name }}")
    assert ours == "[agentbroker, eu]", "the order in which they are asked"


def test_a_fault_of_one_is_a_line_of_its_own_and_the_others_go_on(two: Two) -> None:
    port = two.main.stack.ports.grpc
    assert sorted(two.main.controller.lines("agentbroker", "WARNING")) == [
        "agentbroker: not started: agentbroker-later.properties: the name eu is that of agentbroker-eu.properties; "
        "give it a name of its own; Jenkins goes on without it",
        f"agentbroker: us: 127.0.0.1:{port} not asked (token_file=/nowhere/token does not exist); "
        "Jenkins goes on without it, next try in 1 s",
    ]


def test_each_serves_its_label_and_of_a_common_one_the_second_gets_what_the_first_leaves(two: Two) -> None:
    controller = two.main.controller
    controller.create_job("theirs", "eu", "sleep 1")
    controller.build("theirs", 2)
    assert {build["result"] for build in controller.finished("theirs", 2)} == {"SUCCESS"}
    assert two.launched() == (0, 2)
    two.wait_until_nothing_is_left()
    controller.create_job("common", "linux", "sleep 20")
    controller.build("common", LIMIT + 3)
    wait_for("all run", lambda: len(running(two.main, "common")) == LIMIT + 3, 90)
    assert {build["result"] for build in controller.finished("common", LIMIT + 3)} == {"SUCCESS"}
    two.wait_until_nothing_is_left()
    assert two.launched() == (LIMIT, 2 + 3), "an agent too many"
    assert controller.nodes() == {}


def test_a_script_that_is_run_again_makes_nothing_a_second_time_and_builds_go_on(two: Two) -> None:
    controller = two.main.controller
    before = two.launched()
    controller.create_job("steady", "linux", "sleep 8")
    controller.build("steady", 2)
    wait_for("both run", lambda: len(running(two.main, "steady")) == 2)
    everything = counted(two.main)
    script = (controller.home / "init.groovy.d/agentbroker.groovy").read_text()
    threads = "Thread.allStackTraces.keySet().count { it.name == 'agentbroker-start' }"
    for _ in range(2):
        controller.script(script)
        wait_for("it has run", lambda: controller.script(f"print {threads}") == "0")
    assert [line for line in controller.lines("agentbroker") if "runs already" in line] == [RUNS_ALREADY] * 3
    assert counted(two.main) == everything
    assert {build["result"] for build in controller.finished("steady", 2)} == {"SUCCESS"}
    two.wait_until_nothing_is_left()
    assert sum(two.launched()) == sum(before) + 2
    assert our_names_in(two.main) == []


def counted(rig: Rig) -> str:
    """How many of each of our classes Jenkins knows."""
    return rig.controller.script(
        "import hudson.*; import hudson.model.*; import jenkins.model.*\n"
        "def all = [queue.QueueListener, hudson.slaves.ComputerListener, NodeListener, Descriptor,\n"
        "    hudson.slaves.NodeProvisioner.Strategy].collectMany { ExtensionList.lookup(it) as List }\n"
        "all += Jenkins.get().clouds as List\n"
        "print all*.class.findAll { it.classLoader instanceof GroovyClassLoader }*.name.countBy { it }.sort()"
    )


REPLACED = {
    "cleared": "j.clouds.clear()",
    "replaced": "j.clouds.replaceBy([j.clouds.find { it.class.name == 'OtherCloud' }])",
    "without-eu": "j.clouds.removeAll(j.clouds.findAll { it.name == 'eu' })",
    "reloaded": "j.reload()",
    "reordered": "j.clouds.replaceBy(j.clouds.toList().reverse()); j.save()",
}


@pytest.mark.parametrize("how", REPLACED)
def test_a_list_of_clouds_that_is_replaced_has_ours_again_within_a_sync_and_no_build_is_cut(two: Two, how: str) -> None:
    controller = two.main.controller
    if "other" not in clouds(two):
        controller.script(OTHER_CLOUD)
    launched = two.launched()
    controller.create_job(how, "linux", "sleep 9")
    controller.build(how, 1)
    wait_for("it runs", lambda: len(running(two.main, how)) == 1)
    controller.script(f"def j = jenkins.model.Jenkins.get()\n{REPLACED[how]}")
    controller.build(how, 1)  # asks for its agent while they may be out of the list
    wait_for("they are there again", lambda: {"agentbroker", "eu"} <= clouds(two), seconds=7)
    controller.script("jenkins.model.Jenkins.get().save()")
    text = (controller.home / "config.xml").read_text()
    assert "Broker" not in text
    gone = {"cleared", "reloaded"}  # Jenkins does not know a class of a script when it reads its file
    assert ("OtherCloud" in text) == ("other" in clouds(two)) == (how not in gone), "what is not ours is saved"
    assert {build["result"] for build in controller.finished(how, 2)} == {"SUCCESS"}
    two.wait_until_nothing_is_left()
    assert sum(two.launched()) == sum(launched) + 2
    assert controller.lines("", "SEVERE") == []


def clouds(two: Two) -> set[str]:
    return set(two.main.controller.script(LIST).splitlines())
