"""What a batch gave out to hosts one by one is packed once more, the largest first: fewer hosts are made for it.

Who gets a place is decided before, in the fair order. Here only hosts of one offering and price change places, and only
if all still fit and no more hosts are made, so that no limit, zone or price is another.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Final

from broker.domain.placement import Decision, Placed
from broker.placement.classes import Ask
from broker.placement.feasible import Choice
from broker.placement.hosts import NO_BOUND, Free, Host, Hosts, Opening, fits, less, more
from broker.placement.room import made_of
from broker.placement.shelf import Shelf

Part = Callable[[float, float], float]
"""How large an agent counts, by the parts of a host's CPU and memory that it takes."""

_ORDERS: Final[tuple[Part, ...]] = (
    max,
    lambda cpu, memory: cpu + memory,
    lambda _cpu, memory: memory,
    lambda cpu, _memory: cpu,
)
"""No order is the best for every batch: the packing with the fewest hosts is taken, the first of equal ones."""


@dataclass(frozen=True, slots=True)
class Packed:
    """An agent on a host: `at` is where its decision stands in the batch."""

    at: int
    ask: Ask
    choice: Choice
    shelf: Shelf


@dataclass(slots=True)
class _Trial:
    """Another way to lay the agents out: the hosts, what is left of the openings, and where each agent goes."""

    hosts: Hosts
    left: dict[Opening, int]
    made: int
    places: list[tuple[Packed, Host]]
    names: list[str]
    """Of made hosts that are no more, the last first."""


def repack(packed: Sequence[Packed], decisions: list[Decision], *, wanted: bool) -> bool:
    """Packs anew what was placed with strategy binpack; says whether anything is another than before.

    Only where that saves hosts, or where some want room that they did not find.
    """
    changed = False
    for _, of_shelf in groupby(sorted(packed, key=lambda p: id(p.shelf)), key=lambda p: p.shelf):
        some = [p for p in of_shelf if min(p.choice.size) > 0]
        if len(some) > 1:
            changed |= _repack_shelf(some, decisions, wanted=wanted)
    return changed


def _repack_shelf(packed: list[Packed], decisions: list[Decision], *, wanted: bool) -> bool:
    shelf = packed[0].shelf
    made_before = sum(1 for host in shelf.hosts if not host.given)
    if not made_before and not wanted:
        return False
    names = {host.offer.host: host for host in shelf.hosts}
    before = [(p, names[_placed(decisions, p).placement.offer.host]) for p in packed]
    tried = [trial for part in _ORDERS if (trial := _pack(shelf, before, part)) is not None]
    trial = min(tried, key=lambda trial: trial.made, default=None)
    if trial is None or trial.made >= made_before + wanted:
        return False
    for opening, left in trial.left.items():
        opening.left = left
    cap = packed[0].choice.room.cap
    if cap.left < NO_BOUND:
        cap.left += made_before - trial.made
    packed[0].choice.room.lay_anew(shelf, trial.hosts)
    for (p, old), (_, new) in zip(before, sorted(trial.places, key=lambda place: place[0].at), strict=True):
        if old.offer.host != new.offer.host:
            _move(p, old, new, decisions)
    return True


def _pack(shelf: Shelf, before: list[tuple[Packed, Host]], part: Part) -> _Trial | None:
    trial = _emptied(shelf, before)
    largest = _largest(shelf)
    by_size = sorted((p for p, _ in before), key=lambda p: (-part(*_parts(p, largest)), p.at))
    for p in by_size:
        host = trial.hosts.best(p.choice.size, p.ask.policy.pack_by) or _open(shelf, trial, p)
        if host is None:
            return None
        trial.hosts.unfile(host)
        host.free = less(host.free, p.choice.size)
        trial.hosts.file(host)
        trial.places.append((p, host))
    return trial


def _emptied(shelf: Shelf, before: list[tuple[Packed, Host]]) -> _Trial:
    """The hosts without the agents of this batch; those that were made for them alone are not there."""
    free: dict[int, Free] = {host.number: host.free for host in shelf.hosts}
    for p, host in before:
        free[host.number] = more(free[host.number], p.choice.size)
    trial = _Trial(Hosts(), {opening: opening.left for opening in shelf.openings}, 0, [], [])
    trial.hosts.looks = shelf.hosts.looks
    for host in shelf.hosts:
        opening = host.opening
        if opening is not None and free[host.number] == opening.shape:
            if trial.left[opening] < NO_BOUND:
                trial.left[opening] += 1
            trial.names.insert(0, host.offer.host)
            continue
        trial.made += not host.given
        trial.hosts.add(replace(host, free=free[host.number]))
    return trial


def _open(shelf: Shelf, trial: _Trial, p: Packed) -> Host | None:
    for opening in shelf.openings:
        if opening.shape is not None and trial.left[opening] > 0 and fits(opening.shape, p.choice.size):
            if trial.left[opening] < NO_BOUND:
                trial.left[opening] -= 1
            trial.made += 1
            room = p.choice.room
            name = trial.names.pop() if trial.names else room.name_host()
            host = made_of(opening, name, room.number_host())
            trial.hosts.add(host)
            return host
    return None


def _largest(shelf: Shelf) -> Free:
    """The most that a host of the shelf has, or has left."""
    known = [opening.shape for opening in shelf.openings if opening.shape is not None]
    known += [host.free for host in shelf.hosts]
    return (max(f[0] for f in known), max(f[1] for f in known), NO_BOUND)


def _parts(p: Packed, largest: Free) -> tuple[float, float]:
    cpu, memory = p.choice.size
    return cpu / max(1, largest[0]), memory / max(1, largest[1])


def _move(p: Packed, old: Host, new: Host, decisions: list[Decision]) -> None:
    placed = _placed(decisions, p)
    decisions[p.at] = replace(placed, placement=replace(placed.placement, offer=new.offer))
    for host, change in ((old, -1), (new, 1)):
        p.ask.usage.of_host[p.ask.policy.name, host.offer.pool, host.offer.host] += change
    p.ask.last = None


def _placed(decisions: list[Decision], p: Packed) -> Placed:
    decision = decisions[p.at]
    assert isinstance(decision, Placed)
    return decision
