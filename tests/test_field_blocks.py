"""A network over a field, block by block: the same labels for any block, and what seams are."""

import shutil
import sys

import numpy as np
import pytest

pytest.importorskip("dask", reason="needs Dask: pip install 'helpers[field]'")
pytest.importorskip("tensorflow", reason="needs TensorFlow: pip install 'helpers[networks]'")
pytest.importorskip("zarr", minversion="3")

import cloudpickle
from tiny_network import KERAS_WARNING, tiny_network

from helpers import networks
from helpers.field import blocks, ngff, tasks
from helpers.field.convert import convert
from helpers.field.seams import count_seams
from helpers.labels import Label
from helpers.training import build
from helpers.training.prepare import Preparation

pytestmark = KERAS_WARNING

ANY = (None, None, 1)


def noise(shape, seed=0, sizes=(0.6, 2, 6, 15)):
    """Return pictures with structure at such sizes, so that a network answers all classes."""
    from scipy import ndimage

    random = np.random.default_rng(seed)
    rough = sum(ndimage.gaussian_filter(random.normal(size=shape), (0, s, s)) * s for s in sizes)
    return np.clip(128 + 60 * rough / rough.std(), 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def network():
    """Return a U-Net with random weights, in which all statistics are as if trained."""
    return sharpened(build(networks.unet, ANY, depth=2, filters=4, precision="float32", seed=3))


def sharpened(model):
    """Give the last layer weights and biases with which random maps make all four classes."""
    import keras

    pictures = noise((4, 160, 160), seed=9)[..., None].astype(np.float32)
    logits = keras.Model(model.input, model.get_layer("logits").output)(pictures).numpy()
    kernel, _ = model.get_layer("logits").get_weights()
    mean, spread = logits.mean(axis=(0, 1, 2)), logits.std(axis=(0, 1, 2))
    model.get_layer("logits").set_weights([kernel / spread, -mean / spread])
    return model


PICTURES = noise((2, 150, 203))
OVERLAP = 24  # The reach, 23, on the grid of 4.


def labels_of(network, pictures=PICTURES, **options):
    return blocks.predict(pictures, network, **options).compute(scheduler="synchronous")


@pytest.fixture(scope="module")
def whole(network):
    """Return the labels from each slice at once, its mirror image around it."""
    padded = np.pad(PICTURES, [(0, 0), (OVERLAP, 30), (OVERLAP, 29)], mode="symmetric")
    found = network.predict(padded[..., None].astype(np.float32), verbose=0)
    found = found[:, OVERLAP : OVERLAP + 150, OVERLAP : OVERLAP + 203]
    return found.argmax(axis=-1).astype(np.uint8) + min(Label)


@pytest.mark.parametrize("depth", [1, 2])
def test_nothing_beyond_the_reach_changes_a_pixel_and_what_is_within_does(depth):
    import keras

    model = networks.unet(ANY, depth=depth, filters=1)
    reach, stride = blocks.reach(model)
    assert stride == 2**depth
    random = np.random.default_rng(0)
    # Positive kernels and bright pictures: no ReLU cuts a way off, so that the reach is reached.
    for weight in model.weights:
        if weight.path.endswith("kernel"):
            weight.assign(random.uniform(0.1, 1, weight.shape))
    logits = keras.Model(model.input, model.get_layer("logits").output)
    side, middle = 128, 64
    plain = random.uniform(150, 200, (1, side, side, 1)).astype(np.float32)
    before = logits(plain).numpy()
    farthest = 0
    for place in range(middle, middle + stride):
        poked = plain.copy()
        poked[0, place, middle] = 255
        rows = np.flatnonzero((logits(poked).numpy() != before).any(axis=(0, 2, 3)))
        farthest = max(farthest, place - rows[0], rows[-1] - place)
    assert reach - stride < farthest <= reach


def test_the_stride_of_every_network():
    def stride(name):
        return blocks.reach(networks.NETWORKS[name]((None, None, 1), 4, None))

    assert stride("unet")[1] == 16
    assert stride("paper_unet") == (29, 8)
    model = networks.vgg16_segnet((None, None, 3), 4, None)
    assert blocks.reach(model)[1] == 32


def test_blocks_without_a_seam_are_the_whole_slice(network, whole):
    assert set(np.unique(whole)) == set(Label)
    assert min(np.bincount(whole.ravel())[1:]) > 0.02 * whole.size
    np.testing.assert_array_equal(labels_of(network), whole)


@pytest.mark.parametrize("block_px", [24, 44, 64, 100, 152, 256])
def test_labels_do_not_depend_on_the_block(network, whole, block_px):
    np.testing.assert_array_equal(labels_of(network, block_px=block_px), whole)


def test_a_field_smaller_than_the_reach(network):
    small = noise((1, 13, 40), seed=4)
    found = labels_of(network, small, block_px=64)
    assert found.shape == small.shape
    np.testing.assert_array_equal(labels_of(network, small, block_px=24), found)


def test_slices_come_as_asked(network, whole):
    found = labels_of(network, block_px=64, slices=[2])
    np.testing.assert_array_equal(found, whole[1:])
    with pytest.raises(ValueError, match="no slices 0, 3; allowed are 1 to 2"):
        blocks.predict(PICTURES, network, slices=[0, 1, 3])


def test_threads_give_the_same(network, whole):
    found = blocks.predict(PICTURES, network, block_px=64).compute(scheduler="threads")
    np.testing.assert_array_equal(found, whole)


def test_a_task_holds_one_block_with_its_margin(network, monkeypatch):
    seen = set()

    def watched(planes, **options):
        seen.add(planes.shape)
        return np.full(planes.shape, 3, np.uint8)

    monkeypatch.setattr(blocks, "_label_block", watched)
    found = blocks.predict(noise((10, 256, 192)), network, block_px=64)
    assert (found.compute(scheduler="synchronous") == 3).all()
    assert {shape[1:] for shape in seen} == {(64 + 2 * OVERLAP, 64 + 2 * OVERLAP)}
    assert max(shape[0] for shape in seen) == 8


def test_blocks_without_overlap_have_seams_and_the_others_none(network):
    pictures = noise((6, 256, 320), seed=5, sizes=(6, 15))
    # The reference is cut elsewhere: it cannot have seams where the others might have them.
    whole = labels_of(network, pictures, block_px=336)
    with_overlap = labels_of(network, pictures, block_px=64)
    without = labels_of(network, pictures, block_px=64, overlap_px=0)
    none = count_seams(with_overlap, whole, 64)
    assert none["pixels"] == none["share"] == 0
    assert np.isnan(none["near_share"])
    seams = count_seams(without, with_overlap, 64)
    assert 0.01 < seams["share"] < 0.5
    assert seams["near_share"] > 1.3 * seams["near_area"]
    assert seams["step"] == pytest.approx(1, abs=0.1)
    assert seams["step_without"] > 1.5


def test_seams_are_counted():
    labels = np.full((2, 8, 12), 3, np.uint8)
    labels[:, ::2] = 2  # Changes from row to row everywhere, from column to column nowhere.
    seams = count_seams(labels, labels, 4, near_px=2)
    assert (seams["pixels"], seams["share"]) == (0, 0)
    assert seams["near_area"] == 1 - 4 * 4 / 96
    assert np.isnan(seams["step"])  # The blocks have no other line on the grid of 4.
    without = np.full((8, 12), 3, np.uint8)
    without[:, 4:8] = 2
    without[0, :2] = 1
    seams = count_seams(without, np.full((8, 12), 3, np.uint8), 4, near_px=1)
    assert seams["pixels"] == 34
    # Along the borders, on the inner side; the corner of row 0 is near none.
    assert seams["near_share"] == pytest.approx((2 * 8 + 2 * 2 * 1) / 34)


def test_a_step_is_counted_against_pairs_inside_the_blocks():
    labels = np.full((128, 256), 3, np.uint8)
    labels[:, 20:52] = 2  # An edge inside, and none on the grid.
    labels[:32, 96:] = 2  # On the grid inside a block: 32 of 128 pairs.
    assert count_seams(labels, labels, 64)["step"] == 0
    labels[:48, 128:] = 4  # Across a border: 48 pairs.
    # Borders: 3 columns of 128 and 1 row of 256; inside: 4 columns of 128 and 2 rows of 256.
    across, inside = 48 / (3 * 128 + 256), (32 + 32) / (4 * 128 + 2 * 256)
    assert count_seams(labels, labels, 64)["step"] == pytest.approx(across / inside)


@pytest.mark.parametrize(
    ("sizes", "block_px", "near_px", "message"),
    [
        (((8, 8), (8, 9)), 4, 1, "have the sizes"),
        (((8, 8), (8, 8)), 4, 3, "near_px is 3; it must be from 1 to half a block, 2"),
        (((8, 8), (8, 8)), 8, 1, "have no border"),
    ],
)
def test_seams_that_cannot_be_counted(sizes, block_px, near_px, message):
    with pytest.raises(ValueError, match=message):
        count_seams(*(np.zeros(s, np.uint8) for s in sizes), block_px, near_px=near_px)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"block_px": 50}, "block_px is 50; it must be a multiple of the stride of unet, 4"),
        ({"block_px": 0}, "block_px is 0"),
        ({"block_px": 64, "overlap_px": 6}, "overlap_px is 6"),
        ({"block_px": 64, "overlap_px": 68}, "no more than a block"),
        ({"block_px": 20}, "overlap_px is 24 for blocks of 20"),
        ({"preparation": Preparation()}, "An array has no pixel size"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(network, options, message):
    with pytest.raises(ValueError, match=message):
        blocks.predict(PICTURES, network, **options)


def test_pictures_that_do_not_fit_are_refused(network):
    with pytest.raises(TypeError, match="pictures are float64; allowed is uint8"):
        blocks.predict(np.zeros((2, 64, 64)), network)
    with pytest.raises(ValueError, match="Field or an array"):
        blocks.predict(np.zeros((64, 64), np.uint8), network)


def test_networks_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="blocks need a network for inputs of any size"):
        blocks.predict(PICTURES, build(tiny_network))
    with pytest.raises(ValueError, match=r"returns .* it must return 4 classes"):
        blocks.predict(PICTURES, networks.unet(ANY, 2, depth=1, filters=1))


