"""Synthetic slices drawn over the published ground truth: every slice of a real nucleus."""

from functools import lru_cache

import numpy as np

from helpers import data
from helpers import settings as settings_module
from helpers.phantom import render
from helpers.settings import Settings
from helpers.stack import PAPER_VOXEL_NM, published_labels, published_name
from helpers.stack_type import Stack

PIXELS = 2000


def rendered_stack(
    *, every: int = 1, shrink: int = 1, seed: int = 0, settings: Settings | None = None
) -> Stack:
    """Draw synthetic slices over the published ground truth of the paper's cell.

    The shapes are real, slice by slice; the grey levels are `helpers.phantom.render`'s.
    So a method can be tried on a whole stack, with its ends, where only a few real slices can be
    had.

    Parameters
    ----------
    every : int
        Take every slice, every second one, ...; the slice numbers are then 1, 2, ... of the
        stack, with the larger distance between them in its `voxel_nm`.
    shrink : int
        Take every pixel, every second one, ...; a divisor of 2000.
    seed : int
        Of the texture.
    settings : Settings, optional
        By default those of the environment.

    Returns
    -------
    Stack
        Source ``phantom``: it is not data. Slices are kept once they were drawn.

    Raises
    ------
    ValueError
        If `every` or `shrink` is out of range.
    helpers.data.DataError
        If the ground truth cannot be had.
    """
    settings = settings or settings_module.current()
    if every not in range(1, 151):
        raise ValueError(f"every is {every}; it must be a whole number from 1 to 150.")
    if shrink not in range(1, 41) or PIXELS % shrink:
        raise ValueError(f"shrink is {shrink}; it must be a divisor of {PIXELS}, 40 at most.")
    numbers = range(1, 301, every)
    names = [
        published_name(number, several_nuclei=several)
        for number in numbers
        for several in (False, True)
    ]
    data.fetch_many(names, settings=settings)
    z_nm, pixel_size_nm = PAPER_VOXEL_NM[0], PAPER_VOXEL_NM[1] * shrink

    def labels(number: int, several_nuclei: bool = False) -> np.ndarray:
        whole = published_labels(
            numbers[number - 1], several_nuclei=several_nuclei, settings=settings
        )
        return np.ascontiguousarray(whole[shrink // 2 :: shrink, shrink // 2 :: shrink])

    def nuclei(number: int) -> np.ndarray:
        return labels(number, several_nuclei=True)

    @lru_cache(maxsize=None if shrink > 1 else 8)
    def image(number: int) -> np.ndarray:
        height_nm = (numbers[number - 1] - 0.5) * z_nm
        return render(nuclei(number), pixel_size_nm=pixel_size_nm, z_nm=height_nm, seed=seed)

    return Stack(
        name="synthetic slices over the published ground truth, not data",
        source="phantom",
        slice_numbers=tuple(range(1, len(numbers) + 1)),
        shape=(PIXELS // shrink, PIXELS // shrink),
        voxel_nm=(z_nm * every, pixel_size_nm, pixel_size_nm),
        licence="the ground truth is its authors', the texture MIT",
        citation="Ground truth: doi 10.5281/zenodo.3834608. Texture: helpers.phantom.",
        _image=image,
        _labels=labels,
        _nuclei=nuclei,
    )
