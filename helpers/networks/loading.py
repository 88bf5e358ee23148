"""Weights put into layers, and checked while that is done."""

import json
import os
import warnings
from pathlib import Path

import h5py
import keras
import numpy as np

from helpers.download import DataError
from helpers.networks import weights as weights_module
from helpers.networks.weights import HED, HED_REMEDY, IMAGENET, PRESET, RANDOM
from helpers.settings import Settings


def load_backbone(
    backbone: keras.Model,
    name: str,
    weights: str | os.PathLike | None,
    *,
    settings: Settings | None = None,
) -> str:
    """Give a backbone the weights it shall begin with.

    Parameters
    ----------
    backbone : keras.Model
        Built with random weights.
    name : {"vgg16", "resnet18", "inception_resnet_v2"}
    weights : {"imagenet", "hed"}, path or None
        With a path nothing is done here: a file holds the whole network.
    settings : Settings, optional
        By default those of the environment.

    Returns
    -------
    str
        What the weights are, in the words for tables.

    Raises
    ------
    ValueError
        If the backbone has no such weights.
    DataError
        If they cannot be had.
    """
    weights_module.check_kind(
        weights, name, ("imagenet", "hed") if name == "vgg16" else ("imagenet",)
    )
    if weights == "hed":
        load_hed(backbone)
        return HED
    if weights != "imagenet":
        return RANDOM
    paths = weights_module.fetch_imagenet(name, settings=settings)
    if name == "resnet18":
        _load_preset(backbone, paths[0].parent)
    else:
        load_file(backbone, paths[0])
    return IMAGENET


def load_file(model: keras.Model, path: Path) -> None:
    """Load a file of weights that has exactly the model's layers, or raise `DataError`."""
    try:
        with warnings.catch_warnings():
            # Keras only warns of layers that the file lacks, and leaves them random.
            warnings.simplefilter("error", UserWarning)
            model.load_weights(path)
    except (OSError, ValueError, KeyError, TypeError, UserWarning) as error:
        fits = f"its weights do not fit {model.name}"
        reason = fits if path.exists() else "there is no such file"
        raise DataError(
            str(path),
            f"{reason} ({str(error).splitlines()[0]})",
            "Give a file that model.save_weights made of the same network, with the same number "
            "of classes and the same options; its name ends in .weights.h5.",
        ) from error


def _load_preset(backbone: keras.Model, folder: Path) -> None:
    import keras_hub

    try:
        preset = keras_hub.models.ResNetBackbone.from_preset(str(folder))
        backbone.set_weights(preset.get_weights())
        converter = keras_hub.layers.ImageConverter.from_preset(str(folder))
    except (OSError, ValueError, KeyError, TypeError, json.JSONDecodeError) as error:
        raise DataError(
            str(folder),
            f"it is not keras_hub's preset {PRESET} ({str(error).splitlines()[0]})",
            "Delete the folder to download it again.",
        ) from error
    converter.image_size = None
    probe = np.array([0, 100, 255], np.float32).reshape(1, 1, 1, 3)
    ours = keras.applications.imagenet_utils.preprocess_input(probe.copy(), mode="torch")
    if not np.allclose(keras.ops.convert_to_numpy(converter(probe)), ours, atol=1e-3):
        raise DataError(
            str(folder),
            "its weights were trained on images scaled in another way than the network scales them",
            f"Put the files of the preset {PRESET} there.",
        )


def load_hed(vgg16: keras.Model) -> None:
    """Load the convolutions of the edge detector HED into VGG16, layer by layer.

    The file has them in Keras' layout and for Keras' preprocessing (blue, green, red; mean
    subtracted), so that nothing is to be turned around.

    Parameters
    ----------
    vgg16 : keras.Model
        Keras' VGG16 without its classifier.

    Raises
    ------
    DataError
        If the package is not installed, or its file does not have all layers in the right shape.
    """
    path = weights_module.hed_file()
    try:
        with h5py.File(path) as file:
            found = {}

            def keep(_, group) -> None:
                name = group.attrs.get("name", "")
                if isinstance(group, h5py.Group) and "_conv" in name:
                    found[name] = [group[str(i)][()] for i in range(len(group))]

            file.visititems(keep)
        for layer in vgg16.layers:
            if layer.weights:
                layer.set_weights(found.pop(layer.name))
    except (OSError, KeyError, ValueError) as error:
        raise DataError(
            str(path), f"it does not have VGG16's convolutions ({error})", HED_REMEDY
        ) from error
