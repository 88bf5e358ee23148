"""The ground truth: hand-made lines, class balance, and the published labels."""

import math

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from real_data import need_files, open_sample

from helpers import ground_truth
from helpers.data.published import published_labels, published_name
from helpers.data.stack import Stack
from helpers.ground_truth import OpenLineError
from helpers.ground_truth.balance import median_frequency_weights
from helpers.labels import Label
from helpers.metrics import jaccard_of_masks as jaccard
from helpers.settings import using

SHAPE = (200, 240)
LABEL_MAPS = hnp.arrays(np.uint8, (12, 15), elements=st.integers(1, 4))


def arc(center=(100, 120), radius=60, gap_degrees=0.0, width_px=1, shape=SHAPE) -> np.ndarray:
    """Draw a circle that is open to the right."""
    line = np.zeros(shape, np.uint8)
    half = gap_degrees / 2
    angles = np.deg2rad(np.linspace(half, 360 - half, 2000))
    points = np.stack([center[1] + radius * np.cos(angles), center[0] + radius * np.sin(angles)], 1)
    cv2.polylines(line, [np.rint(points).astype(np.int32)], gap_degrees == 0, 1, width_px)
    return line > 0


def disk(center=(100, 120), radius=60, shape=SHAPE) -> np.ndarray:
    y, x = np.mgrid[: shape[0], : shape[1]]
    return np.hypot(y - center[0], x - center[1]) <= radius


# --- closing a line ------------------------------------------------------------------------------


def test_a_closed_line_stays_as_it_is():
    line = arc(center=(60, 60), radius=30) | arc(center=(130, 170), radius=40, width_px=4)
    np.testing.assert_array_equal(ground_truth.close_line(line), line)


def test_an_empty_line_stays_empty():
    assert not ground_truth.close_line(np.zeros(SHAPE, bool)).any()


@pytest.mark.parametrize("width_px", [1, 2, 4, 5])
def test_a_gap_is_closed_and_the_line_kept(width_px):
    line = arc(gap_degrees=20, width_px=width_px)
    assert not ground_truth.fill_nucleus(line).any()
    closed = ground_truth.close_line(line, max_gap_nm=300)
    assert (closed >= line).all()
    added = closed & ~line
    assert added.sum() < 25 * (width_px + 2)
    assert jaccard(ground_truth.fill_nucleus(closed) | closed, disk() | line) > 0.97


def test_gap_is_measured_in_nanometres_whatever_the_pixel():
    line = arc(gap_degrees=20)  # 21 pixels
    for pixel_size_nm in (5, 10, 40):
        closed = ground_truth.close_line(
            line, max_gap_nm=24 * pixel_size_nm, pixel_size_nm=pixel_size_nm
        )
        assert ground_truth.fill_nucleus(closed).any()
        with pytest.raises(OpenLineError, match=r"narrowest gap is \d+ nm"):
            ground_truth.close_line(
                line, max_gap_nm=15 * pixel_size_nm, pixel_size_nm=pixel_size_nm
            )


def test_several_gaps_and_islands_are_closed_each_on_its_own():
    left, right = (arc(center=(100, x), radius=40, gap_degrees=16, width_px=3) for x in (60, 180))
    closed = ground_truth.close_line(left | right)
    both = ground_truth.fill_nucleus(closed)
    assert cv2.connectedComponents(both.astype(np.uint8))[0] - 1 == 2
    line = arc(width_px=3)
    for y, x in ((40, 120), (160, 120), (100, 60)):
        line &= ~disk((y, x), 6)
    assert not ground_truth.fill_nucleus(line).any()
    mended = ground_truth.fill_nucleus(ground_truth.close_line(line))
    assert jaccard(mended, disk(radius=58)) > 0.95


def test_an_arc_is_joined_to_the_line_beside_it():
    circle = arc(center=(100, 80), radius=50, width_px=3)
    bulge = arc(center=(100, 140), radius=30) & ~disk((100, 80), 55)
    closed = ground_truth.close_line(circle | bulge)
    assert ground_truth.fill_nucleus(closed)[100, 160]


def test_the_border_of_the_slice_closes_a_line_that_ends_on_it():
    line = arc(center=(0, 120), radius=60)
    np.testing.assert_array_equal(ground_truth.close_line(line), line)
    nucleus = ground_truth.fill_nucleus(line)
    assert nucleus[10, 120]
    assert not nucleus[150, 120]


