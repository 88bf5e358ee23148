"""A model as a list of its layers, backbones unfolded, in the order in which data flow."""

from collections.abc import Iterator
from dataclasses import dataclass

import keras

_WITH_KERNEL = (keras.layers.Conv2D, keras.layers.Conv2DTranspose)


@dataclass(frozen=True)
class Node:
    """One layer at its place.

    Attributes
    ----------
    layer : keras.layers.Layer
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
