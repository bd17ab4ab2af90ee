"""HTTP to servers on this machine: never through a proxy, always with a time limit."""

import json
import ssl
import urllib.error
import urllib.request
from collections.abc import Mapping
from http.cookiejar import CookieJar
from typing import Any

_TIMEOUT_S = 10.0


class Client:
    """Keeps cookies, which Jenkins' crumbs are bound to."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        """Starts without cookies; `tls` says whom to trust, without it the system's authorities are."""
        handlers = [urllib.request.ProxyHandler({}), urllib.request.HTTPCookieProcessor(CookieJar())]
        if tls is not None:
            handlers.append(urllib.request.HTTPSHandler(context=tls))
        self._opener = urllib.request.build_opener(*handlers)

    def get_json(self, url: str) -> Any:
        """The answer's JSON; raises OSError (an HTTPError among them)."""
        with self._opener.open(url, timeout=_TIMEOUT_S) as reply:
            return json.load(reply)

    def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> bytes:
        """The answer's body; raises OSError (an HTTPError among them)."""
        request = urllib.request.Request(url, data=body, headers=dict(headers), method="POST")  # noqa: S310  # ours
        with self._opener.open(request, timeout=_TIMEOUT_S) as reply:
            return bytes(reply.read())

    def status(self, url: str) -> int:
        """The HTTP status of a GET; 0 if nobody answers."""
        try:
            with self._opener.open(url, timeout=_TIMEOUT_S) as reply:
                return int(reply.status)
        except urllib.error.HTTPError as error:
            return int(error.code)
        except OSError:
            return 0


def get_json(url: str) -> Any:
    """The JSON at a URL; raises OSError."""
    return Client().get_json(url)


def post_json(url: str, value: object) -> Any:
    """Posts JSON and returns the answer's; raises OSError."""
    return json.loads(Client().post(url, json.dumps(value).encode(), {"Content-Type": "application/json"}))


def status(url: str, tls: ssl.SSLContext | None = None) -> int:
    """The HTTP status of a GET; 0 if nobody answers, or nobody who is trusted."""
    return Client(tls).status(url)
