"""DeepLab v3+ on Inception-ResNet-v2."""

import os

import keras

from helpers.networks.deeplab import STRIDE, deeplab
from helpers.networks.layers import begin, check_classes, cut_encoder, rebuild
from helpers.networks.weights import load_backbone


def inception_resnet_v2_deeplabv3plus(
    input_shape: tuple = (360, 480, 3),
    classes: int = 4,
    weights: str | os.PathLike | None = "imagenet",
) -> keras.Model:
    """Build the network that the paper calls Inception-ResNet-v2: DeepLab v3+ on it.

    Two things differ from Keras' backbone, and neither touches the weights: convolutions and
    poolings without padding get one, so that maps halve exactly, and from the block ``mixed_7a``
    on the resolution stays, with kernels spread out (atrous convolutions) instead.

    Parameters
    ----------
    input_shape : (int or None, int or None, 3)
        Rows, columns, channels; values from 0 to 255, grey copied to three channels.
    classes : int
        Of each pixel, 2 or more.
    weights : "imagenet", path or None
        What the backbone begins with; None is random. A path is a file of the whole network's
        weights.

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
    Sources: Chen et al. (2018), arXiv:1802.02611; Szegedy et al. (2017), arXiv:1602.07261; used by
    Karabag et al. (2020), doi 10.1371/journal.pone.0230605.
    """
    check_classes(classes)
    inputs, x = begin(input_shape, STRIDE, "tf")
    backbone = keras.applications.InceptionResNetV2(
        include_top=False, weights=None, input_shape=(None, None, 3)
    )
    initialisation = load_backbone(backbone, "inception_resnet_v2", weights)
    encoder = rebuild(backbone, x.shape[1:], _Changes())
    # The map at a quarter is what the second pooling takes; its layer has no fixed name.
    pools = [layer for layer in encoder.layers if isinstance(layer, keras.layers.MaxPooling2D)]
    low = next(layer.name for layer in encoder.layers if layer.output is pools[1].input)
    encoder = cut_encoder(encoder, (low, "conv_7b_ac"))
    return deeplab(
        "inception_resnet_v2_deeplabv3plus", inputs, encoder, x, classes, weights, initialisation
    )


class _Changes:
    """Edits the layers' configurations in their order, see `rebuild`."""

    def __init__(self):
        self._stage = ""

    def __call__(self, layer_class: str, config: dict) -> None:
        if config["name"] in ("block17_20_ac", "mixed_7a"):
            self._stage = config["name"]
        if layer_class == "BatchNormalization":
            config["momentum"] = 0.9  # See `helpers.networks.layers.conv_block`.
        if layer_class not in ("Conv2D", "MaxPooling2D"):
            return
        config["padding"] = "same"
        if self._stage == "block17_20_ac":
            config["strides"] = (1, 1)
        elif self._stage == "mixed_7a" and config["kernel_size"] != (1, 1):
            config["dilation_rate"] = (2, 2)
