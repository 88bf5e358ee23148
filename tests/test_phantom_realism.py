"""The measures give what is known of pictures made for it."""

import cv2
import numpy as np
import pytest

from helpers.labels import Label
from helpers.phantom import realism

EVERYWHERE = np.ones((400, 400), bool)


def gaussian_grain(sigma_x: float, sigma_y: float) -> np.ndarray:
    white = np.random.default_rng(0).standard_normal(EVERYWHERE.shape)
    return 128 + 50 * cv2.GaussianBlur(white, (0, 0), sigmaX=sigma_x, sigmaY=sigma_y)


def test_grey_levels_of_each_class_and_none_of_an_absent_one():
    labels = np.array([[2, 2, 4], [2, 2, 4]], np.uint8)
    image = np.array([[10, 30, 200], [10, 30, 200]], np.uint8)
    table = realism.grey_levels(image, labels)
    assert list(table.index) == [label.title for label in Label]
    assert table.loc["nucleus"].tolist() == [20, 10]
    assert table.loc["background"].tolist() == [200, 0]
    assert table.loc[["nuclear envelope", Label.CELL.title]].isna().all(axis=None)


def test_correlation_is_that_of_the_gaussian_along_each_axis():
    image = gaussian_grain(sigma_x=0.8, sigma_y=1.2)
    for axis, sigma in ((1, 0.8), (0, 1.2)):
        correlation = realism.grain_correlation(image, EVERYWHERE, axis=axis)
        assert correlation.shape == (4,)
        assert correlation[0] == 1
        # What is taken off as structure lowers the correlation.
        assert correlation[1] == pytest.approx(np.exp(-1 / (4 * sigma**2)), abs=0.06)
        length = realism.correlation_length_px(image, EVERYWHERE, axis=axis)
        assert length == pytest.approx(2 * sigma * np.sqrt(np.log(2)), rel=0.1)


def test_white_noise_is_correlated_with_nothing():
    white = np.random.default_rng(0).standard_normal(EVERYWHERE.shape)
    correlation = realism.grain_correlation(white, EVERYWHERE, axis=0, max_lag_px=6)
    assert np.abs(correlation[1:]).max() < 0.03
    assert realism.correlation_length_px(white, EVERYWHERE, axis=0) < 0.6


def test_only_what_is_inside_counts():
    half = EVERYWHERE.copy()
    half[:, 200:] = False
    fine, coarse = gaussian_grain(0.5, 0.5), gaussian_grain(1.5, 1.5)
    image = np.where(half, fine, coarse)
    inner = cv2.erode(half.astype(np.uint8), np.ones((21, 21))) > 0
    alone, mixed = (
        realism.correlation_length_px(picture, inner, axis=1) for picture in (fine, image)
    )
    assert mixed == pytest.approx(alone)


def test_grain_coarser_than_three_pixels_has_no_length():
    waves = np.tile(10 * np.sin(np.arange(400) / 4), (400, 1))
    assert np.isnan(realism.correlation_length_px(waves, EVERYWHERE, axis=0))


@pytest.mark.parametrize("wide", [6, 10])
def test_thickness_of_a_ring(wide):
    distance = np.hypot(*(np.indices((300, 300)) - 150))
    labels = np.full((300, 300), Label.CELL, np.uint8)
    labels[(distance > 100) & (distance <= 100 + wide)] = Label.NUCLEAR_ENVELOPE
    assert realism.envelope_thickness_px(labels) == pytest.approx(wide, abs=1.1)


def test_no_envelope_has_no_thickness():
    assert np.isnan(realism.envelope_thickness_px(np.full((9, 9), 3, np.uint8)))


@pytest.mark.parametrize(
    ("inside", "axis", "message"),
    [
        (np.ones((4, 5), bool), 0, "must be one slice"),
        (np.ones((9, 9), bool), 2, "axis is 2; allowed are 0"),
        (np.eye(9, dtype=bool), 0, "No two pixels inside lie 1 pixels apart along axis 0"),
    ],
)
def test_what_cannot_be_measured_is_said(inside, axis, message):
    with pytest.raises(ValueError, match=message):
        realism.grain_correlation(np.zeros((9, 9)), inside, axis=axis)
