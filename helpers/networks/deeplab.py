"""The part of DeepLab v3+ that comes after the backbone.

Source: Chen et al. (2018), arXiv:1802.02611.
"""

import os

import keras

from helpers.networks.layers import conv_block, finish

STRIDE = 16
"""Pixels of the input that one position of the backbone's last map stands for."""
ASPP_RATES = (6, 12, 18)
_FILTERS, _LOW_FILTERS = 256, 48


def deeplab(
    name: str,
    inputs,
    encoder: keras.Model,
    scaled,
    classes: int,
    weights: str | os.PathLike | None,
    initialisation: str,
) -> keras.Model:
    """Put an atrous spatial pyramid and the decoder of DeepLab v3+ onto a backbone.

    Parameters
    ----------
    name : str
        Of the network.
    inputs, scaled : Keras tensors
        The input, and what the backbone takes.
    encoder : keras.Model
        Gives a map at a quarter of the size, and one at a sixteenth.
    classes : int
        Of each pixel, 2 or more.
    weights, initialisation
        See `helpers.networks.layers.finish`.

    Returns
    -------
    keras.Model
    """
    low, high = encoder(scaled)
    x = _pyramid(high)
    x = keras.layers.UpSampling2D(4, interpolation="bilinear", name="decoder_up")(x)
    low = conv_block(low, _LOW_FILTERS, 1, name="decoder_low")
    x = keras.layers.Concatenate(name="decoder_skip")([x, low])
    x = conv_block(x, _FILTERS, name="decoder_conv1")
    x = conv_block(x, _FILTERS, name="decoder_conv2")
    x = keras.layers.Conv2D(classes, 1, name="logits")(x)
    logits = keras.layers.UpSampling2D(4, interpolation="bilinear", name="logits_up")(x)
    return finish(name, inputs, logits, weights, initialisation)


def _pyramid(x):
    """Look at the same place at several scales at once: atrous spatial pyramid pooling."""
    branches = [conv_block(x, _FILTERS, 1, name="aspp_1x1")]
    for rate in ASPP_RATES:
        branches.append(conv_block(x, _FILTERS, dilation=rate, name=f"aspp_rate{rate}"))
    whole = keras.layers.GlobalAveragePooling2D(keepdims=True, name="aspp_whole")(x)
    # No batch normalisation here: of one value an image it would leave noise.
    whole = keras.layers.Conv2D(_FILTERS, 1, activation="relu", name="aspp_whole_conv")(whole)
    branches.append(Spread(name="aspp_whole_spread")([whole, x]))
    x = keras.layers.Concatenate(name="aspp_branches")(branches)
    return conv_block(x, _FILTERS, 1, name="aspp_project")


@keras.saving.register_keras_serializable(package="helpers")
class Spread(keras.layers.Layer):
    """Copy one value a channel to all positions of another map."""

    def call(self, inputs):
        """Return (n, y, x, c) from (n, 1, 1, c) and (n, y, x, any)."""
        value, like = inputs
        size = keras.ops.shape(like)
        return keras.ops.broadcast_to(value, (size[0], size[1], size[2], value.shape[-1]))

    def compute_output_shape(self, shapes):
        """Return the other map's shape with the value's channels."""
        value, like = shapes
        return (*like[:3], value[3])
