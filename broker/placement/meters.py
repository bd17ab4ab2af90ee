"""What is taken of the limits while a batch is decided: numbers that change, instead of a claim made anew each time."""

from collections.abc import Iterable

from broker.domain.limits import Claim, Scope, Usage


class Meter:
    """How much of one limit is taken."""

    __slots__ = ("used",)

    def __init__(self, used: int) -> None:
        self.used = used


class Load:
    """What one agent would take of several limits."""

    __slots__ = ("_all", "_capped", "claims")

    def __init__(self, claims: Iterable[Claim], meters: "Meters") -> None:
        self.claims = tuple(claims)
        self._all = [(meters.of(claim), claim.amount) for claim in self.claims]
        self._capped = [(meters.of(c), c.cap - c.amount, c) for c in self.claims if c.cap is not None]

    def full(self) -> Claim | None:
        """The first claim for which there is no room; None if all fit."""
        for meter, most, claim in self._capped:
            if meter.used > most:
                return claim
        return None

    def take(self) -> None:
        """Takes it, whether there is room or not."""
        for meter, amount in self._all:
            meter.used += amount


class Meters:
    """The meters of a batch; one limit has one, whoever takes of it."""

    def __init__(self, usage: Usage) -> None:
        self._usage = usage
        self._meters: dict[tuple[Scope, str], Meter] = {}

    def of(self, claim: Claim) -> Meter:
        """The meter of a claim's limit."""
        key = (claim.scope, claim.key)
        known = self._meters.get(key)
        if known is None:
            known = self._meters[key] = Meter(self._usage.taken(claim))
        return known

    def load(self, claims: Iterable[Claim]) -> Load:
        """What one agent would take."""
        return Load(claims, self)

    def write_back(self) -> None:
        """Writes what was taken into the usage."""
        used = self._usage.used
        for key, meter in self._meters.items():
            if meter.used != used.get(key, 0):
                used[key] = meter.used
