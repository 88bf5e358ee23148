"""Which slices train a network and which test it."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

MAX_BLOCKS = 10


@dataclass(frozen=True)
class Split:
    """Slices to train on and slices to test on.

    Attributes
    ----------
    train, test : tuple of int
        Slice numbers, in order; none is in both.
    name : str
        ``paper``, ``blocks``, or ``given`` where the slices were named.

    Raises
    ------
    ValueError
        If there is nothing to train on, or a slice is in both or twice in one.

    Examples
    --------
    >>> Split(train=(71, 118, 170), test=(151, 82)).test
    (82, 151)
    """

    train: tuple[int, ...]
    test: tuple[int, ...]
    name: str = "given"

    def __post_init__(self):
        for part in ("train", "test"):
            numbers = tuple(sorted(int(number) for number in getattr(self, part)))
            if len(set(numbers)) < len(numbers):
                raise ValueError(f"{part} names a slice twice: {numbers}. Name each slice once.")
            object.__setattr__(self, part, numbers)
        if not self.train:
            raise ValueError("train names no slice; give at least one.")
        both = sorted(set(self.train) & set(self.test))
        if both:
            raise ValueError(
                f"Slices {', '.join(map(str, both))} are in train and in test; a test slice must "
                "not be trained on. Take them out of one of the two."
            )

    @classmethod
    def paper(cls, numbers: Iterable[int], seed: int = 0, *, fraction: float = 0.6) -> "Split":
        """Draw the training slices at random, as the paper did.

        Nearly every test slice then lies beside a training slice, which it resembles: scores on
        it say little about another cell.

        Parameters
        ----------
        numbers : iterable of int
            Slices to divide, at least 2.
        seed : int
            Another seed draws other slices.
        fraction : float
            Share that is trained on.

        Returns
        -------
        Split

        Raises
        ------
        ValueError
            If there are too few slices, or the fraction is not between 0 and 1.

        Notes
        -----
        Karabag et al. (2020), section 2: 60 % for training, 40 % for testing, at random.

        Examples
        --------
        >>> len(Split.paper(range(1, 301)).train)
        180
        """
        numbers = _checked(numbers, fraction)
        count = min(max(1, round(fraction * len(numbers))), len(numbers) - 1)
        drawn = np.random.default_rng(seed).permutation(numbers)
        return cls(train=tuple(drawn[:count]), test=tuple(drawn[count:]), name="paper")

    @classmethod
    def blocks(
        cls,
        numbers: Iterable[int],
        seed: int = 0,
        *,
        fraction: float = 0.6,
        gap: int | None = None,
    ) -> "Split":
        """Divide the slices by blocks of neighbours, with a gap between training and test.

        The sorted slices are cut into up to ten blocks of equal length, some of which are drawn
        for the test. Test slices that lie within `gap` of a training slice are then left out, so
        that as many slices train as with `paper`.

        Parameters
        ----------
        numbers : iterable of int
            Slices to divide, at least 2; they may have gaps of their own.
        seed : int
            Another seed draws other blocks.
        fraction : float
            Share of the blocks that is trained on.
        gap : int, optional
            Slices that lie at least between a test slice and the nearest training slice. By
            default a sixtieth of the slices, and at least 1: 5 of 300, which is 250 nm.

        Returns
        -------
        Split

        Raises
        ------
        ValueError
            If there are too few slices for such a gap, or the fraction is not between 0 and 1.

        Examples
        --------
        >>> split = Split.blocks([71, 82, 118, 151, 170, 215, 260])
        >>> len(split.train), len(split.test)
        (4, 3)
        """
        numbers = _checked(numbers, fraction)
        gap = max(1, round(len(numbers) / 60)) if gap is None else gap
        # Many short blocks mix better; fewer are taken where the gaps would eat the test slices.
        for count in range(min(MAX_BLOCKS, len(numbers)), 1, -1):
            held_out = min(max(1, math.floor((1 - fraction) * count + 0.5)), count - 1)
            chosen = np.random.default_rng(seed).permutation(count)[:held_out]
            parts = np.array_split(numbers, count)
            train = np.concatenate([parts[i] for i in range(count) if i not in chosen])
            test = np.concatenate([parts[i] for i in chosen])
            distance = np.abs(test[:, None] - train[None, :]).min(axis=1)
            kept = test[distance > gap]
            if 2 * len(kept) >= len(test):
                return cls(train=tuple(train), test=tuple(kept), name="blocks")
        raise ValueError(
            f"{len(numbers)} slices are too few for a gap of {gap} between training and test. "
            "Give more slices or a smaller gap, or name the slices: Split(train=..., test=...)."
        )


def _checked(numbers: Iterable[int], fraction: float) -> np.ndarray:
    numbers = np.array(sorted(set(numbers)), dtype=np.int64)
    if len(numbers) < 2:
        raise ValueError(
            f"There are {len(numbers)} slices to divide; give at least 2, one to train on and one "
            "to test on."
        )
    if not 0 < fraction < 1:
        raise ValueError(f"fraction is {fraction}; it must be between 0 and 1.")
    return numbers
