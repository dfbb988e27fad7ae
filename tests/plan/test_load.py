"""Every rule that a plan can break, with the words that say so."""

# ruff: noqa: E501 - messages stand in one piece

from __future__ import annotations

import math
import pickle
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from foodvision.errors import PlanError
from foodvision.plan import load as load_module
from foodvision.plan.load import load_plan
from foodvision.plan.problems import PlanProblems, Problem

if TYPE_CHECKING:
    from collections.abc import Callable

    Values = Callable[..., dict[str, Any]]

GOOD = """\
name: p
data:
  a: {source: ./a}
  b: {source: ./b}
base:
  data: a
  test: a
  model: {arch: tiny_vgg}
  transform: {size: 32}
  batch_size: 32
  epochs: 5
  optimizer: {kind: adam, lr: 1e-3}
"""
PHASES = (
    GOOD.replace("  epochs: 5\n", "")
    + """\
  phases:
    - {epochs: 5, model.freeze: backbone}
    - {epochs: 2, transform.size: 64, optimizer_state: keep}
"""
)


def problems(source: Any, overrides: tuple[str, ...] = (), **options: Any) -> list[str]:
    with pytest.raises(PlanProblems) as caught:
        load_plan(source, overrides, **options)
    assert caught.value.problems
    return [str(problem) for problem in caught.value.problems]


def changed(old: str, new: str) -> str:
    assert old in GOOD
    return GOOD.replace(old, new)


