"""What can be evaluated: a function of a slice, or label maps that exist."""

import inspect
import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from helpers.label_maps import LabelMaps
from helpers.labels import Label
from helpers.results.foreign import LabelFolder, translate
from helpers.results.record import fingerprint
from helpers.stack_type import Stack

Segmenter = Callable[..., np.ndarray] | LabelMaps | LabelFolder | Path | str


def code_of(segmenter: Segmenter) -> str:
    """Return what tells one segmenter from another of the same name."""
    if callable(segmenter):
        return fingerprint(segmenter)
    if isinstance(segmenter, LabelMaps):
        return fingerprint(json.dumps(segmenter.identity, sort_keys=True))
    # Files from elsewhere may change: they are compared with those of the run, slice by slice.
    return "label maps from elsewhere"


def check_all_there(maps: LabelMaps | LabelFolder, wanted: tuple[int, ...]) -> None:
    """Say which slices label maps lack, if they do.

    Parameters
    ----------
    maps : LabelMaps or LabelFolder
    wanted : tuple of int

    Raises
    ------
    ValueError
        If one of them is not there.
    """
    lacks = [number for number in wanted if number not in maps.numbers]
    if lacks:
        raise ValueError(
            f"{maps.folder} lacks the slices {', '.join(map(str, lacks))}; add them, or give "
            f"slices=, of those it has: {', '.join(map(str, maps.numbers))}."
        )


def segment(
    segmenter: Segmenter, stack: Stack, number: int, ids: Mapping[int, int] | None
) -> tuple[np.ndarray, float | None]:
    """Get the label map of a slice and check it.

    Parameters
    ----------
    segmenter : callable, LabelMaps or LabelFolder
    stack : Stack
    number : int
        Slice number.
    ids : mapping of number to Label, or None

    Returns
    -------
    labels : (y, x) array of uint8
    seconds : float or None
        How long a function took; None for label maps that exist.

    Raises
    ------
    TypeError, ValueError
        If it is not a label map of that slice.
    RuntimeError
        If a function fails.
    """
    seconds = None
    if callable(segmenter):
        image = stack.image(number)
        arguments = (image, number) if _takes_number(segmenter) else (image,)
        start = time.perf_counter()
        try:
            labels = segmenter(*arguments)
        except Exception as error:
            raise RuntimeError(
                f"the segmenter failed on slice {number}: {type(error).__name__}: {error}"
            ) from error
        seconds = time.perf_counter() - start
    else:
        labels = segmenter.read(number)
    labels = np.asarray(labels)
    if labels.shape != stack.shape:
        raise ValueError(
            f"labels of slice {number} have shape {labels.shape}; the slice has {stack.shape}. "
            "Bring them to its size with nearest-neighbour interpolation."
        )
    if ids is not None:
        labels = translate(labels, ids, number)
    elif labels.dtype != np.uint8:
        raise TypeError(
            f"labels of slice {number} have dtype {labels.dtype}; allowed is uint8. For other "
            "numbers or a mask give ids=, such as {True: Label.NUCLEUS, False: Label.CELL}."
        )
    elif labels.max() > max(Label):
        raise ValueError(
            f"labels of slice {number} have numbers up to {labels.max()}; allowed are "
            f"{min(Label):d} to {max(Label):d}, and 0 for no label. For other numbers give ids=, "
            "such as {255: Label.NUCLEUS, 0: Label.CELL}."
        )
    return labels, seconds


def _takes_number(function: Callable) -> bool:
    """Tell whether a function must be given a second argument."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # Some compiled functions do not say.
        return False
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    needed = [p for p in parameters if p.kind in positional and p.default is p.empty]
    return len(needed) >= 2