def test_what_cannot_be_closed_is_reported_with_its_place():
    stroke = np.zeros(SHAPE, bool)
    stroke[50, 20:100] = True
    with pytest.raises(OpenLineError, match=r"\(50, 99\), \(50, 20\).*nothing to join"):
        ground_truth.close_line(stroke)
    with pytest.warns(UserWarning, match="is open"):
        kept = ground_truth.close_line(stroke | arc(center=(150, 120), radius=40), open_ends="warn")
    np.testing.assert_array_equal(kept, stroke | arc(center=(150, 120), radius=40))
    with pytest.raises(OpenLineError, match=r"at \(y, x\) = \(50, 20\)\."):
        # Joined at one end, it still encloses nothing.
        ground_truth.close_line(stroke | arc(center=(50, 160), radius=50))
    dot = np.zeros(SHAPE, bool)
    dot[7, 8] = True
    with pytest.raises(OpenLineError, match=r"\(7, 8\)"):
        ground_truth.close_line(dot)


def test_a_dashed_line_is_closed():
    dashes = arc(radius=70)
    y, x = np.nonzero(dashes)
    angle = np.rad2deg(np.arctan2(y - 100, x - 120)) % 12
    dashes[y[angle > 3], x[angle > 3]] = False
    assert cv2.connectedComponents(dashes.astype(np.uint8))[0] - 1 == 30
    assert (
        jaccard(ground_truth.fill_nucleus(ground_truth.close_line(dashes)), disk(radius=69)) > 0.97
    )


def test_open_pieces_nearer_to_each_other_than_their_own_ends_become_one():
    # A documented limit: only nearness counts.
    left = arc(center=(100, 60), radius=40, gap_degrees=40)
    right = np.flip(arc(center=(100, 59), radius=40, gap_degrees=40), axis=1)
    right = np.roll(right, -35, axis=1)
    nucleus = ground_truth.fill_nucleus(ground_truth.close_line(left | right))
    assert cv2.connectedComponents(nucleus.astype(np.uint8))[0] - 1 == 1


@hypothesis_settings(max_examples=25, deadline=None)
@given(
    gap=st.floats(0, 25), width=st.integers(1, 5), angle=st.integers(0, 3), radius=st.floats(25, 70)
)
def test_closing_never_erases_and_always_encloses(gap, width, angle, radius):
    line = np.rot90(arc(radius=radius, gap_degrees=gap, width_px=width), angle)
    closed = ground_truth.close_line(line, max_gap_nm=400)
    assert (closed >= line).all()
    assert ground_truth.fill_nucleus(closed).sum() > 0.8 * math.pi * (radius - width) ** 2


# --- from the line to labels ---------------------------------------------------------------------


def bright_resin() -> np.ndarray:
    """Draw a grey cell in the middle of bright resin."""
    random = np.random.default_rng(0)
    image = random.normal(200, 3, SHAPE)
    # From border to border: resin all around would be taken for a ring, and filled.
    cell = np.zeros(SHAPE, bool)
    cell[:, 50:190] = True
    image[cell] = random.normal(140, 3, SHAPE)[cell]
    return image.astype(np.uint8)


def test_labels_have_every_class_where_it_belongs():
    line = arc(radius=50)
    labels = ground_truth.labels_from_line(line, bright_resin())
    assert labels.dtype == np.uint8
    assert labels[100, 120] == Label.NUCLEUS
    assert labels[100, 120 + 60] == Label.CELL
    assert labels[3, 3] == Label.BACKGROUND
    np.testing.assert_array_equal(labels == Label.NUCLEAR_ENVELOPE, ground_truth.dilate_line(line))


def test_line_and_labels_are_there_and_back():
    line = ground_truth.dilate_line(arc(radius=50), dilation_nm=40)
    labels = ground_truth.labels_from_line(line, bright_resin())
    np.testing.assert_array_equal(ground_truth.drawn_line(labels), line)
    thin = ground_truth.thin_envelope(labels)
    assert thin.sum() < line.sum() / 2
    assert ground_truth.fill_nucleus(thin).any()


def test_a_slice_without_a_line_has_no_nucleus():
    labels = ground_truth.labels_from_line(np.zeros(SHAPE, bool), bright_resin())
    assert set(np.unique(labels)) == {Label.CELL, Label.BACKGROUND}


def test_an_open_line_is_not_taken_silently():
    line = arc(radius=50, gap_degrees=20)
    with pytest.raises(OpenLineError, match="close_line"):
        ground_truth.labels_from_line(line, bright_resin())
    with pytest.warns(UserWarning, match="is open"):
        labels = ground_truth.labels_from_line(line, bright_resin(), open_ends="warn")
    assert not (labels == Label.NUCLEUS).any()
    assert (labels == Label.NUCLEAR_ENVELOPE).any()


