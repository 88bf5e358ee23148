"""The traditional pipeline written plainly with scikit-image and SciPy.

It is slow and easy to read: the tests compare the fast steps of `helpers.traditional` with it,
and `bench_traditional.py` times the two side by side.
Constants are written out for pixels of 10 nm.
"""

import numpy as np
from scipy import ndimage as ndi
from skimage import feature, filters, measure, morphology


def smooth(image):
    return ndi.gaussian_filter(image.astype(np.float32), 2, mode="nearest", radius=3)


def detect_edges(smoothed, sigma=4.0):
    blurred = ndi.gaussian_filter(smoothed, sigma, mode="nearest")
    gradient = np.hypot(ndi.sobel(blurred, 0), ndi.sobel(blurred, 1))
    high = np.quantile(gradient, 0.7)
    return feature.canny(
        smoothed, sigma, low_threshold=0.4 * high, high_threshold=high, mode="nearest"
    )


def grow_edges(edges, distance=5):
    return ndi.distance_transform_edt(~edges) < distance


def superpixels(grown):
    return measure.label(~grown, connectivity=2)


def select_nucleus(regions):
    middle = (np.array(regions.shape) - 1) / 2
    best, nearest = np.zeros(regions.shape, bool), np.inf
    bottom, right = regions.shape
    for region in measure.regionprops(regions):
        y0, x0, y1, x1 = region.bbox
        if region.area <= 10_000 or y0 == 0 or x0 == 0 or y1 == bottom or x1 == right:
            continue
        filled = ndi.binary_fill_holes(regions == region.label)
        distance = np.linalg.norm(np.argwhere(filled).mean(axis=0) - middle)
        if distance < nearest:
            best, nearest = filled, distance
    return best


def measure_envelope(smoothed, nucleus):
    distance = np.ceil(ndi.distance_transform_edt(~nucleus)).astype(int)
    return min(np.median(smoothed[distance == ring]) for ring in range(1, 51))


def grow_boundary(smoothed, nucleus, envelope_intensity):
    bright = smoothed > envelope_intensity + 15
    nucleus = nucleus.copy()
    for _ in range(25):
        candidates = ndi.binary_dilation(nucleus, np.ones((3, 3))) & ~nucleus & bright
        labelled = measure.label(candidates, connectivity=2)
        areas = np.bincount(labelled.ravel())
        areas[0] = 0
        added = (areas > 7)[labelled]
        if not added.any():
            break
        nucleus |= added
        if added.sum() <= 150:
            break
    return nucleus


def close_nucleus(nucleus):
    disk = morphology.octagon(5, 2)  # what MATLAB's strel("disk", 5) is
    closed = ndi.binary_fill_holes(nucleus)
    padded = np.pad(closed, 12)
    closed = ndi.binary_closing(padded, disk)[12:-12, 12:-12]
    return ndi.binary_dilation(closed, disk)


def segment_nucleus(image):
    smoothed = smooth(image)
    nucleus = select_nucleus(superpixels(grow_edges(detect_edges(smoothed))))
    if not nucleus.any():
        return nucleus
    nucleus = grow_boundary(smoothed, nucleus, measure_envelope(smoothed, nucleus))
    return close_nucleus(nucleus)


def segment_background(image, nucleus=None):
    smoothed = smooth(image)
    mean = smoothed[nucleus].mean() if nucleus is not None and nucleus.any() else 150
    level = min(max(mean + 10, filters.threshold_otsu(smoothed)), 200)
    grown = ndi.binary_dilation(detect_edges(smoothed, 9.0), np.ones((21, 21)))
    regions = measure.label(~grown, connectivity=2)
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
