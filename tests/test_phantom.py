"""The synthetic cell: repeatable, shaped like a cell, and as grey and grainy as the real one."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
from real_data import need_files
from scipy.io import loadmat

from helpers import traditional
from helpers.data import figures
from helpers.labels import Label
from helpers.metrics import jaccard_of_masks as jaccard
from helpers.phantom import Phantom, realism, render

FULL = {"shape": (300, 2000, 2000), "voxel_nm": (50.0, 10.0, 10.0)}
SMALL = {"shape": (24, 125, 125), "voxel_nm": (600.0, 160.0, 160.0)}
TRUTH = "hela-unet2/CODE/GroundTruth_4c/GT_Slice_170.mat"


def nucleus_fractions(phantom: Phantom) -> np.ndarray:
    return np.array([(phantom.labels(n) == Label.NUCLEUS).mean() for n in phantom.slice_numbers])


@pytest.fixture(scope="module")
def default() -> Phantom:
    return Phantom()


@pytest.fixture(scope="module")
def full_slice() -> tuple[np.ndarray, np.ndarray]:
    """Return a full-size slice and its labels."""
    phantom = Phantom(**FULL)
    return phantom.image(150), phantom.labels(150)


@pytest.fixture(scope="module")
def real_170(data_dir) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the real slice 170, its labels, and the phantom's texture over those labels."""
    kept = figures.SAMPLE_SLICES[170]
    figure, truth = need_files(data_dir, kept.figure, TRUTH)
    labels = loadmat(truth)["groundTruth"]
    image = figures.recover_slice(figure, kept)
    return image, labels, render(labels, pixel_size_nm=10, z_nm=8_475)


def test_a_slice_depends_on_nothing_but_the_seed_and_its_number():
    forwards, backwards = Phantom(**SMALL), Phantom(**SMALL)
    first = {n: (forwards.labels(n), forwards.nuclei(n), forwards.image(n)) for n in (1, 7, 12)}
    for number in (12, 7, 1):
        image = backwards.image(number)
        again = backwards.labels(number), backwards.nuclei(number), image
        for one, other in zip(first[number], again, strict=True):
            np.testing.assert_array_equal(one, other)


def test_what_the_caller_does_to_a_slice_stays_with_the_caller():
    phantom = Phantom(**SMALL)
    phantom.labels(12)[:] = 0
    assert phantom.labels(12).min() >= min(Label)


def test_another_seed_is_another_cell():
    one, other = Phantom(**SMALL, seed=0), Phantom(**SMALL, seed=1)
    assert (one.labels(12) != other.labels(12)).mean() > 0.05
    assert (one.image(12) != other.image(12)).mean() > 0.5


@pytest.mark.parametrize("seed", range(4))
def test_the_nucleus_rises_falls_and_is_absent_at_the_ends(seed):
    area = nucleus_fractions(Phantom(**SMALL, seed=seed))
    assert area[0] == area[-1] == 0
    peak = int(area.argmax())
    assert 8 <= peak <= 16
    assert 0.09 < area[peak] < 0.20
    rising, falling = np.diff(area[: peak + 1]), np.diff(area[peak:])
    assert rising.min() > -0.005
    assert falling.max() < 0.005


def test_the_nucleus_breaks_into_islands_toward_the_ends(default):
    def islands(number):
        labels = default.labels(number)
        whole = (labels <= Label.NUCLEUS).astype(np.uint8)
        return cv2.connectedComponents(whole, connectivity=8)[0] - 1

    ends = [*range(3, 12), *range(36, 46)]
    assert max(islands(number) for number in ends) >= 2
    assert islands(28) == 1


def test_every_class_is_there_and_no_other(default):
    labels = default.labels(24)
    assert labels.dtype == np.uint8
    assert set(np.unique(labels)) == set(Label)


def test_neighbours_nuclei_only_add_to_the_labels(default):
    for number in (6, 12, 24):
        labels, nuclei = default.labels(number), default.nuclei(number)
        added = labels != nuclei
        assert added.any()
        assert set(np.unique(labels[added])) == {Label.CELL}
        assert set(np.unique(nuclei[added])) <= {Label.NUCLEUS, Label.NUCLEAR_ENVELOPE}


