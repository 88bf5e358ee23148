"""Which method is better, and how sure that is when neighbouring slices resemble each other."""

from itertools import combinations

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from helpers.comparison.bootstrap import block_length, bootstrap_means, interval

_BESIDE_A_MEAN = ("low", "high", "slices", "block")


def short_names(wide: pd.DataFrame) -> pd.DataFrame:
    """Name each column by its method, and by origin and run only where that is not enough.

    Parameters
    ----------
    wide : DataFrame
        From `helpers.results.by_slice`, columns (method, origin, run).

    Returns
    -------
    DataFrame
        The same with plain column names.
    """
    keys = list(wide.columns)
    methods = [method for method, _, _ in keys]
    origins = [key[:2] for key in keys]
    names = []
    for method, origin, run in keys:
        if methods.count(method) == 1:
            names.append(method)
        elif origins.count((method, origin)) == 1:
            names.append(f"{method} ({origin})")
        else:
            names.append(f"{method} ({origin}, {run})")
    return wide.set_axis(names, axis=1)


def mean_intervals(
    wide: pd.DataFrame,
    *,
    level: float = 0.95,
    block: int | None = None,
    samples: int = 4000,
    seed: int = 0,
) -> pd.DataFrame:
    """Mean of each method with its confidence interval, over the slices that all methods have.

    Parameters
    ----------
    wide : DataFrame
        A row a slice in order, a column a method, as `helpers.results.by_slice` makes it.
    level, block, samples, seed
        As for `helpers.comparison.interval`.

    Returns
    -------
    DataFrame
        A row a method: ``mean``, ``low``, ``high``, ``slices``, ``block``.

    Raises
    ------
    ValueError
        If fewer than two slices are common to all, or an argument is out of range.
    """
    common = _common(wide)
    options = {"level": level, "block": block, "samples": samples, "seed": seed}
    rows = [_mean_of(common[name].to_numpy(), **options) for name in common.columns]
    return pd.DataFrame(rows, index=common.columns, columns=["mean", *_BESIDE_A_MEAN])


def paired_differences(
    wide: pd.DataFrame,
    *,
    level: float = 0.95,
    truth_agreement: float | None = None,
    block: int | None = None,
    samples: int = 4000,
    seed: int = 0,
) -> pd.DataFrame:
    """Mean difference of each pair of methods, over the slices that both have.

    Parameters
    ----------
    wide : DataFrame
        As for `mean_intervals`.
    truth_agreement : float, optional
        Score between two ground truths, for instance the mean Jaccard index of the true nuclei
        of neighbouring slices. A difference below
        what that lacks to 1 is noted: it is less than what two ground truths disagree by.
    level, block, samples, seed
        As for `helpers.comparison.interval`.

    Returns
    -------
    DataFrame
        A row a pair (``first``, ``second``): ``difference`` of their means, ``low``, ``high``,
        ``slices``, ``block``, ``note``.

    Raises
    ------
    ValueError
        If there are fewer than two methods, a pair has fewer than two slices in common, or an
        argument is out of range.
    """
    if len(wide.columns) < 2:
        raise ValueError("there is one method; give at least two to compare.")
    if truth_agreement is not None and not 0 < truth_agreement <= 1:
        raise ValueError(f"truth_agreement is {truth_agreement}; it must be above 0, up to 1.")
    options = {"level": level, "block": block, "samples": samples, "seed": seed}
    rows = {}
    for first, second in combinations(range(len(wide.columns)), 2):
        pair = _common(wide.iloc[:, [first, second]])
        found = _mean_of((pair.iloc[:, 0] - pair.iloc[:, 1]).to_numpy(), **options)
        rows[tuple(pair.columns)] = [*found, _note(*found[:3], truth_agreement)]
    columns = ["difference", *_BESIDE_A_MEAN, "note"]
    table = pd.DataFrame.from_dict(rows, orient="index", columns=columns)
    table.index = pd.MultiIndex.from_tuples(rows, names=["first", "second"])
    return table


def rank_probabilities(
    wide: pd.DataFrame,
    *,
    higher_is_better: bool = True,
    block: int | None = None,
    samples: int = 4000,
    seed: int = 0,
) -> pd.DataFrame:
    """How likely each rank is for each method, if other slices like these had been scored.

    Parameters
    ----------
    wide : DataFrame
        As for `mean_intervals`.
    higher_is_better : bool
        False for distances.
    block : int, optional
        By default the longest `helpers.comparison.block_length` of any method.
    samples, seed
        As for `helpers.comparison.interval`.

    Returns
    -------
    DataFrame
        A row a method, a column a rank from 1. Rows and columns add up to 1; methods that tie
        share their ranks.

    Raises
    ------
    ValueError
        As `mean_intervals`.
    """
    common = _common(wide)
    values = common.to_numpy().T
    if block is None:
        block = max(block_length(row) for row in values)
    means = bootstrap_means(values, block=block, samples=samples, seed=seed)
    # Equal up to rounding is equal.
    means = np.round(-means if higher_is_better else means, 12)
    lowest = rankdata(means, method="min", axis=0)[:, None]
    highest = rankdata(means, method="max", axis=0)[:, None]
    ranks = np.arange(1, len(values) + 1)[None, :, None]
    shares = ((lowest <= ranks) & (ranks <= highest)) / (highest - lowest + 1)
    return pd.DataFrame(
        shares.mean(axis=2),
        index=common.columns,
        columns=pd.Index(ranks.ravel(), name="rank"),
    )


def _common(wide: pd.DataFrame) -> pd.DataFrame:
    common = wide.dropna()
    if len(common) < 2:
        raise ValueError(
            f"{', '.join(map(str, wide.columns))} have {len(common)} slices in common; at least "
            "two are needed. Leave out methods that were scored on few slices."
        )
    return common


def _mean_of(values: np.ndarray, *, block: int | None, **options) -> list:
    """Return a mean and what `_BESIDE_A_MEAN` names."""
    length = block_length(values) if block is None else block
    return [values.mean(), *interval(values, block=length, **options), len(values), length]


def _note(difference: float, low: float, high: float, truth_agreement: float | None) -> str:
    notes = []
    if low <= 0 <= high:
        notes.append("may be none: the interval contains 0")
    if truth_agreement is not None and abs(difference) < 1 - truth_agreement:
        notes.append(
            f"below what two ground truths differ by ({1 - truth_agreement:.3f}): no verdict"
        )
    return "; ".join(notes)
