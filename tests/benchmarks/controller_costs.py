"""What waiting builds and waiting agents cost the controller: the time of a review, heap, threads."""

import json
import time
from collections.abc import Mapping
from typing import Final

from tests.benchmarks.figures import Figure, percentile
from tests.jenkins.controller import wait_for
from tests.jenkins.rig import Rig

QUEUED: Final = 1_000
LABELS: Final = tuple(f"l{number}" for number in range(20))
"""More labels of the policy, so that as many reviewers look at one queue."""
_ROUNDS: Final = 10
_WAITING: Final = 50
_HEAVY: Final = 200
_POOLS_SHRINK_S: Final = 75.0
"""Core's pools of threads shrink after a minute."""

_OURS: Final = """
def jenkins = jenkins.model.Jenkins.get()
def fleet = jenkins.clouds.find { it.class.name == 'BrokerCloud' }.@fleet
def strategies = hudson.ExtensionList.lookup(hudson.slaves.NodeProvisioner.Strategy)
def strategy = strategies.find { it.class.name == 'BrokerStrategy' }
"""
_TOLD: Final = _OURS + 'print "[${strategy.reviews}, ${strategy.reviewNanos}]"'
_REVIEW: Final = (
    _OURS
    + """
def labels = %s.collect { hudson.model.Label.get(it) }
def times = []
def threads = java.lang.management.ManagementFactory.threadMXBean
labels.each {
    long before = strategy.reviews.get()
    long start = threads.currentThreadCpuTime
    it.nodeProvisioner.update()
    long cpu = threads.currentThreadCpuTime - start
    if (strategy.reviews.get() > before) { times << [strategy.lastReviewNanos, cpu] }
}
print groovy.json.JsonOutput.toJson(times)
"""
)
_HEAP: Final = """
4.times { System.gc(); Thread.sleep(300) }
print java.lang.management.ManagementFactory.memoryMXBean.heapMemoryUsage.used
"""
_THREADS: Final = "print java.lang.management.ManagementFactory.threadMXBean.threadCount"
_NODES: Final = "print jenkins.model.Jenkins.get().nodes.size()"
_QUEUED: Final = "print jenkins.model.Jenkins.get().queue.buildableItems.count { !it.pending }"
_LAUNCH: Final = _OURS + "%d.times { fleet.launch(fleet.policies[0], 'bench') }"
_END_WAITING: Final = (
    _OURS
    + "print fleet.all().findAll { !it.everOnline }.each { it.end('CANCELLED', 'the bench has seen enough') }.size()"
)
_PLAIN: Final = """
import hudson.slaves.JNLPLauncher
def jenkins = jenkins.model.Jenkins.get()
Class node = jenkins.clouds.find { it.class.name == 'BareCloud' }.class.classLoader.loadClass('BareNode')
%d.times { jenkins.addNode(node.newInstance("plain-${it}".toString(), 'nobody', new JNLPLauncher())) }
"""
_END_PLAIN: Final = "jenkins.model.Jenkins.get().nodes.findAll { it.labelString == 'nobody' }.each { it.terminate() }"


def measure_costs(rig: Rig, room: int, how: str) -> Mapping[str, Figure]:
    """On a controller that idles; afterwards `room` builds run for long, so that every further agent waits for room."""
    return {**_reviews(rig, room, how), **_threads(rig, room, how), **_heap(rig, room, how)}


def _reviews(rig: Rig, room: int, how: str) -> Mapping[str, Figure]:
    controller = rig.controller
    began, spent = json.loads(controller.script(_TOLD))
    for label in LABELS:
        controller.create_job(label, label, "sleep 3000")
    for label in LABELS:
        controller.build(label, QUEUED // len(LABELS))
    wait_for("all have an agent on its way", lambda: _number(rig, _NODES) == QUEUED, seconds=300, every=2)
    ended, total = json.loads(controller.script(_TOLD))
    wait_for("all that there is room for run", lambda: _number(rig, _QUEUED) == QUEUED - room, seconds=240, every=1)
    looks = [json.loads(controller.script(_REVIEW % json.dumps(LABELS))) for _ in range(_ROUNDS)]
    times = [sample for look in looks for sample in look]
    controller.script("jenkins.model.Jenkins.get().queue.clear()")
    wait_for("those that wait are given back", lambda: _number(rig, _NODES) == room, seconds=120, every=1)
    ours, cpu = ([sample[n] / 1e6 for sample in times] for n in (0, 1))
    told = (
        f"{how}; {QUEUED} builds of {len(LABELS)} labels, {room} of them run and the others' agents wait for room; one "
        f"review of one label, from the copy of the queue to the decision, n={len(ours)}, max {max(ours):.1f}; CPU of "
        f"it with core's counting p50 {percentile(cpu, 50):.1f}, p95 {percentile(cpu, 95):.1f} ms; the {ended - began} "
        f"reviews that asked for the agents took {(total - spent) / 1e6 / max(1, ended - began):.1f} ms each"
    )
    return {
        f"review_ms_1000_queued_p{p}": Figure(value=round(percentile(ours, p), 3), unit="ms", target="-", how=told)
        for p in (50, 95)
    }


def _threads(rig: Rig, room: int, how: str) -> Mapping[str, Figure]:
    before = _settled(rig)
    _launch(rig, room, _WAITING)
    after = _settled(rig)
    _end(rig, room, _END_WAITING)
    told = (
        f"{how}; threads of the controller with {_WAITING} agents that wait for room ({after}) and with none "
        f"({before}), the least seen within {_POOLS_SHRINK_S:.0f} s"
    )
    value = max(0, after - before) / _WAITING
    return {"threads_per_waiting_agent": Figure(value=value, unit="1", target="== 0", how=told)}


def _heap(rig: Rig, room: int, how: str) -> Mapping[str, Figure]:
    ours, plain = [], []
    for _ in range(3):
        before = _number(rig, _HEAP)
        _launch(rig, room, _HEAVY)
        ours.append((_number(rig, _HEAP) - before) / _HEAVY / 1024)
        _end(rig, room, _END_WAITING)
        before = _number(rig, _HEAP)
        rig.controller.script(_PLAIN % _HEAVY)
        plain.append((_number(rig, _HEAP) - before) / _HEAVY / 1024)
        _end(rig, room, _END_PLAIN)
    told = (
        f"{how}; controller's heap after collections with {_HEAVY} nodes of ours without sessions minus without, over "
        f"{_HEAVY}, the median of {[round(value, 1) for value in ours]}; a plain AbstractCloudSlave without a session "
        f"costs {percentile(plain, 50):.1f} ({[round(value, 1) for value in plain]})"
    )
    return {"heap_kib_per_agent": Figure(value=round(percentile(ours, 50), 1), unit="KiB", target="-", how=told)}


def _launch(rig: Rig, room: int, count: int) -> None:
    rig.controller.script(_LAUNCH % count)
    time.sleep(2)
    assert _number(rig, _NODES) == room + count


def _end(rig: Rig, room: int, script: str) -> None:
    rig.controller.script(script)
    wait_for("they are gone", lambda: _number(rig, _NODES) == room, seconds=60, every=0.5)


def _settled(rig: Rig) -> int:
    """The least number of threads within a time in which pools shrink."""
    end = time.monotonic() + _POOLS_SHRINK_S
    least = _number(rig, _THREADS)
    while time.monotonic() < end:
        time.sleep(3)
        least = min(least, _number(rig, _THREADS))
    return least


def _number(rig: Rig, script: str) -> int:
    return int(rig.controller.script(script))
