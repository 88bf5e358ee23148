"""A large slice labelled tile by tile, with no seams and in little memory."""

from collections.abc import Callable, Iterator

import cv2
import numpy as np

from helpers.labels import Label
from helpers.training.pipeline import as_input

# Tiles begin at multiples of this, so that the pooling of each meets the same pixels as that of
# the whole slice: enough for five poolings.
ALIGNMENT_PX = 32
# Rows of the result that are made at once, to bound the memory.
_CHUNK_ROWS = 256


def label_tiled(
    image: np.ndarray,
    predict: Callable,
    *,
    channels: int,
    tile_px: int,
    overlap_px: int | None = None,
    batch: int = 4,
    shape: tuple[int, int] | None = None,
) -> np.ndarray:
    """Label a slice tile by tile.

    Parameters
    ----------
    image : (y, x) array of uint8
        As the network sees it: prepared, of any size.
    predict : callable
        From (n, y, x, channels) grey levels to (n, y, x, 4) probabilities.
    channels : int
    tile_px, overlap_px, batch
        As for `tile_probabilities`.
    shape : (int, int), optional
        Size (y, x) of the result, where it is not that of `image`: probabilities are interpolated.

    Returns
    -------
    (y, x) array of uint8
        Numbers of `helpers.labels.Label`.

    Raises
    ------
    ValueError
        As `tile_probabilities`.

    Notes
    -----
    Memory: rows of tiles in float32, whatever the height of the slice.
    """
    height, width = shape or image.shape
    labels = np.empty((height, width), np.uint8)
    # The row of `image` that each row of the result lies on, pixel centres matched.
    source = (np.arange(height) + 0.5) * image.shape[0] / height - 0.5
    source = np.clip(source, 0, image.shape[0] - 1)
    done, held_from, held = 0, 0, None
    bands = tile_probabilities(
        image, predict, channels=channels, tile_px=tile_px, overlap_px=overlap_px, batch=batch
    )
    for first, band in bands:
        band = cv2.resize(band, (width, len(band)), interpolation=cv2.INTER_LINEAR)
        # The last row of the band before is a neighbour of this one's first.
        held_from = first if held is None else first - 1
        held = band if held is None else np.concatenate([held[-1:], band])
        last = held_from + len(held) - 1
        ready = int(np.searchsorted(source, last, side="right"))
        for start in range(done, ready, _CHUNK_ROWS):
            rows = source[start : min(start + _CHUNK_ROWS, ready)]
            above = np.floor(rows).astype(int) - held_from
            below = np.minimum(above + 1, len(held) - 1)
            part = (rows - np.floor(rows)).astype(np.float32)[:, None, None]
            mixed = held[above] * (1 - part) + held[below] * part
            labels[start : start + len(rows)] = mixed.argmax(axis=-1) + min(Label)
        done = ready
    return labels


def tile_probabilities(
    image: np.ndarray,
    predict: Callable,
    *,
    channels: int,
    tile_px: int,
    overlap_px: int | None = None,
    batch: int = 4,
) -> Iterator[tuple[int, np.ndarray]]:
    """Predict a slice tile by tile, and blend the tiles where they overlap.

    A quarter of the overlap at each edge of a tile counts for nothing: there the network sees the
    edge, and not the slice. From there the tile's weight rises to 1 along a raised cosine. If that
    quarter is no less than the radius of the network's receptive field, the result is what the
    network gives for the whole slice at once.

    Parameters
    ----------
    image : (y, x) array of uint8
        Continued by its mirror image to a multiple of 32 pixels, or to a tile if it is smaller.
    predict : callable
        From (n, y, x, channels) grey levels to (n, y, x, 4) probabilities.
    channels : int
    tile_px : int
        Side of a tile, a multiple of 32.
    overlap_px : int, optional
        Of neighbouring tiles, a multiple of 32 up to half a tile; by default a quarter of a tile,
        rounded up to such a multiple.
    batch : int
        Tiles computed at once.

    Yields
    ------
    first : int
        First row of the band.
    band : (rows, x, 4) array of float32
        Bands follow one another without a gap.

    Raises
    ------
    ValueError
        If a size is not allowed.
    """
    if tile_px < 2 * ALIGNMENT_PX or tile_px % ALIGNMENT_PX:
        raise ValueError(
            f"tile_px is {tile_px}; it must be a multiple of {ALIGNMENT_PX}, at least "
            f"{2 * ALIGNMENT_PX}."
        )
    if overlap_px is None:
        overlap_px = -(-tile_px // 4 // ALIGNMENT_PX) * ALIGNMENT_PX
    if overlap_px % ALIGNMENT_PX or not ALIGNMENT_PX <= overlap_px <= tile_px // 2:
        raise ValueError(
            f"overlap_px is {overlap_px}; it must be a multiple of {ALIGNMENT_PX}, from "
            f"{ALIGNMENT_PX} to half a tile, {tile_px // 2}."
        )
    height, width = image.shape
    # Filled by mirroring: a black margin would be a structure that no slice has.
    margins = [(0, _padded(side, tile_px) - side) for side in image.shape]
    image = np.pad(image, margins, mode="symmetric")
    tops, row_weights = _windows(image.shape[0], tile_px, overlap_px)
    lefts, column_weights = _windows(image.shape[1], tile_px, overlap_px)
    band = np.zeros((tile_px, image.shape[1], len(Label)), np.float32)
    for place, (top, row_weight) in enumerate(zip(tops, row_weights, strict=True)):
        for start in range(0, len(lefts), batch):
            some = lefts[start : start + batch]
            tiles = [image[top : top + tile_px, left : left + tile_px] for left in some]
            found = predict(as_input(np.stack(tiles), channels))
            for left, weight, one in zip(
                some, column_weights[start : start + batch], found, strict=True
            ):
                window = np.outer(row_weight, weight)[..., None]
                band[:, left : left + tile_px] += window * one
        end = tops[place + 1] if place + 1 < len(tops) else image.shape[0]
        whole = end - top
        yield top, band[: min(whole, height - top), :width]
        following = np.zeros_like(band)
        following[: tile_px - whole] = band[whole:]
        band = following


def _padded(side_px: int, tile_px: int) -> int:
    return max(tile_px, -(-side_px // ALIGNMENT_PX) * ALIGNMENT_PX)


def _windows(length_px: int, tile_px: int, overlap_px: int) -> tuple[list[int], list[np.ndarray]]:
    """Where tiles begin along a side, and the weights of their pixels, which add up to 1."""
    last = length_px - tile_px
    starts = [*range(0, last, tile_px - overlap_px), last]
    blind = overlap_px // 4
    ramp_px = overlap_px - 2 * blind
    ramp = np.sin(np.pi / 2 * (np.arange(ramp_px) + 0.5) / ramp_px) ** 2
    edge = np.concatenate([np.zeros(blind), ramp, np.ones(blind)])
    weights = []
    for start in starts:
        weight = np.ones(tile_px)
        # At the border of the slice there is no other tile, and the network sees what is there.
        if start > 0:
            weight[:overlap_px] *= edge
        if start < last:
            weight[-overlap_px:] *= edge[::-1]
        weights.append(weight)
    total = np.zeros(length_px)
    for start, weight in zip(starts, weights, strict=True):
        total[start : start + tile_px] += weight
    return starts, [
        (weight / total[start : start + tile_px]).astype(np.float32)
        for start, weight in zip(starts, weights, strict=True)
    ]
