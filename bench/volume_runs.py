"""Stacks on disk for `bench_volume.py`, and one run over such a stack in a fresh process."""

import contextlib
import itertools
import math
import os
import threading
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import cv2
import numpy as np
import tifffile

from helpers.data import DataError, published_labels
from helpers.data.stack import Stack
from helpers.labels import Label
from helpers.metrics import jaccard_of_masks
from helpers.phantom import Phantom, render
from helpers.volume import Rules, segment_stack

SIDE = 2000
VOXEL_NM = (50.0, 10.0, 10.0)
ALL = range(1, 301)
VARIANTS = {
    "improved": ("improved", Rules()),
    "all pixels judge edges": ("improved", Rules(resin_level=None)),
    "filled holes vote": ("improved", Rules(holes_vote=True)),
    "boundary moves anywhere": ("improved", Rules(reach_slope=math.inf)),
    "resin is not kept out": ("improved", Rules(without_background=False)),
    "no core": ("improved", Rules(core_fraction=0.0)),
    "any grey level": ("improved", Rules(darker_level=math.inf, brighter_level=math.inf)),
    "no gap is bridged": ("improved", Rules(bridge_nm=0.0)),
    "no vote of neighbours": ("improved", Rules(median_slices=1)),
    "envelope not traced": ("improved", Rules(trace=False)),
    "published": ("published", None),
}


# --- slices on disk ------------------------------------------------------------------------------


def draw(number: int, folder: Path) -> None:
    path = folder / f"{number:04d}.tif"
    if path.exists():
        return
    cv2.setNumThreads(1)
    try:
        truth = published_labels(number, several_nuclei=True)
        z_nm = (number - 0.5) * VOXEL_NM[0]
        image = render(truth, pixel_size_nm=VOXEL_NM[1], z_nm=z_nm, seed=0)
    except DataError:
        image = Phantom((len(ALL), SIDE, SIDE), VOXEL_NM).image(number)
    unfinished = path.with_suffix(".part")
    tifffile.imwrite(unfinished, image)
    unfinished.replace(path)


def shrink(numbers, folder: Path, side: int) -> Path:
    """Write the slices at another size and return where they are."""
    if side == SIDE:
        return folder
    smaller = folder / str(side)
    smaller.mkdir(exist_ok=True)
    for number in numbers:
        image = tifffile.imread(folder / f"{number:04d}.tif")
        image = cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA)
        tifffile.imwrite(smaller / f"{number:04d}.tif", image)
    return smaller


def to_and_fro(numbers, count: int) -> tuple[int, ...]:
    """Walk up and down some slices: a stack of any height in which every slice has a nucleus."""
    back = (*numbers, *reversed(numbers[1:-1]))
    return tuple(itertools.islice(itertools.cycle(back), count))


# --- one run, in a fresh process -----------------------------------------------------------------


@dataclass(frozen=True)
class Job:
    """A stack whose slices 1, 2, ... are in the files with these numbers, and how to segment it.

    Unless it is `cold`, worker processes are started and the central slice is given beforehand:
    both cost the same for any number of slices.
    """

    folder: Path
    files: tuple[int, ...]
    side: int = SIDE
    workers: int = 2
    variant: str = "improved"
    score: bool = False
    cold: bool = False

    def stack(self, count: int | None = None) -> Stack:
        return Stack(
            name="bench",
            source="own",
            slice_numbers=tuple(range(1, (count or len(self.files)) + 1)),
            shape=(self.side, self.side),
            voxel_nm=(VOXEL_NM[0], *(VOXEL_NM[1] * SIDE / self.side,) * 2),
            licence="",
            citation="",
            _image=lambda n: tifffile.imread(self.folder / f"{self.files[n - 1]:04d}.tif"),
        )


class Meter(threading.Thread):
    """Adds up what this process and those below it use, where there is /proc: memory and CPU.

    Resident memory is looked at five times a second; pages that are shared count in each process.
    On a busy machine seconds of CPU tell more than those on the clock.
    """

    def __init__(self):
        super().__init__(daemon=True)
        self.peak_mib, self._end = float("nan"), threading.Event()
        self._before_s = self._cpu_s()

    def run(self):
        while Path("/proc/self/status").exists() and not self._end.wait(0.2):
            self.peak_mib = np.fmax(self.peak_mib, sum(map(self._mib, self._family("self"))))

    def stop(self) -> dict[str, float]:
        self._end.set()
        self.join()
        return {"peak_mib": float(self.peak_mib), "cpu_s": self._cpu_s() - self._before_s}

    def _cpu_s(self) -> float:
        ticks = 0
        for process in self._family("self"):
            with contextlib.suppress(OSError):
                fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
                ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK") if ticks else float("nan")

    def _family(self, process: str) -> list[str]:
        below = []
        with contextlib.suppress(OSError):  # It has just ended.
            for task in Path(f"/proc/{process}/task").iterdir():
                with contextlib.suppress(OSError):  # So have some of its threads.
                    below += (task / "children").read_text().split()
        return [process, *itertools.chain.from_iterable(map(self._family, below))]

    @staticmethod
    def _mib(process: str) -> float:
        try:
            lines = Path(f"/proc/{process}/status").read_text().splitlines()
        except OSError:
            return 0.0
        return sum(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS"))


def segment(job: Job) -> dict:
    if job.workers == 1:
        cv2.setNumThreads(1)
    mode, rules = VARIANTS[job.variant]
    options = {"mode": mode, "rules": rules, "workers": job.workers, "progress": False}
    if not job.cold:
        list(segment_stack(job.stack(2), **options, centre=1))
        options["centre"] = (len(job.files) + 1) // 2
    meter = Meter()
    meter.start()
    scores, nucleus = {}, []
    start = time.perf_counter()
    for number, labels in segment_stack(job.stack(), **options):
        if job.score:
            truth = published_labels(number) == Label.NUCLEUS
            scores[number] = float(jaccard_of_masks(labels == Label.NUCLEUS, truth))
            nucleus += [number] * bool((labels == Label.NUCLEUS).any())
    end = time.perf_counter()
    count = len(job.files)
    return {
        "slices": count,
        "seconds": end - start,
        "seconds_a_slice": (end - start) / count,
        **meter.stop(),
        "jaccard": scores,
        "nucleus_in": sorted(nucleus),
    }


def fresh(job: Job) -> dict:
    """Run in a process of its own, so that memory and worker processes are this run's alone."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
        return process.submit(segment, job).result()
