"""What a network does, operation by operation, for people to look at."""

from __future__ import annotations

import operator
from itertools import count
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, fx, nn
from torch.fx.proxy import TraceError

from foodvision.errors import ModelError
from foodvision.models.facts import outline, too_small
from foodvision.models.shapes import hollow, no_images
from foodvision.plan.summary import ANY_BATCH, Operation

if TYPE_CHECKING:
    from foodvision.models.architectures import BuildSettings

_ENDS = {"placeholder": "input", "output": "output"}
_OWNED = frozenset({"call_module", "get_attr"})


def list_operations(settings: BuildSettings) -> tuple[Operation, ...]:
    """List what a network computes, without weights: tenths of a second for most architectures.

    Torch's own modules are one operation each; all others are opened. What computes no tensor
    (shapes, checks) is left out; one tensor of several that a module gives counts as what it gives.

    Args:
        settings: of the network.

    Returns:
        The operations in the order in which they are computed, the input first, the output last.

    Raises:
        ModelError: it cannot be built or traced, or the images are too small.
    """
    module = hollow(outline(settings).module)
    try:
        traced = fx.GraphModule(module, fx.Tracer().trace(module))
    except TraceError as error:
        raise ModelError(
            f"{settings.arch}: its forward must be traceable to draw its graph: {error}. "
            "Take another architecture, or set `record: {tensorboard: false}`."
        ) from error
    reader = _Reader(traced)
    try:
        with torch.no_grad():
            reader.run(no_images(settings))
    except (AssertionError, RuntimeError) as error:
        raise too_small(settings, error) from error
    return tuple(reader.operations)


class _Reader(fx.Interpreter):
    """Runs a traced network and lists what gives tensors.

    Attributes:
        operations: so far.
    """

    def __init__(self, traced: fx.GraphModule) -> None:
        super().__init__(traced)
        self.operations: list[Operation] = []
        self._names: dict[fx.Node, str] = {}  # of the operation whose result a node is
        self._taken: set[str] = set()

    def run_node(self, n: fx.Node) -> Any:
        """Compute a node's result, and list it where it is new."""
        result = super().run_node(n)
        if n.target is operator.getitem and self._gives_several(whole := n.all_input_nodes[0]):
            self._names[n] = self._names[whole]
        elif _holds_tensors(result):
            self._list(n, result)
        return result

    def _gives_several(self, node: fx.Node) -> bool:
        return node in self._names and not isinstance(self.env[node], Tensor)

    def _list(self, node: fx.Node, result: Any) -> None:
        owned = self.fetch_attr(str(node.target)) if node.op in _OWNED else None
        name = self._name(node)
        self._names[node] = name
        self.operations.append(
            Operation(
                name=name,
                kind=_kind(node, owned),
                inputs=tuple(self._names[n] for n in node.all_input_nodes if n in self._names),
                output_shape=_shape(result),
                detail=owned.extra_repr() if isinstance(owned, nn.Module) else _constants(node),
                params=_count_params(owned),
            )
        )

    def _name(self, node: fx.Node) -> str:
        name = _ENDS.get(node.op) or "/".join(_path(node))
        free = (f"{name}_{number}" for number in count(1))
        while name in self._taken:
            name = next(free)
        self._taken.add(name)
        return name


def _path(node: fx.Node) -> list[str]:
    """Return the modules that a node lies in, and what it is itself."""
    around = node.meta.get("nn_module_stack", {}).values()
    path = [f"{name.rpartition('.')[2]} [{kind.__name__}]" for name, kind in around]
    if node.op == "call_module":
        return path  # it is the last one
    return [*path, str(node.target).rpartition(".")[2] if node.op in _OWNED else _kind(node, None)]


def _holds_tensors(result: Any) -> bool:
    parts = result if isinstance(result, tuple | list) else [result]
    return any(isinstance(part, Tensor) for part in parts)


def _kind(node: fx.Node, owned: Any) -> str:
    if node.op in _ENDS:
        return _ENDS[node.op]
    if node.op in _OWNED:
        return type(owned).__name__
    return str(getattr(node.target, "__name__", node.target))


def _shape(result: Any) -> tuple[int, ...] | None:
    if not isinstance(result, Tensor):
        return None
    return tuple(length or ANY_BATCH for length in result.shape)


def _constants(node: fx.Node) -> str:
    """Return what a function is given besides results: `1`, `dim=1`."""
    if node.op in _ENDS or node.op in _OWNED:
        return ""
    plain = [repr(value) for value in node.args if _is_constant(value)]
    named = [f"{name}={value!r}" for name, value in node.kwargs.items() if _is_constant(value)]
    return ", ".join([*plain, *named])


def _is_constant(value: Any) -> bool:
    found: list[fx.Node] = []
    fx.map_arg(value, found.append)
    return not found


def _count_params(owned: Any) -> int:
    if isinstance(owned, nn.Module):
        return sum(value.numel() for value in owned.parameters())
    return owned.numel() if isinstance(owned, nn.Parameter) else 0
