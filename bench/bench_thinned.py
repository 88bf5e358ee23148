"""Counts where the improved mode is worse than a slice alone or the published mode.

Stacks are a phantom, and slices drawn over the published ground truth where HELA_DATA_DIR has it,
each thinned to every 1st, 2nd, 5th, 10th and 30th slice, from up to three first slices, so that
neighbours lie 50 nm to 1.5 um apart; and the real sample, if it is there. A slice is lost where
the nucleus Jaccard of the improved mode is more than .005 below the better of the other two.
All 300 slices on one core take ten minutes; `--json FILE` keeps the numbers of every slice,
`--gaps` keeps the slices' numbers, so that the stack has gaps, `--only phantom drawn sample` does
a part.
"""

import argparse
import json
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path

import cv2
import numpy as np

from helpers import data
from helpers.data.stack import Stack
from helpers.labels import Label
from helpers.metrics import jaccard_of_masks
from helpers.phantom import Phantom
from helpers.traditional import segment_nucleus
from helpers.traditional.doubts import DoubtWarning
from helpers.volume import segment_stack

EVERY = (1, 2, 5, 10, 30)
STARTS = 3
MAY_LOSE = 0.005
MODES = ("improved", "published")
WAYS = ("single", "published", "improved")


def kept(stack: Stack) -> Stack:
    """Keep the slices once they were drawn."""
    return replace(stack, _image=cache(stack.image), _labels=cache(stack.labels))


def thin(stack: Stack, every: int, start: int, gaps: bool) -> tuple[Stack, dict[int, int]]:
    """Take every n-th slice; return the stack, and the number there of each in the whole one."""
    chosen = stack.slice_numbers[start::every]
    if gaps:
        return replace(stack, slice_numbers=chosen), {number: number for number in chosen}
    old = dict(enumerate(chosen, start=1))
    thinned = replace(
        stack,
        slice_numbers=tuple(old),
        voxel_nm=(stack.voxel_nm[0] * every, *stack.voxel_nm[1:]),
        _image=lambda number: stack.image(old[number]),
        _labels=lambda number: stack.labels(old[number]),
    )
    return thinned, old


def single(stack: Stack) -> Callable[[int], float | None]:
    """Return what scores a slice on its own, once; None where there is no nucleus."""

    @cache
    def score(number: int) -> float | None:
        truth = stack.labels(number) == Label.NUCLEUS
        if not truth.any():
            return None
        nucleus = segment_nucleus(stack.image(number), pixel_size_nm=stack.pixel_size_nm)
        return float(jaccard_of_masks(nucleus, truth))

    return score


@dataclass
class Count:
    """Scores of some stacks of one kind: a row of the table."""

    name: str
    scores: list[dict] = field(default_factory=list)

    def add(self, stack: Stack, old: dict[int, int], alone) -> None:
        """Segment a stack by both modes, and score its slices."""
        found = {mode: dict(self._score(stack, mode)) for mode in MODES}
        for number in stack.slice_numbers:
            if alone(old[number]) is not None:
                row = {mode: scores[number] for mode, scores in found.items()}
                row |= {"slice": old[number], "of": len(stack), "single": alone(old[number])}
                row["lost"] = max(row["single"], row["published"]) - row["improved"]
                self.scores.append(row)

    @staticmethod
    def _score(stack: Stack, mode: str) -> Iterator[tuple[int, float]]:
        for number, labels in segment_stack(stack, mode=mode, workers=1, progress=False, doubts=[]):
            truth = stack.labels(number) == Label.NUCLEUS
            yield number, float(jaccard_of_masks(labels == Label.NUCLEUS, truth))

    def show(self, worst: int) -> None:
        """Print means and count, and the slices that lose most."""
        lost = [row for row in self.scores if row["lost"] > MAY_LOSE]
        means = " | ".join(f"{np.mean([row[way] for row in self.scores]):.4f}" for way in WAYS)
        print(f"| {self.name} | {len(self.scores)} | {means} | {len(lost)} |", flush=True)
        for row in sorted(lost, key=lambda row: -row["lost"])[:worst]:
            each = ", ".join(f"{way} {row[way]:.3f}" for way in WAYS)
            print(f"    slice {row['slice']}: {each}; {row['lost']:.3f} lost", flush=True)


def real_stacks(choice: argparse.Namespace) -> Iterator[tuple[str, Stack]]:
    """Yield the stacks that can be had."""
    if "phantom" in choice.only:
        yield "phantom", data.phantom_stack(Phantom((300, 500, 500), (50, 40, 40)))
    for name, open_ in (("drawn", lambda: data.rendered_stack(shrink=4)), ("sample", sample)):
        if name in choice.only:
            try:
                yield name, open_()
            except data.DataError as error:
                print(f"without {name}: {error}")


def sample() -> Stack:
    return data.load_stack("sample")


def main():
    names = ("phantom", "drawn", "sample")
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=names, default=names)
    parser.add_argument("--every", nargs="+", type=int, default=EVERY)
    parser.add_argument("--worst", type=int, default=5, help="how many lost slices to list")
    parser.add_argument("--gaps", action="store_true", help="slices keep their numbers")
    parser.add_argument("--json", type=Path, help="file for the numbers")
    choice = parser.parse_args()
    cv2.setNumThreads(1)
    # What is doubtful of single slices is not counted here.
    warnings.simplefilter("ignore", DoubtWarning)

    print("| stack | slices with a nucleus | " + " | ".join(WAYS) + " | improved loses |")
    print("| --- |" + " --- |" * (len(WAYS) + 2))
    numbers = {}
    for name, whole in real_stacks(choice):
        stack = kept(whole)
        alone = single(stack)
        for every in choice.every if name != "sample" else (1,):
            count = Count(name if name == "sample" else f"{name}, every {every}")
            for start in range(0, every, max(1, -(-every // STARTS))):
                gaps = choice.gaps or name == "sample"
                count.add(*thin(stack, every, start, gaps), alone)
            count.show(choice.worst)
            numbers[count.name] = count.scores
    if choice.json:
        choice.json.write_text(json.dumps(numbers, indent=1) + "\n")


if __name__ == "__main__":
    main()
