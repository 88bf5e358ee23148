"""Times a field of cells: found, segmented and joined, by one worker and by two.

Fields are drawn by the phantom, at 20 nm a pixel: 12 cells in 60 slices of 4096 x 4096 pixels, and
with `--double` a second one of twice as many columns and cells, which shows that the memory of a
worker does not hang on it. By default a quarter of that field, in some minutes; `--full` is all of
it. `--wide` repeats the smaller field four times along each side, as wide as the field of
EMPIAR-10094, for the memory of a worker. `--cache FOLDER` keeps the fields, `--json FILE` the
numbers.

What more workers would do is simulated from the tasks' measured times, reading and writing
included, and said to be so.
"""

import argparse
import json
import shutil
import tempfile
import threading
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import psutil

from helpers import data, field
from helpers.field import tasks
from helpers.phantom import PhantomField

VOXEL_NM = (300.0, 20.0, 20.0)
FULL, SMALL = ((60, 4096, 4096), 12), ((60, 2048, 2048), 3)
TIMES = 4
THIRTY = 30
WORKERS = (1, 2, 4, 8, 10, 15, 16, 20, 30, 32)


class Peak(threading.Thread):
    """Watches the largest worker's memory, its own and not what it shares."""

    def __init__(self):
        super().__init__(daemon=True)
        self.mib, self._ended = 0.0, threading.Event()

    def run(self):
        while not self._ended.wait(0.1):
            for child in psutil.Process().children(recursive=True):
                try:
                    self.mib = max(self.mib, child.memory_full_info().uss / 2**20)
                except psutil.Error:
                    continue

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self._ended.set()
        self.join()


def drawn(shape, n_cells: int, folder: Path, workers: int):
    """Return the truth, and the field as OME-Zarr."""
    truth = PhantomField(shape, VOXEL_NM, n_cells=n_cells, seed=0)
    where = folder / f"field_{'x'.join(map(str, shape))}.zarr"
    with field.cluster(workers=workers) as client:
        start = time.perf_counter()
        made = field.convert(data.phantom_stack(truth), where, client=client)
    print(f"{where.name}: drawn and converted in {time.perf_counter() - start:.0f} s")
    return truth, made


def side_by_side(image, number: int) -> np.ndarray:
    return np.tile(image(number), (TIMES, TIMES))


def wide(folder: Path):
    """Return a field as wide as the real one, of one that is repeated."""
    shape, n_cells = SMALL
    one = data.phantom_stack(PhantomField(shape, VOXEL_NM, n_cells=n_cells, seed=0))
    many = replace(
        one, shape=tuple(TIMES * n for n in one.shape), _image=partial(side_by_side, one.image)
    )
    with field.cluster(workers=2) as client:
        return field.convert(many, folder / "wide.zarr", client=client)


def run(truth, made, out: Path, workers: int) -> dict:
    """Segment a field from nothing; without a truth nothing is scored."""
    shutil.rmtree(out, ignore_errors=True)
    with field.cluster(workers=workers) as client, Peak() as peak:
        start = time.perf_counter()
        result = field.segment_field(made, out, client=client, progress=False)
        seconds = time.perf_counter() - start
    found = {
        "workers": workers,
        "seconds": seconds,
        "stages_s": result.seconds,
        "tasks_s": list(result.cells.attrs["seconds"].values()),
        "peak_mib": peak.mib,
        "cells": len(result.cells),
    }
    stages = ", ".join(f"{name} {s:.0f} s" for name, s in result.seconds.items())
    print(f"{workers} workers: {seconds:.0f} s ({stages}); the largest worker {peak.mib:.0f} MiB")
    if truth is not None:
        pairs = field.match(result.cells, truth.cells)
        found["recall"] = len(pairs) / len(truth.cells)
        found["precision"] = len(pairs) / max(1, len(result.cells))
        print(f"recall {found['recall']:.2f}, precision {found['precision']:.2f}")
    return found


def overhead() -> float:
    """Seconds that a task costs which does nothing."""
    with field.cluster(workers=1) as client:
        todo = dict.fromkeys(range(300), (int,))
        tasks.all_of(tasks.run({-1: (int,)}, client))
        start = time.perf_counter()
        tasks.all_of(tasks.run(todo, client))
        return (time.perf_counter() - start) / len(todo)


def report_workers(seconds: list[float], overhead_s: float) -> dict:
    """Simulate thirty cells on more workers."""
    thirty = np.resize(seconds, THIRTY)
    print(f"the scheduler costs {1000 * overhead_s:.1f} ms a task; {THIRTY} cells, SIMULATED:")
    efficiency = {}
    for n in WORKERS:
        took_s = field.simulate([thirty], n, overhead_s=overhead_s)
        efficiency[n] = thirty.sum() / (n * took_s)
        print(f"  {n:3} workers: {took_s:6.1f} s, efficiency {efficiency[n]:.2f}")
    return efficiency


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--full", action="store_true", help="12 cells in 4096 x 4096 pixels")
    parser.add_argument("--double", action="store_true", help="a field twice as large besides")
    parser.add_argument("--wide", action="store_true", help="8192 x 8192 pixels, for the memory")
    parser.add_argument("--cache", type=Path, help="folder that keeps the fields")
    parser.add_argument("--json", type=Path, help="file for the numbers")
    choice = parser.parse_args()
    shape, n_cells = FULL if choice.full else SMALL
    numbers = {}
    with tempfile.TemporaryDirectory() as temporary:
        folder = choice.cache or Path(temporary)
        truth, made = drawn(shape, n_cells, folder, 2)
        for workers in (1, 2):
            numbers[workers] = run(truth, made, Path(temporary, "out"), workers)
        ratio = numbers[1]["seconds"] / numbers[2]["seconds"]
        print(f"two workers are {ratio:.2f} times as fast as one")
        numbers["simulated_efficiency"] = report_workers(numbers[1]["tasks_s"], overhead())
        if choice.double:
            twice = (*shape[:2], 2 * shape[2])
            truth, made = drawn(twice, 2 * n_cells, folder, 2)
            numbers["double"] = run(truth, made, Path(temporary, "double"), 2)
            more = numbers["double"]["peak_mib"] / numbers[2]["peak_mib"]
            print(f"the largest worker of a field twice as large: {more:.2f} times the memory")
        if choice.wide:
            numbers["wide"] = run(None, wide(folder), Path(temporary, "wide"), 2)
    if choice.json:
        choice.json.write_text(json.dumps(numbers, indent=1))


if __name__ == "__main__":
    main()
