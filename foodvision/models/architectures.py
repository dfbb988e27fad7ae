"""Every architecture by name: torchvision's classification networks and our own, without weights.

Nothing here knows a family by name. What differs between families is read from the signature of
torchvision's own model class (auxiliary heads, a fixed image size) or found in the built module
(the layer that gives the logits).
"""

from __future__ import annotations

import inspect
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, get_type_hints

import torch
from rapidfuzz import process
from torch import nn
from torch.overrides import TorchFunctionMode

from foodvision.errors import ModelError
from foodvision.hashing import digest
from foodvision.models.networks import NETWORKS, build_network
from foodvision.models.stock import torchvision

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from torch import Tensor

STOCK_CHANNELS = 3
_STOCK_CLASSES = 1000
_ALLOCATIONS = frozenset({torch.empty, torch.zeros, torch.ones})
_FILLS = frozenset(
    {
        nn.init.constant_,
        nn.init.kaiming_uniform_,
        nn.init.normal_,
        nn.init.uniform_,
        torch.Tensor.add_,
        torch.Tensor.clamp_,
        torch.Tensor.erfinv_,
        torch.Tensor.fill_,
        torch.Tensor.mul_,
        torch.Tensor.normal_,
        torch.Tensor.uniform_,
        torch.Tensor.zero_,
    }
)


@dataclass(frozen=True)
class BuildSettings:
    """All that decides which parameters a module has, and what its forward does with them.

    Attributes:
        arch: name, one of `architectures()`.
        num_classes: outputs of the head.
        channels: of the input images.
        size: width and height of the input images in pixels.
        dropout: probability of the head's dropout, in [0, 1); `None`: the architecture's own.
        hidden: width of our own networks; `None`: the network's own.
        is_published: the weights are an entry that torchvision publishes. Networks that were
            trained on other inputs than the entry's transform gives (`transform_input` of
            GoogLeNet and Inception) then turn them round, as torchvision does.
    """

    arch: str
    num_classes: int
    channels: int = STOCK_CHANNELS
    size: int = 224
    dropout: float | None = None
    hidden: int | None = None
    is_published: bool = False

    @property
    def is_own(self) -> bool:
        """Whether the network is ours and not torchvision's."""
        return self.arch in NETWORKS


@cache
def architectures() -> tuple[str, ...]:
    """Return all names, sorted: torchvision's classification networks and our own."""
    stock = torchvision.models.list_models(module=torchvision.models)
    return tuple(sorted([*stock, *NETWORKS]))


def check_architecture(arch: str) -> None:
    """Make sure that there is such an architecture.

    Raises:
        ModelError: there is none; the message names the nearest ones.
    """
    if arch not in architectures():
        nearest = [name for name, _, _ in process.extract(arch, architectures(), limit=3)]
        raise ModelError(
            f"model.arch must be a torchvision classification network or one of "
            f"{', '.join(sorted(NETWORKS))}; found {arch!r}. Did you mean {', '.join(nearest)}?"
        )


def build_bare(settings: BuildSettings) -> tuple[nn.Module, str]:
    """Build a module with a head for the stock number of classes.

    The number of random values that it draws does not depend on `num_classes`.

    Returns:
        The module and the qualified name of the layer that gives the logits.

    Raises:
        ModelError: unknown architecture, or settings that it cannot be built with.
    """
    check_architecture(settings.arch)
    if settings.is_own:
        module = build_network(
            settings.arch, 1, channels=settings.channels, size=settings.size, hidden=settings.hidden
        )
        return module, find_head_layer(module, outputs=1)
    if settings.hidden is not None:
        raise ModelError(
            f"model.hidden is for {', '.join(sorted(NETWORKS))}; {settings.arch} got "
            f"{settings.hidden}. Leave it out."
        )
    module = _build_stock(settings, stock_arguments(settings))
    if settings.channels != STOCK_CHANNELS:
        _replace_first_convolution(module, settings.channels)
    return module, find_head_layer(module, outputs=_STOCK_CLASSES)


def stock_arguments(settings: BuildSettings) -> dict[str, Any]:
    """Return the arguments, besides `num_classes`, with which torchvision builds this module."""
    accepted = _model_parameters(settings.arch)
    choices: dict[str, Any] = {
        "aux_logits": False,  # a second loss is no part of a cell
        "image_size": settings.size,
        "input_size": (settings.size, settings.size),
        "transform_input": settings.is_published,
    }
    arguments = {name: value for name, value in choices.items() if name in accepted}
    if "init_weights" in accepted and accepted["init_weights"].default is None:
        arguments["init_weights"] = True  # says what the default does, and does not warn
    return arguments