RANDOM = GOOD + "search: {kind: random, n: 2}\n"
LINES = [
    # what, text, line:column, message
    (
        "unknown key",
        changed("optimizer:", "optimiser:"),
        "12:3: base.optimiser: unknown key; did you mean 'optimizer'?",
    ),
    ("missing key", changed("  epochs: 5\n", ""), "5:1: base.epochs: is missing: add it"),
    ("missing at the top", changed("name: p\n", ""), "1:1: name: is missing: add it"),
    (
        "misplaced key",
        GOOD + "  freeze: backbone\n",
        "13:3: base.freeze: unknown key here; did you mean 'model.freeze'?",
    ),
    (
        "misplaced at the top",
        GOOD + "epochs: 5\n",
        "13:1: epochs: unknown key here; did you mean 'base.epochs'?",
    ),
    (
        "key of another kind",
        changed("1e-3}", "1e-3, momentum: 0.9}"),
        "12:37: base.optimizer.momentum: kind 'adam' has no such key; known: kind, lr, betas, eps, weight_decay",
    ),
    (
        "wrong type",
        changed("epochs: 5", "epochs: '5'"),
        "11:11: base.epochs: must be a whole number, got '5': write a number without quotes",
    ),
    (
        "truth is no number",
        changed("epochs: 5", "epochs: true"),
        "11:11: base.epochs: must be a whole number, got true",
    ),
    (
        "half an epoch",
        changed("epochs: 5", "epochs: 2.5"),
        "11:11: base.epochs: must be a whole number, got 2.5",
    ),
    (
        "epochs 0",
        changed("epochs: 5", "epochs: 0"),
        "11:11: base.epochs: must be at least 1, got 0",
    ),
    (
        "lr 0",
        changed("lr: 1e-3", "lr: 0"),
        "12:31: base.optimizer.lr: must be greater than 0, got 0",
    ),
    (
        "lr NaN",
        changed("lr: 1e-3", "lr: .nan"),
        "12:31: base.optimizer.lr: must be a finite number, got .nan",
    ),
    (
        "lr infinite",
        changed("lr: 1e-3", "lr: .inf"),
        "12:31: base.optimizer.lr: must be a finite number, got .inf",
    ),
    (
        "lr too large to be one",
        changed("lr: 1e-3", "lr: 1e999"),
        "12:31: base.optimizer.lr: must be a finite number, got .inf",
    ),
    (
        "no kind",
        changed("kind: adam, ", ""),
        "12:14: base.optimizer.kind: is missing: add it, as in {kind: adam, lr: 0.001}",
    ),
    (
        "unknown kind",
        changed("kind: adam", "kind: adma"),
        "12:21: base.optimizer.kind: must be one of adam, adamw, sgd, rmsprop, got 'adma'; did you mean 'adam'?",
    ),
    # steps
    (
        "clipping in both ways",
        GOOD + "  clip: {norm: 1, value: 2}\n",
        "13:26: base.clip.value: norm (1) and value (2) cannot both be given: delete one (or set it to null)",
    ),
    (
        "clipping in no way",
        GOOD + "  clip: {}\n",
        "13:9: base.clip: needs norm or value, got neither: write clip: {norm: 1}",
    ),
    (
        "clipping to nothing",
        GOOD + "  clip: {norm: 0}\n",
        "13:16: base.clip.norm: must be greater than 0, got 0",
    ),
    (
        "no batch at all",
        GOOD + "  accumulate: 0\n",
        "13:15: base.accumulate: must be at least 1, got 0",
    ),
    (
        "an average that never moves",
        GOOD + "  ema: {decay: 1}\n",
        "13:16: base.ema.decay: must be less than 1, got 1",
    ),
    (
        "an average without a decay",
        GOOD + "  ema: {}\n",
        "13:3: base.ema.decay: is missing: add it",
    ),
    (
        "a rate that grows from block to block towards the images",
        changed("tiny_vgg}", "tiny_vgg, lr_scale: 2}"),
        "8:37: base.model.lr_scale: must be at most 1, got 2",
    ),
    (
        "no rate of a block",
        changed("tiny_vgg}", "tiny_vgg, lr_scale: {backbone: 0}}"),
        "8:48: base.model.lr_scale.backbone: must be greater than 0, got 0",
    ),
    (
        "rates of no block",
        changed("tiny_vgg}", "tiny_vgg, lr_scale: {}}"),
        "8:37: base.model.lr_scale: must have at least 1 entry, got {}",
    ),
    # schedules
    (
        "unknown schedule",
        GOOD + "  schedule: {kind: kosine}\n",
        "13:20: base.schedule.kind: must be one of constant, piecewise, step, multi_step, exponential, cosine, cosine_restarts, one_cycle, plateau, got 'kosine'; did you mean 'cosine'?",
    ),
    (
        "schedule without a kind",
        GOOD + "  schedule: {gamma: 0.1}\n",
        "13:13: base.schedule.kind: is missing: add it, as in {kind: cosine}",
    ),
    (
        "key of another schedule",
        GOOD + "  schedule: {kind: one_cycle, step_size: 2}\n",
        "13:31: base.schedule.step_size: kind 'one_cycle' has no such key; known: kind, pct_start, anneal, div_factor, final_div_factor, cycle_momentum, base_momentum, max_momentum, warmup",
    ),
    (
        "step after the training",
        GOOD + "  schedule: {kind: step, step_size: 6}\n",
        "13:37: base.schedule.step_size: schedule.step_size reaches epoch 6 and epochs is 5: train longer, or make the schedule shorter",
    ),
    (
        "milestone after the training",
        GOOD + "  schedule: {kind: multi_step, milestones: [2, 4, 9]}\n",
        "13:44: base.schedule.milestones: schedule.milestones reaches epoch 9 and epochs is 5: train longer, or make the schedule shorter",
    ),
    (
        "milestones out of order",
        GOOD + "  schedule: {kind: multi_step, milestones: [4, 2]}\n",
        "13:44: base.schedule.milestones: must rise from one to the next, got [4, 2]: sort them",
    ),
    (
        "no milestones",
        GOOD + "  schedule: {kind: multi_step, milestones: []}\n",
        "13:44: base.schedule.milestones: must have at least 1 entry, got []",
    ),
    (
        "restart after the training",
        GOOD + "  schedule: {kind: cosine_restarts, t_0: 8}\n",
        "13:42: base.schedule.t_0: schedule.t_0 reaches epoch 8 and epochs is 5: train longer, or make the schedule shorter",
    ),
    (
        "rate after the training",
        GOOD + "  schedule: {kind: piecewise, rates: {3: 0.1, 7: 0.01}}\n",
        "13:50: base.schedule.rates.7: schedule.rates reaches epoch 7 and epochs is 5: train longer, or make the schedule shorter",
    ),
    (
        "rate of the first epoch",
        GOOD + "  schedule: {kind: piecewise, rates: {1: 0.1}}\n",
        "13:39: base.schedule.rates.1: must be an epoch from 2 to 1000000, got '1': the rate of epoch 1 is optimizer.lr",
    ),
    (
        "rate of no epoch",
        GOOD + "  schedule: {kind: piecewise, rates: {last: 0.1}}\n",
        "13:39: base.schedule.rates.last: must be an epoch from 2 to 1000000, got 'last'",
    ),
    (
        "no rate",
        GOOD + "  schedule: {kind: piecewise, rates: {3: 0}}\n",
        "13:42: base.schedule.rates.3: must be greater than 0, got 0",
    ),
    (
        "rate that cannot come down",
        GOOD + "  schedule: {kind: cosine, min_lr: 0.1}\n",
        "13:36: base.schedule.min_lr: schedule.min_lr (0.1) must be at most optimizer.lr (0.001): make it smaller",
    ),
    (
        "warm-up longer than the training",
        GOOD + "  schedule: {kind: cosine, warmup: {epochs: 6}}\n",
        "13:45: base.schedule.warmup.epochs: schedule.warmup reaches epoch 6 and epochs is 5: train longer, or make the schedule shorter",
    ),
    (
        "warm-up in both units",
        GOOD + "  schedule: {kind: cosine, warmup: {epochs: 1, steps: 9}}\n",
        "13:55: base.schedule.warmup.steps: epochs (1) and steps (9) cannot both be given: delete one (or set it to null)",
    ),
    (
        "warm-up of no length",
        GOOD + "  schedule: {kind: cosine, warmup: {start_factor: 0.5}}\n",
        "13:36: base.schedule.warmup: needs epochs or steps, got neither: write epochs: 1",
    ),
    (
        "warm-up from nothing",
        GOOD + "  schedule: {kind: cosine, warmup: {epochs: 1, start_factor: 0}}\n",
        "13:62: base.schedule.warmup.start_factor: must be greater than 0, got 0",
    ),
    (
        "one cycle without a momentum to move",
        changed("{kind: adam, lr: 1e-3}", "{kind: sgd, lr: 0.1}")
        + "  schedule: {kind: one_cycle}\n",
        "12:14: base.optimizer.momentum: one_cycle moves the momentum between 0.85 and 0.95 and optimizer.momentum is 0: write momentum: 0.9, or cycle_momentum: false in the schedule",
    ),
    (
        "momenta the wrong way round",
        GOOD + "  schedule: {kind: one_cycle, base_momentum: 0.99}\n",
        "13:46: base.schedule.base_momentum: base_momentum (0.99) must be at most max_momentum (0.95): swap them",
    ),
    (
        "schedule too long for one of several cells",
        GOOD + "  schedule: {kind: step, step_size: 4}\ngrid: {epochs: [5, 3]}\n",
        "14:20: grid.epochs[1]: schedule.step_size reaches epoch 4 and epochs is 3: train longer, or make the schedule shorter",
    ),
    (
        "unknown data set",
        changed("  test: a", "  test: c"),
        "7:9: base.test: data has no data set 'c'; known: a, b",
    ),
    (
        "near data set",
        changed("  test: a", "  test: {name: bb}"),
        "7:16: base.test.name: data has no data set 'bb'; did you mean 'b'?",
    ),
    (
        "data without source",
        changed("{source: ./b}", "./b"),
        "4:6: data.b: must be a mapping, got './b'",
    ),
    (
        "no data",
        changed("data:\n  a: {source: ./a}\n  b: {source: ./b}", "data: {}"),
        "2:7: data: must have at least 1 entry, got {}",
    ),
    (
        "unknown kind of source",
        changed("./b", "'torchvison:CIFAR10'"),
        "4:15: data.b.source: must be a path or begin with one of https:, http:, file:, torchvision:, sklearn:, got 'torchvison:CIFAR10'; did you mean 'torchvision'?",
    ),
    (
        "split 1",
        changed("{source: ./b}", "{source: ./b, split: 1}"),
        "4:27: data.b.split: must be less than 1, got 1",
    ),
    (
        "sha256",
        changed("{source: ./b}", "{source: ./b, sha256: abc}"),
        "4:28: data.b.sha256: must be 64 hexadecimal digits in lower case, got 'abc'",
    ),
    (
        "on_bad_image",
        changed("{source: ./b}", "{source: ./b, on_bad_image: skp}"),
        "4:34: data.b.on_bad_image: must be one of fail, skip, got 'skp'; did you mean 'skip'?",
    ),
    (
        "name with ../",
        changed("name: p", "name: ../p"),
        "1:7: name: must be safe as a folder's name (no '/', no '\\', not only dots), got '../p': use other characters",
    ),
    (
        "name of data",
        changed("  b: {", "  '..': {"),
        "4:3: data...: must be safe as a folder's name (no '/', no '\\', not only dots), got '..': use other characters",
    ),
    (
        "name null",
        changed("name: p", "name:"),
        "1:1: name: must be a text, got null: write 'none' if that is meant",
    ),
    (
        "name a number",
        changed("name: p", "name: 12"),
        "1:7: name: must be a text, got 12: put it in quotes",
    ),
    (
        "weights near DEFAULT",
        changed("tiny_vgg}", "x, weights: default}"),
        "8:29: base.model.weights: must be none, DEFAULT, a torchvision entry like IMAGENET1K_V1 or a file's path, got 'default'; did you mean 'DEFAULT'?",
    ),
    (
        "variable not closed",
        changed("tiny_vgg}", "x, weights: '${HOME'}"),
        "8:29: base.model.weights: must name variables like ${NAME}, got '${HOME': close the brace",
    ),
    (
        "freeze null",
        changed("tiny_vgg}", "x, freeze: null}"),
        "8:28: base.model.freeze: must be none, backbone, early, most, a block's name or a count of blocks, got None: write none",
    ),
    (
        "device",
        GOOD + "  device: gpu\n",
        "13:11: base.device: must be auto, cpu, mps, cuda or like cuda:0,2, got 'gpu'",
    ),
    (
        "transform",
        changed("{size: 32}", "[32]"),
        "9:14: base.transform: must be a mapping, got [32]",
    ),
    (
        "normalize",
        changed("{size: 32}", "{size: 32, normalize: imagnet}"),
        "9:36: base.transform.normalize: must be one of imagenet, none, got 'imagnet'; did you mean 'imagenet'?",
    ),
    (
        "base a list",
        GOOD[: GOOD.index("base:")] + "base: []\n",
        "5:7: base: must be a mapping, got []",
    ),
    (
        "rank",
        GOOD + "rank: {by: test.acuracy}\n",
        "13:12: rank.by: must be one of test.accuracy, test.loss, valid.accuracy, valid.loss, train.accuracy, train.loss, seconds, params, got 'test.acuracy'; did you mean 'test.accuracy'?",
    ),
    (
        "save",
        GOOD + "save: some\n",
        "13:7: save: must be one of all, best, none, got 'some'",
    ),
    # augmentation
    (
        "augmentation that is no list",
        GOOD + "  augment: flip\n",
        "13:12: base.augment: must be none, standard, strong or a list of steps, got 'flip'",
    ),
    (
        "no augmentation in a list",
        GOOD + "  augment: []\n",
        "13:12: base.augment: must have at least one step, got []: add steps or write none",
    ),
    (
        "augmentation without a kind",
        GOOD + "  augment: [{p: 0.5}]\n",
        "13:13: base.augment[0].kind: is missing: add it, as in {kind: horizontal_flip}",
    ),
    (
        "unknown augmentation",
        GOOD + "  augment: [{kind: horizontal_flop}]\n",
        "13:20: base.augment[0].kind: must be one of random_crop, random_resized_crop, horizontal_flip, vertical_flip, rotation, affine, perspective, color_jitter, grayscale, gaussian_blur, random_erasing, trivial_augment, rand_augment, auto_augment, got 'horizontal_flop'; did you mean 'horizontal_flip'?",
    ),
    (
        "unknown key of an augmentation",
        GOOD + "  augment: [{kind: random_crop, pading: 2}]\n",
        "13:33: base.augment[0].pading: unknown key; did you mean 'padding'?",
    ),
    (
        "no padding",
        GOOD + "  augment: [{kind: random_crop, padding: 0}]\n",
        "13:42: base.augment[0].padding: must be at least 1, got 0",
    ),
    (
        "no probability",
        GOOD + "  augment: [{kind: vertical_flip, p: 1.5}]\n",
        "13:38: base.augment[0].p: must be at most 1, got 1.5",
    ),
    (
        "scale the wrong way round",
        GOOD + "  augment: [{kind: random_resized_crop, scale: [1, 0.5]}]\n",
        "13:48: base.augment[0].scale: must be [smallest, largest], got [1.0, 0.5]: turn them round",
    ),
    (
        "unknown preset",
        GOOD + "grid: {augment: [standart]}\n",
        "13:18: grid.augment[0]: must be none, standard, strong or a list of steps, got 'standart'; did you mean 'standard'?",
    ),
    (
        "padding that is neither pixels nor a share",
        GOOD + "  augment: [{kind: random_crop, padding: 1.5}]\n",
        "13:42: base.augment[0].padding: must be a whole number of pixels, or a share of the image's side in (0, 1), got 1.5",
    ),
    (
        "colours that stay",
        GOOD + "  augment: [{kind: color_jitter}]\n",
        "13:13: base.augment[0]: must change something, got neither brightness, contrast, saturation nor hue: write brightness: 0.2",
    ),
    (
        "an image that stays",
        GOOD + "  augment: [{kind: affine, scale: [1, 1]}]\n",
        "13:13: base.augment[0]: must change something, got neither degrees, translate, scale nor shear: write degrees: 10",
    ),
    (
        "too much hue",
        GOOD + "  augment: [{kind: color_jitter, hue: 0.6}]\n",
        "13:39: base.augment[0].hue: must be at most 0.5, got 0.6",
    ),
    (
        "a blur without a middle",
        GOOD + "  augment: [{kind: gaussian_blur, kernel_size: 4}]\n",
        "13:48: base.augment[0].kernel_size: must be an odd number of pixels, got 4: write 5",
    ),
    (
        "a blur larger than the image",
        GOOD + "  augment: [{kind: gaussian_blur, kernel_size: 65}]\n",
        "13:12: base.augment: gaussian_blur: kernel_size (65) must be smaller than twice the size of the image (32): make it smaller",
    ),
    (
        "unknown policy",
        GOOD + "  augment: [{kind: auto_augment, policy: cifar}]\n",
        "13:42: base.augment[0].policy: must be one of imagenet, cifar10, svhn, got 'cifar'; did you mean 'cifar10'?",
    ),
    (
        "magnitude beyond the scale",
        GOOD + "  augment: [{kind: rand_augment, magnitude: 31}]\n",
        "13:45: base.augment[0].magnitude: must be at most 30, got 31",
    ),
    # mixing
    (
        "unknown way to mix",
        GOOD + "  mix: {kind: mix_up}\n",
        "13:15: base.mix.kind: must be one of mixup, cutmix, either, got 'mix_up'; did you mean 'mixup'?",
    ),
    ("mixing in a word", GOOD + "  mix: mixup\n", "13:8: base.mix: must be none, got 'mixup'"),
    (
        "mixing without a kind",
        GOOD + "  mix: {alpha: 1}\n",
        "13:8: base.mix.kind: is missing: add it, as in {kind: mixup}",
    ),
    (
        "alpha of zero",
        GOOD + "  mix: {kind: cutmix, alpha: 0}\n",
        "13:30: base.mix.alpha: must be greater than 0, got 0",
    ),
    (
        "unknown key of a mix",
        GOOD + "  mix: {kind: cutmix, alhpa: 1}\n",
        "13:23: base.mix.alhpa: unknown key; did you mean 'alpha'?",
    ),
    (
        "mixing a single image",
        changed("batch_size: 32", "batch_size: 1") + "  mix: {kind: mixup}\n",
        "10:15: base.batch_size: mix (mixup) needs 2 or more images in a batch, batch_size is 1: make it larger or write mix: none",
    ),
    (
        "a path into an augmentation",
        GOOD + "grid: {augment.padding: [2]}\n",
        "13:8: grid.augment.padding: no cell has such a setting; did you mean 'augment'?",
    ),
    # across fields, both values in the message
    (
        "fraction and count",
        changed("  data: a", "  data: {name: a, fraction: 0.5, count: 9}"),
        "6:29: base.data.fraction: fraction (0.5) and count (9) cannot both be given: delete one (or set it to null)",
    ),
    (
        "micro_batch",
        GOOD + "  micro_batch: 64\n",
        "13:16: base.micro_batch: micro_batch (64) must be at most batch_size (32): make it smaller",
    ),
    (
        "nesterov",
        changed("{kind: adam, lr: 1e-3}", "{kind: sgd, lr: 1, nesterov: true}"),
        "12:43: base.optimizer.nesterov: nesterov (true) needs momentum above 0, got momentum 0: write momentum: 0.9",
    ),
    (
        "auto without weights",
        changed("{size: 32}", "auto"),
        "9:14: base.transform: transform is 'auto' (the weights' own) and model.weights is 'none': write transform: {size: 224} or name weights",
    ),
    (
        "resize_to of squash",
        changed("{size: 32}", "{size: 32, resize_to: 64}"),
        "9:36: base.transform.resize_to: resize_to (64) and resize ('squash') do not go together: write resize: crop or delete resize_to",
    ),
    (
        "resize_to too small",
        changed("{size: 32}", "{size: 32, resize: crop, resize_to: 16}"),
        "9:50: base.transform.resize_to: resize_to (16) must be at least size (32): make it larger",
    ),
    (
        "grey imagenet",
        changed("{size: 32}", "{size: 32, channels: 1, normalize: imagenet}"),
        "9:49: base.transform.normalize: normalize: imagenet has 3 channels and channels is 1: make them equal",
    ),
    (
        "mean",
        changed("{size: 32}", "{size: 32, normalize: {mean: [1], std: [1, 1, 1]}}"),
        "9:36: base.transform.normalize: mean has 1 channels and channels is 3: make them equal",
    ),
    (
        "sha256 of no weights",
        changed("tiny_vgg}", f"x, weights_sha256: {'a' * 64}}}"),
        "8:36: base.model.weights_sha256: weights_sha256 is given and weights is 'none': name the file in weights",
    ),
    # axes
    (
        "axis value",
        GOOD + "grid:\n  epochs: [5, 0]\n",
        "14:15: grid.epochs[1]: must be at least 1, got 0",
    ),
    (
        "axis value in a choice",
        GOOD + "grid:\n  optimizer:\n    sgd: {kind: sgd, lr: -1}\n",
        "15:26: grid.optimizer.sgd.lr: must be greater than 0, got -1",
    ),
    (
        "choice not complete",
        GOOD + "grid:\n  optimizer:\n    sgd: {kind: sgd}\n",
        "15:5: grid.optimizer.sgd.lr: is missing: add it",
    ),
    (
        "unknown key in a choice",
        GOOD + "grid:\n  model:\n    x: {arc: x}\n",
        "15:9: grid.model.x.arc: unknown key; did you mean 'arch'?",
    ),
    (
        "cross-field in an axis",
        GOOD + "  micro_batch: 16\ngrid: {batch_size: [32, 8]}\n",
        "14:25: grid.batch_size[1]: micro_batch (16) must be at most batch_size (8): make it smaller",
    ),
    (
        "data set in an axis",
        GOOD + "grid:\n  data: [a, {half: {name: c, fraction: 0.5}}]\n",
        "14:27: grid.data[1].half.name: data has no data set 'c'; known: a, b",
    ),
    (
        "data set in a list",
        GOOD + "grid: {data: [a, aa]}\n",
        "13:18: grid.data[1]: data has no data set 'aa'; did you mean 'a'?",
    ),
    (
        "path that no cell has",
        GOOD + "grid: {modle.arch: [x]}\n",
        "13:8: grid.modle.arch: no cell has such a setting; did you mean 'model.arch'?",
    ),
    (
        "path into a text",
        changed("{size: 32}", "auto").replace("tiny_vgg}", "x, weights: DEFAULT}")
        + "grid: {transform.size: [64]}\n",
        "13:25: grid.transform.size[0]: must lead into a mapping, transform is 'auto': write it as a mapping in base",
    ),
    (
        "empty axis",
        GOOD + "grid: {epochs: []}\n",
        "13:16: grid.epochs: must have at least one value, got none: add values or delete it",
    ),
    (
        "empty choices",
        GOOD + "grid: {model: {}}\n",
        "13:15: grid.model: must have at least one value, got none: add values or delete it",
    ),
    (
        "axis not a list",
        GOOD + "grid: {epochs: 5}\n",
        "13:16: grid.epochs: must be a list of values or a mapping of labelled choices, got 5: write [5]",
    ),
    ("grid a list", GOOD + "grid: [epochs]\n", '13:7: grid: must be a mapping, got ["epochs"]'),
    (
        "label twice",
        GOOD + "grid: {epochs: [5, 1, 5]}\n",
        "13:23: grid.epochs[2]: label '5' is used twice: give each its own, or drop one",
    ),
    (
        "label twice, two spellings",
        GOOD + "grid: {optimizer.lr: [0.1, {'0.1': 0.2}]}\n",
        "13:36: grid.optimizer.lr[1].0.1: label '0.1' is used twice: give each its own, or drop one",
    ),
    (
        "label like a path",
        GOOD + "grid: {model.weights: [none, ./w.pth]}\n",
        "13:30: grid.model.weights[1]: as its own label it must be safe as a folder's name (no '/', no '\\', not only dots), got './w.pth': use other characters; or label it: {LABEL: './w.pth'}",
    ),
    (
        "bad label",
        GOOD + "grid: {model: {../x: {arch: x}}}\n",
        "13:16: grid.model.../x: the label must be safe as a folder's name (no '/', no '\\', not only dots), got '../x': use other characters",
    ),
    (
        "setting as a label",
        GOOD + "grid: {model: {arch: [x, y]}}\n",
        "13:16: grid.model.arch: 'arch' is a setting of model, not a label: write the axis model.arch, or a label above it",
    ),
    (
        "choice without a label",
        GOOD + "grid: {model: [{arch: x, hidden: 1}]}\n",
        '13:16: grid.model[0]: must be a scalar or a mapping with one key, the label, got {"arch": "x", "hidden": 1}: write LABEL: {"arch": "x", "hidden": 1}',
    ),
    (
        "zip of unequal lengths",
        GOOD + "zip:\n  - {epochs: [1, 2], seed: [1]}\n",
        "14:5: zip[0]: must have axes of equal lengths, got epochs 2, seed 1: make them equal",
    ),
    (
        "zip empty",
        GOOD + "zip: [{}]\n",
        "13:7: zip[0]: must have at least one axis, got none: add axes or delete it",
    ),
    (
        "zip not a list",
        GOOD + "zip: {epochs: [1]}\n",
        '13:6: zip: must be a list, got {"epochs": [1]}',
    ),
    (
        "zip repeats a point",
        GOOD + "zip: [{epochs: [1, 1], data: [a, a]}]\n",
        "13:7: zip[0]: label '1 · a' is used twice: give each its own, or drop one",
    ),
    (
        "axis twice",
        GOOD + "grid: {epochs: [1]}\nzip: [{epochs: [1]}]\n",
        "14:8: zip[0].epochs: is an axis already (in grid.epochs): keep one",
    ),
    (
        "when on no axis",
        GOOD + "grid: {epochs: [1]}\nwhen: {epoch: {data: a}}\n",
        "14:8: when.epoch: must name an axis of grid or zip, got 'epoch'; did you mean 'epochs'?",
    ),
    (
        "when without axes",
        GOOD + "when: {epochs: {data: a}}\n",
        "13:8: when.epochs: must name an axis of grid or zip, got 'epochs'; the plan has no axis",
    ),
    (
        "when on an unknown path",
        GOOD + "grid: {epochs: [1]}\nwhen: {epochs: {optimizer.knd: sgd}}\n",
        "14:17: when.epochs.optimizer.knd: no cell has such a setting; did you mean 'optimizer.kind'?",
    ),
    (
        "when not a mapping",
        GOOD + "grid: {epochs: [1]}\nwhen: {epochs: sgd}\n",
        "14:16: when.epochs: must be a mapping, got 'sgd'",
    ),
    (
        "exclude an unknown choice",
        GOOD + "grid: {model.arch: [mlp, vgg11]}\nexclude: [{model.arch: vgg13}]\n",
        "14:24: exclude[0].model.arch: axis model.arch has no choice 'vgg13'; did you mean 'vgg11'?",
    ),
    (
        "exclude nothing",
        GOOD + "exclude: [{}]\n",
        "13:11: exclude[0]: must name at least one setting, got none: add one or delete it",
    ),
    (
        "exclude all",
        GOOD + "grid: {epochs: [1, 2]}\nexclude: [{data: a}]\n",
        "14:1: exclude: must leave a cell, all 2 combinations match: exclude less",
    ),
    (
        "include wrong value",
        GOOD + "include: [{epochs: 0}]\n",
        "13:20: include[0].epochs: must be at least 1, got 0",
    ),
    (
        "include wrong path",
        GOOD + "include: [{epoch: 3, seed: 1}]\n",
        "13:12: include[0].epoch: no cell has such a setting; did you mean 'epochs'?",
    ),
    (
        "include empty",
        GOOD + "include: [{}]\n",
        "13:11: include[0]: must set at least one setting, got none: add one or delete it",
    ),
    (
        "seeds 0",
        GOOD + "seeds: 0\n",
        "13:8: seeds: must be a count of at least 1 or a list of seeds that is not empty, got 0",
    ),
    (
        "seeds twice",
        GOOD + "seeds: [1, 1]\n",
        "13:8: seeds: must be different, got 1 twice: keep one",
    ),
    (
        "seeds negative",
        GOOD + "seeds: [-1]\n",
        "13:8: seeds: must be whole numbers in [0, 2**63), got -1",
    ),
    (
        "seeds and seed",
        GOOD + "grid: {seed: [1]}\nseeds: 2\n",
        "14:1: seeds: seed is an axis already: keep the axis or seeds",
    ),
    (
        "too many",
        GOOD + "grid: {epochs: [1, 2, 3]}\nlimits: {cells: 2}\n",
        "14:10: limits.cells: must be at most 2 cells, found 3: drop values, or raise limits.cells",
    ),
    (
        "far too many",
        GOOD + "seeds: 100000000\n",
        "1:1: grid: must be at most 10,000 cells, found 100,000,000 combinations: drop values, or raise limits.cells",
    ),
    # phases
    (
        "phases and epochs",
        GOOD + "  phases: [{epochs: 5}, {epochs: 2}]\n",
        "11:11: base.epochs: epochs (5) and phases (2) cannot both be given: delete epochs; a training without changes is phases: [{epochs: 5}]",
    ),
    (
        "an axis over epochs and phases",
        PHASES + "grid: {epochs: [3]}\n",
        "15:17: grid.epochs[0]: epochs (3) and phases (2) cannot both be given: delete epochs; a training without changes is phases: [{epochs: 3}]",
    ),
    (
        "phases of a wrong shape",
        PHASES.replace("phases:", "phases: 3 #").partition("    -")[0],
        "12:11: base.phases: must be a list of mappings, each with epochs, got 3",
    ),
    (
        "a phase of a wrong shape",
        PHASES + "    - 7\n",
        "15:7: base.phases[2]: must be a mapping with epochs, got 7",
    ),
    (
        "a phase without epochs",
        PHASES + "    - {batch_size: 3}\n",
        "15:7: base.phases[2]: must have epochs of its own, has none: write epochs: 5 into it",
    ),
    (
        "a phase of no epochs",
        PHASES + "    - {epochs: 0}\n",
        "15:16: base.phases[2].epochs: must be at least 1, got 0",
    ),
    (
        "an unknown setting of a phase",
        PHASES + "    - {epochs: 1, optimiser.lr: 1}\n",
        "15:19: base.phases[2].optimiser.lr: no cell has such a setting; did you mean 'optimizer.lr'?",
    ),
    (
        "an unknown key inside a phase",
        PHASES + "    - {epochs: 1, model: {freez: none}}\n",
        "15:27: base.phases[2].model.freez: unknown key; did you mean 'freeze'?",
    ),
    (
        "a wrong value in a phase",
        PHASES + "    - {epochs: 1, optimizer.lr: 0}\n",
        "15:33: base.phases[2].optimizer.lr: must be greater than 0, got 0",
    ),
    (
        "a phase in a phase",
        PHASES + "    - {epochs: 1, phases: []}\n",
        "15:19: base.phases[2].phases: a phase cannot change phases, it holds for the whole training: delete it",
    ),
    (
        "a phase on other images",
        PHASES + "    - {epochs: 1, data: b}\n",
        "15:19: base.phases[2].data: a phase cannot change data, it holds for the whole training: delete it",
    ),
    (
        "a phase of another architecture",
        PHASES + "    - {epochs: 1, model: {arch: mlp}}\n",
        "15:19: base.phases[2].model: a phase cannot change model.arch, it holds for the whole training: delete it",
    ),
    (
        "an optimizer state of another name",
        PHASES + "    - {epochs: 1, optimizer_state: kept}\n",
        "15:7: base.phases[2]: optimizer_state must be reset or keep, got 'kept'",
    ),
    (
        "an optimizer state that nobody has",
        PHASES.replace("epochs: 5,", "epochs: 5, optimizer_state: keep,"),
        "13:19: base.phases[0].optimizer_state: optimizer_state: keep needs a phase before it, this is the first: delete it",
    ),
    (
        "an optimizer state of another optimizer",
        PHASES + "    - {epochs: 1, optimizer: {kind: sgd, lr: 1}, optimizer_state: keep}\n",
        "15:50: base.phases[2].optimizer_state: optimizer_state: keep needs the optimizer of the phase before (lr and weight_decay may change), found kind adam and then sgd: write optimizer_state: reset or keep the optimizer",
    ),
    (
        "a clash in a phase",
        PHASES + "    - {epochs: 1, batch_size: 4, micro_batch: 8}\n",
        "15:47: base.phases[2].micro_batch: micro_batch (8) must be at most batch_size (4): make it smaller",
    ),
    (
        "a phase that leads into no mapping",
        PHASES.replace("transform: {size: 32}", "transform: auto").replace(
            "tiny_vgg", "tiny_vgg, weights: DEFAULT"
        ),
        "14:35: base.phases[1].transform.size: must lead into a mapping, transform is 'auto': write it as a mapping in base",
    ),
    (
        "a wrong phase of an axis",
        PHASES + "grid: {phases: {a: [{epochs: 1}], b: [{epochs: 1, seed: 3}]}}\n",
        "15:51: grid.phases.b[0].seed: a phase cannot change seed, it holds for the whole training: delete it",
    ),
    # not yet
    (
        "search without a number",
        GOOD + "search: random\n",
        "13:9: search: random has to say how many cells: write search: {kind: random, n: 20}",
    ),
    (
        "search of a wrong kind",
        GOOD + "search: bayes\n",
        "13:9: search: must be one of grid, random, got 'bayes'",
    ),
    (
        "search of no kind",
        GOOD + "search: {n: 3}\n",
        '13:9: search: must be one of grid, random, got {"n": 3}',
    ),
    (
        "search of a later kind",
        GOOD + "search: {kind: halving}\n",
        "13:9: search: not yet: halving will come, this version does not know it; "
        "write {kind: random, n: 20}, or search: grid",
    ),
    (
        "grid with settings",
        GOOD + "search: {kind: grid, n: 3}\n",
        "13:9: search: grid has no settings: write search: grid",
    ),
    (
        "search without n",
        GOOD + "search: {kind: random}\ngrid: {epochs: [1, 2]}\n",
        "13:1: search.n: is missing: add it",
    ),
    (
        "search for nothing",
        GOOD + "search: {kind: random, n: 0}\ngrid: {epochs: [1, 2]}\n",
        "13:27: search.n: must be at least 1, got 0",
    ),
    (
        "unknown key of the search",
        GOOD + "search: {kind: random, n: 1, sed: 3}\ngrid: {epochs: [1, 2]}\n",
        "13:30: search.sed: unknown key; did you mean 'seed'?",
    ),
    (
        "search without axes",
        GOOD + "search: {kind: random, n: 3}\n",
        "13:1: search: needs axes to draw from, found none: add grid",
    ),
    (
        "more than there are",
        GOOD + "search: {kind: random, n: 3}\ngrid: {epochs: [1, 2]}\n",
        "13:27: search.n: must be at most 2, the different cells that there are to draw, got 3: "
        "lower it, or write search: grid",
    ),
    (
        "more than whole numbers there are",
        GOOD + "search: {kind: random, n: 9}\ngrid: {epochs: {int_uniform: [1, 8]}}\n",
        "13:27: search.n: must be at most 8, the different cells that there are to draw, got 9: "
        "lower it, or write search: grid",
    ),
    (
        "a range without a search",
        GOOD + "grid: {model.dropout: {uniform: [0, 0.5]}}\n",
        "13:23: grid.model.dropout: a range is drawn from: write search: {kind: random, n: 20} at "
        "the top, or a list of values here",
    ),
    (
        "a range that reaches too far",
        RANDOM + "grid: {optimizer.lr: {uniform: [-1, 1]}}\n",
        "14:33: grid.optimizer.lr.uniform[0]: must be greater than 0, got -1.0",
    ),
    (
        "a range that a rule across fields cuts",
        RANDOM + "grid: {micro_batch: {int_uniform: [8, 64]}}\n",
        "14:39: grid.micro_batch.int_uniform[1]: micro_batch (64) must be at most batch_size (32): "
        "make it smaller",
    ),
    (
        "a misspelled range",
        RANDOM + "grid: {optimizer.lr: {unifrom: [0.1, 1]}}\n",
        "14:22: grid.optimizer.lr: is no range that is known; did you mean 'uniform'?",
    ),
    (
        "a range of one end",
        RANDOM + "grid: {optimizer.lr: {uniform: [0.1]}}\n",
        "14:32: grid.optimizer.lr.uniform: must be [smallest, largest], two numbers, got [0.1]",
    ),
    (
        "a range of texts",
        RANDOM + "grid: {optimizer.lr: {uniform: ['1', '2']}}\n",
        "14:32: grid.optimizer.lr.uniform: must be [smallest, largest], two numbers, "
        'got ["1", "2"]',
    ),
    (
        "a range the wrong way round",
        RANDOM + "grid: {optimizer.lr: {uniform: [0.2, 0.1]}}\n",
        "14:32: grid.optimizer.lr.uniform: must be [smallest, largest], the first one smaller, "
        "got [0.2, 0.1]",
    ),
    (
        "the logarithm of zero",
        RANDOM + "grid: {optimizer.lr: {log_uniform: [0, 0.1]}}\n",
        "14:36: grid.optimizer.lr.log_uniform: must begin above 0, since its logarithm is drawn, "
        "got [0, 0.1]",
    ),
    (
        "whole numbers that are none",
        RANDOM + "grid: {epochs: {int_uniform: [1, 2.5]}}\n",
        "14:30: grid.epochs.int_uniform: must be two whole numbers, got [1, 2.5]",
    ),
    (
        "a range among values",
        RANDOM + "grid: {optimizer.lr: [0.1, {uniform: [0.2, 0.3]}]}\n",
        "14:28: grid.optimizer.lr[1]: a range is a whole axis, not one of its values: write "
        "{uniform: [a, b]}",
    ),
    (
        "a range in a group",
        RANDOM + "zip: [{optimizer.lr: {uniform: [0.2, 0.3]}, epochs: [1, 2]}]\n",
        "14:22: zip[0].optimizer.lr: a range has no steps to move with other axes: move it to grid",
    ),
    (
        "everything excluded",
        RANDOM + "grid: {epochs: [1, 2]}\nexclude: [{epochs: [1, 2]}]\n",
        "15:1: exclude: must leave a cell, all 2 combinations match: exclude less",
    ),
    # alerts
    (
        "alerts of a cell",
        GOOD + "  alerts: []\n",
        "13:3: base.alerts: unknown key here; did you mean 'alerts' at the top of the plan?",
    ),
    (
        "an alert about nothing",
        GOOD + "alerts: [{when: faild}]\n",
        "13:17: alerts[0].when: must compare a metric with a number, or say how a cell ends, got 'faild': did you mean 'failed'? write test.accuracy < 0.8, diverged, failed, finished or slower than 10 min",
    ),
    (
        "an alert without a condition",
        GOOD + "alerts: [{wen: failed}]\n",
        "13:11: alerts[0].wen: unknown key; did you mean 'when'?",
    ),
    (
        "an alert on an unknown metric",
        GOOD + "alerts: [{when: test.acuracy < 0.8}]\n",
        "13:17: alerts[0].when: must be a metric, got 'test.acuracy'; did you mean 'test.accuracy'?",
    ),
    (
        "an alert on a metric that training does not measure",
        GOOD + "alerts: [{when: train.f1_macro < 1}]\n",
        "13:17: alerts[0].when: must be a metric that is computed, and f1_macro is one of valid and test alone, got 'train.f1_macro': write test.f1_macro",
    ),
    (
        "an alert on images that are not set aside",
        GOOD + "alerts: [{when: failed}, {when: valid.loss > 3}]\n",
        "13:33: alerts[1].when: valid.loss is measured on images set aside, and valid is 0 in every cell: write valid: 0.2 in base, or train.loss",
    ),
    (
        "an alert on a temperature without images for it",
        GOOD + "alerts: [{when: test.calibrated_loss > 3}]\n",
        "13:17: alerts[0].when: test.calibrated_loss uses a temperature that is found on images set aside, and valid is 0 in every cell: write valid: 0.2 in base, or test.loss",
    ),
    (
        "an alert on validation images at a temperature",
        GOOD + "alerts: [{when: valid.calibrated_error > 0.3}]\n",
        "13:17: alerts[0].when: valid.calibrated_error is measured on images set aside, and valid is 0 in every cell: write valid: 0.2 in base, or test.calibration_error",
    ),
    (
        "an alert beyond what an accuracy can be",
        GOOD + "alerts: [{when: test.accuracy < 80}]\n",
        "13:17: alerts[0].when: must compare with a number in [0, 1], in which all metrics but losses lie, got 'test.accuracy < 80': write 0.8",
    ),
    (
        "an alert below what an error can be",
        GOOD + "alerts: [{when: test.calibration_error > -1}]\n",
        "13:17: alerts[0].when: must compare with a number in [0, 1], in which all metrics but losses lie, got 'test.calibration_error > -1': correct it",
    ),
    (
        "an alert in percent",
        GOOD + "alerts: [{when: test.accuracy < 80%}]\n",
        "13:17: alerts[0].when: must compare with a finite number, like 0.8 or 1e-3 (accuracies lie in [0, 1]), got 'test.accuracy < 80%': write 0.8",
    ),
    (
        "an alert on equality",
        GOOD + "alerts: [{when: test.accuracy == 1}]\n",
        "13:17: alerts[0].when: must be an inequality (<, <=, > or >=), because two fractions are never quite equal, got 'test.accuracy == 1': write < or >",
    ),
    (
        "an alert without a unit",
        GOOD + "alerts: [{when: slower than 30}]\n",
        "13:17: alerts[0].when: must have one of the units ms, s, min, h, got 'slower than 30': write 30 s or 30 min",
    ),
    (
        "an alert on no time",
        GOOD + "alerts: [{when: slower than -1 s}]\n",
        "13:17: alerts[0].when: must be slower than a positive time, got 'slower than -1 s': write 30 s",
    ),
    (
        "an alert twice",
        GOOD + "alerts: [{when: test.loss>3}, {when: test.loss > 3.0}]\n",
        "13:38: alerts[1].when: is the same rule as alerts[0] (test.loss > 3.0): delete one, or list what both notify in one of them",
    ),
    (
        "an alert that stops what is over",
        GOOD + "alerts: [{when: failed, stop: true}]\n",
        "13:31: alerts[0].stop: stop ends a training, and 'failed' is known only when it has ended: delete stop, or compare one of valid.loss, valid.accuracy, test.loss, test.accuracy, train.loss, train.accuracy",
    ),
    (
        "an alert that stops by what is known at the end",
        GOOD + "alerts: [{when: test.f1_macro < 1, stop: true}]\n",
        "13:42: alerts[0].stop: stop ends a training, and 'test.f1_macro < 1' is known only when it has ended: delete stop, or compare one of valid.loss, valid.accuracy, test.loss, test.accuracy, train.loss, train.accuracy",
    ),
    (
        "an alert that stops at the end",
        GOOD + "alerts: [{when: train.loss > 3, on: end, stop: true}]\n",
        "13:37: alerts[0].on: stop ends a training in an epoch, and on is 'end': delete on",
    ),
    (
        "an alert on epochs that no epoch tells",
        GOOD + "alerts: [{when: slower than 30 s, on: epochs}]\n",
        "13:39: alerts[0].on: an epoch is measured by valid.loss, valid.accuracy, test.loss, test.accuracy, train.loss, train.accuracy; 'slower than 30 s' is known at the end: delete on",
    ),
    (
        "an alert to nobody",
        GOOD + "alerts: [{when: failed, notify: []}]\n",
        "13:33: alerts[0].notify: must say who is told, got []: write log",
    ),
    (
        "an alert to somebody twice",
        GOOD + "alerts: [{when: failed, notify: [log, log]}]\n",
        "13:33: alerts[0].notify: must be different, got log twice: keep one",
    ),
    (
        "an alert to Slack",
        GOOD + "alerts: [{when: failed, notify: slack}]\n",
        "13:33: alerts[0].notify: must be log, {webhook: ADDRESS} or {block: TYPE/NAME}, got 'slack': make a block of Prefect for it and write {block: TYPE/NAME}",
    ),
    (
        "an alert to an address alone",
        GOOD + "alerts: [{when: failed, notify: https://hooks/secret}]\n",
        "13:33: alerts[0].notify: must be log, {webhook: ADDRESS} or {block: TYPE/NAME}, got 'https://…': write {webhook: ADDRESS}",
    ),
    (
        "an alert to an address of another kind",
        GOOD + "alerts: [{when: failed, notify: {webhook: ftp://x}}]\n",
        "13:43: alerts[0].notify.webhook: must be an address that begins with https:// or http://, or ${NAME}, got 'ftp://x': correct it",
    ),
    (
        "an alert to a host that can be none",
        GOOD + "alerts: [{when: failed, notify: {webhook: http://a..b/SECRET}}]\n",
        "13:43: alerts[0].notify.webhook: must be an address that begins with https:// or http://, or ${NAME}, got 'http://a..b/…': correct it",
    ),
    (
        "an alert to a host with a label that is too long",
        GOOD
        + "alerts: [{when: failed, notify: {webhook: http://aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa/}}]\n",
        "13:43: alerts[0].notify.webhook: must be an address that begins with https:// or http://, or ${NAME}, got 'http://aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa…: correct it",
    ),
    (
        "an alert to an address with a path of another kind",
        GOOD + "alerts: [{when: failed, notify: {webhook: ftp://hooks.slack.com/SECRET}}]\n",
        "13:43: alerts[0].notify.webhook: must be an address that begins with https:// or http://, or ${NAME}, got 'ftp://hooks.slack.com/…': correct it",
    ),
    (
        "an alert to an address without its beginning",
        GOOD + "alerts: [{when: failed, notify: {webhook: hooks.slack.com/services/SECRET}}]\n",
        "13:43: alerts[0].notify.webhook: must be an address that begins with https:// or http://, or ${NAME}, got 'hooks.slack.com/…': correct it",
    ),
    (
        "an alert to an address with a space",
        GOOD + "alerts: [{when: failed, notify: {webhook: https://hooks.slack.com/SECRET x}}]\n",
        "13:43: alerts[0].notify.webhook: must be an address that begins with https:// or http://, or ${NAME}, got 'https://hooks.slack.com/…': correct it",
    ),
    (
        "an alert to an address that is half a variable",
        GOOD
        + "alerts: [{when: failed, notify: {webhook: 'https://hooks.slack.com/SECRET?u=${B}'}}]\n",
        "13:43: alerts[0].notify.webhook: must be written out, or be one ${NAME} that holds the whole address, got 'https://hooks.slack.com/…': put all of it into a variable",
    ),
    (
        "an alert to an address that begins with a variable",
        GOOD + "alerts: [{when: failed, notify: {webhook: '${A}://u:SECRET@h/x'}}]\n",
        "13:43: alerts[0].notify.webhook: must be written out, or be one ${NAME} that holds the whole address, got '${A}://h/…': put all of it into a variable",
    ),
    (
        "an alert to a list of addresses",
        GOOD + "alerts: [{when: failed, notify: {webhook: ['https://hooks.slack.com/SECRET']}}]\n",
        '13:43: alerts[0].notify.webhook: must be a text, got ["https://hooks.slack.com/…"]',
    ),
    (
        "alerts that are an address",
        GOOD + "alerts: https://hooks.slack.com/SECRET\n",
        "13:9: alerts: must be a list, got 'https://hooks.slack.com/…'",
    ),
    (
        "an alert to an address with a password",
        GOOD + "alerts: [{when: failed, notify: {webhook: https://u:secret@x/y}}]\n",
        "13:43: alerts[0].notify.webhook: must hold no password, which everyone reads who reads the plan, got 'https://…@x': write ${NAME} and set that variable",
    ),
    (
        "an alert to a block without a name",
        GOOD + "alerts: [{when: failed, notify: {block: slack}}]\n",
        "13:41: alerts[0].notify.block: must name a Prefect block as type/name (`prefect block ls` shows them), got 'slack': write slack-webhook/my-block",
    ),
    # plateau
    (
        "a plateau without images to look at",
        GOOD + "  schedule: {kind: plateau}\n",
        "13:13: base.schedule: metric (valid.loss) is measured on images set aside, and valid is 0: write valid: 0.2, or metric: train.loss",
    ),
    (
        "a plateau that never falls",
        GOOD + "  schedule: {kind: plateau, metric: train.loss, factor: 1}\n",
        "13:57: base.schedule.factor: must be less than 1, got 1",
    ),
    (
        "a plateau that comes down to more than it begins with",
        GOOD + "  schedule: {kind: plateau, metric: train.loss, min_lr: 0.1}\n",
        "13:57: base.schedule.min_lr: schedule.min_lr (0.1) must be at most optimizer.lr (0.001): make it smaller",
    ),
    # stop rules
    (
        "a stop rule without images to look at",
        GOOD + "  stop: {patience: 3}\n",
        "13:9: base.stop: metric (valid.loss) is measured on images set aside, and valid is 0: write valid: 0.2, or metric: train.loss",
    ),
    (
        "a stop rule on images that are not set aside",
        GOOD + "  stop: {patience: 3, metric: valid.accuracy}\n",
        "13:31: base.stop.metric: metric (valid.accuracy) is measured on images set aside, and valid is 0: write valid: 0.2, or metric: train.accuracy",
    ),
    (
        "no patience",
        GOOD + "  stop: {patience: 0, metric: test.loss}\n",
        "13:20: base.stop.patience: must be at least 1, got 0",
    ),
    (
        "patience that nobody says",
        GOOD + "  stop: {metric: test.loss}\n",
        "13:3: base.stop.patience: is missing: add it",
    ),
    (
        "patience misspelled",
        GOOD + "  stop: {pateince: 3, metric: test.loss}\n",
        "13:10: base.stop.pateince: unknown key; did you mean 'patience'?",
    ),
    (
        "a negative min_delta",
        GOOD + "  stop: {patience: 1, min_delta: -0.1, metric: test.loss}\n",
        "13:34: base.stop.min_delta: must be at least 0, got -0.1",
    ),
    (
        "an unknown metric",
        GOOD + "  stop: {patience: 1, metric: valid.f1}\n",
        "13:31: base.stop.metric: must be one of valid.loss, valid.accuracy, test.loss, test.accuracy, train.loss, train.accuracy, got 'valid.f1'; did you mean 'valid.loss'?",
    ),
    (
        "an unknown state to restore",
        GOOD + "  stop: {patience: 1, restore: first, metric: test.loss}\n",
        "13:32: base.stop.restore: must be one of best, last, got 'first'",
    ),
    (
        "a stop rule of an axis without images to look at",
        GOOD + "grid: {stop: {none: null, some: {patience: 2}}}\n",
        "13:33: grid.stop.some: metric (valid.loss) is measured on images set aside, and valid is 0: write valid: 0.2, or metric: train.loss",
    ),
    (
        "a stop rule of a phase without images to look at",
        PHASES.replace("transform.size: 64", "stop: {patience: 1}"),
        "14:25: base.phases[1].stop: metric (valid.loss) is measured on images set aside, and valid is 0: write valid: 0.2, or metric: train.loss",
    ),
]


