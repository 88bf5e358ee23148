"""Times training steps at 360 x 480, batch 2: float32 against bfloat16, and waiting for data.

Names of networks as arguments (`helpers.networks.NETWORKS`) time others than the first.
"""

import resource
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from helpers import data, networks
from helpers.training import Recipe, Split, build, train

STEPS = 8
WAITING_ALLOWED = 0.05
NETWORKS = ("vgg16_segnet", "resnet18_deeplabv3plus", "inception_resnet_v2_deeplabv3plus")


def measure(name, precision):
    cell = data.load_stack("phantom")
    split = Split(train=cell.some(20)[6:14:2], test=())
    recipe = replace(Recipe.of("segnet", "quick"), steps=STEPS, precision=precision)
    model = build(networks.NETWORKS[name], weights=None, precision=precision)
    with tempfile.TemporaryDirectory() as folder:
        return train(model, cell, split, recipe, Path(folder), progress=False).record


def main():
    first_s = None
    for name in sys.argv[1:] or NETWORKS:
        records = {precision: measure(name, precision) for precision in ("float32", "bfloat16")}
        seconds = {key: record["seconds_per_step"] for key, record in records.items()}
        first_s = first_s or seconds["bfloat16"]
        waiting = max(record["waiting_share"] for record in records.values())
        print(
            f"{name}: {seconds['bfloat16']:.2f} s a step with bfloat16, "
            f"{seconds['float32'] / seconds['bfloat16']:.2f} times that with float32, "
            f"{seconds['bfloat16'] / first_s:.2f} times the first network's; "
            f"waiting {waiting:.1%} of the time, {waiting / WAITING_ALLOWED:.2f} of what is allowed"
        )
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
    print(f"peak memory of all of them: {peak_mb:.0f} MB")


if __name__ == "__main__":
    main()
