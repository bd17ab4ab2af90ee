"""`agentbroker token`: makes, changes and takes back controllers' tokens. The config stays in its owner's hands."""

import json
import sys
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, TextIO

import click

from broker.cli.config import default_file
from broker.cli.new_token import hash_of, new_token, write_new

_SHOWN: Final = 12
"""Characters of a hash by which people tell two apart."""
_LEAST_PREFIX: Final = 4


class NotThere(click.ClickException):
    """There is no such controller or token."""

    exit_code = 5


class Refused(click.ClickException):
    """It would do harm."""

    exit_code = 9


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A controller in a config: where its tokens stand, and their hashes; `at` is FILE:LINE:COLUMN."""

    at: str
    hashes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What a verb has to say. `token` is None where there is none, or where it went into a file."""

    controller: str
    token: str | None = None
    written_to: str | None = None
    token_sha256: tuple[str, ...]
    at: str | None = None
    drop: str | None = None
    drop_after: str | None = None


@click.group("token")
def token() -> None:
    """Make, change and take back the tokens of controllers.

    \b
    agentbroker token create main                          a token, and the line for broker.yaml
    agentbroker token rotate main --overlap 1h             another one, valid beside the old one
    agentbroker token revoke main --hash-prefix 7d3c1c4e   the line without that one

    A token is printed once and kept nowhere: the config has its SHA-256.

    \b
    Exit codes: 0 done, 1 failed, 2 wrong usage, 3 config invalid, 5 no such controller or token, 9 refused.
    """


_CONFIG = click.option("--config", "path", metavar="FILE", help="The broker.yaml that the line is for.")
_OUT = click.option(
    "--out", type=click.Path(dir_okay=False, path_type=Path), help="Write the token to this new file, 0600."
)
_OUTPUT = click.option("-o", "--output", type=click.Choice(["human", "json"]), default="human", show_default=True)


@token.command("create")
@click.argument("controller")
@_CONFIG
@_OUT
@_OUTPUT
def create(controller: str, path: str | None, out: Path | None, output: str) -> None:
    """Make a token for CONTROLLER and say the line for broker.yaml.

    With --config it also says where the line belongs; it takes the place of what stands there.
    """
    from broker.config.names import NAMED, allowed_in

    if not NAMED["controllers"].fullmatch(controller):
        allowed = f"at most 63 letters, digits {allowed_in('controllers')}, with a letter or digit at both ends"
        raise click.UsageError(f"{controller!r} cannot be the name of a controller: use {allowed}")
    place = _place(path, controller, whole=False) if path else None
    made = new_token()
    _write(made, out)
    told = Told(
        controller=controller,
        token=None if out else made,
        written_to=str(out) if out else None,
        token_sha256=(hash_of(made),),
        at=place.at if place else None,
    )
    _say(told, output)
    if place and place.hashes and output == "human":
        click.echo("         this replaces what stands there: `token rotate` keeps the old token valid beside it")


def _overlap(_ctx: click.Context, _option: click.Parameter, value: str | None) -> timedelta | None:
    from pydantic_core import PydanticCustomError

    from broker.config.units import parse_duration

    try:
        return parse_duration(value) if value is not None else None
    except PydanticCustomError as error:
        raise click.BadParameter(f"{error}; write it such as 1h or 90m") from error


@token.command("rotate")
@click.argument("controller")
@_CONFIG
@click.option("--overlap", callback=_overlap, default="1h", show_default=True, help="How long the old one is to stay.")
@_OUT
@_OUTPUT
def rotate(controller: str, path: str | None, overlap: timedelta, out: Path | None, output: str) -> None:
    """Make another token for CONTROLLER and say the line with both: until the old one is taken out, both are valid.

    Nothing ends the overlap by itself: it says when, and by which command.
    """
    place = _place(path or default_file(), controller, whole=True)
    if len(place.hashes) > 1:
        old = " or ".join(f"--hash-prefix {one[:_SHOWN]}" for one in place.hashes)
        text = f"{controller} has two tokens already ({place.at}); first: agentbroker token revoke {controller} {old}"
        raise Refused(text)
    made = new_token()
    _write(made, out)
    told = Told(
        controller=controller,
        token=None if out else made,
        written_to=str(out) if out else None,
        token_sha256=(hash_of(made), *place.hashes),
        at=place.at,
        drop=place.hashes[0],
        drop_after=f"{datetime.now(UTC) + overlap:%Y-%m-%dT%H:%M:%SZ}",
    )
    _say(told, output)


