"""POSIX sh for hosts: how values get into it, and what every script of ours begins with.

A value is a quoted word of an assignment at the script's head, or it comes over stdin; no script is put together of
values. All of it is dash, bash and busybox alike.
"""

import shlex
from collections.abc import Mapping
from typing import Final

from broker.domain.reason import Reason
from broker.errors import BackendRejected

_MOST_LINES: Final = 20_000
_LEAST_SECRET: Final = 4

FUNCTIONS: Final = """\
boot=
[ ! -r /proc/sys/kernel/random/boot_id ] || read -r boot </proc/sys/kernel/random/boot_id
began() {
  began= state=
  [ -r "/proc/$1/stat" ] || return 1
  read -r state 2>/dev/null <"/proc/$1/stat" || return 1
  state=${state##*) }
  set -- $state
  case $1 in Z | X) return 1 ;; esac
  began=${20}
}
alive() {
  pid= then= day=
  [ -r "$1" ] || return 1
  read -r pid then day <"$1" || return 1
  [ "$day" = "$boot" ] && began "$pid" && [ "$began" = "$then" ]
}
myself() {
  began $$
  printf '%s %s %s\\n' $$ "$began" "$boot"
}
"""
"""`began PID` sets $began: ticks from the boot to its start (proc(5), field 22); fails for one that is gone.
`alive FILE` is true while the process runs whose number, start and boot are in that file; no number is believed alone.
`myself` prints what such a file has.
"""

PROLOGUE: Final = f"""\
set -u
umask 077
case $work in /*) base=$work/$folder ;; *) base=${{HOME:?}}/$work/$folder ;; esac
{FUNCTIONS}"""
"""Wants $work and $folder; sets $base, our own directory on the host."""


STARTING: Final = """\
started=$base/starting/$launch.$$
myself >"$base/starting/.$$" && mv "$base/starting/.$$" "$started"
trap 'rm -f "$started" "$started.env"' EXIT
"""
"""Wants $base $launch: notes that this script makes something, for who looks whether it has been made."""


def quote(text: str) -> str:
    """A word of sh that is just `text`. BackendRejected for a NUL, which no word can have."""
    if "\0" in text:
        raise BackendRejected("InvalidText", f"{text.partition(chr(0))[0]!r}… has a NUL byte", Reason.INVALID_TEMPLATE)
    return shlex.quote(text)


def script_of(body: str, /, **values: object) -> str:
    """`body` behind the values that it names."""
    heads = (f"{name}={quote('' if value is None else str(value))}\n" for name, value in values.items())
    return f"{''.join(heads)}{body}"


def exports(variables: Mapping[str, str]) -> str:
    """Text for `.` that sets variables; BackendRejected for a name that sh has none of."""
    for name in variables:
        if not (name.isascii() and name.isidentifier()):
            raise BackendRejected("InvalidVariable", f"{name!r} is no name of a variable", Reason.INVALID_TEMPLATE)
    return "".join(f"export {name}={quote(value)}\n" for name, value in variables.items())


def lines_of(output: str) -> list[str]:
    """What a script has printed, by its newlines alone: whatever else ends a line is part of what others have printed.

    Of more than 20,000 lines the rest is left out: then what scripts say at their end is missing.
    """
    lines = output.split("\n", _MOST_LINES)
    return lines[:-1] if not lines[-1] or len(lines) > _MOST_LINES else lines


def masked(line: str, secrets: Mapping[str, str]) -> str:
    """`line` without the values of `secrets`; those of three characters and fewer would blacken everything.

    The beginning of one at the line's end counts too: lines are cut, and read while they are written.
    """
    parts = {part for value in secrets.values() for part in (value, *value.splitlines())}
    told = sorted((part for part in parts if len(part) >= _LEAST_SECRET), key=len, reverse=True)
    for part in told:
        line = line.replace(part, "***")
    for part in told:
        at = line.find(part[:_LEAST_SECRET], max(0, len(line) - len(part)))
        while at >= 0:
            if part.startswith(line[at:]):
                return f"{line[:at]}***"
            at = line.find(part[:_LEAST_SECRET], at + 1)
    return line
