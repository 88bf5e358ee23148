"""What the networks are: sizes, numbers, gradients, and what their descriptions say of them."""

from functools import cache
from unittest import mock

import numpy as np
import pytest

networks = pytest.importorskip(
    "helpers.networks", reason="needs TensorFlow and Keras", exc_type=ImportError
)

import keras  # noqa: E402
import matplotlib.pyplot as plt  # noqa: E402
import tensorflow as tf  # noqa: E402

from helpers.data import DataError  # noqa: E402
from helpers.networks.describe import ParameterCount, flatten  # noqa: E402
from helpers.networks.layers import (  # noqa: E402
    FusedBatchNormalization,
    Unpool,
    cut_encoder,
    encoder_kept,
    rebuild,
)
from helpers.networks.pictures import layout  # noqa: E402
from helpers.networks.resnet18 import _keep_resolution, plain_resnet18  # noqa: E402
from helpers.networks.weights import BACKBONES  # noqa: E402

SHAPE = (360, 480)
PRETRAINED = tuple(BACKBONES)
PLAIN: dict[str, keras.Model] = {}
"""Inception-ResNet-v2 as Keras made it, before `built` rebuilt it."""
SMALL = ("vgg16_segnet", "vgg16_unet", "resnet18_deeplabv3plus", "unet")


def channels_of(name: str) -> int:
    return 3 if name in PRETRAINED else 1


@cache
def built(name: str) -> keras.Model:
    """Return a network for 360 x 480 with mixed precision: building the largest takes seconds."""
    before = keras.mixed_precision.dtype_policy()
    keras.mixed_precision.set_global_policy("mixed_bfloat16")
    keras.utils.set_random_seed(0)
    make = keras.applications.InceptionResNetV2

    def keep(**options) -> keras.Model:
        PLAIN["inception_resnet_v2"] = make(**options)
        return PLAIN["inception_resnet_v2"]

    try:
        with mock.patch.object(keras.applications, "InceptionResNetV2", keep):
            return networks.NETWORKS[name](input_shape=(*SHAPE, channels_of(name)), weights=None)
    finally:
        keras.mixed_precision.set_global_policy(before)


def image(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(0, 255, shape).astype(np.float32)


def numpy_of(tensor) -> np.ndarray:
    return np.array(keras.ops.convert_to_numpy(keras.ops.cast(tensor, "float32")))


@pytest.mark.parametrize("name", networks.NETWORKS)
def test_gives_probabilities_at_input_size_in_any_precision(name):
    model = built(name)
    assert model.output_shape == (None, *SHAPE, 4)
    output = model(image(1, *SHAPE, channels_of(name)))
    assert output.dtype == tf.float32
    assert output.shape == (1, *SHAPE, 4)
    np.testing.assert_allclose(np.sum(output, axis=-1), 1, atol=1e-5)
    assert np.ptp(output) > 0
    assert networks.initialisation_of(model) == "random initialisation"


@pytest.mark.parametrize("name", PRETRAINED)
def test_gradients_reach_the_first_convolution(name):
    model = built(name)
    first = next(node.layer for node in flatten(model) if node.is_convolution)
    with tf.GradientTape() as tape:
        output = model(image(1, *SHAPE, 3), training=True)
        loss = -tf.reduce_mean(tf.math.log(output[..., 1] + 1e-6))
    gradient = tape.gradient(loss, first.kernel).numpy()
    assert np.isfinite(gradient).all()
    assert (np.abs(gradient).max(axis=(0, 1, 2)) > 0).mean() > 0.9


@pytest.mark.parametrize("name", SMALL)
def test_takes_any_size_when_built_for_any(name):
    channels = channels_of(name)
    keras.utils.set_random_seed(1)
    flexible = networks.NETWORKS[name](input_shape=(None, None, channels), weights=None)
    fixed = networks.NETWORKS[name](input_shape=(72, 104, channels), weights=None)
    fixed.set_weights(flexible.get_weights())
    pixels = image(1, 72, 104, channels)
    np.testing.assert_allclose(flexible(pixels), fixed(pixels), atol=1e-4)
    assert flexible(image(1, 41, 57, channels)).shape == (1, 41, 57, 4)


def test_parameters_are_those_of_the_paper():
    heads = {"resnet18_deeplabv3plus": 512, "inception_resnet_v2_deeplabv3plus": 1536}
    in_paper = {"resnet18_deeplabv3plus": 11.7, "inception_resnet_v2_deeplabv3plus": 55.9}
    for name, channels in heads.items():
        # The paper counts the classifier of ImageNet's thousand classes too.
        classifier = channels * 1000 + 1000
        with_classifier = networks.count_parameters(built(name)).encoder + classifier
        assert round(with_classifier / 1e6, 1) == in_paper[name]
    assert networks.count_parameters(networks.paper_unet()) == ParameterCount(0, 186_124)
    assert networks.count_parameters(built("vgg16_segnet")).encoder == 14_714_688


@pytest.mark.parametrize(
    ("name", "depth"),
    [
        ("vgg16_segnet", 16 - 3),  # three fully connected layers are cut off
        ("resnet18_deeplabv3plus", 18 - 1),
        ("paper_unet", 10),
    ],
)
def test_depth_is_what_the_names_count(name, depth):
    assert networks.count_depth(built(name)) == depth


@pytest.mark.parametrize(("layers", "convolutions"), [(10, 4), (15, 7), (20, 10)])
def test_the_paper_tried_three_depths(layers, convolutions):
    nodes = flatten(networks.paper_unet(layers=layers))
    assert sum(node.is_convolution for node in nodes) == convolutions


def test_unet_has_the_depth_and_width_asked_for():
    model = networks.unet((64, 64, 3), classes=2, depth=3, filters=8)
    assert model.output_shape == (None, 64, 64, 2)
    blocks, skips = layout(model)
    assert len(skips) == 3
    assert max(block.channels for block in blocks) == 64
    assert min(block.rows for block in blocks) == 8


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("vgg16_segnet", keras.applications.vgg16.preprocess_input),
        ("vgg16_unet", keras.applications.vgg16.preprocess_input),
        (
            "inception_resnet_v2_deeplabv3plus",
            keras.applications.inception_resnet_v2.preprocess_input,
        ),
    ],
)
def test_preprocessing_is_the_backbones_own(name, expected):
    pixels = image(1, 32, 32, 3)
    scaled = built(name).get_layer("preprocessing")(pixels)
    assert scaled.dtype == tf.float32
    np.testing.assert_allclose(scaled, expected(pixels.copy()), rtol=1e-5, atol=1e-4)


