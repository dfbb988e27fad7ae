"""A module as an ordered list of blocks that it can be cut between.

One rule serves every architecture. The module's forward is traced (torch.fx) at the level of its
large pieces; it may be cut wherever exactly one value passes from what came before to what comes
after. A block starts at each piece with parameters and takes along what follows it up to the next
one: normalisation, activations, pooling, flattening. Dropout is random, so it goes with the block
behind it. All that belongs to the classifier is one block, the head.

What a large piece is, is found as well: a child that holds more than half of the layers is opened
as long as there are fewer than four blocks before the head (`features` of EfficientNet, `encoder`
and then `encoder.layers` of a vision transformer; but not `layer3` of a ResNet). A child that
cannot be traced stays closed, so the coarsest result is "all but the head".
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING

from torch import fx, nn
from torch.fx.proxy import TraceError
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.modules.dropout import _DropoutNd

from foodvision.errors import ModelError
from foodvision.models.stock import torchvision
from foodvision.plan.blocks import count_frozen, leave_head

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from foodvision.models.architectures import BuildSettings

_ENOUGH_BLOCKS = 4
_STEM = "stem"
_NORMALISATION = (_NormBase, nn.LayerNorm, nn.GroupNorm)
_RANDOM = (_DropoutNd, torchvision.ops.StochasticDepth)


class BlockModel:
    """Ordered blocks over a stock module; parts share its parameters.

    Attributes:
        module: the stock module; its state dict is stock.
        build: what it was built from.
        blocks: names in order. A block is named after its first piece with parameters
            (`features.3`, `layer1`), the first one `stem` where it gathers several pieces that lie
            directly in the module (conv1 and bn1 of a ResNet).
        head: name of the last block.
        head_layer: qualified name of the layer inside the head that gives the logits.
    """

    def __init__(self, module: nn.Module, *, head_layer: str, build: BuildSettings) -> None:
        self.module = module
        self.build = build
        self.head_layer = head_layer
        self.head = head_layer.partition(".")[0]
        self._graph = _trace_pieces(module, head_layer)
        self._blocks = _find_blocks(module, self._graph, self.head)
        self.blocks = tuple(block.name for block in self._blocks)
        self._parts: dict[int, tuple[fx.GraphModule, fx.GraphModule]] = {}

    def frozen_count(self, freeze: str | int) -> int:
        """Return how many leading blocks a setting freezes; see `count_frozen`.

        Raises:
            ModelError: no such block, or the head would be frozen; the message lists the blocks.
        """
        return count_frozen(freeze, self.blocks, arch=self.build.arch)

    def split(self, count: int) -> tuple[nn.Module, nn.Module]:
        """Cut behind the leading `count` blocks.

        `suffix(prefix(images))` equals `module(images)` to the bit, in evaluation mode and, for
        what is not random, in training mode. Both parts share parameters, buffers and modules with
        `module` and use its names in their state dicts. Move `module` to its device first.

        Returns:
            The prefix, in evaluation mode, and the suffix; the same objects for the same count.
            With `count` 0 these are the identity and `module` itself.

        Raises:
            ModelError: `count` is negative, or would leave no head.
        """
        if self._check_count(count) == 0:
            return nn.Identity().eval(), self.module
        prefix, suffix = self._cut_once(count)
        return prefix.eval(), suffix

    def suffix(self, count: int) -> nn.Module:
        """Return what `split` returns second; the modes of what comes before stay as they are.

        Raises:
            ModelError: as `split`.
        """
        return self.module if self._check_count(count) == 0 else self._cut_once(count)[1]

    def parts(self) -> tuple[nn.Module, ...]:
        """Return one module per block; one after the other they compute what `module` computes.

        They share parameters, buffers and modules with `module`, in whatever mode these are.
        """
        nodes = list(self._graph.nodes)
        cuts = [block.start for block in self._blocks[1:]]
        passing = [nodes[0], *(_passing_value(nodes, cut) for cut in cuts), nodes[-1].args[0]]
        edges = [1, *cuts, len(nodes) - 1]
        return tuple(
            self._part(nodes[start:stop], entry=entry, result=result)
            for (start, stop), (entry, result) in zip(
                pairwise(edges), pairwise(passing), strict=True
            )
        )

    def named_modules(self, block: int) -> Iterator[tuple[str, nn.Module]]:
        """Yield (qualified name, module) of all modules inside a block, containers included."""
        for piece in self._blocks[block].pieces:
            yield from self.module.get_submodule(piece).named_modules(prefix=piece)

    @cached_property
    def block_of(self) -> Mapping[nn.Module, int]:
        """The number of the block that each module lies in, of `named_modules` of all blocks."""
        return {
            part: block
            for block in range(len(self.blocks))
            for _, part in self.named_modules(block)
        }

    def named_parameters(self, block: int) -> Iterator[tuple[str, nn.Parameter]]:
        """Yield (qualified name, parameter) of all parameters of a block."""
        for name in self._blocks[block].attributes:
            yield name, self.module.get_parameter(name)
        for piece in self._blocks[block].pieces:
            yield from self.module.get_submodule(piece).named_parameters(prefix=piece)

    def _check_count(self, count: int) -> int:
        return leave_head(count, self.blocks, arch=self.build.arch)

    def _cut_once(self, count: int) -> tuple[fx.GraphModule, fx.GraphModule]:
        if count not in self._parts:
            self._parts[count] = self._cut(self._blocks[count].start)
        return self._parts[count]

    def _cut(self, cut: int) -> tuple[fx.GraphModule, fx.GraphModule]:
        nodes = list(self._graph.nodes)
        passing = _passing_value(nodes, cut)
        prefix = self._part(nodes[1:cut], entry=nodes[0], result=passing)
        output = prefix.graph.output_node()
        with prefix.graph.inserting_before(output):
            # Rows that were kept come back contiguous; strides can decide over the last bits.
            output.args = (prefix.graph.call_method("contiguous", output.args),)
        prefix.recompile()
        suffix = self._part(nodes[cut:-1], entry=passing, result=nodes[-1].args[0])
        return prefix, suffix

    def _part(
        self, nodes: Sequence[fx.Node], *, entry: fx.Node, result: fx.node.Argument
    ) -> fx.GraphModule:
        graph = fx.Graph()
        copies = {entry: graph.placeholder("inputs")}
        for node in nodes:
            copies[node] = graph.node_copy(node, copies.__getitem__)
        graph.output(fx.map_arg(result, copies.__getitem__))
        return fx.GraphModule(self.module, graph)


@dataclass(frozen=True)
class _Block:
    """Consecutive nodes of the graph: called pieces, parameters used directly, first node."""

    name: str
    start: int
    pieces: tuple[str, ...]
    attributes: tuple[str, ...]


@dataclass
class _Segment:
    """Consecutive nodes between two places where one value passes."""

    start: int
    pieces: tuple[str, ...]
    attributes: tuple[str, ...]
    begins: bool  # a block: it has parameters and is no mere normalisation
    is_free: bool  # of parameters
    is_random: bool


class _PieceTracer(fx.Tracer):
    def __init__(self, opened: Iterable[str]) -> None:
        super().__init__()
        self._opened = frozenset(opened)

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:  # noqa: ARG002
        return module_qualified_name not in self._opened


def _trace_pieces(module: nn.Module, head_layer: str) -> fx.Graph:
    opened = set(_sequential_ancestors(module, head_layer))
    head = head_layer.partition(".")[0]
    try:
        graph = _PieceTracer(opened).trace(module)
    except TraceError as error:
        raise ModelError(
            f"{type(module).__name__}: its forward must be traceable to find its blocks: {error}. "
            "Take another architecture."
        ) from error
    while child := _dominant_child(module, graph, head):
        try:
            graph = _PieceTracer({*opened, child}).trace(module)
        except TraceError:
            break  # a closed piece is a block like any other
        opened.add(child)
    return graph


def _sequential_ancestors(module: nn.Module, name: str) -> Iterator[str]:
    """Yield the parts of a classifier whose order is known: pools in it go with the backbone."""
    parts = name.split(".")
    for ancestor in accumulate(parts[:-1], "{}.{}".format):
        if isinstance(module.get_submodule(ancestor), nn.Sequential):
            yield ancestor


def _dominant_child(module: nn.Module, graph: fx.Graph, head: str) -> str | None:
    """Return the piece to open next: too few blocks, and it holds more than half of the layers."""
    layers = {
        piece: _count_layers(module.get_submodule(piece))
        for piece in _called_pieces(graph.nodes)
        if not _is_inside(piece, head)
    }
    blocks = [piece for piece in layers if _begins_block(module.get_submodule(piece))]
    if not blocks or len(blocks) >= _ENOUGH_BLOCKS:
        return None
    largest = max(blocks, key=layers.__getitem__)
    is_dominant = 2 * layers[largest] > sum(layers.values())
    return largest if is_dominant and _is_composite(module.get_submodule(largest)) else None


def _find_blocks(module: nn.Module, graph: fx.Graph, head: str) -> tuple[_Block, ...]:
    groups: list[list[_Segment]] = [[]]
    is_head = False
    for segment in _find_segments(module, graph):
        enters_head = not (is_head or segment.is_free) and any(
            _is_inside(piece, head) for piece in segment.pieces
        )
        begins = enters_head or (segment.begins and not is_head)
        if begins and any(not earlier.is_free for earlier in groups[-1]):
            groups.append(_take_random_tail(groups[-1]))
        groups[-1].append(segment)
        is_head = is_head or enters_head
    blocks = tuple(_name_block(module, group, head) for group in groups)
    _check_cover(module, blocks)
    return blocks


def _find_segments(module: nn.Module, graph: fx.Graph) -> Iterator[_Segment]:
    nodes = list(graph.nodes)
    starts = [cut for cut in range(1, len(nodes) - 1) if _is_cut(nodes, cut)]
    for start, stop in zip(starts, [*starts[1:], len(nodes) - 1], strict=True):
        inner = nodes[start:stop]
        pieces = tuple(_called_pieces(inner))
        modules = [module.get_submodule(piece) for piece in pieces]
        attributes = tuple(
            str(node.target)
            for node in inner
            if node.op == "get_attr" and _is_parameter(module, str(node.target))
        )
        yield _Segment(
            start=start,
            pieces=pieces,
            attributes=attributes,
            begins=any(_begins_block(part) for part in modules),
            is_free=not attributes and not any(_count_layers(part) for part in modules),
            is_random=any(isinstance(m, _RANDOM) for part in modules for m in part.modules()),
        )


def _is_cut(nodes: Sequence[fx.Node], cut: int) -> bool:
    return len(_values_across(nodes, cut)) == 1


def _passing_value(nodes: Sequence[fx.Node], cut: int) -> fx.Node:
    (value,) = _values_across(nodes, cut)
    return value


def _values_across(nodes: Sequence[fx.Node], cut: int) -> list[fx.Node]:
    later = set(nodes[cut:])
    return [node for node in nodes[:cut] if not later.isdisjoint(node.users)]


def _take_random_tail(group: list[_Segment]) -> list[_Segment]:
    """Remove what comes at and after the first dropout behind a group's last parameters."""
    tail = len(group)
    while group[tail - 1].is_free:
        tail -= 1
    for position in range(tail, len(group)):
        if group[position].is_random:
            taken = group[position:]
            del group[position:]
            return taken
    return []


