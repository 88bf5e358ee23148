"""A ball of a nucleus in grainy cytoplasm: slices that are segmented in milliseconds."""

from functools import cache

import numpy as np

from helpers.data.stack import Stack
from helpers.labels import Label

VOXEL_NM = (300.0, 40.0, 40.0)
SHAPE = (170, 180)
CENTRE = (90, 85)
RADIUS_PX = 55
COUNT = 24
MIDDLE = 13


@cache
def drawn_slice(number: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw a slice of `drawn_stack` and its four classes."""
    random = np.random.default_rng(number)
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    z = (number - MIDDLE) * VOXEL_NM[0] / VOXEL_NM[1]
    distance = np.hypot(y - CENTRE[0], x - CENTRE[1])
    radius = np.sqrt(max(0.0, RADIUS_PX**2 - 0.6 * z**2))
    image = random.normal(147, 8, SHAPE)
    for _ in range(90):
        cy, cx = random.uniform(0, SHAPE[0]), random.uniform(0, SHAPE[1])
        image[np.hypot(y - cy, x - cx) < 4] = 100
    labels = np.full(SHAPE, Label.CELL, np.uint8)
    resin = x - y > 130
    image[resin], labels[resin] = 215, Label.BACKGROUND
    rim = (distance < radius + 3) & (radius > 0)
    image[rim], labels[rim] = 95, Label.NUCLEAR_ENVELOPE
    nucleus = distance < radius
    image[nucleus] = random.normal(155, 5, np.count_nonzero(nucleus))
    labels[nucleus] = Label.NUCLEUS
    return np.clip(image, 0, 255).astype(np.uint8), labels


def drawn_stack(numbers=range(1, COUNT + 1), image=lambda number: drawn_slice(number)[0]) -> Stack:
    """Return a drawn cell; `image` replaces what reads a slice."""
    return Stack(
        name="a drawn cell",
        source="own",
        slice_numbers=tuple(numbers),
        shape=SHAPE,
        voxel_nm=VOXEL_NM,
        licence="",
        citation="",
        _image=image,
        _labels=lambda number: drawn_slice(number)[1],
    )