def test_dilation_scales_with_the_pixel():
    dot = np.zeros((9, 9), bool)
    dot[4, 4] = True
    for pixel_size_nm, side in ((5, 8), (10, 4), (20, 2), (40, 1)):
        assert ground_truth.dilate_line(dot, pixel_size_nm=pixel_size_nm).sum() == side**2
    # Where the paper's even square lies: MATLAB's imdilate goes one back and two ahead.
    assert np.argwhere(ground_truth.dilate_line(dot)).min() == 3


def test_what_lies_within_the_nucleus_is_nucleus():
    nested = ground_truth.fill_nucleus(arc(radius=60) | arc(radius=20))
    assert nested[100, 120]
    assert nested[100, 120 + 40]


# --- bad input -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: ground_truth.close_line(np.ones((5, 5))), TypeError, "float64.*picture > 0"),
        (lambda: ground_truth.close_line(np.ones((2, 5, 5), bool)), ValueError, "one slice"),
        (lambda: ground_truth.close_line(np.ones((0, 5), bool)), ValueError, "one slice"),
        (lambda: ground_truth.close_line(arc(), max_gap_nm=0), ValueError, "max_gap_nm is 0"),
        (
            lambda: ground_truth.close_line(arc(), pixel_size_nm=math.nan),
            ValueError,
            "pixel_size_nm is nan",
        ),
        (
            lambda: ground_truth.close_line(arc(), open_ends="ignore"),
            ValueError,
            "allowed are raise, warn",
        ),
        (
            lambda: ground_truth.labels_from_line(arc(), bright_resin()[:9, :9]),
            ValueError,
            r"\(200, 240\).*\(9, 9\)",
        ),
        (lambda: ground_truth.labels_from_line(arc(), arc()), TypeError, "uint8"),
        (lambda: ground_truth.fill_nucleus(np.ones((5, 5), bool)), ValueError, "whole border"),
        (lambda: ground_truth.thin_envelope(np.ones((5, 5))), TypeError, "float64"),
        (lambda: ground_truth.drawn_line(np.zeros((5, 5), np.uint8)), ValueError, "0 to 0"),
        (lambda: ground_truth.pixel_counts([]), ValueError, "at least one"),
        (
            lambda: ground_truth.pixel_counts([np.full((2, 2), 5, np.uint8)]),
            ValueError,
            "label map 0 has numbers from 5",
        ),
        (lambda: ground_truth.class_frequencies([[1, 2, 3]]), ValueError, "pixel_counts"),
        (
            lambda: median_frequency_weights([np.full((2, 2), 3, np.uint8)]),
            ValueError,
            "nuclear envelope, nucleus, background",
        ),
        (
            lambda: ground_truth.agreement(np.ones((2, 2), np.uint8), np.ones((2, 3), np.uint8)),
            ValueError,
            "must agree",
        ),
        (lambda: published_name(0), ValueError, "1 to 300"),
        (lambda: published_labels(301), ValueError, "1 to 300"),
    ],
)
def test_bad_input_is_named(call, error, message):
    with pytest.raises(error, match=message):
        call()


# --- class balance -------------------------------------------------------------------------------


@given(maps=st.lists(LABEL_MAPS, min_size=1, max_size=4))
def test_counts_and_frequencies_by_definition(maps):
    counts = ground_truth.pixel_counts(iter(maps))
    for label, frequency in ground_truth.class_frequencies(counts).items():
        have = [m for m in maps if (m == label).any()]
        assert [np.count_nonzero(m == label) for m in maps] == counts[:, label - 1].tolist()
        if have:
            assert frequency == pytest.approx(np.mean(np.stack(have) == label))
        else:
            assert math.isnan(frequency)


def test_weights_of_a_hand_made_case():
    maps = [np.repeat(np.uint8([1, 2, 3, 4]), [1, 2, 4, 3])[None], np.full((1, 10), 3, np.uint8)]
    weights = median_frequency_weights(maps)
    # Frequencies: .1, .2, .7 of two slices, .3; their median is .25.
    assert list(weights.values()) == pytest.approx([2.5, 1.25, 0.25 / 0.7, 0.25 / 0.3])


# --- agreement -----------------------------------------------------------------------------------


