"""Operations on masks: MATLAB's disk, and what is done with it."""

import cv2
import numpy as np
import pytest

from helpers import masks


@pytest.mark.parametrize(
    ("radius", "side", "count"),
    [(1, 3, 5), (2, 5, 13), (3, 5, 25), (4, 7, 37), (5, 9, 69), (6, 11, 109), (10, 19, 321)],
)
def test_the_disk_has_as_many_pixels_as_that_of_matlab(radius, side, count):
    """As ``nnz(strel('disk', r).Neighborhood)`` counts them."""
    drawn = masks.disk(radius)
    assert drawn.shape == (side, side)
    assert np.count_nonzero(drawn) == count


@pytest.mark.parametrize("radius", range(1, 41))
def test_the_disk_is_round_whole_and_nearly_of_its_radius(radius):
    drawn = masks.disk(radius)
    for turned in (drawn.T, drawn[::-1], drawn[:, ::-1]):
        np.testing.assert_array_equal(drawn, turned)
    reach = len(drawn) // 2
    assert reach == radius if radius < 3 else reach == radius - 1
    for row in drawn:
        assert np.count_nonzero(np.diff(row)) <= 2, "no holes"
    if radius > 3:
        area = np.pi * (reach + 0.5) ** 2
        assert np.count_nonzero(drawn) == pytest.approx(area, rel=0.2), "no square, no diamond"


def test_a_radius_is_rounded_and_never_0():
    np.testing.assert_array_equal(masks.disk(0.1), masks.disk(1))
    np.testing.assert_array_equal(masks.disk(4.6), masks.disk(5))


@pytest.mark.parametrize(("closing", "opening"), [(39, 19), (12, 7), (5, 3), (2, 1)])
def test_wide_disks_along_their_lines_are_the_same_up_to_the_border(closing, opening):
    mask = np.zeros((420, 380), bool)
    mask[:70, 5:60] = mask[20:90, 110:150] = mask[300:, 320:] = mask[200:204, 190:360] = True
    plain = mask.astype(np.uint8)
    for operation, radius in (
        (cv2.dilate, closing),
        (cv2.erode, closing),
        (cv2.erode, opening),
        (cv2.dilate, opening),
    ):
        plain = operation(plain, masks.disk(radius))
    tidied = masks.close_and_open(mask, closing, opening)
    assert 0 < np.count_nonzero(tidied) < tidied.size
    np.testing.assert_array_equal(tidied, plain.view(bool))
