"""Jenkins' label expressions: parsed and evaluated against the labels of a policy, as the controller does it.

Source: Jenkins core, `core/src/main/grammar/labelExpr.g` (operators, their order, what an atom may hold). Strongest
first: `!`, `&&`, `||`, `->`, `<->`; `->` does not chain, and `!` stands before an atom or a parenthesis only.
"""

import re
from collections.abc import Iterator, Set
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

LONGEST: Final = 2_000
"""Characters of an expression; a longer one is refused."""
_DEEPEST: Final = 50
_TOKEN: Final = re.compile(
    r"""[ \t]*(?:(?P<operator>&&|\|\||<->|->|!|\(|\))|"(?P<quoted>(?:\\[btnfr"'\\]|[^\\"\r\n])*)\""""
    r"""|(?P<atom>(?:-(?!>)|[^-&|!<>() \t"'])+))""",
)
_ESCAPES: Final = {"b": "\b", "t": "\t", "n": "\n", "f": "\f", "r": "\r"}


class LabelSyntaxError(ValueError):
    """The text is no label expression; `column` counts from 1."""

    def __init__(self, column: int, message: str) -> None:
        """Says where and what."""
        super().__init__(f"column {column}: {message}")
        self.column = column


class Operator(StrEnum):
    """What joins two expressions."""

    AND = "&&"
    OR = "||"
    IMPLIES = "->"
    IFF = "<->"


@dataclass(frozen=True, slots=True)
class Atom:
    """One label."""

    name: str


@dataclass(frozen=True, slots=True)
class Not:
    """What must not hold."""

    term: "LabelExpression"


@dataclass(frozen=True, slots=True)
class Both:
    """Two expressions and what joins them."""

    operator: Operator
    left: "LabelExpression"
    right: "LabelExpression"


LabelExpression = Atom | Not | Both


def matches(expression: LabelExpression, labels: Set[str]) -> bool:
    """Whether something that carries these labels, and no others, is what the expression asks for."""
    match expression:
        case Atom(name):
            return name in labels
        case Not(term):
            return not matches(term, labels)
        case Both(Operator.AND, left, right):
            return matches(left, labels) and matches(right, labels)
        case Both(Operator.OR, left, right):
            return matches(left, labels) or matches(right, labels)
        case Both(Operator.IMPLIES, left, right):
            return not matches(left, labels) or matches(right, labels)
        case Both(_, left, right):
            return matches(left, labels) == matches(right, labels)


def atoms(expression: LabelExpression, *, wanted: bool = True) -> frozenset[str]:
    """The labels that speak for a match where `wanted`, else those that speak against it; one may do both."""
    match expression:
        case Atom(name):
            return frozenset({name}) if wanted else frozenset()
        case Not(term):
            return atoms(term, wanted=not wanted)
        case Both(Operator.IMPLIES, left, right):
            return atoms(left, wanted=not wanted) | atoms(right, wanted=wanted)
        case Both(_, left, right):
            return atoms(left, wanted=wanted) | atoms(right, wanted=wanted)


def parse(text: str) -> LabelExpression:
    """The expression; raises `LabelSyntaxError`."""
    if len(text) > LONGEST:
        raise LabelSyntaxError(LONGEST + 1, f"a label expression has at most {LONGEST} characters")
    return _Parser(text).whole()


@dataclass(frozen=True, slots=True)
class _Token:
    column: int
    operator: str = ""
    atom: str = ""


def _tokens(text: str) -> Iterator[_Token]:
    text = text.rstrip(" \t")
    position = 0
    while position < len(text):
        found = _TOKEN.match(text, position)
        if found is None:
            start = position + len(text[position:]) - len(text[position:].lstrip(" \t"))
            raise LabelSyntaxError(start + 1, f"{text[start]!r} does not belong here; quote a label that holds it")
        column = found.start(found.lastgroup or 0) + 1
        if found["operator"]:
            yield _Token(column, operator=found["operator"])
        else:
            name = found["atom"] or re.sub(r"\\(.)", lambda m: _ESCAPES.get(m[1], m[1]), found["quoted"])
            if not name:
                raise LabelSyntaxError(column, "a label is not empty")
            yield _Token(column, atom=name)
        position = found.end()


class _Parser:
    """One look ahead, one method for the operators of each strength."""

    def __init__(self, text: str) -> None:
        self._tokens = [*_tokens(text), _Token(len(text) + 1)]
        self._next = 0
        self._depth = 0

    def whole(self) -> LabelExpression:
        expression = self._iff()
        end = self._tokens[self._next]
        if end.operator or end.atom:
            told = "-> does not chain: use parentheses" if end.operator == "->" else "expected &&, ||, -> or <->"
            raise LabelSyntaxError(end.column, f"{told}, got {end.operator or end.atom!r}")
        return expression

    def _iff(self) -> LabelExpression:
        left = self._implies()
        while self._took(Operator.IFF):
            left = Both(Operator.IFF, left, self._implies())
        return left

    def _implies(self) -> LabelExpression:
        left = self._or()
        return Both(Operator.IMPLIES, left, self._or()) if self._took(Operator.IMPLIES) else left

    def _or(self) -> LabelExpression:
        left = self._and()
        while self._took(Operator.OR):
            left = Both(Operator.OR, left, self._and())
        return left

    def _and(self) -> LabelExpression:
        left = self._not()
        while self._took(Operator.AND):
            left = Both(Operator.AND, left, self._not())
        return left

    def _not(self) -> LabelExpression:
        return Not(self._term()) if self._took("!") else self._term()

    def _term(self) -> LabelExpression:
        token = self._tokens[self._next]
        if token.atom:
            self._next += 1
            return Atom(token.atom)
        if not self._took("("):
            got = f"got {token.operator}" if token.operator else "the expression ends"
            raise LabelSyntaxError(token.column, f"expected a label or a parenthesis, {got}")
        self._depth += 1
        if self._depth > _DEEPEST:
            raise LabelSyntaxError(token.column, f"more than {_DEEPEST} parentheses in one another")
        inner = self._iff()
        if not self._took(")"):
            raise LabelSyntaxError(self._tokens[self._next].column, "expected )")
        self._depth -= 1
        return inner

    def _took(self, operator: str) -> bool:
        found = self._tokens[self._next].operator == operator
        self._next += found
        return found
