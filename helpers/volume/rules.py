"""From the nucleus of one slice to that of the next, up or down the stack."""

from dataclasses import dataclass, replace

import cv2
import numpy as np

from helpers.masks import around, as_bytes, disk, distance_about, fill
from helpers.traditional.background import find_background
from helpers.traditional.choice import choose_region
from helpers.traditional.constants import Constants
from helpers.traditional.doubts import inside_frame
from helpers.traditional.edges import detect_edges, grow_edges, smooth, superpixels
from helpers.traditional.nucleus import (
    close_nucleus,
    grow_boundary,
    measure_envelope,
)

AGREE = 0.75
"""Jaccard index from which two masks show the same nucleus."""

ENVELOPE_PIXEL_NM, ENVELOPE_NEAR_PX = 40.0, 3
"""Side of the pixels in which an envelope is looked for, and how many of them it may be away."""
DARKER_SD = 4.0
"""By how many standard deviations an envelope is darker than the nucleus."""
ENVELOPED = 0.7
"""Share of a nucleus's outline that follows its envelope; of cytoplasm's it is rarely so much."""
AS_FAR = 0.05
"""Share of an outline by which two follow an envelope equally far."""
AS_PLAIN = 1.2
"""How much rougher one part of a nucleus may be than another."""
REMNANT_REACH_NM = 2000.0
"""How far from a remnant, a section too small for a slice alone, the nucleus may go on; other
cells' nuclei are farther away, for there is cytoplasm and resin between."""
STRAY = 0.1
"""Share of a nucleus that may lie beyond the neighbour's reach, where two boundaries are unsure."""


@dataclass(frozen=True)
class Rules:
    """Rules of the improved propagation; each can be switched off, to see what it buys.

    Attributes
    ----------
    reach_slope : float
        How far the boundary may move sideways from slice to slice, per distance between them.
        Infinite: anywhere.
    core_slope : float
        How far the boundary moves at most where a region is to be trusted without doubt: the
        neighbour eroded by this much is its core.
        An island is eroded by half its greatest depth at most, or small ones would vanish.
    inside_fraction : float
        Share of a region that lies inside the neighbour.
    core_fraction : float
        Share of a region that lies inside the neighbour's core; the region with the largest
        overlap is taken without that, and over a gap one that has an envelope of its own.
    darker_level, brighter_level : float
        How much a region may differ from that largest one. Nucleoli and chromatin are dark;
        nothing in a nucleus is bright.
    holes_vote : bool
        Whether holes that were filled count as nucleus for the next slice. If they do,
        cytoplasm in an invagination is taken for nucleus as soon as the hole opens.
    without_background : bool
        Whether resin is kept out at each step.
    trust_nm : float
        How far away a slice may be that knows which regions are nucleus. Farther away, the slice
        decides on its own, and the neighbour says which nucleus is meant: see `nucleus_over_gap`.
        Infinite: neighbours always know.
    bridge_nm : float
        Over how much height without any nucleus the search goes on.
    median_slices : int
        How many slices vote on each pixel in the end, at most.
    vote_nm : float
        How far away a slice may be that votes.
    trace : bool
        Whether the boundary is moved onto the envelope after the vote
        (`helpers.traditional.trace_envelope`).
    resin_level : float, "resin" or None
        Grey level from which on a pixel is resin: edges are judged by the steepness of what is
        darker, however little of the slice it is. ``"resin"`` finds it in each slice
        (`helpers.traditional.edges.resin_level`); None counts all pixels, as published.
    """

    reach_slope: float = 2.4
    core_slope: float = 2.0
    inside_fraction: float = 0.75
    core_fraction: float = 0.5
    darker_level: float = 15.0
    brighter_level: float = 8.0
    holes_vote: bool = False
    without_background: bool = True
    trust_nm: float = 80.0
    bridge_nm: float = 150.0
    median_slices: int = 5
    vote_nm: float = 100.0
    trace: bool = True
    resin_level: float | str | None = "resin"


@dataclass(frozen=True)
class Found:
    """The nucleus of a slice, and what the next slice needs to know.

    Attributes
    ----------
    nucleus : (y, x) array of bool
        Without holes.
    votes : (y, x) array of bool
        Where a region of the next slice is nucleus.
    level : float
        Grey level of the nucleus.
    """

    nucleus: np.ndarray
    votes: np.ndarray
    level: float


