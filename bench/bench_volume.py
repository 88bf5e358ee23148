"""Times the traditional method on whole stacks, and scores it with each rule switched off.

The slices are drawn by the phantom over the published ground truth where HELA_DATA_DIR has it,
else they are the phantom's own; they are read from TIFF files, one at a time.
By default a few slices and a few minutes; `--full` draws all 300 and takes half an hour.
`--cache FOLDER` keeps the slices for the next time, `--json FILE` the numbers,
`--only ratio steps slices pixels workers cell quality` does a part.
"""

import argparse
import itertools
import json
import statistics
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import cv2
import numpy as np
import reference_traditional as reference
import tifffile
from volume_runs import ALL, SIDE, VARIANTS, VOXEL_NM, Job, draw, fresh, shrink, to_and_fro

from helpers import traditional
from helpers.label_maps import LabelMaps
from helpers.masks import majority
from helpers.traditional import Constants
from helpers.volume import Rules, first_nucleus, next_nucleus, prepare, unpack
from helpers.volume.passes import Step

MIDDLE = 150
WITHIN = {"24-262": range(24, 263), "75-225": range(75, 226)}
AT_MOST = range(20, 267)


def seconds(function, *arguments):
    start = time.perf_counter()
    result = function(*arguments)
    return time.perf_counter() - start, result


def report_ratio(folder: Path, numbers) -> dict:
    """Compare with the plain version of a single slice, which propagates nothing."""
    files = tuple(numbers[:8])
    ours_s = fresh(Job(folder, files, workers=1))["seconds_a_slice"]
    plain_s = []
    for number in files[:: len(files) - 1]:
        image = tifffile.imread(folder / f"{number:04d}.tif")
        nucleus_s, nucleus = seconds(reference.segment_nucleus, image)
        plain_s.append(nucleus_s + seconds(reference.segment_background, image, nucleus)[0])
    ratio = statistics.mean(plain_s) / ours_s
    print(f"one core: {ratio:.1f} times faster a slice than the plain single-slice version")
    return {"times_faster": ratio, "plain_s": plain_s, "ours_s": ours_s}


def unpack_all(steps: list[Step]) -> list[np.ndarray]:
    return [step.mask("nucleus") for step in steps]


def report_steps(folder: Path, numbers) -> dict:
    cv2.setNumThreads(1)
    constants, rules = Constants.at(VOXEL_NM[1]), Rules()
    times: dict[str, list[float]] = {}
    found, steps = None, []

    def timed(name, function, *arguments):
        elapsed_s, result = seconds(function, *arguments)
        times.setdefault(name, []).append(elapsed_s)
        return result

    with tempfile.TemporaryDirectory() as results:
        maps = LabelMaps(results, {"bench": "steps"})
        for number in numbers[:7]:
            image = timed("read", tifffile.imread, folder / f"{number:04d}.tif")
            smoothed = timed("smooth", traditional.smooth, image, constants)
            edges = timed("edges", traditional.detect_edges, smoothed, constants)
            grown = timed("grow edges", traditional.grow_edges, edges, constants)
            timed("regions", traditional.superpixels, grown)
            timed("background", traditional.find_background, smoothed, None, constants)
            prepared = unpack(image, prepare(image, constants), constants)
            if found is None:
                found = first_nucleus(prepared, constants, rules)
            else:
                arguments = prepared, found, VOXEL_NM[0], constants, rules, VOXEL_NM[1]
                found = timed("propagate", next_nucleus, *arguments)
            steps = [*steps, timed("pack", Step.of, found, prepared.background)][-5:]
            masks = timed("unpack", unpack_all, steps)
            nucleus = timed("vote", majority, masks)
            arguments = nucleus, prepared.background, constants
            labels = timed("labels", traditional.draw_labels, *arguments)
            timed("write", maps.write, number, labels)
    medians_s = {name: statistics.median(each) for name, each in times.items()}
    total_s = sum(medians_s.values())
    for name, median_s in medians_s.items():
        print(f"{name:>15}: {100 * median_s / total_s:3.0f} % of a slice's {total_s:.2f} s")
    return {"seconds": medians_s, "total_s": total_s}


