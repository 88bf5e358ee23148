"""Times the phantom against what it may cost, in one run, and prints used / allowed.

With HELA_DATA_DIR set, also the texture over the published ground truth; `--all` renders all 300
slices of it instead of every 30th.
"""

import os
import resource
import sys
import time
from pathlib import Path

from scipy.io import loadmat

from helpers.phantom import Phantom, render

DEFAULT_VOLUME_S = 10
FULL_SLICE_S = 2
TRUTH_VOLUME_S = 12 * 60


def report(what, seconds, allowed):
    print(f"{what}: {seconds:.2f} s, {seconds / allowed:.2f} of the {allowed} s allowed")


def peak_mib():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main():
    phantom = Phantom()
    start = time.perf_counter()
    for number in phantom.slice_numbers:
        phantom.labels(number)
        phantom.image(number)
    report(
        "48 slices of 500 x 500, labels and image", time.perf_counter() - start, DEFAULT_VOLUME_S
    )

    phantom = Phantom((300, 2000, 2000), (50.0, 10.0, 10.0))
    for number in (10, 150, 250):
        start = time.perf_counter()
        phantom.labels(number)
        phantom.image(number)
        seconds = time.perf_counter() - start
        report(f"slice {number} of 2000 x 2000, labels and image", seconds, FULL_SLICE_S)

    folder = Path(os.environ.get("HELA_DATA_DIR", "")) / "hela-unet2/CODE/GroundTruth_4c"
    files = sorted(folder.glob("GT_Slice_*.mat"))
    if files:
        step = 1 if "--all" in sys.argv else 30
        before, start = peak_mib(), time.perf_counter()
        for number in range(0, len(files), step):
            truth = loadmat(files[number])["groundTruth"]
            render(truth, pixel_size_nm=10, z_nm=(number + 0.5) * 50)
        seconds = (time.perf_counter() - start) * step
        report(f"{len(files)} slices over the ground truth", seconds, TRUTH_VOLUME_S)
        print(f"peak memory grew by {peak_mib() - before:.0f} MiB over it")
    print(f"peak memory: {peak_mib():.0f} MiB")


if __name__ == "__main__":
    main()
