"""What a relay needs of whoever waits for it: no more than this, so that the loop below can be another."""

from collections.abc import Callable
from typing import Protocol


class Timer(Protocol):
    """A call that is to come."""

    def cancel(self) -> None:
        """It will not come. Safe to repeat."""
        ...


class Reactor(Protocol):
    """Tells of descriptors that are ready, level-triggered, and of time that has passed."""

    def watch(self, descriptor: int, events: int, ready: Callable[[int], None]) -> None:
        """From now on `ready` gets the epoll events that are there, of these and of EPOLLERR and EPOLLHUP."""
        ...

    def forget(self, descriptor: int) -> None:
        """Tells no more of it. Safe to repeat, and due before it is closed."""
        ...

    def call_later(self, seconds: float, call: Callable[[], None]) -> Timer:
        """Calls once."""
        ...