def auxiliary_keys(settings: BuildSettings) -> frozenset[str]:
    """Return names in a stock state dict that belong to auxiliary heads, which we leave out."""
    if settings.is_own or "aux_logits" not in _model_parameters(settings.arch):
        return frozenset()
    arguments = stock_arguments(settings)
    with weightless():
        complete = _build_stock(settings, arguments | {"aux_logits": True}).state_dict()
        kept = _build_stock(settings, arguments).state_dict()
    return frozenset(complete) - frozenset(kept)


def find_head_layer(module: nn.Module, *, outputs: int) -> str:
    """Return the name of the last linear or convolutional layer with so many outputs.

    Raises:
        ModelError: the module has none.
    """
    found: str | None = None
    for name, layer in module.named_modules():
        if (isinstance(layer, nn.Linear) and layer.out_features == outputs) or (
            isinstance(layer, nn.Conv2d) and layer.out_channels == outputs
        ):
            found = name
    if found is None:
        raise ModelError(
            f"{type(module).__name__}: the head must be a linear or convolutional layer with "
            f"{outputs} outputs, found none. Take another architecture."
        )
    return found


def make_head_layer(layer: nn.Module, outputs: int) -> nn.Linear | nn.Conv2d:
    """Return a freshly initialised layer like `layer`, with other outputs.

    It is made where new tensors are made by default, never on the device of `layer`.
    """
    if isinstance(layer, nn.Linear):
        return nn.Linear(layer.in_features, outputs, bias=layer.bias is not None)
    if isinstance(layer, nn.Conv2d):
        return _like_convolution(layer, layer.in_channels, outputs)
    raise TypeError(f"a head is a linear or convolutional layer, got {type(layer).__name__}")


@contextmanager
def seeded(seed: int, purpose: str) -> Iterator[None]:
    """Draw from a generator of (seed, purpose); the global one is as before afterwards.

    Only the CPU's generator is touched: modules are built there, whatever device they run on.
    """
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(derive_seed(seed, purpose))
        yield


def derive_seed(seed: int, purpose: str) -> int:
    """Return a 63-bit seed that depends on all bits of both."""
    return int(digest({"seed": seed, "purpose": purpose})[:16], 16) >> 1


class weightless(TorchFunctionMode):  # noqa: N801 - a context manager, like torch.no_grad
    """Build modules whose parameters have shapes but no memory.

    `torch.device("meta")` would do for most, but RegNets compute with small tensors while they are
    built; so only the allocations that parameters are made of are sent there.
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Send allocations without a device of their own to the meta device; fill nothing there.

        Torch itself fills nothing there, either, but imports its compiler first: two seconds.
        """
        kwargs = dict(kwargs or {})
        if func in _FILLS:
            filled: Tensor = args[0] if args else kwargs["tensor"]
            if filled.is_meta:
                return filled
        if func in _ALLOCATIONS and kwargs.get("device") is None:
            kwargs["device"] = "meta"
        return func(*args, **kwargs)


def _build_stock(settings: BuildSettings, arguments: dict[str, Any]) -> nn.Module:
    builder = torchvision.models.get_model_builder(settings.arch)
    try:
        module: nn.Module = builder(weights=None, **arguments)
    except (AssertionError, RuntimeError, ValueError) as error:
        raise ModelError(
            f"{settings.arch} cannot be built for images of {settings.size} px: {error} "
            "Set transform.size to one that it can take (224 always works)."
        ) from error
    return module


@cache
def _model_parameters(arch: str) -> dict[str, inspect.Parameter]:
    made = get_type_hints(torchvision.models.get_model_builder(arch))["return"]
    return dict(inspect.signature(made.__init__).parameters)


def _replace_first_convolution(module: nn.Module, channels: int) -> None:
    for name, layer in module.named_modules():
        if isinstance(layer, nn.Conv2d):
            module.set_submodule(name, _like_convolution(layer, channels, layer.out_channels))
            return


def _like_convolution(layer: nn.Conv2d, inputs: int, outputs: int) -> nn.Conv2d:
    return nn.Conv2d(
        inputs,
        outputs,
        layer.kernel_size,  # type: ignore[arg-type]
        layer.stride,  # type: ignore[arg-type]
        layer.padding,  # type: ignore[arg-type]
        layer.dilation,  # type: ignore[arg-type]
        groups=layer.groups,
        bias=layer.bias is not None,
        padding_mode=layer.padding_mode,
    )
