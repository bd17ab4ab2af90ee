"""What the account's administrator has denied."""

from collections.abc import Callable
from dataclasses import dataclass, field

from broker.demo.clouds.model import ApiError, Call, Parameters


@dataclass(slots=True)
class Rights:
    """What is denied; everything else is allowed. A rule is `service:Action` or `service:*`, for some parameters."""

    refusal: Callable[[Call], ApiError]
    """What a cloud answers to a call that is denied."""
    _denied: list[tuple[str, Callable[[Parameters], bool] | None]] = field(default_factory=list)

    def deny(self, action: str, where: Callable[[Parameters], bool] | None = None) -> None:
        """Denies `ecs:RunTask`, or `ecs:*`; with `where` only for parameters that it likes."""
        self._denied.append((action, where))

    def allow_all(self) -> None:
        """Denies nothing any more."""
        self._denied.clear()

    def is_denied(self, action: str, parameters: Parameters) -> bool:
        """Whether `service:Action` with these parameters is denied."""
        names = {action, f"{action.partition(':')[0]}:*", "*"}
        return any(name in names and (where is None or where(parameters)) for name, where in self._denied)

    def is_denied_altogether(self, action: str) -> bool:
        """Whether `service:Action` is denied whatever its parameters are."""
        names = {action, f"{action.partition(':')[0]}:*", "*"}
        return any(name in names and where is None for name, where in self._denied)

    def check(self, call: Call) -> None:
        """Raises ApiError for a call that is denied."""
        if self.is_denied(f"{call.service}:{call.action}", call.parameters):
            raise self.refusal(call)
