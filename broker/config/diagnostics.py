"""Errors and warnings of a config, in the form of compilers: `file:line:column: severity[code]: message`."""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Severity(StrEnum):
    """An error makes the file unusable, a warning does not."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """A stretch of a file: 1-based, in characters; the end is exclusive.

    `file` is empty where the config is one file; else each span names its own, as `$NAME` does an environment variable.
    """

    line: int
    column: int
    end_line: int
    end_column: int
    file: str = ""

    def __str__(self) -> str:
        """`line:column` of its beginning, behind the file where there are several."""
        place = f"{self.line}:{self.column}"
        return f"{self.file}:{place}" if self.file else place


START = Span(1, 1, 1, 1)
_BREAK: Final = re.compile("\r\n|[\n\r\x85\u2028\u2029]")
LONGEST_LINE = 2_000
"""Characters; a longer line is not shown, nor searched for secrets to mask."""


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
    """Collects what is wrong with one config. The same thing at the same place is kept once."""

    def __init__(self, file: str, text: str = "") -> None:
        """`file` is the name of the (main) file as the person gave it."""
        self.file = file
        self._sources = {"": lines_of(text), file: lines_of(text)}
        self._found: dict[tuple[Span, str, str], Diagnostic] = {}
        self._errors_at: set[Span] = set()
        self._masked: list[Span] = []

    def add_source(self, file: str, text: str) -> None:
        """The text of a further file, or the value of a variable, that spans may name."""
        self._sources.setdefault(file, lines_of(text))

    def error(self, code: str, span: Span, message: str, *notes: Note) -> None:
        """Adds an error."""
        self._errors_at.add(span)
        self._add(Severity.ERROR, code, span, message, notes)

    def warning(self, code: str, span: Span, message: str, *notes: Note) -> None:
        """Adds a warning."""
        self._add(Severity.WARNING, code, span, message, notes)

    def mask(self, span: Span) -> None:
        """Keeps the characters of a secret out of every line that is printed."""
        self._masked.append(span)

    def has_error_at(self, span: Span) -> bool:
        """Whether this place has an error already, so that another about it would only repeat it."""
        return span in self._errors_at

    def _add(self, severity: Severity, code: str, span: Span, message: str, notes: Iterable[Note]) -> None:
        message, notes = _clipped(message), tuple(Note(note.label, _clipped(note.text)) for note in notes)
        found = Diagnostic(severity=severity, code=code, message=message, span=span, notes=notes)
        self._found.setdefault((span, code, message), found)

    @property
    def items(self) -> list[Diagnostic]:
        """Everything, in the order of the files and of their lines."""
        order = {file: n for n, file in enumerate(self._sources)}
        return sorted(self._found.values(), key=lambda d: (max(1, order[d.span.file]), d.span.line, d.span.column))

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
        span = found.span
        where = f"{span.file or self.file}:{span.line}:{span.column}"
        head = f"{where}: {found.severity}[{found.code}]: {found.message}"
        source = self._source(span)
        gutter = " " * (len(str(span.line)) + 3)
        notes = [f"{gutter}= {note.label}: {note.text}" for note in found.notes]
        if not source:
            return "\n".join([head, *notes])
        end = span.end_column if span.end_line == span.line else len(source.rstrip()) + 1
        caret = " " * (span.column - 1) + "^" * max(1, end - span.column)
        shown = [f"{gutter}|", f"  {span.line} | {source}".rstrip(), f"{gutter}| {caret}"]
        return "\n".join([head, *shown, *notes])

    def _source(self, place: Span) -> str:
        """A line of a file with secrets starred out and each tab as one space, so that carets stand right."""
        lines, line = self._sources[place.file], place.line
        if line > len(lines) or len(lines[line - 1]) > LONGEST_LINE:
            return ""
        text = "".join(c if c.isprintable() else " " for c in lines[line - 1])
        for span in self._masked:
            if span.file == place.file and span.line <= line <= span.end_line:
                start = span.column - 1 if line == span.line else 0
                end = span.end_column - 1 if line == span.end_line else len(text)
                text = text[:start] + "*" * (min(end, len(text)) - start) + text[end:]
        return text

    def as_objects(self) -> list[dict[str, object]]:
        """The same for machines."""
        return [
            {
                "file": d.span.file or self.file,
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
            file = _property(d.span.file or self.file)
            where = f"file={file},line={d.span.line},col={d.span.column},title={_property(d.code)}"
            lines.append(f"::{d.severity} {where}::{_escape(text)}")
        return "\n".join(lines)


def lines_of(text: str) -> list[str]:
    """The lines of a text as PyYAML counts them, whose marks our spans are made of (`yaml.reader.Reader.forward`)."""
    return _BREAK.split(text)


def as_json(files: Iterable[Diagnostics]) -> str:
    """The diagnostics of several files as one JSON object: `items`, `errors`, `warnings`."""
    files = list(files)
    items = [item for diagnostics in files for item in diagnostics.as_objects()]
    counts = {"errors": sum(d.errors for d in files), "warnings": sum(d.warnings for d in files)}
    return json.dumps({"items": items, **counts}, indent=2)


def _clipped(text: str) -> str:
    return text if len(text) <= LONGEST_LINE else f"{text[:LONGEST_LINE]}..."


def _escape(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _escape(text).replace(":", "%3A").replace(",", "%2C")