@pytest.mark.parametrize(
    ("text", "message"), [case[1:] for case in LINES], ids=[c[0] for c in LINES]
)
def test_a_broken_rule_says_where_what_and_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("bad plan's.yaml").write_text(text, encoding="utf-8")
    (found,) = problems("bad plan's.yaml")[:1]
    assert found.startswith(f"bad plan's.yaml:{message}")
    if not message.endswith(("come", "yet", "got")):
        assert found == f"bad plan's.yaml:{message}"
        assert len(problems("bad plan's.yaml")) == 1


def test_the_good_plan_is_good() -> None:
    assert load_plan(GOOD).base.epochs == 5
    assert load_plan(GOOD + "search: grid\n").search == "grid"


def test_all_problems_at_once_in_the_order_of_lines() -> None:
    text = (
        changed("epochs: 5", "epochs: 0").replace("name: p", "name: a/b")
        + "  micro_batch: 64\nalerts: {}\ngrid: {modle: [x], seed: [-1, 1.5]}\nrank: {by: x}\n"
    )
    found = problems(text)
    paths = [line.split(": ")[1] for line in found]
    assert paths == [
        "name",
        "base.epochs",
        "base.micro_batch",
        "alerts",
        "grid.modle",
        "grid.seed[0]",
        "grid.seed[1]",
        "rank.by",
    ]


