"""From slices of the stack to what a network sees: smoothed, resized, and held in memory."""

from collections.abc import Iterable
from dataclasses import dataclass

import cv2
import numpy as np

from helpers.data.stack import Stack
from helpers.labels import check_image, check_labels
from helpers.traditional.constants import REFERENCE_PIXEL_SIZE_NM, Constants
from helpers.traditional.edges import smooth


@dataclass(frozen=True)
class Preparation:
    """What happens to a slice before a network sees it, in training and afterwards alike.

    Attributes
    ----------
    smooth_radius_px, smooth_sigma_px : float
        Gaussian of 2 x radius + 1 pixels, in pixels of 10 nm; scaled for other pixel sizes.
    pixel_size_nm : float, optional
        For networks that see patches: pixels of the slice are brought to this size, if they are
        smaller. A network that sees whole slices gets them at the size of its input.

    Notes
    -----
    Karabag et al. (2020): 7 x 7 and sigma 2 for the networks that see whole slices, 3 x 3 for the
    U-Net, whose sigma is not given: here 0.5, which MATLAB takes where none is given.
    """

    smooth_radius_px: float = 3.0
    smooth_sigma_px: float = 2.0
    pixel_size_nm: float | None = None

    def shape_for(self, shape: tuple[int, int], pixel_size_nm: float) -> tuple[int, int]:
        """Size of a slice at the pixel size that the network sees.

        Parameters
        ----------
        shape : (int, int)
            (y, x) of the slice.
        pixel_size_nm : float
            Of the slice.

        Returns
        -------
        (int, int)

        Examples
        --------
        >>> Preparation(pixel_size_nm=20).shape_for((2000, 2000), 10)
        (1000, 1000)
        >>> Preparation(pixel_size_nm=20).shape_for((500, 500), 40)
        (500, 500)
        """
        factor = min(1.0, pixel_size_nm / (self.pixel_size_nm or pixel_size_nm))
        return round(shape[0] * factor), round(shape[1] * factor)

    def image(
        self, image: np.ndarray, *, pixel_size_nm: float, shape: tuple[int, int] | None = None
    ) -> np.ndarray:
        """Smooth a slice and bring it to the size that the network sees.

        Parameters
        ----------
        image : (y, x) array of uint8
            A slice as it is in the stack.
        pixel_size_nm : float
            Of the slice.
        shape : (int, int), optional
            Size (y, x) of the network's input; else that of `shape_for`.

        Returns
        -------
        (y, x) array of uint8

        Raises
        ------
        TypeError, ValueError
            If it is not a slice of uint8.
        """
        image = check_image(image)
        shape = shape or self.shape_for(image.shape, pixel_size_nm)
        scale = REFERENCE_PIXEL_SIZE_NM / pixel_size_nm
        constants = Constants(
            smooth_radius_px=self.smooth_radius_px * scale,
            smooth_sigma_px=self.smooth_sigma_px * scale,
        )
        smoothed = smooth(image, constants)
        # Averaging over areas keeps grain from turning into patterns; it cannot enlarge.
        shrinks = shape[0] <= image.shape[0] and shape[1] <= image.shape[1]
        way = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
        resized = cv2.resize(smoothed, shape[::-1], interpolation=way)
        return np.clip(np.rint(resized), 0, 255).astype(np.uint8)


def resize_labels(labels: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Bring a label map to another size; each pixel takes its nearest neighbour's label.

    Parameters
    ----------
    labels : (y, x) array of uint8
        Numbers of `helpers.labels.Label`.
    shape : (int, int)
        Size (y, x) wanted.

    Returns
    -------
    (y, x) array of uint8

    Raises
    ------
    TypeError, ValueError
        If it is not a label map.
    """
    # INTER_NEAREST rounds down and would shift the labels by half a pixel.
    return cv2.resize(check_labels(labels), shape[::-1], interpolation=cv2.INTER_NEAREST_EXACT)


@dataclass(frozen=True)
class Slices:
    """Prepared slices with their ground truth, in memory.

    Attributes
    ----------
    numbers : tuple of int
        Of the slices, as in the stack.
    images, labels : (n, y, x) arrays of uint8
        Grey levels, and numbers of `helpers.labels.Label`, all at the size that the network sees.
    """

    numbers: tuple[int, ...]
    images: np.ndarray
    labels: np.ndarray


def load_slices(
    stack: Stack,
    numbers: Iterable[int],
    preparation: Preparation,
    *,
    shape: tuple[int, int] | None = None,
    several_nuclei: bool = False,
) -> Slices:
    """Read slices and their ground truth, and prepare them.

    Parameters
    ----------
    stack : Stack
        Its slices are read one at a time; their pixel size scales the smoothing.
    numbers : iterable of int
        At least one slice.
    preparation : Preparation
        What happens to each.
    shape : (int, int), optional
        Size (y, x) of the network's input, for one that sees whole slices.
    several_nuclei : bool
        Take the ground truth that also has the neighbours' nuclei.

    Returns
    -------
    Slices

    Raises
    ------
    ValueError
        If a slice has no ground truth, or there are no slices.
    """
    numbers = tuple(numbers)
    if not numbers:
        raise ValueError("There are no slices to prepare; name at least one.")
    shape = shape or preparation.shape_for(stack.shape, stack.pixel_size_nm)
    images, labels = np.empty((2, len(numbers), *shape), np.uint8)
    for at, number in enumerate(numbers):
        truth = (stack.nuclei if several_nuclei else stack.labels)(number)
        if truth is None:
            raise ValueError(
                f"Slice {number} of {stack.name} has no ground truth"
                f"{' with several nuclei' if several_nuclei else ''}; networks learn from it. "
                "Train on a stack that has it, and segment this one afterwards."
            )
        images[at] = preparation.image(
            stack.image(number), pixel_size_nm=stack.pixel_size_nm, shape=shape
        )
        labels[at] = resize_labels(truth, shape)
    return Slices(numbers, images, labels)
