"""Label maps from networks: sizes, seams, memory, reports. Needs TensorFlow."""

import tracemalloc

import numpy as np
import pytest
from tiny_network import KERAS_WARNING, small_cell, tiny_network

from helpers.labels import Label
from helpers.training import build
from helpers.training.examples import as_input
from helpers.training.predict import (
    Segmenter,
    label_tiled,
    labels_at_size,
    predictor,
    segment,
    tile_probabilities,
)
from helpers.training.prepare import Preparation

tf = pytest.importorskip("tensorflow", reason="needs TensorFlow: pip install 'helpers[networks]'")
pytestmark = KERAS_WARNING

CELL = small_cell()


def wide_network():
    """Pool twice, with a receptive field of 1 + 2 + 2 x 4 pixels and up to 3 by the pooling."""
    import keras

    layers = keras.layers
    x = grey = keras.Input((None, None, 1))
    x = layers.Rescaling(1 / 32, -4)(x)
    for size in (3, 3):
        x = layers.Conv2D(8, size, padding="same", activation="relu")(x)
        x = layers.MaxPooling2D()(x)
    x = layers.Conv2D(8, 5, padding="same", activation="relu")(x)
    x = layers.Conv2DTranspose(4, 4, 4, padding="same")(x)
    return keras.Model(grey, layers.Softmax(dtype="float32")(x))


RADIUS_PX = 14


@pytest.fixture(scope="module")
def anywhere():
    """Return a network for inputs of any size, with random weights, that predicts."""
    return predictor(build(wide_network, precision="float32", seed=3))


