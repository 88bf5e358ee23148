"""DeepLab v3+ on ResNet18."""

import os

import keras

from helpers.networks.deeplab import STRIDE, deeplab
from helpers.networks.layers import begin, check_classes, cut_encoder, rebuild
from helpers.networks.weights import load_backbone


def resnet18_deeplabv3plus(
    input_shape: tuple = (360, 480, 3),
    classes: int = 4,
    weights: str | os.PathLike | None = "imagenet",
) -> keras.Model:
    """Build the network that the paper calls ResNet18: DeepLab v3+ on ResNet18.

    The last stage of ResNet18 keeps its resolution; its 3 x 3 kernels are spread out (atrous
    convolutions) instead, so that they see what they saw when they were trained.

    Parameters
    ----------
    input_shape : (int or None, int or None, 3)
        Rows, columns, channels; values from 0 to 255, grey copied to three channels.
    classes : int
        Of each pixel, 2 or more.
    weights : "imagenet", path or None
        What ResNet18 begins with (the preset ``resnet_18_imagenet`` of keras_hub); None is random.
        A path is a file of the whole network's weights.

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
    Sources: Chen et al. (2018), arXiv:1802.02611; He et al. (2016), arXiv:1512.03385; used by
    Karabag et al. (2020), doi 10.1371/journal.pone.0230605.
    """
    check_classes(classes)
    inputs, x = begin(input_shape, STRIDE, "torch")
    backbone = plain_resnet18()
    initialisation = load_backbone(backbone, "resnet18", weights)
    encoder = cut_encoder(
        rebuild(backbone, x.shape[1:], _keep_resolution), ("stack0_block1_out", "stack3_block1_out")
    )
    return deeplab("resnet18_deeplabv3plus", inputs, encoder, x, classes, weights, initialisation)


def plain_resnet18() -> keras.Model:
    """Return ResNet18 of keras_hub without its classifier, with random weights.

    Returns
    -------
    keras_hub.models.ResNetBackbone
    """
    import keras_hub  # Here, because it takes seconds and only this network needs it.

    return keras_hub.models.ResNetBackbone(
        input_conv_filters=[64],
        input_conv_kernel_sizes=[7],
        stackwise_num_filters=[64, 128, 256, 512],
        stackwise_num_blocks=[2, 2, 2, 2],
        stackwise_num_strides=[1, 2, 2, 2],
        block_type="basic_block",
    )


def _keep_resolution(layer_class: str, config: dict) -> None:
    """Let the last stage have stride 1, and what comes after it rate 2."""
    if layer_class != "Conv2D" or not config["name"].startswith("stack3"):
        return
    if config["strides"] == (2, 2):
        config["strides"] = (1, 1)
    elif config["kernel_size"] == (3, 3):
        config["dilation_rate"] = (2, 2)
