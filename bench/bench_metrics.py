"""Times the scores of one full-size slice against plain ways to get them, in one run.

Uses a real ground truth where HELA_DATA_DIR has it, else that of the phantom.
"""

import statistics
import time

import cv2
import numpy as np
import scipy.ndimage
import sklearn.metrics

from helpers import metrics
from helpers.data import sources
from helpers.labels import Label
from helpers.phantom import Phantom

cv2.setNumThreads(1)
PIXEL_SIZE_NM = 10.0


def seconds(function, *arguments, runs=5, **options):
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        function(*arguments, **options)
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def ground_truth():
    if sources.resolve_source() in ("sample", "full"):
        cell = sources.load_stack()
        return np.ascontiguousarray(cell.labels(cell.example))
    return Phantom(shape=(300, 2000, 2000), voxel_nm=(50.0, 10.0, 10.0)).labels(150)


def boundary_distances_by_maps(result, truth):
    """Distances read off a map of the whole slice, which is how it is often done."""
    cross = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))
    here, there = (mask & (cv2.erode(mask.view(np.uint8), cross) == 0) for mask in (result, truth))
    from_here, from_there = (scipy.ndimage.distance_transform_edt(~edge) for edge in (here, there))
    return from_there[here], from_here[there]


def main():
    truth = ground_truth()
    result = np.roll(truth, (3, 4), axis=(0, 1))
    ours_s = seconds(metrics.confusion_matrix, result, truth)
    theirs_s = seconds(sklearn.metrics.confusion_matrix, truth.ravel(), result.ravel(), runs=2)
    print(f"confusion_matrix of {truth.shape}: {1000 * ours_s:.1f} ms, ", end="")
    print(f"{theirs_s / ours_s:.0f} times faster than scikit-learn")

    for label in (Label.NUCLEUS, Label.CELL):
        masks = result == label, truth == label
        sizes = {"pixel_size_nm": PIXEL_SIZE_NM, "tolerance_nm": metrics.TOLERANCE_NM}
        ours_s = seconds(metrics.boundary_scores, *masks, **sizes)
        theirs_s = seconds(boundary_distances_by_maps, *masks, runs=2)
        print(f"boundary_scores, {label.title}: {1000 * ours_s:.0f} ms, ", end="")
        print(f"{theirs_s / ours_s:.1f} times faster than distance maps")

    all_s = seconds(metrics.score_slice, result, truth, pixel_size_nm=PIXEL_SIZE_NM)
    print(f"score_slice: {1000 * all_s:.0f} ms for every score of every class")


if __name__ == "__main__":
    main()
