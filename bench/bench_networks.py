"""Times one training step of each network, at 360 x 480 and batch 2, in float32 and in bfloat16.

Prints each step's time, its ratio to the first network's, and what bfloat16 gains, network by
network. Weights are random: they do not change the time. Without TensorFlow it says so and ends.
"""

import statistics
import time

import numpy as np

try:
    from helpers import networks
    from helpers.networks.weights import BACKBONES
except ImportError as error:
    print(error)
    raise SystemExit(0) from None
import keras

SHAPE, BATCH, RUNS = (360, 480), 2, 5


def trainer(name, policy):
    """Return a function that trains a new network for one step and returns the seconds."""
    keras.mixed_precision.set_global_policy(policy)
    keras.utils.set_random_seed(0)
    channels = 3 if name in BACKBONES else 1
    model = networks.NETWORKS[name](input_shape=(*SHAPE, channels), weights=None)
    model.compile(
        keras.optimizers.SGD(1e-3, momentum=0.9),
        "sparse_categorical_crossentropy",
        jit_compile=False,
    )
    random = np.random.default_rng(0)
    images = random.uniform(0, 255, (BATCH, *SHAPE, channels)).astype(np.float32)
    labels = random.integers(0, 4, (BATCH, *SHAPE))

    def step():
        start = time.perf_counter()
        loss = model.train_on_batch(images, labels)
        seconds = time.perf_counter() - start
        if not np.isfinite(loss):
            raise SystemExit(f"{name}, {policy}: the loss is {loss}")
        return seconds

    return step


def step_seconds(name, policy):
    """Return the median of some steps, after two that do not count: the first builds the graph."""
    step = trainer(name, policy)
    times = [step() for _ in range(RUNS + 2)]
    keras.backend.clear_session()
    return statistics.median(times[2:])


def main():
    before = keras.mixed_precision.dtype_policy()
    print(f"a training step at {SHAPE[0]} x {SHAPE[1]}, batch {BATCH}:")
    first = None
    for name in networks.NETWORKS:
        mixed, plain = (step_seconds(name, policy) for policy in ("mixed_bfloat16", "float32"))
        first = first or mixed
        print(
            f"{name:>34}: {mixed:.2f} s in bfloat16, {mixed / first:.2f} times the first's, "
            f"{plain / mixed:.1f} times faster than in float32",
            flush=True,
        )
    keras.mixed_precision.set_global_policy(before)


if __name__ == "__main__":
    main()
