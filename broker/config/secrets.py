"""Which values are secrets, so that they are told of and never printed."""

import re
from typing import Final

from broker.config.diagnostics import LONGEST_LINE, Diagnostics, Span, lines_of

SECRET_FILE_KEYS: Final = frozenset(
    {
        "key_file",
        "private_key_file",
        "access_key_id_file",
        "access_key_secret_file",
        "secret_access_key_file",
        "session_token_file",
        "security_token_file",
        "password_file",
    }
)
SECRET_KEYS: Final = frozenset(
    {"private_key", "access_key_id", "access_key_secret", "secret_access_key", "security_token", "password"}
)
_TELLING: Final = (
    r"[\w.-]{0,60}(?:passw(?:or)?d|passphrase|pwd|secret|token|credentials?|private_?key|api_?key|access_?key)"
    r"(?:[_.-][\w.-]{0,60})?"
)
_TELLING_NAME: Final = re.compile(_TELLING, re.IGNORECASE)
_HARMLESS: Final = re.compile(
    r".*_file|secret_delivery|secret_prefix|secret_kms_key_id|secret_options|repository_credentials"
    r"|credentials_parameter|credential_specs|tokens",
    re.IGNORECASE,
)
_REFERENCES: Final = frozenset({"secrets", "secret_options", "credentials_parameter"})
"""Keys of references to secrets, where one may put the secret itself by mistake."""
_TELLING_LINE: Final = re.compile(rf"""(?P<key>{_TELLING})["']?\s*:\s+(?P<value>\S.*)""", re.IGNORECASE)
_IN_URL: Final = re.compile(r"""://[^\s/:@]*:(?P<user>[^\s'"]+)@|[?&]\w*password=(?P<query>[^\s&'"]+)""", re.IGNORECASE)
_IN_FLOW: Final = re.compile(r""""[^"]*"?|'[^']*'?|[^,}]*""")
_NOT_SECRET: Final = re.compile(r"""["']?\$\{|["'\[]*[0-9a-f]{64}|[|>&*{]""")

Path = tuple[str | int, ...]


def is_secret(path: Path) -> bool:
    """Whether the value at a known place is a secret: by its key, or as a variable of agents with a telling name."""
    key = str(path[-1])
    return key in SECRET_KEYS or (path[-2:-1] == ("env",) and _tells(key))


def may_be_secret(path: Path) -> bool:
    """Whether a person may have put a secret at `path`, be it where none belongs."""
    return bool(_REFERENCES & set(path[-2:])) or any(_tells(part) for part in path[-2:] if isinstance(part, str))


def _tells(key: str) -> bool:
    return _TELLING_NAME.fullmatch(key) is not None and not _HARMLESS.fullmatch(key)


def mask_lines(text: str, diagnostics: Diagnostics, file: str = "") -> None:
    """Masks what stands behind a telling key, also in a text that is no YAML or where the key is refused."""
    for number, line in enumerate(lines_of(text), start=1):
        if len(line) > LONGEST_LINE:
            continue  # it is not shown
        for match in _IN_URL.finditer(line):
            first, last = match.span(match.lastgroup or 0)
            diagnostics.mask(Span(number, first + 1, number, last + 1, file))
        for match in _TELLING_LINE.finditer(line):
            value = match["value"]
            if _HARMLESS.fullmatch(match["key"]) or _NOT_SECRET.match(value):
                continue
            in_flow = "{" in line[: match.start()]
            length = len(found[0].rstrip()) if in_flow and (found := _IN_FLOW.match(value)) else len(value.rstrip())
            start = match.start("value") + 1
            diagnostics.mask(Span(number, start, number, start + length, file))
