"""Label maps from a trained network: whole slices at once, or tile by tile."""

import time
from collections.abc import Callable, Iterable, Iterator

import cv2
import numpy as np
import pandas as pd

from helpers.inference.tiles import label_tiled
from helpers.labels import Label
from helpers.machine import peak_memory_mb as process_peak_memory_mb
from helpers.stack_type import Stack
from helpers.training.device import device_name, need_tensorflow
from helpers.training.pipeline import as_input
from helpers.training.prepare import Preparation


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
    overlap_px : int, optional
        See `tile_probabilities`.

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
        overlap_px: int | None = None,
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
        self._shape, self._channels, self._overlap_px = (height, width), channels, overlap_px
        self._pixel_size_nm = pixel_size_nm
        self._preparation = preparation or Preparation()
        self._predict = predictor(model)

    def __call__(self, image: np.ndarray) -> np.ndarray:
        """Label a slice.

        Parameters
        ----------
        image : (y, x) array of uint8

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
            overlap_px=self._overlap_px,
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
    slices : tuple of int
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
    slices : iterable of int, optional
        Slice numbers; by default all.
    **options
        ``preparation``, ``batch``, ``tile_px`` and ``overlap_px``, as for `Segmenter`.

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
