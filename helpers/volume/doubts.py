"""What is doubtful about a segmented stack: slice by slice, and of all slices together."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import cv2
import numpy as np

from helpers.data.stack import Stack
from helpers.label_maps import LabelMaps
from helpers.labels import Label
from helpers.masks import as_bytes
from helpers.traditional.doubts import (
    LEAST_LARGEST_UM2,
    Doubt,
    Look,
    as_doubts,
    faults_of,
    is_off_centre,
    look_at,
    warn_of,
)

RADIUS_SLOPE, RADIUS_ERROR_UM = 2.7, 0.5
"""How fast the radius of a nucleus (of a disk of its area) changes at most with height, measured on
slices 24 to 262 of the published ground truth; and how far the method may be off besides."""


def find_doubts(stack: Stack, maps: LabelMaps) -> list[Doubt]:
    """List what is doubtful about the nucleus of a stack, whatever method found it.

    Parameters
    ----------
    stack : Stack
        Each of the slices that `maps` has is read once.
    maps : LabelMaps
        What was found: of all its slices, or of some.

    Returns
    -------
    list of Doubt
        In the order of the slices; what holds of the whole stack comes first, with the number
        None. Slices without nucleus are no doubt above and below the nucleus, only within it.
        A slice that cannot be read is left out.
    """
    judge = Judge()
    for number in maps.numbers:
        if number in stack.slice_numbers:
            try:
                image = stack.image(number)
            except Exception:
                # What segments a slice reports that it cannot be read.
                continue
            nucleus = maps.read(number) == Label.NUCLEUS
            judge.add(number, look_at(image, stack.pixel_size_nm), nucleus)
    return judge.doubts(stack.voxel_nm[0])


@dataclass(frozen=True, slots=True)
class _Seen:
    radius_um: float
    off_centre: bool
    blank: bool


class Judge:
    """Takes in slices one by one, and keeps of each what all of them together are judged by."""

    def __init__(self):
        self._doubts: dict[int, list[Doubt]] = {}
        self._seen: dict[int, _Seen] = {}

    def add(self, number: int, look: Look, nucleus: np.ndarray) -> None:
        """Judge a slice by its `look` and its nucleus, a mask as large as the slice."""
        faults = [*look.faults, *faults_of(look, nucleus, is_end=True)]
        if faults:
            self._doubts[number] = as_doubts(faults, number)
        area_um2 = cv2.countNonZero(as_bytes(nucleus)) * look.pixel_size_nm**2 / 1e6
        off_centre = area_um2 > 0 and is_off_centre(look, nucleus)
        self._seen[number] = _Seen(math.sqrt(area_um2 / math.pi), off_centre, look.blank)

    def doubts(self, slice_distance_nm: float) -> list[Doubt]:
        """Return the doubts so far: those about the whole stack, then those of each slice."""
        numbers = sorted(self._seen)
        each = {number: list(self._doubts.get(number, [])) for number in numbers}
        for number, fault in self._jumps(numbers, slice_distance_nm / 1e3):
            each[number] += as_doubts([fault], number)
        return [*self._of_all(numbers), *(doubt for number in numbers for doubt in each[number])]

    def report(self, slice_distance_nm: float, doubts: list[Doubt] | None) -> None:
        """Put the doubts so far into a list, or warn of them where there is none."""
        found = self.doubts(slice_distance_nm)
        if doubts is None:
            warn_of(found)
        else:
            doubts.extend(found)

    def _of_all(self, numbers: Iterable[int]) -> list[Doubt]:
        largest = max(numbers, key=lambda number: self._seen[number].radius_um, default=None)
        if largest is None:
            return []
        seen = self._seen[largest]
        area_um2 = math.pi * seen.radius_um**2
        if not area_um2:
            return [Doubt("nothing found", None, "No slice has a nucleus.")]
        found = []
        if area_um2 < LEAST_LARGEST_UM2:
            message = (
                f"The largest section of the nucleus, slice {largest}, has {area_um2:.1f} um2, "
                "less than that of a HeLa cell; is the voxel size right?"
            )
            found.append(Doubt("area implausible", None, message))
        if seen.off_centre:
            message = (
                f"The largest section of the nucleus, slice {largest}, lies far from the centre; "
                "another nucleus may be meant: see the parameter centre."
            )
            found.append(Doubt("centre uncertain", None, message))
        return found

    def _jumps(self, numbers: list[int], distance_um: float):
        """Yield slices whose nucleus does not go with those above and below."""
        good = [number for number in numbers if not self._seen[number].blank]
        for below, number, above in zip(good[:-2], good[1:-1], good[2:], strict=True):
            low, here, high = (self._seen[each].radius_um for each in (below, number, above))
            if not low or not high:
                continue
            if not here:
                yield number, ("nothing found", "no nucleus, and there is one above and below")
                continue
            share = (number - below) / (above - below)
            expected = low + share * (high - low)
            may = RADIUS_SLOPE * distance_um * max(number - below, above - number)
            if abs(here - expected) > may + RADIUS_ERROR_UM:
                text = (
                    f"a nucleus of {math.pi * here**2:.1f} um2, where the slices above and below "
                    f"let {math.pi * expected**2:.1f} um2 be expected"
                )
                yield number, ("area implausible", text)
