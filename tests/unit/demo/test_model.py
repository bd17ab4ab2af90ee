import pytest

from broker.demo.model import Controller
from broker.demo.records import Build, PolicyView

LINUX = PolicyView(name="linux", labels=frozenset({"linux"}), prefix="linux")


class Time:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def controller(time: Time) -> Controller:
    return Controller(now=time, synced=True, policies=(LINUX,), node_delay_s=0.3)


def bring_online(controller: Controller, name: str) -> object:
    channel = object()
    controller.connected(name, channel, "cookie")
    return channel


def provision(controller: Controller, time: Time) -> str:
    """One agent for one queued build, up to the moment when its node exists."""
    controller.enqueue("linux", 1, 1)
    (planned,) = controller.plan()
    controller.unanswered.pop(planned.name)
    time.seconds += 1
    controller.make_due_nodes()
    return planned.name


def test_a_build_asks_for_one_agent_however_often_the_queue_is_reviewed(controller: Controller, time: Time) -> None:
    controller.enqueue("linux", 1, 3)
    assert len(controller.plan()) == 3
    assert controller.plan() == []
    time.seconds += 1
    controller.make_due_nodes()
    assert controller.plan() == []


def test_nothing_is_asked_for_before_the_first_sync(controller: Controller) -> None:
    controller.synced = False
    controller.enqueue("linux", 1, 1)
    assert controller.plan() == []


def test_a_label_that_no_policy_serves_asks_for_nothing(controller: Controller) -> None:
    controller.enqueue("windows", 1, 1)
    assert controller.plan() == []


def test_agents_of_the_brokers_last_reply_are_capacity(controller: Controller) -> None:
    controller.elsewhere = {"linux-other": LINUX.labels}
    controller.enqueue("linux", 1, 2)
    assert len(controller.plan()) == 1


def test_an_agent_that_lost_its_session_is_no_capacity(controller: Controller, time: Time) -> None:
    name = provision(controller, time)
    channel = bring_online(controller, name)
    controller.disconnected(name, channel)
    assert len(controller.plan()) == 1


def test_a_used_up_node_is_removed_and_released_with_its_uses(controller: Controller, time: Time) -> None:
    name = provision(controller, time)
    channel = bring_online(controller, name)
    ((_, build),) = controller.start_builds()
    controller.done(name, build.number)
    assert build.result == "SUCCESS"
    assert name not in controller.nodes
    assert (controller.released[name].cause, controller.released[name].uses) == ("COMPLETED", 1)
    assert controller.to_close == [channel]


def test_a_build_fails_with_its_connection_and_its_node_ends(controller: Controller, time: Time) -> None:
    name = provision(controller, time)
    channel = bring_online(controller, name)
    ((_, build),) = controller.start_builds()
    controller.disconnected(name, channel)
    assert build.result == "FAILURE"
    assert name in controller.released


def test_a_node_made_again_with_its_use_takes_no_build(controller: Controller) -> None:
    controller.add_node("linux-used", LINUX, LINUX.labels, uses=1)
    bring_online(controller, "linux-used")
    controller.enqueue("linux", 1, 1)
    assert controller.start_builds() == []
    assert len(controller.plan()) == 1


def test_an_idle_node_is_given_up_after_its_time(controller: Controller, time: Time) -> None:
    controller.add_node("linux-idle", LINUX, LINUX.labels, uses=0)
    bring_online(controller, "linux-idle")
    time.seconds += LINUX.idle_timeout_s + 1
    controller.release_idle()
    assert controller.released["linux-idle"].cause == "IDLE"


def test_an_unknown_name_stays_while_its_request_is_unanswered(controller: Controller) -> None:
    controller.enqueue("linux", 1, 1)
    (planned,) = controller.plan()
    controller.forget_unknown([planned.name], set())
    assert planned.name in controller.planned
    controller.unanswered.clear()
    controller.forget_unknown([planned.name], set())
    assert planned.name not in controller.planned


def test_refused_agents_are_asked_for_again_only_after_a_pause(controller: Controller, time: Time) -> None:
    controller.enqueue("linux", 1, 1)
    (planned,) = controller.plan()
    controller.unanswered.clear()
    controller.refused([planned.name])
    assert controller.plan() == []
    time.seconds += 1.1
    assert len(controller.plan()) == 1


def test_a_cancelled_build_leaves_the_queue_and_its_agent_stays_capacity(controller: Controller, time: Time) -> None:
    name = provision(controller, time)
    controller.cancel(1)
    bring_online(controller, name)
    assert controller.start_builds() == []
    controller.enqueue("linux", 1, 1)
    assert controller.plan() == []
    assert [node.name for node, _ in controller.start_builds()] == [name]


def forbid(controller: Controller, expression: str) -> Build:
    """A build whose request the broker has refused for what it asks for itself."""
    (build,) = controller.enqueue(expression, 1, 1)
    (planned,) = controller.plan()
    controller.forbid(controller.unanswered.pop(planned.name), "OverrideForbidden: overrides.cpu: 16 is over max_cpu 8")
    return build


def test_an_agent_that_was_made_as_a_build_asks_is_for_its_like_alone(controller: Controller, time: Time) -> None:
    for expression in ("linux", 'linux && "cpu=4"', "cpu=4 && linux", ""):
        controller.enqueue(expression, 1, 1)
    plain, sized, alike = controller.plan()
    assert [sorted(one.labels) for one in (plain, sized, alike)] == [["linux"], *[["cpu=4", "linux"]] * 2]
    time.seconds += 1
    controller.make_due_nodes()
    bring_online(controller, sized.name)
    assert [build.expression for _, build in controller.start_builds()] == ['linux && "cpu=4"']
    controller.done(sized.name, 2)
    assert controller.plan() == [], "nothing is missing: each has its own"


def test_builds_that_ask_for_what_is_forbidden_wait_and_others_go_on(controller: Controller) -> None:
    greedy = forbid(controller, "linux && cpu=16")
    assert controller.refusal_of(greedy).startswith("OverrideForbidden: overrides.cpu")
    controller.enqueue("linux && cpu=16", 1, 1)
    assert controller.plan() == [], "its like is not asked for either"
    (modest,) = controller.enqueue("linux && cpu=8", 1, 1)
    assert [one.expression for one in controller.plan()] == ["linux && cpu=8"], "and at once"
    assert controller.refusal_of(modest) == ""


def test_what_was_forbidden_is_asked_for_again_when_the_policies_come_anew(controller: Controller) -> None:
    greedy = forbid(controller, "linux && cpu=16")
    controller.learn((LINUX,))
    assert controller.refusal_of(greedy) == ""
    assert len(controller.plan()) == 1


def test_a_cancelled_build_is_not_said_to_wait_for_leave(controller: Controller) -> None:
    greedy = forbid(controller, "linux && cpu=16")
    controller.cancel(greedy.number)
    assert controller.refusal_of(greedy) == ""
