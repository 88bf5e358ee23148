"""Times training steps alone and beside busy cores, with several settings of TensorFlow's threads.

Where cores are shared, as in a class or in CI, a step should take about twice as long beside one
busy core of two, and not four times. Each setting has a process of its own, since TensorFlow reads
it once; steps alone and beside are timed in turns. The busy program is pinned to core 0. The first
line is what the book does: see `helpers.machine`. Without TensorFlow it says so and ends.
"""

import argparse
import os
import statistics
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context

import numpy as np

from helpers.methods import NO_TENSORFLOW, has_tensorflow

# Threads within an operation, and operations at once; 0 is TensorFlow's own choice.
SETTINGS = {"as the book": (None, None), "one thread": (1, 1), "one operation": (0, 1)}
STEPS, TURNS = 4, 3
ALLOWED = 2.5


@contextmanager
def busy_cores(count):
    """Keep the first cores busy with programs that do nothing else."""
    code = "import os, sys; os.sched_setaffinity(0, {int(sys.argv[1])})\nwhile True: pass"
    programs = [
        subprocess.Popen([sys.executable, "-c", code, str(core)])
        for core in sorted(os.sched_getaffinity(0))[:count]
    ]
    try:
        time.sleep(0.5)
        yield
    finally:
        for program in programs:
            program.kill()
            program.wait()


def time_steps(name, intra, inter, busy):
    """Return the median seconds of a step alone and beside busy cores."""
    from helpers import networks
    from helpers.training import Recipe, build
    from helpers.training.device import need_tensorflow
    from helpers.training.fit import _compiled

    tf = need_tensorflow()
    if intra is not None:
        tf.config.threading.set_intra_op_parallelism_threads(intra)
        tf.config.threading.set_inter_op_parallelism_threads(inter)
    family = name.partition("_")[0] if "deeplab" in name else "skips"
    recipe = Recipe.of(family, "quick")
    rows, columns, channels = recipe.input_shape
    model = build(networks.NETWORKS[name], recipe.input_shape, weights=None)
    trainer = _compiled(model, recipe, np.ones(4, np.float32))
    random = np.random.default_rng(0)
    images = random.uniform(0, 255, (recipe.batch, rows, columns, channels)).astype(np.float32)
    labels = random.integers(1, 5, (recipe.batch, rows, columns))

    def steps():
        times = []
        for _ in range(STEPS):
            start = time.perf_counter()
            trainer.train_on_batch(images, labels)
            times.append(time.perf_counter() - start)
        return times

    steps()
    alone, beside = [], []
    for _ in range(TURNS):
        alone += steps()
        with busy_cores(busy):
            beside += steps()
    return statistics.median(alone), statistics.median(beside)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("network", nargs="?", default="vgg16_unet")
    parser.add_argument("--busy", type=int, default=1, help="how many cores are busy")
    arguments = parser.parse_args()
    if not has_tensorflow():
        raise SystemExit(print(NO_TENSORFLOW))
    print(f"{arguments.network}, beside {arguments.busy} busy of {os.cpu_count()} cores:")
    first_s = None
    for title, threads in SETTINGS.items():
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            alone_s, beside_s = pool.submit(
                time_steps, arguments.network, *threads, arguments.busy
            ).result()
        first_s = first_s or alone_s
        print(
            f"{title:>14}: {alone_s:.2f} s a step alone, {alone_s / first_s:.2f} times the "
            f"first line's; {beside_s / alone_s:.2f} times that beside ({ALLOWED} allowed)",
            flush=True,
        )


if __name__ == "__main__":
    main()
