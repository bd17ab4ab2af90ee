"""A container engine whose disk is full: it lists nothing, and whatever it is asked to make it has no room for."""

import json
import threading
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingUnixStreamServer
from types import TracebackType
from typing import Final, Self

WORDS: Final = "create container storage: write /var/lib/containers/layers.json: no space left on device"


class FullEngine:
    """Speaks the engine's API on a Unix socket while it is entered; `asked` counts what it was to make."""

    def __init__(self, socket: Path) -> None:
        self.address = f"unix://{socket}"
        self.asked = 0
        engine = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                is_list = "/containers/json" in self.path
                is_known = is_list or self.path.endswith("/version")
                body: object = [] if is_list else {"ApiVersion": "1.41", "Version": "5"}
                self._answer(200 if is_known else 404, body if is_known else {"message": "no such container"})

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                engine.asked += "/containers/create" in self.path
                self._answer(500, {"message": WORDS})

            def do_DELETE(self) -> None:
                self._answer(404, {"message": "no such container"})

            def _answer(self, status: int, body: object) -> None:
                text = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def address_string(self) -> str:
                return "unix"

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingUnixStreamServer(str(socket), Handler)
        self._server.daemon_threads = True

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
