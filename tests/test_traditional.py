"""The traditional method: against the plain version, the ground truth, and bad input."""

import cv2
import numpy as np
import pytest
import reference_traditional as reference
from hypothesis import HealthCheck, example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from real_data import need_files, need_slices, open_sample
from skimage import morphology

from helpers import masks, traditional
from helpers.data import figures
from helpers.data.stack import Stack
from helpers.labels import Label
from helpers.metrics import jaccard_of_masks as jaccard
from helpers.phantom import Phantom
from helpers.traditional import Constants

FEW = hypothesis_settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
SMALL_IMAGES = hnp.arrays(np.uint8, hnp.array_shapes(min_dims=2, max_dims=2, max_side=70))

# Slices here are small, or of one grey level: the method doubts them, see test_doubts.py.
pytestmark = pytest.mark.filterwarnings("ignore::helpers.traditional.doubts.DoubtWarning")


def drawn_cell(shape=(400, 500), seed=0) -> tuple[np.ndarray, np.ndarray]:
    """Draw a bright disk with a dark rim in textured surroundings, at 10 nm a pixel."""
    random = np.random.default_rng(seed)
    image = random.normal(147, 10, shape)
    y, x = np.mgrid[: shape[0], : shape[1]]
    distance = np.hypot(y - shape[0] / 2, x - shape[1] / 2)
    for _ in range(60):
        cy, cx = random.uniform(0, shape[0]), random.uniform(0, shape[1])
        image[np.hypot(y - cy, x - cx) < 12] = 100
    nucleus = distance < 110
    image[nucleus] = random.normal(155, 6, np.count_nonzero(nucleus))
    image[(distance >= 110) & (distance < 119)] = 105
    return np.clip(image, 0, 255).astype(np.uint8), nucleus


@pytest.fixture(scope="module")
def cell(data_dir) -> Stack:
    return open_sample()


# --- against the plain version -------------------------------------------------------------------


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_every_step_agrees_with_the_plain_version(seed):
    image, _ = drawn_cell(seed=seed)
    constants = Constants()
    smoothed = traditional.smooth(image)
    np.testing.assert_allclose(smoothed, reference.smooth(image, constants), atol=1e-3)
    edges = traditional.detect_edges(smoothed)
    plain_edges = reference.detect_edges(smoothed, constants)
    inner = np.s_[1:-1, 1:-1]
    assert np.mean(edges[inner] == plain_edges[inner]) > 0.999
    grown = traditional.grow_edges(edges)
    np.testing.assert_array_equal(grown, reference.grow_edges(edges, constants))
    regions = traditional.superpixels(grown)
    assert regions.max() == reference.superpixels(grown).max()
    nucleus = traditional.select_nucleus(regions)
    np.testing.assert_array_equal(nucleus, reference.select_nucleus(regions, constants))
    assert nucleus.any()
    level = traditional.measure_envelope(smoothed, nucleus)
    plain_level = reference.measure_envelope(smoothed, nucleus, constants)
    assert level == pytest.approx(plain_level, abs=1e-3)
    boundary = traditional.grow_boundary(smoothed, nucleus, level)
    plain_boundary = reference.grow_boundary(smoothed, nucleus, level, constants)
    np.testing.assert_array_equal(boundary, plain_boundary)
    closed = traditional.close_nucleus(boundary)
    np.testing.assert_array_equal(closed, reference.close_nucleus(boundary, constants))
    traced = traditional.trace_envelope(smoothed, closed)
    assert jaccard(traced, reference.trace_envelope(smoothed, closed, constants)) > 0.995
    np.testing.assert_array_equal(traced, traditional.segment_nucleus(image))
    np.testing.assert_array_equal(masks.disk(constants.close_radius_px), morphology.octagon(5, 2))


# Toward both ends and in the middle; the plain version takes seconds a slice.
@pytest.mark.parametrize("number", [71, 151, 215])
def test_masks_of_real_slices_agree_with_the_plain_version(cell, data_dir, number):
    need_slices(data_dir, number)
    image = cell.image(number)
    nucleus = traditional.segment_nucleus(image)
    assert jaccard(nucleus, reference.segment_nucleus(image)) >= 0.99
    background = traditional.segment_background(image, nucleus, narrow_gaps=False)
    assert jaccard(background, reference.segment_background(image, nucleus)) >= 0.99


