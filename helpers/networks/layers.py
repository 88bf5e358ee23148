"""What the networks share: layers that Keras does not have, the way in, and the way out."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import keras
import tensorflow as tf

from helpers.networks.weights import BACKBONES, is_path, load_file

ENCODER = "encoder"
"""Name of the layer that holds a pretrained network's backbone."""

_MODES = ("caffe", "torch", "tf")


@keras.saving.register_keras_serializable(package="helpers")
class Preprocessing(keras.layers.Layer):
    """Grey levels or colours from 0 to 255, scaled as a backbone was trained.

    It computes in float32 whatever the model's precision.

    Parameters
    ----------
    mode : {"caffe", "torch", "tf"}
        In Keras' words: ``caffe`` swaps red and blue and subtracts ImageNet's mean colour (VGG16),
        ``torch`` scales to 0 to 1, then by mean and standard deviation of each channel (ResNet18
        of keras_hub), ``tf`` scales to -1 to 1 (Inception-ResNet-v2, U-Net).
    """

    def __init__(self, mode: str, **options):
        options.setdefault("dtype", "float32")
        super().__init__(**options)
        if mode not in _MODES:
            raise ValueError(f"mode is {mode!r}; allowed are {', '.join(_MODES)}.")
        self.mode = mode

    def call(self, images):
        """Return the scaled images, (n, y, x, channels)."""
        if self.mode == "tf":  # As Keras does, but for any number of channels.
            return images / 127.5 - 1.0
        return keras.applications.imagenet_utils.preprocess_input(images, mode=self.mode)

    def compute_output_shape(self, shape):
        """Return the shape of the input."""
        return shape

    def get_config(self):
        """Return what makes the same layer again."""
        return {**super().get_config(), "mode": self.mode}


