"""What all models of the file share."""

import re
from typing import Annotated, Any, ClassVar, Final

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, GetJsonSchemaHandler, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from broker.config.units import pattern_schema, problem

_LABEL: Final = re.compile(r"""[^\s"'()&|!<>,]{1,100}""")
_PATH: Final = re.compile(r"/(?:[A-Za-z0-9._~-]+/)*[A-Za-z0-9._~-]*", re.ASCII)
_NO_USER: Final = r"(?![^/?#\s]*@)"
_USER: Final = re.compile(r"[a-z]+://[^/?#\s]*@")


class Model(BaseModel):
    """A map of the file: unknown keys are errors, nothing is converted silently, a null means the default."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)
    noun: ClassVar[str] = ""
    """What a person calls it, such as `a policy`; empty for a map that is known by its key."""

    @model_validator(mode="before")
    @classmethod
    def _null_is_the_default(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        return {key: value for key, value in data.items() if value is not None or key not in known_keys(cls)}


def known_keys(model: type[BaseModel]) -> dict[str, str]:
    """The keys of a map as the file writes them, with the names of the fields."""
    return {field.alias or name: name for name, field in model.model_fields.items()}


def one_or_more(value: object) -> object:
    """A single text as a list of one."""
    return [value] if isinstance(value, str) else value


class OrOne:
    """In the schema: one item may stand for the list of it."""

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """The list's schema, or that of its items."""
        found = handler(core)
        return {"anyOf": [found, found["items"]]}


class OrText:
    """In the schema: a text may stand for the map."""

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """The map's schema, or a text."""
        return {"anyOf": [handler(core), {"type": "string", "minLength": 1}]}


def _label(value: object) -> object:
    if isinstance(value, str) and not _LABEL.fullmatch(value):
        raise problem("bad-label", f"no label expression can name '{value}'", "leave out spaces and \"'()&|!<>,")
    return value


def _url(value: object) -> object:
    if not isinstance(value, str):
        return value
    scheme, separator, rest = value.partition("://")
    if scheme not in {"http", "https"} or not separator or not rest.strip("/") or any(c.isspace() for c in value):
        raise problem("bad-url", f"expected a URL{_got(value)}", "write it with http:// or https://")
    return _nobodys(value)


def _nobodys(url: str) -> str:
    """Refuses a URL with a user in it: URLs are shown to all who may read."""
    if _USER.match(url):
        message = "a URL must not hold a user or a password: it is shown wherever the config is"
        raise problem("bad-url", message, "leave out what stands before the '@'")
    return url


def _got(url: str) -> str:
    """What stands there, unless it may hold a password."""
    return "" if "@" in url else f", got the text '{url}'"


def _path(value: object) -> object:
    if isinstance(value, str) and (not _PATH.fullmatch(value) or {".", ".."} & set(value.split("/"))):
        message = f"expected the path of a URL, got the text '{value}'"
        raise problem("bad-path", message, "write it such as '/ci/main/': letters, digits and '-._~' between slashes")
    return value


def _scheme_in(*schemes: str) -> BeforeValidator:
    def check(value: object) -> object:
        if isinstance(value, str) and not value.startswith(tuple(f"{s}://" for s in schemes)):
            choices = " or ".join(f"{s}://" for s in schemes)
            raise problem("bad-url", f"expected a URL{_got(value)}", f"begin it with {choices}")
        return _nobodys(value) if isinstance(value, str) else value

    return BeforeValidator(check)


Url = Annotated[
    str, BeforeValidator(_url), pattern_schema(rf"https?://(?=/*[^/]){_NO_USER}\S+", "https://ci.example.com/")
]
AgentUrl = Annotated[
    str,
    _scheme_in("ws", "wss", "http", "https"),
    pattern_schema(rf"(wss?|https?)://{_NO_USER}.*", "wss://agents.ci.example.com"),
]
UrlPath = Annotated[
    str,
    BeforeValidator(_path),
    Field(max_length=200),
    pattern_schema(rf"(?!.*/\.\.?(?:/|$)){_PATH.pattern}", "/ci/main/"),
]
Label = Annotated[str, BeforeValidator(_label), pattern_schema(_LABEL.pattern, "linux")]
MOST: Final = 2**31 - 1
"""What every store and every message can count to."""
Count = Annotated[int, Field(ge=0, le=MOST)]
AtLeastOne = Annotated[int, Field(ge=1, le=MOST)]
Cap = Annotated[int, Field(ge=1, le=1_000_000)]
"""Of nothing at all there is no cap: what is to run nothing is left out."""
Money = Annotated[float, Field(ge=0)]
Cpu = Annotated[float, Field(gt=0, le=4096)]
"""In vCPU."""
Text = Annotated[str, Field(min_length=1)]
