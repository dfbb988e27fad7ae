"""Files from the web: kept, asked for again only when told to, and continued after a cut."""

from __future__ import annotations

import re
import ssl
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import httpx
import tenacity

from foodvision.errors import DataError
from foodvision.files import read_json, write_json
from foodvision.hashing import file_sha256
from foodvision.progress import SILENT, Bar, Progress

if TYPE_CHECKING:
    from pathlib import Path

_RECORD = "download.json"
_CONTENT = "content"
_PART = "part"
_PART_RECORD = "part.json"
_HEALING_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504})
_TIMEOUT = httpx.Timeout(30.0, connect=15.0)
_CONTENT_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")


@dataclass(frozen=True)
class RetryPolicy:
    """How patient a download is.

    Attributes:
        attempts: tries in a row that bring nothing new before it gives up, >= 1.
        first_wait_seconds: before the second try; doubles from then on.
        longest_wait_seconds: never waits longer, whatever the server asks for.
    """

    attempts: int = 5
    first_wait_seconds: float = 0.5
    longest_wait_seconds: float = 30.0


@dataclass(frozen=True)
class Download:
    """A whole file, here.

    Attributes:
        path: where it lies.
        sha256: of its bytes.
        size: in bytes.
        etag: the server's word for this version, if it gave one.
        last_modified: the server's date of this version, if it gave one.
    """

    path: Path
    sha256: str
    size: int
    etag: str | None
    last_modified: str | None


class _HealableError(Exception):
    """A failure that another try may not meet."""

    def __init__(self, reason: str, *, wait_seconds: float | None = None) -> None:
        super().__init__(reason)
        self.wait_seconds = wait_seconds


def download(
    url: str,
    folder: Path,
    *,
    label: str,
    sha256: str | None = None,
    refresh: bool = False,
    progress: Progress = SILENT,
    retry: RetryPolicy | None = None,
) -> Download:
    """Fetch a file, or find it fetched.

    What was cut off continues where it stopped (HTTP ranges), also in a later process, as long
    as the server still has the same version (ETag or Last-Modified). Only what can heal is tried
    again: lost connections, time-outs, and the statuses 408, 425, 429 and 5xx.

    Args:
        url: http or https.
        folder: of this URL alone; holds the file, its record, and what came so far.
        label: what messages and the progress call the file (a URL may hold a secret).
        sha256: what the file must have; None takes what comes.
        refresh: ask the server whether a file that is here has changed.
        progress: told of bytes.
        retry: how patient to be.

    Raises:
        DataError: the server refuses, stays out of reach, sends something incomplete, or the
            file has another sha256.
    """
    folder.mkdir(parents=True, exist_ok=True)
    whole = _find_whole(folder)
    if whole is not None and not refresh and (sha256 is None or whole.sha256 == sha256):
        return whole
    transfer = _Transfer(url, folder, label, whole, progress)
    fetched = _persist(transfer, retry or RetryPolicy())
    if sha256 is not None and fetched.sha256 != sha256:
        raise DataError(
            f"{label}: the file's sha256 must be {sha256}, the server sent {fetched.sha256} "
            f"({fetched.size:,} bytes). If the publisher changed the file on purpose, put the new "
            "sha256 into the plan; otherwise do not trust it."
        )
    return fetched


def _persist(transfer: _Transfer, policy: RetryPolicy) -> Download:
    retrying = tenacity.Retrying(
        retry=tenacity.retry_if_exception(_can_heal),
        wait=lambda state: _wait_seconds(state, transfer, policy),
        stop=lambda _: transfer.fruitless >= policy.attempts,
        reraise=True,
    )
    try:
        return retrying(transfer.attempt)
    except (_HealableError, httpx.HTTPError, httpx.InvalidURL) as error:
        reason = str(error) or type(error).__name__
        raise DataError(
            f"{transfer.label}: could not be fetched ({reason}). Check the address and the "
            "network and run again: what came so far is kept. Without a network, put a file of "
            "the same name into the folder that FOODVISION_SOURCES names."
        ) from error
    finally:
        transfer.close()


def _can_heal(error: BaseException) -> bool:
    if isinstance(error, httpx.UnsupportedProtocol) or _is_certificate_failure(error):
        return False
    return isinstance(error, (_HealableError, httpx.TransportError))


