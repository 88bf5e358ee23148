"""The networks, in Keras on TensorFlow: grey levels in, probabilities of the four classes out.

Each is a function ``NAME(input_shape, classes, weights)`` of the same form; `NETWORKS` has them
by name. Images come as values from 0 to 255; how a backbone wants them scaled is part of the model.
"""

import helpers.machine

try:
    helpers.machine.load_tensorflow()
    import keras
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

from helpers.networks.describe import (
    count_depth,
    count_parameters,
    flatten,
    receptive_field,
)
from helpers.networks.inception import inception_resnet_v2_deeplabv3plus
from helpers.networks.layers import freeze_encoder
from helpers.networks.pictures import (
    draw,
    draw_start,
    feature_maps,
    first_filters,
    hed_edges,
    mosaic,
)
from helpers.networks.resnet18 import resnet18_deeplabv3plus
from helpers.networks.unet import paper_unet, unet
from helpers.networks.vgg16 import vgg16_segnet, vgg16_unet
from helpers.networks.weights import (
    KINDS,
    has_hed,
    initialisation_of,
    resolve_weights,
    weights_box,
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
    "KINDS",
    "count_depth",
    "count_parameters",
    "draw",
    "draw_start",
    "feature_maps",
    "first_filters",
    "flatten",
    "freeze_encoder",
    "has_hed",
    "hed_edges",
    "inception_resnet_v2_deeplabv3plus",
    "initialisation_of",
    "mosaic",
    "paper_unet",
    "receptive_field",
    "resnet18_deeplabv3plus",
    "resolve_weights",
    "unet",
    "vgg16_segnet",
    "vgg16_unet",
    "weights_box",
]
