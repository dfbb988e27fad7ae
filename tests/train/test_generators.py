from __future__ import annotations

import pytest
import torch

from foodvision.train.generators import epoch_generator, epoch_randomness, epoch_seed

CPU = torch.device("cpu")


def _draw(seed: int, epoch: int) -> list[float]:
    with epoch_randomness(seed, epoch, device=CPU):
        return torch.rand(3).tolist()


def test_seeds_are_what_they_were_when_results_were_stored() -> None:
    # Changing these numbers changes every trained model: raise the stage's code version with them.
    assert epoch_seed(42, 1, "shuffle") == 212927197399909197
    assert torch.randperm(5, generator=epoch_generator(42, 1, "shuffle")).tolist() == [
        2,
        3,
        1,
        0,
        4,
    ]


@pytest.mark.parametrize("other", [(43, 1, "shuffle"), (42, 2, "shuffle"), (42, 1, "dropout")])
def test_every_part_of_the_name_makes_another_seed(other: tuple[int, int, str]) -> None:
    assert epoch_seed(*other) != epoch_seed(42, 1, "shuffle")


def test_seeds_fill_their_range() -> None:
    seeds = [epoch_seed(seed, epoch, "shuffle") for seed in range(40) for epoch in range(1, 11)]
    assert len(set(seeds)) == len(seeds)
    assert 0 <= min(seeds) < 2**60
    assert 2**62 < max(seeds) < 2**63


def test_an_epoch_draws_the_same_whatever_was_drawn_before() -> None:
    first = _draw(1, 2)
    torch.rand(17)
    assert _draw(1, 2) == first
    assert _draw(1, 3) != first


def test_the_callers_random_numbers_are_untouched() -> None:
    before = torch.get_rng_state()
    _draw(1, 2)
    assert torch.equal(torch.get_rng_state(), before)


def test_the_callers_random_numbers_are_untouched_by_an_error() -> None:
    before = torch.get_rng_state()
    with pytest.raises(RuntimeError, match="size"), epoch_randomness(1, 2, device=CPU):
        torch.rand(3) + torch.rand(4)
    assert torch.equal(torch.get_rng_state(), before)
    assert _draw(1, 2) == _draw(1, 2)  # and the lock is free
