"""What is doubtful about a result: slices that are damaged, and nuclei that are none."""

import warnings
from collections.abc import Iterable
from dataclasses import dataclass

import cv2
import numpy as np

from helpers.labels import check_image, check_mask
from helpers.masks import around, as_bytes, distance_about

KINDS = (
    "slice blank",
    "slice torn",
    "frame cut off",
    "nothing found",
    "touches border",
    "area implausible",
    "grey implausible",
    "centre uncertain",
)
"""What a `Doubt` can be about."""

COARSE_NM = 40.0
"""Pixel size at which slices are judged."""

LEAST_RANGE = 6.0
"""Grey levels between the darkest and the brightest 5 % of a slice that shows anything."""

LOST_SHARE = 0.02
"""Share of a slice, in one piece of one grey level, that is missing rather than dark or bright."""

CLIPPED_SHARE = 0.02
"""Share of black and white pixels above which grey levels were cut off."""

LEAST_CONTRAST = 0.1
"""How much darker the envelope is than the nucleus, over the slice's range of grey levels: .17 to
.3 in real slices, at most .06 where the contrast is inverted."""

RESIN_OVER_MIDDLE = 0.4
"""How far above the slice's median a nucleus is as bright as resin, over the range."""

LEAST_AREA_UM2, LEAST_AREA_SHARE, MOST_AREA_UM2 = 2.5, 0.003, 200.0
"""Smallest and largest nucleus of a slice; the second is a share of the slice."""

LEAST_LARGEST_UM2 = 10.0
"""The least that the largest section of a nucleus has."""

LEAST_SIDE_UM = 6.0
"""A slice that is narrower cannot show a nucleus."""

BORDER_SHARE = 0.03
"""Share of its outline that a nucleus may have at the border of the slice."""

OFF_CENTRE_SHARE = 0.25
"""How far from the centre a nucleus may be, over the slice's shorter side."""


@dataclass(frozen=True)
class Doubt:
    """One thing that makes a result doubtful.

    Attributes
    ----------
    kind : str
        One of `KINDS`.
    number : int or None
        The slice; None where it is about a whole stack, or about an image without a number.
    message : str
        What was seen, and what to do about it.

    Examples
    --------
    >>> doubt = Doubt("slice blank", 20, "Slice 20 shows nothing.")
    >>> doubt.kind, doubt.number
    ('slice blank', 20)
    """

    kind: str
    number: int | None
    message: str


class DoubtWarning(UserWarning):
    """A result is doubtful; there is one warning for each kind of doubt.

    ``warnings.simplefilter("ignore", DoubtWarning)`` silences all of them.

    Attributes
    ----------
    doubts : tuple of Doubt
        All of one kind.
    """

    def __init__(self, doubts: Iterable[Doubt]):
        self.doubts = tuple(doubts)
        first, numbers = self.doubts[0], [doubt.number for doubt in self.doubts[1:]]
        also = f" Also in slices {', '.join(map(str, numbers))}." if numbers else ""
        super().__init__(f"{first.kind}: {first.message}{also}")


# --- the slice -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Look:
    """What a slice shows at first sight, before anything is segmented.

    Attributes
    ----------
    coarse : (y, x) array of uint8
        The slice inside its frame, at about 40 nm a pixel.
    box : (slice, slice)
        The rows and columns inside the frame.
    shape : (int, int)
        Of the whole slice.
    pixel_size_nm : float
        Of the whole slice.
    lost : (y, x) array of bool or None
        Where, in `coarse`, a piece of the slice is missing.
    faults : tuple of (str, str)
        Kind of doubt, and what was seen.
    """

    coarse: np.ndarray
    box: tuple[slice, slice]
    shape: tuple[int, int]
    pixel_size_nm: float
    lost: np.ndarray | None
    faults: tuple[tuple[str, str], ...]

    @property
    def blank(self) -> bool:
        """Whether there is nothing to see."""
        return any(kind == "slice blank" for kind, _ in self.faults)


