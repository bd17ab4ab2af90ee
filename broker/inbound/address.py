"""Where a controller's HTTP lives."""

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

_DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpBase:
    """A base URL in its parts; `path` begins and ends with a slash."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def secure(self) -> bool:
        """Whether TLS is spoken."""
        return self.scheme == "https"

    @property
    def authority(self) -> str:
        """The value of a `Host` header: the port only where it is not the scheme's own."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def origin(self) -> str:
        """The value of an `Origin` header."""
        return f"{self.scheme}://{self.authority}"


def parse_base(url: str) -> HttpBase:
    """Takes a base URL apart and adds a missing final slash. Raises ValueError for anything but http and https."""
    parts = urlsplit(url)
    if parts.scheme not in _DEFAULT_PORTS or not parts.hostname:
        raise ValueError(f"{url!r} is not an http or https URL")
    if parts.query or parts.fragment or parts.username is not None or not re.fullmatch(r"[\x21-\x7e]*", parts.path):
        raise ValueError(f"{url!r} has a part that a base URL cannot have")
    path = parts.path if parts.path.endswith("/") else parts.path + "/"
    port = parts.port or _DEFAULT_PORTS[parts.scheme]
    return HttpBase(scheme=parts.scheme, host=parts.hostname, port=port, path=path)