def test_a_network_that_looks_at_the_whole_picture_is_refused_unless_seams_are_asked_for():
    import keras

    x = grey = keras.Input(ANY)
    x = keras.layers.Conv2D(4, 3, padding="same")(x)
    x = keras.layers.Add()([x, keras.layers.GlobalAveragePooling2D(keepdims=True)(x)])
    model = keras.Model(grey, keras.layers.Softmax()(x), name="whole")
    with pytest.raises(ValueError, match=r"whole looks at the whole picture.*such as helpers"):
        blocks.predict(PICTURES, model)
    assert blocks.predict(PICTURES, model, overlap_px=0).shape == PICTURES.shape


def test_dask_is_named_where_it_is_missing(network, monkeypatch):
    monkeypatch.setitem(sys.modules, "dask.array", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'helpers\[field\]'"):
        blocks.predict(PICTURES, network)


# --- fields --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def field(tmp_path_factory):
    out = tmp_path_factory.mktemp("field") / "f.zarr"
    return convert(PICTURES, out, voxel_nm=(50, 20, 20), n_levels=2, chunk=(1, 64, 64))


def test_a_field_is_labelled_as_an_array_is(field, network, whole):
    np.testing.assert_array_equal(labels_of(network, field, block_px=64), whole)
    coarse = labels_of(network, field, level=1, block_px=64)
    np.testing.assert_array_equal(coarse, labels_of(network, field.levels[1][:], block_px=128))


def test_slices_are_prepared_as_for_the_training(field, network, whole):
    """Smoothing reaches beyond a block too."""
    preparation = Preparation(40.0, 20.0)  # 20 pixels of 20 nm to each side.
    found = labels_of(network, field, preparation=preparation, block_px=64)
    assert (found != whole).mean() > 0.01
    for block_px in (44, 256):
        again = labels_of(network, field, preparation=preparation, block_px=block_px)
        np.testing.assert_array_equal(again, found)
    with pytest.raises(ValueError, match=r"Level 0 has pixels of 20 nm.* pixels of 40 nm"):
        blocks.predict(field, network, preparation=Preparation(pixel_size_nm=40.0))


def test_labels_are_written_and_a_second_run_goes_on(field, network, whole, tmp_path, monkeypatch):
    out = tmp_path / "labels.zarr"
    written = blocks.predict_to_field(field, network, out, block_px=64)
    np.testing.assert_array_equal(written.read(slice(None)), whole)
    assert written.voxel_nm == field.voxel_nm
    assert len(written.levels) == 2
    stamps = {p: p.stat().st_mtime_ns for p in out.rglob("*") if p.is_file()}
    lost = ngff.chunk_path(out, 0, (1, 2, 3))
    content = lost.read_bytes()
    lost.unlink()
    blocks.predict_to_field(field, network, out, block_px=64)
    again = {p: p.stat().st_mtime_ns for p in out.rglob("*") if p.is_file()}
    assert {p for p in stamps if again[p] != stamps[p]} == {lost}
    assert lost.read_bytes() == content
    with monkeypatch.context() as patch:
        patch.setattr(blocks, "_write_layer", None)  # Nothing is left to do.
        blocks.predict_to_field(field, network, out, block_px=64)
    other = blocks.predict_to_field(field, network, out, block_px=64, overlap_px=0)
    assert (other.read(slice(None)) != whole).any()


def test_other_pictures_in_the_same_place_are_labelled_anew(field, network, tmp_path):
    """Of a field that other software wrote there are no digests of the slices."""
    foreign = tmp_path / "field.zarr"
    shutil.copytree(field.where, foreign)
    shutil.rmtree(foreign / "pictures")
    out = tmp_path / "labels.zarr"
    before = blocks.predict_to_field(ngff.open_field(foreign), network, out, block_px=64)
    before = before.read(slice(None))
    for level in range(len(field.levels)):  # the first layer, as the last shows it
        chunks = ngff.chunk_path(foreign, level, (0, 0, 0)).parents[1]
        shutil.rmtree(chunks)
        shutil.copytree(chunks.with_name("1"), chunks)
    other = blocks.predict_to_field(ngff.open_field(foreign), network, out, block_px=64)
    assert (other.read(slice(None)) != before).any()


def test_processes_give_the_same(field, network, whole, tmp_path):
    with tasks.cluster(workers=1) as client:
        found = blocks.predict(field, network, block_px=64)
        np.testing.assert_array_equal(found.compute(), whole)
        written = blocks.predict_to_field(
            field, network, tmp_path / "l.zarr", block_px=64, client=client
        )
        np.testing.assert_array_equal(written.read(slice(None)), whole)


def test_the_graph_has_the_weights_once(network):
    graph = dict(blocks.predict(PICTURES, network, block_px=24).__dask_graph__())
    size = len(cloudpickle.dumps(graph))
    weights = sum(w.nbytes for w in network.get_weights())
    assert size < 1.5 * weights + 1500 * len(graph)
