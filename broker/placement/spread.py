"""Strategy `spread`: the numbers of a policy's agents by zone, type, pool or host differ by `max_skew` at most."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from broker.domain.placement import Rejection
from broker.domain.policy import SpreadBy
from broker.domain.reason import Reason
from broker.placement import words
from broker.placement.chosen import Chosen
from broker.placement.classes import Ask
from broker.placement.feasible import Choice
from broker.placement.hosts import fits
from broker.placement.shelf import Pick, Shelf


@dataclass(slots=True)
class Part:
    """A zone, type or pool: how many of the policy's agents are there, and what of it can take one more."""

    name: str
    count: int = 0
    shelves: list[tuple[Choice, Shelf]] = field(default_factory=list)


def spread(ask: Ask, able: Sequence[Choice]) -> Chosen | None:
    """The part with the fewest agents that can take one, so long as that keeps it within `max_skew` of the emptiest.

    A part that is full or rests counts as one, so that the numbers stay even: the agent waits for it or falls back.
    One that an operator has taken out, or that is too small for the agent, does not.
    """
    if ask.policy.spread.by is SpreadBy.HOST:
        return _over_hosts(ask, able)
    parts = list(_parts(ask, able))
    least = min((part.count for part in parts), default=0)
    most = least + ask.policy.spread.max_skew - 1
    for choice in able:
        choice.barred = tuple(
            _barred(ask, choice, shelf, part.name)
            for part in parts
            if part.count > most
            for owner, shelf in part.shelves
            if owner is choice and shelf.cooled is None and shelf.fitting(choice.size)
        )
    for part in sorted(parts, key=lambda part: part.count):
        if part.count <= most and (found := _in(part)) is not None:
            return Chosen(*found, words.fewest(ask.policy.spread.by, part.name, part.count))
    return None


def _in(part: Part) -> tuple[Choice, Pick] | None:
    for choice, shelf in part.shelves:
        pick = choice.room.pick(choice.size, shelf=shelf)
        if pick is not None and pick.host is None:
            pick = choice.room.opened(choice.size, [one for owner, one in part.shelves if owner is choice])
        if pick is not None:
            return choice, pick
    return None


def _parts(ask: Ask, able: Sequence[Choice]) -> Iterable[Part]:
    parts: dict[str, Part] = {}
    by = ask.policy.spread.by
    for choice in ask.own:
        if choice.is_ruled_out():
            continue
        named: dict[str, list[Shelf]] = {}
        for shelf in choice.room.shelves:
            named.setdefault(_name(by, shelf), []).append(shelf)
        for name, shelves in (named or ({"": []} if by is SpreadBy.POOL else {})).items():
            if name and all(shelf.too_small(choice.size) == shelf.total for shelf in shelves):
                continue
            part = parts.setdefault(name or choice.name, Part(name or choice.name))
            part.count += _count(ask, choice, name)
            part.shelves += [(choice, shelf) for shelf in shelves] if choice in able else []
    return parts.values()


def _name(by: SpreadBy, shelf: Shelf) -> str:
    """The part of its pool that a shelf is in; empty: the pool is one part."""
    if by is SpreadBy.POOL:
        return ""
    return shelf.offering.zone if by is SpreadBy.ZONE else shelf.offering.type


def _count(ask: Ask, choice: Choice, name: str) -> int:
    if not name:
        return ask.usage.of_pool[choice.count_key]
    counts = ask.usage.of_zone if ask.policy.spread.by is SpreadBy.ZONE else ask.usage.of_type
    return counts[(*choice.count_key, name)]


def _barred(ask: Ask, choice: Choice, shelf: Shelf, name: str) -> Rejection:
    return Rejection(
        pool=choice.name,
        reason=Reason.MAX_SKEW,
        message=words.max_skew(ask.policy.spread, name),
        zone=shelf.offering.zone,
        type=shelf.offering.type,
        offers=shelf.fitting(choice.size),
    )


def _over_hosts(ask: Ask, able: Sequence[Choice]) -> Chosen | None:
    """A host with the fewest agents. One that could be made has none: it is made when the others have `max_skew`.

    Looks at every host.
    """
    made = [(choice, pick) for choice in able if (pick := choice.room.opened(choice.size)) is not None]
    standing = [count for choice in ask.own if not choice.is_ruled_out() for count, _ in _hosts(ask, choice)]
    most = (0 if made else min(standing, default=0)) + ask.policy.spread.max_skew - 1
    best: tuple[int, Choice, Pick] | None = None
    for choice in able:
        over = 0
        for count, pick in _hosts(ask, choice):
            if pick.host is None or not fits(pick.host.free, choice.size) or pick.shelf.cooled is not None:
                continue
            if count > most:
                over += pick.host.given
            elif best is None or count < best[0]:
                best = (count, choice, pick)
        told = (Reason.MAX_SKEW, words.max_skew(ask.policy.spread, "a host"), over)
        choice.barred = (Rejection(pool=choice.name, reason=told[0], message=told[1], offers=over),) if over else ()
    if best is not None:
        count, choice, pick = best
        name = pick.offer.host if pick.host is not None and pick.host.given else ""
        return Chosen(choice, pick, words.fewest(SpreadBy.HOST, name, count))
    return Chosen(*made[0], words.fewest(SpreadBy.HOST, "", 0)) if made else None


def _hosts(ask: Ask, choice: Choice) -> Iterator[tuple[int, Pick]]:
    for shelf in choice.room.shelves:
        for host in shelf.hosts:
            yield ask.usage.of_host[ask.policy.name, choice.name, host.offer.host], Pick(shelf, host, None)
