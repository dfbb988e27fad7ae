from __future__ import annotations

import hashlib
import os
import threading
import urllib.request
from http.server import BaseHTTPRequestHandler, HTTPServer
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
import torch
from safetensors.torch import save_file

from foodvision.errors import ModelError
from foodvision.hashing import file_sha256
from foodvision.models.weights import (
    RANDOM,
    _entry_with_digest,
    _fetch,
    entry_transform,
    find_weights,
    read_state,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from torch import Tensor

SMALL = "shufflenet_v2_x0_5"


def test_none_is_random(tmp_path: Path) -> None:
    assert find_weights("mlp", "none", base=tmp_path) == RANDOM


def test_a_file_is_found_from_the_base_and_digested(stock_file: Path) -> None:
    found = find_weights(SMALL, stock_file.name, base=stock_file.parent)
    assert found.path == stock_file
    assert found.sha256 == hashlib.sha256(stock_file.read_bytes()).hexdigest()
    assert found.entry is None
    again = find_weights(SMALL, str(stock_file), base=stock_file, sha256=found.sha256.upper())
    assert again == found


def test_a_variable_in_a_path_is_filled_in(
    stock_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FOOD_WEIGHTS", str(stock_file.parent))
    path = "${FOOD_WEIGHTS}/stock weights.pth"
    assert find_weights(SMALL, path, base=stock_file).path == stock_file


def test_default_is_found_in_the_hub(
    place_in_hub: Callable[[str, dict[str, Tensor]], Path],
    stock_state: dict[str, Tensor],
    tmp_path: Path,
) -> None:
    path = place_in_hub(SMALL, stock_state)
    for name in ("DEFAULT", "IMAGENET1K_V1"):
        found = find_weights(SMALL, name, base=tmp_path)
        assert (found.path, found.entry) == (path, "IMAGENET1K_V1")
        assert found.sha256 == file_sha256(path)


def test_a_file_with_a_published_digest_is_that_entry() -> None:
    assert _entry_with_digest("mobilenet_v2", "b0353104" + "0" * 56) == "IMAGENET1K_V1"
    assert _entry_with_digest("mobilenet_v2", "b0353105" + "0" * 56) is None
    assert _entry_with_digest("mlp", "0" * 64) is None


def test_digests_are_remembered_until_the_file_changes(stock_file: Path, tmp_path: Path) -> None:
    cache = tmp_path / "facts"
    first = find_weights(SMALL, str(stock_file), base=tmp_path, cache=cache)
    (kept,) = cache.iterdir()
    kept.write_text("f" * 64)
    assert find_weights(SMALL, str(stock_file), base=tmp_path, cache=cache).sha256 == "f" * 64
    stock_file.write_bytes(stock_file.read_bytes() + b" ")
    changed = find_weights(SMALL, str(stock_file), base=tmp_path, cache=cache).sha256
    assert changed not in (first.sha256, "f" * 64)
    assert changed == file_sha256(stock_file)


@pytest.mark.parametrize(
    ("arch", "weights", "sha256", "message"),
    [
        ("resnet81", "none", None, "found 'resnet81'. Did you mean resnet18"),
        ("mlp", "none", "0" * 64, "weights_sha256 checks a file, but model.weights is none"),
        ("mlp", "DEFAULT", None, "mlp is our own network, without published weights"),
        (SMALL, "IMAGENET1K_V7", None, "Did you mean IMAGENET1K_V1"),
        (SMALL, "not here.pth", None, "found no file at .*not here.pth.*--set"),
        (SMALL, "./", None, "found no file at"),
        (SMALL, "${NO_SUCH_VARIABLE}/a.pth", None, "NO_SUCH_VARIABLE, which is not set.*--set"),
        (SMALL, "it's a file/stock weights.pth", "0" * 64, "sha256 must be 0{64}, found [0-9a-f]"),
    ],
)
def test_weights_that_cannot_be_found(
    arch: str,
    weights: str,
    sha256: str | None,
    message: str,
    stock_file: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("NO_SUCH_VARIABLE", raising=False)
    with pytest.raises(ModelError, match=message):
        find_weights(arch, weights, base=stock_file.parent.parent, sha256=sha256)


def test_default_without_a_network_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(urllib.request, "_opener", None)
    for name in ("https_proxy", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")  # nobody listens
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(ModelError, match=r"must be at .*download that file and put it there") as it:
        find_weights(SMALL, "DEFAULT", base=tmp_path)
    monkeypatch.setattr(urllib.request, "_opener", None)
    folder = tmp_path / "hub" / "checkpoints"
    assert str(folder / "shufflenetv2_x0.5-f707e7126e.pth") in str(it.value)
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("is_whole", [True, False])
def test_a_download_is_whole_or_not_there(
    is_whole: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = b"weights"
    sent = content if is_whole else content[:3]

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(sent)))
            self.end_headers()
            self.wfile.write(sent)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            pass

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    name = f"net-{hashlib.sha256(content).hexdigest()[:8]}.pth"
    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.handle_request).start()
        entry = SimpleNamespace(url=f"http://127.0.0.1:{server.server_port}/{name}", name="V1")
        if is_whole:
            assert _fetch(entry, "net").read_bytes() == content
        else:
            with pytest.raises(ModelError, match=r"V1 of net .*invalid hash value"):
                _fetch(entry, "net")
    expected = [name] if is_whole else []
    assert [path.name for path in (tmp_path / "hub" / "checkpoints").iterdir()] == expected


def test_both_kinds_of_files_are_read(stock_state: dict[str, Tensor], tmp_path: Path) -> None:
    torch.save(stock_state, tmp_path / "a.pth")
    save_file(stock_state, tmp_path / "a.safetensors")
    for name in ("a.pth", "a.safetensors"):
        state = read_state(tmp_path / name)
        assert state.keys() == stock_state.keys()
        assert all(torch.equal(state[key], value) for key, value in stock_state.items())


class _Bomb:
    def __init__(self, victim: Path) -> None:
        self.victim = victim

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.victim),)


