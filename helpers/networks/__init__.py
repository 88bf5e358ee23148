"""The networks, in Keras on TensorFlow: grey levels in, probabilities of the four classes out.

Each is a function ``NAME(input_shape, classes, weights)`` of the same form; `NETWORKS` has them
by name. Images come as values from 0 to 255; how a backbone wants them scaled is part of the model.
"""

import os

# Before TensorFlow is loaded: its notes on the processor are of no use in a chapter.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

try:
    import keras
    import tensorflow  # noqa: F401
except ImportError as error:
    raise ImportError(
        f"The networks need TensorFlow and Keras ({error}). Install them with "
        "pip install -r requirements.txt, or pip install '.[networks,hed]'."
    ) from error
if keras.config.backend() != "tensorflow":
    raise ImportError(
        f"Keras runs on {keras.config.backend()}; the networks need it to run on TensorFlow. "
        "Set the environment variable KERAS_BACKEND to tensorflow and start Python again."
    )

from helpers.networks.assembly import freeze_encoder, initialisation_of
from helpers.networks.describe import (
    ParameterCount,
    ReceptiveField,
    count_parameters,
    receptive_field,
)
from helpers.networks.draw import draw
from helpers.networks.inception_resnet_v2 import inception_resnet_v2_deeplabv3plus
from helpers.networks.plain_unet import paper_unet
from helpers.networks.resnet18 import resnet18_deeplabv3plus
from helpers.networks.skip_unet import unet
from helpers.networks.vgg16 import vgg16_segnet, vgg16_unet
from helpers.networks.weights import (
    BACKBONES,
    fetch_imagenet,
    has_hed,
    imagenet_fault,
    is_imagenet_cached,
    resolve_weights,
)

NETWORKS = {
    function.__name__: function
    for function in (
        vgg16_segnet,
        vgg16_unet,
        resnet18_deeplabv3plus,
        inception_resnet_v2_deeplabv3plus,
        paper_unet,
        unet,
    )
}

__all__ = [
    "BACKBONES",
    "NETWORKS",
    "ParameterCount",
    "ReceptiveField",
    "count_parameters",
    "draw",
    "fetch_imagenet",
    "freeze_encoder",
    "has_hed",
    "imagenet_fault",
    "inception_resnet_v2_deeplabv3plus",
    "initialisation_of",
    "is_imagenet_cached",
    "paper_unet",
    "receptive_field",
    "resnet18_deeplabv3plus",
    "resolve_weights",
    "unet",
    "vgg16_segnet",
    "vgg16_unet",
]
