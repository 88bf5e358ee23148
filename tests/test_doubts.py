"""What the traditional method says of its own results: damaged slices, implausible nuclei."""

import warnings
from dataclasses import replace

import cv2
import numpy as np
import pytest
from drawn_stack import COUNT, MIDDLE, SHAPE, drawn_slice, drawn_stack
from real_data import open_sample, open_second_cell

from helpers.data import phantom_stack
from helpers.label_maps import LabelMaps
from helpers.labels import Label
from helpers.metrics import jaccard_of_masks as jaccard
from helpers.phantom import Phantom
from helpers.traditional import (
    Constants,
    find_doubts,
    segment_background,
    segment_nucleus,
    segment_slice,
    select_nucleus,
)
from helpers.traditional.choice import choose_region
from helpers.traditional.doubts import DoubtWarning, inside_frame
from helpers.volume import segment_stack, segment_to_folder
from helpers.volume.doubts import find_doubts as find_doubts_of_stack

PIXEL_NM = 40.0


def kinds(image, nucleus, pixel_size_nm=PIXEL_NM) -> list[str]:
    return [doubt.kind for doubt in find_doubts(image, nucleus, pixel_size_nm=pixel_size_nm)]


@pytest.fixture
def drawn() -> tuple[np.ndarray, np.ndarray]:
    """Draw the middle slice of a cell, and its nucleus."""
    image, labels = drawn_slice(MIDDLE)
    return image, labels == Label.NUCLEUS


# --- one slice -----------------------------------------------------------------------------------


def test_a_plain_nucleus_leaves_no_doubt(drawn):
    assert kinds(*drawn) == []
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        segment_nucleus(drawn[0], pixel_size_nm=PIXEL_NM)
        segment_slice(drawn[0], pixel_size_nm=PIXEL_NM)


def test_each_kind_of_doubt(drawn):
    image, nucleus = drawn
    nothing, corner = np.zeros_like(nucleus), np.zeros_like(nucleus)
    corner[:70, :60] = True
    resin = np.zeros_like(nucleus)
    resin[20:50, 150:175] = True
    assert kinds(image, nothing) == ["nothing found"]
    assert kinds(np.full_like(image, 90), nothing) == ["slice blank"]
    assert "touches border" in kinds(image, corner)
    assert "centre uncertain" in kinds(image, corner)
    assert "grey implausible" in kinds(255 - image, nucleus)
    assert "grey implausible" in kinds(image, resin)
    assert "area implausible" in kinds(image, nucleus, 4 * PIXEL_NM)
    assert "area implausible" in kinds(image, nucleus, PIXEL_NM / 4)
    torn = image.copy()
    torn[100:] = 0
    assert "slice torn" in kinds(torn, nucleus)


def test_clipped_grey_levels_are_told_from_missing_ones(drawn):
    image, nucleus = drawn
    bright = cv2.add(image, 95)
    assert np.mean(bright == 255) > 0.1
    assert kinds(bright, nucleus) == ["grey implausible"]


@pytest.mark.parametrize("function", [segment_nucleus, segment_slice])
def test_doubts_are_warnings(function, drawn):
    blank = np.zeros(SHAPE, np.uint8)
    with pytest.warns(DoubtWarning, match="slice blank: The slice: it shows nothing") as caught:
        function(blank, pixel_size_nm=PIXEL_NM)
    [doubt] = caught[0].message.doubts
    assert (doubt.kind, doubt.number) == ("slice blank", None)


# --- what lies where it is not looked for --------------------------------------------------------


@pytest.mark.parametrize("move", [(-45, 0), (0, 45), (-42, -38), (-20, -20)])
def test_a_nucleus_at_the_border_or_in_a_corner_is_found(move):
    image, truth = (np.roll(each, move, axis=(0, 1)) for each in drawn_slice(MIDDLE))
    truth = truth == Label.NUCLEUS
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DoubtWarning)
        nucleus = segment_nucleus(image, pixel_size_nm=PIXEL_NM)
    assert jaccard(nucleus, truth) > 0.9
    touches = any(side.any() for side in (truth[0], truth[-1], truth[:, 0], truth[:, -1]))
    assert ("touches border" in kinds(image, nucleus)) == touches


