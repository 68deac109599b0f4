"""What a review needs of an ML backend, on this machine only: health, setup, predict, a hint.

The one idea: the server may ask what is thought of a row, and may say that somebody answered. What
it says is a hint and never the news: the news is pulled, as a webhook can be lost and is not
signed. Bodies hold the creator's token, so no body is ever printed or kept.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from curator.annotate import state_of
from curator.annotating_forms import prediction_of
from curator.errors import CuratorError
from curator.versions.store import Store

HOST = "127.0.0.1"
MAX_BYTES = 64 * 2**20
QUIET_S = 2.0
"""A hint waits so long for others, so a burst of answers is one pull."""


class Backend:
    """Answers for one project, from the log as it stands at each request.

    Args:
        store: Holds the log.
        project: Title or number; None: the only one.
        pull: Reads what is new; gives a line to say about it.
        say: Told what happens, in lines without anybody's token.
    """

    def __init__(
        self,
        store: Store,
        project: str | None,
        *,
        pull: Callable[[], str],
        say: Callable[[str], None],
        quiet_s: float = QUIET_S,
    ) -> None:
        self.store, self.project, self.pull, self.say = store, project, pull, say
        self.task = store.head().task
        self.quiet_s = quiet_s
        self._hint = threading.Event()
        self._over = threading.Event()
        self._puller = threading.Thread(target=self._pull_on_hints, daemon=True)

    @property
    def model_version(self) -> str:
        """Name what predictions rest on: the version that the rows were last pushed from."""
        asked = state_of(self.store, self.project).asked.values()
        newest = max(asked, key=lambda one: one.task or 0, default=None)
        return f"curator-{newest.version[:12]}" if newest else "curator"

    def predict(self, tasks: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Give a prediction per task: its worth as the score, and marks where editing is the work.

        A task that was not pushed from here has an empty one.
        """
        asked = state_of(self.store, self.project).asked
        version = self.model_version
        made = []
        for task in tasks:
            one = asked.get(str((task.get("meta") or {}).get("row_id")))
            result = prediction_of(self.task, one.control, one.suggested) if one else []
            score = one.priority if one else 0.0
            made.append({"result": result, "score": score, "model_version": version})
        return made

    def hint(self) -> None:
        """Note that something happened on the server."""
        self._hint.set()

    def start(self) -> None:
        """Begin to pull on hints."""
        self._puller.start()

    def stop(self) -> None:
        """End it, after a pull that is under way."""
        self._over.set()
        self._hint.set()
        self._puller.join()

    def _pull_on_hints(self) -> None:
        while True:
            self._hint.wait()
            if self._over.wait(self.quiet_s):
                return
            self._hint.clear()
            try:
                self.say(self.pull())
            except CuratorError as fault:
                self.say(f"pull failed, the next hint tries again: {fault}")


class BackendServer(ThreadingHTTPServer):
    """The HTTP server of a backend."""

    backend: Backend


class _Handler(BaseHTTPRequestHandler):
    @property
    def backend(self) -> Backend:
        assert isinstance(self.server, BackendServer)
        return self.server.backend

    def do_GET(self) -> None:
        if self.path in ("/", "/health"):
            self._answer(200, {"status": "UP", "model_class": "curator"})
        elif self.path == "/versions":
            self._answer(200, {"versions": [self.backend.model_version]})
        else:
            self._answer(404, {"error": "no such path"})

    def do_POST(self) -> None:
        asked = self._body()
        if asked is None:
            return
        if self.path == "/setup":
            self._answer(200, {"model_version": self.backend.model_version})
        elif self.path == "/predict" and isinstance(tasks := asked.get("tasks"), list):
            self._answer(200, {"results": self.backend.predict(tasks)})
        elif self.path == "/predict":
            self._answer(400, {"error": "expected a list under `tasks`"})
        elif self.path == "/webhook":
            self.backend.hint()
            self._answer(200, {"status": "noted"})
        else:
            self._answer(404, {"error": "no such path"})

    def _body(self) -> dict[str, Any] | None:
        """Read the body; None where it was refused."""
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal() or int(length) > MAX_BYTES:
            self._answer(413, {"error": f"expected a body of at most {MAX_BYTES:,} bytes"})
            return None
        try:
            found = json.loads(self.rfile.read(int(length)) or b"{}")
        except ValueError:
            found = None
        if not isinstance(found, dict):
            self._answer(400, {"error": "expected a JSON object"})
            return None
        return found

    def _answer(self, code: int, value: dict[str, Any]) -> None:
        data = json.dumps(value).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)
        self.close_connection = True

    def log_message(self, *parts: Any) -> None:
        """Say nothing: request lines may carry secrets."""


def server_of(backend: Backend, port: int) -> BackendServer:
    """Make the HTTP server of a backend, on loopback; port 0 takes a free one.

    Raises:
        CuratorError: The port is taken.
    """
    try:
        server = BackendServer((HOST, port), _Handler)
    except OSError as fault:
        raise CuratorError(
            f"{HOST}:{port} cannot be listened on ({fault.strerror}); choose another --port"
        ) from fault
    server.backend = backend
    return server
