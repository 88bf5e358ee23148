"""What the passes keep, how slices vote, what was made faster, and how much a run holds."""

import tracemalloc
import weakref

import numpy as np
import pytest
from drawn_stack import SHAPE, drawn_slice, drawn_stack
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage

from helpers import masks
from helpers.labels import Label
from helpers.masks import majority
from helpers.traditional import Constants, draw_labels
from helpers.traditional.edges import blur
from helpers.volume import segment_stack
from helpers.volume.ahead import order
from helpers.volume.passes import Step
from helpers.volume.rules import Found

FEW = hypothesis_settings(max_examples=30, deadline=None)

# The drawn cell has slices without nucleus: what is said of them, test_doubts.py tests.
pytestmark = pytest.mark.filterwarnings("ignore::helpers.traditional.doubts.DoubtWarning")


# --- order, vote, what is kept -------------------------------------------------------------------


@FEW
@given(st.sets(st.integers(1, 400), min_size=1), st.data())
def test_the_passes_meet_every_slice_once(numbers, draw):
    centre = draw.draw(st.sampled_from(sorted(numbers)))
    met = order(tuple(sorted(numbers)), centre)
    assert sorted(met) == sorted(numbers)
    assert met[0] == centre
    up, down = ([n for n in met if (n > centre) == above] for above in (True, False))
    assert up == sorted(up)
    assert down == sorted(down, reverse=True)
    shorter = min(len(up), len(down) - 1)
    assert [n > centre for n in met[1 : 1 + 2 * shorter]] == [True, False] * shorter


@FEW
@given(
    hnp.arrays(bool, st.tuples(st.sampled_from([1, 5, 13]), st.integers(3, 20), st.integers(3, 20)))
)
def test_the_vote_is_the_median_filter(volume):
    middle = len(volume) // 2
    median = ndimage.median_filter(volume.astype(np.uint8), size=(len(volume), 3, 3))[middle]
    inner = np.s_[1:-1, 1:-1]
    np.testing.assert_array_equal(majority(list(volume))[inner], median[inner].astype(bool))


def test_half_of_the_votes_are_no_majority():
    yes, no = np.ones((5, 6), bool), np.zeros((5, 6), bool)
    assert not majority([yes, no]).any()
    assert majority([yes, yes, no]).all()
    assert not majority([no]).any()


@FEW
@given(hnp.arrays(bool, st.tuples(st.just(3), st.integers(1, 19), st.integers(1, 19))))
def test_a_step_gives_back_its_masks(three):
    nucleus, votes, background = three
    kept = Step.of(Found(nucleus, votes, 150.0), background)
    for name, mask in (("nucleus", nucleus), ("votes", votes), ("background", background)):
        np.testing.assert_array_equal(kept.mask(name), mask)
    np.testing.assert_array_equal(kept.found.votes, votes)
    assert kept.found.level == 150.0


# --- what the steps in one slice do faster -------------------------------------------------------


@pytest.mark.parametrize("sigma_px", [6.0, 9.0])
@pytest.mark.parametrize("shape", [(400, 300), (251, 333), (250, 127), (40, 33)])
def test_the_wide_blur_at_half_resolution_is_the_gaussian(shape, sigma_px):
    random = np.random.default_rng(0)
    image = ndimage.gaussian_filter(random.normal(150, 60, shape).astype(np.float32), 2)
    full = ndimage.gaussian_filter(image.astype(float), sigma_px, mode="nearest", truncate=8)
    error = np.abs(blur(image, sigma_px) - full)
    assert full.std() > 0.5, "there is something to blur"
    assert error.mean() < 0.002
    rim = np.ones(shape, bool)
    rim[5:-5, 5:-5] = False
    assert error[rim].mean() < 0.004
    assert error.max() < 0.03


def test_the_line_around_the_nucleus_has_its_thickness():
    y, x = np.mgrid[:160, :160]
    nucleus = (np.hypot(y - 80, x - 80) < 40) | (np.hypot(y - 80, x - 130) < 12)
    background = (x > 115) | (x < 10)
    background[nucleus] = True  # where they meet, it is nucleus
    labels = draw_labels(nucleus, background, Constants())
    distance = ndimage.distance_transform_edt(~nucleus)
    line = ~nucleus & (distance <= 9.5)
    assert labels.dtype == np.uint8
    np.testing.assert_array_equal(labels == Label.NUCLEUS, nucleus)
    np.testing.assert_array_equal(labels == Label.NUCLEAR_ENVELOPE, line)
    np.testing.assert_array_equal(labels == Label.BACKGROUND, background & ~nucleus & ~line)
    coarse = draw_labels(nucleus, background, Constants.at(300.0))
    assert (coarse[(distance > 0) & (distance <= 1)] == Label.NUCLEAR_ENVELOPE).all()
    empty = draw_labels(np.zeros_like(nucleus), background)
    np.testing.assert_array_equal(empty == Label.BACKGROUND, background)
    np.testing.assert_array_equal(empty == Label.CELL, ~background)


@FEW
@given(hnp.arrays(bool, hnp.array_shapes(min_dims=2, max_dims=2, max_side=60)))
def test_the_fast_distance_is_right_to_two_percent(mask):
    np.testing.assert_allclose(masks.distance_about(mask), masks.distance_to(mask), rtol=0.021)


# --- memory --------------------------------------------------------------------------------------


def most_slices_held(count: int, mode: str, workers: int) -> tuple[int, int]:
    """Segment a stack of some height; return the most slices alive at once, and the peak."""
    alive: list[weakref.ref] = []
    most = 0

    def image(number):
        nonlocal most
        # Up and down the same few slices, so that each has a nucleus.
        place = abs((number + 5) % 12 - 6) + 10
        read = drawn_slice(place)[0].copy()
        alive[:] = [each for each in alive if each() is not None]
        alive.append(weakref.ref(read))
        most = max(most, len(alive))
        return read

    cell = drawn_stack(range(1, count + 1), image)
    tracemalloc.start()
    try:
        with_nucleus = 0
        for _, labels in segment_stack(cell, mode=mode, workers=workers, progress=False):
            with_nucleus += (labels == Label.NUCLEUS).any()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert with_nucleus > 0.9 * count, "or little would have to be held"
    return most, peak


@pytest.mark.parametrize("mode", ["improved", "published"])
def test_memory_does_not_grow_with_the_number_of_slices(mode):
    most_slices_held(24, mode, 1)  # What is made once and kept.
    # How threads take turns adds to a peak, and takes nothing away: the lowest of some counts.
    few, few_peak = map(min, zip(*(most_slices_held(24, mode, 1) for _ in range(3)), strict=True))
    runs = [most_slices_held(96, mode, 1) for _ in range(3)]
    many, many_peak = max(held for held, _ in runs), min(peak for _, peak in runs)
    assert few <= many <= max(few, 8)
    one_slice_packed = 3 * SHAPE[0] * SHAPE[1] / 8
    assert many_peak - few_peak < 10 * one_slice_packed, "72 more slices, and not ten held"


def test_more_workers_hold_a_few_more_slices():
    most, _ = most_slices_held(60, "improved", 2)
    assert most <= 10
