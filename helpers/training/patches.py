"""Patches: where they lie in a slice, and how many there are."""

import numpy as np


def patch_starts(length_px: int, patch_px: int, overlap: float = 0.5) -> np.ndarray:
    """Where patches begin along one side of a slice.

    Parameters
    ----------
    length_px : int
        Side of the slice.
    patch_px : int
        Side of a patch.
    overlap : float
        Share of a patch that the next one covers too: 0 to below 1.

    Returns
    -------
    (n,) array of int64
        Pixels left at the end, fewer than a step, are in no patch.

    Raises
    ------
    ValueError
        If the patch is larger than the slice, or the overlap is out of range.

    Examples
    --------
    >>> len(patch_starts(2000, 128))
    30
    """
    if not 1 <= patch_px <= length_px:
        raise ValueError(
            f"patch_px is {patch_px}; it must be from 1 to the slice's side, {length_px}."
        )
    if not 0 <= overlap < 1:
        raise ValueError(f"overlap is {overlap}; it must be from 0 to below 1.")
    step = max(1, round(patch_px * (1 - overlap)))
    return np.arange(0, length_px - patch_px + 1, step, dtype=np.int64)


def patch_corners(
    slice_count: int, shape: tuple[int, int], patch_px: int, overlap: float = 0.5
) -> np.ndarray:
    """Upper left corners of all patches of a number of slices.

    Parameters
    ----------
    slice_count : int
    shape : (int, int)
        Size (y, x) of a slice in pixels.
    patch_px : int
        Side of a patch.
    overlap : float
        As for `patch_starts`.

    Returns
    -------
    (n, 3) array of int64
        Place of the slice from 0, and the patch's first row and column in it.

    Raises
    ------
    ValueError
        As for `patch_starts`.

    Notes
    -----
    Karabag et al. (2020): 128 x 128 with 50 % overlap, from the odd slices 101 to 179; the paper
    counts 36,000 pairs.

    Examples
    --------
    >>> len(patch_corners(len(range(101, 180, 2)), (2000, 2000), 128))
    36000
    """
    sides = (patch_starts(side, patch_px, overlap) for side in shape)
    grid = np.meshgrid(np.arange(slice_count, dtype=np.int64), *sides, indexing="ij")
    return np.stack([axis.ravel() for axis in grid], axis=1)
