"""HTTP to servers on this machine: never through a proxy, always with a time limit."""

import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from http.cookiejar import CookieJar
from typing import Any

_TIMEOUT_S = 10.0


class Client:
    """Keeps cookies, which Jenkins' crumbs are bound to."""

    def __init__(self) -> None:
        """Starts without cookies."""
        no_proxy = urllib.request.ProxyHandler({})
        self._opener = urllib.request.build_opener(no_proxy, urllib.request.HTTPCookieProcessor(CookieJar()))

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


def status(url: str) -> int:
    """The HTTP status of a GET; 0 if nobody answers."""
    return Client().status(url)
