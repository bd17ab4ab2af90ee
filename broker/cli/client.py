"""A client of the operators' API for one command: requests with JSON answers, and streams of events.

Only the standard library, as the command line starts fast. Every refusal becomes a `CliError` with its exit code.
"""

import http.client
import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, Final
from urllib.parse import SplitResult, quote, urlencode, urlsplit

from broker.cli.exits import FAILED, NO_SUCH_THING, NOT_REACHABLE, REFUSED, WRONG_USAGE, CliError

_API: Final = "/api/v1"
_ANSWER_S: Final = 30.0
_SILENT_S: Final = 40.0
"""A stream says something every 15 s."""
_CODES: Final[Mapping[int, int]] = {
    400: WRONG_USAGE, 401: REFUSED, 403: REFUSED, 404: NO_SUCH_THING, 409: REFUSED, 413: WRONG_USAGE,
}  # fmt: skip
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})


class Client:
    """Talks to one broker. `url` is where it serves people, such as `http://localhost:7070`."""

    def __init__(self, url: str, token_file: str | None) -> None:
        """Reads the token; raises `CliError` for a URL or a file that cannot be used."""
        self.url = url.rstrip("/")
        parts = _parts(self.url)
        if parts is None or parts.scheme not in {"http", "https"} or not parts.hostname:
            raise CliError(WRONG_USAGE, f"--url {url!r} is no URL", "write it such as --url https://broker.example.com")
        self._parts = parts
        self._headers = {"Accept": "application/json", "User-Agent": "agentbroker-cli"}
        if token_file:
            self._headers["Authorization"] = f"Bearer {_read_token(token_file)}"
            if parts.scheme == "http" and parts.hostname not in _LOOPBACK:
                sys.stderr.write(f"agentbroker: the token travels unencrypted to {parts.hostname}; use https\n")

    def get(self, path: str, **query: Any) -> dict[str, Any]:
        """The answer of a GET; what is None in the query is left out."""
        return self._answer("GET", _with_query(path, query), None)

    def post(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """The answer of a POST."""
        return self._answer("POST", path, json.dumps(body).encode())

    def stream(self, path: str, last_id: int, **query: Any) -> Iterator[tuple[int, str, dict[str, Any]]]:
        """Id, kind and data of each event behind `last_id`; a block with only an id has the kind "" and no data.

        Ends when the connection does, without an error: ask again with the last id.
        """
        headers = {"Accept": "text/event-stream", "Last-Event-ID": str(last_id)}
        with closing(self._connection(_SILENT_S)) as connection:
            response = self._request(connection, "GET", _with_query(path, query), None, headers)
            if response.status != 200:
                raise self._refusal(response.status, _parsed(response.read()))
            try:
                yield from _blocks(response)
            except (OSError, http.client.HTTPException):
                return

    def _answer(self, method: str, path: str, body: bytes | None) -> dict[str, Any]:
        with closing(self._connection(_ANSWER_S)) as connection:
            headers = {"Content-Type": "application/json"} if body is not None else {}
            response = self._request(connection, method, path, body, headers)
            try:
                answer = _parsed(response.read())
            except (OSError, http.client.HTTPException) as error:
                raise self._unreachable(error) from error
        if response.status != 200:
            raise self._refusal(response.status, answer)
        if answer is None:
            raise self._stranger()
        return answer

    def _connection(self, timeout_s: float) -> http.client.HTTPConnection:
        kind = http.client.HTTPSConnection if self._parts.scheme == "https" else http.client.HTTPConnection
        try:
            return kind(self._parts.hostname or "", self._parts.port, timeout=timeout_s)
        except ValueError as error:
            raise CliError(WRONG_USAGE, f"--url {self.url!r}: {error}", "give the URL a port that exists") from error

    def _request(
        self,
        connection: http.client.HTTPConnection,
        method: str,
        path: str,
        body: bytes | None,
        headers: Mapping[str, str],
    ) -> http.client.HTTPResponse:
        try:
            connection.request(method, f"{self._parts.path}{_API}/{path}", body, {**self._headers, **headers})
            return connection.getresponse()
        except (OSError, http.client.HTTPException) as error:
            raise self._unreachable(error) from error

    def _unreachable(self, error: Exception) -> CliError:
        why = getattr(error, "strerror", None) or str(error) or type(error).__name__
        step = "start it (agentbroker serve), or say where it is: --url URL or AGENTBROKER_URL"
        return CliError(NOT_REACHABLE, f"no broker answers at {self.url}: {why}", step)

    def _refusal(self, status: int, answer: dict[str, Any] | None) -> CliError:
        if answer is None or "code" not in answer:
            if status < 500:
                return self._stranger()
            return CliError(FAILED, f"{self.url} could not answer (HTTP {status})", "look at the broker's log")
        step = str(answer.get("hint") or "agentbroker status")
        return CliError(_CODES.get(status, FAILED), str(answer.get("message")), step, str(answer["code"]))

    def _stranger(self) -> CliError:
        step = "look whether --url or AGENTBROKER_URL is right; an older broker has no such API"
        return CliError(FAILED, f"what answers at {self.url} is no agentbroker of this version", step)


def _parts(url: str) -> SplitResult | None:
    try:
        return urlsplit(url)
    except ValueError:
        return None


def path_of(*parts: str) -> str:
    """A path of the API from names, which are quoted."""
    return "/".join(quote(part, safe="", errors="surrogateescape") for part in parts)


def _with_query(path: str, query: Mapping[str, Any]) -> str:
    said = {key: value for key, value in query.items() if value is not None}
    return f"{path}?{urlencode(said, errors='surrogateescape')}" if said else path


def _read_token(path: str) -> str:
    try:
        token = Path(path).read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is no text"
        raise CliError(
            WRONG_USAGE, f"token file {path}: {why}", "name a file with your token: --token-file F"
        ) from error
    if not token or not token.isascii() or not token.isprintable():
        raise CliError(WRONG_USAGE, f"token file {path} holds no token", "write the token into it, and nothing else")
    return token


def _parsed(data: bytes) -> dict[str, Any] | None:
    try:
        answer = json.loads(data)
    except ValueError:
        return None
    return answer if isinstance(answer, dict) else None


def _blocks(lines: http.client.HTTPResponse) -> Iterator[tuple[int, str, dict[str, Any]]]:
    """The blocks of a stream (html.spec.whatwg.org, server-sent events), as far as our broker writes them."""
    fields: dict[str, str] = {}
    for raw in lines:
        line = raw.decode().rstrip("\n")
        if line:
            key, _, value = line.partition(":")
            fields[key] = value.removeprefix(" ")
        elif fields:
            data = json.loads(fields["data"]) if "data" in fields else {}
            yield int(fields.get("id", "0")), fields.get("event", "") if data else "", data
            fields = {}
