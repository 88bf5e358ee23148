"""Times a U-Net over a field: with overlap and without, and by the size of the blocks.

Of each size of block: seconds a megapixel with the network's own reach as overlap and with none,
as ratios to the first line of the same run, and what the overlap costs in pixels. Weights are
random and pictures noise; neither changes the time. Rounds are taken in turn, so that a busy
machine slows all alike. Without TensorFlow or Dask it says so and ends.
"""

import argparse
import time

import numpy as np

from helpers.methods import NO_TENSORFLOW, has_tensorflow

BLOCKS_PX, SIDE_PX, N_SLICES, ROUNDS = (256, 512), 1024, 2, 3


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--side", type=int, default=SIDE_PX, help="of the field, in pixels")
    parser.add_argument("--depth", type=int, default=3, help="of the U-Net")
    parser.add_argument("--filters", type=int, default=8, help="of the U-Net at full size")
    chosen = parser.parse_args()
    if not has_tensorflow():
        raise SystemExit(print(NO_TENSORFLOW))
    from helpers import networks
    from helpers.field import blocks, tasks
    from helpers.training import build

    try:
        tasks.need_dask("dask.array")
    except ModuleNotFoundError as error:
        raise SystemExit(print(error)) from None
    shape = (N_SLICES, chosen.side, chosen.side)
    pictures = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
    options = {"depth": chosen.depth, "filters": chosen.filters, "precision": "float32"}
    network = build(networks.unet, (None, None, 1), **options)
    reach_px, stride_px = blocks.reach(network)
    overlap_px = -(-reach_px // stride_px) * stride_px
    ways = [(block_px, overlap) for block_px in BLOCKS_PX for overlap in (0, overlap_px)]
    times = {way: [] for way in ways}
    for round_ in range(ROUNDS + 1):
        for block_px, overlap in ways:
            start = time.perf_counter()
            labels = blocks.predict(pictures, network, block_px=block_px, overlap_px=overlap)
            labels.compute(scheduler="synchronous")
            if round_:  # The first builds the network.
                times[block_px, overlap].append(time.perf_counter() - start)
    fastest = {way: min(each) for way, each in times.items()}
    first_s = fastest[ways[0]]
    print(
        f"{N_SLICES} slices of {chosen.side} x {chosen.side}; the U-Net reaches {reach_px} px on a "
        f"grid of {stride_px}; fastest of {ROUNDS}:"
    )
    for block_px, overlap in ways:
        seconds = fastest[block_px, overlap]
        seen = ((block_px + 2 * overlap) / block_px) ** 2
        print(
            f"blocks of {block_px}, overlap {overlap:>3}: {seconds / pictures.size * 1e6:.2f} s a "
            f"megapixel, {seconds / first_s:.2f} times the first line; the network sees "
            f"{seen:.2f} pixels for one that is kept"
        )


if __name__ == "__main__":
    main()
