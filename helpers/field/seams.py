"""How much a network's labels change at the borders of the blocks that it saw."""

import math

import numpy as np

from helpers.training.predict import ALIGNMENT_PX

NEAR_PX = 16
"""What counts as near a block's border."""


def count_seams(without, labels, block_px: int, *, near_px: int = NEAR_PX) -> dict:
    """Count what blocks without overlap change, and how much labels change at their borders.

    Parameters
    ----------
    without, labels : (z, y, x) or (y, x) arrays of uint8
        Labels of the same pictures from blocks without overlap, and with it.
    block_px : int
        Side of the blocks of `without`.
    near_px : int
        Pixels no farther than this from a border between two blocks are near it.

    Returns
    -------
    dict
        ``pixels`` that differ, ``share`` of all that they are; ``near_share``, how many of them
        are near a border, and ``near_area``, how many of all pixels are, which is what to expect
        if borders did not matter. ``step_without`` and ``step``: of pairs of neighbours across a
        border, the share whose labels differ, divided by that of pairs inside the blocks; about 1
        is no seam. What cannot be told is NaN.

    Raises
    ------
    ValueError
        If the sizes do not fit, or there is only one block.

    Examples
    --------
    >>> labels = np.repeat([[2, 2, 2, 3, 3, 3, 3, 3]], 8, axis=0)
    >>> without = labels.copy()
    >>> without[:, 4:6] = 2
    >>> seams = count_seams(without, labels, 4, near_px=2)
    >>> seams["pixels"], seams["near_share"], seams["near_area"]
    (16, 1.0, 0.75)
    """
    without, labels = np.asarray(without), np.asarray(labels)
    if without.shape != labels.shape or labels.ndim not in (2, 3):
        raise ValueError(
            f"The labels have the sizes {without.shape} and {labels.shape}; give two of the same."
        )
    if not 1 <= near_px <= block_px // 2:
        raise ValueError(
            f"near_px is {near_px}; it must be from 1 to half a block, {block_px // 2}."
        )
    if max(labels.shape[-2:]) <= block_px:
        raise ValueError(f"Blocks of {block_px} have no border in {labels.shape[-2:]} pixels.")
    near_rows, near_columns = (_is_near(n, block_px, near_px) for n in labels.shape[-2:])
    near = near_rows[:, None] | near_columns
    differ = without != labels
    count = int(np.count_nonzero(differ))
    return {
        "pixels": count,
        "share": count / differ.size,
        "near_share": float((differ & near).sum() / count) if count else math.nan,
        "near_area": float(near.mean()),
        "step_without": _step(without, block_px),
        "step": _step(labels, block_px),
    }


def _is_near(length: int, block_px: int, near_px: int) -> np.ndarray:
    """Tell which places along a side are near a border between two blocks."""
    is_near = np.zeros(length, bool)
    for border in range(block_px, length, block_px):
        is_near[border - near_px : border + near_px] = True
    return is_near


def _step(labels: np.ndarray, block_px: int) -> float:
    """Return how often labels change across borders, divided by how often inside the blocks.

    Pairs inside are taken on a grid on which the borders lie too: a network's maps have a grid of
    their own, along which labels change more or less often, and which is no seam.
    """
    grid_px = math.gcd(block_px, ALIGNMENT_PX)
    changes, pairs = np.zeros(2), np.zeros(2)
    for axis in (-2, -1):
        changed = np.moveaxis(np.diff(labels.astype(np.int16), axis=axis) != 0, axis, -1)
        second = np.arange(1, changed.shape[-1] + 1)  # Place of the second pixel of each pair.
        across = second % block_px == 0
        inside = (second % grid_px == 0) & ~across
        for at, which in enumerate((across, inside)):
            changes[at] += changed[..., which].sum()
            pairs[at] += changed[..., which].size
    if not (pairs.all() and changes[1]):
        return math.nan
    return float(changes[0] / pairs[0] / (changes[1] / pairs[1]))


# --- blocks --------------------------------------------------------------------------------------
