"""From superpixels to the nucleus: select, measure the envelope, grow, close, trace."""

import cv2
import numpy as np
from scipy import ndimage as ndi

from helpers.labels import check_image, check_mask
from helpers.masks import around, as_bytes, disk, distance_to, fill
from helpers.traditional.choice import choose_region
from helpers.traditional.constants import Constants
from helpers.traditional.doubts import find_doubts, inside_frame, warn_of
from helpers.traditional.edges import (
    detect_edges,
    grow_edges,
    levels_for_edges,
    smooth,
    superpixels,
)
from helpers.traditional.envelope import trace_envelope


def select_nucleus(
    regions: np.ndarray,
    neighbour: np.ndarray | None = None,
    constants: Constants = Constants(),  # noqa: B008
) -> np.ndarray:
    """Choose the superpixels that are nucleus.

    On its own, the slice gives the large region nearest its centre that does not touch the
    border.
    Given the nucleus of a neighbouring slice, every large region that overlaps it is taken; where
    there are several, those of which more than 75 % lie inside it.

    Parameters
    ----------
    regions : (y, x) array of int32
        Superpixels, 0 for edges.
    neighbour : (y, x) array of bool, optional
        Nucleus of the slice above or below; it is eroded by a pixel before it is compared.
    constants : Constants
        Its `nucleus_min_area_px`, and, for a neighbour, those that begin with ``neighbour``.

    Returns
    -------
    (y, x) array of bool
        Without holes; empty where nothing qualifies.

    Examples
    --------
    Regions 1, 2 and 4 touch the border, and 3 has a hole:

    >>> regions = np.array(
    ...     [
    ...         [1, 1, 1, 1, 0, 2, 2],
    ...         [0, 0, 0, 0, 0, 0, 2],
    ...         [4, 0, 3, 3, 3, 0, 2],
    ...         [4, 0, 3, 0, 3, 0, 0],
    ...         [4, 0, 3, 3, 3, 0, 5],
    ...         [4, 0, 0, 0, 0, 0, 5],
    ...     ],
    ...     np.int32,
    ... )
    >>> select_nucleus(regions, constants=Constants(nucleus_min_area_px=4)).astype(int)
    array([[0, 0, 0, 0, 0, 0, 0],
           [0, 0, 0, 0, 0, 0, 0],
           [0, 0, 1, 1, 1, 0, 0],
           [0, 0, 1, 1, 1, 0, 0],
           [0, 0, 1, 1, 1, 0, 0],
           [0, 0, 0, 0, 0, 0, 0]])
    """
    if neighbour is not None and neighbour.any():
        chosen = _overlapping(regions, neighbour, constants)
        return fill(np.isin(regions, chosen)) if len(chosen) else np.zeros(regions.shape, bool)

    areas = np.bincount(regions.ravel())
    border = np.concatenate([regions[0], regions[-1], regions[:, 0], regions[:, -1]])
    areas[0] = areas[border] = 0
    middle = (np.array(regions.shape[::-1]) - 1) / 2
    nucleus, nearest = np.zeros(regions.shape, bool), np.inf
    boxes = ndi.find_objects(regions)
    for number in np.flatnonzero(areas > constants.nucleus_min_area_px):
        box = boxes[number - 1]
        filled = fill(regions[box] == number)
        moments = cv2.moments(as_bytes(filled), binaryImage=True)
        centroid = np.array([moments["m10"], moments["m01"]]) / moments["m00"]
        corner = np.array([box[1].start, box[0].start])
        distance = np.hypot(*(corner + centroid - middle))
        if distance < nearest:
            nucleus = np.zeros(regions.shape, bool)
            nucleus[box] = filled
            nearest = distance
    return nucleus


def _overlapping(regions: np.ndarray, neighbour: np.ndarray, constants: Constants) -> np.ndarray:
    """Numbers of the regions that the neighbour's nucleus vouches for, by the authors' code."""
    width = 2 * round(constants.neighbour_erosion_px) + 1
    core = cv2.erode(as_bytes(neighbour), np.ones((width, width), np.uint8)).view(bool)
    area = np.bincount(regions.ravel())
    inside = np.bincount(regions[core], minlength=len(area))
    large = area > constants.nucleus_min_area_px
    large[0] = False
    chosen = np.flatnonzero(large & (inside > constants.neighbour_overlap_area_px))
    if len(chosen) > 1:
        chosen = chosen[inside[chosen] > constants.neighbour_inside_fraction * area[chosen]]
    return chosen