# --- against the ground truth --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("number", "least"),
    [(71, 0.978), (82, 0.981), (118, 0.971), (151, 0.988), (170, 0.985), (215, 0.974)],
)
def test_nucleus_of_real_slices(cell, data_dir, number, least):
    need_slices(data_dir, number)
    need_files(data_dir, figures.panel_figure(number))
    truth = cell.labels(number) == Label.NUCLEUS
    ours = jaccard(traditional.segment_nucleus(cell.image(number)), truth)
    assert ours >= least
    authors = figures.authors_result(number)
    assert ours >= jaccard(authors, truth) - 0.005


@pytest.mark.parametrize("number", [71, 82, 118, 151, 170, 215, 260])
def test_background_of_real_slices(cell, data_dir, number):
    need_slices(data_dir, number)
    image, truth = cell.image(number), cell.labels(number) == Label.BACKGROUND
    published = traditional.segment_background(image, narrow_gaps=False)
    assert jaccard(published, truth) >= (0.88 if number == 170 else 0.83)
    assert jaccard(traditional.segment_background(image), truth) >= 0.94


@pytest.mark.parametrize(
    ("number", "least"),
    [(71, 0.60), (82, 0.62), (118, 0.48), (151, 0.68), (170, 0.63), (215, 0.60)],
)
def test_envelope_of_real_slices(cell, data_dir, number, least):
    need_slices(data_dir, number)
    truth = cell.labels(number) == Label.NUCLEAR_ENVELOPE
    labels = traditional.segment_slice(cell.image(number))
    assert jaccard(labels == Label.NUCLEAR_ENVELOPE, truth) >= least


def test_four_classes_of_a_real_slice(cell, data_dir):
    need_slices(data_dir, 170)
    labels, truth = traditional.segment_slice(cell.image(170)), cell.labels(170)
    assert np.mean(labels == truth) >= 0.975
    areas = [np.count_nonzero(these == Label.NUCLEAR_ENVELOPE) for these in (labels, truth)]
    assert areas[0] == pytest.approx(areas[1], rel=0.1)


def test_finds_the_nucleus_of_the_phantom_at_its_pixel_size():
    phantom = Phantom()
    number = len(phantom.slice_numbers) // 2
    found = traditional.segment_nucleus(phantom.image(number), pixel_size_nm=phantom.voxel_nm[1])
    assert jaccard(found, phantom.labels(number) == Label.NUCLEUS) > 0.9


def test_a_boundary_a_few_pixels_off_is_traced_to_the_same_line():
    random = np.random.default_rng(0)
    y, x = np.mgrid[:300, :300]
    from_membrane = np.hypot(y - 150, x - 150) - 100
    image = random.normal(150, 8, y.shape) - 35 * np.exp(-((from_membrane / 3.5) ** 2) / 2)
    smoothed = traditional.smooth(np.clip(image, 0, 255).astype(np.uint8))
    for off_px in (-7, -4, 0, 4):
        traced = traditional.trace_envelope(smoothed, from_membrane < off_px)
        assert jaccard(traced, from_membrane < -3) > 0.985


# --- a neighbour ---------------------------------------------------------------------------------


def test_a_neighbour_chooses_the_regions():
    regions = np.zeros((300, 300), np.int32)
    regions[20:140, 20:140] = 1
    regions[20:140, 160:280] = 2
    regions[160:280, 20:280] = 3
    neighbour = np.zeros(regions.shape, bool)
    neighbour[15:145, 15:285] = True
    chosen = traditional.select_nucleus(regions, neighbour)
    np.testing.assert_array_equal(chosen, (regions == 1) | (regions == 2))
    neighbour[155:200] = True
    chosen = traditional.select_nucleus(regions, neighbour)
    assert not chosen[regions == 3].any(), "a third of region 3 lies inside, which is too little"


def test_a_neighbour_elsewhere_gives_nothing():
    regions = np.zeros((300, 300), np.int32)
    regions[20:140, 20:140] = 1
    neighbour = np.zeros(regions.shape, bool)
    neighbour[200:290, 200:290] = True
    assert not traditional.select_nucleus(regions, neighbour).any()


def test_an_empty_neighbour_counts_as_none():
    image, _ = drawn_cell()
    np.testing.assert_array_equal(
        traditional.segment_nucleus(image, np.zeros(image.shape, bool)),
        traditional.segment_nucleus(image),
    )


# --- pixel size ----------------------------------------------------------------------------------


def test_constants_scale_lengths_areas_and_leave_the_rest():
    at_20 = Constants.at(20.0)
    assert at_20.smooth_sigma_px == 1.0
    assert at_20.nucleus_min_area_px == 2_500
    assert at_20.growth_level == Constants().growth_level
    assert Constants.at(10.0) == Constants()


