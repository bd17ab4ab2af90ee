"""Labels of waiting builds that nothing in Jenkins serves: counted, and said once a day."""

from collections.abc import Mapping
from typing import Final

from broker.domain.ids import ControllerName
from broker.domain.labels import LabelExpression, LabelSyntaxError, parse
from broker.domain.unserved import advice, head, nearest
from broker.reconcile.context import Context
from broker.telemetry import events

_AGAIN_S: Final = 86_400.0
_MOST_KEPT: Final = 10_000
_MOST_SAID: Final = 10
"""Labels that one sync has said: it tells of the others again."""


class Unmatched:
    """Keeps when a label was last said, and no more than so many of them: the oldest is forgotten first."""

    def __init__(self, ctx: Context) -> None:
        """Nothing has been said yet."""
        self._ctx = ctx
        self._said: dict[tuple[ControllerName, str], float] = {}

    def told(self, controller: ControllerName, labels: Mapping[str, int]) -> None:
        """What a sync has told: by label, how many builds have come to wait since the last one."""
        now, left = self._ctx.clock.monotonic(), _MOST_SAID
        for text, fresh in labels.items():
            if fresh:
                self._ctx.metrics.label_unmatched(controller, fresh)
            said = self._said.get((controller, text))
            if left and (said is None or now - said >= _AGAIN_S):
                left -= 1
                self._said.pop((controller, text), None)
                self._said[controller, text] = now
                self._say(controller, text)
        while len(self._said) > _MOST_KEPT:
            del self._said[next(iter(self._said))]

    def _say(self, controller: ControllerName, text: str) -> None:
        policies = self._ctx.definitions.policies_of(controller)
        expression: LabelExpression | None = None
        words = [f"no policy matches {text}"]
        try:
            expression = parse(text) if text else None
            near = nearest(expression, policies) if expression else ""
            words = [head(text, expression), near, advice(expression, policies)]
        except LabelSyntaxError:
            pass
        message = "; ".join(word for word in words if word)
        events.LABEL_UNMATCHED.emit(controller=controller, label=text, message=message)
