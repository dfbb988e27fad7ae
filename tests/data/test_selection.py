from __future__ import annotations

import hashlib
from collections import Counter

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from foodvision.data.selection import select, set_aside
from foodvision.errors import DataError
from tests.data.makers import make_dataset

_LABELS = st.lists(st.integers(0, 3), min_size=8, max_size=120).filter(
    lambda labels: min(Counter(labels).values()) >= 2 and len(set(labels)) >= 2
)


def _rows(selection) -> set[int]:
    return set(selection.rows.tolist())


def _try(dataset, part, **options):
    try:
        return select(dataset, part, **options)
    except DataError:
        assume(False)


@given(_LABELS, st.data())
def test_a_smaller_choice_is_part_of_a_larger_one(labels, data):
    dataset = make_dataset(labels)
    sizes = sorted(data.draw(st.tuples(st.integers(4, len(labels)), st.integers(4, len(labels)))))
    small, large = (_try(dataset, "train", count=size) for size in sizes)
    assert len(small) == sizes[0]
    assert _rows(small) <= _rows(large)


@given(_LABELS, st.floats(0.05, 1), st.floats(0.05, 1))
def test_fractions_and_counts_nest_in_each_other(labels, one, other):
    dataset = make_dataset(labels)
    small, large = (_try(dataset, "train", fraction=share) for share in sorted((one, other)))
    counted = select(dataset, "train", count=len(small))
    assert _rows(small) <= _rows(large)
    assert counted.digest == small.digest


@given(_LABELS, st.floats(0.05, 1))
def test_classes_keep_their_proportions(labels, fraction):
    chosen = _try(make_dataset(labels), "train", fraction=fraction)
    counts, totals = Counter(chosen.labels.tolist()), Counter(labels)
    for label, total in totals.items():
        # divisor methods may leave the quota, by one seat in practice
        assert abs(counts[label] - total * len(chosen) / len(labels)) <= 1.5


@given(_LABELS, st.floats(0.1, 0.6), st.floats(0.1, 1))
def test_valid_is_disjoint_and_does_not_depend_on_the_fraction(labels, valid, fraction):
    dataset = make_dataset(labels)
    aside = _try(dataset, "valid", valid=valid)
    rest = select(dataset, "train", valid=valid)
    part = _try(dataset, "train", valid=valid, fraction=fraction)
    assert _rows(aside) | _rows(rest) == set(range(len(labels)))
    assert not _rows(aside) & _rows(rest)
    assert _rows(part) <= _rows(rest)
    assert select(dataset, "valid", valid=valid, fraction=fraction).digest == aside.digest
    for label, total in Counter(labels).items():
        assert abs(Counter(aside.labels.tolist())[label] - valid * total) <= 0.5 + 1e-9


@given(_LABELS, st.randoms(use_true_random=False), st.booleans())
def test_the_order_of_the_catalogue_does_not_matter(labels, random, with_valid):
    digests = [hashlib.sha256(str(number).encode()).hexdigest() for number in range(len(labels))]
    order = list(range(len(labels)))
    random.shuffle(order)
    options = {"valid": 0.3 if with_valid else 0, "fraction": 0.5}
    one = _try(make_dataset(labels, sha256=digests), "train", **options)
    shuffled = make_dataset(
        [labels[place] for place in order], sha256=[digests[place] for place in order]
    )
    assert select(shuffled, "train", **options).digest == one.digest


@settings(max_examples=50)
@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 1)), min_size=12, max_size=60))
def test_equal_images_lie_on_one_side_of_valid(pairs):
    labels = [label for _, label in pairs]
    assume(set(labels) == {0, 1})
    digests = [hashlib.sha256(f"{image}-{label}".encode()).hexdigest() for image, label in pairs]
    dataset = make_dataset(labels, sha256=digests)
    aside = _try(dataset, "valid", valid=0.4)
    rest = select(dataset, "train", valid=0.4)
    assert not set(aside.sha256) & set(rest.sha256)
    assert aside.sha256
    assert rest.sha256


def test_rows_point_at_what_the_selection_says():
    dataset = make_dataset([0, 1] * 20)
    chosen = select(dataset, "train", fraction=0.5)
    table = dataset.table.take(chosen.rows)
    assert table.column("sha256").to_pylist() == list(chosen.sha256)
    assert table.column("label").to_pylist() == chosen.labels.tolist()
    assert list(chosen.sha256) == sorted(chosen.sha256)
    assert chosen.rows.dtype == chosen.labels.dtype == np.int64
    assert (chosen.part, chosen.dataset, len(chosen)) == ("train", dataset.key, 20)