def test_a_wrong_setting_clashes_with_nothing() -> None:
    text = changed("batch_size: 32", "batch_size: many") + "  micro_batch: 64\n"
    assert problems(text) == [
        "<plan>:10:15: base.batch_size: must be a whole number, got 'many': write a number without quotes"
    ]


def test_one_bad_value_of_thousands_of_cells_is_one_problem() -> None:
    lists = ", ".join(
        f"{path}: [{values}]"
        for path, values in {
            "epochs": "1, 2, 3, 4, 5, 0",
            "batch_size": "1, 2, 3, 4, 5, 6, 7, 8",
            "seed": "1, 2, 3, 4, 5, 6, 7, 8, 9",
        }.items()
    )
    assert len(problems(GOOD + f"grid: {{{lists}}}\n")) == 1


def test_an_error_in_a_cell_that_is_left_out_is_none() -> None:
    grid = "grid: {optimizer: {adam: {kind: adam, lr: 1}, sgd: {kind: sgd, lr: 1}}, optimizer.momentum: [0.5]}\n"
    assert problems(GOOD + grid) == [
        "<plan>:13:94: grid.optimizer.momentum[0]: kind 'adam' has no such key; known: kind, lr, betas, eps, weight_decay"
    ]
    load_plan(GOOD + grid + "when: {optimizer.momentum: {optimizer: sgd}}\n")
    load_plan(GOOD + grid + "exclude: [{optimizer: adam}]\n")


