import numpy as np
import pytest

from helpers.show import square_around, thicken


@pytest.mark.parametrize("center", [(0, 0), (59, 3), (30.4, 79.9), (30, 40)])
def test_a_square_lies_inside_the_slice(center):
    rows, columns = square_around(center, 0.4, shape=(60, 80), pixel_size_nm=10)
    assert np.zeros((60, 80))[rows, columns].shape == (40, 40)
    assert 0 <= rows.start <= rows.stop <= 60
    assert 0 <= columns.start <= columns.stop <= 80


def test_a_square_around_a_place_in_the_middle_has_it_in_the_middle():
    rows, columns = square_around((30, 40), 0.2, shape=(60, 80), pixel_size_nm=10)
    assert (rows.start, rows.stop, columns.start, columns.stop) == (20, 40, 30, 50)


def test_a_square_wider_than_the_slice_is_cut():
    rows, columns = square_around((30, 40), 50, shape=(60, 80), pixel_size_nm=10)
    assert (rows.start, rows.stop, columns.start, columns.stop) == (0, 60, 10, 70)


def test_a_square_without_a_pixel_is_an_error():
    with pytest.raises(ValueError, match="no pixel of 100 nm"):
        square_around((30, 40), 0.01, shape=(60, 80), pixel_size_nm=100)


def test_lines_become_wider_in_large_pictures_only():
    for side, width in ((400, 1), (1000, 3), (2000, 5)):
        mask = np.zeros((side, side), bool)
        mask[side // 2] = True
        assert thicken(mask).sum() == width * side
