"""The first plan for a folder of images."""

from __future__ import annotations

import json
import os
from pathlib import Path

from foodvision.plan.names import name_problem

_SHARE = 0.2  # set aside, of each split that has none
_BATCH_SIZE = 32
_SPLIT = f", split: {_SHARE}"
_TEMPLATE = """\
# A plan for the images in {comment}
# Look first:  foodvision validate THIS_FILE
#              foodvision explain THIS_FILE
# Then:        foodvision run THIS_FILE
name: {name}
description: Which network, for how long

data:
  # One folder per class, at the top or below train/ and test/. A relative path starts from the
  # folder of this file. Without train/ and test/, `split` takes that share of the images as the
  # test split.
  {data}: {{source: {source}{split}}}

# One cell, complete: what every cell is, unless an axis below says otherwise.
base:
  data: {data}                # trained on its train split
  test: {data}                # scored on its test split
  valid: {share}                  # set aside from the train split; the ranking looks at these
  model:
    arch: mobilenet_v2        # any classification architecture of torchvision, or lenet5, tiny_vgg
    weights: DEFAULT          # downloaded once; or none, or a file
    freeze: backbone          # only the new head learns; none: everything does
  transform: auto             # the weights' own; or like {{size: 224, normalize: imagenet}}
  batch_size: {batch_size}
  epochs: 5
  optimizer: {{kind: adam, lr: 0.001}}
  seed: 42

# Every combination of the values below is one cell: 2 x 2 = 4 trained models.
grid:
  model:                      # labelled choices, each merged into the base
    mobilenet_v2: {{arch: mobilenet_v2}}
    efficientnet_b0: {{arch: efficientnet_b0}}
  epochs: [5, 10]

# Three times each, with other random numbers, to see how sure the order is:
# seeds: 3

rank: {{by: valid.accuracy, then: valid.loss}}
save: best                    # all, best or none
"""


def starter_plan(
    folder: Path, *, has_test: bool | None = None, train_images: int | None = None
) -> str:
    """Return a commented plan for a folder of images.

    Args:
        folder: one folder per class, at its top or below `train/` and `test/`.
        has_test: whether there is a test split already; `None`: if there are `train/` and `test/`.
        train_images: images outside of the test split, which bound the batch size; `None`: many.
    """
    path = Path(os.path.abspath(folder.expanduser()))  # noqa: PTH100 - links stay as they are
    name = path.name if name_problem(path.name) is None else "images"
    if has_test is None:
        has_test = (path / "train").is_dir() and (path / "test").is_dir()
    return _TEMPLATE.format(
        comment=_quoted(path.as_posix()),
        name=_quoted(name),
        data=_quoted(name),
        source=_quoted(path.as_posix()),
        split="" if has_test else _SPLIT,
        share=_SHARE,
        batch_size=_batch_size(train_images, has_test=has_test),
    )


def _batch_size(train_images: int | None, *, has_test: bool) -> int:
    """Return a power of two that is at most what the shares set aside leave, and at most 32."""
    if train_images is None:
        return _BATCH_SIZE
    left = int(train_images * (1 - _SHARE) * (1 if has_test else 1 - _SHARE))
    return min(_BATCH_SIZE, 1 << max(1, left.bit_length() - 1))


def _quoted(text: str) -> str:
    """Write a text as YAML in double quotes, of which JSON's are a part."""
    return json.dumps(text, ensure_ascii=False)
