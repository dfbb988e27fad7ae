"""A receiver of webhooks on the loopback address, that answers as it is told."""

from __future__ import annotations

import json
import socket
import threading
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

SECRET = "/services/T00/B00/quite-secret"


@dataclass
class Receiver:
    """What came in.

    Attributes:
        port: where it listens.
        status: what it answers.
        most: how many requests it answers so at most; any other is told to come later.
        got: the body of each request that it answered well.
        keys: their header `Idempotency-Key`.
        refused: number of requests that it answered otherwise.
    """

    port: int
    status: int = 200
    most: int | None = None
    got: list[dict[str, Any]] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    refused: int = 0

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}{SECRET}"

    def cells(self) -> list[tuple[str, str]]:
        """Return rule and cell of each alert, sorted."""
        return sorted((each["rule"], each["cell"]) for each in self.got)


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])


@contextmanager
def receiving(port: int = 0) -> Iterator[Receiver]:
    """Receive as long as the `with` block lasts."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            is_full = receiver.most is not None and len(receiver.got) >= receiver.most
            status = 503 if is_full else receiver.status
            if status == 200 and self.path == SECRET:
                receiver.got.append(body)
                receiver.keys.append(self.headers["Idempotency-Key"])
            else:
                receiver.refused += 1
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    server.daemon_threads = True
    receiver = Receiver(server.server_address[1])
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def dripping() -> Iterator[str]:
    """Give the address of one who answers a byte at a time, and never ends."""
    is_over = threading.Event()

    def answer() -> None:
        with suppress(OSError):
            connection, _ = listening.accept()
            with connection:
                connection.sendall(b"HTTP/1.1 200 OK\r\nX-Slow: ")
                while not is_over.wait(0.02):
                    connection.sendall(b"x")

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=answer)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}/"
        finally:
            is_over.set()
            listening.shutdown(socket.SHUT_RDWR)
            thread.join()
