"""A surface that turns: in a notebook and on the static page alike, with no network.

Drawn by ``surface.js``, and not by Plotly 7, which was tried. Its script has 4.8 MB where this one
has 10 KB. It needs WebGL, and where there is none shows no body. Over it neither the wheel nor a
finger scrolls the page; its keys reach the buttons but not the body; and it has no cut with a face
and no scale bar, which would be written here all the same.
"""

import base64
import html

import numpy as np

from helpers.labels import check_length
from helpers.show.page_html import PageHtml, check_texts, figure_id, frame, json_of

MAX_TRIANGLES = 50_000
"""Largest mesh shown: about 0.6 MB of page, and still fluent on a phone."""

COLOUR, CUT_COLOUR = (86, 180, 233), (230, 159, 0)
"""Of the surface and of the cut's face: red, green, blue."""

CUT_STEPS = 100
MAX_WIDTH_PX = 560


def surface(
    vertices_um: np.ndarray,
    faces: np.ndarray,
    *,
    caption: str,
    alt: str,
    slice_distance_nm: float | None = None,
    name: str | None = None,
) -> PageHtml:
    """Show a triangle mesh that a reader turns, zooms and cuts.

    The page draws it itself: no kernel, no network, no WebGL. Drag or arrow keys turn it, plus
    and minus, two fingers or the wheel with the control key zoom, a slider cuts it along a slice.
    It turns round once by itself, unless the reader asked for less motion. Parallel projection, so
    that the scale bar holds everywhere; x to the right, slices downwards.

    Parameters
    ----------
    vertices_um : (n, 3) array of float
        Points, (z, y, x), in micrometres, for example of `helpers.volume.measures`.
    faces : (m, 3) array of integers
        Triangles: rows of `vertices_um`. All wound alike; which way does not matter.
    caption : str
        Shown below; says what there is to see.
    alt : str
        Describes it to those who do not see it.
    slice_distance_nm : float, optional
        With it, the slider that cuts shows slice numbers, slice 1 lying at z = 0; without, heights.
    name : str, optional
        Name of the figure, for a link: it gets the id ``surface-<name>``. By default the id is a
        hash of the content.

    Returns
    -------
    PageHtml

    Raises
    ------
    ValueError
        If a text is missing, the name is not fit for use, or the mesh is empty, too large, not
        finite, or has faces without their points.

    Examples
    --------
    >>> corners = [[0, 0, 0], [0, 0, 1], [0, 1, 0], [1, 0, 0]]
    >>> sides = [[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]]
    >>> surface(corners, sides, caption="One corner of a cube.", alt="A tetrahedron")
    A tetrahedron
    """
    check_texts("surface", {"caption": caption, "alt": alt}, name)
    points, faces = _checked(vertices_um, faces)
    low, size = points.min(axis=0), np.ptp(points, axis=0)
    step = float(check_length(size.max(), "extent of the mesh")) / 65535
    wide = len(points) > 65536
    data = {
        "points": _base64(np.rint((points - low) / step).astype("<u2")),
        "faces": _base64(_outward(points, faces).astype("<u4" if wide else "<u2")),
        "wide": wide,
        "count": len(points),
        "step_um": step,
        "size_um": size.tolist(),
        "low_um": float(low[2]),
        "colour": COLOUR,
        "cut_colour": CUT_COLOUR,
    }
    if slice_distance_nm is None:
        cuts = CUT_STEPS
        data |= {"cut_um": float(low[2]), "cut_step_um": float(size[2]) / cuts}
    else:
        distance = check_length(slice_distance_nm, "slice_distance_nm") / 1000
        first, last = (int(end // distance) + 1 for end in (low[2], low[2] + size[2]))
        cuts = max(1, last - first)
        data |= {
            "cut_um": (first - 1) * distance,
            "cut_step_um": distance,
            "first_slice": first,
        }
    payload = json_of(data)
    identity = figure_id("surface", name, payload, caption.strip(), alt.strip())
    label = html.escape(alt.strip())
    body = (
        f'<div class="hela-stage" hidden><canvas tabindex="0" role="application" '
        f'aria-roledescription="turning model" aria-label="{label}" '
        f'aria-describedby="{identity}-hint" style="aspect-ratio:5/4"></canvas>'
        f'<div class="hela-scale"></div></div>\n'
        f'<div class="hela-tools" hidden><label>Cut down to <input type="range" min="0" '
        f'max="{cuts}" step="1" value="0" autocomplete="off"><output></output></label>'
        f'<button type="button">Turn</button><button type="button">Reset</button></div>\n'
        f'<p class="hela-hint" id="{identity}-hint" hidden>Drag it, or use the arrow keys, to '
        f"turn it; + and − or two fingers to zoom. The first slice is at the top.</p>\n"
        f"<noscript><p>This model turns where JavaScript is on. It shows: {label}</p></noscript>"
    )
    return frame(
        "surface",
        body,
        caption=caption,
        alt=alt,
        identity=identity,
        payload=payload,
        style=f"max-width:{MAX_WIDTH_PX}px",
    )


def _checked(vertices_um, faces) -> tuple[np.ndarray, np.ndarray]:
    """Return points as (x, y, z) and faces, or say what is wrong with them."""
    points, faces = np.asarray(vertices_um, dtype=float), np.asarray(faces)
    for what, array in (("vertices_um", points), ("faces", faces)):
        if array.ndim != 2 or array.shape[1] != 3:
            raise ValueError(f"{what} has shape {array.shape}; allowed is (n, 3).")
    if not len(faces):
        raise ValueError("The mesh has no faces, so there is nothing to show; see its note.")
    if not np.isfinite(points).all():
        raise ValueError("vertices_um holds values that are not finite; leave such points out.")
    if not np.issubdtype(faces.dtype, np.integer):
        raise ValueError(f"faces are of type {faces.dtype}; they must be integers.")
    if faces.min() < 0 or faces.max() >= len(points):
        raise ValueError(
            f"faces name the points {faces.min()} to {faces.max()}; there are 0 to "
            f"{len(points) - 1}."
        )
    if len(faces) > MAX_TRIANGLES:
        raise ValueError(
            f"The mesh has {len(faces):,} triangles; allowed are {MAX_TRIANGLES:,}. Make a coarser "
            "one, for instance with max_triangles of helpers.volume.measures.measure_nucleus."
        )
    return points[:, ::-1], faces


def _outward(points: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Wind the triangles so that, seen from outside, their corners run anticlockwise."""
    a, b, c = (points[faces[:, corner]] - points.mean(axis=0) for corner in range(3))
    volume = np.einsum("ij,ij->", a, np.cross(b, c))
    return faces if volume >= 0 else faces[:, ::-1]


def _base64(array: np.ndarray) -> str:
    return base64.b64encode(np.ascontiguousarray(array).tobytes()).decode("ascii")
