"""The two passes, up and down from the centre."""

import cv2
import numpy as np

from helpers.data.stack import Stack
from helpers.masks import as_bytes, disk
from helpers.traditional import Constants
from helpers.volume.passes import Step
from helpers.volume.preparation import unpack, unpack_mask
from helpers.volume.propagation import (
    Found,
    Rules,
    first_nucleus,
    next_nucleus,
    next_nucleus_as_published,
)
from helpers.volume.smoothing import majority


class Walk:
    """Where the passes up and down are, and what they carry.

    Parameters
    ----------
    stack : Stack
    centre : int
        Slice from which both start.
    constants : Constants
    rules : Rules or None
        None for the published method.
    """

    def __init__(self, stack: Stack, centre: int, constants: Constants, rules: Rules | None):
        self.stack, self.centre, self.constants, self.rules = stack, centre, constants, rules
        # Up (True) and down (False): the last slice with a nucleus, and that nucleus.
        self._last: dict[bool, tuple[int, Found] | None] = {True: None, False: None}
        self._ended = {True: False, False: False}

    def goes_on(self, number: int) -> bool:
        """Tell whether the nucleus may still be there, as far as is known now."""
        return not self._ended[number > self.centre]

    def advance(self, number: int, image: np.ndarray, prepared) -> Step:
        """Find the nucleus of the next slice of a pass.

        Parameters
        ----------
        number : int
        image : (y, x) array of uint8
        prepared : (array or None, array)
            From `helpers.volume.preparation.prepare`.

        Returns
        -------
        Step
        """
        last = self._last[number > self.centre]
        if not self.goes_on(number) or prepared[0] is None:
            nothing = np.zeros(image.shape, bool)
            level = last[1].level if last else float("nan")
            background = unpack_mask(prepared[1], image.shape)
            step = Step.of(Found(nothing, nothing, level), background)
        else:
            slice_ = unpack(image, prepared, self.constants)
            step = Step.of(self._find(number, slice_, last), slice_.background)
        self.remember(number, step)
        return step

    def _find(self, number, slice_, last) -> Found:
        if self.rules is None:
            neighbour = last[1].nucleus if last else None
            nucleus = next_nucleus_as_published(slice_, neighbour, self.constants)
            return Found(nucleus, nucleus, float("nan"))
        if last is None:
            return first_nucleus(slice_, self.constants, self.rules)
        gap_nm = self._height_nm(number, last[0])
        pixel_size_nm = self.stack.pixel_size_nm
        return next_nucleus(slice_, last[1], gap_nm, self.constants, self.rules, pixel_size_nm)

    def remember(self, number: int, step: Step) -> None:
        """Carry on from a slice, just found or found by a run before.

        Parameters
        ----------
        number : int
        step : Step
        """
        up = number > self.centre
        if step.votes.any():
            self._last[up] = number, step.found
            if number == self.centre:
                self._last[True] = self._last[False]
        elif self.rules is None:
            # The published method has nothing to go by after a slice without nucleus.
            self._ended[up] = self._last[up] is not None
        elif self._last[up] and self._height_nm(number, self._last[up][0]) >= self.rules.bridge_nm:
            self._ended[up] = True

    def vote(self, steps: list[Step]) -> np.ndarray:
        """Let neighbouring slices decide about each pixel of the nucleus.

        Parameters
        ----------
        steps : list of Step
            Of a slice and of those near it.

        Returns
        -------
        (y, x) array of bool
        """
        masks = [step.mask("nucleus") for step in steps]
        if self.rules is None:
            brush = disk(self.constants.close_radius_px)
            masks = [
                mask & ~cv2.dilate(as_bytes(step.mask("background")), brush).view(bool)
                for mask, step in zip(masks, steps, strict=True)
            ]
        return majority(masks)

    def _height_nm(self, number: int, other: int) -> float:
        return abs(number - other) * self.stack.voxel_nm[0]
