"""Label maps from a trained network: whole slices at once, or tile by tile."""

import sys
import time
from collections.abc import Callable, Iterable, Iterator

import cv2
import numpy as np
import pandas as pd

from helpers.inference.tiles import label_tiled
from helpers.labels import Label
from helpers.stack_type import Stack
from helpers.training.device import device_name, need_tensorflow
from helpers.training.pipeline import as_input
from helpers.training.prepare import Preparation

try:
    import resource
except ImportError:  # On Windows, where a process does not know its peak.
    resource = None


class Segmentation:
    """Label maps of slices, computed as they are asked for.

    Iterating yields pairs: the slice number, and the (y, x) array of uint8 with the numbers of
    `helpers.labels.Label` at the size of the stack's slices.

    Attributes
    ----------
    stack : Stack
    slices : tuple of int
    """

    def __init__(
        self,
        stack: Stack,
        slices: tuple[int, ...],
        label_group: Callable[[list[np.ndarray]], list[np.ndarray]],
        details: dict,
    ):
        self.stack, self.slices = stack, slices
        self._label_group, self._details = label_group, details
        self._seconds: dict[int, float] = {}

    def __len__(self) -> int:
        """Return the number of slices."""
        return len(self.slices)

    def __iter__(self) -> Iterator[tuple[int, np.ndarray]]:
        for numbers in self._groups():
            start = time.perf_counter()
            results = self._label_group([self.stack.image(number) for number in numbers])
            took_s = (time.perf_counter() - start) / len(numbers)
            for number, labels in zip(numbers, results, strict=True):
                self._seconds[number] = took_s
                yield number, labels

    def _groups(self) -> Iterator[tuple[int, ...]]:
        # Tiles fill the batch with one slice alone.
        size = self._details["batch"] if self._details["tile_px"] is None else 1
        for start in range(0, len(self.slices), size):
            yield self.slices[start : start + size]

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
            ``peak_memory_mb`` of the process (of the GPU where there is one), ``batch``,
            ``tile_px``, ``device``.
        """
        return {
            "slices": len(self._seconds),
            "seconds_per_slice": float(self.seconds.median()),
            "peak_memory_mb": peak_memory_mb(),
            "device": device_name(),
            **self._details,
        }


def segment(
    stack: Stack,
    model,
    *,
    slices: Iterable[int] | None = None,
    preparation: Preparation | None = None,
    batch: int = 2,
    tile_px: int | None = None,
    overlap_px: int | None = None,
) -> Segmentation:
    """Label the slices of a stack with a trained network.

    Parameters
    ----------
    stack : Stack
        Needs no ground truth.
    model : keras.Model
        From grey levels 0 to 255 to the softmax of four classes.
    slices : iterable of int, optional
        Slice numbers; by default all.
    preparation : Preparation, optional
        That of the recipe the network was trained with.
    batch : int
        Slices, or tiles, computed at once.
    tile_px : int, optional
        Side of the tiles, for a network that was trained on patches and takes inputs of this
        size. Without it the network sees whole slices, resized to its input.
    overlap_px : int, optional
        See `label_tiled`.

    Returns
    -------
    Segmentation
        Pairs of slice number and label map, at the size of the stack's slices, and a report.

    Raises
    ------
    ValueError
        If the stack lacks a slice, or the model's input does not fit.
    """
    slices = stack.slice_numbers if slices is None else tuple(slices)
    absent = [number for number in slices if number not in stack.slice_numbers]
    if absent:
        raise ValueError(
            f"{stack.name} has no slices {', '.join(map(str, absent))}; see its slice_numbers."
        )
    if batch < 1:
        raise ValueError(f"batch is {batch}; it must be at least 1.")
    preparation = preparation or Preparation()
    _, height, width, channels = model.input_shape
    shape = (height, width)
    if tile_px is None and None in shape:
        raise ValueError(
            f"{model.name} takes inputs of any size; give tile_px, the side of its tiles."
        )
    if tile_px is not None and any(side not in (None, tile_px) for side in shape):
        raise ValueError(
            f"{model.name} takes {height} x {width}, and tile_px is {tile_px}; they must agree."
        )
    predict = predictor(model)

    def whole(images: list[np.ndarray]) -> list[np.ndarray]:
        seen = [
            preparation.image(image, pixel_size_nm=stack.pixel_size_nm, shape=shape)
            for image in images
        ]
        probabilities = predict(as_input(np.stack(seen), channels))
        return [labels_at_size(one, stack.shape) for one in probabilities]

    def tiled(images: list[np.ndarray]) -> list[np.ndarray]:
        seen = preparation.image(images[0], pixel_size_nm=stack.pixel_size_nm)
        return [
            label_tiled(
                seen,
                predict,
                channels=channels,
                tile_px=tile_px,
                overlap_px=overlap_px,
                batch=batch,
                shape=stack.shape,
            )
        ]

    details = {"batch": batch, "tile_px": tile_px}
    return Segmentation(stack, slices, whole if tile_px is None else tiled, details)


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


def peak_memory_mb() -> float:
    """Largest memory that this process has had so far, in MB of 10**6 bytes.

    Returns
    -------
    float
        Of the GPU where there is one; NaN where the system does not tell.
    """
    tf = need_tensorflow()
    if tf.config.list_physical_devices("GPU"):
        return tf.config.experimental.get_memory_info("GPU:0")["peak"] / 1e6
    if resource is None:
        return float("nan")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak * 1024 / 1e6
