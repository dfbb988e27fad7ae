"""Things that the tests of this room make for themselves: pictures, folders, archives, a server."""

from __future__ import annotations

import hashlib
import threading
import zipfile
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pyarrow as pa
from PIL import Image

from foodvision.data.datasets import Dataset, fetch_dataset, known_dataset
from foodvision.home import Home
from foodvision.progress import SILENT
from foodvision.store import Store


def picture(seed: int, size: tuple[int, int] = (24, 18), mode: str = "RGB") -> Image.Image:
    """Noise: no two seeds give one picture."""
    channels = len(Image.new(mode, (1, 1)).getbands())
    shape = (size[1], size[0], channels) if channels > 1 else (size[1], size[0])
    values = np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)
    return Image.fromarray(values) if mode != "CMYK" else Image.frombytes("CMYK", size, values)


def make_folder(
    root: Path, counts: dict[str, int], *, suffix: str = ".png", first_seed: int = 0
) -> Path:
    """Make `root/<name>/<number>.png` for each `name: count`; names may hold slashes."""
    seed = first_seed
    for name, count in counts.items():
        (root / name).mkdir(parents=True, exist_ok=True)
        for number in range(count):
            picture(seed).save(root / name / f"{number:03d}{suffix}")
            seed += 1
    return root


def make_zip(folder: Path, archive: Path, *, prefix: str = "", **options: object) -> Path:
    with zipfile.ZipFile(archive, "w", **options) as file:  # type: ignore[arg-type]
        for path in sorted(folder.rglob("*")):
            file.write(path, prefix + path.relative_to(folder).as_posix())
    return archive


def make_dataset(labels: list[int], *, sha256: list[str] | None = None, split: str = "train"):
    """A catalogue without files, for what only looks at digests and labels."""
    names = sha256 or [
        hashlib.sha256(str(number).encode()).hexdigest() for number in range(len(labels))
    ]
    table = pa.table(
        {
            "split": [split] * len(labels),
            "path": [f"{number:05d}" for number in range(len(labels))],
            "label": pa.array(labels, pa.int64()),
            "sha256": names[: len(labels)],
        }
    )
    classes = tuple(f"class {label}" for label in range(max(labels, default=0) + 1))
    return Dataset("k" * 64, "d" * 64, classes, table, Path("/nowhere"))


class Counter:
    """A progress that counts the images that were checked."""

    def __init__(self) -> None:
        self.images = 0

    def begin(self, label: str, *, total: float | None, unit: str) -> Counter:
        self._unit = unit
        return self

    def advance(self, amount: float) -> None:
        if self._unit == "images":
            self.images += int(amount)

    def close(self) -> None:
        pass


@dataclass
class Place:
    """A home and a store, with the arguments that most calls share."""

    root: Path

    @property
    def home(self) -> Home:
        return Home(self.root / "home")

    @property
    def store(self) -> Store:
        return Store(self.home.store)

    def fetch(self, source: object, **changes: object) -> Dataset:
        options = {"progress": SILENT, "refresh": False, **self._shared(), **changes}
        return fetch_dataset(str(source), **options)  # type: ignore[arg-type]

    def known(self, source: object, **changes: object) -> Dataset | None:
        return known_dataset(str(source), **{**self._shared(), **changes})  # type: ignore[arg-type]

    def _shared(self) -> dict[str, object]:
        return {
            "store": self.store,
            "home": self.home,
            "base": self.root,
            "split": None,
            "sha256": None,
            "on_bad_image": "fail",
        }


@dataclass
class Web:
    """What the server has, how it behaves, and what it was asked."""

    content: bytes = b""
    etag: str | None = '"1"'
    last_modified: str | None = None
    knows_ranges: bool = True
    sends_length: bool = True
    cut_after: list[int] = field(default_factory=list)  # bytes of each answer, then it hangs up
    statuses: list[int] = field(default_factory=list)  # of the first answers
    retry_after: str | None = None
    url: str = ""
    requests: list[dict[str, str]] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)


class _Handler(BaseHTTPRequestHandler):
    web: Web

    def do_GET(self) -> None:
        self.web.requests.append(dict(self.headers.items()))
        if self.web.statuses:
            self._refuse(self.web.statuses.pop(0))
        elif self._is_unchanged():
            self._refuse(304)
        elif self._start() and self._start() >= len(self.web.content):
            self._refuse(416)
        else:
            self._send(self._start())

    def _refuse(self, status: int) -> None:
        self.web.answers.append(status)
        self.send_response(status)
        if self.web.retry_after is not None:
            self.send_header("Retry-After", self.web.retry_after)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _is_unchanged(self) -> bool:
        asked = self.headers.get("If-None-Match")
        since = self.headers.get("If-Modified-Since")
        return (asked is not None and asked == self.web.etag) or (
            asked is None and since is not None and since == self.web.last_modified
        )

    def _start(self) -> int:
        wanted, condition = self.headers.get("Range"), self.headers.get("If-Range")
        if not wanted or not self.web.knows_ranges:
            return 0
        if condition not in (None, self.web.etag, self.web.last_modified):
            return 0
        return int(wanted.removeprefix("bytes=").partition("-")[0])

    def _send(self, start: int) -> None:
        total = len(self.web.content)
        self.web.answers.append(206 if start else 200)
        self.send_response(206 if start else 200)
        headers = {"ETag": self.web.etag, "Last-Modified": self.web.last_modified}
        if start:
            headers["Content-Range"] = f"bytes {start}-{total - 1}/{total}"
        if self.web.sends_length:
            headers["Content-Length"] = str(total - start)
        for name, value in headers.items():
            if value is not None:
                self.send_header(name, value)
        self.end_headers()
        body = self.web.content[start:]
        self.wfile.write(body[: self.web.cut_after.pop(0)] if self.web.cut_after else body)
        self.close_connection = True

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def serving(web: Web):
    """Serve `web.content` under every path of a loopback address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"web": web}))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    web.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield web
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
