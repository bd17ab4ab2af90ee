"""How tasks come up and end: the states that lie before them, by the durations that they were given.

https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-lifecycle-explanation.html. A task without an interface
of its own is not PROVISIONING and not DEPROVISIONING; states of no duration are passed over.
"""

from broker.demo.clouds.ecs.tasks import STARTING, Ending, Status, Task


def wait(task: Task, now: float) -> None:
    """It has no place yet: managed scaling is asked for one."""
    task.timeline = [(now, Status.PROVISIONING)]


def start(task: Task, now: float) -> None:
    """It has its place: from here on it comes up."""
    span = task.durations
    first = task.timeline[0] if task.timeline else (now, Status.PROVISIONING)
    stages = [(Status.PROVISIONING, span.provisioning if task.has_eni else 0.0)]
    stages += [(Status.PENDING, span.pending), (Status.ACTIVATING, span.activating)]
    timeline, at = [first] if first[0] < now else [], now
    for status, length in stages:
        if length > 0 and not (timeline and timeline[-1][1] is status):
            timeline.append((at, status))
        at += max(0.0, length)
    task.timeline = [*timeline, (at, Status.RUNNING)]
    task.edits += 1


def stop(task: Task, at: float, code: str, reason: str, *, lasts: float | None) -> None:
    """It is told to end. One that runs ends its containers `lasts` seconds after SIGTERM; None: not known yet."""
    if not _was_running(task, at):
        fail(task, at, code, reason)
        return
    span = task.durations
    stages = [(at, Status.DEACTIVATING)] if span.deactivating > 0 else []
    signalled = at + span.deactivating
    if lasts is None or lasts > 0:
        stages.append((signalled, Status.STOPPING))
    exits_at = None if lasts is None else signalled + lasts
    _end(task, at, stages, Ending(at=at, code=code, reason=reason, exits_at=exits_at))


def interrupt(task: Task, at: float, code: str, reason: str, *, lasts: float | None) -> None:
    """The cloud takes its machine: SIGTERM now, and it is told as RUNNING until its containers have ended."""
    if not _was_running(task, at):
        fail(task, at, code, reason)
        return
    exits_at = None if lasts is None else at + lasts
    _end(task, at, [], Ending(at=at, code=code, reason=reason, exits_at=exits_at))


def exited(task: Task, at: float, code: str, reason: str, *, lasts: float = 0.0) -> None:
    """Its essential container has ended, by itself or as it was told to earlier; the others `lasts` seconds later."""
    told = task.ending is not None and task.ending.at <= at
    ending = task.ending if told and task.ending else Ending(at=at, code=code, reason=reason, exits_at=None)
    ended = Ending(at=ending.at, code=ending.code, reason=ending.reason, exits_at=at + lasts)
    _end(task, at, [(at, Status.STOPPING)] if lasts > 0 else [], ended)


def fail(task: Task, at: float, code: str, reason: str) -> None:
    """It does not come up, from `at` on. Its containers never began."""
    _end(task, at, [], Ending(at=at, code=code, reason=reason, exits_at=None))
    _finish(task, at, deprovision=task.has_eni and len(task.timeline) >= 1 and not _only_waited(task))


def _was_running(task: Task, at: float) -> bool:
    since = task.since(Status.RUNNING)
    return since is not None and since <= at


def _only_waited(task: Task) -> bool:
    return all(status is Status.PROVISIONING for _, status in task.timeline) and not task.address


def _end(task: Task, at: float, stages: list[tuple[float, Status]], ending: Ending) -> None:
    past = [entry for entry in task.timeline if entry[0] < at or entry == task.timeline[0] or _kept(entry, at)]
    task.timeline = [*past, *stages]
    task.ending = ending
    task.edits += 1
    if ending.exits_at is not None:
        _finish(task, ending.exits_at, deprovision=task.has_eni)


def _kept(entry: tuple[float, Status], at: float) -> bool:
    """A state that it came to just now still was, if it is one of coming up or RUNNING."""
    return entry[0] == at and entry[1] in (*STARTING, Status.RUNNING)


def _finish(task: Task, at: float, *, deprovision: bool) -> None:
    length = task.durations.deprovisioning if deprovision else 0.0
    if length > 0:
        task.timeline.append((at, Status.DEPROVISIONING))
    task.timeline.append((at + length, Status.STOPPED))