def noise(shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def threshold(images):
    """Stand in for a network: bright pixels are nucleus, dark ones background."""
    nucleus = (np.asarray(images)[..., 0] > 127).astype(np.float32)
    rest = np.zeros_like(nucleus)
    return np.stack([rest, nucleus, rest, 1 - nucleus], axis=-1)


def test_whole_slices_come_back_at_their_size():
    model = build(tiny_network, (48, 64, 3), seed=0)
    found = segment(CELL, model, slices=(3, 8, 9), batch=2)
    results = dict(found)
    assert list(results) == [3, 8, 9]
    for labels in results.values():
        assert (labels.shape, labels.dtype) == (CELL.shape, np.uint8)
        assert set(np.unique(labels)) <= set(Label)
    report = found.report()
    assert (report["slices"], report["batch"], report["tile_px"]) == (3, 2, None)
    assert report["seconds_per_slice"] > 0
    assert report["peak_memory_mb"] > 50
    assert list(found.seconds.index) == [3, 8, 9]


def test_the_batch_does_not_change_the_result():
    model = build(tiny_network, (48, 64, 3), precision="float32", seed=0)
    one, three = (dict(segment(CELL, model, slices=(3, 8, 9), batch=size)) for size in (1, 3))
    for number, labels in one.items():
        np.testing.assert_array_equal(labels, three[number])
        alone = Segmenter(model, CELL.pixel_size_nm)(CELL.image(number))
        np.testing.assert_array_equal(labels, alone)


def test_the_network_sees_what_it_was_trained_on():
    """A stand-in that labels by grey level must get the prepared slice, grey in each channel."""
    import keras

    grey = keras.Input((60, 60, 3))
    scores = keras.layers.Conv2D(4, 1, name="by_level")(grey)
    model = keras.Model(grey, keras.layers.Softmax(dtype="float32")(scores), name="by_level")
    kernel = np.zeros((1, 1, 3, 4), np.float32)
    kernel[..., 1] = 1 / 3
    model.get_layer("by_level").set_weights([kernel, np.array([-999, -127.5, -999, 0])])
    preparation = Preparation(smooth_radius_px=1, smooth_sigma_px=1)
    ((_, labels),) = segment(CELL, model, slices=[8], preparation=preparation)
    seen = preparation.image(CELL.image(8), pixel_size_nm=160, shape=(60, 60))
    centres = labels[::2, ::2] == Label.NUCLEUS, labels[1::2, 1::2] == Label.NUCLEUS
    sure = abs(seen.astype(int) - 127.5) > 60
    for found in centres:
        np.testing.assert_array_equal(found[sure], (seen > 127)[sure])


def test_probabilities_are_interpolated_and_not_labels():
    steps = np.zeros((2, 2, 4), np.float32)
    steps[0, 0, 1] = steps[0, 1, 2] = steps[1, 0, 2] = steps[1, 1, 2] = 1
    labels = labels_at_size(steps, (64, 64))
    assert labels[0, 0] == Label.NUCLEUS
    # A quarter circle, not the quarter of a square.
    assert 16 * 16 < np.count_nonzero(labels == Label.NUCLEUS) < 32 * 32
    assert labels[30, 30] == Label.CELL


def far_from_whole(predict, image, **tiling):
    """Return the largest difference between tiles and the whole slice at once."""
    bands = list(tile_probabilities(image, predict, channels=1, **tiling))
    rows = np.cumsum([0, *(len(band) for _, band in bands)])
    assert [first for first, _ in bands] == rows[:-1].tolist()
    tiled = np.concatenate([band for _, band in bands])
    assert tiled.shape == (*image.shape, 4)
    padded = np.pad(image, [(0, -side % 32) for side in image.shape], mode="symmetric")
    whole = predict(as_input(padded[None], 1))[0, : image.shape[0], : image.shape[1]]
    return np.abs(tiled - whole).max()


@pytest.mark.parametrize(("tile_px", "overlap_px"), [(128, 64), (192, 64), (256, 96), (256, None)])
@pytest.mark.parametrize("shape", [(320, 416), (301, 333), (256, 256)])
def test_tiles_give_what_the_whole_slice_gives(anywhere, tile_px, overlap_px, shape):
    assert (overlap_px or 64) // 4 >= RADIUS_PX
    tiling = {"tile_px": tile_px, "overlap_px": overlap_px}
    assert far_from_whole(anywhere, noise(shape), **tiling) < 1e-5


def test_tiles_show_where_the_overlap_is_too_small(anywhere):
    assert far_from_whole(anywhere, noise((320, 416)), tile_px=128, overlap_px=32) > 1e-3


@pytest.mark.parametrize("shape", [(64, 64), (65, 97), (200, 130), (31, 500)])
def test_every_pixel_is_labelled_once(shape):
    image = noise(shape)
    labels = label_tiled(image, threshold, channels=1, tile_px=64, batch=3)
    expected = np.where(image > 127, Label.NUCLEUS, Label.BACKGROUND)
    np.testing.assert_array_equal(labels, expected)


@pytest.mark.parametrize("shape", [(400, 300), (131, 77), (200, 150)])
def test_tiles_are_enlarged_without_seams(shape):
    image = noise((200, 150))
    probabilities = np.concatenate(
        [band for _, band in tile_probabilities(image, threshold, channels=1, tile_px=64)]
    )
    expected = labels_at_size(probabilities, shape)
    labels = label_tiled(image, threshold, channels=1, tile_px=64, shape=shape)
    # Both round, in another order: ties may fall either way.
    assert np.mean(labels != expected) < 0.01


def test_batches_are_no_larger_than_asked():
    sizes = []

    def watch(images):
        sizes.append(len(images))
        return threshold(images)

    label_tiled(noise((256, 256)), watch, channels=1, tile_px=64, batch=4)
    assert max(sizes) == 4
    assert sum(sizes) == 7 * 7


def test_memory_does_not_grow_with_the_height():
    """All of 8192 rows of probabilities would take 268 MB at this width."""
    image = np.zeros((8192, 2048), np.uint8)
    tracemalloc.start()
    label_tiled(image, threshold, channels=1, tile_px=256, batch=2)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 110e6


def test_segment_by_tiles():
    model = build(tiny_network, (None, None, 1), seed=3)
    found = segment(CELL, model, slices=[8], tile_px=64, batch=4)
    ((number, labels),) = found
    assert (number, labels.shape) == (8, CELL.shape)
    shrunk = segment(
        CELL, model, slices=[8], tile_px=64, preparation=Preparation(pixel_size_nm=320)
    )
    assert next(iter(shrunk))[1].shape == CELL.shape


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"slices": [8, 99]}, "has no slices 99"),
        ({"batch": 0}, "batch is 0; it must be at least 1"),
        ({"tile_px": 64}, "takes 48 x 64, and tile_px is 64; they must agree"),
    ],
)
def test_segment_says_what_is_wrong(options, message):
    model = build(tiny_network, (48, 64, 3))
    with pytest.raises(ValueError, match=message):
        segment(CELL, model, **options)
    with pytest.raises(ValueError, match="takes inputs of any size; give tile_px"):
        segment(CELL, build(tiny_network, (None, None, 1)))


@pytest.mark.parametrize(
    ("tile_px", "overlap_px", "message"),
    [
        (100, 32, "tile_px is 100; it must be a multiple of 32, at least 64"),
        (128, 96, "overlap_px is 96; it must be a multiple of 32, from 32 to half a tile, 64"),
        (128, 0, "overlap_px is 0"),
    ],
)
def test_tiles_that_do_not_fit_are_refused(tile_px, overlap_px, message):
    with pytest.raises(ValueError, match=message):
        label_tiled(noise((99, 99)), threshold, channels=1, tile_px=tile_px, overlap_px=overlap_px)