def test_unpooling_puts_values_back_to_where_the_maxima_were():
    random = np.random.default_rng(0)
    for dtype in ("float32", "bfloat16"):
        # Cut at zero, so that many windows have no single maximum.
        before = tf.cast(tf.nn.relu(random.normal(size=(2, 7, 12, 3))), dtype)
        maps = tf.cast(random.normal(size=(2, 4, 6, 3)), dtype)
        upstream = tf.cast(random.normal(size=before.shape), dtype)
        _, places = tf.nn.max_pool_with_argmax(before, 2, 2, "SAME", include_batch_in_index=True)
        expected = tf.scatter_nd(
            tf.reshape(places, (-1, 1)), tf.reshape(maps, (-1,)), [tf.size(before, tf.int64)]
        )
        with tf.GradientTape(persistent=True) as tape:
            tape.watch([maps, before])
            unpooled = Unpool(dtype=dtype)([maps, before])
            loss = tf.reduce_sum(unpooled * upstream)
        assert unpooled.dtype == dtype
        np.testing.assert_array_equal(numpy_of(unpooled).ravel(), numpy_of(expected))
        found = tf.gather(tf.reshape(upstream, [-1]), places)
        np.testing.assert_array_equal(numpy_of(tape.gradient(loss, maps)), numpy_of(found))
        assert tape.gradient(loss, before) is None


@pytest.mark.parametrize("scale", [True, False])
@pytest.mark.parametrize("shape", [(2, 6, 5, 8), (2, 1, 1, 8)], ids=["maps", "one pixel"])
def test_fused_batch_normalisation_is_what_keras_computes(shape, scale):
    maps = tf.constant(np.random.default_rng(0).normal(3, 2, shape), tf.float32)
    target = tf.constant(np.random.default_rng(1).normal(size=shape), tf.float32)
    layers = [
        kind(momentum=0.9, scale=scale)
        for kind in (keras.layers.BatchNormalization, FusedBatchNormalization)
    ]
    found = []
    for layer in layers:
        with tf.GradientTape() as tape:
            tape.watch(maps)
            outputs = layer(maps, training=True)
            loss = tf.reduce_sum((outputs - target) ** 2)
        gradients = tape.gradient(loss, [maps, *(v.value for v in layer.trainable_variables)])
        # After training steps, what is stored is used.
        found.append([outputs, *gradients, *layer.weights, layer(maps, training=False)])
    for theirs, ours in zip(*found, strict=True):
        np.testing.assert_allclose(numpy_of(ours), numpy_of(theirs), rtol=1e-4, atol=1e-4)
    layers[1].trainable = False
    frozen = [numpy_of(weight) for weight in layers[1].weights]
    np.testing.assert_array_equal(layers[1](maps, training=True), layers[1](maps, training=False))
    for before, after in zip(frozen, layers[1].weights, strict=True):
        np.testing.assert_array_equal(before, numpy_of(after))


