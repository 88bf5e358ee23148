"""The traditional pipeline written plainly with scikit-image and SciPy: slow, and easy to read.

The steps of the nucleus are those of chapter 3, taken out of the chapter, where they are taught;
the background is here.
The tests compare the fast steps of `helpers.traditional` with them, and `bench_traditional.py`
times the two side by side.
"""

import ast
from pathlib import Path

import jupytext
import numpy as np
from scipy import ndimage as ndi
from skimage import feature, filters, measure, morphology, segmentation

from helpers.masks import disk
from helpers.traditional import Constants

CHAPTER = Path(__file__).parent.parent / "notebooks" / "03_traditional_method.md"
AT_10_NM = Constants()


def _taught() -> dict:
    """Compile the functions of the chapter whose names begin with ``plain_``."""
    cells = [cell.source for cell in jupytext.read(CHAPTER).cells if "def plain_" in cell.source]
    body = [
        node
        for node in ast.parse("\n".join(cells)).body
        if isinstance(node, ast.FunctionDef) and node.name.startswith("plain_")
    ]
    modules = {"feature": feature, "measure": measure, "segmentation": segmentation}
    names = {"np": np, "ndimage": ndi, "disk": disk, **modules}
    exec(compile(ast.Module(body, []), CHAPTER.name, "exec"), names)
    return names


_steps = _taught()
smooth = _steps["plain_smooth"]
detect_edges = _steps["plain_edges"]
grow_edges = _steps["plain_growth_of_edges"]
superpixels = _steps["plain_superpixels"]
select_nucleus = _steps["plain_selection"]
measure_envelope = _steps["plain_envelope"]
grow_boundary = _steps["plain_growth"]
close_nucleus = _steps["plain_closing"]
trace_envelope = _steps["plain_trace"]


def segment_nucleus(image, constants=AT_10_NM):
    return _steps["plain_nucleus"](image, constants)


def segment_background(image, nucleus=None):
    """Find the resin, at 10 nm a pixel."""
    smoothed = smooth(image, AT_10_NM)
    mean = smoothed[nucleus].mean() if nucleus is not None and nucleus.any() else 150
    level = min(max(mean + 10, filters.threshold_otsu(smoothed)), 200)
    edges = detect_edges(smoothed, Constants(canny_sigma_px=9.0))
    regions = superpixels(ndi.binary_dilation(edges, np.ones((21, 21))))
    areas = np.bincount(regions.ravel())
    means = ndi.mean(smoothed, regions, np.arange(areas.size))
    keep = (areas > 100) & (np.nan_to_num(means) > level)
    keep[0] = False
    background = ndi.binary_fill_holes(keep[regions])
    background = morphology.isotropic_closing(np.pad(background, 50, mode="edge"), 39)[
        50:-50, 50:-50
    ]
    background = morphology.isotropic_opening(background, 19)
    if not background.any():
        return background
    near = ndi.distance_transform_edt(~background) <= 50
    background |= near & (smoothed > smoothed[background].mean() - 5)
    background = ndi.binary_closing(np.pad(background, 8, mode="edge"), np.ones((4, 4)))[8:-8, 8:-8]
    return ndi.binary_dilation(background, morphology.disk(2))