def _is_certificate_failure(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return True
        error = error.__cause__ or error.__context__
    return False


def _wait_seconds(
    state: tenacity.RetryCallState, transfer: _Transfer, policy: RetryPolicy
) -> float:
    error = state.outcome.exception() if state.outcome is not None else None
    asked = error.wait_seconds if isinstance(error, _HealableError) else None
    doubled = policy.first_wait_seconds * 2.0 ** max(transfer.fruitless - 1, 0)
    return min(max(doubled, asked or 0), policy.longest_wait_seconds)


class _Transfer:
    """One file on its way; each attempt goes on from what the earlier ones left."""

    def __init__(
        self, url: str, folder: Path, label: str, whole: Download | None, progress: Progress
    ) -> None:
        self.label = label
        self.fruitless = 0
        self._url = url
        self._folder = folder
        self._part = folder / _PART
        self._whole = whole
        self._progress = progress
        self._bar: Bar | None = None
        self._shown = 0
        self._furthest = self._part.stat().st_size if self._part.is_file() else 0

    def attempt(self) -> Download:
        """Try once.

        Raises:
            _HealableError: another try may succeed.
            httpx.HTTPError: the connection failed.
            DataError: the server will not give the file.
            OSError: the disk will not take it.
        """
        self.fruitless += 1
        headers, offset = self._request_headers()
        with (
            httpx.Client(follow_redirects=True, timeout=_TIMEOUT) as client,
            client.stream("GET", self._url, headers=headers) as response,
        ):
            if response.status_code == httpx.codes.NOT_MODIFIED and self._whole is not None:
                return self._whole
            self._check_status(response)
            facts = self._begin_part(response, offset)
            self._receive(response, facts)
        return self._keep(facts)

    def close(self) -> None:
        """End the progress."""
        if self._bar is not None:
            self._bar.close()

    def _request_headers(self) -> tuple[dict[str, str], int]:
        headers = {"Accept-Encoding": "identity"}  # ranges count the file's own bytes
        part = _read_record(self._folder / _PART_RECORD)
        validator = part.get("validator")
        offset = self._part.stat().st_size if validator and self._part.is_file() else 0
        if offset:
            headers |= {"Range": f"bytes={offset}-", "If-Range": str(validator)}
        elif self._whole is not None and self._whole.etag:
            headers["If-None-Match"] = self._whole.etag
        elif self._whole is not None and self._whole.last_modified:
            headers["If-Modified-Since"] = self._whole.last_modified
        return headers, offset

    def _check_status(self, response: httpx.Response) -> None:
        status = f"{response.status_code} {response.reason_phrase}".strip()
        if response.status_code == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE:
            self._drop_part()
            raise _HealableError(f"the server answered {status}")
        if response.status_code in _HEALING_STATUS:
            wait = response.headers.get("Retry-After", "")
            raise _HealableError(
                f"the server answered {status}",
                wait_seconds=float(wait) if wait.isdecimal() else None,
            )
        if response.status_code not in (httpx.codes.OK, httpx.codes.PARTIAL_CONTENT):
            raise DataError(
                f"{self.label}: the server must send the file, it answered {status}. "
                "Check the address (open it in a browser), or your right to read it."
            )

    def _begin_part(self, response: httpx.Response, offset: int) -> dict[str, Any]:
        """Make `part` hold exactly what precedes the response's body."""
        if response.status_code == httpx.codes.PARTIAL_CONTENT:
            facts = _read_record(self._folder / _PART_RECORD)
            if not _continues(response.headers.get("Content-Range", ""), offset, facts):
                self._drop_part()
                raise _HealableError("the server sent another range than it was asked for")
        else:
            self._drop_part()
            facts = _facts(response)
            write_json(self._folder / _PART_RECORD, facts)
        if self._bar is None:
            self._bar = self._progress.begin(
                f"Downloading {self.label}", total=facts["size"], unit="bytes"
            )
        return facts

    def _receive(self, response: httpx.Response, facts: dict[str, Any]) -> None:
        with self._part.open("ab") as file:
            self._show(file.tell())
            for chunk in response.iter_raw():  # as they come: a cut loses nothing
                file.write(chunk)
                self._show(file.tell())
        received = self._part.stat().st_size
        if facts["size"] is not None and received != facts["size"]:
            if received > facts["size"]:
                self._drop_part()
            raise _HealableError(f"{received:,} of {facts['size']:,} bytes came")

    def _show(self, position: int) -> None:
        if self._bar is not None and position != self._shown:
            self._bar.advance(position - self._shown)
            self._shown = position
        if position > self._furthest:
            self._furthest = position
            self.fruitless = 0

    def _drop_part(self) -> None:
        self._part.unlink(missing_ok=True)
        (self._folder / _PART_RECORD).unlink(missing_ok=True)

    def _keep(self, facts: dict[str, Any]) -> Download:
        """Turn the part into the file; a record says that the file is whole, so it comes last."""
        (self._folder / _RECORD).unlink(missing_ok=True)
        path = self._folder / _CONTENT
        self._part.replace(path)
        kept = Download(
            path=path,
            sha256=file_sha256(path),
            size=path.stat().st_size,
            etag=facts["etag"],
            last_modified=facts["last_modified"],
        )
        write_json(self._folder / _RECORD, {**asdict(kept), "path": path.name})
        (self._folder / _PART_RECORD).unlink(missing_ok=True)
        return kept


def _facts(response: httpx.Response) -> dict[str, Any]:
    etag = response.headers.get("ETag")
    last_modified = response.headers.get("Last-Modified")
    length = response.headers.get("Content-Length", "")
    is_strong = etag is not None and not etag.startswith("W/")
    return {
        "etag": etag,
        "last_modified": last_modified,
        # a weak ETag does not promise equal bytes: RFC 9110, 13.1.5
        "validator": etag if is_strong else last_modified,
        "size": int(length) if length.isdecimal() else None,
    }


def _continues(content_range: str, offset: int, facts: dict[str, Any]) -> bool:
    """Say whether an answer goes on from `offset` in a file of the size that was announced."""
    match = _CONTENT_RANGE.match(content_range)
    if match is None or int(match[1]) != offset:
        return False
    return match[2] == "*" or facts["size"] in (None, int(match[2]))


def _find_whole(folder: Path) -> Download | None:
    record, path = _read_record(folder / _RECORD), folder / _CONTENT
    if not path.is_file() or path.stat().st_size != record.get("size"):
        return None
    if file_sha256(path) != record.get("sha256"):
        return None  # damaged on this disk: fetch it anew
    return Download(**{**record, "path": path})


def _read_record(path: Path) -> dict[str, Any]:
    """Read a small record; one that is missing or damaged says nothing."""
    value = read_json(path)
    return value if isinstance(value, dict) else {}