def test_shares_are_pinned():
    # what trained models were chosen by: changing a salt orphans every result of every user
    dataset = make_dataset([0, 1, 2] * 10)
    digests = [
        select(dataset, "train").digest,
        select(dataset, "train", fraction=0.5).digest,
        select(dataset, "valid", valid=0.2).digest,
    ]
    assert [digest[:12] for digest in digests] == PINNED


PINNED = ["c4ebb4b4e6a6", "17941d9e7e38", "4b25473ce1dc"]


def test_valid_is_another_choice_than_the_test_split():
    dataset = make_dataset([0, 1] * 50)
    sha256 = np.asarray(dataset.table.column("sha256").to_pylist())
    labels = np.array([0, 1] * 50)
    chosen = [
        set_aside(sha256, labels, 0.5, salt=salt, classes=("a", "b"), name="x").tolist()
        for salt in ("one", "two")
    ]
    assert chosen[0] != chosen[1]


def test_valid_does_not_touch_the_test_part():
    dataset = make_dataset([0, 1] * 10, split="test")
    assert len(select(dataset, "test", valid=0.5)) == 20
    assert len(select(dataset, "test", valid=0.5, count=6)) == 6


_TEN_AND_TWO = [0] * 10 + [1] * 2


@pytest.mark.parametrize(
    ("part", "options", "match"),
    [
        ("train", {"count": 13}, "13 images were asked for, there are 12"),
        ("train", {"count": 0}, "count must be at least 1"),
        ("train", {"count": 1}, "leave out 'class 1'"),
        ("train", {"fraction": 0.0}, r"fraction must be in \(0, 1\], got 0.0"),
        ("train", {"fraction": 1.1}, r"fraction must be in \(0, 1\], got 1.1"),
        ("train", {"fraction": float("nan")}, r"fraction must be in \(0, 1\], got nan"),
        ("train", {"fraction": 0.2}, "Take at least"),
        ("train", {"fraction": 0.5, "count": 5}, "exclude each other"),
        ("train", {"valid": 1.0}, r"valid must be a share in \[0, 1\)"),
        ("train", {"valid": 0.1}, "of the 2 .*of class 'class 1' it sets 0 aside"),
        ("valid", {"valid": 0.9}, "of the 2 .*of class 'class 1' it sets 2 aside"),
        ("valid", {}, "nothing was set aside"),
        ("train", {"valid": 0.5, "count": 7}, "7 images were asked for, there are 6"),
        ("test", {}, "has no test images .its splits: train.*split: 0.2"),
        ("dev", {}, "part must be train, valid or test, got 'dev'"),
    ],
)
def test_impossible_choices_are_refused(part, options, match):
    with pytest.raises(DataError, match=match):
        select(make_dataset(_TEN_AND_TWO), part, **options)


def test_the_least_count_that_a_message_names_is_enough_and_no_less():
    dataset = make_dataset(_TEN_AND_TWO)
    with pytest.raises(DataError, match=r"Take at least (\d+)") as caught:
        select(dataset, "train", count=2)
    least = int(str(caught.value).partition("Take at least ")[2].split()[0])
    assert len(select(dataset, "train", count=least)) == least
    with pytest.raises(DataError):
        select(dataset, "train", count=least - 1)


def test_an_image_filed_under_two_classes_lies_on_one_side_of_valid():
    labels = [0] * 10 + [1] * 10
    for number in range(10):  # the image of class 0 at `number` is also one of class 1
        digests = [hashlib.sha256(str(index).encode()).hexdigest() for index in range(20)]
        digests[10 + number] = digests[number]
        dataset = make_dataset(labels, sha256=digests)
        train, valid = (select(dataset, part, valid=0.3) for part in ("train", "valid"))
        assert set(train.sha256).isdisjoint(valid.sha256)


def test_a_class_of_twins_only_must_keep_an_image_on_both_sides():
    digests = [hashlib.sha256(str(index).encode()).hexdigest() for index in range(10)]
    sha256, labels = np.array([*digests, digests[0], digests[1]]), np.array([0] * 10 + [1] * 2)
    outcomes = []
    for salt in map(str, range(40)):  # both twins of class 1 are set aside where class 0 says so
        try:
            marked = set_aside(sha256, labels, 0.5, salt=salt, classes=("a", "b"), name="x")
        except DataError as error:
            outcomes.append("of class 'b' it sets 2 aside" in str(error))
        else:
            assert set(sha256[marked]).isdisjoint(sha256[~marked])
    assert outcomes
    assert all(outcomes)
