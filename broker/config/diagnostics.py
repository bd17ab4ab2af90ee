"""Errors and warnings of one file, in the form of compilers: `file:line:column: severity[code]: message`."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """An error makes the file unusable, a warning does not."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """A stretch of a file: 1-based, in characters; the end is exclusive."""

    line: int
    column: int
    end_line: int
    end_column: int

    def __str__(self) -> str:
        """`line:column` of its beginning."""
        return f"{self.line}:{self.column}"


START = Span(1, 1, 1, 1)


@dataclass(frozen=True, slots=True)
class Note:
    """A line under the caret: `= label: text`. The label is `help`, `note` or `keys`."""

    label: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnostic:
    """One thing to say about one place."""

    severity: Severity
    code: str
    message: str
    span: Span
    notes: tuple[Note, ...] = ()


class Diagnostics:
    """Collects what is wrong with one file. The same thing at the same place is kept once."""

    def __init__(self, file: str, text: str = "") -> None:
        """`file` is the name as the person gave it."""
        self.file = file
        self._lines = text.split("\n")
        self._found: dict[tuple[Span, str, str], Diagnostic] = {}
        self._masked: list[Span] = []

    def error(self, code: str, span: Span, message: str, *notes: Note) -> None:
        """Adds an error."""
        self._add(Severity.ERROR, code, span, message, notes)

    def warning(self, code: str, span: Span, message: str, *notes: Note) -> None:
        """Adds a warning."""
        self._add(Severity.WARNING, code, span, message, notes)

    def mask(self, span: Span) -> None:
        """Keeps the characters of a secret out of every line that is printed."""
        self._masked.append(span)

    def has_error_at(self, span: Span) -> bool:
        """Whether this place has an error already, so that another about it would only repeat it."""
        return any(d.span == span and d.severity is Severity.ERROR for d in self._found.values())

    def _add(self, severity: Severity, code: str, span: Span, message: str, notes: Iterable[Note]) -> None:
        found = Diagnostic(severity=severity, code=code, message=message, span=span, notes=tuple(notes))
        self._found.setdefault((span, code, message), found)

    @property
    def items(self) -> list[Diagnostic]:
        """Everything, in file order."""
        return sorted(self._found.values(), key=lambda d: (d.span.line, d.span.column))

    @property
    def errors(self) -> int:
        """How many errors there are."""
        return sum(d.severity is Severity.ERROR for d in self._found.values())

    @property
    def warnings(self) -> int:
        """How many warnings there are."""
        return len(self._found) - self.errors

    def summary(self) -> str:
        """Such as `2 errors, 1 warning`; empty if there is nothing."""
        counts = ((self.errors, "error"), (self.warnings, "warning"))
        return ", ".join(f"{n} {word}{'s' if n != 1 else ''}" for n, word in counts if n)

    def render(self) -> str:
        """The text for people: every diagnostic with its line and caret, a blank line between them, then the counts."""
        if not self._found:
            return ""
        return "\n\n".join([*(self._block(d) for d in self.items), self.summary()])

    def _block(self, found: Diagnostic) -> str:
        head = f"{self.file}:{found.span}: {found.severity}[{found.code}]: {found.message}"
        source = self._source(found.span.line)
        gutter = " " * (len(str(found.span.line)) + 3)
        notes = [f"{gutter}= {note.label}: {note.text}" for note in found.notes]
        if not source:
            return "\n".join([head, *notes])
        end = found.span.end_column if found.span.end_line == found.span.line else len(source.rstrip()) + 1
        caret = " " * (found.span.column - 1) + "^" * max(1, end - found.span.column)
        shown = [f"{gutter}|", f"  {found.span.line} | {source}".rstrip(), f"{gutter}| {caret}"]
        return "\n".join([head, *shown, *notes])

    def _source(self, line: int) -> str:
        """A line of the file with secrets starred out and each tab as one space, so that carets stand right."""
        if line > len(self._lines):
            return ""
        text = "".join(c if c.isprintable() else " " for c in self._lines[line - 1].rstrip("\r"))
        for span in self._masked:
            if span.line <= line <= span.end_line:
                start = span.column - 1 if line == span.line else 0
                end = span.end_column - 1 if line == span.end_line else len(text)
                text = text[:start] + "*" * (min(end, len(text)) - start) + text[end:]
        return text

    def as_objects(self) -> list[dict[str, object]]:
        """The same for machines."""
        return [
            {
                "file": self.file,
                "line": d.span.line,
                "column": d.span.column,
                "end_line": d.span.end_line,
                "end_column": d.span.end_column,
                "severity": str(d.severity),
                "code": d.code,
                "message": d.message,
                "notes": [{"label": n.label, "text": n.text.strip()} for n in d.notes],
            }
            for d in self.items
        ]

    def as_github(self) -> str:
        """The same as workflow commands, one a line.

        Source: GitHub Docs, "Workflow commands for GitHub Actions", section "Setting an error message".
        """
        lines = []
        for d in self.items:
            text = "\n".join([d.message, *(f"{n.label}: {n.text.strip()}" for n in d.notes)])
            where = f"file={_property(self.file)},line={d.span.line},col={d.span.column},title={_property(d.code)}"
            lines.append(f"::{d.severity} {where}::{_escape(text)}")
        return "\n".join(lines)


def as_json(files: Iterable[Diagnostics]) -> str:
    """The diagnostics of several files as one JSON object: `items`, `errors`, `warnings`."""
    files = list(files)
    items = [item for diagnostics in files for item in diagnostics.as_objects()]
    counts = {"errors": sum(d.errors for d in files), "warnings": sum(d.warnings for d in files)}
    return json.dumps({"items": items, **counts}, indent=2)


def _escape(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _escape(text).replace(":", "%3A").replace(",", "%2C")
