"""Label maps from a trained network: whole slices at once, or tile by tile, without seams."""

import time
from collections.abc import Callable, Iterable, Iterator

import cv2
import numpy as np
import pandas as pd

from helpers.data.stack import Stack
from helpers.labels import Label
from helpers.machine import peak_memory_mb as process_peak_memory_mb
from helpers.training.device import device_name, need_tensorflow
from helpers.training.examples import as_input
from helpers.training.prepare import Preparation

# Tiles begin at multiples of this, so that the pooling of each meets the same pixels as that of
# the whole slice: enough for five poolings.
ALIGNMENT_PX = 32
# Rows of the result that are made at once, to bound the memory.
_CHUNK_ROWS = 256


class Segmenter:
    """A trained network as a function from a slice to labels.

    Parameters
    ----------
    model : keras.Model
        From grey levels 0 to 255 to the softmax of four classes.
    pixel_size_nm : float
        Of the slices that it will get.
    preparation : Preparation, optional
        That of the recipe the network was trained with.
    batch : int
        Slices, or tiles, computed at once.
    tile_px : int, optional
        Side of the tiles, for a network that was trained on patches and takes inputs of this
        size. Without it the network sees whole slices, resized to its input.

    Raises
    ------
    ValueError
        If the model's input does not fit, or the batch is below 1.
    """

    def __init__(
        self,
        model,
        pixel_size_nm: float,
        *,
        preparation: Preparation | None = None,
        batch: int = 2,
        tile_px: int | None = None,
    ):
        _, height, width, channels = model.input_shape
        if batch < 1:
            raise ValueError(f"batch is {batch}; it must be at least 1.")
        if tile_px is None and None in (height, width):
            raise ValueError(
                f"{model.name} takes inputs of any size; give tile_px, the side of its tiles."
            )
        if tile_px is not None and any(side not in (None, tile_px) for side in (height, width)):
            raise ValueError(
                f"{model.name} takes {height} x {width}, and tile_px is {tile_px}; they must agree."
            )
        self.batch, self.tile_px = batch, tile_px
        self._shape, self._channels = (height, width), channels
        self._pixel_size_nm = pixel_size_nm
        self._preparation = preparation or Preparation()
        self._predict = predictor(model)

    def __call__(self, image: np.ndarray) -> np.ndarray:
        """Label a slice.

        Parameters
        ----------
        image : (y, x) array of uint8
            As it was read: smoothing and resizing are done here.

        Returns
        -------
        (y, x) array of uint8
            Numbers of `helpers.labels.Label`.

        Raises
        ------
        TypeError, ValueError
            If it is not a slice of uint8.
        """
        return self.label([image])[0]

    def label(self, images: list[np.ndarray]) -> list[np.ndarray]:
        """Label slices: as many as the batch at once where the network sees whole ones.

        Parameters
        ----------
        images : list of (y, x) arrays of uint8
            As they were read.

        Returns
        -------
        list of (y, x) arrays of uint8

        Raises
        ------
        TypeError, ValueError
            If one of them is not a slice of uint8.
        """
        if self.tile_px is not None:
            return [self._label_tiled(image) for image in images]
        labels = []
        for start in range(0, len(images), self.batch):
            some = images[start : start + self.batch]
            seen = np.stack([self._prepared(image, self._shape) for image in some])
            probabilities = self._predict(as_input(seen, self._channels))
            labels += [
                labels_at_size(one, image.shape)
                for one, image in zip(probabilities, some, strict=True)
            ]
        return labels

    def _label_tiled(self, image: np.ndarray) -> np.ndarray:
        return label_tiled(
            self._prepared(image),
            self._predict,
            channels=self._channels,
            tile_px=self.tile_px,
            batch=self.batch,
            shape=image.shape,
        )

    def _prepared(self, image: np.ndarray, shape: tuple[int, int] | None = None) -> np.ndarray:
        return self._preparation.image(image, pixel_size_nm=self._pixel_size_nm, shape=shape)


