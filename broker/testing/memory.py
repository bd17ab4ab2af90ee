"""A `ports.Memory` that a test reads, and that can fail."""

from dataclasses import dataclass, field

from broker.errors import StoreUnavailable


@dataclass(slots=True)
class FakeMemory:
    """Keeps its text as long as the test does."""

    text: str | None = None
    fails: bool = False
    written: list[str] = field(default_factory=list)

    async def recall(self) -> str | None:
        """The text, unless it fails."""
        self._check()
        return self.text

    async def remember(self, text: str) -> None:
        """Keeps it, unless it fails."""
        self._check()
        self.text = text
        self.written.append(text)

    def _check(self) -> None:
        if self.fails:
            raise StoreUnavailable("the database cannot be read or written")