def ring_medians(
    smoothed: np.ndarray,
    nucleus: np.ndarray,
    constants: Constants = Constants(),  # noqa: B008
) -> np.ndarray:
    """Median grey level on the rings 1, 2, ... 50 pixels outside the nucleus.

    Parameters
    ----------
    smoothed : (y, x) array of float32
        Grey levels, from `smooth`.
    nucleus : (y, x) array of bool
        From `select_nucleus`.
    constants : Constants
        Its `ring_count_px`: how many rings.

    Returns
    -------
    (rings,) array of float64
        The ring n holds the pixels that lie more than n - 1 and at most n pixels from the nucleus.
        NaN for rings outside the slice, and for all where the nucleus is empty.

    Examples
    --------
    A nucleus, a dark envelope of two pixels, and cytoplasm:

    >>> smoothed = np.array([[150, 150, 150, 100, 104, 140, 142]], np.float32)
    >>> nucleus = np.array([[1, 1, 0, 0, 0, 0, 0]], bool)
    >>> ring_medians(smoothed, nucleus, Constants(ring_count_px=4))
    array([150., 100., 104., 140.])
    """
    reach = max(1, round(constants.ring_count_px))
    medians = np.full(reach, np.nan)
    if not nucleus.any():
        return medians
    box = around(nucleus, reach + 1)
    ring = np.ceil(distance_to(nucleus[box])).astype(np.int32)
    near = (ring > 0) & (ring <= reach)
    ring, level = ring[near], smoothed[box][near]
    # A stable sort of small whole numbers is a radix sort, five times faster than one of floats.
    level = level[np.argsort(ring.astype(np.uint16), kind="stable")]
    ends = np.cumsum(np.bincount(ring, minlength=reach + 1))
    for number, values in enumerate(np.split(level, ends[:-1])[1:]):
        if values.size:
            medians[number] = np.median(values)
    return medians


def measure_envelope(
    smoothed: np.ndarray,
    nucleus: np.ndarray,
    constants: Constants = Constants(),  # noqa: B008
) -> float:
    """Grey level of the nuclear envelope, the dark line around the nucleus.

    Parameters
    ----------
    smoothed : (y, x) array of float32
        Grey levels, from `smooth`.
    nucleus : (y, x) array of bool
        From `select_nucleus`.
    constants : Constants
        Its `ring_count_px`: how far out the envelope is looked for.

    Returns
    -------
    float
        The least of `ring_medians`; NaN for an empty nucleus or one that fills the slice.

    Examples
    --------
    >>> smoothed = np.array([[150, 150, 150, 100, 104, 140, 142]], np.float32)
    >>> nucleus = np.array([[1, 1, 0, 0, 0, 0, 0]], bool)
    >>> measure_envelope(smoothed, nucleus)
    100.0
    """
    medians = ring_medians(smoothed, nucleus, constants)
    return float("nan") if np.isnan(medians).all() else float(np.nanmin(medians))


def grow_boundary(
    smoothed: np.ndarray,
    nucleus: np.ndarray,
    envelope_level: float,
    constants: Constants = Constants(),  # noqa: B008
) -> np.ndarray:
    """Move the boundary outward to the envelope, one pixel at a time.

    Canny's edges were grown, so the region ends short of the envelope.
    Each step takes the neighbouring pixels brighter than the envelope plus 15, in groups of more
    than 7; it ends when a step adds 150 or fewer, or after 25.

    Parameters
    ----------
    smoothed : (y, x) array of float32
        Grey levels, from `smooth`.
    nucleus : (y, x) array of bool
        From `select_nucleus`.
    envelope_level : float
        From `measure_envelope`. NaN: nothing grows.
    constants : Constants
        Its `growth_level` and those that begin with ``growth``.

    Returns
    -------
    (y, x) array of bool

    Examples
    --------
    It grows over bright pixels and stops at the dark ones. Groups of one pixel count here:

    >>> smoothed = np.array([[100, 150, 150, 150, 150, 150, 100, 150]] * 3, np.float32)
    >>> nucleus = np.zeros((3, 8), bool)
    >>> nucleus[1, 3] = True
    >>> tiny = Constants(growth_min_area_px=0, growth_stop_area_px=0)
    >>> grow_boundary(smoothed, nucleus, 100.0, tiny).astype(int)
    array([[0, 1, 1, 1, 1, 1, 0, 0],
           [0, 1, 1, 1, 1, 1, 0, 0],
           [0, 1, 1, 1, 1, 1, 0, 0]])
    """
    grown = nucleus.copy()
    steps = max(1, round(constants.growth_steps_px))
    if not nucleus.any() or np.isnan(envelope_level):
        return grown
    box = around(nucleus, steps)
    inner = as_bytes(nucleus[box]).copy()
    bright = as_bytes(smoothed[box] > envelope_level + constants.growth_level)
    square = np.ones((3, 3), np.uint8)
    for _ in range(steps):
        candidates = cv2.dilate(inner, square) & bright & ~inner
        _, groups = cv2.connectedComponents(candidates, connectivity=8)
        where = np.flatnonzero(candidates.view(bool))
        group = groups.ravel()[where]
        taken = (np.bincount(group) > constants.growth_min_area_px)[group]
        inner.ravel()[where] = taken
        added = np.count_nonzero(taken)
        if added <= constants.growth_stop_area_px:
            break
    grown[box] = inner.view(bool)
    return grown


