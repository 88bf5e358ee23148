"""What all networks have in common: the way in, the way out, and where the weights come from."""

import os
from pathlib import Path

import keras

from helpers.networks.layers import (
    CropLike,
    FusedBatchNormalization,
    PadToMultiple,
    Preprocessing,
    padded,
)
from helpers.networks.loading import load_file
from helpers.networks.weights import KINDS

ENCODER = "encoder"
"""Name of the layer that holds a pretrained network's backbone."""


def begin(input_shape: tuple, multiple: int, mode: str, channels: tuple[int, ...] = (3,)):
    """Make the input of a network, padded and scaled as its first layers want it.

    Parameters
    ----------
    input_shape : (int or None, int or None, int)
        Rows, columns, channels of an image with values from 0 to 255; None for any size.
    multiple : int
        What height and width must be divisible by inside.
    mode : {"caffe", "torch", "tf"}
        See `helpers.networks.layers.Preprocessing`.
    channels : tuple of int
        Numbers of channels that are allowed.

    Returns
    -------
    inputs, scaled : Keras tensors

    Raises
    ------
    ValueError
        If the shape is not allowed.
    """
    shape = tuple(input_shape)
    sizes_fit = len(shape) == 3 and all(side is None or side >= 32 for side in shape[:2])
    if not sizes_fit or shape[2] not in channels:
        allowed = " or ".join(map(str, channels))
        raise ValueError(
            f"input_shape is {input_shape}; allowed is (rows, columns, channels) with at least 32 "
            f"rows and columns (None for any number) and {allowed} channels. "
            "Grey slices are copied to three channels for a pretrained network."
        )
    inputs = keras.Input(shape, name="image")
    x = inputs
    if None in shape[:2] or padded(shape[:2], multiple) != shape[:2]:
        x = PadToMultiple(multiple, name="pad")(x)
    return inputs, Preprocessing(mode, name="preprocessing")(x)


def finish(
    name: str, inputs, logits, weights: str | os.PathLike | None, initialisation: str
) -> keras.Model:
    """Cut the logits to the input's size, turn them into probabilities, load a weights file.

    Parameters
    ----------
    name : str
        Of the network.
    inputs, logits : Keras tensors
        As `begin` gave them, and (n, y, x, classes), padded as the input is inside.
    weights : str, path or None
        A path is a file of the whole network's weights, from ``model.save_weights``.
    initialisation : str
        What the weights are that the layers have until now.

    Returns
    -------
    keras.Model
        Its output is float32 in any precision.

    Raises
    ------
    DataError
        If the file is not there or has other weights.
    """
    if logits.shape[1:3] != inputs.shape[1:3] or None in inputs.shape[1:3]:
        logits = CropLike(name="crop")([logits, inputs])
    # Rounded to bfloat16, probabilities would not sum to one.
    outputs = keras.layers.Activation("softmax", dtype="float32", name="probabilities")(logits)
    model = keras.Model(inputs, outputs, name=name)
    if is_path(weights):
        load_file(model, Path(weights))
        initialisation = f"weights from {Path(weights).name}"
    model.initialisation = initialisation
    return model


def check_classes(classes: int) -> None:
    """Raise ValueError unless there are at least two classes."""
    if classes < 2:
        raise ValueError(f"classes is {classes}; allowed are 2 or more.")


def is_path(weights) -> bool:
    """Tell whether `weights` names a file, not a kind of weights."""
    return weights is not None and weights not in KINDS


def cut_encoder(backbone: keras.Model, layers: tuple[str, ...]) -> keras.Model:
    """Return the backbone up to the last of some layers, with the outputs of all of them."""
    outputs = [backbone.get_layer(name).output for name in layers]
    return keras.Model(backbone.input, outputs, name=ENCODER)


def rebuild(model: keras.Model, input_shape: tuple, change) -> keras.Model:
    """Make a model anew from its configuration, with changes that leave the weights as they are.

    Its batch normalisation becomes the fast one, `FusedBatchNormalization`.

    Parameters
    ----------
    model : keras.Model
        A functional model.
    input_shape : (int or None, int or None, int)
        The new one.
    change : callable
        Takes the class and the configuration of each layer, in order, and edits the latter.

    Returns
    -------
    keras.Model
        With the same weights.
    """
    # Not with the model's own from_config: subclasses of keras_hub have one of another kind.
    plain = keras.Model(model.input, model.output)
    config = plain.get_config()
    for layer in config["layers"]:
        if layer["class_name"] == "InputLayer":
            layer["config"]["batch_shape"] = (None, *input_shape)
        change(layer["class_name"], layer["config"])
        if layer["class_name"] == "BatchNormalization":
            layer |= {
                "class_name": FusedBatchNormalization.__name__,
                "module": FusedBatchNormalization.__module__,
                "registered_name": keras.saving.get_registered_name(FusedBatchNormalization),
            }
    rebuilt = keras.Model.from_config(config)
    rebuilt.set_weights(plain.get_weights())
    return rebuilt


def freeze_encoder(model: keras.Model, *, frozen: bool = True) -> keras.Model:
    """Keep the backbone's weights as they are in training, or let them learn again.

    Compile the model anew after it. Frozen batch normalisation also keeps its statistics.

    Parameters
    ----------
    model : keras.Model
        One of the pretrained networks.
    frozen : bool
        False undoes it.

    Returns
    -------
    keras.Model
        The same object.

    Raises
    ------
    ValueError
        If the network has no backbone.
    """
    if ENCODER not in [layer.name for layer in model.layers]:
        raise ValueError(
            f"{model.name} has no pretrained backbone; allowed are the networks of "
            "helpers.networks.BACKBONES. Set layer.trainable = False layer by layer instead."
        )
    model.get_layer(ENCODER).trainable = not frozen
    return model


def initialisation_of(model: keras.Model) -> str:
    """Say what weights a network began with, in the words for tables.

    Parameters
    ----------
    model : keras.Model
        From one of the functions of `helpers.networks`.

    Returns
    -------
    str
        "ImageNet", "ImageNet, then edges (HED)", "random initialisation" or "weights from" a file.

    Raises
    ------
    ValueError
        If the model comes from elsewhere.
    """
    try:
        return model.initialisation
    except AttributeError:
        raise ValueError(
            f"it is not known what weights {model.name} began with; ask it of the model that a "
            "function of helpers.networks returned, not of a copy or one loaded from disk."
        ) from None