def test_size_and_plainness_count_and_not_nearness_alone():
    side = 250
    y, x = np.mgrid[:side, :side]
    regions = np.zeros((side, side), np.int32)
    regions[np.hypot(y - 125, x - 160) < 24] = 1  # 3 um2, 1.4 um from the centre
    regions[np.hypot(y - 125, x - 60) < 58] = 2  # 17 um2, 2.6 um
    regions[(y > 200) & (x % 9 > 4)] = 3
    smoothed = np.where(regions > 0, 150, 145).astype(np.float32)
    smoothed[:30] = 210
    constants = Constants.at(PIXEL_NM)
    nearest = select_nucleus(regions, None, constants)
    assert np.unique(regions[nearest]).tolist() == [1]
    chosen = choose_region(regions, smoothed, constants)
    assert np.unique(regions[chosen]).tolist() == [2]
    # Given a neighbour, near is what is near to that.
    chosen = choose_region(regions, smoothed, constants, neighbour=regions == 1)
    assert np.unique(regions[chosen]).tolist() == [1]
    # Resin is no nucleus.
    smoothed[regions == 2] = 205
    chosen = choose_region(regions, smoothed, constants)
    assert np.unique(regions[chosen]).tolist() == [1]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda image: cv2.add(image, 60),
        lambda image: cv2.rectangle(image.copy(), (110, 160), (160, 163), 255, -1),
    ],
    ids=["60 grey levels brighter, and clipped", "a scale bar"],
)
def test_the_nucleus_stays_where_it_is(spoil, drawn):
    image, truth = drawn
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DoubtWarning)
        assert jaccard(segment_nucleus(spoil(image), pixel_size_nm=PIXEL_NM), truth) > 0.94


@pytest.mark.parametrize("shift", [-60, 40])
def test_resin_is_found_in_darker_and_brighter_slices(shift):
    image = phantom_stack().image(24)
    resin = segment_background(image, pixel_size_nm=PIXEL_NM)
    shifted = np.clip(image.astype(int) + shift, 0, 255).astype(np.uint8)
    assert jaccard(segment_background(shifted, pixel_size_nm=PIXEL_NM), resin) > 0.97


# --- frames and strips ---------------------------------------------------------------------------


@pytest.mark.parametrize("level", [0, 128, 255])
@pytest.mark.parametrize("sides", [(2, 2, 2, 2), (15, 0, 3, 0), (0, 12, 0, 20)])
def test_a_frame_is_cut_off(level, sides, drawn):
    image, _ = drawn
    top, _, left, _ = sides
    framed = cv2.copyMakeBorder(image, *sides, cv2.BORDER_CONSTANT, value=level)
    box = inside_frame(framed)
    assert box == (slice(top, top + SHAPE[0]), slice(left, left + SHAPE[1]))
    with pytest.warns(DoubtWarning, match="frame cut off"):
        nucleus = segment_nucleus(framed, pixel_size_nm=PIXEL_NM)
    np.testing.assert_array_equal(nucleus[box], segment_nucleus(image, pixel_size_nm=PIXEL_NM))
    assert nucleus.sum() == nucleus[box].sum()
    background = segment_background(framed, pixel_size_nm=PIXEL_NM)
    np.testing.assert_array_equal(
        background[box], segment_background(image, pixel_size_nm=PIXEL_NM)
    )
    background[box] = True
    assert background.all()


def test_a_strip_with_writing_is_cut_off(drawn):
    image, _ = drawn
    strip = np.zeros((20, SHAPE[1]), np.uint8)
    strip[8:12, 20:90] = strip[4:16, 120:150:4] = 255
    framed = np.vstack([image, strip])
    assert inside_frame(framed) == (slice(0, SHAPE[0]), slice(0, SHAPE[1]))


def test_no_frame_in_a_picture_of_flat_areas():
    assert inside_frame(np.full((50, 60), 7, np.uint8)) == (slice(0, 50), slice(0, 60))
    halves = np.repeat(np.array([[50], [150]], np.uint8), 40, axis=0).repeat(90, axis=1)
    assert inside_frame(halves) == (slice(0, 80), slice(0, 90))


# --- a stack -------------------------------------------------------------------------------------

INNER = range(8, 19)


def of_stack(stack, **options) -> list:
    doubts = []
    list(segment_stack(stack, workers=1, progress=False, doubts=doubts, **options))
    return doubts


def test_a_plain_stack_leaves_no_doubt():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        list(segment_stack(drawn_stack(INNER), workers=1, progress=False))
    assert of_stack(drawn_stack(INNER)) == []


def test_doubts_of_a_stack_name_their_slices():
    def image(number):
        return np.zeros(SHAPE, np.uint8) if number in (11, 15) else drawn_slice(number)[0]

    stack = drawn_stack(INNER, image)
    blank = [doubt.number for doubt in of_stack(stack) if doubt.kind == "slice blank"]
    assert blank == [11, 15]
    with pytest.warns(DoubtWarning, match=r"slice blank: Slice 11: .* Also in slices 15\."):
        list(segment_stack(stack, workers=1, progress=False))


