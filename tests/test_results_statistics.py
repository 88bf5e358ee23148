from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from scipy.signal import lfilter

from helpers.results import statistics
from helpers.results.selection import short_names


def autoregressive(phi, slices, series, seed=1):
    """Series whose mean is 0, each value `phi` times the one before plus noise."""
    noise = np.random.default_rng(seed).normal(size=(series, slices + 200))
    return lfilter([1], [1, -phi], noise, axis=1)[:, 200:]


@pytest.mark.parametrize(("phi", "slices"), [(0.0, 100), (0.6, 150), (0.8, 239)])
def test_intervals_have_the_true_mean_in_them(phi, slices):
    series = autoregressive(phi, slices, 300)
    found = np.array([statistics.interval(x, samples=600) for x in series])
    inside = ((found[:, 0] < 0) & (found[:, 1] > 0)).mean()
    assert 0.87 <= inside <= 0.98
    naive = 1.96 * series.std(axis=1) / np.sqrt(slices)
    covered = (np.abs(series.mean(axis=1)) < naive).mean()
    if phi:
        assert covered < 0.75  # what intervals for independent slices would claim


def test_blocks_grow_with_the_likeness_of_neighbours():
    lengths = [
        np.median([statistics.block_length(x) for x in autoregressive(phi, 239, 40)])
        for phi in (0, 0.5, 0.8, 0.9)
    ]
    assert lengths[0] <= 3
    assert all(a < b for a, b in pairwise(lengths))
    # The formula's own optimum for a first-order series, within half of it.
    for phi, length in zip((0.5, 0.8, 0.9), lengths[1:], strict=True):
        best = (1.5 * (2 * phi / (1 - phi**2)) ** 2 * 239) ** (1 / 3)
        assert abs(length - best) < best / 2


def test_block_length_of_short_and_constant_series():
    assert statistics.block_length(np.ones(20)) == 1
    assert statistics.block_length(np.array([0.1, 0.2])) == 1
    assert statistics.block_length(np.arange(9.0)) <= 3


def test_blocks_of_one_are_the_ordinary_bootstrap():
    values = np.random.default_rng(0).normal(size=50)
    means = statistics.bootstrap_means(values, block=1, samples=20_000)[0]
    assert means.mean() == pytest.approx(values.mean(), abs=0.005)
    assert means.std() == pytest.approx(values.std() / np.sqrt(50), rel=0.03)


@pytest.mark.parametrize("block", [1, 4, 7, 10])
def test_drawn_means_are_means_of_drawn_blocks(block):
    values = np.random.default_rng(3).normal(size=(2, 10)) + 5
    found = statistics.bootstrap_means(values, block=block, samples=50, seed=4)
    blocks = -(-10 // block)
    starts = np.random.default_rng(4).integers(0, 10, size=(50, blocks))
    for at, begin in enumerate(starts):
        index = np.concatenate([np.arange(b, b + block) % 10 for b in begin])[:10]
        np.testing.assert_allclose(found[:, at], values[:, index].mean(axis=1))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"block": 0}, "block is 0; allowed are whole numbers from 1 to 5"),
        ({"block": 6}, "block is 6"),
        ({"block": 2, "samples": 0}, "samples is 0"),
    ],
)
def test_bootstrap_refuses(arguments, message):
    with pytest.raises(ValueError, match=message):
        statistics.bootstrap_means(np.arange(5.0), **arguments)


def test_values_must_be_finite_and_some():
    with pytest.raises(ValueError, match="values are not all finite"):
        statistics.interval([0.5, np.nan, 0.3])
    with pytest.raises(ValueError, match=r"values have shape \(1, 1\)"):
        statistics.interval([0.5])
    with pytest.raises(ValueError, match=r"level is 95; .* 0\.95"):
        statistics.interval([0.5, 0.4], level=95)


@pytest.fixture
def wide():
    noise = autoregressive(0.7, 151, 3, seed=5) * 0.01
    return pd.DataFrame(
        {"best": 0.95 + noise[0], "good": 0.93 + noise[1], "close": 0.928 + noise[2]},
        index=pd.RangeIndex(75, 226, name="slice"),
    )


def test_mean_intervals(wide):
    out = statistics.mean_intervals(wide)
    assert out["mean"].to_dict() == pytest.approx(wide.mean().to_dict())
    assert (out["low"] < out["mean"]).all()
    assert (out["mean"] < out["high"]).all()
    assert (out["slices"] == 151).all()
    wide.loc[80:89, "good"] = np.nan
    assert (statistics.mean_intervals(wide, block=5)["slices"] == 141).all()


def test_paired_differences_note_what_says_nothing(wide):
    out = statistics.paired_differences(wide, truth_agreement=0.985)
    assert list(out.index) == [("best", "good"), ("best", "close"), ("good", "close")]
    clear, close = out.loc[("best", "good")], out.loc[("good", "close")]
    assert clear["difference"] == pytest.approx((wide["best"] - wide["good"]).mean())
    assert clear["low"] > 0
    assert clear["note"] == ""
    assert "below what two ground truths differ by (0.015)" in close["note"]
    assert "contains 0" in close["note"]
    assert "contains 0" not in statistics.paired_differences(wide)["note"].iloc[0]


def test_pairing_removes_what_methods_share():
    shared = autoregressive(0.9, 200, 1)[0] * 0.05
    own = np.random.default_rng(2).normal(size=(2, 200)) * 0.003
    wide = pd.DataFrame({"a": 0.9 + shared + own[0], "b": 0.895 + shared + own[1]})
    means, pair = statistics.mean_intervals(wide), statistics.paired_differences(wide).iloc[0]
    assert means.loc["b", "high"] > means.loc["a", "low"]
    assert pair["low"] > 0


def test_rank_probabilities(wide):
    out = statistics.rank_probabilities(wide)
    np.testing.assert_allclose(out.sum(axis=0), 1)
    np.testing.assert_allclose(out.sum(axis=1), 1)
    assert out.loc["best", 1] > 0.99
    assert 0.02 < out.loc["good", 3] < 0.98
    turned = statistics.rank_probabilities(wide, higher_is_better=False)
    assert turned.loc["best", 3] > 0.99


def test_methods_that_tie_share_their_ranks(wide):
    wide["twin"] = wide["best"]
    out = statistics.rank_probabilities(wide)
    assert out.loc["best", 1] == out.loc["twin", 2] == pytest.approx(0.5, abs=0.01)


def test_too_little_to_compare(wide):
    with pytest.raises(ValueError, match="one method; give at least two"):
        statistics.paired_differences(wide[["best"]])
    wide.loc[:149, "good"] = np.nan
    wide.loc[150:, "best"] = np.nan
    with pytest.raises(ValueError, match="best, good, close have 0 slices in common"):
        statistics.mean_intervals(wide)
    with pytest.raises(ValueError, match=r"truth_agreement is 1\.2"):
        statistics.paired_differences(wide, truth_agreement=1.2)


def test_short_names():
    keys = [("a", "published", "p"), ("b", "published", "p"), ("b", "computed", "1")]
    assert short_names(keys) == ["a", "b (published)", "b (computed)"]
    assert short_names([*keys, ("b", "computed", "2")])[2:] == [
        "b (computed, 1)",
        "b (computed, 2)",
    ]
