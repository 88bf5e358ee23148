"""Times the two U-Nets: slices of 2000 x 2000, and one epoch of the paper's training.

Of each network in float32 and bfloat16, each in a process of its own: seconds a slice, the memory
above that of the loaded model, and a step of the paper's training with the time projected from it
for 15 epochs of 36,000 patches. Slices are the phantom's; they do not change the time.
`--epoch` trains a whole epoch on a tenth of the patches, 4 slices, instead of a few steps.
Without TensorFlow it says so and ends.
"""

import argparse
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from helpers.methods import NO_TENSORFLOW, has_tensorflow
from helpers.training import Recipe

NETWORKS = ("paper_unet", "unet")
PRECISIONS = ("float32", "bfloat16")
SHAPE, PIXEL_SIZE_NM, TILE_PX = (2000, 2000), 10.0, 512
PATCHES, EPOCHS = 36_000, 15
TENTH = (101, 127, 153, 179)
FEW_STEPS = 6


def build(name, precision):
    from helpers import networks, training

    return training.build(networks.NETWORKS[name], (None, None, 1), precision=precision)


def time_slices(name, precision):
    from helpers.training.predict import Segmenter, peak_memory_mb

    image = np.random.default_rng(0).integers(0, 256, SHAPE).astype(np.uint8)
    seconds = {}
    model = build(name, precision)
    before_mb = peak_memory_mb()
    # What the paper's network sees, and what both see in the quick profile.
    for profile in ("paper", "quick"):
        preparation = Recipe.of("unet", profile).preparation
        segment = Segmenter(model, PIXEL_SIZE_NM, preparation=preparation, tile_px=TILE_PX, batch=1)
        segment(image)  # The first one builds the graph.
        times = []
        for _ in range(2):
            start = time.perf_counter()
            segment(image)
            times.append(time.perf_counter() - start)
        seconds[profile] = min(times)
    return seconds, peak_memory_mb() - before_mb


def time_steps(name, precision, steps):
    from helpers.data import phantom_stack
    from helpers.phantom import Phantom
    from helpers.training import Split, train

    cell = phantom_stack(Phantom((300, *SHAPE), (50.0, PIXEL_SIZE_NM, PIXEL_SIZE_NM)))
    split = Split(train=TENTH[: None if steps is None else 1], test=())
    recipe = replace(Recipe.of("unet", "paper"), precision=precision)
    recipe = replace(
        recipe, **({"epochs": 1} if steps is None else {"epochs": None, "steps": steps})
    )
    with tempfile.TemporaryDirectory() as folder:
        record = train(
            build(name, precision), cell, split, recipe, Path(folder), progress=False
        ).record
    return record["seconds_per_step"], record["minutes"]


def fresh(function, *arguments):
    """Run in a new process, so that its peak of memory is its own."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epoch", action="store_true", help="a whole epoch on a tenth")
    steps = None if parser.parse_args().epoch else FEW_STEPS
    if not has_tensorflow():
        raise SystemExit(print(NO_TENSORFLOW))
    batch = Recipe.of("unet", "paper").batch
    first_slice_s = first_step_s = None
    print(f"slices of {SHAPE[0]} x {SHAPE[1]} in tiles of {TILE_PX}, and the paper's training:")
    for name in NETWORKS:
        for precision in PRECISIONS:
            slice_s, memory_mb = fresh(time_slices, name, precision)
            step_s, minutes = fresh(time_steps, name, precision, steps)
            first_slice_s = first_slice_s or slice_s["paper"]
            first_step_s = first_step_s or step_s
            hours = PATCHES * EPOCHS / batch * step_s / 3600
            print(
                f"{name:>10} {precision:>8}: {slice_s['paper']:.2f} s a slice "
                f"({slice_s['paper'] / first_slice_s:.2f} times the first line's; seen as in quick "
                f"{slice_s['quick'] / slice_s['paper']:.2f} of that), {memory_mb:.0f} MB; "
                f"{step_s:.2f} s a step of {batch} patches ({step_s / first_step_s:.2f} times), "
                f"{hours:.1f} hours for {EPOCHS} epochs of {PATCHES:,} patches"
                + ("" if steps else f"; one epoch on a tenth took {minutes:.1f} minutes"),
                flush=True,
            )


if __name__ == "__main__":
    main()
