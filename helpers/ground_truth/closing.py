"""Closing a hand-drawn line where it is broken."""

import math
import warnings
from dataclasses import dataclass
from itertools import combinations

import cv2
import numpy as np
from scipy.spatial import cKDTree
from skimage.graph import MCP_Geometric
from skimage.morphology import skeletonize

from helpers.labels import check_length, check_mask
from helpers.masks import around, as_bytes
from helpers.settings import check_choice

OPEN_ENDS = ("raise", "warn")
LEAST_AREA_UM2 = 0.01
"""A line is closed if it encloses at least that; smaller holes are dents of the pen's stroke."""


class OpenLineError(ValueError):
    """A line is open, and no gap short enough can be closed to mend it."""


def close_line(
    line: np.ndarray,
    *,
    max_gap_nm: float = 300.0,
    pixel_size_nm: float = 10.0,
    open_ends: str = "raise",
) -> np.ndarray:
    """Close the gaps of a hand-drawn line with straight strokes, the shortest gap first.

    A piece of the line is open if it encloses nothing, or less than 0.01 square micrometres, alone
    or together with the slice's border. Each end of an open piece is joined to another such end,
    or to another piece, if that joins two pieces or encloses something.

    Parameters
    ----------
    line : (y, x) array of bool
        Of any width; may be in several pieces, and may be empty.
    max_gap_nm : float
        Widest gap to close, from edge to edge, give or take a line's width.
    pixel_size_nm : float
        Side of a pixel.
    open_ends : {"raise", "warn"}
        What to do about ends that cannot be joined: raise, or leave them with a warning.

    Returns
    -------
    (y, x) array of bool
        Every pixel of the line, and the strokes.

    Raises
    ------
    OpenLineError
        If an end stays open; the message says where, and how wide the gap is.
    TypeError
        If the line is not bool.
    ValueError
        If it is not one slice, or an option has a value that is not allowed.

    Notes
    -----
    Only nearness counts: where two open pieces are nearer to each other than the ends of either,
    they become one. The ends of a piece are the two points farthest apart along it;
    branches, and loose ends of a piece that encloses something, are left alone.
    The lines of Karabag et al. (2020) were disjoint; their published code has no step that closes
    them, so that this one is ours.
    """
    line = check_mask(line, "line").copy()
    pixel_size_nm = check_length(pixel_size_nm, "pixel_size_nm")
    max_gap_px = check_length(max_gap_nm, "max_gap_nm") / pixel_size_nm
    check_choice(open_ends, "open_ends", OPEN_ENDS)
    loose = _loose_ends(line, pixel_size_nm)
    gap_px = None
    while loose:
        strokes = _strokes(loose)
        stroke = next((s for s in strokes if _helps(line, s, pixel_size_nm)), None)
        gap_px = stroke and stroke.gap_px
        if stroke is None or stroke.gap_px > max_gap_px:
            break
        stroke.draw(line)
        loose = [end for end in loose if end not in stroke.ends]
    if loose:
        remedy = (
            "There is nothing to join them to: draw on, or erase them"
            if gap_px is None
            else f"The narrowest gap is {gap_px * pixel_size_nm:.0f} nm, allowed are "
            f"{max_gap_nm:g} nm: draw on, or raise max_gap_nm"
        )
        _report([end.place for end in loose], remedy, open_ends)
    return line


def check_closed(line: np.ndarray, pixel_size_nm: float, open_ends: str) -> None:
    """Raise or warn, as asked, if a piece of a line encloses nothing.

    Parameters
    ----------
    line : (y, x) array of bool
        After the dilation, which closes small gaps.
    pixel_size_nm : float
        Side of a pixel.
    open_ends : {"raise", "warn"}
        What to do about an open piece.

    Raises
    ------
    OpenLineError
        If a piece is open and `open_ends` is ``raise``.
    """
    loose = _loose_ends(line, pixel_size_nm)
    if loose:
        remedy = "Close the line first, with helpers.ground_truth.close_line"
        _report([end.place for end in loose], remedy, open_ends)


def _report(places: list[tuple[int, int]], remedy: str, open_ends: str) -> None:
    few = ", ".join(f"({y}, {x})" for y, x in dict.fromkeys(places[:4]))
    message = (
        f"The line is open: it has loose ends at (y, x) = {few}{', ...' if places[4:] else ''}. "
        f"{remedy}; or pass open_ends='warn' to keep them as they are."
    )
    if open_ends == "raise":
        raise OpenLineError(message)
    warnings.warn(message, stacklevel=3)


@dataclass(frozen=True)
class _End:
    place: tuple[int, int]
    number: int  # of two; a dot has both at one place
    width_px: float
    others: "_Points"  # pixels of the other pieces