def test_unknown_architectures_are_refused_where_they_are_known() -> None:
    text = GOOD + "grid: {model.arch: [tiny_vgg, resnet81]}\n"
    load_plan(text)
    (found,) = problems(text, architectures=("tiny_vgg", "resnet18"))
    assert found == (
        "<plan>:13:31: grid.model.arch[1]: no architecture is called 'resnet81'; "
        "did you mean 'resnet18'?"
    )


OWN = {"tiny_vgg": 16, "mlp": 1}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            ("{size: 32}", "{size: 15}"),
            "9:21: base.transform.size: must be at least 16 px for tiny_vgg, got 15: "
            "make it larger",
        ),
        (
            ("epochs: 5\n", "epochs: 5\n  seed: 1\ngrid: {transform.size: [8, 32]}\n"),
            "14:25: grid.transform.size[0]: must be at least 16 px for tiny_vgg, got 8: "
            "make it larger",
        ),
        (
            ("{arch: tiny_vgg}", "{arch: resnet18, hidden: 9}"),
            "8:35: base.model.hidden: is the width of one of our own networks (mlp, tiny_vgg), "
            "got 9 for resnet18: delete it (or set it to null)",
        ),
        (
            ("{arch: tiny_vgg}\n  transform: {size: 32}",
             "{arch: resnet18, weights: DEFAULT}\n  transform: {size: 32, channels: 1}"),
            "9:35: base.transform.channels: must be 3, those of the weights of resnet18, got 1: "
            "write channels: 3 (grey images are then read as RGB), or weights: none",
        ),
    ],
)  # fmt: skip
def test_settings_that_do_not_go_with_the_architecture_are_refused(
    change: tuple[str, str], message: str
) -> None:
    text = changed(*change)
    if "grid" in text:
        text = text.replace("grid: {transform.size: [8, 32]}\n", "")
        text += "grid: {transform.size: [8, 32]}\n"
    load_plan(text)
    known = {"architectures": ("mlp", "resnet18", "tiny_vgg"), "own_networks": OWN}
    assert problems(text, **known) == [f"<plan>:{message}"]