def _name_block(module: nn.Module, group: list[_Segment], head: str) -> _Block:
    pieces = tuple(piece for segment in group for piece in segment.pieces)
    attributes = tuple(name for segment in group for name in segment.attributes)
    holding = [piece for piece in pieces if _count_layers(module.get_submodule(piece))]
    name = holding[0]
    if _is_inside(name, head):
        name = head
    elif len(holding) + len(attributes) > 1 and _is_stem_piece(module, name):
        name = _STEM
    return _Block(name=name, start=group[0].start, pieces=pieces, attributes=attributes)


def _is_stem_piece(module: nn.Module, name: str) -> bool:
    return "." not in name and not _is_composite(module.get_submodule(name))


def _check_cover(module: nn.Module, blocks: Sequence[_Block]) -> None:
    """Every parameter must lie in exactly one block: freezing would miss it or reach too far."""
    uses = Counter(name for block in blocks for name in _parameter_names(module, block))
    wrong = [name for name, _ in module.named_parameters() if uses[name] != 1]
    if wrong:
        raise ModelError(
            f"{type(module).__name__}: every parameter must be used in exactly one block, "
            f"{wrong[0]} is in {uses[wrong[0]]}. Take another architecture."
        )


def _parameter_names(module: nn.Module, block: _Block) -> set[str]:
    names = set(block.attributes)
    for piece in block.pieces:
        held = module.get_submodule(piece).named_parameters(prefix=piece)
        names.update(name for name, _ in held)
    return names


def _begins_block(part: nn.Module) -> bool:
    is_normalisation = isinstance(part, _NORMALISATION)
    return _count_layers(part) > 0 and not is_normalisation


def _count_layers(part: nn.Module) -> int:
    """Return how many modules inside have parameters of their own."""
    return sum(1 for m in part.modules() if next(m.parameters(recurse=False), None) is not None)


def _is_composite(part: nn.Module) -> bool:
    return next(part.children(), None) is not None


def _is_parameter(module: nn.Module, name: str) -> bool:
    return any(name == other for other, _ in module.named_parameters())


def _is_inside(name: str, ancestor: str) -> bool:
    return name == ancestor or name.startswith(f"{ancestor}.")


def _called_pieces(nodes: Iterable[fx.Node]) -> Iterator[str]:
    return (str(node.target) for node in nodes if node.op == "call_module")