class _Points:
    """Pixels of a mask, to find the nearest one."""

    def __init__(self, mask: np.ndarray):
        self._places = np.argwhere(mask)
        self._tree = cKDTree(self._places) if len(self._places) else None

    def nearest(self, place: tuple[int, int]) -> tuple[int, int] | None:
        if self._tree is None:
            return None
        y, x = self._places[self._tree.query(place)[1]]
        return int(y), int(x)


@dataclass(frozen=True)
class _Stroke:
    start: tuple[int, int]
    stop: tuple[int, int]
    width_px: float
    gap_px: float
    ends: tuple[_End, ...]

    def draw(self, line: np.ndarray) -> None:
        width = max(1, round(self.width_px))
        cv2.line(line.view(np.uint8), self.start[::-1], self.stop[::-1], 1, width)


def _loose_ends(line: np.ndarray, pixel_size_nm: float) -> list[_End]:
    """Both ends of every open piece; not those on the slice's border, which closes them."""
    count, pieces = cv2.connectedComponents(as_bytes(line), connectivity=8)
    loose = []
    for number in range(1, count):
        piece = pieces == number
        if _count_parts(piece, pixel_size_nm) >= 2:
            continue
        box = around(piece, 1)
        skeleton = skeletonize(np.ascontiguousarray(piece[box]))  # scikit-image 0.22 insists
        width_px = float(np.count_nonzero(piece) / np.count_nonzero(skeleton))
        others = _Points(line & ~piece)
        for place, (y, x) in enumerate(_ends(skeleton)):
            y, x = y + box[0].start, x + box[1].start
            on_border = min(y, x, line.shape[0] - 1 - y, line.shape[1] - 1 - x) < width_px
            if not on_border:
                loose.append(_End((y, x), place, width_px, others))
    return loose


def _ends(skeleton: np.ndarray) -> tuple[tuple[int, int], tuple[int, int]]:
    """Find the two pixels of a skeleton that are farthest apart along it.

    Of a line that is almost closed these are its ends, however near to each other; the short
    spurs that a rough stroke leaves in its skeleton are nearer.
    """
    start = np.argwhere(skeleton)[0]
    one = _farthest(skeleton, start)
    return one, _farthest(skeleton, one)


def _farthest(skeleton: np.ndarray, start) -> tuple[int, int]:
    costs, _ = MCP_Geometric(np.where(skeleton, 1.0, -1.0)).find_costs([start])
    y, x = np.unravel_index(np.where(np.isfinite(costs), costs, -1).argmax(), costs.shape)
    return int(y), int(x)


def _strokes(loose: list[_End]) -> list[_Stroke]:
    """All strokes between two loose ends, and from one to the nearest other piece."""
    strokes = []
    for one, other in combinations(loose, 2):
        gap_px = max(0.0, math.dist(one.place, other.place) - one.width_px)
        strokes.append(_Stroke(one.place, other.place, one.width_px, gap_px, (one, other)))
    for end in loose:
        place = end.others.nearest(end.place)
        # Near another loose end, that one is meant.
        if place is None or any(math.dist(place, o.place) <= o.width_px + 1 for o in loose):
            continue
        gap_px = max(0.0, math.dist(end.place, place) - (end.width_px + 1) / 2)
        strokes.append(_Stroke(end.place, place, end.width_px, gap_px, (end,)))
    return sorted(strokes, key=lambda stroke: stroke.gap_px)


def _helps(line: np.ndarray, stroke: _Stroke, pixel_size_nm: float) -> bool:
    """Whether a stroke joins two pieces, or makes a piece enclose more."""
    _, pieces = cv2.connectedComponents(as_bytes(line), connectivity=8)
    if pieces[stroke.start] != pieces[stroke.stop]:
        return True
    piece = pieces == pieces[stroke.start]
    before = _count_parts(piece, pixel_size_nm)
    stroke.draw(piece)
    return _count_parts(piece, pixel_size_nm) > before


def _count_parts(piece: np.ndarray, pixel_size_nm: float) -> int:
    """Into how many parts a piece divides the slice, not counting dents of its stroke."""
    least_px = LEAST_AREA_UM2 * (1000 / pixel_size_nm) ** 2
    # With a margin, what lies around the piece is one part, and a large one.
    margin = math.ceil(math.sqrt(least_px)) + 1
    box = piece[around(piece, margin)]
    _, _, parts, _ = cv2.connectedComponentsWithStats(as_bytes(~box), connectivity=4)
    return np.count_nonzero(parts[1:, cv2.CC_STAT_AREA] >= least_px)
