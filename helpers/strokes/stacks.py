"""A whole stack, labelled by a forest that was trained on strokes."""

from pathlib import Path

from helpers import masks, postprocessing, traditional
from helpers.cache import digest_of, key_of
from helpers.data.stack import Stack
from helpers.label_maps import LabelMaps
from helpers.progress import progress_bar
from helpers.settings import check_choice
from helpers.strokes import drawn, features, forest
from helpers.strokes.drawn import Strokes
from helpers.strokes.features import FEATURES
from helpers.strokes.forest import train
from helpers.traditional.doubts import Doubt
from helpers.training import prepare
from helpers.volume.doubts import find_doubts
from helpers.volume.passes import pictures_of


def made_by(kind: str) -> tuple[list, str | None]:
    """Return what computes labels from strokes: the code, and which weights VGG16 begins with.

    Parameters
    ----------
    kind : {"hand-made", "VGG16", "both"}

    Returns
    -------
    code : list
        As `helpers.cache.key_of` takes it.
    weights : str or None
        None without VGG16.
    """
    code = [drawn, features, forest, prepare, postprocessing, traditional, masks]
    if kind == "hand-made":
        return code, None
    from helpers import networks

    weights = networks.resolve_weights("vgg16_unet")
    return [*code, networks], networks.KINDS.get(weights)


def segment_by_strokes(
    stack: Stack,
    folder: Path | str,
    strokes: Strokes,
    kind: str = "hand-made",
    *,
    learn_from: Stack | None = None,
    errors: str = "raise",
    progress: bool = True,
    overwrite: bool = False,
    doubts: list[Doubt] | None = None,
) -> LabelMaps:
    """Label each slice of a stack by a forest that learns from strokes, into a folder.

    Parameters
    ----------
    stack : Stack
        Each slice is labelled by itself.
    folder : Path or str
        Made where it is not. Label maps in it are taken if they were made of the same pictures and
        strokes, by the same code.
    strokes : Strokes
        On slices of the stack, or of `learn_from`.
    kind : {"hand-made", "VGG16", "both"}
        See `helpers.strokes.features_of`.
    learn_from : Stack, optional
        With the slices that were drawn on, where `stack` is a part of it without them.
    errors : {"raise", "skip"}
        Whether a slice that cannot be read is an error, or left out.
    progress : bool
        Whether to show a progress bar.
    overwrite : bool
        Whether the label maps of another run are replaced.
    doubts : list, optional
        What is doubtful is put into it; see `helpers.volume`.

    Returns
    -------
    LabelMaps

    Raises
    ------
    ImportError, ValueError, helpers.data.DataError
        As `helpers.strokes.train`.
    helpers.volume.SliceError
        If a slice cannot be read.
    """
    check_choice(kind, "features", FEATURES)
    learn_from = learn_from or stack
    strokes.check(learn_from)
    pictures = pictures_of(stack, errors)
    code, weights = made_by(kind)
    identity = {
        "method": "strokes",
        "features": kind,
        "weights": weights,
        "strokes": strokes.rows(),
        "pictures": key_of("pictures", each=pictures),
        "drawn on": digest_of(learn_from, strokes.numbers, of=("image",)),
        "code": key_of(code),
    }
    maps = LabelMaps(folder, identity, overwrite=overwrite, pixel_size_nm=stack.pixel_size_nm)
    missing = maps.missing(pictures)
    if missing:
        trees = train(strokes, learn_from, kind)
        for number in progress_bar(missing, disable=not progress, desc="slices"):
            maps.write(number, trees.segment(stack.image(number)))
    if doubts is not None:
        doubts.extend(find_doubts(stack, maps))
    return maps