@keras.saving.register_keras_serializable(package="helpers")
class PadToMultiple(keras.layers.Layer):
    """Mirror the borders so that height and width can be halved several times.

    Parameters
    ----------
    multiple : int
        Height and width of the output are the next multiples of it.
    """

    def __init__(self, multiple: int, **options):
        options.setdefault("dtype", "float32")
        super().__init__(**options)
        self.multiple = multiple

    def call(self, images):
        """Return the padded images, (n, y, x, channels)."""
        static, dynamic = images.shape, tf.shape(images)
        sides = [static[i] if static[i] is not None else dynamic[i] for i in (1, 2)]
        missing = [-side % self.multiple for side in sides]
        pads = [[0, 0], *([m // 2, m - m // 2] for m in missing), [0, 0]]
        return tf.pad(images, pads, mode="SYMMETRIC")

    def compute_output_shape(self, shape):
        """Return the shape with both sides rounded up."""
        return (shape[0], *padded(shape[1:3], self.multiple), shape[3])

    def get_config(self):
        """Return what makes the same layer again."""
        return {**super().get_config(), "multiple": self.multiple}


@keras.saving.register_keras_serializable(package="helpers")
class CropLike(keras.layers.Layer):
    """Undo `PadToMultiple`: cut the centre of a map, as large as another one.

    It takes a list: the map to cut, and the one whose size counts.
    """

    def call(self, inputs):
        """Return the cut maps, (n, y, x, channels)."""
        maps, like = inputs
        size, wanted = tf.shape(maps), tf.shape(like)
        top, left = (size[1] - wanted[1]) // 2, (size[2] - wanted[2]) // 2
        cut = maps[:, top : top + wanted[1], left : left + wanted[2]]
        cut.set_shape(self.compute_output_shape([maps.shape, like.shape]))
        return cut

    def compute_output_shape(self, shapes):
        """Return the shape of the cut maps."""
        maps, like = shapes
        return (maps[0], like[1], like[2], maps[3])


@keras.saving.register_keras_serializable(package="helpers")
class Unpool(keras.layers.Layer):
    """Put each value back to where a 2 x 2 max-pooling had found it, and zeros elsewhere.

    It takes a list: the maps to enlarge (n, y, x, c), and those before the pooling, whose maxima
    say where: (n, 2y, 2x, c), or a row or column less. Of equal maxima the first in row order
    counts.

    Notes
    -----
    Unpooling with indices is what max-pooling does to gradients, so TensorFlow's operation for
    those is used. It gives the same as `tf.nn.max_pool_with_argmax` with a scatter, bit for bit,
    several times faster. No gradient goes to the places, as they are whole numbers.
    Source: Badrinarayanan et al. (2017), doi 10.1109/TPAMI.2016.2644615, section 3.
    """

    def call(self, inputs):
        """Return the enlarged maps, as large as those before the pooling."""
        maps, before = inputs
        dtype = maps.dtype
        if dtype == tf.bfloat16 and tf.config.list_physical_devices("GPU"):
            # TensorFlow has these operations in bfloat16 for the CPU, not for every GPU.
            maps, before = tf.cast(maps, tf.float32), tf.cast(before, tf.float32)
        return tf.cast(_unpool(maps, tf.stop_gradient(tf.cast(before, maps.dtype))), dtype)

    def compute_output_shape(self, shapes):
        """Return the shape before the pooling."""
        return shapes[1]


def _unpool(maps, before):
    """Return the maps, each value where the maximum of its 2 x 2 window of `before` is."""
    windows = {"ksize": [1, 2, 2, 1], "strides": [1, 2, 2, 1], "padding": "SAME"}
    pooled = tf.raw_ops.MaxPool(input=before, **windows)

    def put_back(values):
        return tf.raw_ops.MaxPoolGrad(orig_input=before, orig_output=pooled, grad=values, **windows)

    @tf.custom_gradient
    def unpool(values):
        # The same bits as TensorFlow's own gradient, and faster: see bench/bench_layers.py.
        def gradient(upstream):
            kept = upstream * put_back(tf.ones_like(values))
            rows, columns = tf.shape(kept)[1], tf.shape(kept)[2]
            kept = tf.pad(kept, [[0, 0], [0, rows % 2], [0, columns % 2], [0, 0]])
            # Four times the mean is the sum, and exact: three of the four are 0.
            return 4 * tf.nn.avg_pool2d(kept, 2, 2, "VALID")

        return put_back(values), gradient

    return unpool(maps)


@keras.saving.register_keras_serializable(package="helpers")
class FusedBatchNormalization(keras.layers.BatchNormalization):
    """Batch normalisation in one operation of TensorFlow, not in Keras' several.

    It gives what Keras' layer gives, without its float32 copies of every map, and is the faster
    for it in mixed precision: see bench/bench_layers.py.
    """

    def call(self, inputs, training=None, mask=None):
        """Return the normalised maps, (n, y, x, channels)."""
        if mask is not None:
            raise ValueError("FusedBatchNormalization takes no mask; use BatchNormalization.")
        learns = bool(training) and self.trainable
        stored = {} if learns else {"mean": self.moving_mean, "variance": self.moving_variance}
        scale = tf.ones_like(self.beta) if self.gamma is None else self.gamma
        outputs, mean, variance = tf.compat.v1.nn.fused_batch_norm(
            inputs, scale, self.beta, epsilon=self.epsilon, is_training=learns, **stored
        )
        if learns:
            # TensorFlow divides by one less than the number of values, Keras by the number.
            count = tf.cast(tf.size(inputs[..., 0]), variance.dtype)
            variance *= (count - 1) / count
            for kept, new in ((self.moving_mean, mean), (self.moving_variance, variance)):
                kept.assign(kept * self.momentum + tf.stop_gradient(new) * (1 - self.momentum))
        return outputs


def padded(size: tuple, multiple: int) -> tuple:
    """Round sizes up to multiples; a size that is not fixed (None) stays so.

    Examples
    --------
    >>> padded((360, 480, None), 32)
    (384, 480, None)
    """
    return tuple(None if side is None else side + -side % multiple for side in size)


def conv_block(x, filters: int, kernel: int = 3, *, name: str, dilation: int = 1):
    """Convolve, normalise the batch, and cut off what is negative.

    Parameters
    ----------
    x : (n, y, x, c) Keras tensor
        Maps from the layer before.
    filters, kernel, dilation : int
        Channels of the output; rows and columns of the kernel; distance of its taps.
    name : str
        Of the convolution, and the beginning of the other layers' names.

    Returns
    -------
    (n, y, x, filters) Keras tensor
    """
    x = keras.layers.Conv2D(
        filters,
        kernel,
        padding="same",
        dilation_rate=dilation,
        use_bias=False,
        kernel_initializer="he_normal",
        name=name,
    )(x)
    # 0.9: a short fine-tuning has too few steps for Keras' 0.99 to forget where it began.
    x = FusedBatchNormalization(momentum=0.9, name=f"{name}_bn")(x)
    return keras.layers.Activation("relu", name=f"{name}_relu")(x)


def begin(input_shape: tuple, multiple: int, mode: str, channels: tuple[int, ...] = (3,)):
    """Make the input of a network, padded and scaled as its first layers want it.

    Parameters
    ----------
    input_shape : (int or None, int or None, int)
        Rows, columns, channels of an image with values from 0 to 255; None for any size.
    multiple : int
        What height and width must be divisible by inside.
    mode : {"caffe", "torch", "tf"}
        See `helpers.networks.layers.Preprocessing`.
    channels : tuple of int
        Numbers of channels that are allowed.

    Returns
    -------
    inputs, scaled : Keras tensors
        (n, y, x, channels), as given, and as the first layers want them.

    Raises
    ------
    ValueError
        If the shape is not allowed.
    """
    shape = tuple(input_shape)
    sizes_fit = len(shape) == 3 and all(side is None or side >= 32 for side in shape[:2])
    if not sizes_fit or shape[2] not in channels:
        allowed = " or ".join(map(str, channels))
        raise ValueError(
            f"input_shape is {input_shape}; allowed is (rows, columns, channels) with at least 32 "
            f"rows and columns (None for any number) and {allowed} channels. "
            "Grey slices are copied to three channels for a pretrained network."
        )
    inputs = keras.Input(shape, name="image")
    x = inputs
    if None in shape[:2] or padded(shape[:2], multiple) != shape[:2]:
        x = PadToMultiple(multiple, name="pad")(x)
    return inputs, Preprocessing(mode, name="preprocessing")(x)


def finish(
    name: str, inputs, logits, weights: str | os.PathLike | None, initialisation: str
) -> keras.Model:
    """Cut the logits to the input's size, turn them into probabilities, load a weights file.

    Parameters
    ----------
    name : str
        Of the network.
    inputs, logits : Keras tensors
        As `begin` gave them, and (n, y, x, classes), padded as the input is inside.
    weights : str, path or None
        A path is a file of the whole network's weights, from ``model.save_weights``.
    initialisation : str
        What the weights are that the layers have until now.

    Returns
    -------
    keras.Model
        Its output is float32 in any precision.

    Raises
    ------
    DataError
        If the file is not there or has other weights.
    """
    if logits.shape[1:3] != inputs.shape[1:3] or None in inputs.shape[1:3]:
        logits = CropLike(name="crop")([logits, inputs])
    # Rounded to bfloat16, probabilities would not sum to one.
    outputs = keras.layers.Activation("softmax", dtype="float32", name="probabilities")(logits)
    model = keras.Model(inputs, outputs, name=name)
    if is_path(weights):
        load_file(model, Path(weights))
        initialisation = f"weights from {Path(weights).name}"
    model.initialisation = initialisation
    return model


def check_classes(classes: int) -> None:
    """Raise ValueError unless there are at least two classes."""
    if classes < 2:
        raise ValueError(f"classes is {classes}; allowed are 2 or more.")


def cut_encoder(backbone: keras.Model, layers: tuple[str, ...]) -> keras.Model:
    """Return the backbone up to the last of some layers, with the outputs of all of them."""
    outputs = [backbone.get_layer(name).output for name in layers]
    return keras.Model(backbone.input, outputs, name=ENCODER)


def rebuild(model: keras.Model, input_shape: tuple, change) -> keras.Model:
    """Make a model anew from its configuration, with changes that leave the weights as they are.

    Its batch normalisation becomes the fast one, `FusedBatchNormalization`.

    Parameters
    ----------
    model : keras.Model
        A functional model.
    input_shape : (int or None, int or None, int)
        The new one.
    change : callable
        Takes the class and the configuration of each layer, in order, and edits the latter.

    Returns
    -------
    keras.Model
        With the same weights.
    """
    # Not with the model's own from_config: subclasses of keras_hub have one of another kind.
    plain = keras.Model(model.input, model.output)
    config = plain.get_config()
    for layer in config["layers"]:
        if layer["class_name"] == "InputLayer":
            layer["config"]["batch_shape"] = (None, *input_shape)
        change(layer["class_name"], layer["config"])
        if layer["class_name"] == "BatchNormalization":
            layer |= {
                "class_name": FusedBatchNormalization.__name__,
                "module": FusedBatchNormalization.__module__,
                "registered_name": keras.saving.get_registered_name(FusedBatchNormalization),
            }
    rebuilt = keras.Model.from_config(config)
    rebuilt.set_weights(plain.get_weights())
    return rebuilt


def freeze_encoder(model: keras.Model, *, frozen: bool = True) -> keras.Model:
    """Keep the backbone's weights as they are in training, or let them learn again.

    Compile the model anew after it. Frozen batch normalisation also keeps its statistics.

    Parameters
    ----------
    model : keras.Model
        One of the pretrained networks.
    frozen : bool
        False undoes it.

    Returns
    -------
    keras.Model
        The same object.

    Raises
    ------
    ValueError
        If the network has no backbone.
    """
    encoder_of(model).trainable = not frozen
    return model


@contextlib.contextmanager
def encoder_kept(model: keras.Model) -> Iterator[None]:
    """Freeze the backbone in a ``with`` block; after it, each layer learns or not as before.

    Parameters
    ----------
    model : keras.Model
        One of the pretrained networks.

    Raises
    ------
    ValueError
        If the network has no backbone.
    """
    before = [(layer, layer.trainable) for layer in _with_layers_within(encoder_of(model))]
    freeze_encoder(model)
    try:
        yield
    finally:
        # From the outside in: what is set for a layer is set for those within it.
        for layer, trainable in before:
            layer.trainable = trainable


def _with_layers_within(layer):
    """Yield a layer, and those that it consists of."""
    yield layer
    for inner in getattr(layer, "layers", ()):
        yield from _with_layers_within(inner)


def encoder_of(model: keras.Model) -> keras.Model:
    """Return a network's backbone; ValueError if it has none."""
    if ENCODER not in [layer.name for layer in model.layers]:
        raise ValueError(
            f"{model.name} has no pretrained backbone; those that have one are "
            f"{', '.join(BACKBONES)}."
        )
    return model.get_layer(ENCODER)