@pytest.mark.parametrize(
    "model", ["{arch: tiny_vgg, hidden: 9}", "{arch: mlp, weights: ./mlp.pth}", "{arch: resnet18}"]
)
def test_settings_that_go_with_the_architecture_are_not(model: str) -> None:
    text = changed("{arch: tiny_vgg}", model).replace("{size: 32}", "{size: 32, channels: 1}")
    load_plan(text, architectures=("mlp", "resnet18", "tiny_vgg"), own_networks=OWN)


# Names


@pytest.mark.parametrize(
    "name", ["食べ物", "my plan", "it's", 'a "b"', "v1.0", "é" * 100, "..a", "👩‍🍳"]
)
def test_names_in_any_language(values: Values, name: str) -> None:
    plan = load_plan(
        {**values({"data": name, "test": name}), "name": name, "data": {name: {"source": "x"}}}
    )
    assert plan.name == name


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("", "got an empty text: give it a name"),
        ("  ", "got an empty text"),
        (".", "not only dots"),
        ("a/b", "no '/'"),
        ("a\\b", "no '\\\\'"),
        ("a\nb", "got control characters in 'a\\\\nb'"),
        ("a\x00b", "got control characters"),
        ("a\u202eb", "got control characters"),
        (" a", "delete the spaces around it"),
        ("a" * 101, "at most 100 characters and 240 bytes, got 101 and 101: shorten it"),
        ("食" * 100, "got 100 and 300: shorten it"),
    ],
)
def test_names_that_are_no_folders(values: Values, name: str, message: str) -> None:
    with pytest.raises(PlanProblems, match=message):
        load_plan({**values(), "name": name})


