"""Times the traditional method against its plain version, on one core, in one run.

Uses real slices where HELA_DATA_DIR has them, else a full-size slice of the phantom.
Prints ratios of the time on the processor (that on the clock says little on a busy machine), the
cost of each step, and the peak of memory above the imports.
"""

import statistics
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

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
        start = time.process_time()
        function(*arguments)
        times.append(time.process_time() - start)
    return statistics.median(times)


def slices():
    if sources.resolve_source() in ("sample", "full"):
        cell = sources.load_stack()
        return {n: cell.image(n) for n in {cell.nearest(n) for n in (118, 170, 215)}}
    phantom = Phantom(shape=(300, 2000, 2000), voxel_nm=(50.0, 10.0, 10.0))
    return {150: phantom.image(150)}


def plain_slice(image):
    """Do what makes the four classes cost time: nucleus and background."""
    return reference.segment_background(image, reference.segment_nucleus(image))


PAIRS = {
    "segment_nucleus": (reference.segment_nucleus, 40),
    "segment_slice": (plain_slice, 25),
}
"""Plain versions, and how many times faster than those ours is to be."""


def peak_mib() -> float:
    """Return the peak of memory of this process, from its start: what began it does not count."""
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    return next((int(line.split()[1]) / 1024 for line in lines if "VmHWM" in line), float("nan"))


def memory_of_a_slice(path: Path) -> float:
    """Segment the slice in a file; how much memory that takes above imports and slice, in MiB."""
    cv2.setNumThreads(1)
    image = np.load(path)
    before = peak_mib()
    traditional.segment_slice(image)
    return peak_mib() - before


def report_memory(image) -> None:
    # In a process of its own: to draw the phantom's slice takes more than to segment it.
    with (
        tempfile.TemporaryDirectory() as folder,
        ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process,
    ):
        path = Path(folder) / "slice.npy"
        np.save(path, image)
        peak = process.submit(memory_of_a_slice, path).result()
    print(f"peak memory of segment_slice above the imports: {peak:.0f} MiB")
    assert not 0 <= peak < 10, "a slice alone takes more: the peak was not measured"


def main():
    images = slices()
    first = next(iter(images.values()))
    report_memory(first)

    for name, (plain, wanted) in PAIRS.items():
        fast, ratios = getattr(traditional, name), []
        for number, image in images.items():
            ratio = seconds(plain, image, runs=1) / seconds(fast, image)
            ratios.append(ratio)
            print(f"{name}, slice {number}: {ratio:.1f} times faster than the plain version")
        median = statistics.median(ratios)
        print(f"{name}: {median:.1f} times (median), wanted are {wanted}")

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
    closed = traditional.close_nucleus(boundary)
    steps["trace_envelope"] = seconds(traditional.trace_envelope, smoothed, closed)
    total = np.sum(list(steps.values()))
    for name, time_s in steps.items():
        print(f"{name:>17}: {100 * time_s / total:3.0f} % of the nucleus's time")


if __name__ == "__main__":
    main()