@pytest.mark.parametrize("size", [{}, SMALL])
def test_every_envelope_is_closed(size):
    phantom = Phantom(**size, seed=1)
    for number in phantom.slice_numbers[::2]:
        labels = phantom.nuclei(number)
        grown = cv2.dilate((labels == Label.NUCLEUS).astype(np.uint8), np.ones((3, 3))) > 0
        assert set(np.unique(labels[grown])) <= {Label.NUCLEUS, Label.NUCLEAR_ENVELOPE}


def test_neighbouring_slices_resemble_each_other():
    phantom = Phantom((300, 500, 500), (50.0, 40.0, 40.0))
    here, near, far = (phantom.labels(n) == Label.NUCLEUS for n in (150, 151, 200))
    assert jaccard(here, near) > 0.97
    assert jaccard(here, near) > jaccard(here, far)
    images = [cv2.GaussianBlur(phantom.image(n).astype(float), (0, 0), 2) for n in (150, 151, 200)]
    cell = phantom.labels(150) == Label.CELL
    to_near, to_far = (np.corrcoef(images[0][cell], other[cell])[0, 1] for other in images[1:])
    assert to_near > 0.7
    assert to_far < 0.5


def test_grain_is_new_in_every_slice():
    resin = np.full((200, 200), Label.BACKGROUND, np.uint8)
    grain = []
    for z_nm in (1_000, 1_050):
        image = render(resin, pixel_size_nm=10, z_nm=z_nm).astype(float)
        grain.append(image - cv2.GaussianBlur(image, (0, 0), 4))
    assert abs(np.corrcoef(grain[0].ravel(), grain[1].ravel())[0, 1]) < 0.05


def test_a_larger_pixel_is_the_average_of_smaller_ones():
    labels = Phantom((3, 800, 800), (5_000.0, 10.0, 10.0)).labels(2)
    fine = render(labels, pixel_size_nm=10, z_nm=7_500)
    averaged = cv2.resize(fine, (200, 200), interpolation=cv2.INTER_AREA)
    coarse_labels = labels[2::4, 2::4]
    coarse = render(coarse_labels, pixel_size_nm=40, z_nm=7_500)
    for label in (Label.NUCLEUS, Label.CELL):
        inside = coarse_labels == label
        assert averaged[inside].mean() == pytest.approx(coarse[inside].mean(), abs=2)
        assert averaged[inside].std() == pytest.approx(coarse[inside].std(), rel=0.1)