def test_neighbours_do_not_count_but_all_islands_do():
    central = np.full(SHAPE, Label.CELL, np.uint8)
    central[20:40, 20:40] = central[60:80, 20:40] = Label.NUCLEUS
    several = central.copy()
    several[100:150, 100:200] = Label.NUCLEUS
    assert ground_truth.agreement(central, several) == 1
    several[60:80, 30:40] = Label.CELL
    assert ground_truth.agreement(central, several) == pytest.approx(600 / 800)
    without = np.full(SHAPE, Label.CELL, np.uint8)
    assert ground_truth.agreement(central, without) == 0
    assert math.isnan(ground_truth.agreement(without, several))
    assert not ground_truth.central_nucleus(several, without).any()


# --- published labels ----------------------------------------------------------------------------


def test_unavailable_labels_are_left_out(mirror):
    with using(mirror), pytest.warns(UserWarning, match="left out"):
        assert ground_truth.published_numbers([1, 2]) == ()


@pytest.fixture(scope="module")
def published(data_dir) -> list[np.ndarray]:
    need_files(data_dir, *map(published_name, range(1, 301)))
    return [ground_truth.pixel_counts([published_labels(n)])[0] for n in range(1, 301)]


def test_weights_of_the_published_ground_truth(published):
    weights = ground_truth.balance(ground_truth.class_frequencies(published))
    assert [round(weight, 2) for weight in weights.values()] == [33.89, 2.26, 0.36, 0.64]
    has_nucleus = np.flatnonzero(np.array(published)[:, Label.NUCLEUS - 1]) + 1
    assert (has_nucleus.min(), has_nucleus.max(), len(has_nucleus)) == (24, 262, 239)


@pytest.fixture(scope="module")
def cell(data_dir) -> Stack:
    return open_sample()


def test_line_of_a_published_slice_gives_back_envelope_and_nucleus_exactly(cell):
    for number in cell.slice_numbers:
        labels = cell.labels(number)
        line = ground_truth.drawn_line(labels)
        envelope = ground_truth.dilate_line(line)
        np.testing.assert_array_equal(envelope, labels == Label.NUCLEAR_ENVELOPE)
        np.testing.assert_array_equal(ground_truth.fill_nucleus(envelope), labels == Label.NUCLEUS)


def test_rebuilt_slice_170_is_the_published_one_but_for_the_background(cell):
    if 170 not in cell.slice_numbers:
        pytest.skip("slice 170 is not in HELA_DATA_DIR")
    truth, image = cell.labels(170), cell.image(170)
    lines = {
        (40, "as drawn"): ground_truth.drawn_line(truth),
        (70, "thinned"): ground_truth.thin_envelope(truth),
    }
    for (dilation_nm, _), line in lines.items():
        for narrow_gaps, least in ((False, 0.96), (True, 0.985)):
            rebuilt = ground_truth.labels_from_line(
                line, image, dilation_nm=dilation_nm, narrow_gaps=narrow_gaps
            )
            different = rebuilt != truth
            assert 1 - different.mean() >= least
            is_background = (rebuilt == Label.BACKGROUND) | (truth == Label.BACKGROUND)
            if dilation_nm == 40:
                assert is_background[different].all()
            else:
                assert is_background[different].mean() > 0.9


def test_a_broken_published_line_can_be_closed(cell):
    number = cell.nearest(170)
    labels = cell.labels(number)
    line = ground_truth.drawn_line(labels)
    broken = line.copy()
    y, x = np.argwhere(line)[0]
    broken[y - 10 : y + 11, x - 10 : x + 11] = False
    assert (ground_truth.fill_nucleus(ground_truth.dilate_line(broken))).sum() < 100
    closed = ground_truth.close_line(broken, max_gap_nm=400)
    nucleus = ground_truth.fill_nucleus(ground_truth.dilate_line(closed))
    assert jaccard(nucleus, labels == Label.NUCLEUS) > 0.999


@pytest.mark.parametrize(
    ("number", "is_own"), [(150, True), (195, True), (33, False), (220, False), (240, False)]
)
def test_several_nuclei_are_edits_or_the_slice_before(data_dir, number, is_own):
    need_files(data_dir, *map(published_name, (number - 1, number)))
    need_files(data_dir, published_name(number, several_nuclei=True))
    several_nuclei = published_labels(number, several_nuclei=True)
    own, before = published_labels(number), published_labels(number - 1)
    background = several_nuclei == Label.BACKGROUND
    assert np.array_equal(background, own == Label.BACKGROUND) == is_own
    assert np.array_equal(background, before == Label.BACKGROUND) == (not is_own)
    if is_own:
        assert ground_truth.agreement(own, several_nuclei) == 1
    else:
        assert ground_truth.agreement(own, several_nuclei) < 0.97
        assert ground_truth.agreement(before, several_nuclei) > 0.998