def close_nucleus(
    nucleus: np.ndarray,
    constants: Constants = Constants(),  # noqa: B008
) -> np.ndarray:
    """Fill holes, close notches, and dilate once by what the edges took.

    Parameters
    ----------
    nucleus : (y, x) array of bool
        From `grow_boundary`.
    constants : Constants
        Its `close_radius_px`: of the disk, which is MATLAB's octagon (`helpers.masks.disk`).

    Returns
    -------
    (y, x) array of bool

    Examples
    --------
    A ring is filled, and grows by a disk of one pixel:

    >>> ring = np.zeros((7, 7), bool)
    >>> ring[2:5, 2:5] = True
    >>> ring[3, 3] = False
    >>> close_nucleus(ring, Constants(close_radius_px=1)).astype(int)
    array([[0, 0, 0, 0, 0, 0, 0],
           [0, 0, 1, 1, 1, 0, 0],
           [0, 1, 1, 1, 1, 1, 0],
           [0, 1, 1, 1, 1, 1, 0],
           [0, 1, 1, 1, 1, 1, 0],
           [0, 0, 1, 1, 1, 0, 0],
           [0, 0, 0, 0, 0, 0, 0]])
    """
    if not nucleus.any():
        return nucleus.copy()
    brush = disk(constants.close_radius_px)
    box = around(nucleus, 3 * len(brush))
    closed = cv2.morphologyEx(as_bytes(fill(nucleus[box])), cv2.MORPH_CLOSE, brush)
    result = np.zeros(nucleus.shape, bool)
    result[box] = cv2.dilate(closed, brush).view(bool)
    return result


def segment_nucleus(
    image: np.ndarray,
    neighbour: np.ndarray | None = None,
    *,
    pixel_size_nm: float = 10.0,
    constants: Constants | None = None,
) -> np.ndarray:
    """Segment the nucleus of the cell in the middle of a slice.

    Parameters
    ----------
    image : (y, x) array of uint8
        One slice.
    neighbour : (y, x) array of bool, optional
        Nucleus of the slice above or below; it decides which regions belong to the nucleus.
    pixel_size_nm : float
        Side of a pixel; the published constants hold at 10 nm and are scaled from there.
    constants : Constants, optional
        Already scaled; instead of `pixel_size_nm`.

    Returns
    -------
    (y, x) array of bool
        Empty where no region qualifies: a slice of one grey level, one too small to hold a
        nucleus, or one without a large region that is mostly off the border.

    Warns
    -----
    DoubtWarning
        Where the slice is damaged or the nucleus implausible: see
        `helpers.traditional.doubts.Doubt`. A frame of one grey level is cut off first.

    Raises
    ------
    TypeError
        If the slice is not uint8, or the neighbour not bool.
    ValueError
        If the slice does not have two dimensions, has no pixels, or differs in shape from the
        neighbour; if the pixel size is not positive.

    Notes
    -----
    Karabag et al. (2020), doi 10.1371/journal.pone.0230605, Fig 3. Added here: the
    last step, `trace_envelope`, and `choose_region` in place of the nearest one.

    Examples
    --------
    A bright nucleus with a dark envelope in cytoplasm with an organelle here and there:

    >>> row, column = np.mgrid[:400, :400]
    >>> from_centre = np.hypot(row - 200, column - 200)
    >>> image = np.where((row % 40 < 9) & (column % 40 < 9), 90, 145).astype(np.uint8)
    >>> image[from_centre < 119] = 100
    >>> image[from_centre < 110] = 155
    >>> nucleus = segment_nucleus(image, pixel_size_nm=20)
    >>> f"{np.mean(nucleus == (from_centre < 113)):.2f} of the pixels are right"
    '1.00 of the pixels are right'
    """
    constants = constants or Constants.at(pixel_size_nm)
    image = check_image(image)
    if neighbour is not None:
        neighbour = check_mask(neighbour, "neighbour", image.shape)
    nucleus = nucleus_of(image, neighbour, constants)
    warn_of(find_doubts(image, nucleus, pixel_size_nm=constants.pixel_size_nm))
    return nucleus


def nucleus_of(image: np.ndarray, neighbour: np.ndarray | None, constants: Constants) -> np.ndarray:
    """Do what `segment_nucleus` does, with arguments that were checked, and without a warning.

    Parameters
    ----------
    image : (y, x) array of uint8
        One slice.
    neighbour : (y, x) array of bool or None
        Nucleus of the slice above or below.
    constants : Constants
        Scaled to its pixels.

    Returns
    -------
    (y, x) array of bool
    """
    nucleus = np.zeros(image.shape, bool)
    box = inside_frame(image)
    smoothed = smooth(image[box], constants)
    edges = detect_edges(levels_for_edges(image[box], smoothed, constants), constants)
    if not edges.any():
        return nucleus
    regions = superpixels(grow_edges(edges, constants))
    inside = None if neighbour is None else neighbour[box]
    if inside is None or not inside.any():
        chosen = choose_region(regions, smoothed, constants)
    else:
        chosen = select_nucleus(regions, inside, constants)
    level = measure_envelope(smoothed, chosen, constants)
    closed = close_nucleus(grow_boundary(smoothed, chosen, level, constants), constants)
    nucleus[box] = trace_envelope(smoothed, closed, constants)
    return nucleus
