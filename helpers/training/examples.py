"""Training examples: slices or patches, changed at random, in a stream that is entered anywhere.

Any step's batch can be made without those before it.
The order of the examples and what is drawn for each depend on the seed and on the example's place
in the stream alone, so that a training that was interrupted goes on as if it had not been.
"""

from dataclasses import dataclass

import numpy as np

from helpers.training.device import need_tensorflow
from helpers.training.prepare import Slices
from helpers.training.recipe import Recipe


def patch_starts(length_px: int, patch_px: int, overlap: float = 0.5) -> np.ndarray:
    """Where patches begin along one side of a slice.

    Parameters
    ----------
    length_px : int
        Side of the slice.
    patch_px : int
        Side of a patch.
    overlap : float
        Share of a patch that the next one covers too: 0 to below 1.

    Returns
    -------
    (n,) array of int64
        Pixels left at the end, fewer than a step, are in no patch.

    Raises
    ------
    ValueError
        If the patch is larger than the slice, or the overlap is out of range.

    Examples
    --------
    >>> len(patch_starts(2000, 128))
    30
    """
    if not 1 <= patch_px <= length_px:
        raise ValueError(
            f"patch_px is {patch_px}; it must be from 1 to the slice's side, {length_px}."
        )
    if not 0 <= overlap < 1:
        raise ValueError(f"overlap is {overlap}; it must be from 0 to below 1.")
    step = max(1, round(patch_px * (1 - overlap)))
    return np.arange(0, length_px - patch_px + 1, step, dtype=np.int64)


def patch_corners(
    n_slices: int, shape: tuple[int, int], patch_px: int, overlap: float = 0.5
) -> np.ndarray:
    """Upper left corners of all patches of a number of slices.

    Parameters
    ----------
    n_slices : int
        Each of that size.
    shape : (int, int)
        Size (y, x) of a slice in pixels.
    patch_px : int
        Side of a patch.
    overlap : float
        As for `patch_starts`.

    Returns
    -------
    (n, 3) array of int64
        Index of the slice from 0, and the patch's first row and column in it, in pixels.

    Raises
    ------
    ValueError
        As for `patch_starts`.

    Notes
    -----
    Karabag et al. (2020): 128 x 128 with 50 % overlap, from the odd slices 101 to 179; the paper
    counts 36,000 pairs.

    Examples
    --------
    >>> len(patch_corners(len(range(101, 180, 2)), (2000, 2000), 128))
    36000
    """
    sides = (patch_starts(side, patch_px, overlap) for side in shape)
    grid = np.meshgrid(np.arange(n_slices, dtype=np.int64), *sides, indexing="ij")
    return np.stack([axis.ravel() for axis in grid], axis=1)