def test_resnet_with_spread_kernels_computes_what_it_did_before():
    keras.utils.set_random_seed(0)
    plain = plain_resnet18()
    pixels = image(1, 96, 128, 3) / 255
    spread = rebuild(plain, (96, 128, 3), _keep_resolution)(pixels)
    assert spread.shape == (1, 6, 8, 512)
    np.testing.assert_allclose(spread[:, ::2, ::2], plain(pixels), rtol=1e-3, atol=1e-4)


def test_inception_resnet_keeps_its_weights_when_it_is_rebuilt():
    encoder = built("inception_resnet_v2_deeplabv3plus").get_layer("encoder")
    plain = PLAIN["inception_resnet_v2"]
    with_weights = [layer for layer in plain.layers if layer.weights]
    assert len(with_weights) > 400
    for layer in with_weights:
        rebuilt = encoder.get_layer(layer.name)
        # Not the statistics of batches: another test may have shown the network images.
        for ours, theirs in zip(rebuilt.trainable_weights, layer.trainable_weights, strict=True):
            np.testing.assert_array_equal(ours, theirs)
    assert [shape[1:] for shape in encoder.output_shape] == [(92, 120, 192), (23, 30, 1536)]


def test_a_frozen_backbone_stays_as_it_is():
    model = networks.resnet18_deeplabv3plus((32, 64, 3), weights=None)
    trainable = len(model.trainable_weights)
    assert networks.freeze_encoder(model) is model
    encoder = model.get_layer("encoder")
    before = encoder.get_weights()
    head = model.get_layer("logits").get_weights()[0]
    model.compile(keras.optimizers.SGD(0.1), "sparse_categorical_crossentropy")
    model.train_on_batch(image(2, 32, 64, 3), np.zeros((2, 32, 64)))
    for ours, theirs in zip(encoder.get_weights(), before, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert np.abs(model.get_layer("logits").get_weights()[0] - head).max() > 0
    networks.freeze_encoder(model, frozen=False)
    assert len(model.trainable_weights) == trainable
    with pytest.raises(ValueError, match="no pretrained backbone"):
        networks.freeze_encoder(networks.paper_unet())


def test_a_backbone_kept_for_a_while_is_then_as_it_was():
    model = networks.vgg16_unet((32, 32, 3), weights=None)
    encoder = model.get_layer("encoder")
    encoder.layers[1].trainable = False
    before = [layer.trainable for layer in encoder.layers]
    with pytest.raises(KeyError, match="0 learn"), encoder_kept(model):
        raise KeyError(f"{len(encoder.trainable_weights)} learn")
    assert encoder.trainable
    assert [layer.trainable for layer in encoder.layers] == before


@pytest.mark.parametrize("name", ["vgg16_unet", "resnet18_deeplabv3plus", "paper_unet", "unet"])
def test_weights_come_back_from_a_file(name, tmp_path):
    shape = (40, 48, channels_of(name))
    model = networks.NETWORKS[name](shape, weights=None)
    model.save_weights(tmp_path / "mine.weights.h5")
    again = networks.NETWORKS[name](shape, weights=tmp_path / "mine.weights.h5")
    pixels = image(1, *shape)
    np.testing.assert_array_equal(model(pixels), again(pixels))
    assert networks.initialisation_of(again) == "weights from mine.weights.h5"


def test_a_whole_model_comes_back_from_a_file(tmp_path):
    inputs = keras.Input((8, 12, 2))
    unpooled = Unpool()([keras.layers.MaxPooling2D()(inputs), inputs])
    for model in (
        keras.Model(inputs, unpooled),
        networks.resnet18_deeplabv3plus((40, 48, 3), weights=None),
    ):
        model.save(tmp_path / "model.keras")
        again = keras.models.load_model(tmp_path / "model.keras", compile=False)
        pixels = image(1, *model.input_shape[1:])
        np.testing.assert_array_equal(model(pixels), again(pixels))
    with pytest.raises(ValueError, match="not known what weights"):
        networks.initialisation_of(again)


def test_says_what_is_wrong_with_an_argument(tmp_path):
    with pytest.raises(ValueError, match=r"input_shape is \(360, 480\)"):
        networks.vgg16_segnet((360, 480), weights=None)
    with pytest.raises(ValueError, match="and 3 channels"):
        networks.resnet18_deeplabv3plus((360, 480, 1), weights=None)
    with pytest.raises(ValueError, match="1 or 3 channels"):
        networks.unet((360, 480, 2))
    with pytest.raises(ValueError, match="at least 32 rows"):
        networks.unet((360, 16, 1))
    with pytest.raises(ValueError, match="classes is 1"):
        networks.unet(classes=1)
    with pytest.raises(ValueError, match="layers is 12"):
        networks.paper_unet(layers=12)
    with pytest.raises(ValueError, match="depth is 0"):
        networks.unet(depth=0)
    with pytest.raises(ValueError, match="weights is 'imagenet', which unet does not have"):
        networks.unet(weights="imagenet")
    with pytest.raises(ValueError, match="weights is 'hed', which resnet18 does not have"):
        networks.resnet18_deeplabv3plus(weights="hed")
    with pytest.raises(DataError, match="there is no such file"):
        networks.paper_unet(weights=tmp_path / "none.weights.h5")
    networks.paper_unet(classes=2).save_weights(tmp_path / "two.weights.h5")
    with pytest.raises(DataError, match="do not fit paper_unet"):
        networks.paper_unet(weights=tmp_path / "two.weights.h5")


def seen_by_gradients(model: keras.Model, rows: range, column: int, size: int) -> tuple[int, int]:
    """Return the largest extent, and the reach, of what the output's pixels depend on."""
    extent = reach = 0
    for row in rows:
        seen = np.zeros(size, bool)
        for seed in range(12):
            pixels = tf.constant(128 + image(1, size, size, 1, seed=seed) / 2)
            with tf.GradientTape() as tape:
                tape.watch(pixels)
                value = model(pixels)[0, row, column, 0]
            seen |= (np.abs(tape.gradient(value, pixels)[0, ..., 0]) > 0).any(axis=1)
        where = np.flatnonzero(seen)
        extent = max(extent, where[-1] - where[0] + 1)
        reach = max(reach, row - where[0], where[-1] - row)
    return extent, reach


@pytest.mark.parametrize("kind", ["paper_unet", "unet"])
def test_the_receptive_field_is_what_gradients_say(kind):
    if kind == "unet":
        model = networks.unet((64, 64, 1), depth=1, filters=1)
    else:
        model = networks.paper_unet((64, 64, 1), layers=10)
    random = np.random.default_rng(0)
    # Positive kernels and inputs: no ReLU cuts a way off.
    for weight in model.weights:
        if weight.path.endswith("kernel"):
            weight.assign(random.uniform(0.1, 1, weight.shape))
    logits = keras.Model(model.input, flatten(model)[-2].layer.output)
    field = networks.receptive_field(model)
    assert field.rows_px == field.columns_px
    assert seen_by_gradients(logits, range(30, 34), 32, 64) == (field.rows_px, field.reach_px)


def test_networks_that_look_at_the_whole_image_say_so():
    assert networks.receptive_field(built("resnet18_deeplabv3plus")).rows_px == float("inf")
    assert networks.receptive_field(built("vgg16_segnet")).rows_px < SHAPE[1]


def test_the_receptive_field_of_an_unknown_layer_is_not_guessed():
    inputs = keras.Input((8, 8, 1))
    with pytest.raises(TypeError, match="Permute"):
        networks.receptive_field(keras.Model(inputs, keras.layers.Permute((2, 1, 3))(inputs)))


@pytest.mark.parametrize(
    ("name", "skips", "places"),
    [
        ("vgg16_segnet", 5, True),
        ("vgg16_unet", 4, False),
        ("resnet18_deeplabv3plus", 1, False),
        ("inception_resnet_v2_deeplabv3plus", 1, False),
        ("paper_unet", 0, False),
        ("unet", 4, False),
    ],
)
def test_the_diagram_shows_the_model(name, skips, places):
    model = built(name)
    blocks, found = layout(model)
    assert len(found) == skips
    assert all(skip.places_only == places for skip in found)
    assert (blocks[0].rows, blocks[0].columns) == (blocks[-1].rows, blocks[-1].columns) == SHAPE
    assert blocks[-1].channels == 4
    every = sum(node.is_convolution for node in flatten(model))
    on_the_skip = name.endswith("deeplabv3plus")
    assert sum(block.convolutions for block in blocks) == every - on_the_skip
    assert any(block.in_encoder for block in blocks) == (name in PRETRAINED)
    figure = networks.draw(model)
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert texts[0] == str(channels_of(name))
    assert texts[1].startswith("360 ×\n480")
    assert len(texts) == 2 * len(blocks)
    plt.close(figure)


def test_a_diagram_needs_a_size():
    with pytest.raises(ValueError, match="fixed input_shape"):
        networks.draw(networks.unet())


def test_only_one_output_can_be_described():
    with pytest.raises(ValueError, match="more than one output"):
        flatten(cut_encoder(plain_resnet18(), ("conv1_relu", "pool1_pool")))
