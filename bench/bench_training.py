"""Times training steps of the profile `quick`: `train` against a plain loop, and bfloat16.

The plain loop is what a textbook has: a gradient tape in a function, called for each batch.
Names of networks as arguments (`helpers.networks.NETWORKS`) time others than the first.
"""

import resource
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from helpers import data, networks
from helpers.training import (
    Recipe,
    Split,
    build,
    class_weights,
    items_of,
    load_slices,
    stream,
    train,
)
from helpers.training.device import need_tensorflow
from helpers.training.fit import cross_entropy

STEPS = 8
WAITING_ALLOWED = 0.01
SLOWER_ALLOWED = 1.05
NETWORKS = ("vgg16_segnet", "resnet18_deeplabv3plus", "inception_resnet_v2_deeplabv3plus")
CELL = data.load_stack("phantom")
SPLIT = Split(train=CELL.some(20)[6:14:2], test=())


def recipe_of(name, precision):
    family = name.partition("_")[0] if "deeplab" in name else "segnet"
    return replace(Recipe.of(family, "quick"), steps=STEPS, precision=precision)


def plain_loop(name, precision):
    """Return seconds a step and the losses."""
    tf = need_tensorflow()
    import keras

    recipe = recipe_of(name, precision)
    model = build(networks.NETWORKS[name], recipe.input_shape, weights=None, precision=precision)
    slices = load_slices(CELL, SPLIT.train, recipe.preparation, shape=model.input_shape[1:3])
    weights = tf.constant(class_weights(slices, recipe))
    optimiser = keras.optimizers.Adam(recipe.rate)
    variables = model.trainable_variables
    optimiser.build(variables)

    @tf.function(autograph=False)
    def step(images, labels):
        with tf.GradientTape() as tape:
            probabilities = model(images, training=True)
            loss = cross_entropy(labels, probabilities, weights)
        optimiser.apply(tape.gradient(loss, variables), variables)
        found = tf.argmax(probabilities, axis=-1, output_type=tf.int32) + 1
        right = tf.cast(found == tf.cast(labels, tf.int32), tf.float32)
        return loss, tf.reduce_mean(right)

    losses, seconds = [], []
    batches = stream(items_of(slices, recipe), recipe, channels=3, seed=0, start=0, stop=STEPS)
    start = time.perf_counter()
    for index, batch in enumerate(batches):
        optimiser.learning_rate = recipe.rate_at(0, index / STEPS)
        losses.append(float(step(*batch)[0]))
        seconds.append(time.perf_counter() - start)
    return np.diff(seconds), losses


def fitted(name, precision):
    """Return seconds a step, the losses, and the share of the time spent waiting for data."""
    need_tensorflow()
    import keras

    waited, make = [], keras.Model.make_train_function

    def make_timed(model, force=False):
        make(model, force)
        compute = model.train_function

        def timed(iterator):
            asked = time.perf_counter()
            batch = next(iterator)
            waited.append(time.perf_counter() - asked)
            return compute([batch])

        model.train_function = timed

    recipe = recipe_of(name, precision)
    model = build(networks.NETWORKS[name], recipe.input_shape, weights=None, precision=precision)
    keras.Model.make_train_function = make_timed
    try:
        with tempfile.TemporaryDirectory() as folder:
            run = train(model, CELL, SPLIT, recipe, Path(folder), progress=False)
    finally:
        keras.Model.make_train_function = make
    seconds = np.diff(run.history["seconds"])
    return seconds, list(run.history["loss"]), sum(waited[1:]) / sum(seconds)


def main():
    first_s = None
    for name in sys.argv[1:] or NETWORKS:
        # In turns: a machine that gets busy slows both.
        pairs = [(plain_loop(name, "bfloat16"), fitted(name, "bfloat16")) for _ in range(2)]
        plain, ours = zip(*pairs, strict=True)
        plain_s, ours_s = (
            np.median(np.concatenate([r[0] for r in runs])) for runs in (plain, ours)
        )
        first_s = first_s or ours_s
        waiting = max(run[2] for run in ours)
        apart = max(abs(a - b) for a, b in zip(plain[0][1], ours[0][1], strict=True))
        float32_s = np.median(fitted(name, "float32")[0])
        print(
            f"{name}: {ours_s:.2f} s a step with bfloat16, "
            f"{ours_s / plain_s:.3f} times the plain loop's ({SLOWER_ALLOWED} allowed); "
            f"losses differ by at most {apart:.1g}; "
            f"{float32_s / ours_s:.2f} times that with float32, "
            f"{ours_s / first_s:.2f} times the first network's; "
            f"waiting {waiting:.2%} of the time, {waiting / WAITING_ALLOWED:.2f} of what is allowed"
        )
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
    print(f"peak memory of all of them: {peak_mb:.0f} MB")


if __name__ == "__main__":
    main()
