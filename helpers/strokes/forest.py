"""A random forest that learns from the pixels under strokes, and segments slices."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import cv2
import numpy as np

from helpers import processes
from helpers.data.stack import Stack
from helpers.labels import Label, check_image, check_labels
from helpers.masks import fill
from helpers.postprocessing import keep_central_nucleus
from helpers.strokes.drawn import Strokes
from helpers.strokes.features import features_of, grid_of
from helpers.traditional.constants import Constants
from helpers.traditional.edges import smooth
from helpers.traditional.envelope import trace_envelope
from helpers.traditional.slice import draw_labels

TREES = 60
LEAST_LEAF = 2

_BLUR_PX = 1.5  # of the grid: single pixels of another class than all around them are noise

BRIDGE_NM = 600.0
"""What hangs together with the nucleus by less than this width is none."""

INSIDE_NM, OUTSIDE_NM = 300.0, 700.0
"""How far from the forest's boundary the membrane is looked for. A forest draws it too far inside:
near a boundary the wide features have something of both sides."""

NO_SKLEARN = (
    "Strokes need scikit-learn. Install it: pip install scikit-learn, or pip install '.[strokes]'."
)


@dataclass(frozen=True)
class Forest:
    """A forest that was trained on strokes.

    Attributes
    ----------
    trees : sklearn.ensemble.RandomForestClassifier
    features : str
        What it was trained on; see `helpers.strokes.features_of`.
    pixel_size_nm : float
        Of the slices.
    pixels : int
        How many it was trained on.
    """

    trees: object
    features: str
    pixel_size_nm: float
    pixels: int

    def probabilities(self, image: np.ndarray, found: np.ndarray | None = None) -> np.ndarray:
        """Say how likely each class is.

        Parameters
        ----------
        image : (y, x) array of uint8
            A slice.
        found : array, optional
            Its features, where they are at hand.

        Returns
        -------
        (rows, columns, 4) array of float32
            On the grid of the features, classes in the order of `helpers.labels.Label`.
        """
        if found is None:
            found = features_of(image, self.features, pixel_size_nm=self.pixel_size_nm)
        rows, columns, count = found.shape
        known = self.trees.predict_proba(found.reshape(-1, count))
        likely = np.zeros((rows, columns, len(Label)), np.float32)
        for at, label in enumerate(self.trees.classes_):
            likely[..., label - min(Label)] = known[:, at].reshape(rows, columns)
        return likely

    def label(self, image: np.ndarray, found: np.ndarray | None = None) -> np.ndarray:
        """Give each pixel the likeliest class.

        Parameters
        ----------
        image, found
            As for `probabilities`.

        Returns
        -------
        (y, x) array of uint8
            Numbers of `helpers.labels.Label`, at the size of the slice.
        """
        likely = cv2.GaussianBlur(self.probabilities(image, found), (0, 0), _BLUR_PX)
        # Classes first, then pixels: four probabilities of each pixel of a slice are 64 MB.
        best = likely.argmax(axis=-1).astype(np.uint8) + np.uint8(min(Label))
        return cv2.resize(best, image.shape[::-1], interpolation=cv2.INTER_NEAREST_EXACT)

    def segment(self, image: np.ndarray, found: np.ndarray | None = None) -> np.ndarray:
        """Label a slice, and tidy it: one nucleus in the middle, bounded by the membrane.

        Parameters
        ----------
        image, found
            As for `probabilities`.

        Returns
        -------
        (y, x) array of uint8
            Numbers of `helpers.labels.Label`.
        """
        image = check_image(image)
        return tidy(self.label(image, found), image, pixel_size_nm=self.pixel_size_nm)


def tidy(labels: np.ndarray, image: np.ndarray, *, pixel_size_nm: float = 10.0) -> np.ndarray:
    """Keep the central nucleus, and move its boundary onto the membrane.

    The nucleus is chosen as after the networks (`helpers.postprocessing`), and its boundary traced
    as in the traditional method (`helpers.traditional.trace_envelope`), though from farther away.

    Parameters
    ----------
    labels : (y, x) array of uint8
        Numbers of `helpers.labels.Label`, from `Forest.label`.
    image : (y, x) array of uint8
        The slice.
    pixel_size_nm : float
        Side of a pixel.

    Returns
    -------
    (y, x) array of uint8
        Without a nucleus if none is large enough.
    """
    labels, image = check_labels(labels), check_image(image)
    constants = Constants.at(pixel_size_nm)
    rules = {"pixel_size_nm": pixel_size_nm}
    labels = keep_central_nucleus(labels, bridge_nm=BRIDGE_NM, **rules)
    nucleus = fill(labels == Label.NUCLEUS)
    if nucleus.any():
        wide = replace(
            constants,
            trace_inside_px=INSIDE_NM / pixel_size_nm,
            trace_outside_px=OUTSIDE_NM / pixel_size_nm,
        )
        nucleus = trace_envelope(smooth(image, constants), nucleus, wide)
    return draw_labels(nucleus, labels == Label.BACKGROUND, constants)


def train(
    strokes: Strokes,
    stack: Stack,
    kind: str = "hand-made",
    *,
    seed: int = 0,
    found: Callable[[int], np.ndarray] | None = None,
) -> Forest:
    """Train a forest on the pixels under strokes.

    Parameters
    ----------
    strokes : Strokes
        On slices of `stack`, of two classes at least, the nucleus among them.
    stack : Stack
        Slices.
    kind : {"hand-made", "VGG16", "both"}
        See `helpers.strokes.features_of`.
    seed : int
        Of the forest.
    found : callable, optional
        Given the number of a slice, returns its features, where they are at hand.

    Returns
    -------
    Forest

    Raises
    ------
    ImportError
        If scikit-learn is missing.
    ValueError
        If there are too few strokes, or they are of other slices.
    helpers.data.DataError
        As `helpers.strokes.features_of`.
    """
    try:
        from sklearn.ensemble import RandomForestClassifier
    except ImportError as error:
        raise ImportError(NO_SKLEARN) from error
    strokes.check(stack)
    if not strokes.are_enough:
        drawn = ", ".join(label.title for label in strokes.classes) or "nothing"
        raise ValueError(
            f"there are strokes of {drawn}. Draw one at least on the nucleus and one on "
            "something else; better one of each class on each of several slices."
        )
    grid = grid_of(stack.shape, stack.pixel_size_nm)
    values, labels = [], []
    for number in strokes.numbers:
        rows, columns, known = strokes.pixels(number, grid)
        if found is not None:
            described = found(number)
        else:
            described = features_of(stack.image(number), kind, pixel_size_nm=stack.pixel_size_nm)
        values.append(described[rows, columns])
        labels.append(known)
    labels = np.concatenate(labels)
    trees = RandomForestClassifier(
        TREES,
        min_samples_leaf=LEAST_LEAF,
        # A long stroke says no more often what a class is than a short one.
        class_weight="balanced",
        n_jobs=processes.n_cores(),
        random_state=seed,
    )
    trees.fit(np.concatenate(values), labels)
    return Forest(trees, kind, stack.pixel_size_nm, len(labels))
