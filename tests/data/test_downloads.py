from __future__ import annotations

import hashlib
import random

import pytest

from foodvision.data import downloads
from foodvision.data.downloads import RetryPolicy, download
from foodvision.errors import DataError

_CONTENT = random.Random(1).randbytes(3_000_000)
_SHA256 = hashlib.sha256(_CONTENT).hexdigest()
_QUICK = RetryPolicy(attempts=3, first_wait_seconds=0.0, longest_wait_seconds=0.0)


class _Watcher:
    def __init__(self):
        self.total, self.seen, self.open = None, 0.0, 0

    def begin(self, label, *, total, unit):
        assert (label, unit) == ("Downloading food.zip", "bytes")
        self.total = total
        self.open += 1
        return self

    def advance(self, amount):
        self.seen += amount

    def close(self):
        self.open -= 1


@pytest.fixture
def fetch(web, folder):
    web.content = _CONTENT

    def call(**options):
        return download(
            f"{web.url}/food.zip",
            folder / "downloads",
            label="food.zip",
            **{"retry": _QUICK, **options},
        )

    return call


def test_a_file_is_fetched_once(fetch, web):
    watcher = _Watcher()
    found = fetch(sha256=_SHA256, progress=watcher)
    assert found.path.read_bytes() == _CONTENT
    assert (found.sha256, found.size, found.etag) == (_SHA256, len(_CONTENT), '"1"')
    assert (watcher.seen, watcher.total, watcher.open) == (len(_CONTENT), len(_CONTENT), 0)
    assert fetch() == found
    assert web.answers == [200]


def test_a_cut_download_goes_on_where_it_stopped(fetch, web):
    web.cut_after = [1_000_000, 500_000]
    watcher = _Watcher()
    assert fetch(progress=watcher).sha256 == _SHA256
    assert web.answers == [200, 206, 206]
    assert [request.get("If-Range") for request in web.requests] == [None, '"1"', '"1"']
    assert web.requests[2]["Range"] == "bytes=1500000-"
    assert watcher.seen == len(_CONTENT)


def test_it_goes_on_in_a_later_process_too(fetch, web):
    web.cut_after = [1_000_000] + [0] * 3
    with pytest.raises(DataError, match="what came so far is kept"):
        fetch()
    assert fetch().sha256 == _SHA256
    assert web.answers[-1] == 206


def test_dates_serve_where_there_is_no_etag(fetch, web):
    web.etag, web.last_modified = None, "Mon, 01 Jan 2024 00:00:00 GMT"
    web.cut_after = [1_000_000]
    assert fetch().sha256 == _SHA256
    assert web.answers == [200, 206]
    assert fetch(refresh=True).sha256 == _SHA256
    assert web.answers == [200, 206, 304]


@pytest.mark.parametrize("etag", ['W/"1"', None])
def test_without_a_strong_validator_it_starts_over(fetch, web, etag):
    web.etag = etag
    web.cut_after = [1_000_000]
    assert fetch().sha256 == _SHA256
    assert web.answers == [200, 200]


def test_a_server_that_ignores_ranges_sends_all_again(fetch, web):
    web.knows_ranges = False
    web.cut_after = [1_000_000]
    watcher = _Watcher()
    assert fetch(progress=watcher).sha256 == _SHA256
    assert web.answers == [200, 200]
    assert watcher.seen == len(_CONTENT)


def test_a_file_that_changed_after_the_cut_is_not_mixed(fetch, web):
    web.cut_after = [1_000_000] + [0] * 3
    with pytest.raises(DataError):
        fetch()
    web.content, web.etag = _CONTENT[::-1], '"2"'
    assert fetch().path.read_bytes() == _CONTENT[::-1]


@pytest.mark.parametrize(("size", "answer"), [(900_000, 416), (2_000_000, 206)])
def test_a_file_of_another_size_is_not_mixed_though_its_etag_is_the_same(fetch, web, size, answer):
    web.cut_after = [1_000_000] + [0] * 3
    with pytest.raises(DataError):
        fetch()
    web.content = _CONTENT[::-1][:size]
    assert fetch().path.read_bytes() == _CONTENT[::-1][:size]
    assert web.answers[-2:] == [answer, 200]


def test_a_refresh_that_finds_nothing_new_moves_no_bytes(fetch, web):
    first = fetch()
    assert fetch(refresh=True) == first
    assert web.answers == [200, 304]


def test_a_refresh_fetches_what_changed(fetch, web):
    fetch()
    web.content, web.etag = b"new", '"2"'
    assert fetch(refresh=True).path.read_bytes() == b"new"
    assert fetch().sha256 == hashlib.sha256(b"new").hexdigest()


def test_a_damaged_copy_is_fetched_anew(fetch, web):
    found = fetch()
    found.path.write_bytes(bytes(len(_CONTENT)))
    assert fetch().path.read_bytes() == _CONTENT
    assert web.answers == [200, 200]


@pytest.mark.parametrize("status", [429, 500, 503])
def test_what_can_heal_is_tried_again(fetch, web, status):
    web.statuses = [status, status]
    assert fetch().sha256 == _SHA256
    assert web.answers == [status, status, 200]


def test_patience_ends(fetch, web):
    web.statuses = [503] * 9
    with pytest.raises(DataError, match="the server answered 503"):
        fetch()
    assert web.answers == [503] * 3


@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_what_cannot_heal_is_not_tried_again(fetch, web, status):
    web.statuses = [status] * 9
    with pytest.raises(DataError, match=f"it answered {status}"):
        fetch()
    assert web.answers == [status]


def test_patience_counts_tries_without_progress(fetch, web):
    web.cut_after = [300_000] * 8  # more cuts than attempts, but each try brings something
    assert fetch().sha256 == _SHA256


def test_waits_double_and_obey_the_server_up_to_a_limit(fetch, web, monkeypatch):
    waits: list[float] = []
    monkeypatch.setattr(downloads.tenacity.nap.time, "sleep", waits.append)
    web.statuses = [503] * 9
    with pytest.raises(DataError):
        fetch(retry=RetryPolicy(attempts=5, first_wait_seconds=1, longest_wait_seconds=5))
    assert waits == [1, 2, 4, 5]
    waits.clear()
    web.retry_after = "3"
    with pytest.raises(DataError):
        fetch(retry=RetryPolicy(attempts=3, first_wait_seconds=1, longest_wait_seconds=5))
    assert waits == [3, 3]


def test_a_wrong_digest_is_an_error_every_time(fetch, web):
    for _ in range(2):
        with pytest.raises(DataError, match=r"must be 0000.*the server sent"):
            fetch(sha256="0" * 64)
    assert web.answers == [200, 304]
    assert fetch(sha256=_SHA256).sha256 == _SHA256


def test_a_body_without_a_length_is_taken_as_it_comes(fetch, web):
    web.sends_length = False
    assert fetch().sha256 == _SHA256


def test_an_unreachable_server_is_an_error_that_helps(folder):
    with pytest.raises(DataError, match="FOODVISION_SOURCES") as caught:
        download("http://127.0.0.1:9/secret", folder / "d", label="food", retry=_QUICK)
    assert "secret" not in str(caught.value)


def test_a_url_that_is_none_is_an_error(folder):
    with pytest.raises(DataError, match="could not be fetched"):
        download("http://[::1", folder / "d", label="food", retry=_QUICK)