# Files and texts


def test_a_file_knows_its_folder_and_the_hash_does_not(tmp_path: Path) -> None:
    folder = tmp_path / 'o\'er "there"'
    folder.mkdir()
    file = folder / "p.yaml"
    file.write_text(GOOD, encoding="utf-8")
    plan = load_plan(file)
    assert (plan.folder, plan.source_path) == (folder, file)
    text = load_plan(GOOD, folder=tmp_path)
    assert (text.folder, text.source_path) == (tmp_path, None)
    assert plan.plan_id == text.plan_id
    assert len(plan.plan_id) == 64
    assert load_plan(str(file)).folder == folder


def test_a_plan_is_its_meaning_not_its_spelling(values: Values) -> None:
    plan = load_plan(GOOD)
    assert (
        load_plan(GOOD.replace("1e-3", "0.001") + "# a comment\nsave: all\n").plan_id
        == plan.plan_id
    )
    assert load_plan(values()).plan_id == plan.plan_id
    assert load_plan(GOOD + "save: none\n").plan_id != plan.plan_id
    assert load_plan(plan.to_json()).plan_id == plan.plan_id
    assert plan.to_json()["data"]["a"] == {"source": "./a", "on_bad_image": "fail"}
    assert "micro_batch" not in plan.to_json()["base"]


def test_a_null_in_a_choice_counts(values: Values) -> None:
    one = values(grid={"model": {"x": {"dropout": None}, "y": {"hidden": 3}}})
    other = values(grid={"model": {"x": {}, "y": {"hidden": 3}}})
    assert load_plan(one).plan_id != load_plan(other).plan_id


def test_a_plan_can_be_pickled() -> None:
    plan = load_plan(GOOD + "grid: {epochs: [1]}\n")
    again = pickle.loads(pickle.dumps(plan))
    assert (again, again.folder) == (plan, plan.folder)
    assert str(again.place(("grid", "epochs", 0))) == "<plan>:13:17"


