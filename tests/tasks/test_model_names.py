from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from foodvision.errors import WarehouseError
from tasks.model_names import find_result, link_names, split_epoch, split_plan
from tasks.ranking import first_result
from warehouse.reading import Result

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("demo:best@epoch-10", ("demo:best", 10)),
        ("@epoch-3", ("best", 3)),
        ("demo:best", ("demo:best", None)),
        ("mlp@epoch-0", ("mlp@epoch-0", None)),
        ("ピザ · 5@epoch-5", ("ピザ · 5", 5)),
    ],
)
def test_an_epoch_follows_a_name(name: str, parts: tuple[str, int | None]) -> None:
    assert split_epoch(name) == parts


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("demo:best", ("demo", "best")),
        ("demo/latest", ("demo", "latest")),
        ("best", ("", "best")),
        ("demo/mlp", ("", "demo/mlp")),
    ],
)
def test_a_plan_precedes_a_name(name: str, parts: tuple[str, str]) -> None:
    assert split_plan(name) == parts


def _save(folder: Path, name: str, *suffixes: str) -> Path:
    for suffix in suffixes:
        (folder / f"{name}{suffix}").write_text(name)
    return folder / f"{name}{suffixes[0]}"


def _links(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.iterdir() if path.is_symlink()}


def test_a_label_never_takes_the_place_of_a_saved_model(tmp_path: Path) -> None:
    saved = _save(tmp_path, "mlp-11111111", ".pth", ".json")
    other = _save(tmp_path, "mlp-11111111-22222222", ".pth", ".json")
    link_names(tmp_path, {"mlp": saved, "mlp-11111111": other}, best=other, latest=saved)
    assert (saved.is_symlink(), saved.read_text()) == (False, "mlp-11111111")
    assert _links(tmp_path)["best.pth"] == "mlp-11111111-22222222"


def test_links_follow_what_is_saved(tmp_path: Path) -> None:
    old = _save(tmp_path, "mlp-11111111", ".pth", ".json")
    link_names(tmp_path, {"mlp": old}, best=old, latest=old)
    new = _save(tmp_path, "mlp-22222222", ".pth", ".json")
    mean = _save(tmp_path, "mean-33333333", ".json")
    link_names(tmp_path, {"mlp": new, "mean": mean}, best=mean, latest=None)
    assert _links(tmp_path) == {
        "mlp.pth": "mlp-22222222",
        "mlp.json": "mlp-22222222",
        "mean.json": "mean-33333333",
        "best.json": "mean-33333333",  # an ensemble is a card: no best.pth
    }
    moved = tmp_path.rename(tmp_path.with_name("moved"))
    assert _links(moved)["best.json"] == "mean-33333333"


def test_labels_that_are_one_file_name_have_no_link(tmp_path: Path) -> None:
    one, two = (_save(tmp_path, f"a-b-{n * 8}", ".pth", ".json") for n in "12")
    link_names(tmp_path, {"a b": one, "a-b": two}, best=one, latest=two)
    assert {name.partition(".")[0] for name in _links(tmp_path)} == {"best", "latest"}


def test_where_there_are_no_links_files_are_copied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> None:
        raise OSError(1314, "A required privilege is not held by the client")

    monkeypatch.setattr("pathlib.Path.symlink_to", refused)
    for name in ("mlp-11111111", "mlp-22222222"):
        saved = _save(tmp_path, name, ".pth", ".json")
        link_names(tmp_path, {"mlp": saved}, best=saved, latest=None)
        assert (tmp_path / "best.pth").read_text() == name
    assert not list(tmp_path.glob(".*"))


def test_a_link_is_called_what_it_leads_to(tmp_path: Path) -> None:
    saved = _save(tmp_path, "mlp-11111111", ".pth", ".json")
    link_names(tmp_path, {"mlp": saved}, best=saved, latest=saved)
    result = Result("demo", "mlp", "cell", "1" * 64, "run", str(saved), 0.9, "completed")
    assert find_result(str(tmp_path / "best.pth"), [result], best=()) is result
    assert find_result("demo/best", [result], best={"1" * 64}) is result
    unsaved = Result("other", "mlp", "cell", "1" * 64, "run", None, 0.9, "completed")
    assert find_result("mlp", [unsaved, result], best=()) is result
    with pytest.raises(WarehouseError, match="no result is called 'demo/worst'"):
        find_result("demo/worst", [result], best=())


def test_a_label_means_its_latest_result_in_a_plan() -> None:
    new, old, other = (
        Result(plan, "mlp · 5 epochs", "cell", letter * 64, "run", None, 0.9, "completed")
        for plan, letter in (("demo", "2"), ("demo", "1"), ("other", "3"))
    )
    for name in ("mlp · 5 epochs", "demo:mlp · 5 epochs", "mlp", "demo:5 mlp"):
        assert find_result(name, [new, old], best=()) is new
    assert find_result("demo:mlp", [other, new, old], best=()) is new
    assert find_result("111111", [new, old], best=()) is old
    hint = "2 results are called 'mlp'; it may mean 'other:mlp · 5 epochs', 'demo:mlp · 5 epochs'"
    with pytest.raises(WarehouseError, match=hint):
        find_result("mlp", [other, new, old], best=())


def test_the_latest_is_the_latest_that_did_not_diverge() -> None:
    wild, tame = (
        Result("demo", status, status, letter * 64, "run", None, None, status)
        for status, letter in (("diverged", "1"), ("completed", "2"))
    )
    assert find_result("demo:latest", [wild, tame], best=()) is tame
    assert find_result("demo:diverged", [wild, tame], best=()) is wild
    with pytest.raises(WarehouseError, match="no result is called 'latest'"):
        find_result("latest", [wild], best=())


@pytest.mark.parametrize(
    ("ranks", "keys"), [([1, 1, 3], {"0"}), ([1], {"0"}), ([None, None], set()), ([], set())]
)
def test_of_seeds_that_share_the_first_place_one_is_the_best(
    ranks: list[int | None], keys: set[str]
) -> None:
    board = [{"rank": rank, "result_key": str(place)} for place, rank in enumerate(ranks)]
    assert first_result(board) == keys