def look_at(image: np.ndarray, pixel_size_nm: float) -> Look:
    """Look for what is wrong with a slice before it is segmented.

    Parameters
    ----------
    image : (y, x) array of uint8
        One slice.
    pixel_size_nm : float
        Side of a pixel.

    Returns
    -------
    Look

    Examples
    --------
    A slice in a black frame of 20 pixels:

    >>> image = np.zeros((200, 300), np.uint8)
    >>> image[20:-20, 20:-20] = np.random.default_rng(0).normal(150, 20, (160, 260))
    >>> look = look_at(image, 10)
    >>> look.box
    (slice(20, 180, None), slice(20, 280, None))
    >>> look.faults[0][0]
    'frame cut off'
    """
    image = check_image(image)
    box = inside_frame(image)
    inner = image[box]
    faults = []
    if inner.shape != image.shape:
        rows, columns = box
        faults.append(
            (
                "frame cut off",
                f"only rows {rows.start} to {rows.stop - 1} and columns {columns.start} to "
                f"{columns.stop - 1} are picture; the frame around them counts as background",
            )
        )
    coarse = _coarse(inner, pixel_size_nm)
    low, _, high = levels(coarse)
    some = np.ascontiguousarray(inner[::2, ::2])
    counts = cv2.calcHist([some], [0], None, [256], [0, 256]).ravel() / some.size
    # Blurred, for grain alone is nothing.
    least, _, most = levels(cv2.blur(coarse, (5, 5)))
    if most - least < LEAST_RANGE:
        faults.append(
            ("slice blank", f"it shows nothing (grey levels {low:.0f} to {high:.0f} throughout)")
        )
        return Look(coarse, box, image.shape, pixel_size_nm, None, tuple(faults))
    lost = _lost(coarse, counts)
    if lost is not None:
        faults.append(
            ("slice torn", f"{lost.mean():.0%} of it is missing (one grey level, in one piece)")
        )
    for level, name in ((0, "black"), (255, "white")):
        if counts[level] > CLIPPED_SHARE and not _is_a_spike(counts, level):
            faults.append(
                (
                    "grey implausible",
                    f"{counts[level]:.0%} of the pixels are {name}: grey levels were cut off; "
                    "export the slices anew with a wider range",
                )
            )
    shorter_um = min(image.shape) * pixel_size_nm / 1e3
    if shorter_um < LEAST_SIDE_UM:
        faults.append(
            (
                "area implausible",
                f"the slice is {shorter_um:.1f} um wide, less than a nucleus; "
                f"is the pixel size {pixel_size_nm:g} nm?",
            )
        )
    return Look(coarse, box, image.shape, pixel_size_nm, lost, tuple(faults))


def inside_frame(image: np.ndarray) -> tuple[slice, slice]:
    """Find the picture inside a frame of one grey level, or above a strip with a scale bar.

    Parameters
    ----------
    image : (y, x) array of uint8
        One slice.

    Returns
    -------
    (slice, slice)
        Rows and columns of the picture; all of them where there is no frame.

    Notes
    -----
    A line of pixels belongs to the frame if 98 of 100 have one grey level, or if such a line is
    farther in, up to an eighth of the slice: strips carry writing.
    In an image of flat areas such lines are everywhere; there they mean nothing.
    """
    rows = _cut(image)
    columns = _cut(image[rows].T)
    # The corners of a frame are rows and columns: look at the rows again without the sides.
    rows_again = _cut(image[rows, columns])
    rows = slice(rows.start + rows_again.start, rows.start + rows_again.stop)
    return rows, columns


