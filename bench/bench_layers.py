"""Times a training step of SegNet on VGG16 with this book's layers and with the usual ones.

The usual ones are Keras' batch normalisation, and unpooling with TensorFlow's own gradient; the
networks are the same otherwise. Steps are taken in turn, in bfloat16, so that a busy machine slows
all alike. Without TensorFlow it says so and ends.
"""

import statistics
from unittest.mock import patch

import bench_networks  # Without TensorFlow it ends here.
import keras
import tensorflow as tf

from helpers.networks import layers

STEPS = 12


def usual_unpool(maps, before):
    windows = {"ksize": [1, 2, 2, 1], "strides": [1, 2, 2, 1], "padding": "SAME"}
    pooled = tf.raw_ops.MaxPool(input=before, **windows)
    return tf.raw_ops.MaxPoolGrad(orig_input=before, orig_output=pooled, grad=maps, **windows)


VARIANTS = {
    "this book's layers": {"_unpool": layers._unpool},
    "TensorFlow's gradient of unpooling": {"_unpool": usual_unpool},
    "Keras' batch normalisation": {"FusedBatchNormalization": keras.layers.BatchNormalization},
}


def main():
    before = keras.mixed_precision.dtype_policy()
    steps, times = {}, {name: [] for name in VARIANTS}
    for name, replaced in VARIANTS.items():
        with patch.multiple(layers, **replaced):
            step = steps[name] = bench_networks.trainer("vgg16_segnet", "mixed_bfloat16")
            for _ in range(2):  # The first builds the graph, which must happen in here.
                step()
    for _ in range(STEPS):
        for name, step in steps.items():
            times[name].append(step())
    keras.mixed_precision.set_global_policy(before)
    medians = {name: statistics.median(each) for name, each in times.items()}
    ours = medians["this book's layers"]
    print(f"a training step of SegNet in bfloat16, median of {STEPS}:")
    for name, median in medians.items():
        print(f"{name:>36}: {median:.2f} s, {median / ours:.3f} times this book's")


if __name__ == "__main__":
    main()
