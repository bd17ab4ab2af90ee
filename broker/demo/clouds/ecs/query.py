"""The cluster query language: which container instances an expression likes.

https://docs.aws.amazon.com/AmazonECS/latest/developerguide/cluster-query-language.html. An expression is a subject, an
operator and an argument, joined by `and`, `or` and `not` (`&&`, `||`, `!`), in parentheses.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final, Protocol, TypeAlias

from broker.demo.clouds.ecs import errors

_TOKEN: Final = re.compile(
    r"\s*(?:(?P<sign>==|!=|>=|<=|=~|!~|&&|\|\||[()\[\],!<>])|(?P<quoted>\"[^\"]*\"|'[^']*')|(?P<word>[^\s()\[\],!<>=~&|\"']+))"
)
_OPERATORS: Final[Mapping[str, str]] = {
    "==": "==", "equals": "==", "!=": "!=", "not_equals": "!=",
    ">": ">", "greater_than": ">", ">=": ">=", "greater_than_equal": ">=",
    "<": "<", "less_than": "<", "<=": "<=", "less_than_equal": "<=",
    "exists": "exists", "not_exists": "!exists", "in": "in", "not_in": "!in",
    "=~": "=~", "matches": "=~", "!~": "!~", "not_matches": "!~",
}  # fmt: skip
_SUBJECTS: Final = {
    "agentConnected",
    "agentVersion",
    "ec2InstanceId",
    "registeredAt",
    "runningTasksCount",
    "task:group",
}


class Subject(Protocol):
    """What can be asked of a container instance."""

    def queried(self, subject: str) -> list[str] | None:
        """The values of a subject, None if the instance has no such thing (`attribute:x` that it lacks)."""
        ...


Test: TypeAlias = Callable[[Subject], bool]


@lru_cache(maxsize=512)
def parse(expression: str) -> Test:
    """The test that an expression says; raises InvalidParameterException for one that is wrong."""
    if not expression.strip() or len(expression) > 2000:
        raise _wrong(expression)
    parser = _Parser(expression, _tokens(expression))
    test = parser.either()
    if parser.rest():
        raise _wrong(expression)
    return test


def _wrong(expression: str) -> Exception:
    return errors.invalid(f"Invalid expression: {expression[:200]}")


def _tokens(expression: str) -> list[tuple[str, str]]:
    found, at, end = [], 0, len(expression.rstrip())
    while at < end:
        match = _TOKEN.match(expression, at)
        if match is None:
            raise _wrong(expression)
        kind = match.lastgroup or ""
        text = match[kind]
        found.append((kind, text[1:-1] if kind == "quoted" else text))
        at = match.end()
    return found


@dataclass(slots=True)
class _Parser:
    expression: str
    tokens: list[tuple[str, str]]

    def rest(self) -> bool:
        return bool(self.tokens)

    def either(self) -> Test:
        tests = [self._both()]
        while self._skip("or", "||"):
            tests.append(self._both())
        return (lambda subject: any(test(subject) for test in tests)) if len(tests) > 1 else tests[0]

    def _both(self) -> Test:
        tests = [self._one()]
        while self._skip("and", "&&"):
            tests.append(self._one())
        return (lambda subject: all(test(subject) for test in tests)) if len(tests) > 1 else tests[0]

    def _one(self) -> Test:
        if self._skip("not", "!"):
            negated = self._one()
            return lambda subject: not negated(subject)
        if self._skip("("):
            inner = self.either()
            self._need(")")
            return inner
        return self._comparison()

    def _comparison(self) -> Test:
        subject = self._word()
        if not (subject in _SUBJECTS or (subject.startswith("attribute:") and len(subject) > 10)):
            raise _wrong(self.expression)
        operator = _OPERATORS.get(self._operator(), "")
        if not operator:
            raise _wrong(self.expression)
        if operator.endswith("exists"):
            wanted = operator == "exists"
            return lambda asked: (asked.queried(subject) is not None) == wanted
        if operator.endswith("in"):
            return _compared(subject, operator, self._list())
        argument = self._word()
        if operator.endswith("~"):
            self._check_pattern(argument)
        return _compared(subject, operator, [argument])

    def _operator(self) -> str:
        if self._skip("!"):
            return "not_" + self._word()
        kind, text = self._next()
        return "" if kind == "quoted" else text

    def _list(self) -> list[str]:
        self._need("[")
        found = [self._word()]
        while self._skip(","):
            found.append(self._word())
        self._need("]")
        return found

    def _check_pattern(self, argument: str) -> None:
        try:
            re.compile(argument)
        except re.error:
            raise _wrong(self.expression) from None

    def _next(self) -> tuple[str, str]:
        if not self.tokens:
            raise _wrong(self.expression)
        return self.tokens.pop(0)

    def _word(self) -> str:
        kind, text = self._next()
        if kind == "sign":
            raise _wrong(self.expression)
        return text

    def _skip(self, *words: str) -> bool:
        if self.tokens and self.tokens[0][0] != "quoted" and self.tokens[0][1] in words:
            self.tokens.pop(0)
            return True
        return False

    def _need(self, word: str) -> None:
        if not self._skip(word):
            raise _wrong(self.expression)


def _compared(subject: str, operator: str, arguments: list[str]) -> Test:
    negated = operator in {"!=", "!in", "!~"}
    like = _LIKE[operator.replace("!", "=", 1) if operator in {"!=", "!~"} else operator.lstrip("!")]

    def test(asked: Subject) -> bool:
        values = asked.queried(subject)
        found = any(like(subject, value, argument) for value in values or () for argument in arguments)
        return found != negated

    return test


def _order(subject: str, text: str) -> tuple[float, ...] | str:
    """What is compared by size: versions by their numbers, times by the clock, counts; all else as text."""
    if subject == "registeredAt":
        try:
            moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
        except ValueError:
            raise errors.invalid(f"Invalid expression: {text} is no time") from None
        return ((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp(),)
    if re.fullmatch(r"\d+(\.\d+)*", text):
        return tuple(float(part) for part in text.split("."))
    return text


def _sized(compare: Callable[[tuple[float, ...], tuple[float, ...]], bool]) -> Callable[[str, str, str], bool]:
    def like(subject: str, value: str, argument: str) -> bool:
        left, right = _order(subject, value), _order(subject, argument)
        return not isinstance(left, str) and not isinstance(right, str) and compare(left, right)

    return like


def _equal(subject: str, value: str, argument: str) -> bool:
    return value == argument or (subject == "registeredAt" and _order(subject, value) == _order(subject, argument))


_LIKE: Final[Mapping[str, Callable[[str, str, str], bool]]] = {
    "==": _equal,
    "in": _equal,
    "=~": lambda subject, value, argument: re.fullmatch(argument, value) is not None,
    ">": _sized(lambda left, right: left > right),
    ">=": _sized(lambda left, right: left >= right),
    "<": _sized(lambda left, right: left < right),
    "<=": _sized(lambda left, right: left <= right),
}