def torn(image):
    """Take the lower part of a slice away, through the nucleus."""
    image = image.copy()
    image[95:] = 0
    return image


@pytest.mark.parametrize(("distance", "expected"), [(1, 0.88), (2, 0.8)], ids=["close", "far"])
@pytest.mark.parametrize(
    "spoil",
    [
        lambda image: np.zeros_like(image),
        lambda image: np.full_like(image, 255),
        lambda image: np.random.default_rng(0).normal(120, 3, image.shape).astype(np.uint8),
        torn,
    ],
    ids=["black", "white", "lost", "torn"],
)
def test_a_damaged_slice_is_bridged_and_named(spoil, distance, expected):
    numbers = range(1, COUNT + 1, distance)
    bad = {numbers[len(numbers) // 2 + 1], numbers[len(numbers) // 2 - 2]}

    def image(number):
        whole = drawn_slice(number)[0]
        return spoil(whole) if number in bad else whole

    doubts, result = [], {}
    stack = drawn_stack(numbers, image)
    result = dict(segment_stack(stack, workers=1, progress=False, doubts=doubts))
    named = {each.number for each in doubts if each.kind in ("slice blank", "slice torn")}
    assert named == bad
    whole = dict(segment_stack(drawn_stack(numbers), workers=1, progress=False, doubts=[]))
    for number in numbers:
        truth = stack.labels(number) == Label.NUCLEUS
        if not truth.any():
            continue
        if number in bad:
            assert jaccard(result[number] == Label.NUCLEUS, truth) > expected, f"slice {number}"
        else:
            least = jaccard(whole[number] == Label.NUCLEUS, truth) - 0.03
            assert jaccard(result[number] == Label.NUCLEUS, truth) >= least, f"slice {number}"


def test_over_a_wide_gap_the_slice_decides():
    """A neighbour far away holds cytoplasm as well, which is nucleus for it."""
    small = Phantom((9, 500, 500), (1500.0, 40.0, 40.0), seed=3)
    cell = phantom_stack(small)
    result = dict(segment_stack(cell, workers=1, progress=False, doubts=[]))
    ours, alone = [], []
    for number in cell.slice_numbers:
        truth = cell.labels(number) == Label.NUCLEUS
        if truth.any():
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DoubtWarning)
                single = segment_nucleus(cell.image(number), pixel_size_nm=PIXEL_NM)
            ours.append(jaccard(result[number] == Label.NUCLEUS, truth))
            alone.append(jaccard(single, truth))
    assert len(ours) >= 5
    assert np.mean(ours) >= np.mean(alone) - 0.005


def test_a_folder_that_is_complete_has_the_same_doubts(tmp_path):
    def image(number):
        return np.zeros(SHAPE, np.uint8) if number == 11 else drawn_slice(number)[0]

    stack, first, second = drawn_stack(INNER, image), [], []
    for doubts in (first, second):
        segment_to_folder(stack, tmp_path, workers=1, progress=False, doubts=doubts)
    assert first
    assert first == second
    assert find_doubts_of_stack(stack, LabelMaps(tmp_path)) == first


def test_a_stack_without_nucleus_is_doubted_once():
    noise = np.random.default_rng(0).normal(150, 30, SHAPE).clip(0, 255).astype(np.uint8)
    doubts = of_stack(drawn_stack(range(1, 4), lambda _number: noise))
    assert [(doubt.kind, doubt.number) for doubt in doubts] == [("nothing found", None)]


def test_a_voxel_size_that_is_wrong_is_doubted():
    for factor in (0.25, 4):
        stack = drawn_stack(INNER)
        voxel_nm = (stack.voxel_nm[0], *(factor * side for side in stack.voxel_nm[1:]))
        doubts = of_stack(replace(stack, voxel_nm=voxel_nm))
        assert {doubt.kind for doubt in doubts} & {"area implausible", "nothing found"}


# --- real slices ---------------------------------------------------------------------------------


@pytest.mark.parametrize("opener", [open_sample, lambda: open_second_cell(least=1)])
def test_real_slices_are_not_doubted(opener, data_dir):
    cell = opener()
    # 260 is right to be: on its own, the slice gives cytoplasm.
    for number in sorted({*cell.some(4)} - {260}):
        image = cell.image(number)
        nucleus = segment_nucleus(image, pixel_size_nm=cell.pixel_size_nm)
        assert kinds(image, nucleus, cell.pixel_size_nm) == [], f"slice {number}"
        assert "grey implausible" in kinds(255 - image, nucleus, cell.pixel_size_nm)