def test_a_pickle_bomb_does_not_go_off(tmp_path: Path) -> None:
    path = tmp_path / "bomb.pth"
    torch.save({"weight": _Bomb(tmp_path / "boom")}, path)
    with pytest.raises(ModelError, match="pickle that is damaged or would run code"):
        read_state(path)
    assert not (tmp_path / "boom").exists()


def _truncated(path: Path) -> None:
    torch.save({"weight": torch.zeros(1000)}, path)
    path.write_bytes(path.read_bytes()[:2000])


@pytest.mark.parametrize(
    ("name", "write", "message"),
    [
        ("empty.pth", lambda path: path.write_bytes(b""), "cannot be read"),
        ("text.pth", lambda path: path.write_text("hello"), "cannot be read"),
        ("cut.pth", _truncated, "cannot be read"),
        ("text.safetensors", lambda path: path.write_text("hello, world"), "cannot be read"),
        ("list.pth", lambda path: torch.save([1, 2], path), "found a list. Save the state dict"),
        ("none.pth", lambda path: torch.save({}, path), "a mapping with nothing in it"),
        (
            "checkpoint.pth",
            lambda path: torch.save({"model": {}, "epoch": 3}, path),
            "a mapping with epoch, model. Save the state dict alone",
        ),
        ("numbered.pth", lambda path: torch.save({1: torch.zeros(1)}, path), "a mapping with 1"),
    ],
)
def test_files_that_hold_no_weights_are_refused(
    name: str, write: Callable[[Path], object], message: str, tmp_path: Path
) -> None:
    write(tmp_path / name)
    with pytest.raises(ModelError, match=message):
        read_state(tmp_path / name)


def test_an_entry_knows_its_transform() -> None:
    assert entry_transform("efficientnet_b0", "DEFAULT") == {
        "size": 224,
        "resize_to": 256,
        "interpolation": "bicubic",
        "channels": 3,
        "mean": [0.485, 0.456, 0.406],
        "std": [0.229, 0.224, 0.225],
    }
    assert entry_transform("mobilenet_v2", "IMAGENET1K_V2")["resize_to"] == 232


@pytest.mark.parametrize("weights", ["none", "folder/file.pth", None])
def test_other_weights_know_none(weights: str | None) -> None:
    with pytest.raises(ModelError, match="transform: auto takes the transform of weights"):
        entry_transform("efficientnet_b0", weights)