class Segmentation:
    """Label maps of slices, computed as they are asked for.

    Iterating yields pairs: the slice number, and the (y, x) array of uint8 with the numbers of
    `helpers.labels.Label` at the size of the stack's slices.

    Attributes
    ----------
    stack : Stack
        What the slices are read from.
    slices : tuple of int
        Their numbers, in the order in which they come.
    """

    def __init__(self, stack: Stack, slices: tuple[int, ...], segmenter: Segmenter):
        self.stack, self.slices = stack, slices
        self._segmenter = segmenter
        self._seconds: dict[int, float] = {}

    def __len__(self) -> int:
        """Return the number of slices."""
        return len(self.slices)

    def __iter__(self) -> Iterator[tuple[int, np.ndarray]]:
        # Tiles fill the batch with one slice alone.
        size = self._segmenter.batch if self._segmenter.tile_px is None else 1
        for at in range(0, len(self.slices), size):
            numbers = self.slices[at : at + size]
            start = time.perf_counter()
            results = self._segmenter.label([self.stack.image(number) for number in numbers])
            took_s = (time.perf_counter() - start) / len(numbers)
            for number, labels in zip(numbers, results, strict=True):
                self._seconds[number] = took_s
                yield number, labels

    @property
    def seconds(self) -> pd.Series:
        """Seconds each slice took, by slice number; the first ones of a model also compile it."""
        return pd.Series(self._seconds, name="seconds", dtype=float).rename_axis("slice")

    def report(self) -> dict:
        """Say what the segmentation cost so far.

        Returns
        -------
        dict
            ``slices`` computed, ``seconds_per_slice`` (median, reading and resizing included),
            ``peak_memory_mb`` of the process (of the GPU where there is one; None where it is not
            known), ``device``, ``batch``, ``tile_px``.
        """
        return {
            "slices": len(self._seconds),
            "seconds_per_slice": float(self.seconds.median()),
            "peak_memory_mb": peak_memory_mb(),
            "device": device_name(),
            "batch": self._segmenter.batch,
            "tile_px": self._segmenter.tile_px,
        }


def segment(stack: Stack, model, *, slices: Iterable[int] | None = None, **options) -> Segmentation:
    """Label the slices of a stack with a trained network.

    Parameters
    ----------
    stack : Stack
        Needs no ground truth.
    model : keras.Model
        From grey levels 0 to 255 to the softmax of four classes.
    slices : iterable of int, optional
        Slice numbers; by default all.
    **options
        ``preparation``, ``batch`` and ``tile_px``, as for `Segmenter`.

    Returns
    -------
    Segmentation
        Pairs of slice number and label map, at the size of the stack's slices, and a report.

    Raises
    ------
    ValueError
        If the stack lacks a slice, or as `Segmenter`.
    """
    slices = stack.slice_numbers if slices is None else tuple(slices)
    absent = [number for number in slices if number not in stack.slice_numbers]
    if absent:
        raise ValueError(
            f"{stack.name} has no slices {', '.join(map(str, absent))}; see its slice_numbers."
        )
    return Segmentation(stack, slices, Segmenter(model, stack.pixel_size_nm, **options))


def predictor(model) -> Callable:
    """Compile a model for prediction.

    Parameters
    ----------
    model : keras.Model
        From grey levels 0 to 255 to the softmax of four classes.

    Returns
    -------
    callable
        From (n, y, x, channels) grey levels to (n, y, x, 4) probabilities, array of float32.
    """
    tf = need_tensorflow()

    @tf.function(autograph=False, reduce_retracing=True)
    def predict(images):
        return tf.cast(model(images, training=False), tf.float32)

    return lambda images: predict(tf.convert_to_tensor(images)).numpy()


def labels_at_size(probabilities: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Bring probabilities to the size of a slice, and take the likeliest class of each pixel.

    Parameters
    ----------
    probabilities : (y, x, 4) array of float32
        At the size that the network saw.
    shape : (int, int)
        Size (y, x) of the slice.

    Returns
    -------
    (y, x) array of uint8
        Numbers of `helpers.labels.Label`. Interpolated probabilities give smooth outlines, where
        enlarged labels would give steps.
    """
    large = cv2.resize(probabilities, shape[::-1], interpolation=cv2.INTER_LINEAR)
    return large.argmax(axis=-1).astype(np.uint8) + np.uint8(min(Label))


def peak_memory_mb() -> float | None:
    """Return the most memory that the GPU has held, or this process where there is none.

    Returns
    -------
    float or None
        In MB; None where it is not known.
    """
    tf = need_tensorflow()
    if tf.config.list_physical_devices("GPU"):
        return tf.config.experimental.get_memory_info("GPU:0")["peak"] / 1e6
    return process_peak_memory_mb()


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
        That the network takes; grey is copied into each.
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
        That the network takes; grey is copied into each.
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