def test_problems_can_be_pickled() -> None:
    with pytest.raises(PlanProblems) as caught:
        load_plan(GOOD + "seeds: 0\n")
    again = pickle.loads(pickle.dumps(caught.value))
    assert again.problems == caught.value.problems
    assert isinstance(again, PlanError)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            b"",
            r"p\.yaml: a plan must be a mapping, found nothing: begin with name:, data: and base:",
        ),
        (b"# only\n", "found nothing"),
        (b"- a\n", r"p\.yaml:1:1: a plan must be a mapping, found \[\"a\"\]"),
        (b"just text\n", r"p\.yaml:1:1: a plan must be a mapping, found 'just text'"),
        (b"name: \xff\n", r"p\.yaml:1:7: must be UTF-8 text, found byte 0xff: save it as UTF-8"),
        (
            b"name: a\x00b\n",
            r"p\.yaml:1:8: must not contain control characters, found one: delete it",
        ),
    ],
    ids=["empty", "comment", "list", "text", "encoding", "control"],
)
def test_files_that_are_no_plans(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "p.yaml").write_bytes(content)
    with pytest.raises(PlanProblems, match=message):
        load_plan(tmp_path / "p.yaml")


def test_a_file_with_a_byte_order_mark_is_read(tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_bytes(b"\xef\xbb\xbf" + GOOD.encode())
    assert load_plan(tmp_path / "p.yaml").name == "p"
    assert load_plan("\ufeff" + GOOD).name == "p"


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "effnet.yaml").write_text(GOOD)
    with pytest.raises(
        PlanProblems, match=r"efnet\.yaml: no such file; did you mean 'effnet.yaml'"
    ):
        load_plan(tmp_path / "efnet.yaml")
    (tmp_path / "plans").mkdir()
    (tmp_path / "plans" / "demo.yaml").write_text(GOOD)
    for name, meant in (("demo", r"plans.demo\.yaml"), ("effnet", r"effnet\.yaml")):
        with pytest.raises(PlanProblems, match=rf"no such file; did you mean '.*{meant}'"):
            load_plan(tmp_path / name)
    with pytest.raises(PlanProblems, match=r"no such file: there is no folder .*nowhere"):
        load_plan(tmp_path / "nowhere" / "p.yaml")
    with pytest.raises(PlanProblems, match="must be a file, found a folder"):
        load_plan(tmp_path)
    with pytest.raises(PlanProblems, match="cannot be read"):
        load_plan("a\0b")


def test_a_plan_of_100_mb_is_refused_before_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "p.yaml"
    with file.open("wb") as out:
        out.truncate(100 << 20)
    monkeypatch.setattr(load_module, "read_document", None)
    with pytest.raises(PlanProblems, match="must be at most 1 MiB, this is larger"):
        load_plan(file)


# Values


@pytest.mark.parametrize(
    ("setting", "bound", "path"),
    [
        ("batch_size", 1_000_000, "batch_size"),
        ("epochs", 1_000_000, "epochs"),
        ("micro_batch", 1_000_000, "micro_batch"),
        ("threads", 1024, "threads"),
        ("seed", 2**63 - 1, "seed"),
        ("transform.size", 4096, "transform.size"),
        ("transform.resize_to", 4096, "transform.resize_to"),
        ("model.hidden", 1_000_000, "model.hidden"),
        ("data.count", 10**12, "data.count"),
        ("test.count", 10**12, "test.count"),
        ("augment.padding", 4096, "augment[0].padding"),
    ],
)
def test_whole_numbers_have_an_upper_bound(
    values: Values, setting: str, bound: int, path: str
) -> None:
    def plan(number: int) -> dict[str, Any]:
        settings: dict[str, Any] = {
            "batch_size": 1_000_000,
            "transform": {"size": 8, "resize": "crop"},
            "data": {"name": "a"},
            "test": {"name": "a"},
            "model": {"arch": "mlp"},
            "augment": {"kind": "random_crop", "padding": 1},
        }
        place, _, key = setting.rpartition(".")
        (settings[place] if place else settings)[key] = number
        return values({**settings, "augment": [settings["augment"]]})

    load_plan(plan(bound))
    assert problems(plan(bound + 1)) == [f"base.{path}: must be at most {bound}, got {bound + 1}"]


@pytest.mark.parametrize(
    ("rest", "message"),
    [
        (
            "seeds: 1000000000001",
            "13:8: seeds: must be a count of at most 1000000000000, got 1000000000001",
        ),
        (
            "limits: {cells: 1000000000001}",
            "13:17: limits.cells: must be at most 1000000000000, got 1000000000001",
        ),
        (
            "limits: {features_bytes: 1000000000000000001}",
            "13:26: limits.features_bytes: must be at most 1000000000000000000, "
            "got 1000000000000000001",
        ),
        (
            "grid: {model.freeze: [1000001]}",
            "13:23: grid.model.freeze[0]: must be at most 1000000 blocks, got 1000001",
        ),
    ],
)
def test_counts_of_a_plan_have_an_upper_bound(rest: str, message: str) -> None:
    assert problems(GOOD + rest + "\n") == [f"<plan>:{message}"]


def test_values_have_no_lines(values: Values) -> None:
    plan = values({"epochs": 0})
    assert problems(plan) == ["base.epochs: must be at least 1, got 0"]
    assert plan["base"]["epochs"] == 0


@pytest.mark.parametrize(
    ("value", "message"),
    [(math.nan, "must be a finite number, got .nan"), (Path(), "must be a plain value")],
)
def test_values_that_no_yaml_has(values: Values, value: Any, message: str) -> None:
    with pytest.raises(PlanProblems, match=message):
        load_plan(values(exclude=[{"epochs": value}]))


# Overrides


@pytest.mark.parametrize(
    ("override", "path", "expected"),
    [
        ("base.epochs=3", ("base", "epochs"), 3),
        ("base.optimizer.lr=1e-4", ("base", "optimizer", "lr"), 1e-4),
        ("base.optimizer={kind: sgd, lr: 1}", ("base", "optimizer", "kind"), "sgd"),
        ("base.data.fraction=0.5", ("base", "data", "fraction"), 0.5),
        ("base.loss.label_smoothing=0.1", ("base", "loss", "label_smoothing"), 0.1),
        ("data.a.source=../some dir/x=y.zip", ("data", "a", "source"), "../some dir/x=y.zip"),
        ("data.v1.0.source=./c", ("data", "v1.0", "source"), "./c"),
        ("grid.epochs=[1, 2]", ("grid", "epochs"), [1, 2]),
        ("grid.optimizer.lr=[0.5]", ("grid", "optimizer.lr"), [0.5]),
        ("grid.model.x.hidden=9", ("grid", "model", "x", "hidden"), 9),
        ("name=q", ("name",), "q"),
        ("description=", ("description",), None),
    ],
)
def test_overrides(override: str, path: tuple[str, ...], expected: Any) -> None:
    text = GOOD.replace("  b: {source: ./b}", "  v1.0: {source: ./b}")
    text += "grid: {model: {x: {arch: mlp, hidden: 8}}}\n"
    if expected is None:
        assert problems(text, (override,))[0].startswith(f"--set {override}: {path[0]}: ")
        return
    plan = load_plan(text, [override]).to_json()
    for part in path:
        plan = plan[part]
    assert plan == expected


def test_later_overrides_win() -> None:
    assert load_plan(GOOD, ["base.epochs=3", "base.epochs=4"]).base.epochs == 4


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("base.epochs=0", "base.epochs: must be at least 1, got 0"),
        ("grid.epochs=[1, 0]", "grid.epochs[1]: must be at least 1, got 0"),
        ("base.epoch=3", "base.epoch: unknown key; did you mean 'epochs'?"),
        ("epochs=3", "epochs: unknown key here; did you mean 'base.epochs'?"),
        ("base.optimizer.lr=.nan", "base.optimizer.lr: must be a finite number, got .nan"),
        ("base.epochs", "must be like base.epochs=3, found no path and value: write both"),
        ("=3", "must be like base.epochs=3, found no path and value: write both"),
        (
            "base.epochs.x=1",
            "base.epochs.x: must lead into a mapping, base.epochs is 5: set base.epochs as a whole",
        ),
        (
            "base.epochs=[1",
            "must be YAML, expected ',' or ']', but got '<stream end>' (while parsing a flow sequence): close every bracket and quote",
        ),
        (
            "base.model={arch: a, arch: b}",
            "base.model.arch: stands twice (first in line 1): keep one",
        ),
    ],
)
def test_a_wrong_override_is_named(override: str, message: str) -> None:
    found = problems(GOOD, (override,))
    assert len(found) == 1
    assert found[0].startswith(f"--set {override}")
    assert found[0].endswith(f": {message}")


def test_a_problem_without_a_line_comes_last() -> None:
    found = problems(changed("  test: a", "  test: c"), ("base.epochs=0",))
    assert [line.split(":")[0] for line in found] == ["<plan>", "--set base.epochs=0"]


def test_a_problem_reads_as_people_expect() -> None:
    problem = Problem("plans/bad.yaml", 14, 12, "grid.epochs[1]", "must be at least 1, got 0")
    assert str(problem) == "plans/bad.yaml:14:12: grid.epochs[1]: must be at least 1, got 0"
