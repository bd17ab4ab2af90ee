"""Where people read what the broker knows, over HTTP: the one place that changes when there are pages for them."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Pages:
    """`base` is where people reach the broker, without a slash at its end; empty where no such URL is known."""

    base: str = ""

    @property
    def agent(self) -> str:
        """What an agent's name is appended to: why it is where it is, its timeline, what to type next."""
        return f"{self.base}/api/v1/explain?what=" if self.base else ""

    @property
    def fleet(self) -> str:
        """The broker in a page."""
        return f"{self.base}/api/v1/status" if self.base else ""
