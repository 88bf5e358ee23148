"""How much there is of each class, and the weights that make up for it."""

from collections.abc import Iterable, Mapping
from statistics import median

import numpy as np

from helpers.data import files, published
from helpers.labels import Label, check_labels


def published_numbers(
    numbers: Iterable[int] = range(1, 301),
    *,
    several_nuclei: bool = False,
) -> tuple[int, ...]:
    """Fetch published label maps of the paper's cell, and say which ones can be had.

    Parameters
    ----------
    numbers : iterable of int
        Slices, from 1 to 300. About 65 kB a slice are downloaded if needed.
    several_nuclei : bool
        The ground truth that also has the neighbours' nuclei.

    Returns
    -------
    tuple of int
        The slices that `helpers.data.published_labels` can read; those that cannot be had are
        left out with one warning.

    Raises
    ------
    ValueError
        If there is no such slice.
    """
    names = {published.published_name(n, several_nuclei=several_nuclei): n for n in numbers}
    return tuple(names[name] for name in files.fetch_many(names, missing="skip"))


def pixel_counts(label_maps: Iterable[np.ndarray]) -> np.ndarray:
    """Count the pixels of each class, slice by slice.

    Parameters
    ----------
    label_maps : iterable of (y, x) arrays of uint8
        Numbers of `helpers.labels.Label`; only one is held in memory at a time.

    Returns
    -------
    (n, 4) array of int64
        A row a slice, a column a class, in the order of `Label`.

    Raises
    ------
    TypeError
        If a map is not uint8.
    ValueError
        If a map is not one slice with the numbers 1 to 4, or there are none.
    """
    rows = []
    for place, labels in enumerate(label_maps):
        labels = check_labels(labels, f"label map {place}")
        rows.append(np.bincount(labels.ravel(), minlength=max(Label) + 1)[min(Label) :])
    if not rows:
        raise ValueError("There are no label maps; give at least one.")
    return np.array(rows, dtype=np.int64)


def class_frequencies(counts: np.ndarray) -> dict[Label, float]:
    """Share of each class, counting only the slices in which it occurs.

    Parameters
    ----------
    counts : (n, 4) array of int
        From `pixel_counts`.

    Returns
    -------
    dict of Label to float
        NaN for a class that no slice has.

    Raises
    ------
    ValueError
        If the counts have another shape, or a number below 0.

    Examples
    --------
    >>> class_frequencies([[0, 0, 3, 1], [1, 2, 1, 0]])[Label.NUCLEUS]
    0.5
    """
    counts = np.asarray(counts)
    if counts.ndim != 2 or counts.shape[1] != len(Label) or counts.min(initial=0) < 0:
        raise ValueError(
            f"counts has shape {counts.shape}; allowed are rows of {len(Label)} numbers, not "
            "below 0: what helpers.ground_truth.pixel_counts returns."
        )
    slices_px = counts.sum(axis=1)
    frequencies = {}
    for label, column in zip(Label, counts.T, strict=True):
        present_px = slices_px[column > 0].sum()
        frequencies[label] = float(column.sum() / present_px) if present_px else float("nan")
    return frequencies


def balance(frequencies: Mapping[Label, float]) -> dict[Label, float]:
    """Weights that are higher the rarer a class is: the median frequency over its own.

    Parameters
    ----------
    frequencies : mapping of Label to float
        From `class_frequencies`.

    Returns
    -------
    dict of Label to float

    Raises
    ------
    ValueError
        If a frequency is not above 0: no weight makes up for a class that does not occur.

    Notes
    -----
    Median frequency balancing, Eigen and Fergus (2015), doi 10.1109/ICCV.2015.304; so in the
    authors' code.

    Examples
    --------
    >>> weights = balance(dict(zip(Label, [0.01, 0.1, 0.5, 0.3])))
    >>> [round(weight, 2) for weight in weights.values()]
    [20.0, 2.0, 0.4, 0.67]
    """
    absent = [label.title for label, share in frequencies.items() if not share > 0]
    if absent:
        raise ValueError(
            f"There is no weight for {', '.join(absent)}: no slice has any. "
            "Count slices that have all four classes, or weigh only those that occur."
        )
    middle = median(frequencies.values())
    return {label: middle / share for label, share in frequencies.items()}


def median_frequency_weights(label_maps: Iterable[np.ndarray]) -> dict[Label, float]:
    """Weights of the classes for training, by median frequency balancing.

    Parameters
    ----------
    label_maps : iterable of (y, x) arrays of uint8
        Numbers of `helpers.labels.Label`; only one is held in memory at a time.

    Returns
    -------
    dict of Label to float

    Raises
    ------
    TypeError, ValueError
        As `pixel_counts` and `balance`.
    """
    return balance(class_frequencies(pixel_counts(label_maps)))