@token.command("revoke")
@click.argument("controller")
@_CONFIG
@click.option("--hash-prefix", help="The beginning of its SHA-256, as it stands in the config.")
@click.option("--token-file", type=click.File("r"), help="Holds the token; - is stdin.")
@_OUTPUT
def revoke(controller: str, path: str | None, hash_prefix: str | None, token_file: TextIO | None, output: str) -> None:
    """Say the line for broker.yaml without one of CONTROLLER's tokens, known by its hash or by itself."""
    if (hash_prefix is None) == (token_file is None):
        raise click.UsageError("name the token by --hash-prefix, or by --token-file (- is stdin)")
    prefix = hash_of(token_file.read()) if token_file is not None else (hash_prefix or "").lower()
    if len(prefix) < _LEAST_PREFIX:
        raise click.UsageError(f"--hash-prefix needs at least {_LEAST_PREFIX} characters")
    place = _place(path or default_file(), controller, whole=True)
    found = [one for one in place.hashes if one.startswith(prefix)]
    if not found:
        raise NotThere(f"{controller} has no such token; {place.at} has {_short(place.hashes)}")
    if len(found) > 1:
        raise click.UsageError(f"--hash-prefix {prefix} is the beginning of both: {_short(found)}")
    rest = tuple(one for one in place.hashes if one not in found)
    if not rest:
        text = f"it is the only token of {controller} ({place.at})"
        raise Refused(f"{text}; agentbroker token create {controller} makes one that replaces it at once")
    _say(Told(controller=controller, token_sha256=rest, at=place.at), output)


def _place(path: str, controller: str, *, whole: bool) -> Place:
    """Where a controller's tokens stand. With `whole` the config has to be sound, else only its shape."""
    from broker.config.load import check_file
    from broker.config.suggest import nearest

    checked = check_file(path)
    if checked.root is None or (whole and checked.file is None) or (whole and checked.diagnostics.errors):
        click.echo(checked.diagnostics.render(), err=True)
        sys.exit(3)
    root = checked.root
    if not root.has("controllers", controller):
        known = list(root.at("controllers").map) if root.has("controllers") else []
        meant = nearest(controller, known)
        help_ = f"did you mean '{meant}'?" if meant else f"it has: {', '.join(known) or 'none'}"
        raise NotThere(f"{path} has no controller '{controller}'; {help_}")
    written = root.has("controllers", controller, "token_sha256")
    path_of = ("controllers", controller, "token_sha256")
    span = root.at(*path_of).span if written else root.key("controllers", controller)
    model = checked.file.controllers.get(controller) if checked.file else None
    at = str(span) if span.file else f"{path}:{span}"
    return Place(at=at, hashes=tuple(model.token_sha256) if model else ())


def _write(made: str, out: Path | None) -> None:
    if out is None:
        return
    try:
        write_new(out, made)
    except FileExistsError as error:
        raise Refused(f"{out} is there already; name a new file, or remove it") from error
    except OSError as error:
        raise click.ClickException(f"{out}: {error.strerror}") from error


def _say(told: Told, output: str) -> None:
    if output == "json":
        click.echo(json.dumps({"api": "v1", "kind": "Token", **asdict(told)}))
        return
    if told.token:
        click.echo(f"token    {told.token}\n         shown this once: give it to Jenkins, such as by")
        click.echo("         agentbroker init jenkins --home JENKINS_HOME --token-file FILE")
    elif told.written_to:
        click.echo(f"token    written to {told.written_to} (0600)")
    click.echo(f"config   controllers.{told.controller}{f' at {told.at}' if told.at else ''}:")
    one, *more = told.token_sha256
    click.echo(f"           token_sha256: {f'[{one}, {more[0]}]' if more else one}")
    click.echo("next     agentbroker reload")
    if told.drop:
        click.echo(
            f"then     the old one is {told.drop[:_SHOWN]}…; after {told.drop_after}, when Jenkins has the new one:"
        )
        click.echo(f"           agentbroker token revoke {told.controller} --hash-prefix {told.drop[:_SHOWN]}")


def _short(hashes: tuple[str, ...] | list[str]) -> str:
    return ", ".join(f"{one[:_SHOWN]}…" for one in hashes)
