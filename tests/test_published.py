"""The authors' own method: against the masks that their code gives, and rule by rule."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from real_data import need_files, need_slices, open_sample

from helpers.data import SAMPLE_SLICES
from helpers.data.stack import Stack
from helpers.metrics import jaccard_of_masks as jaccard
from helpers.traditional import Constants, published

AT_10_NM = Constants.published_code()


# --- against the output of their code ------------------------------------------------------------


@pytest.fixture(scope="module")
def cell(data_dir) -> Stack:
    return open_sample()


def theirs(data_dir: Path, kind: str, number: int) -> np.ndarray:
    """Read what the authors' code gives for a slice, or skip the test."""
    (path,) = need_files(data_dir, f"authors-masks/{kind}-{number:03d}.png")
    return cv2.imread(str(path), cv2.IMREAD_GRAYSCALE) > 0


@pytest.mark.parametrize("number", SAMPLE_SLICES)
def test_the_nucleus_of_a_slice_is_theirs(cell, data_dir, number):
    need_slices(data_dir, number)
    known = theirs(data_dir, "nucleus-single", number)
    assert jaccard(published.segment_nucleus(cell.image(number)), known) >= 0.995


@pytest.mark.parametrize("number", SAMPLE_SLICES)
def test_the_background_of_a_slice_is_theirs(cell, data_dir, number):
    need_slices(data_dir, number)
    known = theirs(data_dir, "background", number)
    assert jaccard(published.segment_background(cell.image(number)), known) >= 0.99


# --- rule by rule --------------------------------------------------------------------------------


def squares(*boxes: tuple[int, int, int, int], shape=(300, 300)) -> np.ndarray:
    """Return regions: boxes of first and last row, first and last column, numbered from 1."""
    regions = np.zeros(shape, np.int32)
    for number, (top, bottom, left, right) in enumerate(boxes, start=1):
        regions[top:bottom, left:right] = number
    return regions


def test_a_neighbour_chooses_the_regions():
    regions = squares((20, 140, 20, 140), (20, 140, 160, 280), (160, 280, 20, 280))
    neighbour = np.zeros(regions.shape, bool)
    neighbour[15:145, 15:285] = True
    chosen = published.choose_regions(regions, neighbour, AT_10_NM)
    np.testing.assert_array_equal(chosen, (regions == 1) | (regions == 2))
    neighbour[155:200] = True
    chosen = published.choose_regions(regions, neighbour, AT_10_NM)
    assert not chosen[regions == 3].any(), "a third of region 3 lies inside, which is too little"


def test_the_neighbour_is_eroded_by_one_pixel_before_shares_are_taken():
    regions = squares((20, 120, 20, 120), (20, 120, 150, 250))
    neighbour = np.zeros(regions.shape, bool)
    neighbour[10:130, 10:130] = True
    # 77 of 100 rows of region 2: eroded by one pixel, 75 rows and a part of the next.
    neighbour[19:98, 140:260] = True
    assert published.choose_regions(regions, neighbour, AT_10_NM)[50, 200]
    neighbour[96:98, 140:260] = False
    assert not published.choose_regions(regions, neighbour, AT_10_NM)[50, 200], "75 %, not more"


def test_a_single_region_need_not_lie_inside():
    regions = squares((20, 280, 20, 280))
    neighbour = np.zeros(regions.shape, bool)
    neighbour[100:113, 100:113] = True
    assert published.choose_regions(regions, neighbour, AT_10_NM).any(), "11 x 11 pixels overlap"
    neighbour[112] = False
    neighbour[:, 112] = False
    assert not published.choose_regions(regions, neighbour, AT_10_NM).any(), "100 are too few"


def test_a_neighbour_elsewhere_and_an_empty_one_give_nothing():
    regions = squares((20, 140, 20, 140))
    neighbour = np.zeros(regions.shape, bool)
    assert not published.choose_regions(regions, neighbour, AT_10_NM).any()
    neighbour[200:290, 200:290] = True
    assert not published.choose_regions(regions, neighbour, AT_10_NM).any()


def test_the_region_with_the_nearest_pixel_is_chosen_and_not_that_with_the_nearest_middle():
    regions = squares((100, 200, 20, 140), (60, 240, 165, 290))
    assert published.choose_regions(regions, None, AT_10_NM)[150, 100], "9 pixels from the centre"
    regions = squares((100, 200, 20, 130), (149, 151, 155, 295))
    assert published.choose_regions(regions, None, AT_10_NM)[150, 200], "5 pixels from the centre"


def test_a_region_around_the_centre_is_filled_with_all_that_lies_in_it():
    regions = squares((50, 250, 50, 250), (100, 200, 100, 200), (110, 190, 110, 190))
    regions[regions == 2] = 0
    chosen = published.choose_regions(regions, None, AT_10_NM)
    np.testing.assert_array_equal(chosen, squares((50, 250, 50, 250)) > 0)


def test_only_large_regions_go_on_with_a_neighbour_too():
    random = np.random.default_rng(0)
    image = np.full((400, 400), 100, np.uint8)
    y, x = np.mgrid[:400, :400]
    for row, column, radius in ((130, 130, 80), (290, 290, 50)):
        image[np.hypot(y - row, x - column) < radius] = 160
    image = np.clip(image + random.normal(0, 2, image.shape), 0, 255).astype(np.uint8)
    neighbour = np.hypot(y - 210, x - 210) < 180
    # All inside the neighbour; the smaller region has less than 10,000 pixels.
    few = Constants.published_code()
    assert np.pi * 50**2 < few.nucleus_min_area_px < np.pi * 70**2
    regions = published.find_regions(image, few)
    chosen = published.choose_regions(regions, neighbour, few)
    assert chosen[130, 130]
    assert not chosen[290, 290]
