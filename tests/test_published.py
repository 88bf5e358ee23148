"""The authors' own method: against the masks that their code gives, and rule by rule."""

from dataclasses import replace
from itertools import takewhile
from pathlib import Path

import cv2
import numpy as np
import pytest
from drawn_stack import MIDDLE, SHAPE, drawn_slice, drawn_stack
from real_data import need_files, need_slices, open_sample

from helpers.data import SAMPLE_SLICES
from helpers.data.stack import Stack
from helpers.labels import Label
from helpers.metrics import jaccard_of_masks as jaccard
from helpers.traditional import Constants, published
from helpers.volume import segment_stack
from helpers.volume.ahead import order
from helpers.volume.published import MEDIAN_SLICES, _pack, _tidied, _Walk, mirrored

CENTRE = 151
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


def neighbour_of(number: int) -> int:
    """Return the slice of the sample from whose nucleus theirs of this one came."""
    numbers = sorted(SAMPLE_SLICES)
    return numbers[numbers.index(number) + (1 if number <= CENTRE else -1)]


@pytest.mark.parametrize("number", SAMPLE_SLICES)
def test_the_nucleus_from_a_neighbour_is_theirs(cell, data_dir, number):
    need_slices(data_dir, number)
    known = theirs(data_dir, "nucleus-from-neighbour", number)
    neighbour = theirs(data_dir, "nucleus-from-neighbour", neighbour_of(number))
    found = published.segment_nucleus(cell.image(number), neighbour)
    assert found.any() == known.any()
    assert not known.any() or jaccard(found, known) >= 0.99


def test_a_stack_of_real_slices_is_theirs(cell, data_dir):
    """From the centre as far up as the sample goes without a gap; the median of 3 x 3 is ours."""
    above = [number for number in sorted(SAMPLE_SLICES) if number >= CENTRE]
    at_hand = list(takewhile(cell.slice_numbers.__contains__, above))[:2]
    need_slices(data_dir, *above[:2])
    known = {number: theirs(data_dir, "nucleus-from-neighbour", number) for number in at_hand}
    few = replace(cell, slice_numbers=tuple(at_hand))
    options = {"mode": "published", "centre": CENTRE, "workers": 1, "progress": False}
    for number, labels in segment_stack(few, **options):
        assert jaccard(labels == Label.NUCLEUS, known[number]) >= 0.97, f"slice {number}"
        background = labels == Label.BACKGROUND
        assert jaccard(background, theirs(data_dir, "background", number)) >= 0.98


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
    regions = squares((20, 120, 20, 130), (20, 120, 150, 260))
    neighbour = np.zeros(regions.shape, bool)
    neighbour[10:130, 10:140] = True
    # 77 of the 100 rows of region 2, of which 76 are left.
    neighbour[19:97, 140:270] = True
    assert published.choose_regions(regions, neighbour, AT_10_NM)[50, 200]
    neighbour[96, 140:270] = False
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


# --- a stack -------------------------------------------------------------------------------------


def segmented(cell: Stack, **options) -> dict[int, np.ndarray]:
    return dict(segment_stack(cell, mode="published", workers=1, progress=False, **options))


def test_the_slices_come_in_their_order_and_start_from_the_middle():
    seen = []

    def image(number):
        seen.append(number)
        return drawn_slice(number)[0]

    result = segmented(drawn_stack(range(8, 18), image))
    assert list(result) == list(range(8, 18))
    assert seen[:10] == [12, 13, 11, 14, 10, 15, 9, 16, 8, 17], "of ten slices the fifth"


def test_the_centre_is_segmented_again_from_the_slice_above_it(monkeypatch):
    calls = []

    def grow(image, _regions, neighbour, _constants):
        calls.append((int(image[0, 0]), neighbour if neighbour is None else neighbour.sum()))
        return np.arange(100).reshape(10, 10) < len(calls)

    monkeypatch.setattr(published, "grow_nucleus", grow)
    walk, nothing = _Walk(3, AT_10_NM), np.zeros((10, 10), bool)
    for number in order((1, 2, 3, 4, 5), 3):
        walk.advance(number, np.full((10, 10), number, np.uint8), nothing, nothing)
    # The slice, and how many pixels the nucleus had that came with it: the nth call gives n.
    assert calls == [(3, None), (4, 1), (3, 2), (2, 3), (5, 2), (1, 4)]


def test_no_nucleus_comes_after_a_slice_without_one():
    random = np.random.default_rng(0)

    def image(number):
        return drawn_slice(MIDDLE)[0] if number != 8 else random.integers(0, 255, SHAPE, np.uint8)

    result = segmented(drawn_stack(range(1, 24), image), centre=1)
    found = [number for number in result if (result[number] == Label.NUCLEUS).any()]
    # The median of 13 slices takes one more along, as 7 of its 13 have a nucleus.
    assert found in ([1, 2, 3, 4, 5, 6, 7], [1, 2, 3, 4, 5, 6, 7, 8])


def test_resin_removes_nucleus_only_where_the_two_meet_at_all():
    nucleus, resin = np.zeros((2, 200, 200), bool)
    nucleus[50:150, 50:150] = True
    resin[:, 160:] = True
    touching = resin.copy()
    touching[100, 149] = True
    stack = drawn_stack(range(1, 41))
    for last, removed in ((resin, False), (touching, True)):
        walk = _Walk(20, AT_10_NM)
        for number in stack.slice_numbers:
            background = last if number == 40 else resin
            walk.nuclei[number], walk.backgrounds[number] = _pack(nucleus), _pack(background)
        small = replace(stack, shape=(200, 200))
        result = {each: left for each, left, _ in _tidied(walk, small, AT_10_NM)}
        for number in (1, 20, 40):
            assert result[number][100, 120], "far from all resin"
            assert result[number][60, 148] == (not removed), "12 pixels"
        assert result[40][100, 135] == (not removed), "14 pixels from where they meet"
        assert result[20][100, 135], "and 20 slices from there"


def test_the_median_sees_the_slices_mirrored():
    numbers = tuple(range(5, 35))
    assert mirrored(20, numbers) == list(range(14, 27))
    assert mirrored(5, numbers) == [10, 9, 8, 7, 6, 5, 5, 6, 7, 8, 9, 10, 11]
    assert mirrored(34, numbers)[-7:] == [34, 34, 33, 32, 31, 30, 29]
    padded = np.pad(np.arange(3), MEDIAN_SLICES // 2, mode="symmetric")
    assert mirrored(2, (1, 2, 3)) == (padded[1 : 1 + MEDIAN_SLICES] + 1).tolist()
