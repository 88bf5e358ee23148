"""Scores that count pixels; all derive from one confusion matrix a slice."""

from typing import NamedTuple

import numpy as np

from helpers.labels import Label

LEVELS = max(Label) + 1
"""Rows and columns of a confusion matrix: 0, not labelled, and the four classes."""


class Cases(NamedTuple):
    """How many pixels are right and wrong, for one class against the rest.

    Attributes
    ----------
    true_positive, false_positive, false_negative, true_negative : int
    """

    true_positive: int
    false_positive: int
    false_negative: int
    true_negative: int


def confusion_matrix(result: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Count the pixels of each pair of classes.

    Parameters
    ----------
    result, truth : arrays of integers, of the same shape
        Numbers of `helpers.labels.Label`, and 0 for "not labelled": a slice (y, x) or a stack.

    Returns
    -------
    (5, 5) array of int64
        ``matrix[i, j]`` pixels are `i` in the truth and `j` in the result. Matrices of slices add
        up to that of the stack. Row 0 is 0: pixels with no label in the truth are left out.
        Column 0 counts pixels that the result leaves without a label: each is wrong.

    Raises
    ------
    TypeError
        If an array is not of integers.
    ValueError
        If the shapes differ, or a number is none of 0 to 4.

    Examples
    --------
    >>> confusion_matrix(np.array([2, 2, 3, 0]), np.array([2, 3, 3, 2]))[2:4]
    array([[1, 0, 1, 0, 0],
           [0, 0, 1, 1, 0]])
    """
    result, truth = _check_labels(result, "result"), _check_labels(truth, "truth")
    if result.shape != truth.shape:
        raise ValueError(
            f"result has shape {result.shape}, truth {truth.shape}; they must agree. "
            "Give the same slice at the same pixel size."
        )
    pairs = truth * np.uint8(LEVELS) + result
    matrix = np.bincount(pairs.ravel(), minlength=LEVELS**2).reshape(LEVELS, LEVELS)
    matrix[0] = 0
    return matrix.astype(np.int64, copy=False)


def cases(matrix: np.ndarray, label: int) -> Cases:
    """Read the four cases of one class from a confusion matrix.

    Parameters
    ----------
    matrix : (5, 5) array of int
        From `confusion_matrix`.
    label : Label

    Returns
    -------
    Cases
        Pixels that are rightly and wrongly called that class, wrongly and rightly not.

    Raises
    ------
    ValueError
        If the matrix has another shape, or `label` is no class.
    """
    matrix, label = _check_matrix(matrix), _check_label(label)
    hit = matrix[label, label]
    positive, called = matrix[label].sum(), matrix[:, label].sum()
    rest = matrix.sum() - positive - called + hit
    return Cases(*map(int, (hit, called - hit, positive - hit, rest)))


def accuracy(matrix: np.ndarray) -> float:
    """Share of the pixels that have the right one of the four classes.

    Parameters
    ----------
    matrix : (5, 5) array of int
        From `confusion_matrix`.

    Returns
    -------
    float
        0 to 1; NaN if no pixel is labelled.

    Raises
    ------
    ValueError
        If the matrix has another shape.
    """
    matrix = _check_matrix(matrix)
    return _ratio(np.trace(matrix), matrix.sum())


def accuracy_of(matrix: np.ndarray, label: int) -> float:
    """Share of the pixels that are right when one class is told from the rest.

    Parameters
    ----------
    matrix : (5, 5) array of int
        From `confusion_matrix`.
    label : Label

    Returns
    -------
    float
        0 to 1; NaN if the class is neither in the truth nor in the result. The formula alone gives
        1 there: fill NaN with 1 where that is wanted.

    Raises
    ------
    ValueError
        As for `cases`.
    """
    count = cases(matrix, label)
    if count.true_negative == sum(count):
        return float("nan")
    return _ratio(count.true_positive + count.true_negative, sum(count))


def jaccard(matrix: np.ndarray, label: int) -> float:
    """Jaccard index of a class: shared pixels over the pixels that either has.

    Parameters
    ----------
    matrix : (5, 5) array of int
        From `confusion_matrix`.
    label : Label

    Returns
    -------
    float
        0 to 1; 0 if the class is in one of truth and result only, NaN if in neither.

    Raises
    ------
    ValueError
        As for `cases`.
    """
    hit, false_positive, false_negative, _ = cases(matrix, label)
    return _ratio(hit, hit + false_positive + false_negative)


def dice(matrix: np.ndarray, label: int) -> float:
    """Dice coefficient of a class: shared pixels over the mean size of the two.

    Parameters
    ----------
    matrix : (5, 5) array of int
        From `confusion_matrix`.
    label : Label

    Returns
    -------
    float
        ``2 J / (1 + J)`` for a Jaccard index of J; 0 and NaN as for `jaccard`.

    Raises
    ------
    ValueError
        As for `cases`.
    """
    hit, false_positive, false_negative, _ = cases(matrix, label)
    return _ratio(2 * hit, 2 * hit + false_positive + false_negative)


def jaccard_of_masks(a: np.ndarray, b: np.ndarray) -> float:
    """Jaccard index of two masks.

    Parameters
    ----------
    a, b : arrays of bool, of the same shape

    Returns
    -------
    float
        0 to 1; NaN if both masks are empty.

    Raises
    ------
    TypeError
        If a mask is not of bool.
    ValueError
        If the shapes differ.
    """
    a, b = check_masks(a, b)
    return _ratio(np.count_nonzero(a & b), np.count_nonzero(a | b))


def _ratio(part: int, whole: int) -> float:
    return float(part / whole) if whole else float("nan")


def _check_labels(labels: np.ndarray, name: str) -> np.ndarray:
    labels = np.asarray(labels)
    if not np.issubdtype(labels.dtype, np.integer):
        raise TypeError(
            f"{name} has dtype {labels.dtype}; allowed are integers, 0 to {max(Label):d}. "
            "Compare masks of bool with jaccard_of_masks."
        )
    if labels.size and (labels.min() < 0 or labels.max() > max(Label)):
        raise ValueError(
            f"{name} has numbers from {labels.min()} to {labels.max()}; allowed are the classes "
            f"{min(Label):d} to {max(Label):d}, and 0 for no label."
        )
    return labels.astype(np.uint8, copy=False)


def _check_matrix(matrix: np.ndarray) -> np.ndarray:
    matrix = np.asarray(matrix)
    if matrix.shape != (LEVELS, LEVELS):
        raise ValueError(
            f"matrix has shape {matrix.shape}; expected ({LEVELS}, {LEVELS}), "
            "as confusion_matrix returns it."
        )
    return matrix


def _check_label(label: int) -> Label:
    try:
        return Label(label)
    except ValueError:
        allowed = ", ".join(f"{each:d} ({each.title})" for each in Label)
        raise ValueError(f"label is {label!r}; allowed are {allowed}.") from None


def check_masks(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return two masks as arrays, or say why they cannot be compared."""
    a, b = np.asarray(a), np.asarray(b)
    if a.dtype != bool or b.dtype != bool:
        raise TypeError(
            f"masks have dtype {a.dtype} and {b.dtype}; allowed is bool, True inside. "
            "From labels: labels == Label.NUCLEUS."
        )
    if a.shape != b.shape:
        raise ValueError(f"masks have shapes {a.shape} and {b.shape}; they must agree.")
    return a, b