@dataclass(frozen=True)
class Items:
    """What there is to train on: whole slices, or patches of them.

    Attributes
    ----------
    slices : Slices
        Prepared slices with their labels.
    corners : (n, 3) array of int64
        Place of the slice from 0, first row, first column.
    shape : (int, int)
        Size (y, x) of an item.
    """

    slices: Slices
    corners: np.ndarray
    shape: tuple[int, int]

    def __len__(self) -> int:
        """Return the number of items."""
        return len(self.corners)

    def some(self, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Cut out items that are spread evenly over all.

        Parameters
        ----------
        count : int
            How many; all where there are no more.

        Returns
        -------
        images, labels : (n, y, x) arrays of uint8
            Grey levels, and numbers of `helpers.labels.Label`.
        """
        places = np.unique(np.linspace(0, len(self) - 1, min(count, len(self))).round().astype(int))
        height, width = self.shape
        cut = [
            (at, slice(row, row + height), slice(column, column + width))
            for at, row, column in self.corners[places]
        ]
        return tuple(
            np.stack([array[where] for where in cut])
            for array in (self.slices.images, self.slices.labels)
        )


def items_of(slices: Slices, recipe: Recipe) -> Items:
    """Divide slices into what the recipe trains on.

    Parameters
    ----------
    slices : Slices
        All of them are used.
    recipe : Recipe
        Its `patch_px` and `patch_overlap` say how; without patches an item is a whole slice.

    Returns
    -------
    Items

    Raises
    ------
    ValueError
        If the patches are larger than the slices, or quarter turns do not fit.
    """
    shape = slices.images.shape[1:]
    if recipe.patch_px is None:
        places = np.arange(len(slices.numbers), dtype=np.int64)
        corners = np.stack([places, 0 * places, 0 * places], axis=1)
    else:
        corners = patch_corners(len(slices.numbers), shape, recipe.patch_px, recipe.patch_overlap)
        shape = (recipe.patch_px, recipe.patch_px)
    if recipe.quarter_turns and shape[0] != shape[1]:
        raise ValueError(
            f"quarter_turns needs a square input; this one is {shape[0]} x {shape[1]}. "
            "Switch it off, or train on square patches."
        )
    if recipe.shift_px > min(shape):
        raise ValueError(
            f"shift_px is {recipe.shift_px}; it must be at most the input's side, {min(shape)}."
        )
    return Items(slices, corners, shape)


def as_input(images, channels: int):
    """Turn grey images into what a model takes.

    Parameters
    ----------
    images : (..., y, x) array or tensor of uint8
        Grey levels, prepared.
    channels : int
        1, or 3 for grey copied three times.

    Returns
    -------
    (..., y, x, channels) tensor of float32
        Grey levels 0 to 255.
    """
    tf = need_tensorflow()
    return tf.repeat(tf.cast(images, tf.float32)[..., None], channels, axis=-1)


def augment(pair, draws, recipe: Recipe):
    """Reflect, turn and shift an image together with its labels.

    Parameters
    ----------
    pair : (y, x, 2) tensor of uint8
        Image and labels, moved as one.
    draws : (5,) tensor of float32
        Uniform from 0 to below 1: reflection left-right and up-down, quarter turns, shift down
        and to the right.
    recipe : Recipe
        Its `reflect`, `flip_up_down`, `quarter_turns` and `shift_px` say what is changed.

    Returns
    -------
    (y, x, 2) tensor of uint8
        What a shift moves in from outside is the mirror image of the border.
    """
    tf = need_tensorflow()
    shape = pair.shape
    if recipe.reflect:
        pair = tf.where(draws[0] < 0.5, tf.reverse(pair, [1]), pair)
    if recipe.flip_up_down:
        pair = tf.where(draws[1] < 0.5, tf.reverse(pair, [0]), pair)
    if recipe.quarter_turns:
        pair = tf.image.rot90(pair, tf.cast(draws[2] * 4, tf.int32))
    if recipe.shift_px:
        margin = recipe.shift_px
        start = tf.cast(draws[3:] * (2 * margin + 1), tf.int32)
        pair = tf.pad(pair, [[margin, margin], [margin, margin], [0, 0]], "SYMMETRIC")
        pair = tf.slice(pair, tf.concat([start, [0]], axis=0), shape)
    return tf.ensure_shape(pair, shape)


def stream(items: Items, recipe: Recipe, *, channels: int, seed: int, start: int, stop: int):
    """Make the batches of the steps from `start` to before `stop`.

    Each epoch is another permutation of the items, computed and not stored, and batches go on
    from one epoch into the next.

    Parameters
    ----------
    items : Items
        What there is to draw from.
    recipe : Recipe
        Its `batch`, and how examples are changed: see `augment`.
    channels : int
        Of the model's input.
    seed : int
        Of the order and of the changes.
    start, stop : int
        Steps, from 0.

    Returns
    -------
    tf.data.Dataset
        Of pairs: (batch, y, x, channels) float32 grey levels, (batch, y, x) uint8 labels.
    """
    tf = need_tensorflow()
    with tf.device("CPU:0"):
        images, labels = tf.constant(items.slices.images), tf.constant(items.slices.labels)
        corners = tf.constant(items.corners)
    count, size = len(items), (1, *items.shape)

    # Nothing here is Python control flow on tensors.
    @tf.autograph.experimental.do_not_convert
    def make(place):
        epoch, at = place // count, place % count
        at = tf.random.experimental.index_shuffle(at, tf.stack([seed, epoch]), count - 1)
        corner = corners[at]
        pair = tf.stack([tf.slice(array, corner, size)[0] for array in (images, labels)], axis=-1)
        draws = tf.random.stateless_uniform([5], tf.stack([seed, place]))
        pair = augment(pair, draws, recipe)
        return as_input(pair[..., 0], channels), pair[..., 1]

    return (
        tf.data.Dataset.range(start * recipe.batch, stop * recipe.batch)
        .map(make, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
        .batch(recipe.batch, drop_remainder=True)
        .prefetch(2)
    )
