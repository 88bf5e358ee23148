"""What a network is, in numbers that come from the model: its layers, parameters, field of view."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

import keras

from helpers.networks.layers import ENCODER, PadToMultiple, Unpool

_WITH_KERNEL = (keras.layers.Conv2D, keras.layers.Conv2DTranspose)
_POOLS = (keras.layers.MaxPooling2D, keras.layers.AveragePooling2D)
_POINTWISE = {
    "Activation",
    "Add",
    "BatchNormalization",
    "Concatenate",
    "CropLike",
    "CustomScaleLayer",
    "Dropout",
    "FusedBatchNormalization",
    "InputLayer",
    "PadToMultiple",
    "Preprocessing",
    "ReLU",
    "Rescaling",
    "Softmax",
}
_WHOLE = ("GlobalAveragePooling2D", "GlobalMaxPooling2D", "GroupNormalization", "Spread")
# Outputs at all places between the steps of the deepest pooling are looked at.
_PHASES = 64
_EVERYTHING = (-math.inf, math.inf)


@dataclass(frozen=True)
class Node:
    """One layer at its place.

    Attributes
    ----------
    layer : keras.layers.Layer
        Of the model itself, not a copy.
    sources : tuple of int
        Where its inputs come from: places in the list of nodes.
    shape : tuple
        Of its output: (n, y, x, channels), None where not fixed.
    in_encoder : bool
        Whether it belongs to a backbone.
    """

    layer: keras.layers.Layer
    sources: tuple[int, ...]
    shape: tuple
    in_encoder: bool

    @property
    def is_convolution(self) -> bool:
        """Whether it is a convolution, transposed ones among them."""
        return isinstance(self.layer, _WITH_KERNEL)


def flatten(model: keras.Model) -> list[Node]:
    """Return the layers of a model, those of nested models in their place.

    Parameters
    ----------
    model : keras.Model
        A functional model of one input and one output, in which each layer is used once.

    Returns
    -------
    list of Node
        Sources come before those that use them; the last node is the output.
    """
    nodes: list[Node] = []
    outputs = _unfold(model, [], nodes, False)
    if outputs != [len(nodes) - 1]:
        raise ValueError(f"{model.name} has more than one output, or layers after its output.")
    return nodes


def _unfold(
    model: keras.Model, sources: list[int], nodes: list[Node], in_encoder: bool
) -> list[int]:
    config = model.get_config()
    place: dict[tuple, int] = {}
    for described in config["layers"]:
        name = described["name"]
        layer = model.get_layer(name)
        if isinstance(layer, keras.layers.InputLayer):
            if sources:
                place[name, 0] = sources[0]
                continue
            inputs = ()
        else:
            inputs = tuple(place[key] for key in _histories(described["inbound_nodes"]))
        if isinstance(layer, keras.Model):
            for i, output in enumerate(_unfold(layer, list(inputs), nodes, True)):
                place[name, i] = output
            continue
        place[name, 0] = len(nodes)
        nodes.append(Node(layer, inputs, tuple(layer.output.shape), in_encoder))
    return [place[key] for key in _histories(config["output_layers"])]


def _histories(described) -> Iterator[tuple[str, int]]:
    """Find the tensors in a piece of a configuration: names of layers, and which output."""
    if isinstance(described, dict):
        if described.get("class_name") == "__keras_tensor__":
            name, _, index = described["config"]["keras_history"]
            yield name, index
        else:
            for value in described.values():
                yield from _histories(value)
    elif isinstance(described, list | tuple):
        if len(described) == 3 and isinstance(described[0], str):  # As in "output_layers".
            yield described[0], described[2]
        else:
            for value in described:
                yield from _histories(value)


@dataclass(frozen=True)
class ParameterCount:
    """How many numbers a network learns or keeps, statistics of batches among them.

    Attributes
    ----------
    encoder : int
        In the pretrained part, without its classifier; 0 if there is none.
    whole : int
        In the whole network.
    """

    encoder: int
    whole: int


@dataclass(frozen=True)
class ReceptiveField:
    """The part of the input that one output pixel depends on.

    Attributes
    ----------
    rows_px, columns_px : int or inf
        The largest extent, over the output's pixels; infinite if a layer looks at the whole image.
    reach_px : int or inf
        The farthest it reaches from the pixel itself, in any direction.
    """

    rows_px: float
    columns_px: float
    reach_px: float


def count_parameters(model: keras.Model) -> ParameterCount:
    """Count a network's parameters.

    Parameters
    ----------
    model : keras.Model
        From one of the functions of `helpers.networks`.

    Returns
    -------
    ParameterCount
    """
    encoders = [layer for layer in model.layers if layer.name == ENCODER]
    return ParameterCount(sum(layer.count_params() for layer in encoders), model.count_params())


def count_depth(model: keras.Model) -> int:
    """Count the convolutions that the deepest path through a network's encoder passes.

    With the fully connected layers of the classifier, which a segmentation does not have, this is
    what a name such as ResNet18 counts.

    Parameters
    ----------
    model : keras.Model
        From one of the functions of `helpers.networks`.

    Returns
    -------
    int
        Of the pretrained part; of the whole network if it has none.
    """
    nodes = flatten(model)
    everywhere = not any(node.in_encoder for node in nodes)
    depths: list[int] = []
    for node in nodes:
        counts = node.is_convolution and (node.in_encoder or everywhere)
        depths.append(max((depths[i] for i in node.sources), default=0) + counts)
    return max(
        depth for depth, node in zip(depths, nodes, strict=True) if node.in_encoder or everywhere
    )


def receptive_field(model: keras.Model) -> ReceptiveField:
    """Find what an output pixel can depend on, by following the layers back to the input.

    Parameters
    ----------
    model : keras.Model
        From one of the functions of `helpers.networks`.

    Returns
    -------
    ReceptiveField
        For images whose size needs no padding; what pixels really weigh is another question.

    Raises
    ------
    TypeError
        If the model has a layer of which it is not known where it looks.
    """
    nodes = flatten(model)
    extents, reach = [], 0.0
    for axis in (0, 1):
        spans = [(_follow(nodes, axis, place), place) for place in range(_PHASES)]
        extents.append(max(high - low + 1 for (low, high), _ in spans))
        reach = max(reach, *(max(place - low, high - place) for (low, high), place in spans))
    return ReceptiveField(*extents, reach)


def total_stride(model: keras.Model) -> int:
    """Find the grid on which a network's deepest maps lie.

    Parameters
    ----------
    model : keras.Model
        From one of the functions of `helpers.networks`.

    Returns
    -------
    int
        In pixels of the input. A picture that is moved by a multiple of it has its output moved as
        far; moved by less, pooling meets other pixels together, and the output is another.

    Examples
    --------
    >>> from helpers import networks
    >>> networks.describe.total_stride(networks.unet(depth=3, filters=1))
    8
    """
    nodes = flatten(model)
    steps: list[Fraction] = []
    for node in nodes:
        layer = node.layer
        step = max((steps[i] for i in node.sources), default=Fraction(1))
        if isinstance(layer, keras.layers.Conv2DTranspose):
            step /= max(layer.strides)
        elif isinstance(layer, (keras.layers.Conv2D, *_POOLS)):
            step *= max(layer.strides)
        elif isinstance(layer, keras.layers.UpSampling2D):
            step /= max(layer.size)
        elif isinstance(layer, Unpool) or type(layer).__name__ in ("CropLike", "Spread"):
            # The second input says how large the output is.
            step = steps[node.sources[1]]
        steps.append(step)
    multiples = [n.layer.multiple for n in nodes if isinstance(n.layer, PadToMultiple)]
    return math.lcm(*(math.ceil(step) for step in steps), *multiples)


def _follow(nodes: list[Node], axis: int, place: int) -> tuple[float, float]:
    """Return first and last position of the input that the output at `place` depends on."""
    spans: list[tuple | None] = [None] * len(nodes)
    spans[-1] = (place, place)
    for i in reversed(range(len(nodes))):
        node, span = nodes[i], spans[i]
        if span is None:  # Only the size of this map matters to the output.
            continue
        for which, source in enumerate(node.sources):
            needed = _needed(node.layer, which, span, axis)
            if needed is None:
                continue
            known = spans[source]
            spans[source] = (
                needed if known is None else (min(needed[0], known[0]), max(needed[1], known[1]))
            )
    return spans[0]


def _needed(layer: keras.layers.Layer, which: int, span: tuple, axis: int) -> tuple | None:
    """Return what a layer needs of one of its inputs for a span of its output."""
    low, high = span
    kind = type(layer).__name__
    if kind in ("CropLike", "Spread") and which == 1:
        return None
    if math.isinf(high) or kind in _WHOLE:
        return _EVERYTHING
    if kind in _POINTWISE:
        return span
    if isinstance(layer, Unpool):
        low, high = low // 2, high // 2
        return (low, high) if which == 0 else (2 * low, 2 * high + 1)
    if isinstance(layer, keras.layers.ZeroPadding2D):
        return low - layer.padding[axis][0], high - layer.padding[axis][0]
    if isinstance(layer, keras.layers.UpSampling2D):
        factor = layer.size[axis]
        if layer.interpolation == "nearest":
            return low // factor, high // factor
        centre = [(p + 0.5) / factor - 0.5 for p in span]
        return math.floor(centre[0]), math.ceil(centre[1])
    pool = isinstance(layer, _POOLS)
    if not pool and not isinstance(layer, keras.layers.Conv2D | keras.layers.Conv2DTranspose):
        raise TypeError(
            f"{layer.name} is a {kind}, and it is not known where such a layer looks; "
            "say so in helpers.networks.describe."
        )
    stride = layer.strides[axis]
    kernel = layer.pool_size[axis] if pool else layer.kernel_size[axis]
    if isinstance(layer, keras.layers.Conv2DTranspose):
        before = max(kernel - stride, 0) // 2 if layer.padding == "same" else 0
        return math.ceil((low + before - kernel + 1) / stride), (high + before) // stride
    if not pool:
        kernel = (kernel - 1) * layer.dilation_rate[axis] + 1
    before = max(kernel - stride, 0) // 2 if layer.padding == "same" else 0
    return low * stride - before, high * stride - before + kernel - 1
