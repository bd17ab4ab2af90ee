"""Where the file says what: for checks of parts of it that belong together."""

from collections.abc import Mapping
from dataclasses import dataclass

from broker.config.diagnostics import Diagnostics, Note, Span
from broker.config.model import BrokerFile
from broker.config.model_pools import PoolModel
from broker.config.nodes import Node, Path


@dataclass(frozen=True, slots=True)
class Use:
    """A policy that runs a template in a pool; `span` is where it names its pools."""

    policy: str
    pool: str
    template: str
    span: Span


class Places:
    """A file and its tree. What is inherited is told of where it stands, and once."""

    def __init__(self, root: Node, file: BrokerFile, diagnostics: Diagnostics) -> None:
        """`root` has inheritance resolved."""
        self.root = root
        self.file = file
        self.diagnostics = diagnostics
        self.uses: list[Use] = []

    def find_uses(self, known: Mapping[str, PoolModel]) -> None:
        """Keeps the policies that use one of these pools, in the file's order."""
        for name, policy in self.file.policies.items():
            template = policy.template or "default"
            lists = {"pools": [use.pool for use in policy.pools], "fallback": [step.pool for step in policy.fallback]}
            for key, pools in lists.items():
                span = self.root.at("policies", name, key).span
                self.uses += [Use(name, pool, template, span) for pool in pools if pool in known]

    def used_by(self, template: str, pools: set[str]) -> Note:
        """The policies that run a template in pools, as a note."""
        uses = [use for use in self.uses if use.template == template and use.pool in pools]
        more = f", and {len(uses) - 1} more" if len(uses) > 1 else ""
        return Note("used by", f"policy '{uses[0].policy}' -> pool '{uses[0].pool}' ({uses[0].span}){more}")

    def value(self, *path: str | int) -> Span:
        """Where a value stands; one that is not there: its nearest owner's key."""
        return self.root.at(*path).span if self.root.has(*path) else self.key(*path)

    def key(self, *path: str | int) -> Span:
        """Where a key stands; of one that is not there, that of the map which would have it."""
        steps: Path = path
        while len(steps) > 2 and not self.root.has(*steps):
            steps = steps[:-1]
        return self.root.key(*steps)

    def error(self, code: str, span: Span, message: str, help_: str = "", *notes: Note) -> None:
        """Tells of an error, unless its place has one already."""
        if not self.diagnostics.has_error_at(span):
            self.diagnostics.error(code, span, message, *notes, *((Note("help", help_),) if help_ else ()))

    def warning(self, code: str, span: Span, message: str, help_: str = "", *notes: Note) -> None:
        """Tells of what can hardly be meant, unless its place has an error."""
        if not self.diagnostics.has_error_at(span):
            self.diagnostics.warning(code, span, message, *notes, *((Note("help", help_),) if help_ else ()))