# --- what can be done to a slice before its neighbours are known ---------------------------------


@dataclass(frozen=True)
class Prepared:
    """A slice with its superpixels and its background.

    Attributes
    ----------
    smoothed : (y, x) array of float32
        Grey levels.
    regions : (y, x) array of int32
        Superpixels, 0 for edges.
    background : (y, x) array of bool
        Resin.
    """

    smoothed: np.ndarray
    regions: np.ndarray
    background: np.ndarray


def prepare(
    image: np.ndarray, constants: Constants, with_regions: bool = True
) -> tuple[np.ndarray | None, np.ndarray]:
    """Find superpixels and background of a slice.

    This is two thirds of the work, needs no neighbour, and is done ahead by other cores.

    Parameters
    ----------
    image : (y, x) array of uint8
        One slice.
    constants : Constants
        Scaled to its pixels.
    with_regions : bool
        False beyond the end of the nucleus, where only the background is wanted.

    Returns
    -------
    regions : (y, x) array of uint16 or int32, or None
        Superpixels, as small as their number allows: they travel between processes.
    background : array of uint8
        The mask, a bit a pixel.
    """
    box = inside_frame(image)
    smoothed = smooth(image[box], constants)
    # A frame counts as background.
    background = np.ones(image.shape, bool)
    background[box] = find_background(smoothed, constants=constants)
    background = np.packbits(background)
    if not with_regions:
        return None, background
    regions = np.zeros(image.shape, np.int32)
    regions[box] = superpixels(grow_edges(detect_edges(smoothed, constants), constants))
    if regions.max() <= np.iinfo(np.uint16).max:
        regions = regions.astype(np.uint16)
    return regions, background


def unpack(
    image: np.ndarray, prepared: tuple[np.ndarray, np.ndarray], constants: Constants
) -> Prepared:
    """Restore what `prepare` made of a slice.

    Parameters
    ----------
    image : (y, x) array of uint8
        The slice.
    prepared : (array, array)
        From `prepare`.
    constants : Constants
        The same.

    Returns
    -------
    Prepared
        With the smoothed slice, which is quicker made again than sent.
    """
    regions, packed = prepared
    return Prepared(
        smooth(image, constants), regions.astype(np.int32), unpack_mask(packed, image.shape)
    )