@pytest.mark.parametrize(
    ("shape", "voxel_nm"),
    [
        ((1, 64, 64), (300.0, 40.0, 40.0)),
        ((2, 64, 64), (300.0, 312.5, 312.5)),
        ((5, 16, 16), (3_000.0, 1_250.0, 1_250.0)),
        ((9, 70, 130), (1_600.0, 150.0, 150.0)),
        ((9, 333, 100), (1_600.0, 60.0, 60.0)),
    ],
)
def test_any_size(shape, voxel_nm):
    phantom = Phantom(shape, voxel_nm)
    assert list(phantom.slice_numbers) == list(range(1, shape[0] + 1))
    for number in {1, (shape[0] + 1) // 2, shape[0]}:
        for array in (phantom.labels(number), phantom.nuclei(number), phantom.image(number)):
            assert array.shape == shape[1:]
            assert array.dtype == np.uint8
    if shape[0] != 2:
        assert Label.NUCLEUS in phantom.labels((shape[0] + 1) // 2)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"shape": (10, 64)}, "shape must be three whole numbers"),
        ({"shape": (10, 64.5, 64)}, "shape must be three whole numbers"),
        ({"shape": 64}, "shape must be three whole numbers"),
        ({"shape": (0, 64, 64)}, "at least one slice of 16 x 16"),
        ({"shape": (10, 64, 8)}, "at least one slice of 16 x 16"),
        ({"voxel_nm": (300.0, 40.0)}, "voxel_nm must be three numbers"),
        ({"voxel_nm": (300.0, "wide", 40.0)}, "voxel_nm must be three numbers"),
        ({"voxel_nm": (300.0, -40.0, -40.0)}, "every size must be above 0"),
        ({"voxel_nm": (float("nan"), 40.0, 40.0)}, "every size must be above 0"),
        ({"voxel_nm": (300.0, 40.0, 50.0)}, "pixels must be square"),
        ({"seed": -1}, "seed must be a whole number"),
        ({"seed": 0.5}, "seed must be a whole number"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        Phantom(**arguments)


@pytest.mark.parametrize("number", [0, 49, -1])
def test_a_slice_that_is_not_there(default, number):
    for method in (default.labels, default.nuclei, default.image):
        with pytest.raises(ValueError, match=f"no slice {number}; slices are 1 to 48"):
            method(number)


@pytest.mark.parametrize(
    ("labels", "arguments", "message"),
    [
        (np.full((2, 8, 8), 3), {}, "one slice"),
        (np.zeros((8, 8), int), {}, "must be 1 to 4; found 0"),
        (np.full((8, 8), 5), {}, "must be 1 to 4; found 5"),
        (np.full((8, 8), 3), {"pixel_size_nm": 0}, "pixel_size_nm must be above 0"),
        (np.full((8, 8), 3), {"z_nm": -1}, "z_nm must be 0 or more"),
        (np.full((8, 8), 3), {"seed": "a"}, "seed must be a whole number"),
    ],
)
def test_render_names_what_is_wrong(labels, arguments, message):
    with pytest.raises(ValueError, match=message):
        render(labels, **{"pixel_size_nm": 10, "z_nm": 0, **arguments})


def test_the_traditional_method_finds_central_nuclei_and_not_easily(default, full_slice):
    scores = []
    for number in range(16, 37, 4):
        found = traditional.segment_nucleus(default.image(number), pixel_size_nm=40)
        scores.append(jaccard(found, default.labels(number) == Label.NUCLEUS))
    image, labels = full_slice
    scores.append(jaccard(traditional.segment_nucleus(image), labels == Label.NUCLEUS))
    assert min(scores) >= 0.93
    assert max(scores) <= 0.995


# It says so; here its score is asked for.
@pytest.mark.filterwarnings("ignore::helpers.traditional.doubts.DoubtWarning")
def test_the_traditional_method_fails_at_the_ends(default):
    scores = []
    for number in (*range(1, 10), *range(40, 49)):
        truth = default.labels(number) == Label.NUCLEUS
        if 0 < truth.mean() < 0.005:
            found = traditional.segment_nucleus(default.image(number), pixel_size_nm=40)
            scores.append(jaccard(found, truth))
    assert len(scores) >= 2
    assert max(scores) < 0.5


@pytest.mark.parametrize("label", list(Label))
def test_grey_levels_are_those_of_the_real_slice(real_170, label):
    image, labels, synthetic = real_170
    real, ours = (
        realism.grey_levels(picture, labels).loc[label.title] for picture in (image, synthetic)
    )
    assert ours["mean"] == pytest.approx(real["mean"], abs=3)
    assert ours["spread"] == pytest.approx(real["spread"], rel=0.2)


def test_the_traditional_method_scores_over_real_labels_as_on_the_real_slice(real_170):
    image, labels, synthetic = real_170
    nucleus = labels == Label.NUCLEUS
    real, ours = (jaccard(traditional.segment_nucleus(x), nucleus) for x in (image, synthetic))
    assert ours == pytest.approx(real, abs=0.02)


@pytest.mark.parametrize("axis", [0, 1])
def test_grain_is_as_coarse_as_on_raw_slices(data_dir: Path, full_slice, axis):
    (path,) = need_files(data_dir, realism.RAW_SLICE)
    raw = tifffile.imread(path)
    image, labels = full_slice
    for real, ours in (
        # In the nucleus of that cell, and in its resin.
        (realism.RAW_NUCLEUS, labels == Label.NUCLEUS),
        (cv2.GaussianBlur(raw, (0, 0), 10) > 185, labels == Label.BACKGROUND),
    ):
        chosen = np.zeros(raw.shape, np.uint8)
        chosen[real] = 1
        masks = (cv2.erode(np.uint8(mask), np.ones((21, 21))) > 0 for mask in (chosen, ours))
        theirs, length = (
            realism.correlation_length_px(x, mask, axis=axis)
            for x, mask in zip((raw, image), masks, strict=True)
        )
        assert length == pytest.approx(theirs, rel=0.2)


def test_the_envelope_is_as_thick_as_the_drawn_one(real_170, full_slice):
    ours, real = (realism.envelope_thickness_px(labels) for labels in (full_slice[1], real_170[1]))
    assert ours == pytest.approx(real, rel=0.2)
