"""Post-processing: each step on drawn label maps, on the ground truth, and on bad input."""

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from real_data import need_files
from scipy import ndimage as ndi

from helpers import data, postprocessing
from helpers.data import published
from helpers.labels import Label
from helpers.phantom import Phantom
from helpers.postprocessing import STEPS, apply
from helpers.traditional import Constants, draw_labels

ENVELOPE, NUCLEUS, CELL, BACKGROUND = Label
PIXEL_NM = 40.0
"""Of the drawn maps: an area of 0.1 µm² has 62.5 pixels, one of 1 µm² has 625."""
SMALL_MAPS = hnp.arrays(
    np.uint8, hnp.array_shapes(min_dims=2, max_dims=2, max_side=40), elements=st.integers(1, 4)
)


def disc(labels, row, column, radius_px, label):
    cv2.circle(labels, (column, row), radius_px, int(label), cv2.FILLED)


def drawn(size=300):
    """Draw a cell with its nucleus in the middle, in resin."""
    labels = np.full((size, size), BACKGROUND, np.uint8)
    disc(labels, size // 2, size // 2, 120, CELL)
    disc(labels, size // 2, size // 2, 60, NUCLEUS)
    return labels


# --- small regions -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("where", "radius_px", "label", "becomes"),
    [
        ((150, 150), 4, CELL, NUCLEUS),
        ((150, 240), 4, BACKGROUND, CELL),
        ((20, 20), 4, ENVELOPE, BACKGROUND),
        ((20, 20), 10, NUCLEUS, BACKGROUND),
    ],
)
def test_small_regions_take_the_class_around_them(where, radius_px, label, becomes):
    labels, expected = drawn(), drawn()
    disc(labels, *where, radius_px, label)
    result = postprocessing.absorb_small_regions(labels, pixel_size_nm=PIXEL_NM)
    assert (labels != expected).any()
    np.testing.assert_array_equal(result, expected)
    assert result[where] == becomes


def test_large_regions_stay():
    labels = drawn()
    disc(labels, 20, 20, 10, CELL)
    disc(labels, 280, 280, 18, NUCLEUS)
    result = postprocessing.absorb_small_regions(labels, pixel_size_nm=PIXEL_NM)
    np.testing.assert_array_equal(result, labels)


def test_speckles_in_speckles_take_the_class_of_what_surrounds_all():
    labels = drawn()
    for radius_px, label in ((4, CELL), (3, ENVELOPE), (2, BACKGROUND), (1, CELL)):
        disc(labels, 150, 150, radius_px, label)
    result = postprocessing.absorb_small_regions(labels, pixel_size_nm=PIXEL_NM)
    np.testing.assert_array_equal(result, drawn())


def test_the_area_that_is_small_is_an_area_in_the_cell():
    labels = drawn()
    disc(labels, 20, 20, 10, CELL)
    coarse = postprocessing.absorb_small_regions(labels, pixel_size_nm=PIXEL_NM)
    fine = postprocessing.absorb_small_regions(labels, pixel_size_nm=10.0)
    assert coarse[20, 20] == CELL
    assert fine[20, 20] == BACKGROUND


def test_borders_are_those_that_a_plain_loop_finds():
    random = np.random.default_rng(0)
    labels = random.integers(1, 5, (7, 9)).astype(np.uint8)
    regions = random.integers(0, 4, (7, 9)).astype(np.int32)
    found = sorted(zip(*postprocessing._borders(regions, labels), strict=True))
    expected = []
    for (y, x), region in np.ndenumerate(regions):
        for ny, nx in ((y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)):
            if 0 <= ny < 7 and 0 <= nx < 9 and region > 0 and regions[ny, nx] != region:
                expected.append((region, regions[ny, nx], labels[ny, nx]))
    assert found == sorted(expected)


# --- holes ---------------------------------------------------------------------------------------


def test_holes_in_the_nucleus_are_filled_and_large_ones_stay():
    labels = drawn()
    disc(labels, 150, 150, 20, CELL)
    np.testing.assert_array_equal(
        postprocessing.fill_holes(labels, pixel_size_nm=PIXEL_NM), drawn()
    )
    kept = postprocessing.fill_holes(labels, pixel_size_nm=PIXEL_NM, max_area_um2=1.0)
    np.testing.assert_array_equal(kept, labels)


def test_a_bay_is_no_hole():
    labels = drawn()
    labels[150:, 149:152] = CELL
    np.testing.assert_array_equal(postprocessing.fill_holes(labels, pixel_size_nm=PIXEL_NM), labels)


# --- the central nucleus -------------------------------------------------------------------------


def test_other_nuclei_take_the_class_around_them():
    labels = drawn()
    disc(labels, 150, 245, 12, NUCLEUS)
    disc(labels, 20, 20, 15, NUCLEUS)
    result = postprocessing.keep_central_nucleus(labels, pixel_size_nm=PIXEL_NM)
    np.testing.assert_array_equal(result, drawn())


def test_a_blob_on_a_thin_bridge_is_another_region():
    labels = drawn()
    disc(labels, 150, 235, 14, NUCLEUS)
    labels[150, 200:235] = NUCLEUS
    result = postprocessing.keep_central_nucleus(labels, pixel_size_nm=PIXEL_NM)
    assert result[150, 235] == CELL
    assert np.count_nonzero(result != drawn()) < 5


def test_area_and_nearness_to_the_middle_decide():
    labels = np.full((300, 300), CELL, np.uint8)
    disc(labels, 150, 150, 16, NUCLEUS)
    disc(labels, 150, 230, 60, NUCLEUS)
    # The large one's edge is 20 px from the middle, the small one's is 16 px beyond it.
    assert np.unique(apply(labels, ["central nucleus"], pixel_size_nm=PIXEL_NM)[:, 200:]) == CELL
    disc(labels, 150, 230, 62, CELL)
    disc(labels, 150, 220, 90, NUCLEUS)
    far = apply(labels, ["central nucleus"], pixel_size_nm=PIXEL_NM)
    assert far[150, 220] == NUCLEUS


def test_a_neighbour_decides_instead_and_may_name_two():
    labels = np.full((300, 300), CELL, np.uint8)
    places = ((150, 150), (60, 60), (240, 240))
    for row, column in places:
        disc(labels, row, column, 20, NUCLEUS)
    neighbour = np.zeros(labels.shape, np.uint8)
    for row, column in places[1:]:
        disc(neighbour, row, column, 24, 1)
    result = apply(labels, pixel_size_nm=PIXEL_NM, neighbour=neighbour > 0)
    assert [result[place] == NUCLEUS for place in places] == [False, True, True]
    empty = postprocessing.keep_central_nucleus(
        labels, np.zeros(labels.shape, bool), pixel_size_nm=PIXEL_NM
    )
    assert [empty[place] == NUCLEUS for place in places] == [True, False, False]


def test_a_nucleus_that_the_border_cuts_counts_only_if_the_middle_lies_in_it():
    labels = np.full((300, 300), CELL, np.uint8)
    disc(labels, 150, 290, 90, NUCLEUS)
    assert not (apply(labels, ["central nucleus"], pixel_size_nm=PIXEL_NM) == NUCLEUS).any()
    disc(labels, 150, 230, 120, NUCLEUS)
    result = apply(labels, ["central nucleus"], pixel_size_nm=PIXEL_NM)
    np.testing.assert_array_equal(result, labels)


def test_specks_are_no_nucleus():
    labels = np.full((300, 300), CELL, np.uint8)
    disc(labels, 150, 150, 8, NUCLEUS)
    assert not (apply(labels, ["central nucleus"], pixel_size_nm=PIXEL_NM) == NUCLEUS).any()


# --- the envelope --------------------------------------------------------------------------------


def test_the_envelope_is_closed_and_as_thick_as_the_traditional_method_draws_it():
    labels = drawn()
    labels[60:80, 150:160] = ENVELOPE
    result = postprocessing.close_envelope(labels, pixel_size_nm=PIXEL_NM)
    plain = drawn()
    expected = draw_labels(plain == NUCLEUS, plain == BACKGROUND, Constants.at(PIXEL_NM))
    np.testing.assert_array_equal(result, expected)
    touched = ndi.binary_dilation(result == NUCLEUS) & (result != NUCLEUS)
    assert (result[touched] == ENVELOPE).all()


# --- all of them ---------------------------------------------------------------------------------


def test_steps_are_taken_by_name_in_order():
    labels = drawn()
    disc(labels, 150, 150, 20, CELL)
    disc(labels, 20, 20, 15, NUCLEUS)
    np.testing.assert_array_equal(apply(labels, [], pixel_size_nm=PIXEL_NM), labels)
    step_by_step = labels
    for name in STEPS:
        step_by_step = apply(step_by_step, name, pixel_size_nm=PIXEL_NM)
    whole = apply(labels, pixel_size_nm=PIXEL_NM)
    np.testing.assert_array_equal(whole, step_by_step)
    other_way = apply(labels, reversed(STEPS), pixel_size_nm=PIXEL_NM)
    assert (other_way != whole).any()


@given(SMALL_MAPS)
@hypothesis_settings(max_examples=60, deadline=None)
def test_any_map_stays_a_map_and_is_not_changed_in_place(labels):
    before = labels.copy()
    for name, step in STEPS.items():
        result = step(labels, pixel_size_nm=PIXEL_NM)
        np.testing.assert_array_equal(labels, before, err_msg=name)
        assert result.dtype == np.uint8
        assert result.shape == labels.shape
        assert set(np.unique(result)) <= set(Label)
    np.testing.assert_array_equal(
        apply(labels, [], pixel_size_nm=PIXEL_NM), before, err_msg="no step"
    )


def test_a_ground_truth_comes_through_nearly_unchanged():
    cell = data.phantom_stack(Phantom())
    truth = cell.labels(cell.example)
    result = apply(truth, pixel_size_nm=cell.pixel_size_nm)
    assert np.mean(result == truth) > 0.99


def test_a_published_ground_truth_comes_through_nearly_unchanged(data_dir):
    need_files(data_dir, published.published_name(170))
    truth = published.published_labels(170)
    result = apply(truth)
    nucleus, expected = result == NUCLEUS, truth == NUCLEUS
    assert np.count_nonzero(nucleus & expected) / np.count_nonzero(nucleus | expected) > 0.99
    assert np.mean(result == truth) > 0.98


def test_bad_input_is_refused():
    labels = drawn()
    with pytest.raises(ValueError, match=r"'hole'; allowed are small regions, holes"):
        apply(labels, ["hole"])
    with pytest.raises(TypeError, match="allowed is uint8"):
        apply(labels.astype(int))
    with pytest.raises(ValueError, match="numbers from 0"):
        postprocessing.close_envelope(labels * 0)
    with pytest.raises(ValueError, match="pixel_size_nm is 0"):
        apply(labels, pixel_size_nm=0)
    with pytest.raises(ValueError, match="neighbour has shape"):
        apply(labels, neighbour=np.zeros((3, 3), bool))
    for name, option in (
        ("absorb_small_regions", "min_area_um2"),
        ("absorb_small_regions", "nucleus_min_area_um2"),
        ("fill_holes", "max_area_um2"),
        ("keep_central_nucleus", "bridge_nm"),
    ):
        with pytest.raises(ValueError, match=f"{option} is -1"):
            getattr(postprocessing, name)(labels, **{option: -1})