@pytest.mark.parametrize("size", [0, -1, float("nan"), float("inf")])
def test_pixel_size_must_be_positive(size):
    with pytest.raises(ValueError, match="positive"):
        Constants.at(size)


def test_the_same_cell_at_half_the_resolution():
    image, nucleus = drawn_cell((600, 700))
    half = cv2.resize(image, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    found = traditional.segment_nucleus(half, pixel_size_nm=20.0)
    truth = cv2.resize(nucleus.astype(np.uint8), half.shape[::-1]) > 0
    assert jaccard(found, truth) > 0.9


# --- bad and odd input ---------------------------------------------------------------------------

SEGMENTERS = [
    traditional.segment_nucleus,
    traditional.segment_background,
    traditional.segment_slice,
]


@pytest.mark.parametrize("segment", SEGMENTERS)
@pytest.mark.parametrize(
    ("image", "error", "words"),
    [
        (np.zeros((4, 5)), TypeError, "uint8"),
        (np.full((4, 5), np.nan), TypeError, "uint8"),
        (np.zeros((4, 5), np.uint16), TypeError, "uint16"),
        (np.zeros((4, 5, 3), np.uint8), ValueError, "one grey slice"),
        (np.zeros(9, np.uint8), ValueError, "one grey slice"),
        (np.zeros((0, 5), np.uint8), ValueError, "no pixels"),
    ],
)
def test_what_is_no_slice_is_refused(segment, image, error, words):
    with pytest.raises(error, match=words):
        segment(image)


def test_masks_that_do_not_go_with_the_slice_are_refused():
    image = np.zeros((20, 30), np.uint8)
    with pytest.raises(ValueError, match="neighbour has shape"):
        traditional.segment_nucleus(image, np.zeros((30, 20), bool))
    with pytest.raises(TypeError, match="neighbour has dtype uint8"):
        traditional.segment_nucleus(image, image)
    with pytest.raises(ValueError, match="nucleus has shape"):
        traditional.segment_background(image, np.zeros((30, 20), bool))


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (40, 1), (2, 2), (3, 200), (64, 64)])
@pytest.mark.parametrize("level", [0, 151, 255])
def test_one_grey_level_has_no_nucleus(shape, level):
    image = np.full(shape, level, np.uint8)
    assert not traditional.segment_nucleus(image).any()
    assert not traditional.segment_background(image).any()
    assert (traditional.segment_slice(image) == Label.CELL).all()


def test_a_slice_that_is_all_nucleus_has_no_region_off_the_border():
    random = np.random.default_rng(1)
    image = np.clip(random.normal(151, 3, (300, 300)), 0, 255).astype(np.uint8)
    assert not traditional.segment_nucleus(image).any()


def test_empty_and_full_masks_pass_through_the_steps():
    smoothed = np.full((50, 60), 150, np.float32)
    for mask in (np.zeros((50, 60), bool), np.ones((50, 60), bool)):
        level = traditional.measure_envelope(smoothed, mask)
        assert np.isnan(level)
        np.testing.assert_array_equal(traditional.grow_boundary(smoothed, mask, level), mask)
        np.testing.assert_array_equal(traditional.close_nucleus(mask), mask)
        np.testing.assert_array_equal(traditional.trace_envelope(smoothed, mask), mask)


@FEW
@example(np.eye(6, 1, dtype=np.uint8) * 200, 10.0)  # OpenCV takes four rows of one for a scalar
@given(SMALL_IMAGES, st.sampled_from([5.0, 10.0, 40.0, 160.0]))
def test_any_slice_gives_four_classes_and_stays_as_it_was(image, pixel_size_nm):
    before = image.copy()
    labels = traditional.segment_slice(image, pixel_size_nm=pixel_size_nm)
    np.testing.assert_array_equal(image, before)
    assert labels.shape == image.shape
    assert labels.dtype == np.uint8
    assert set(np.unique(labels)) <= set(Label)
    again = traditional.segment_slice(image, pixel_size_nm=pixel_size_nm)
    np.testing.assert_array_equal(labels, again)


@FEW
@given(hnp.arrays(bool, hnp.array_shapes(min_dims=2, max_dims=2, max_side=40)))
def test_masks_only_grow_when_filled_or_closed(mask):
    assert (masks.fill(mask) | ~mask).all()
    assert (traditional.close_nucleus(mask) | ~mask).all()
    distance = masks.distance_to(mask)
    assert ((distance == 0) == mask).all()


def test_does_not_depend_on_how_the_slice_lies_in_memory():
    image, _ = drawn_cell()
    np.testing.assert_array_equal(
        traditional.segment_slice(np.asfortranarray(image)), traditional.segment_slice(image)
    )