def report_scaling(name: str, jobs: dict[int, Job]) -> dict:
    results = {size: fresh(job) for size, job in jobs.items()}
    last = list(results.values())[-1]["seconds_a_slice"]
    for size, each in results.items():
        print(
            f"{name} {size}: {each['seconds']:.1f} s, a slice {each['seconds_a_slice'] / last:.2f} "
            f"of the last line's (CPU {each['cpu_s'] / each['slices']:.2f} s), "
            f"peak of all processes {each['peak_mib']:.0f} MiB"
        )
    return results


def report_cell(folder: Path) -> dict:
    run = fresh(Job(folder, tuple(ALL), cold=True))
    print(f"the whole cell, from a cold start: {run['seconds']:.0f} s, {run['peak_mib']:.0f} MiB")
    return run


def report_quality(folder: Path, workers: int) -> dict:
    results = {}
    print("| rules | " + " | ".join(WITHIN) + " | outside 20-266 | nucleus in |")
    print("| --- |" + " --- |" * (len(WITHIN) + 2))
    for variant in VARIANTS:
        job = Job(folder, tuple(ALL), variant=variant, workers=workers, score=True, cold=True)
        run = fresh(job)
        found = run["nucleus_in"]
        row = {
            name: statistics.mean(run["jaccard"][n] for n in within)
            for name, within in WITHIN.items()
        }
        outside = len(set(found) - set(AT_MOST))
        scores = " | ".join(f"{score:.4f}" for score in row.values())
        span = f"{found[0]}-{found[-1]}" if found else "none"
        print(f"| {variant} | {scores} | {outside} slices | {span} |", flush=True)
        results[variant] = {**row, "outside": outside, "jaccard": run["jaccard"]}
    return results


def main():
    parts = ("ratio", "steps", "slices", "pixels", "workers", "cell", "quality")
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--full", action="store_true", help="all 300 slices; half an hour")
    parser.add_argument("--cache", type=Path, help="folder that keeps the drawn slices")
    parser.add_argument("--json", type=Path, help="file for the numbers")
    parser.add_argument("--only", nargs="+", choices=parts, default=parts)
    parser.add_argument("--workers", type=int, default=2)
    choice = parser.parse_args()

    with tempfile.TemporaryDirectory() as temporary:
        folder = choice.cache or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        central = range(MIDDLE - 25, MIDDLE + 25) if choice.full else range(MIDDLE - 6, MIDDLE + 6)
        with ProcessPoolExecutor(choice.workers, mp_context=get_context("spawn")) as pool:
            drawn = ALL if choice.full else central
            list(pool.map(draw, drawn, itertools.repeat(folder), chunksize=5))

        counts = (50, 100, 200, 300) if choice.full else (12, 24, 48)
        few = to_and_fro(central, counts[0])
        reports = {
            "ratio": lambda: report_ratio(folder, central),
            "steps": lambda: report_steps(folder, central),
            "slices": lambda: report_scaling(
                "slices", {n: Job(folder, to_and_fro(central, n)) for n in counts}
            ),
            "pixels": lambda: report_scaling(
                "pixels along a side",
                {n: Job(shrink(central, folder, n), few, n) for n in (500, 1000, SIDE)},
            ),
            "workers": lambda: report_scaling(
                "workers", {n: Job(folder, few, workers=n) for n in (1, 2)}
            ),
            "cell": lambda: report_cell(folder) if choice.full else {},
            "quality": lambda: report_quality(folder, choice.workers) if choice.full else {},
        }
        numbers = {name: reports[name]() for name in parts if name in choice.only}
    if choice.json:
        choice.json.write_text(json.dumps(numbers, indent=1) + "\n")


if __name__ == "__main__":
    main()