def unpack_mask(packed: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Restore a mask from its bits.

    Parameters
    ----------
    packed : array of uint8
        From `numpy.packbits`.
    shape : (int, int)
        Of the mask, (y, x).

    Returns
    -------
    (y, x) array of bool
    """
    return np.unpackbits(packed, count=shape[0] * shape[1]).reshape(shape).view(bool)


# --- from slice to slice -------------------------------------------------------------------------


def first_nucleus(
    prepared: Prepared,
    constants: Constants,
    rules: Rules,
    neighbour: np.ndarray | None = None,
) -> Found:
    """Find the nucleus of a slice on its own, as where the passes start.

    Parameters
    ----------
    prepared : Prepared
        That slice.
    constants : Constants
        Scaled to its pixels.
    rules : Rules
        Which of the improved rules hold.
    neighbour : (y, x) array of bool, optional
        Where a nucleus lies in another slice; without it, the one nearest the centre is meant.

    Returns
    -------
    Found
        Empty where no region qualifies.
    """
    chosen = choose_region(prepared.regions, prepared.smoothed, constants, neighbour=neighbour)
    chosen &= prepared.regions > 0
    allowed = ~prepared.background if rules.without_background else np.ones(chosen.shape, bool)
    nucleus, votes = _grow(prepared.smoothed, chosen, allowed, constants, rules)
    level = float(prepared.smoothed[chosen].mean()) if chosen.any() else float("nan")
    return Found(nucleus, votes, level)


def next_nucleus(
    prepared: Prepared,
    neighbour: Found,
    gap_nm: float,
    constants: Constants,
    rules: Rules,
    pixel_size_nm: float,
) -> Found:
    """Find the nucleus of a slice, given that of a slice above or below.

    Parameters
    ----------
    prepared : Prepared
        The slice.
    neighbour : Found
        Of the nearest slice, towards the centre, that has a nucleus.
    gap_nm : float
        Distance between the two slices.
    constants : Constants
        Scaled to the slice's pixels.
    rules : Rules
        Which of the improved rules hold.
    pixel_size_nm : float
        Side of a pixel.

    Returns
    -------
    Found
        Empty where no region qualifies: the nucleus has ended.

    Examples
    --------
    Two regions side by side, of which the neighbour vouches for one; pixels of 400 nm:

    >>> regions = np.zeros((9, 16), np.int32)
    >>> regions[2:7, 2:7], regions[2:7, 9:14] = 1, 2
    >>> smoothed = np.where(regions > 0, 150, 100).astype(np.float32)
    >>> prepared = Prepared(smoothed, regions, np.zeros(regions.shape, bool))
    >>> below = np.zeros(regions.shape, bool)
    >>> below[1:8, 1:8] = True
    >>> neighbour = Found(below, below, 150.0)
    >>> found = next_nucleus(prepared, neighbour, 50, Constants.at(400), Rules(), 400)
    >>> np.unique(regions[found.nucleus])
    array([0, 1], dtype=int32)
    """
    fractions = (rules.core_fraction,)
    return _for_cores(prepared, neighbour, gap_nm, constants, rules, pixel_size_nm, fractions)[0]


def nucleus_over_gap(
    prepared: Prepared,
    neighbour: Found,
    gap_nm: float,
    constants: Constants,
    rules: Rules,
    pixel_size_nm: float,
) -> Found:
    """Find the nucleus of a slice, given that of a slice too far away to know its boundary.

    The slice on its own has one region, and the neighbour may add others: over 50 nm these are
    parts of the nucleus, over 1.5 um as often cytoplasm. So where the two agree on what is meant,
    the slice alone decides. Where they do not, or the neighbour vouches for nothing, the envelope
    decides: that of the two is taken whose outline follows a dark line farther (`follow_envelope`),
    and the slice's own only if that is most of the outline. A nucleus in several pieces has an
    envelope around each: what the neighbour adds to the slice's own region is believed where it has
    one too, and is as plain as that region, which cytoplasm is not. Of regions that lie outside the
    neighbour's core, so far away, those are taken that have an envelope.

    Parameters
    ----------
    prepared, neighbour, gap_nm, constants, rules, pixel_size_nm
        As for `next_nucleus`, which this is for a gap up to ``rules.trust_nm``.

    Returns
    -------
    Found
    """
    given = (prepared, neighbour, gap_nm, constants, rules, pixel_size_nm)
    if gap_nm <= rules.trust_nm:
        return next_nucleus(*given)
    found, wider = _for_cores(*given, (rules.core_fraction, 0))
    widened = _has_envelope(prepared.smoothed, wider.nucleus, found.nucleus, pixel_size_nm)
    if widened or not found.nucleus.any():
        found = wider
    own = first_nucleus(prepared, constants, rules, neighbour.votes)
    common = np.count_nonzero(own.nucleus & found.nucleus)
    either = np.count_nonzero(own.nucleus | found.nucleus)
    if common > AGREE * either:
        return own
    if not _may_be_the_same(own.nucleus, neighbour, gap_nm, constants, rules, pixel_size_nm):
        return found
    shares = [
        follow_envelope(prepared.smoothed, each.nucleus, pixel_size_nm) for each in (own, found)
    ]
    if shares[0] <= max(shares[1], ENVELOPED):
        return found
    if shares[1] <= ENVELOPED:
        return own
    parts = (found.nucleus & ~own.nucleus, own.nucleus)
    added, alone = (_roughness(prepared.smoothed, part) for part in parts)
    return found if added < AS_PLAIN * alone else own


def _has_envelope(smoothed, wider, nucleus, pixel_size_nm) -> bool:
    """Tell whether what is added to a nucleus has an envelope, and the whole nearly as much."""
    added = wider & ~nucleus
    if follow_envelope(smoothed, added, pixel_size_nm) <= ENVELOPED:
        return False
    shares = [follow_envelope(smoothed, mask, pixel_size_nm) for mask in (nucleus, wider)]
    return shares[1] >= shares[0] - AS_FAR


def _may_be_the_same(nucleus, neighbour, gap_nm, constants, rules, pixel_size_nm) -> bool:
    """Tell whether a nucleus may go on in another slice: not if it could not have come there."""
    area = np.count_nonzero(nucleus)
    if 2 * np.count_nonzero(nucleus & neighbour.nucleus) > area:
        return True
    reach_nm = rules.reach_slope * gap_nm
    if np.count_nonzero(neighbour.nucleus) < constants.nucleus_min_area_px:
        reach_nm = max(reach_nm, REMNANT_REACH_NM)
    too_far = distance_about(neighbour.votes) > reach_nm / pixel_size_nm
    return np.count_nonzero(nucleus & too_far) <= STRAY * area


def _roughness(smoothed: np.ndarray, mask: np.ndarray) -> float:
    """Return how much grey levels vary in a mask without its rim; NaN if nothing is left of it."""
    inside = cv2.erode(as_bytes(mask), np.ones((5, 5), np.uint8)).view(bool)
    return float(smoothed[inside].std()) if inside.any() else float("nan")


def follow_envelope(smoothed: np.ndarray, nucleus: np.ndarray, pixel_size_nm: float) -> float:
    """Measure how much of a nucleus's outline follows a dark line.

    Parameters
    ----------
    smoothed : (y, x) array of float32
        Grey levels.
    nucleus : (y, x) array of bool
    pixel_size_nm : float
        Side of a pixel.

    Returns
    -------
    float
        Share of the outline, 0 to 1, near which there is something darker than the nucleus by more
        than `DARKER_SD` standard deviations of the grey levels in it, which are taken robustly.

    Examples
    --------
    A disk with a dark line around its left half, in pixels of 40 nm:

    >>> y, x = np.mgrid[-30:31, -30:31]
    >>> radius = np.hypot(y, x)
    >>> noise = np.random.default_rng(0).normal(0, 2, radius.shape)
    >>> line = (abs(radius - 21) < 2) & (x < 0)
    >>> smoothed = np.where(line, 100, 150 + noise).astype(np.float32)
    >>> round(follow_envelope(smoothed, radius < 20, 40), 1)
    0.5
    """
    # At one size of pixels, or the darkest of more of them would be darker.
    shrink = max(1, round(ENVELOPE_PIXEL_NM / pixel_size_nm))
    if not nucleus.any():
        return 0.0
    box = around(nucleus, 2 * ENVELOPE_NEAR_PX * shrink)
    size = tuple(max(1, side // shrink) for side in smoothed[box].shape[::-1])
    grey = cv2.resize(smoothed[box], size, interpolation=cv2.INTER_AREA)
    mask = cv2.resize(as_bytes(nucleus[box]), size, interpolation=cv2.INTER_NEAREST)
    outlines, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    if not outlines:
        return 0.0
    inside = grey[mask > 0]
    level = np.median(inside)
    deviation = 1.4826 * np.median(np.abs(inside - level))
    near = np.ones((2 * ENVELOPE_NEAR_PX + 1,) * 2, np.uint8)
    x, y = np.concatenate(outlines)[:, 0].T
    return float(np.mean(level - cv2.erode(grey, near)[y, x] > DARKER_SD * deviation))


def between(low: np.ndarray, high: np.ndarray, share: float) -> np.ndarray:
    """Draw the outline that lies between two.

    Parameters
    ----------
    low, high : (y, x) array of bool
        Nuclei below and above.
    share : float
        Of the way from the lower to the upper one, 0 to 1.

    Returns
    -------
    (y, x) array of bool
        Empty where one of them is.

    Examples
    --------
    >>> low, high = np.zeros((7, 7), bool), np.zeros((7, 7), bool)
    >>> low[1:6, 1:6] = high[3, 3] = True
    >>> between(low, high, 0.5).astype(int)
    array([[0, 0, 0, 0, 0, 0, 0],
           [0, 0, 0, 0, 0, 0, 0],
           [0, 0, 1, 1, 1, 0, 0],
           [0, 0, 1, 1, 1, 0, 0],
           [0, 0, 1, 1, 1, 0, 0],
           [0, 0, 0, 0, 0, 0, 0],
           [0, 0, 0, 0, 0, 0, 0]])
    """
    result = np.zeros(low.shape, bool)
    if not low.any() or not high.any():
        return result
    box = around(low | high, 2)

    def depth(mask):
        return distance_about(~mask) - distance_about(mask)

    result[box] = (1 - share) * depth(low[box]) + share * depth(high[box]) > 0
    return result


def _for_cores(
    prepared, neighbour, gap_nm, constants, rules, pixel_size_nm, core_fractions
) -> list[Found]:
    """Find the next nucleus for each ``core_fraction``, once where they choose the same."""
    nothing = np.zeros(neighbour.votes.shape, bool)
    if not neighbour.votes.any():
        return [Found(nothing, nothing, neighbour.level)] * len(core_fractions)
    reach_px = rules.reach_slope * gap_nm / pixel_size_nm
    # Beyond the reach only rings are looked at; nothing is farther away than the slice is wide.
    margin = min(reach_px, max(nothing.shape)) + constants.ring_count_px + 10
    box = around(neighbour.votes, margin)
    votes, smoothed = neighbour.votes[box], prepared.smoothed[box]
    allowed = distance_about(votes) <= reach_px
    if rules.without_background:
        allowed &= ~prepared.background[box]
    # Holes lie within the neighbour's outline.
    allowed |= fill(votes)
    core = _core(votes, rules.core_slope * gap_nm / pixel_size_nm)
    regions = prepared.regions[box]
    before, results = None, []
    for fraction in core_fractions:
        each = replace(rules, core_fraction=fraction)
        chosen, level = _choose(
            regions, smoothed, votes, core, neighbour.level, prepared.regions, constants, each
        )
        chosen &= allowed
        if before is None or not np.array_equal(chosen, before):
            before = chosen
            nucleus, voting = nothing.copy(), nothing.copy()
            if chosen.any():
                nucleus[box], voting[box] = _grow(smoothed, chosen, allowed, constants, rules)
        results.append(Found(nucleus, voting, level if chosen.any() else neighbour.level))
    return results


def _core(votes: np.ndarray, depth_px: float) -> np.ndarray:
    """Erode each island by a depth, or by half its own where that is less."""
    depth = distance_about(~np.pad(votes, 1))[1:-1, 1:-1]
    count, islands = cv2.connectedComponents(as_bytes(votes), connectivity=8)
    deepest = np.zeros(count, np.float32)
    np.maximum.at(deepest, islands[votes], depth[votes])
    return votes & (depth > np.minimum(depth_px, deepest / 2).take(islands))


def _choose(regions, smoothed, votes, core, level, all_regions, constants, rules):
    """Take the regions that the neighbour vouches for; return them and their grey level."""
    count = int(regions.max()) + 1
    area = np.bincount(regions.ravel(), minlength=count)
    overlap = np.bincount(regions[core], minlength=count)
    overlap[0] = 0
    inside = np.bincount(regions[votes], minlength=count)
    enough = min(constants.neighbour_overlap_area_px, 0.05 * np.count_nonzero(core))
    good = (overlap > enough) & (inside >= rules.inside_fraction * area)
    # Of a region that leaves the box, the whole counts.
    border = np.concatenate([regions[0], regions[-1], regions[:, 0], regions[:, -1]])
    for number in np.unique(border[good[border]]):
        area[number] = np.count_nonzero(all_regions == number)
        good[number] = inside[number] >= rules.inside_fraction * area[number]
    main = int(np.argmax(np.where(good, overlap, 0)))
    good &= (overlap >= rules.core_fraction * area) | (np.arange(count) == main)
    candidates = np.flatnonzero(good)
    if not candidates.size:
        return np.zeros(regions.shape, bool), level
    where = good.take(regions)
    number = regions[where]
    sums = np.bincount(number, weights=smoothed[where], minlength=count)
    mean = sums[candidates] / np.bincount(number, minlength=count)[candidates]
    if area[main] > constants.nucleus_min_area_px:
        level = float(mean[candidates == main][0])
    # Written so that a level that is not known (NaN) rejects nothing.
    wrong = (mean - level > rules.brighter_level) | (level - mean > rules.darker_level)
    good[candidates[wrong]] = False
    return good.take(regions), level


def _grow(smoothed, chosen, allowed, constants, rules):
    """Grow regions to the envelope and close them; return the nucleus and what votes."""
    envelope = measure_envelope(smoothed, fill(chosen), constants)
    # Where the nucleus cannot be is as dark as can be: nothing grows into it.
    reachable = np.where(allowed, smoothed, 0)
    grown = grow_boundary(reachable, chosen, envelope, constants) & allowed
    nucleus = close_nucleus(grown, constants) & allowed
    count, islands = cv2.connectedComponents(as_bytes(nucleus), connectivity=8)
    area = np.bincount(islands.ravel(), minlength=count)
    area[0] = 0
    nucleus = (area >= constants.island_min_area_px).take(islands)
    if rules.holes_vote:
        return nucleus, nucleus
    edges = disk(constants.close_radius_px)
    return nucleus, cv2.dilate(as_bytes(grown), edges).view(bool) & nucleus
