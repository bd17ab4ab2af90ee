"""Two hundred one-shot builds: an agent each and nothing left, also with a restart of the controller in the middle."""

import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.jenkins.conftest import new_rig
from tests.jenkins.controller import wait_for
from tests.jenkins.rig import Rig, our_names_in
from tests.jenkins.test_kills import agents_in
from tests.jenkins.test_restart import safe_restart

pytestmark = [pytest.mark.jenkins, pytest.mark.component("jenkins"), pytest.mark.timeout(1500)]

MANY = 200
AT_ONCE = 10
"""So many agents, a JVM each, does a small machine bear."""
POLICY = {"limits": {"agents": AT_ONCE}}
LONGEST_S = 1_200.0
LIVING = "requested|launching|booting|connecting|online|reconnecting|draining|terminating"
# What has begun and ended, written at once: a file outlives the kill of the process that wrote it.
NOTES = """
import hudson.model.*
hudson.ExtensionList.lookup(hudson.model.listeners.RunListener).add(new hudson.model.listeners.RunListener<Run>() {
    void onStarted(Run run, TaskListener l) { note('begun', run, 'begins') }
    void onFinalized(Run run) { note('ended', run, run.result) }
    synchronized void note(String file, Run run, Object word) {
        String name = run.executor?.owner?.name ?: run.builtOnStr
        new File(jenkins.model.Jenkins.get().rootDir.parentFile, file) <<
            "${run.getAction(ParametersAction).getParameter('n').value} ${word} ${name}\\n"
    }
})
"""


@pytest.fixture
def rig(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Rig]:
    """One of its own for each test: all launches and all that is left are of this test alone."""
    rig = new_rig(tmp_path, request)
    rig.controller.init("d_notes", NOTES)
    try:
        rig.start()
        rig.controller.create_job("many", "linux", "sleep 3")
        yield rig
    finally:
        rig.stop()


def queue_builds(rig: Rig, first: int, end: int) -> None:
    """Queues the builds number `first` to `end` - 1 at one moment; the parameter n of a build is its number."""
    rig.controller.script(
        "import hudson.model.*\n"
        "def job = jenkins.model.Jenkins.get().getItem('many')\n"
        f"({first}..<{end}).each {{ int n -> job.scheduleBuild2(0, new Cause.UserIdCause(),"
        " new ParametersAction(new StringParameterValue('n', n.toString()))) }"
    )


def noted(rig: Rig, file: str) -> list[tuple[int, str, str]]:
    """Of each build that has begun, or ended: its number, its result, its agent."""
    path = rig.root / file
    lines = path.read_text().splitlines() if path.exists() else []
    return [(int(number), word, agent) for number, word, agent in map(str.split, lines)]


def wait_until_ended(rig: Rig, count: int) -> None:
    wait_for(f"{count} builds have ended", lambda: len(noted(rig, "ended")) >= count, LONGEST_S, every=0.2)


def nothing_is_left(rig: Rig) -> None:
    """Within a minute: no process, no connection, no directory, no node, no agent that the broker thinks is alive."""
    end = time.monotonic() + 60
    rig.wait_until_nothing_is_left(60)
    assert rig.controller.nodes() == {}
    wait_for("no agent is on record", lambda: agents_in(rig, LIVING) == 0, seconds=end - time.monotonic())
    assert rig.controller.queue() == 0
    node_logs = str(rig.controller.home / "logs" / "slaves")  # Jenkins leaves that of a node whose removal was cut off
    assert [path for path in our_names_in(rig) if not path.startswith(node_logs)] == []


def tell(rig: Rig, began: float, **figures: int) -> None:
    """The figures of a run; seen with `pytest -s`, and beside a failure."""
    told = ", ".join(f"{what.replace('_', ' ')} {number}" for what, number in figures.items())
    print(f"\nJenkins {rig.controller.version()}: {told}, {time.monotonic() - began:.0f} s")


def nothing_at_all(rig: Rig) -> None:
    pass


@pytest.mark.parametrize("in_the_middle", [nothing_at_all, safe_restart])
def test_two_hundred_builds_have_two_hundred_agents_and_leave_nothing(
    rig: Rig, in_the_middle: Callable[[Rig], None]
) -> None:
    began = time.monotonic()
    queue_builds(rig, 0, MANY)
    wait_until_ended(rig, MANY // 2)
    in_the_middle(rig)
    wait_until_ended(rig, MANY)
    nothing_is_left(rig)
    ended, launched = noted(rig, "ended"), rig.launched()
    tell(rig, began, builds=len(ended), agents=len(launched), agents_that_ran_one=len({agent for *_, agent in ended}))
    assert sorted(number for number, *_ in ended) == list(range(MANY)), "a build was lost or ran twice"
    assert {result for _, result, _ in ended} == {"SUCCESS"}
    assert len(launched) == len(set(launched)) == MANY, "an agent too many or too few, or one that was started twice"
    assert {agent for *_, agent in ended} == set(launched), "an agent ran no build, or two"


def test_a_kill_of_the_controller_loses_what_ran_and_what_its_saved_queue_does_not_hold_and_no_agent(rig: Rig) -> None:
    """The last builds are queued just before the kill. Those that ended after the queue was saved run once more."""
    began = time.monotonic()
    queue_builds(rig, 0, MANY - 2 * AT_ONCE)
    wait_for("the queue is saved", lambda: saved_queue(rig), seconds=150)
    wait_until_ended(rig, MANY // 2 - AT_ONCE)
    queue_builds(rig, MANY - 2 * AT_ONCE, MANY)
    rig.controller.kill()
    saved = saved_queue(rig)
    before, ended = noted(rig, "begun"), {number for number, *_ in noted(rig, "ended")}
    ran = {number for number, *_ in before} - ended
    lost = set(range(MANY)) - ended - saved
    rig.controller.start()
    rig.wait_until_connected()
    wait_for("the queue is served", lambda: served(rig, saved, len(before)), LONGEST_S, every=1)
    nothing_is_left(rig)
    launched, after = rig.launched(), noted(rig, "begun")[len(before) :]
    tell(
        rig, began, begun_before=len(before), ran_at_the_kill=len(ran), of_them_in_the_saved_queue=len(ran & saved),
        young_in_the_queue=len(lost - ran), lost=len(lost), run_after=len(after), agents=len(launched),
    )  # fmt: skip
    succeeded = {number for number, result, _ in noted(rig, "ended") if result == "SUCCESS"}
    assert set(range(MANY)) - succeeded == lost, "other builds were lost than those that Jenkins had not saved"
    assert sorted(number for number, *_ in after) == sorted(saved), "what the saved queue held runs, each once"
    assert len(launched) == len(set(launched)), "an agent was started twice"
    assert len(launched) <= len(before) + len(after)


def saved_queue(rig: Rig) -> set[int]:
    """The numbers of the builds in the file that a booting controller reads its queue from."""
    file = rig.controller.home / "queue.xml"
    text = file.read_text() if file.exists() else ""
    return {int(number) for number in re.findall(r"<name>n</name>\s*<value>(\d+)</value>", text)}


def served(rig: Rig, saved: set[int], before: int) -> bool:
    """Whether all that was saved has begun since the kill, and ended."""
    begun = noted(rig, "begun")[before:]
    ended = noted(rig, "ended")
    agents = {agent for *_, agent in begun}
    return len(begun) >= len(saved) and agents <= {agent for *_, agent in ended} and rig.controller.queue() == 0
