"""What there is to draw of a network: its blocks, and the connections that skip some of them."""

from dataclasses import dataclass

import keras

from helpers.networks.graph import Node, flatten
from helpers.networks.layers import Unpool

# Their second input only says how large the output shall be.
_SIZE_ONLY = ("CropLike", "Spread")


@dataclass(frozen=True)
class Block:
    """Layers in a row whose outputs have one size and one number of channels.

    Attributes
    ----------
    rows, columns, channels : int
        Of the output.
    convolutions : int
        How many there are, parallel ones among them.
    in_encoder : bool
        Whether it belongs to a backbone.
    """

    rows: int
    columns: int
    channels: int
    convolutions: int
    in_encoder: bool


@dataclass(frozen=True)
class Skip:
    """A connection past some blocks.

    Attributes
    ----------
    start, stop : int
        The block it comes from, and the one that takes it.
    places_only : bool
        Whether it hands over where the maxima were, not the values.
    """

    start: int
    stop: int
    places_only: bool


def layout(model: keras.Model) -> tuple[list[Block], list[Skip]]:
    """Find the blocks of a model, from input to output, and the skip connections.

    Parameters
    ----------
    model : keras.Model
        From one of the functions of `helpers.networks`, with a fixed input size.

    Returns
    -------
    blocks : list of Block
        The first is the input, the last the output.
    skips : list of Skip

    Raises
    ------
    ValueError
        If the input size is not fixed.
    """
    if None in model.input_shape[1:]:
        raise ValueError(
            f"{model.name} takes images of any size, and a diagram needs one: "
            "build it with a fixed input_shape."
        )
    nodes = flatten(model)
    edges = {
        (source, i)
        for i, node in enumerate(nodes)
        for which, source in enumerate(node.sources)
        if not (which and type(node.layer).__name__ in _SIZE_ONLY)
    }
    skips = _skips(nodes, edges)
    trunk = _unavoidable(len(nodes), edges - {(source, i) for source, i, _ in skips})
    blocks, block_of = _blocks(nodes, trunk)
    found = [
        Skip(block_of[start], block_of[i], isinstance(nodes[i].layer, Unpool))
        for _, i, start in skips
    ]
    return blocks, found


def _skips(nodes: list[Node], edges: set) -> list[tuple[int, int, int]]:
    """Return edges (source, node) that jump over smaller maps, and the main-path node they leave.

    The main path is the one with most convolutions.
    """
    sources = [
        [s for s in dict.fromkeys(n.sources) if (s, i) in edges] for i, n in enumerate(nodes)
    ]
    length: list[int] = []
    for node, before in zip(nodes, sources, strict=True):
        length.append(max((length[s] for s in before), default=0) + node.is_convolution)

    def longest(i: int) -> int:
        return max(sources[i], key=length.__getitem__)

    path = [len(nodes) - 1]
    while sources[path[-1]]:
        path.append(longest(path[-1]))
    on_path, found = set(path), []
    for i in path:
        for source in sources[i]:
            if source in on_path and source == longest(i):
                continue
            start = source
            while start not in on_path:
                start = longest(start)
            between = [nodes[p].shape[1] for p in path if start < p < i]
            if between and min(between) < nodes[i].shape[1]:
                found.append((source, i, start))
    return found


def _unavoidable(count: int, edges: set) -> list[tuple[int, bool]]:
    """Return whether each node is used at all, and whether every way leads through it."""
    before: list[list[int]] = [[] for _ in range(count)]
    after: list[list[int]] = [[] for _ in range(count)]
    for source, i in edges:
        before[i].append(source)
        after[source].append(i)
    ways_in, ways_out = [0] * count, [0] * count
    for i in range(count):
        ways_in[i] = sum(ways_in[s] for s in before[i]) if i else 1
    for i in reversed(range(count)):
        ways_out[i] = sum(ways_out[s] for s in after[i]) if i < count - 1 else 1
    every = ways_in[-1]
    return [(out > 0, into * out == every) for into, out in zip(ways_in, ways_out, strict=True)]


def _blocks(nodes: list[Node], trunk: list) -> tuple[list[Block], list[int]]:
    """Group the nodes; also return each node's block, or the next one if it is in none."""
    groups: list[tuple[tuple, list[int]]] = []
    waiting: list[int] = []
    for i, (_, unavoidable) in enumerate(trunk):
        waiting.append(i)
        if not unavoidable:
            continue
        if not groups or groups[-1][0] != nodes[i].shape[1:]:
            groups.append((nodes[i].shape[1:], []))
        groups[-1][1].extend(waiting)
        waiting = []
    blocks, block_of, last = [], [0] * len(nodes), len(groups) - 1
    for number, (shape, members) in enumerate(groups):
        convolutions = sum(nodes[i].is_convolution and trunk[i][0] for i in members)
        for i in members:
            block_of[i] = len(blocks)
        if convolutions or number in (0, last):
            in_encoder = nodes[members[-1]].in_encoder
            blocks.append(Block(*shape, convolutions, in_encoder))
    return blocks, block_of
