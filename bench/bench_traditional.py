"""Times the traditional method against its plain version, on one core, in one run.

Uses real slices where HELA_DATA_DIR has them, else a full-size slice of the phantom.
Prints ratios, the cost of each step, and the peak of memory above the imports.
"""

import resource
import statistics
import time

import cv2
import numpy as np
import reference_traditional as reference

from helpers import traditional
from helpers.data import sources
from helpers.phantom import Phantom

cv2.setNumThreads(1)
RUNS = 5


def seconds(function, *arguments, runs=RUNS):
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        function(*arguments)
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def slices():
    if sources.resolve_source() in ("sample", "full"):
        cell = sources.load_stack()
        return {n: cell.image(n) for n in {cell.nearest(n) for n in (118, 170, 215)}}
    phantom = Phantom(shape=(300, 2000, 2000), voxel_nm=(50.0, 10.0, 10.0))
    return {150: phantom.image(150)}


def peak_mib():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main():
    images = slices()
    first = next(iter(images.values()))
    before = peak_mib()
    traditional.segment_slice(first)
    print(f"peak memory of segment_slice above the imports: {peak_mib() - before:.0f} MiB")

    for name in ("segment_nucleus", "segment_background"):
        fast, plain = getattr(traditional, name), getattr(reference, name)
        ratios = []
        for number, image in images.items():
            ratio = seconds(plain, image, runs=2) / seconds(fast, image)
            ratios.append(ratio)
            print(f"{name}, slice {number}: {ratio:.1f} times faster than the plain version")
        print(f"{name}: {statistics.median(ratios):.1f} times (median)")

    steps = {}
    smoothed = traditional.smooth(first)
    steps["smooth"] = seconds(traditional.smooth, first)
    steps["detect_edges"] = seconds(traditional.detect_edges, smoothed)
    edges = traditional.detect_edges(smoothed)
    steps["grow_edges"] = seconds(traditional.grow_edges, edges)
    grown = traditional.grow_edges(edges)
    steps["superpixels"] = seconds(traditional.superpixels, grown)
    regions = traditional.superpixels(grown)
    steps["select_nucleus"] = seconds(traditional.select_nucleus, regions)
    nucleus = traditional.select_nucleus(regions)
    steps["measure_envelope"] = seconds(traditional.measure_envelope, smoothed, nucleus)
    level = traditional.measure_envelope(smoothed, nucleus)
    steps["grow_boundary"] = seconds(traditional.grow_boundary, smoothed, nucleus, level)
    boundary = traditional.grow_boundary(smoothed, nucleus, level)
    steps["close_nucleus"] = seconds(traditional.close_nucleus, boundary)
    total = np.sum(list(steps.values()))
    for name, time_s in steps.items():
        print(f"{name:>17}: {100 * time_s / total:3.0f} % of the nucleus's time")


if __name__ == "__main__":
    main()
