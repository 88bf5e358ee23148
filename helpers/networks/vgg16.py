"""VGG16 with the decoder of SegNet, and with one that has skip connections."""

import os

import keras

from helpers.networks.layers import (
    FusedBatchNormalization,
    Unpool,
    begin,
    check_classes,
    conv_block,
    cut_encoder,
    finish,
    rebuild,
)
from helpers.networks.weights import load_backbone

_BLOCK_ENDS = tuple(f"block{i}_conv{2 if i < 3 else 3}" for i in range(1, 6))
# Filters of the decoder's convolutions, in the mirrored order of the encoder's; the last
# convolution of all gives the classes.
_SEGNET_FILTERS = {
    5: (512, 512, 512),
    4: (512, 512, 256),
    3: (256, 256, 128),
    2: (128, 64),
    1: (64,),
}
_SKIP_FILTERS = {4: 256, 3: 128, 2: 64, 1: 32}


def _encoder(image_shape: tuple, weights) -> tuple[keras.Model, str]:
    """Return VGG16 up to its last convolution, and what its weights are."""
    backbone = keras.applications.VGG16(
        include_top=False, weights=None, input_shape=(None, None, 3)
    )
    initialisation = load_backbone(backbone, "vgg16", weights)
    rebuilt = rebuild(backbone, image_shape, _pool_every_pixel)
    return cut_encoder(rebuilt, _BLOCK_ENDS), initialisation


def _pool_every_pixel(layer_class: str, config: dict) -> None:
    """Let pooling keep the last row and column of a map of odd size: 45 rows become 23, not 22."""
    if layer_class == "MaxPooling2D":
        config["padding"] = "same"


def vgg16_segnet(
    input_shape: tuple = (360, 480, 3),
    classes: int = 4,
    weights: str | os.PathLike | None = "imagenet",
) -> keras.Model:
    """Build the network that the paper calls VGG16: a SegNet on VGG16.

    The decoder mirrors the encoder; each of its five steps puts values back to where the
    encoder's max-pooling had found them (`Unpool`), then convolves. The paper's MATLAB version
    also normalises batches in the encoder; here the encoder is Keras' VGG16, as it was trained.

    Parameters
    ----------
    input_shape : (int or None, int or None, 3)
        Rows, columns, channels; values from 0 to 255, grey copied to three channels.
    classes : int
        Of each pixel, 2 or more.
    weights : {"imagenet", "hed"}, path or None
        What VGG16 begins with; None is random. A path is a file of the whole network's weights.

    Returns
    -------
    keras.Model
        Gives (n, rows, columns, classes) probabilities, float32.

    Raises
    ------
    ValueError
        If an argument has a value that is not allowed.
    DataError
        If the weights cannot be had; the message says why, and what to do.

    Notes
    -----
    Sources: Badrinarayanan et al. (2017), doi 10.1109/TPAMI.2016.2644615; Simonyan and Zisserman
    (2015), arXiv:1409.1556; used by Karabag et al. (2020), doi 10.1371/journal.pone.0230605.
    """
    check_classes(classes)
    inputs, x = begin(input_shape, 8, "caffe")
    encoder, initialisation = _encoder(x.shape[1:], weights)
    features = encoder(x)
    x = keras.layers.MaxPooling2D(padding="same", name="pool5")(features[-1])
    for step, filters in _SEGNET_FILTERS.items():
        x = Unpool(name=f"decoder{step}_unpool")([x, features[step - 1]])
        for i, count in enumerate(filters, start=1):
            x = conv_block(x, count, name=f"decoder{step}_conv{i}")
    logits = keras.layers.Conv2D(classes, 3, padding="same", name="logits")(x)
    return finish("vgg16_segnet", inputs, logits, weights, initialisation)


def vgg16_unet(
    input_shape: tuple = (360, 480, 3),
    classes: int = 4,
    weights: str | os.PathLike | None = "imagenet",
) -> keras.Model:
    """Build VGG16 with a small decoder that sees the encoder's maps through skip connections.

    It is not in the paper; it shows beside `vgg16_segnet` what the decoder costs and gains.

    Parameters
    ----------
    input_shape, classes, weights
        As for `vgg16_segnet`.

    Returns
    -------
    keras.Model
        Gives (n, rows, columns, classes) probabilities, float32.

    Raises
    ------
    ValueError, DataError
        As `vgg16_segnet`.

    Notes
    -----
    Source of the skip connections: Ronneberger et al. (2015), arXiv:1505.04597.
    """
    check_classes(classes)
    inputs, x = begin(input_shape, 16, "caffe")
    encoder, initialisation = _encoder(x.shape[1:], weights)
    features = encoder(x)
    x = features[-1]
    for step, filters in _SKIP_FILTERS.items():
        # Fewer channels first: what is enlarged costs four times as much.
        x = conv_block(x, filters, 1, name=f"decoder{step}_reduce")
        x = keras.layers.UpSampling2D(name=f"decoder{step}_up")(x)
        # VGG16 has no batch normalisation, and maps of very different size of numbers.
        skip = FusedBatchNormalization(momentum=0.9, name=f"decoder{step}_scale")(
            features[step - 1]
        )
        x = keras.layers.Concatenate(name=f"decoder{step}_skip")([x, skip])
        x = conv_block(x, filters, name=f"decoder{step}_conv1")
    logits = keras.layers.Conv2D(classes, 1, name="logits")(x)
    return finish("vgg16_unet", inputs, logits, weights, initialisation)