def _cut(image: np.ndarray) -> slice:
    height = len(image)
    reach = height // 8
    outer = np.r_[:reach, height - reach : height]
    inner = np.arange(reach, height - reach, max(1, height // 100))
    if _flat(image, inner).size > 0.02 * inner.size:
        return slice(0, height)
    flat = _flat(image, outer)
    first, last = flat[flat < reach], flat[flat >= reach]
    return slice(int(first[-1]) + 1 if first.size else 0, int(last[0]) if last.size else height)


def _flat(image: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Return the rows of which 98 of 100 pixels have one grey level."""
    # A few pixels tell most rows apart.
    few = image[rows, :: max(1, image.shape[1] // 16)].astype(np.int16)
    level = np.median(few, axis=1)
    likely = (np.abs(few - level[:, None]) <= 1).mean(1) > 0.7
    near = (
        np.abs(image[row].astype(np.int16) - each) <= 1
        for row, each in zip(rows[likely], level[likely], strict=True)
    )
    return rows[likely][[bool(each.mean() >= 0.98) for each in near]]


def _coarse(inner: np.ndarray, pixel_size_nm: float) -> np.ndarray:
    factor = min(1.0, pixel_size_nm / COARSE_NM)
    size = tuple(max(1, round(side * factor)) for side in inner.shape[::-1])
    return cv2.resize(inner, size, interpolation=cv2.INTER_AREA)


def levels(image: np.ndarray) -> np.ndarray:
    """Grey levels below which 5, 50 and 95 % of the pixels lie."""
    below = np.cumsum(np.bincount(image.ravel()))
    return np.searchsorted(below, np.multiply([0.05, 0.5, 0.95], image.size)).astype(float)


def _is_a_spike(counts: np.ndarray, level: int) -> bool:
    """Tell one grey level alone from the end of a distribution that was cut off."""
    near = counts[1:6] if level == 0 else counts[250:255]
    return near.sum() < 0.02 * counts[level]


def _lost(coarse: np.ndarray, counts: np.ndarray) -> np.ndarray | None:
    """Find the largest piece of one grey level that none of the others are near."""
    level = int(np.argmax(counts))
    near = counts[max(0, level - 5) : level].sum() + counts[level + 1 : level + 6].sum()
    # A drawing of a few grey levels has nothing else.
    drawn = np.count_nonzero(counts) < 20
    if drawn or counts[level] < LOST_SHARE or near > 0.02 * counts[level]:
        return None
    flat = cv2.morphologyEx(
        (coarse == level).view(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8)
    )
    count, pieces, stats, _ = cv2.connectedComponentsWithStats(flat, connectivity=4)
    if count == 1:
        return None
    largest = 1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA]))
    lost = pieces == largest
    return lost if lost.mean() > LOST_SHARE else None


# --- the nucleus ---------------------------------------------------------------------------------


def find_doubts(
    image: np.ndarray,
    nucleus: np.ndarray,
    *,
    pixel_size_nm: float = 10.0,
    number: int | None = None,
) -> list[Doubt]:
    """List what is doubtful about the nucleus of a slice, whatever found it.

    Parameters
    ----------
    image : (y, x) array of uint8
        One slice.
    nucleus : (y, x) array of bool
        What was found in it.
    pixel_size_nm : float
        Side of a pixel.
    number : int, optional
        Slice number, for the messages.

    Returns
    -------
    list of Doubt
        Empty where nothing is.

    Examples
    --------
    >>> image = np.full((300, 300), 150, np.uint8)
    >>> [doubt] = find_doubts(image, np.zeros(image.shape, bool), pixel_size_nm=40, number=7)
    >>> doubt.kind, doubt.message
    ('slice blank', 'Slice 7: it shows nothing (grey levels 150 to 150 throughout).')
    """
    look = look_at(image, pixel_size_nm)
    nucleus = check_mask(nucleus, "nucleus", image.shape)
    faults = [*look.faults, *faults_of(look, nucleus)]
    if not nucleus.any() and not look.blank:
        faults.append(("nothing found", "no region looks like a nucleus"))
    elif nucleus.any() and is_off_centre(look, nucleus):
        faults.append(
            ("centre uncertain", "the nucleus lies far from the centre; another may be meant")
        )
    return as_doubts(faults, number)


def warn_of(doubts: Iterable[Doubt], stacklevel: int = 2) -> None:
    """Warn once of each kind of doubt, at the line that called the caller."""
    doubts = list(doubts)
    for kind in dict.fromkeys(doubt.kind for doubt in doubts):
        alike = [doubt for doubt in doubts if doubt.kind == kind]
        warnings.warn(DoubtWarning(alike), stacklevel=stacklevel + 1)


def as_doubts(faults: Iterable[tuple[str, str]], number: int | None) -> list[Doubt]:
    """Make doubts of pairs of a kind and what was seen."""
    where = "The slice" if number is None else f"Slice {number}"
    return [Doubt(kind, number, f"{where}: {text}.") for kind, text in faults]


def is_off_centre(look: Look, nucleus: np.ndarray) -> bool:
    """Tell whether the centroid of a nucleus is far from the picture's centre."""
    small = _small(look, nucleus)
    moments = cv2.moments(as_bytes(small), binaryImage=True)
    if not moments["m00"]:
        return False
    height, width = small.shape
    column = moments["m10"] / moments["m00"] - (width - 1) / 2
    row = moments["m01"] / moments["m00"] - (height - 1) / 2
    return bool(np.hypot(row, column) > OFF_CENTRE_SHARE * min(height, width))


def _small(look: Look, nucleus: np.ndarray) -> np.ndarray:
    size = look.coarse.shape[::-1]
    return cv2.resize(as_bytes(nucleus[look.box]), size, interpolation=cv2.INTER_NEAREST).view(bool)


def faults_of(look: Look, nucleus: np.ndarray, *, is_end: bool = False) -> list[tuple[str, str]]:
    """Judge a nucleus by its border, its area and its grey levels.

    Parameters
    ----------
    look : Look
        Of its slice.
    nucleus : (y, x) array of bool
        As large as the whole slice.
    is_end : bool
        Whether it may be the end of a nucleus, where a section is small.

    Returns
    -------
    list of (str, str)
        Kind of doubt, and what was seen. Empty for an empty nucleus.
    """
    if not nucleus.any() or look.blank:
        return []
    small, faults = _small(look, nucleus), []
    outlines, _ = cv2.findContours(as_bytes(small), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    outline = sum(len(each) for each in outlines)
    at_border = sum(np.count_nonzero(side) for side in (small[[0, -1]], small[:, [0, -1]]))
    if at_border > BORDER_SHARE * outline:
        faults.append(
            (
                "touches border",
                "the nucleus reaches the border of the slice: a part of it is missing",
            )
        )
    area_um2 = cv2.countNonZero(as_bytes(nucleus)) * look.pixel_size_nm**2 / 1e6
    rows, columns = look.box
    slice_um2 = (rows.stop - rows.start) * (columns.stop - columns.start)
    slice_um2 *= look.pixel_size_nm**2 / 1e6
    least_um2 = 0 if is_end else max(LEAST_AREA_UM2, LEAST_AREA_SHARE * slice_um2)
    if not least_um2 <= area_um2 <= MOST_AREA_UM2:
        faults.append(
            (
                "area implausible",
                f"the nucleus has {area_um2:.1f} um2 in a slice of {slice_um2:.0f} um2; "
                f"is the pixel size {look.pixel_size_nm:g} nm?",
            )
        )
    return faults + _grey_faults(look, small)


def _grey_faults(look: Look, nucleus: np.ndarray) -> list[tuple[str, str]]:
    if not nucleus.any():
        return []
    low, middle, high = levels(look.coarse)
    # The envelope: the darkest of the rings 40 nm wide, up to half a micrometre outside.
    count = max(2, round(500 / max(COARSE_NM, look.pixel_size_nm)))
    box = around(nucleus, count + 1)
    coarse = look.coarse[box]
    level = levels(coarse[nucleus[box]])[1]
    ring = np.ceil(distance_about(nucleus[box])).clip(0, 255).astype(np.uint8)
    rings = [coarse[ring == each] for each in range(1, count + 1)]
    envelope = min((levels(each)[1] for each in rings if each.size), default=np.nan)
    if level > middle + RESIN_OVER_MIDDLE * (high - low):
        return [("grey implausible", f"the nucleus is as bright as resin ({level:.0f})")]
    # Written so that an envelope that is not known (NaN) raises no doubt.
    if level - envelope < LEAST_CONTRAST * (high - low):
        return [
            (
                "grey implausible",
                f"no dark envelope lies around the nucleus ({level:.0f} inside, {envelope:.0f} "
                "around it); is the contrast inverted, or is it no nucleus?",
            )
        ]
    return []
